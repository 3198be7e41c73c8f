import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What a hostile image or configuration tries; the binary and the host stay as they are.
  @Suite struct AttackTests {
    private func hash(_ path: String) throws -> String {
      let outcome = try Subprocess("/usr/bin/sha256sum", [path]).wait()
      guard outcome.code == 0 else { throw HarnessError("\(outcome)") }
      return String(outcome.stdout.prefix(64))
    }

    /// Everything that a capability could add to the attacks, without a user namespace.
    private func privileged(_ args: [String]) throws -> Container {
      let container = try Container(args: args)
      container.bundle.setCapabilities([
        "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_CHOWN",
        "CAP_MKNOD", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_KILL",
      ])
      container.bundle.config["process"]["noNewPrivileges"] = false
      container.bundle.config["linux"]["maskedPaths"] = nil
      container.bundle.config["linux"]["readonlyPaths"] = nil
      return container
    }

    @Test func agentCommandThatIsTheRuntimeItself() throws {
      let before = try hash(Runtime.current.path)
      for link in ["/proc/self/exe", "/proc/thread-self/exe", "/proc/1/exe"] {
        let container = try privileged([link, "--version"])
        _ = try container.run()
      }
      let script = try privileged(["/script"])
      script.bundle.config["root"]["readonly"] = false
      try Files.write("#!/proc/self/exe\n", to: script.bundle.rootfs + "/script")
      chmod(script.bundle.rootfs + "/script", 0o755)
      _ = try script.run()
      #expect(try hash(Runtime.current.path) == before)
      try expectNothingLeft()
    }

    /// The container shares the pid namespace of the victim, as in a pod, so that it finds the waiting init.
    @Test func executableOfAWaitingInitIsNotOverwritten() throws {
      let before = try hash(Runtime.current.path)
      let victim = try privileged(["/bin/agent", "wait"])
      try victim.create()
      let pid = try victim.pid()
      let attacker = try privileged(["/bin/agent", "overwrite", "1"])
      attacker.bundle.removeNamespace("pid")
      attacker.bundle.config["linux"]["namespaces"].append([
        "type": "pid", "path": .string("/proc/\(pid)/ns/pid"),
      ])
      let outcome = try attacker.run()
      #expect(outcome.stdout.contains("done\n"), "\(outcome)")
      #expect(try hash(Runtime.current.path) == before)
      try victim.start()
      try victim.stdout.waitFor("ready")
      #expect(try hash(Runtime.current.path) == before)
    }

    /// Without a pid namespace every process of the host is there, the waiting init among them.
    @Test func executableOfAWaitingInitIsNotOverwrittenFromTheHostsPidNamespace() throws {
      let before = try hash(Runtime.current.path)
      let victim = try privileged(["/bin/agent", "wait"])
      try victim.create()
      let pid = try victim.pid()
      let attacker = try privileged(["/bin/agent", "overwrite", "\(pid)"])
      attacker.bundle.removeNamespace("pid")
      let outcome = try attacker.run()
      #expect(outcome.stdout.contains("done\n"), "\(outcome)")
      #expect(try hash(Runtime.current.path) == before)
      try victim.start()
      try victim.stdout.waitFor("ready")
    }

    @Test func memoryOfAWaitingInitCannotBeOpened() throws {
      let victim = try Container(args: ["/bin/agent", "wait"])
      try victim.create()
      let attacker = try Container()
      attacker.bundle.setCapabilities(["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_SETUID"])
      attacker.bundle.removeNamespace("pid")
      let answers = try attacker.agent("open", "/proc/\(victim.pid())/mem", "rw")
      #expect(["EACCES", "EPERM"].contains(answers.first?["error"].string), "\(answers)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "CVE-2024-21626: starts in the folder of the host"))
    func workingDirectoryThroughALeakedDescriptorIsRefused() throws {
      let folder = open("/", O_RDONLY | O_DIRECTORY)
      defer { close(folder) }
      for number in 3...12 {
        let container = try Container(args: ["/bin/ls", "."])
        container.bundle.config["process"]["cwd"] = .string("/proc/self/fd/\(number)")
        let outcome = try container.spawn(
          "run", options: .init(descriptors: Array(repeating: folder, count: 4))
        ).wait()
        let isOutside = outcome.stdout.contains("lib64")
        #expect(!isOutside && outcome.code != 0, "descriptor \(number)")
      }
      try expectNothingLeft()
    }

    @Test func nullDeviceThatIsALinkIsNotFollowed() throws {
      let secret = try Workspace.active().directory + "/secret"
      try Files.write("secret", to: secret)
      chmod(secret, 0o600)
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.removeMount("/dev")
      for name in ["/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      symlink("../../../../../../../\(secret)", container.bundle.rootfs + "/dev/null")
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      _ = try container.run()
      var status = stat()
      stat(secret, &status)
      #expect(status.st_uid == 0)
      #expect(try Files.read(secret) == "secret")
    }

    @Test func maskThatIsALinkDoesNotReachTheHost() throws {
      let outside = try Workspace.active().directory + "/outside"
      mkdir(outside, 0o755)
      try Files.write("kept", to: outside + "/file")
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      symlink("../../../../../../../\(outside)", container.bundle.rootfs + "/link")
      container.bundle.config["linux"]["maskedPaths"] = ["/link", "/link/file"]
      container.bundle.config["linux"]["readonlyPaths"] = ["/link"]
      _ = try container.run()
      #expect(try Files.read(outside + "/file") == "kept")
      try Files.write("still writable", to: outside + "/other")
    }

    @Test func hostileIdStaysInTheStateRoot() throws {
      let container = try Container(id: "../../escaped-\(TestRun.tag)", args: ["/bin/agent", "exit", "0"])
      for verb in ["state", "start", "delete"] { #expect(try container.attempt(verb).code != 0, "\(verb)") }
      #expect(try container.attempt("create").code != 0)
      #expect(!Files.exists(TestRun.directory + "/escaped-\(TestRun.tag)"))
    }
  }

  @Suite struct LoadTests {
    private func light(_ count: Int) throws -> [Container] {
      let first = try Container(args: ["/bin/agent", "pause"])
      return try [first]
        + (1..<count).map { _ in
          let container = try Container(args: ["/bin/agent", "pause"])
          container.bundle.config["root"]["path"] = .string(first.bundle.rootfs)
          return container
        }
    }

    @Test func hundredContainersAtOnce() throws {
      let containers = try light(100)
      let files = containers.map { $0.bundle.path + "/pid" }
      func all(_ verb: String, _ flags: (Int) -> [String] = { _ in [] }) throws {
        let calls = try containers.indices.map { try containers[$0].spawn(verb, flags($0)) }
        for call in calls { try call.wait(timeout: 120).expectSuccess() }
      }
      try all("create") { ["--pid-file", files[$0]] }
      let pids = try files.map { try Int(Files.read($0)) ?? 0 }
      #expect(Set(pids).count == 100)
      try all("start")
      #expect(try runtime("list", "--format", "json").json.elements.count == 100)
      try all("delete") { _ in ["--force"] }
      for pid in pids { #expect(waitForEnd(of: pid)) }
      try expectNothingLeft()
    }

    @Test func manyContainersOneAfterAnother() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      for _ in 0..<(TestRun.isFull ? 1000 : 200) {
        let file = container.bundle.path + "/pid"
        try container.create("--pid-file", file)
        let pid = try Int(Files.read(file)) ?? 0
        try container.start()
        #expect(waitForEnd(of: pid))
        try container.delete()
        Processes.reap()
      }
      try expectNothingLeft()
    }

    @Test func oneIdForManyCallersIsGivenOnce() throws {
      let containers = try (0..<8).map { _ in try Container(id: "one-\(TestRun.tag)", args: ["/bin/agent", "pause"]) }
      let calls = try containers.map { try $0.spawn("create") }
      let outcomes = try calls.map { try $0.wait() }
      #expect(outcomes.filter { $0.code == 0 }.count == 1, "\(outcomes)")
      try containers[0].delete("--force")
      try expectNothingLeft()
    }
  }
}
