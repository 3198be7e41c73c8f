import Foundation
import Testing

extension Integration {
  /// What the agent command starts with: user, capabilities, limits, environment, descriptors.
  @Suite struct ProcessTests {
    @Test func workingDirectoryIsTaken() throws {
      let container = try Container()
      container.bundle.config["process"]["cwd"] = "/usr/bin"
      #expect(try container.report("command")["cwd"].string == "/usr/bin")
    }

    @Test func missingWorkingDirectoryIsCreated() throws {
      let container = try Container()
      container.bundle.config["root"]["readonly"] = false
      container.bundle.config["process"]["cwd"] = "/work/to/do"
      #expect(try container.report("command")["cwd"].string == "/work/to/do")
    }

    @Test func workingDirectoryThatIsAFileIsAnError() throws {
      let container = try Container()
      container.bundle.config["process"]["cwd"] = "/etc/passwd"
      expectError(try container.run(), says: "not a directory")
      try expectNothingLeft()
    }

    @Test func environmentIsTheOneOfTheConfiguration() throws {
      let container = try Container()
      container.bundle.config["process"]["env"] = [
        "PATH=/bin", "HOME=/somewhere", "EMPTY=", "EQUAL=a=b", "WORD=x y",
      ]
      let environment = try container.report("command")["env"].strings.sorted()
      #expect(environment == ["EMPTY=", "EQUAL=a=b", "HOME=/somewhere", "PATH=/bin", "WORD=x y"])
    }

    @Test func lastOfTwoVariablesOfOneNameWins() throws {
      let container = try Container()
      container.bundle.config["process"]["env"] = ["PATH=/bin", "HOME=/", "A=first", "B=x", "A=second"]
      let environment = try container.report("command")["env"].strings
      #expect(environment.filter { $0.hasPrefix("A=") } == ["A=second"])
    }

    @Test func homeComesFromThePasswordFile() throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      #expect(try container.report("command")["env"].strings.contains("HOME=/home"))
    }

    @Test func argumentsArePassedOnAsTheyAre() throws {
      let container = try Container()
      container.bundle.args = ["/bin/agent", "report", "command", "", "a b", "ü", "--flag", "quote\"'"]
      let outcome = try container.run()
      #expect(try outcome.json["args"].elements.count == 8, "\(outcome)")
      #expect(try Array(outcome.json["args"].strings.suffix(3).prefix(2)) == ["Ã¼", "--flag"])  // one byte, one letter
    }

    @Test func executableIsFoundInThePathOfTheContainer() throws {
      let container = try Container(args: ["agent", "report", "command"])
      container.bundle.config["process"]["env"] = ["PATH=/no/such:/usr/bin:/bin"]
      let report = try container.run().json
      #expect(report["args"][0].string == "agent")
      #expect(report["exe"].string == "/bin/agent")
    }

    @Test func relativeExecutableStandsInTheWorkingDirectory() throws {
      let container = try Container(args: ["./agent", "exit", "6"])
      container.bundle.config["process"]["cwd"] = "/bin"
      #expect(try container.run().code == 6)
    }

    @Test func userAndGroupsAreTaken() throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 2000, "additionalGids": [5, 3000]]
      let report = try container.report("user")
      #expect(report["uids"].ints == [1000, 1000, 1000])
      #expect(report["gids"].ints == [2000, 2000, 2000])
      #expect(Set(report["groups"].ints).subtracting([2000]) == [5, 3000])
    }

    @Test func groupsOfTheCallerAreNotInherited() throws {
      let container = try Container()
      container.bundle.args = ["/bin/agent", "report", "user"]
      try container.bundle.write()
      let words =
        ["--groups=1234,5678", Runtime.current.path] + container.root + ["run", "-b", container.bundle.path]
      let outcome = try Subprocess("/usr/bin/setpriv", words + [container.id]).wait()
      #expect(Set(try outcome.json["groups"].ints).subtracting([0]).isEmpty, "\(outcome)")
    }

    @Test func umaskIs022WhateverTheCallersIs() throws {
      let container = try Container()
      container.bundle.args = ["/bin/agent", "report", "user"]
      try container.bundle.write()
      let line = "umask 0077; exec \"$@\""
      let words =
        ["-c", line, "sh", Runtime.current.path] + container.root + ["run", "-b", container.bundle.path]
      let outcome = try Subprocess("/bin/sh", words + [container.id]).wait()
      #expect(try outcome.json["umask"].int == 0o022, "\(outcome)")
    }

    @Test func umaskOfTheConfigurationIsTaken() throws {
      let container = try Container()
      container.bundle.config["process"]["user"]["umask"] = 0o027
      #expect(try container.report("user")["umask"].int == 0o027)
    }

    @Test func fiveSetsOfCapabilities() throws {
      let container = try Container()
      container.bundle.config["process"]["capabilities"] = [
        "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID", "CAP_SYS_CHROOT"],
        "permitted": ["CAP_KILL", "CAP_CHOWN", "CAP_SETUID"],
        "effective": ["CAP_KILL", "CAP_CHOWN"],
        "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
      ]
      // Not root: else execve gives root everything in the bounding set again.
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let sets = try container.report("capabilities")["capabilities"]
      #expect(sets["bounding"].strings == ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SYS_CHROOT"])
      #expect(sets["inheritable"].strings == ["CAP_KILL"])
      #expect(sets["ambient"].strings == ["CAP_KILL"])
      #expect(sets["permitted"].strings == ["CAP_KILL"])
      #expect(sets["effective"].strings == ["CAP_KILL"])
    }

    @Test func ambientCapabilityThatIsNotInheritableIsLeftOutInSilence() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_KILL", "CAP_CHOWN"])
      container.bundle.config["process"]["capabilities"]["inheritable"] = ["CAP_KILL"]
      container.bundle.config["process"]["capabilities"]["ambient"] = ["CAP_KILL", "CAP_CHOWN"]
      container.bundle.config["process"]["args"] = ["/bin/agent", "report", "capabilities"]
      let outcome = try container.run()
      #expect(outcome.code == 0 && outcome.stderr.isEmpty, "\(outcome)")
      #expect(try outcome.json["capabilities"]["ambient"].strings == ["CAP_KILL"])
    }

    @Test func rootKeepsNoMoreThanTheBoundingSet() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_KILL", "CAP_NET_RAW"])
      let sets = try container.report("capabilities")["capabilities"]
      for name in ["bounding", "permitted", "effective"] {
        #expect(sets[name].strings == ["CAP_KILL", "CAP_NET_RAW"], "\(name)")
      }
      #expect(sets["inheritable"].strings == [])
      #expect(sets["ambient"].strings == [])
    }

    @Test func absentCapabilitiesAreNone() throws {
      let container = try Container()
      container.bundle.config["process"]["capabilities"] = nil
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let sets = try container.report("capabilities")["capabilities"]
      for name in ["permitted", "effective", "inheritable", "ambient"] {
        #expect(sets[name].strings == [], "\(name)")
      }
    }

    @Test func emptyCapabilitiesAreNone() throws {
      let container = try Container()
      container.bundle.setCapabilities([])
      let sets = try container.report("capabilities")["capabilities"]
      for (name, set) in sets.members { #expect(set.strings == [], "\(name)") }
    }

    @Test(.peerDiffers("crun", "1.8.1", "passes over it without the warning of the specification"))
    func unknownCapabilityIsLeftOutWithAWarning() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_KILL", "CAP_OF_TOMORROW"])
      container.bundle.args = ["/bin/agent", "report", "capabilities"]
      let outcome = try container.run()
      #expect(outcome.code == 0)
      #expect(try outcome.json["capabilities"]["bounding"].strings == ["CAP_KILL"], "\(outcome)")
      #expect(outcome.stderr.contains("CAP_OF_TOMORROW"), "\(outcome)")
    }

    @Test(arguments: [true, false, nil])
    func noNewPrivilegesIsWhatTheConfigurationSays(value: Bool?) throws {
      let container = try Container()
      container.bundle.config["process"]["noNewPrivileges"] = value.map { .bool($0) } ?? .null
      #expect(try container.report("security")["noNewPrivileges"].bool == (value ?? false))
    }

    @Test func limitsAreTaken() throws {
      let container = try Container()
      let wanted = [
        ("RLIMIT_NOFILE", 100, 200), ("RLIMIT_CORE", 0, 1000), ("RLIMIT_CPU", 300, 400),
        ("RLIMIT_FSIZE", 1 << 30, 1 << 31),
        ("RLIMIT_STACK", 1 << 20, 1 << 22), ("RLIMIT_NPROC", 500, 600), ("RLIMIT_AS", 1 << 33, 1 << 34),
        ("RLIMIT_MSGQUEUE", 4096, 8192), ("RLIMIT_SIGPENDING", 50, 60), ("RLIMIT_NICE", 0, 0),
        ("RLIMIT_RTPRIO", 0, 0),
        ("RLIMIT_DATA", 1 << 32, 1 << 32), ("RLIMIT_LOCKS", 10, 20), ("RLIMIT_RSS", 1 << 30, 1 << 30),
        ("RLIMIT_RTTIME", 1000, 2000), ("RLIMIT_MEMLOCK", 4096, 8192),
      ]
      container.bundle.config["process"]["rlimits"] = .array(
        wanted.map { ["type": .string($0.0), "soft": .number($0.1), "hard": .number($0.2)] })
      let limits = try container.report("limits")["rlimits"]
      for (name, soft, hard) in wanted {
        #expect([limits[name]["soft"].int, limits[name]["hard"].int] == [soft, hard], "\(name)")
      }
    }

    /// Set before, they would keep the waiting process from accepting `start`.
    @Test(
      .peerDiffers("runc", "1.1.5", "cannot open what it still needs"),
      .peerDiffers("crun", "1.8.1", "cannot open what it still needs"), arguments: [0, 3])
    func limitOfDescriptorsBindsTheCommandOnly(value: Int) throws {
      let container = try Container(args: ["/bin/agent", "report", "limits"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log hook")
      container.bundle.config["process"]["rlimits"] = [
        ["type": "RLIMIT_NOFILE", "soft": .number(value), "hard": .number(value)]
      ]
      try container.create()
      for _ in 0..<20 { #expect(try container.status() == "created") }
      try container.start()
      let limit = try JSONValue(parsing: container.stdout.readToEnd())["rlimits"]["RLIMIT_NOFILE"]
      #expect([limit["soft"].int, limit["hard"].int] == [value, value])
      try hooks.expect(["hook"])
    }

    /// With none of them the command gets far; that is nothing to `create` and `start`.
    @Test(arguments: ["RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_STACK"])
    func limitOfMemoryLetsTheContainerStart(type: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["process"]["rlimits"] = [["type": .string(type), "soft": 0, "hard": 0]]
      try container.create()
      #expect(try container.status() == "created")
      _ = try container.attempt("start")
      try container.delete("--force")
      try expectNothingLeft()
    }

    /// Its name is the command's own to choose; that of the init stage must not make it one that never ran.
    @Test func commandMayHaveTheNameOfTheInitStage() throws {
      let name = "apus:[init]"
      let container = try Container(args: ["/bin/\(name)", "pause"])
      let folder = container.bundle.rootfs + "/bin"
      guard link("\(folder)/agent", "\(folder)/\(name)") == 0 else { throw HarnessError(errno: errno, "link") }
      try container.create()
      try container.start()
      #expect(try container.status() == "running")
      #expect(try Files.read("/proc/\(try container.pid())/comm") == "\(name)\n")
      let pidFile = "\(container.bundle.path)/exec.pid"
      let outcome = try container.exec(["/bin/\(name)", "pause"], "--detach", "--pid-file", pidFile)
      #expect(outcome.code == 0, "\(outcome)")
      let pid = try #require(pid_t(Files.read(pidFile)))
      #expect(Foundation.kill(pid, SIGKILL) == 0)
      waitpid(pid, nil, 0)
    }

    @Test func limitThatMayNotBeRaisedIsAnError() throws {
      let container = try Container()
      container.bundle.config["process"]["rlimits"].append(["type": "RLIMIT_CORE", "soft": 0, "hard": 0])
      container.bundle.config["process"]["rlimits"][0] = [
        "type": "RLIMIT_NOFILE", "soft": 10, "hard": .number(1 << 40),
      ]
      expectError(
        try container.attempt("create"), says: "not permitted", detail: "`RLIMIT_NOFILE`")
      expectError(try container.attempt("create"), detail: "(at `/process/rlimits/0`)")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the specification's MUST that no runtime checks"))
    func duplicateLimitIsRefused() throws {
      let container = try Container()
      container.bundle.config["process"]["rlimits"].append(["type": "RLIMIT_NOFILE", "soft": 1, "hard": 1])
      expectError(try container.run(), says: "RLIMIT_NOFILE")
      try expectNothingLeft()
    }

    @Test func unknownLimitIsRefused() throws {
      let container = try Container()
      container.bundle.config["process"]["rlimits"].append([
        "type": "RLIMIT_OF_TOMORROW", "soft": 1, "hard": 1,
      ])
      expectError(try container.run(), says: "RLIMIT_OF_TOMORROW")
      try expectNothingLeft()
    }

    @Test func onlyStandardDescriptorsArePassedOn() throws {
      let secret = open("/etc/passwd", O_RDONLY)
      let folder = open("/", O_RDONLY | O_DIRECTORY)
      defer { for file in [secret, folder] { close(file) } }
      let container = try Container()
      container.bundle.args = ["/bin/agent", "report", "descriptors"]
      let outcome = try container.spawn("run", options: .init(descriptors: [secret, folder])).wait()
      #expect(try outcome.json["descriptors"].members.keys.sorted() == ["0", "1", "2"], "\(outcome)")
    }

    @Test func signalsAreNeitherBlockedNorIgnored() throws {
      let report = try Container().report("signals")
      #expect(report["blockedSignals"].ints == [])
      #expect(report["ignoredSignals"].ints == [])
    }

    @Test func processHasNoParentDeathSignalLeft() throws {
      #expect(try Container().report("security")["parentDeathSignal"].int == 0)
    }

    @Test func processCanReachItsOwnStandardStreams() throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let outcome = try container.shell("echo one > /dev/stdout; echo two > /proc/self/fd/2")
      #expect(outcome.stdout == "one\n", "\(outcome)")
      #expect(outcome.stderr == "two\n", "\(outcome)")
    }

    @Test func standardStreamsBelongToTheUserOfTheContainer() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/proc/self/fd/1/."])
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      #expect(try container.shell("ls -lnL /proc/self/fd/1").stdout.contains(" 1000 "))
    }

    @Test func shellShowsOnlyTheContainersOwn() throws {
      let outcome = try Container().shell(
        "id -u; hostname; ps -o pid,comm | tail -n +2; ip -o link | cut -d: -f2")
      let lines = outcome.stdout.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(lines.prefix(2) == ["0", "testhost"])
      #expect(lines.contains { $0.hasPrefix("1 sh") }, "\(outcome)")
      #expect(lines.last == "lo")
    }
  }

  @Suite struct SeccompTests {
    private func profile(_ action: String, _ names: [String], errno: Int? = nil) -> JSONValue {
      var rule: JSONValue = ["names": JSONValue(names), "action": .string(action)]
      if let errno { rule["errnoRet"] = .number(errno) }
      return [
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [rule],
      ]
    }

    @Test func withoutAProfileNothingIsFiltered() throws {
      #expect(try Container().report("security")["seccomp"].int == 0)
    }

    @Test(arguments: [true, false])
    func filterIsLoaded(noNewPrivileges: Bool) throws {
      let container = try Container()
      container.bundle.config["process"]["noNewPrivileges"] = .bool(noNewPrivileges)
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_ERRNO", ["swapon"])
      let report = try container.report("security")
      #expect(report["seccomp"].int == 2)
      #expect(report["noNewPrivileges"].bool == noNewPrivileges)
    }

    @Test func deniedCallFailsWithEPERM() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_ERRNO", ["getppid"])
      #expect(try container.agent("syscall", "getppid").first?["error"].string == "EPERM")
    }

    @Test func deniedCallFailsWithTheErrnoOfTheRule() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_ERRNO", ["getppid"], errno: 38)
      #expect(try container.agent("syscall", "getppid").first?["error"].string == "ENOSYS")
    }

    @Test func otherCallsAreAllowed() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_ERRNO", ["chmod"])
      #expect(try container.agent("syscall", "getppid").first?["error"].string == "")
    }

    @Test(.apusOnly("the peers' `start` succeeds whatever becomes of the command"))
    func profileThatForbidsExecveIsReportedByStart() throws {
      for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_ERRNO"] {
        let container = try Container(args: ["/bin/agent", "pause"])
        container.bundle.config["linux"]["seccomp"] = profile(action, ["execve", "write"])
        try container.create()
        let outcome = try container.attempt("start")
        #expect(outcome.code != 0, "\(action): \(outcome)")
        try container.delete("--force")
      }
    }

    @Test func killActionEndsTheProcess() throws {
      let container = try Container(args: ["/bin/agent", "syscall", "getppid"])
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_KILL_PROCESS", ["getppid"])
      #expect(try container.run().code == 128 + SIGSYS)
    }

    @Test func listOfAllowedCalls() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = [
        "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
          ["names": JSONValue(SeccompTests.ordinaryCalls), "action": "SCMP_ACT_ALLOW"]
        ],
      ]
      #expect(try container.agent("syscall", "getppid").first?["error"].string == "EPERM")
    }

    @Test func argumentOfTheCallIsCompared() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_ERRNO", ["personality"])
      container.bundle.config["linux"]["seccomp"]["syscalls"][0]["args"] = [
        ["index": 0, "value": 8, "op": "SCMP_CMP_EQ"]
      ]
      #expect(try container.agent("syscall", "personality").first?["error"].string == "EPERM")
      let other = try Container()
      other.bundle.config["linux"]["seccomp"] = container.bundle.config["linux"]["seccomp"]
      other.bundle.config["linux"]["seccomp"]["syscalls"][0]["args"][0]["value"] = 9
      #expect(try other.agent("syscall", "personality").first?["error"].string == "")
    }

    @Test func unknownActionIsRefused() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_OF_TOMORROW", ["getppid"])
      expectError(try container.run())
      try expectNothingLeft()
    }

    @Test func nameOfNoSystemCallIsPassedOver() throws {
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = profile("SCMP_ACT_ERRNO", ["no_such_call", "getppid"])
      #expect(try container.agent("syscall", "getppid").first?["error"].string == "EPERM")
    }

    /// What a static program needs to start, write and end, and a runtime after it has loaded the filter.
    static let ordinaryCalls = [
      "arch_prctl", "brk", "capget", "capset", "chdir", "close", "close_range", "execve", "exit",
      "exit_group", "fcntl",
      "fstat", "fstatfs", "futex", "getdents64", "getcwd", "getpid", "getrandom", "gettid", "getuid", "lseek",
      "mmap", "mprotect",
      "munmap", "newfstatat", "openat", "poll", "epoll_pwait", "epoll_ctl", "prctl", "prlimit64", "read",
      "readlink",
      "readlinkat", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity",
      "sched_yield",
      "set_robust_list", "set_tid_address", "setgid", "setgroups", "setuid", "sigaltstack", "stat", "tgkill",
      "uname",
      "nanosleep", "write", "faccessat", "faccessat2", "recvmsg", "sendmsg", "statx", "ioctl", "setresuid",
      "setresgid",
    ]
  }
}
