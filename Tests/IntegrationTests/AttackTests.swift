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
        "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER",
        "CAP_CHOWN",
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

    /// N is every descriptor that a runtime could have left open; from a folder of the host `..` leads to its root.
    @Test func argumentThroughADescriptorOfTheHostIsNotExecuted() throws {
      let program = String(repeating: "/..", count: 12) + TestRun.directory + "/programs/agent"
      for number in 3...20 {
        let path = "/proc/self/fd/\(number)\(program)"
        let outcome = try Container(args: [path, "exit", "42"]).run()
        #expect(outcome.code != 0 && outcome.code != 42, "\(number): \(outcome)")
        let script = try Container(args: ["/script"])
        try Files.write("#!\(path) help\n", to: script.bundle.rootfs + "/script")
        chmod(script.bundle.rootfs + "/script", 0o755)
        let second = try script.run()
        #expect(second.code != 0 && second.code != 2, "\(number): \(second)")
      }
      try expectNothingLeft()
    }

    @Test func createdContainerHoldsNoFolderOfTheHost() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let folder = "/proc/\(try container.pid())/fd"
      for name in Files.names(in: folder) {
        var status = stat()
        guard stat("\(folder)/\(name)", &status) == 0 else { continue }
        #expect(status.st_mode & S_IFMT != S_IFDIR, "descriptor \(name)")
      }
    }

    /// The stream is a node of our own with the numbers of /dev/null, so that no attack reaches the machine's.
    @Test func nullDeviceOfTheHostKeepsItsModeAndOwner() throws {
      let node = try Workspace.active().directory + "/null"
      guard mknod(node, S_IFCHR | 0o666, dev_t(1 << 8 | 3)) == 0 else {
        throw HarnessError(errno: errno, "mknod")
      }
      chmod(node, 0o666)
      let stream = open(node, O_RDWR | O_CLOEXEC)
      defer { close(stream) }
      let container = try privileged(["/bin/agent", "change", "/proc/self/fd/0"])
      let outcome = try container.spawn("run", options: .init(stdin: stream)).wait()
      #expect(outcome.stdout.contains("chmod"), "\(outcome)")
      var status = stat()
      stat(node, &status)
      #expect(status.st_mode & 0o7777 == 0o666)
      #expect(status.st_uid == 0 && status.st_gid == 0)
    }

    @Test(.apusOnly("a failure of a peer would change the machine's /dev/null"))
    func maskedFileCannotBeChanged() throws {
      let container = try privileged(["/bin/agent", "change", "/etc/secret"])
      try Files.write("secret", to: container.bundle.rootfs + "/etc/secret")
      container.bundle.config["linux"]["maskedPaths"] = ["/etc/secret"]
      let outcome = try container.run()
      #expect(outcome.stdout.split(separator: "\n").count == 3, "\(outcome)")
      #expect(outcome.stdout.components(separatedBy: "EROFS").count == 4, "\(outcome)")
      var status = stat()
      stat("/dev/null", &status)
      #expect(status.st_mode & 0o7777 == 0o666 && status.st_uid == 0)
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

    @Test(.apusOnly("the form of the state"))
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

  /// Another container of the same volume works against the runtime while it prepares this one.
  @Suite struct RaceTests {
    /// Exchanges two names in a loop while `body` runs `count` times.
    private func whileExchanging(_ left: String, _ right: String, times count: Int, _ body: () throws -> Void)
      throws
    {
      let agent = try Container().bundle.rootfs + "/bin/agent"
      let attacker = try Subprocess(agent, ["exchange", left, right])
      try attacker.stdout.waitFor("ready")
      defer {
        attacker.signal(SIGKILL)
        _ = try? attacker.wait()
      }
      for _ in 0..<count { try body() }
    }

    @Test(.apusOnly("a race that the peers lose at times"))
    func exchangedFolderNeverLeadsToTheHost() throws {
      let base = try Workspace.active().directory
      let (volume, outside) = (base + "/volume", base + "/outside")
      for path in [volume, outside, volume + "/folder"] { mkdir(path, 0o777) }
      symlink("../../../../../../../../../../\(outside)", volume + "/link")
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.addMount("/volume", type: "bind", source: volume, options: ["rbind"])
      container.bundle.addMount("/volume/folder/a/b", type: "tmpfs", source: "tmpfs")
      container.bundle.addMount(
        "/volume/folder/c/d", type: "bind", source: "/etc/hostname", options: ["bind"])
      try whileExchanging(volume + "/folder", volume + "/link", times: 60) {
        _ = try container.run()
        Processes.reap()
      }
      #expect(Files.names(in: outside) == [])
      try expectNothingLeft()
    }

    @Test(.apusOnly("a race that the peers lose at times"))
    func exchangedProcIsNeverUsed() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let rootfs = container.bundle.rootfs
      mkdir(rootfs + "/tmp/fake", 0o777)
      symlink("tmp/fake", rootfs + "/link")
      var answers: [String] = []
      try whileExchanging(rootfs + "/proc", rootfs + "/link", times: 60) {
        answers.append(try mountsWhenCreated(container))
      }
      #expect(answers.contains("right"))
      #expect(Set(answers).subtracting(["right", "refused"]).isEmpty, "\(answers)")
      #expect(Files.names(in: rootfs + "/tmp/fake") == [])
      try expectNothingLeft()
    }

    /// "right", "refused", or the mounts that are not as they have to be. Looked at from outside, since the names go on
    /// changing their places under the mounts.
    private func mountsWhenCreated(_ container: Container) throws -> String {
      defer { Processes.reap() }
      guard try container.attempt("create").code == 0 else { return "refused" }
      let text = try Files.read("/proc/\(container.pid())/mountinfo")
      let mounts = text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
      let proc = mounts.first { $0.contains("proc") && $0[3] == "/" }?[4]
      let root = mounts.first { $0[4] == "/" }?[5] ?? ""
      try container.delete("--force")
      return ["/proc", "/link"].contains(proc) && root.hasPrefix("ro") ? "right" : text
    }

    /// Whatever the moment, what is there afterwards can be deleted, and nothing remains of it.
    @Test(.apusOnly("the peers leave cgroups and processes behind"))
    func createThatIsKilledAtAnyMomentLeavesNothing() throws {
      var failures: [String] = []
      for moment in 0..<24 {
        let container = try Container(args: ["/bin/agent", "pause"])
        let call = try container.spawn("create")
        _ = waitForEnd(of: Int(call.process), timeout: Double(moment) / 2000)  // half a millisecond later each time
        call.signal(SIGKILL)
        _ = try call.wait()
        if try container.attempt("state").code == 0 {
          let status = try container.status()
          #expect(["creating", "created", "stopped"].contains(status), "\(status)")
        }
        try container.attempt("delete", "--force").expectSuccess()
        let left = try Workspace.active().differences()
        if let first = left.first {
          failures.append("after \(moment) half milliseconds: \(first) and \(left.count - 1) more")
        }
        Cgroups.removeAll()
      }
      #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
  }
}
