import Foundation
import Testing

extension Integration {
  /// What a hostile container tries on the commands that come into it, and what a command must not bring along.
  @Suite struct ExecAttackTests {
    // MARK: Looking into the init stage

    /// How the spy of the container sees the commands.
    enum Sight: CaseIterable {
      /// As root with the right to trace everything of the host's users.
      case tracer
      /// As root without that right, and without CAP_SYS_ADMIN, which lets see the map of a memory (perf_event_open(2)).
      case root
      /// As root of a user namespace with every right there, of the same users as outside, so that no change of the user
      /// is in its way.
      case users
    }

    private static let rights = [
      "CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN",
    ]

    /// What the spy could open of the strangers that it stopped on their way in.
    private func whatIsOpened(_ sight: Sight) throws -> [String] {
      let container = try Container.running {
        $0.bundle.setCapabilities(ExecAttackTests.rights + (sight == .root ? [] : ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"]))
        if sight == .users { try $0.bundle.mapUsers(host: 0) }
      }
      try expectBenign(container.exec(["/bin/agent", "exit", "0"]))
      let spy = try container.spawn("exec", rest: ["/bin/agent", "spy"])
      try spy.stdout.waitFor("ready")
      // A race: sometimes the command runs before it is seen.
      for round in 0..<Race.rounds {
        let outcome = try container.exec(["/bin/agent", "exit", "3"])
        #expect(outcome.code == 3, "\(outcome)")
        if round % 3 == 0 {
          try container.exec(document: ["args": ["/bin/agent", "exit", "0"], "cwd": "/tmp"]).expectSuccess()
        }
      }
      spy.signal(SIGTERM)
      let outcome = try spy.wait()
      let lines = outcome.stdout.split(separator: "\n").map(String.init)
      let caught = lines.last?.split(separator: " ").last.flatMap { Int($0) } ?? 0
      #expect(caught > 0, "no race: \(outcome)")
      print("attack: \(caught) caught, \(sight)")
      return lines.filter { $0.hasPrefix("opened ") }.map { String($0.dropFirst("opened ".count)) }
    }

    /// With every right over it there is nothing of the host to be found: no folder, no file, no handle of a process.
    @Test(.attack("CVE-2016-9962", "CVE-2024-21626"))
    func initOfACommandHoldsNothingOfTheHost() throws {
      let opened = try whatIsOpened(.tracer)
      #expect(opened.contains("root inside"), "the spy finds nothing at all: \(opened)")
      let allowed = [
        "root inside", "cwd inside", "mem", "environ", "maps", "trace", "fd pipe", "fd socket", "fd inside",
      ]
      let foreign = opened.filter { place in
        // Standard input of the harness is a file of memory.
        !allowed.contains(place) && !place.hasPrefix("fd /memfd:")
      }
      if Runtime.current.isPeer {
        let paths = foreign.filter { $0.contains("/") && !$0.contains("/dev/") && !$0.contains("/proc/") }
        #expect(paths.isEmpty, "\(paths)")
      } else {
        #expect(foreign.isEmpty, "\(foreign)")
      }
    }

    @Test(.attack("CVE-2016-9962"), arguments: [Sight.root, .users])
    func initOfACommandCannotBeLookedInto(sight: Sight) throws {
      let opened = try whatIsOpened(sight)
      #expect(opened.isEmpty, "\(opened)")
    }

    // MARK: Working directories

    @Test(
      .attack("CVE-2024-21626"), .peerDiffers("crun", "1.8.1", "CVE-2024-21626: starts in the folder of the host"))
    func commandDoesNotStartInAFolderOfTheHost() throws {
      let canary = try Canary()
      let folder = open(canary.path + "/folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      defer { close(folder) }
      let container = try Container.running {
        symlink("/proc/self/fd/3", $0.bundle.rootfs + "/work")
        symlink("/proc/self/fd/8", $0.bundle.rootfs + "/work8")
      }
      func list(_ directory: String, passing: [Int32], document: Bool) throws -> Outcome {
        let options = Subprocess.Options(descriptors: passing)
        let flags = passing.isEmpty ? [] : ["--preserve-fds", "\(passing.count)"]
        if !document {
          return try container.spawn(
            "exec", flags + ["--cwd", directory], rest: ["/bin/busybox", "ls"], options: options
          )
          .wait()
        }
        let path = "\(container.bundle.path)/process.json"
        let process: JSONValue = [
          "args": ["/bin/busybox", "ls"], "cwd": .string(directory), "env": ["PATH=/bin"],
          "user": ["uid": 0, "gid": 0],
        ]
        try Files.write(process.text, to: path)
        return try container.spawn("exec", flags + ["--process", path], options: options).wait()
      }
      for document in [false, true] {
        try expectBenign(list("/bin", passing: [], document: document))
        try expectBenign(list("/", passing: [folder, folder], document: document))
        // What the runtime itself has open.
        for directory in (3..<24).flatMap({ ["/proc/self/fd/\($0)", "/proc/self/fd/\($0)/.."] }) + ["/work", "/work8"] {
          let outcome = try list(directory, passing: [], document: document)
          #expect(outcome.code != 0 && outcome.stdout.isEmpty, "\(directory): \(outcome)")
        }
        // What the caller passes on.
        for directory in ["/proc/self/fd/3", "/proc/self/fd/4/below", "/proc/self/fd/3/..", "/work"] {
          let outcome = try list(directory, passing: [folder, folder], document: document)
          #expect(outcome.code != 0 && outcome.stdout.isEmpty, "\(directory): \(outcome)")
        }
      }
      expectUntouched(canary)
    }

    /// `args[0]`, or the first line of a script, that climbs to the host from a descriptor.
    @Test(.attack("CVE-2024-21626-args"))
    func commandOfTheHostIsNotExecuted() throws {
      let canary = try Canary()
      let container = try Container.running { container in
        try Files.copy(container.bundle.rootfs + "/bin/agent", to: canary.path + "/program")
        chmod(canary.path + "/program", 0o755)
        for number in 3..<12 {
          let path = "\(container.bundle.rootfs)/script\(number)"
          try Files.write("#!/proc/self/fd/\(number)/\(canary.climbing)/program exit 7\n", to: path)
          chmod(path, 0o755)
        }
      }
      canary.remember()
      try expectBenign(container.exec(["/bin/agent", "exit", "0"]))
      for number in 3..<12 {
        for command in ["/proc/self/fd/\(number)/\(canary.climbing)/program", "/script\(number)"] {
          let outcome = try container.exec([command, "exit", "7"])
          #expect(outcome.code == 255 || Runtime.current.isPeer && outcome.code != 7, "\(command): \(outcome)")
        }
      }
      expectUntouched(canary)
    }

    // MARK: The runtime's own file

    /// What root in the container can execute as /proc/PID/exe of a process of `exec` is not the runtime's file.
    @Test(.attack("CVE-2019-5736"))
    func executableOfACommandIsSealed() throws {
      let canary = try Canary()
      try Files.copy(Runtime.current.path, to: canary.path + "/runtime")
      canary.remember()
      let container = try Container(privileged: ["/bin/agent", "pause"])
      container.executable = canary.path + "/runtime"
      try container.runDetached()
      try expectBenign(container.exec(["/bin/agent", "exit", "0"]))
      // It may be executed, as itself in the container; what counts is that nobody can write to it.
      let child = try container.spawn("exec", rest: ["/proc/self/exe", "--version"])
      for _ in 0..<20 { _ = try container.exec(["/bin/sh", "-c", "for p in /proc/[0-9]*; do echo x > $p/exe; done"]) }
      _ = try child.wait()
      expectUntouched(canary)
    }

    // MARK: Rights

    /// A file with inheritable capabilities would give them to every user.
    @Test(.attack("CVE-2022-29162"), .peerDiffers("crun", "1.8.1", "takes them instead of those of the container"))
    func addedCapabilityIsNotInheritable() throws {
      let container = try Container.running()
      let own = try container.execReport("capabilities")["capabilities"]
      #expect(own["effective"].strings.contains("CAP_KILL") && !own["effective"].strings.contains("CAP_NET_RAW"))
      for flags in [["--cap", "CAP_NET_RAW"], ["--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_TIME", "--user", "0:0"]] {
        let sets = try container.execReport("capabilities", flags: flags)["capabilities"]
        #expect(sets["inheritable"].strings.isEmpty)
        #expect(sets["ambient"].strings.isEmpty)
        for set in ["bounding", "effective", "permitted"] {
          #expect(sets[set].strings.contains("CAP_NET_RAW") && sets[set].strings.contains("CAP_KILL"), "\(set)")
        }
      }
    }

    /// Read as another number, a user would become one who may more.
    @Test(
      .attack("CVE-2026-30892"),
      arguments: [
        "1x", "1:", ":1", "4294967296", "4294967295", "-1", "0x5", " 1", "root", "1:2:3", "+1", "1 ", "1,2",
      ])
    func userThatIsNoNumberIsRefused(user: String) throws {
      let container = try Container.running()
      #expect(try container.execReport("user", flags: ["--user=1:2"])["uids"].ints == [1, 1, 1], "without the malice")
      let taken = ["4294967296", "+1"].contains(user) ? ["runc": "takes it for another number"] : [:]
      let reasons = taken.merging(["crun": "CVE-2026-30892: reads what it can"]) { $1 }
      try allowing(reasons, in: "exec --user=\(user)", isIntermittent: true) {
        let outcome = try container.exec(["/bin/agent", "report", "user"], "--user=\(user)")
        expectError(outcome, detail: "--user")
        #expect(outcome.code == 255 || Runtime.current.isPeer, "\(outcome)")
        #expect(outcome.stdout.isEmpty, "\(outcome)")
      }
    }

    /// To setresuid(2) this number means "leave it", and the command would be root.
    @Test(
      .attack("CVE-2026-30892"), .peerMayDiffer("crun", "1.8.1", "it stays root for `uid` and `gid`"),
      arguments: ["uid", "gid", "additionalGids"])
    func numberThatIsNoUserIsRefused(property: String) throws {
      let container = try Container.running()
      var document: JSONValue = [
        "args": ["/bin/agent", "report", "user"], "cwd": "/", "user": ["uid": 5, "gid": 6, "additionalGids": [7]],
      ]
      try expectBenign(container.exec(document: document))
      document["user"][property] = property == "additionalGids" ? [4_294_967_295] : 4_294_967_295
      let outcome = try container.exec(document: document)
      expectError(outcome, detail: "(at `/user/\(property)")
      #expect(outcome.stdout.isEmpty, "\(outcome)")
    }
  }
}
