import Foundation
import Testing

extension Integration {
  /// `update` of the rules for devices: at no moment is more open than before or after.
  @Suite(.apusOnly("the peers leave the devices as they are"), .bothDrivers) struct DeviceUpdateTests {
    private func update(_ container: Container, document: JSONValue) throws -> Outcome {
      try container.spawn("update", ["--resources", "-"], options: .init(input: document.text)).wait()
    }

    private func update(
      _ container: Container, devices: [JSONValue], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try update(container, document: ["devices": .array(devices)])
      #expect(outcome.code == 0, "\(outcome)", sourceLocation: sourceLocation)
    }

    private static let everything: JSONValue = ["allow": true, "access": "rwm"]
    private static let nothing: JSONValue = ["allow": false, "access": "rwm"]

    private func rule(_ allow: Bool, _ minor: Int) -> JSONValue {
      ["allow": .bool(allow), "type": "c", "major": 10, "minor": .number(minor), "access": "rw"]
    }

    /// The node that most of the tests are about is `/dev/k`.
    private func container(_ devices: [JSONValue], _ line: String) throws -> Container {
      let container = try Container(args: ["/bin/sh", "-c", line])
      container.bundle.config["linux"]["resources"]["devices"] = .array(devices)
      container.bundle.config["linux"]["devices"] = [
        ["path": "/dev/k", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666]
      ]
      return container
    }

    private func opens(_ container: Container, _ path: String = "/dev/k") throws -> Bool {
      try container.exec(["/bin/sh", "-c", "true < \(path)"]).code == 0
    }

    private func deviceAnswers(_ container: Container) throws -> [String: String] {
      let outcome = try container.spawn(
        "exec", rest: ["/bin/sh", "-c", "/bin/agent device /tmp/node c 10:229; rm -f /tmp/node"]
      ).wait()
      let answers = try outcome.stdout.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
      return Dictionary(
        answers.map { ($0["did"].string ?? "", $0["error"].string ?? "") }, uniquingKeysWith: { $1 })
    }

    @Test func rulesOfDevicesAreReplaced() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.setCapabilities(["CAP_MKNOD", "CAP_DAC_OVERRIDE"])
      container.bundle.config["root"]["readonly"] = false
      try container.runDetached()
      #expect(try deviceAnswers(container)["open read"] == "EPERM")
      let deny: JSONValue = ["allow": false, "access": "rwm"]
      func rule(_ access: String) -> JSONValue {
        ["allow": true, "type": "c", "major": 10, "minor": 229, "access": .string(access)]
      }
      for (access, mayRead, mayWrite) in [
        ("rwm", true, true), ("r", true, false), ("w", false, true), ("m", false, false),
      ] {
        let outcome = try update(container, document: ["devices": [deny, rule(access)]])
        #expect(outcome.code == 0, "\(outcome)")
        let answers = try deviceAnswers(container)
        #expect((answers["open read"] != "EPERM") == mayRead, "\(access) \(answers)")
        #expect((answers["open write"] != "EPERM") == mayWrite, "\(access) \(answers)")
        let usual = try container.exec(["/bin/sh", "-c", "head -c 4 /dev/zero | wc -c; echo > /dev/null"])
        #expect(usual.stdout.contains("4") && usual.code == 0, "\(usual)")
      }
      // An empty list changes nothing.
      #expect(try update(container, document: ["devices": [rule("rw")]]).code == 0)
      #expect(try update(container, document: ["devices": [], "cpu": [:]]).code == 0)
      #expect(try deviceAnswers(container)["open read"] != "EPERM")
      // Everything, and back.
      #expect(try update(container, document: ["devices": [["allow": true, "access": "rwm"]]]).code == 0)
      #expect(try deviceAnswers(container)["open write"] != "EPERM")
      #expect(try update(container, document: ["devices": [deny]]).code == 0)
      #expect(try deviceAnswers(container)["open write"] == "EPERM")
      try container.delete("--force")
      try expectNothingLeft()
    }

    /// What both lists allow can be opened at every moment of the change.
    @Test func deviceOfBothListsIsNeverDenied() throws {
      let line = "echo ready; while :; do : < /dev/zero || echo denied; done"
      let container = try Container(args: ["/bin/sh", "-c", line])
      container.bundle.config["root"]["readonly"] = false
      try container.runDetached()
      try container.stdout.waitFor("ready")
      for minor in 0..<20 {
        let rule: JSONValue = ["allow": true, "type": "c", "major": 10, "minor": .number(minor), "access": "rw"]
        #expect(try update(container, document: ["devices": [rule]]).code == 0)
      }
      try container.end()
      #expect(try container.stderr.readToEnd().isEmpty)
      #expect(try container.stdout.readToEnd() == "ready\n")
    }

    /// The kernel drops all exceptions where the default is written, and opens in between are for ever.
    @Test func deviceThatBothListsDenyIsNeverOpened() throws {
      let lists = [
        [Self.everything, rule(false, 229)], [Self.everything, rule(false, 229), rule(false, 237)],
        [Self.nothing, rule(true, 237)],
      ]
      let container = try container(
        lists[0],
        "echo ready; while :; do true 2>&- < /dev/k && echo opened; true < /dev/zero || echo denied; done")
      try container.runDetached()
      try container.stdout.waitFor("ready")
      for round in 0..<24 { try update(container, devices: lists[round % 3 == 1 ? 0 : round / 2 % 3]) }
      #expect(try container.status() == "running")
      #expect(try !opens(container) && opens(container, "/dev/full"))
      try update(container, devices: [Self.everything])
      try container.stdout.waitFor("opened")
      try container.end()
      let text = try container.stdout.readToEnd()
      #expect(Set(text.split(separator: "\n")) == ["ready", "opened"])
    }

    @Test(.views(.hybrid, .v1)) func refusedRulesLeaveEverythingAsItWas() throws {
      let root = try #require(Cgroups.root(of: "devices"))
      let above = "\(root)/\(TestRun.tag)-above"
      mkdir(above, 0o755)
      defer { rmdir(above) }
      try Files.put("c 10:237 rw", into: above + "/devices.deny")
      let container = try container([Self.everything, rule(false, 229)], "while :; do sleep 1; done")
      container.bundle.config["linux"]["cgroupsPath"] = .string("/\(TestRun.tag)-above/one")
      try container.runDetached()
      for list in [[Self.nothing, rule(true, 237)], [rule(true, 229), rule(true, 237)]] {
        let outcome = try update(container, document: ["devices": .array(list), "cpu": ["shares": 77]])
        expectError(outcome, detail: "`c 10:237 rwm`")
        #expect(!outcome.stderr.contains("could not be put back"), "\(outcome)")
        #expect(try Files.read(container.cgroup("devices") + "/devices.list") == "a *:* rwm\n")
        #expect(try !opens(container) && opens(container, "/dev/full"))
        #expect(try container.status() == "running")
      }
      // What was put back is known: the next one starts from there.
      try update(container, devices: [Self.everything])
      #expect(try opens(container))
      // Paused it stays, and no default changes while there are cgroups below.
      #expect(try container.attempt("pause").code == 0)
      try update(container, devices: [Self.nothing])
      #expect(try container.status() == "paused")
      let inner = try container.cgroup("devices") + "/inner"
      mkdir(inner, 0o755)
      expectError(
        try update(container, document: ["devices": .array([Self.everything])]), detail: "while there are cgroups below"
      )
      rmdir(inner)
      #expect(try container.attempt("resume").code == 0)
      #expect(try !opens(container))
      try container.delete("--force")
    }

    /// As hooks of drivers do it; managers send the rules with every update.
    @Test(.views(.hybrid, .v1)) func whatAHookHasAddedStaysOpen() throws {
      let container = try container([Self.nothing], "while :; do sleep 1; done")
      try container.runDetached()
      #expect(try !opens(container))
      try Files.put("c 10:229 rw", into: container.cgroup("devices") + "/devices.allow")
      #expect(try opens(container))
      #expect(try update(container, document: ["devices": .array([Self.nothing]), "cpu": ["shares": 77]]).code == 0)
      #expect(try opens(container))
      try update(container, devices: [Self.nothing, rule(true, 237)])
      #expect(try opens(container))
    }

    /// Without a record of what was set, as after an update that was killed, the file tells only what is allowed.
    @Test(.views(.v2)) func equalRulesLeaveTheProgramAlone() throws {
      let container = try container([Self.nothing, rule(true, 229)], "while :; do sleep 1; done")
      try container.runDetached()
      let tracer = "/usr/bin/strace"
      try #require(Files.exists(tracer))
      let log = container.bundle.path + "/calls"
      let file = container.bundle.path + "/resources.json"
      for (list, isSame) in [
        ([Self.nothing, rule(true, 229)], true), ([rule(true, 229)], true), ([Self.nothing], false),
      ] {
        let document: JSONValue = ["devices": .array(list)]
        try Files.write(document.text, to: file)
        let outcome = try Subprocess(
          tracer,
          ["-f", "-e", "trace=bpf", "-o", log, Runtime.current.path] + container.root
            + ["update", "-r", file, container.id]
        ).wait()
        #expect(outcome.code == 0, "\(outcome)")
        #expect(try Files.read(log).contains("BPF_PROG_LOAD") != isSame)
      }
      #expect(try !opens(container))
    }
  }
}
