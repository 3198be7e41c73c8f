import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What a hostile image or configuration tries; the binary and the host stay as they are.
  @Suite struct AttackTests {
    /// A copy of the runtime, and a canary that holds it: what an attack does to it hurts nobody.
    private func copyOfTheRuntime() throws -> (canary: Canary, path: String) {
      let canary = try Canary()
      try Files.copy(Runtime.current.path, to: canary.path + "/runtime")
      canary.remember()
      return (canary, canary.path + "/runtime")
    }

    @Test(.attack("CVE-2019-5736"))
    func agentCommandThatIsTheRuntimeItself() throws {
      let (canary, path) = try copyOfTheRuntime()
      func run(_ args: [String], script: String? = nil) throws -> Outcome {
        let container = try Container(privileged: args)
        container.executable = path
        if let script {
          try Files.write(script, to: container.bundle.rootfs + "/script")
          chmod(container.bundle.rootfs + "/script", 0o755)
        }
        let outcome = try container.run()
        expectUntouched(canary, "\(args): \(outcome)")
        return outcome
      }
      try expectBenign(run(["/bin/agent", "exit", "0"]))
      try expectBenign(run(["/script"], script: "#!/bin/sh\nexit 0\n"))
      for link in ["/proc/self/exe", "/proc/thread-self/exe", "/proc/1/exe"] { _ = try run([link, "--version"]) }
      _ = try run(["/script"], script: "#!/proc/self/exe\n")
      try expectNothingLeft()
    }

    /// How the container finds the waiting init: it shares the pid namespace of it, as in a pod, or the host's.
    enum Sight: CaseIterable {
      case pod, host
    }

    @Test(.attack("CVE-2019-5736", "CVE-2019-5736-admin"), arguments: Sight.allCases)
    func executableOfAWaitingInitIsNotOverwritten(sight: Sight) throws {
      try attackExecutable(sight, "overwrite") { _, attacker in
        try attacker.stdout.waitFor("done")
      }
    }

    /// It is held open while nobody can write to it, and written to once the init is the agent command.
    @Test(.attack("CVE-2019-5736", "CVE-2019-5736-admin"), arguments: Sight.allCases)
    func executableHeldOpenIsNotOverwrittenLater(sight: Sight) throws {
      try attackExecutable(sight, "hold") { victim, attacker in
        try attacker.stdout.waitFor("holding")
        try victim.start()
        try attacker.stdout.waitFor("done")
      }
    }

    private func attackExecutable(
      _ sight: Sight, _ verb: String, _ body: (_ victim: Container, _ attacker: Container) throws -> Void
    ) throws {
      let (canary, path) = try copyOfTheRuntime()
      let victim = try Container(privileged: ["/bin/agent", "wait"])
      victim.executable = path
      try victim.create()
      let pid = try victim.pid()
      let attacker = try Container(privileged: ["/bin/agent", verb, sight == .pod ? "1" : "\(pid)"])
      attacker.bundle.removeNamespace("pid")
      if sight == .pod {
        attacker.bundle.config["linux"]["namespaces"].append([
          "type": "pid", "path": .string("/proc/\(pid)/ns/pid"),
        ])
      }
      try attacker.runDetached()
      try body(victim, attacker)
      let said = try attacker.stdout.text
      expectUntouched(canary, said)
      if try victim.status() == "created" { try victim.start() }
      try victim.stdout.waitFor("ready")
      expectUntouched(canary, "the agent command runs")
      // The first process of a pid namespace can end only when all others are collected.
      try attacker.delete("--force")
      Processes.reap()
    }

    @Test(.attack("CVE-2016-9962"))
    func memoryOfAWaitingInitCannotBeOpened() throws {
      let victim = try Container(args: ["/bin/agent", "wait"])
      try victim.create()
      let attacker = try Container()
      attacker.bundle.setCapabilities(["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SETUID"])
      attacker.bundle.removeNamespace("pid")
      let answers = try attacker.agent("open", "/proc/\(victim.pid())/mem", "rw")
      #expect(["EACCES", "EPERM"].contains(answers.first?["error"].string), "\(answers)")
    }

    /// crun hands containers to other programs by annotation, and writes a file into their root for one of them.
    @Test(.attack("CVE-2025-24965", "CVE-2026-84042"))
    func handlerOfAnotherRuntimeIsNotStarted() throws {
      let canary = try Canary()
      func run(_ handler: String?) throws -> Outcome {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        if let handler { container.bundle.config["annotations"]["run.oci.handler"] = .string(handler) }
        for (index, link) in [".krun_config.json", "krun-sev.json"].enumerated() {
          let target = index == 0 ? canary.path + "/file" : canary.climbing + "/new"
          symlink(target, container.bundle.rootfs + "/" + link)
        }
        let outcome = try container.run()
        expectUntouched(canary, "\(handler ?? "none"): \(outcome)")
        return outcome
      }
      try expectBenign(run(nil))
      for handler in ["krun", "wasm", "/bin/sh"] {
        let outcome = try run(handler)
        if !Runtime.current.isPeer { #expect(outcome.code == 0 && outcome.stderr.isEmpty, "\(outcome)") }
      }
      try expectNothingLeft()
    }

    @Test func hostileIdStaysInTheStateRoot() throws {
      let container = try Container(id: "../../escaped-\(TestRun.tag)", args: ["/bin/agent", "exit", "0"])
      for verb in ["state", "start", "delete"] { #expect(try container.attempt(verb).code != 0, "\(verb)") }
      #expect(try container.attempt("create").code != 0)
      #expect(!Files.exists(TestRun.directory + "/escaped-\(TestRun.tag)"))
    }

    @Test func stateIsOutOfReachOfOtherUsersWhateverTheUmask() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.write()
      let words = ["-c", "umask 0; exec \"$@\"", "sh", Runtime.current.path] + container.root
      try Subprocess("/bin/sh", words + ["create", "-b", container.bundle.path, container.id]).wait()
        .expectSuccess()
      let root = try Workspace.active().stateRoot
      for path in [root, root + "/" + container.id] {
        var status = stat()
        lstat(path, &status)
        #expect(status.st_mode & 0o022 == 0, "\(path): \(String(status.st_mode, radix: 8))")
      }
    }

    @Test(.attack("pid-reuse"), .apusOnly("the form of the state"))
    func processThatGotThePidLaterIsNotTouched() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let pid = try container.pid()
      let started = Processes.startTime(pid)
      try container.end()
      Processes.reap()
      // Start times have the grain of a clock tick: a process of another tick is needed.
      var bystander: Subprocess
      repeat {
        bystander = try Subprocess(container.bundle.rootfs + "/bin/agent", ["wait"])
        try bystander.stdout.waitFor("ready")
      } while Processes.startTime(Int(bystander.process)) == started
      let path = try Workspace.active().stateRoot + "/\(container.id)/record"
      var record = try Data(contentsOf: URL(fileURLWithPath: path))
      let old = withUnsafeBytes(of: UInt32(pid).littleEndian) { Data($0) }
      let new = withUnsafeBytes(of: UInt32(bystander.process).littleEndian) { Data($0) }
      let place = try #require(record.range(of: old))
      record.replaceSubrange(place, with: new)
      try record.write(to: URL(fileURLWithPath: path))
      #expect(try container.status() == "stopped")
      expectError(try container.attempt("kill", rest: ["KILL"]), says: "container not running")
      try container.delete()
      #expect(Processes.entry(Int(bystander.process)) != nil)
      bystander.signal(SIGTERM)
      #expect(try bystander.wait().stdout == "ready\nsignal 15\n")
    }
  }
}

extension Container {
  /// Everything that a capability could add to the attacks, without a user namespace.
  convenience init(privileged args: [String]) throws {
    try self.init(args: args)
    bundle.setCapabilities([
      "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_CHOWN",
      "CAP_MKNOD", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_KILL",
    ])
    bundle.config["process"]["noNewPrivileges"] = false
    bundle.config["linux"]["maskedPaths"] = nil
    bundle.config["linux"]["readonlyPaths"] = nil
  }
}
