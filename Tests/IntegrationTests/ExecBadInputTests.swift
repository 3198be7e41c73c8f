import Foundation
import Testing

extension Integration {
  /// A process document with each property wrong in turn: one clear error with its place, and nothing is left.
  @Suite struct ExecBadInputTests {
    /// What a property is to be, and values that it must not have.
    private enum Kind {
      case bool, text, texts, object, list, ids
      /// A whole number from and to.
      case number(Int, Int)

      var wrong: [JSONValue] {
        switch self {
        case .bool: ["true", 1, [], [:]]
        case .text: [5, true, [], [:]]
        case .texts: ["x", 1, true, [:], [1], [["x"]], ["x", [:]]]
        case .object: ["x", 1, true, []]
        case .list: ["x", 1, true, [:], [1], ["x"], [[]]]
        case .ids: ["x", 1, true, [:], ["x"], [[]], [-1]]
        case .number(let low, let high):
          ["1", true, [], [:]] + (low > .min ? [.number(low - 1)] : []) + (high < .max ? [.number(high + 1)] : [])
        }
      }
    }

    /// A document that has every property, and is right.
    private static let right: JSONValue = [
      "terminal": false, "consoleSize": ["height": 25, "width": 80],
      "user": ["uid": 0, "gid": 0, "umask": 0o22, "additionalGids": [1, 2]],
      "args": ["/bin/agent", "exit", "0"], "env": ["A=b", "C=d"], "cwd": "/",
      "capabilities": [
        "bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "permitted": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
      ],
      "rlimits": [["type": "RLIMIT_CORE", "soft": 1, "hard": 2]], "noNewPrivileges": true, "oomScoreAdj": 100,
      "scheduler": ["policy": "SCHED_OTHER", "nice": 1, "flags": ["SCHED_FLAG_RESET_ON_FORK"]],
      "ioPriority": ["class": "IOPRIO_CLASS_BE", "priority": 4], "execCPUAffinity": ["initial": "0", "final": "0"],
    ]

    private static let id = Kind.number(0, 4_294_967_295)

    private static let properties: [(String, Kind)] = [
      ("", .object), ("/terminal", .bool), ("/consoleSize", .object), ("/consoleSize/height", .number(0, .max)),
      ("/consoleSize/width", .number(0, .max)), ("/user", .object), ("/user/uid", id), ("/user/gid", id),
      ("/user/umask", id), ("/user/additionalGids", .ids), ("/user/additionalGids/1", id), ("/args", .texts),
      ("/env", .texts), ("/cwd", .text), ("/capabilities", .object), ("/capabilities/bounding", .texts),
      ("/capabilities/effective", .texts), ("/capabilities/inheritable", .texts), ("/capabilities/permitted", .texts),
      ("/capabilities/ambient", .texts), ("/rlimits", .list), ("/rlimits/0/type", .text),
      ("/rlimits/0/soft", .number(0, .max)), ("/rlimits/0/hard", .number(0, .max)), ("/noNewPrivileges", .bool),
      ("/apparmorProfile", .text), ("/oomScoreAdj", .number(-1000, 1000)), ("/scheduler", .object),
      ("/scheduler/policy", .text), ("/scheduler/nice", .number(-20, 19)), ("/scheduler/priority", .number(0, 99)),
      ("/scheduler/flags", .texts), ("/scheduler/runtime", .number(0, .max)),
      ("/scheduler/deadline", .number(0, .max)), ("/scheduler/period", .number(0, .max)), ("/selinuxLabel", .text),
      ("/ioPriority", .object), ("/ioPriority/class", .text), ("/ioPriority/priority", .number(0, 7)),
      ("/execCPUAffinity", .object), ("/execCPUAffinity/initial", .text), ("/execCPUAffinity/final", .text),
    ]

    /// What must be there.
    private static let required = [
      "/args", "/cwd", "/user/uid", "/user/gid", "/consoleSize/height", "/consoleSize/width", "/rlimits/0/type",
      "/rlimits/0/soft", "/rlimits/0/hard", "/scheduler/policy", "/ioPriority/class", "/ioPriority/priority",
    ]

    /// Of the right type, and still nothing that it can be; then the place where it shows.
    private static let values: [(String, JSONValue, String)] = [
      ("/args", [], "/args"), ("/args/1", "a\u{0}b", "/args/1"), ("/cwd", "", "/cwd"),
      ("/cwd", "relative", "/cwd"), ("/cwd", "/a\u{0}b", "/cwd"), ("/cwd", "/bin/agent", "/cwd"),
      ("/env/1", "word", "/env/1"),
      ("/env/0", "=x", "/env/0"), ("/env/0", "A=\u{0}", "/env/0"), ("/user/umask", 0o1000, "/user/umask"),
      ("/user/uid", 4_294_967_295, "/user/uid"), ("/user/gid", 4_294_967_295, "/user/gid"),
      ("/user/additionalGids/1", 4_294_967_295, "/user/additionalGids/1"),
      ("/rlimits/0/type", "RLIMIT_CORES", "/rlimits/0/type"),
      ("/rlimits/0/soft", 3, "/rlimits/0/soft"),
      ("/rlimits/1", ["type": "RLIMIT_CORE", "soft": 1, "hard": 1], "/rlimits/1/type"),
      ("/apparmorProfile", "x", "/apparmorProfile"), ("/selinuxLabel", "x", "/selinuxLabel"),
      ("/scheduler/policy", "SCHED_ANY", "/scheduler/policy"),
      ("/scheduler/flags/0", "SCHED_FLAG_ANY", "/scheduler/flags/0"),
      ("/scheduler/priority", 1, "/scheduler/priority"), ("/scheduler/runtime", 5000, "/scheduler/runtime"),
      ("/ioPriority/class", "IOPRIO_CLASS_ANY", "/ioPriority/class"),
      ("/execCPUAffinity/initial", "1-0", "/execCPUAffinity/initial"),
      ("/execCPUAffinity/final", "few", "/execCPUAffinity/final"),
      ("/execCPUAffinity/final", "4096", "/execCPUAffinity/final"),
    ]

    private func running() throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      return container
    }

    private func execute(_ container: Container, _ text: String) throws -> Outcome {
      let path = "\(container.bundle.path)/process.json"
      try Files.write(text, to: path)
      let outcome = try container.spawn("exec", ["--process", path]).wait()
      unlink(path)
      return outcome
    }

    /// Runs `body` with a container and expects that nothing of what it did is left, while the container runs on.
    private func withContainer(_ body: (Container) throws -> Void) throws {
      let container = try running()
      let root = try Workspace.active().stateRoot
      let files = Files.names(in: container.bundle.path).sorted()
      // The first command leaves what the others find (a cache).
      try execute(container, ExecBadInputTests.right.text).expectSuccess()
      Processes.reap()
      let before = try Snapshot(stateRoot: root)
      try body(container)
      Processes.reap()
      let differences = try Snapshot(stateRoot: root).differences(from: before)
      #expect(differences.isEmpty, "\(differences)")
      #expect(try container.spawn("ps", ["--format", "json"]).wait().json.ints == [container.pid()])
      #expect(Files.names(in: container.bundle.path).sorted() == files)
      #expect(try container.status() == "running")
      try execute(container, ExecBadInputTests.right.text).expectSuccess()
    }

    private func expectRefused(_ outcome: Outcome, _ place: String, _ what: @autoclosure () -> String) {
      let isGood = outcome.code == 255 && outcome.stdout.isEmpty && outcome.stderr.contains("process.json")
      #expect(isGood, "\(what()): \(outcome)")
      expectError(outcome, detail: place.isEmpty ? "process.json" : "(at `\(place)")
      #expect(!outcome.stderr.contains("/process/"), "a pointer into the document: \(outcome)")
    }

    /// Peers take most of it.
    @Test(.apusOnly("the peers take no notice of most of it"))
    func propertyOfTheWrongTypeIsNamed() throws {
      try withContainer { container in
        for (place, kind) in ExecBadInputTests.properties {
          for value in kind.wrong {
            var document = ExecBadInputTests.right
            document[pointer: place] = value
            expectRefused(try execute(container, document.text), place, "\(place) = \(value.text)")
          }
        }
      }
    }

    @Test(.apusOnly("the peers take no notice of most of it"))
    func propertyThatMustBeThereIsNamed() throws {
      try withContainer { container in
        for place in ExecBadInputTests.required {
          var document = ExecBadInputTests.right
          document[pointer: place] = .null
          expectRefused(try execute(container, document.text), place, "without \(place)")
        }
      }
    }

    @Test(.apusOnly("the peers take no notice of most of it"))
    func valueThatCannotBeIsNamed() throws {
      try withContainer { container in
        for (place, value, shown) in ExecBadInputTests.values {
          var document = ExecBadInputTests.right
          document[pointer: place] = value
          expectRefused(try execute(container, document.text), shown, "\(place) = \(value.text)")
        }
      }
    }

    /// Not the properties, but the text itself.
    @Test func documentThatIsNoneIsRefused() throws {
      try withContainer { container in
        let text = ExecBadInputTests.right.text
        for wrong in [
          "", "{", "null", "[]", "\"x\"", "7", text.dropLast(1).description, "\u{0}", "\u{FEFF}" + text,
        ] {
          let outcome = try execute(container, wrong)
          #expect(outcome.code != 0 && outcome.stdout.isEmpty, "\(wrong): \(outcome)")
          expectError(outcome, detail: "process.json")
        }
        if Runtime.current.isPeer { return }
        for wrong in [
          text + "}", text.dropLast(1) + ",\"cwd\":\"/\"}", text.replacingOccurrences(of: "100", with: "1e2"),
          text.replacingOccurrences(of: "100", with: "1.5"),
          text.replacingOccurrences(of: "\"user\":", with: "\"user\":{},\"user\":"),
        ] { expectRefused(try execute(container, wrong), "", wrong) }
      }
    }

    /// A property that does not apply is passed over, as in a configuration.
    @Test func unknownPropertyIsPassedOver() throws {
      try withContainer { container in
        var document = ExecBadInputTests.right
        document["commandLine"] = "of another system"
        document["org.example.any"] = ["x": [1]]
        try execute(container, document.text).expectSuccess()
      }
    }

    // MARK: Containers that take no command

    private func expectNoCommand(
      _ container: Container, _ words: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let file = container.bundle.path + "/exec.pid"
      for flags in [[], ["--detach", "--pid-file", file]] {
        let outcome = try container.spawn("exec", flags, rest: ["/bin/agent", "write", "/tmp/ran", "yes"]).wait()
        expectError(outcome, detail: words, sourceLocation: sourceLocation)
        #expect(outcome.stdout.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
        #expect(outcome.code == 255 || Runtime.current.isPeer, "\(outcome)", sourceLocation: sourceLocation)
        #expect(!Files.exists(file), "a pid file", sourceLocation: sourceLocation)
      }
      #expect(!Files.exists(container.bundle.rootfs + "/tmp/ran"), sourceLocation: sourceLocation)
    }

    @Test func stoppedDeletedAndAbsentContainersTakeNoCommand() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["root"]["readonly"] = false
      try container.bundle.write()
      try expectNoCommand(container, "does not exist")
      try container.runDetached()
      try container.end()
      try expectNoCommand(container, "stopped container")
      try container.delete()
      try expectNoCommand(container, "does not exist")
      try expectNothingLeft()
    }

    /// Its first process ends while commands are on their way into it: each has run, or has not and says why.
    @Test(.peerMayDiffer("crun", "1.8.1", "leaves a process behind"), .peerMayDiffer("runc", "1.1.5", "in other words"))
    func containerThatVanishesMeanwhileLeavesNoCommandBehind() throws {
      // crun waits for ever for some of them.
      for round in 0..<(Runtime.current.isPeer ? 2 : 20) {
        let container = try running()
        let pid = try container.pid()
        let calls = try (0..<3).map { _ in try container.spawn("exec", rest: ["/bin/agent", "exit", "3"]) }
        usleep(UInt32(round) * 400)
        Glibc.kill(pid_t(pid), SIGKILL)
        for call in calls {
          let outcome = try call.wait(timeout: 5)
          let isRun = outcome.code == 3 || outcome.code == 137
          #expect(isRun || outcome.code == 255 && outcome.stderr.split(separator: "\n").count == 1, "\(outcome)")
        }
        #expect(waitForEnd(of: pid))
        Processes.reap()
        try container.delete()
      }
      try expectNothingLeft()
    }
  }
}
