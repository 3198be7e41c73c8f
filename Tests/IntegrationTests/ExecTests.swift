import Foundation
import IntegrationSupport
import Testing

extension Container {
  /// A container that stays, running.
  static func running(_ change: (Container) throws -> Void = { _ in }) throws -> Container {
    let container = try Container(args: ["/bin/agent", "pause"])
    try change(container)
    try container.runDetached()
    return container
  }

  /// `exec [FLAGS] ID COMMAND…`.
  func exec(
    _ command: [String], _ flags: String..., options: Subprocess.Options = Subprocess.Options()
  ) throws -> Outcome {
    try spawn("exec", flags, rest: command, options: options).wait()
  }

  /// What the agent sees as a process of `exec`.
  func execReport(_ sections: String..., flags: [String] = []) throws -> JSONValue {
    let outcome = try spawn("exec", flags, rest: ["/bin/agent", "report"] + sections).wait()
    try #require(outcome.code == 0, "\(outcome)")
    return try outcome.json
  }

  /// `exec --process FILE` with this document.
  func exec(document: JSONValue, _ flags: String...) throws -> Outcome {
    let path = "\(bundle.path)/process.json"
    try Files.write(document.text, to: path)
    return try spawn("exec", ["--process", path] + flags).wait()
  }
}

extension Integration {
  /// Commands in a container that is there.
  @Suite struct ExecTests {
    private func running(_ change: (Container) throws -> Void = { _ in }) throws -> Container {
      try Container.running(change)
    }

    /// A process of `exec` whose runtime has gone is a child of the test, and the container cannot end before it is waited for.
    private func endDetached(_ pid: Int) throws {
      Glibc.kill(pid_t(pid), SIGKILL)
      if waitpid(pid_t(pid), nil, 0) < 0 && errno != ECHILD { throw HarnessError(errno: errno, "waitpid \(pid)") }
    }

    @Test(.peerDiffers("crun", "1.8.1", "no session of its own"))
    func commandIsAmongTheProcessesOfTheContainer() throws {
      let container = try running()
      let report = try container.execReport("process", "namespaces", "processes")
      #expect(report["pid"].int ?? 0 > 1)
      #expect(report["ppid"].int == 0, "its parent is outside")
      #expect(report["processes"].ints.contains(1))
      let pid = try container.pid()
      for (kind, file) in NamespaceTests.files {
        #expect(report["namespaces"][file].int == Files.inode("/proc/\(pid)/ns/\(file)"), "\(kind)")
      }
      #expect(report["sid"].int == report["pid"].int, "a session of its own")
    }

    @Test(arguments: [true, false])
    func commandIsInTheNamespacesOfAContainerWithUsers(hasTime: Bool) throws {
      let container = try running {
        try $0.bundle.mapUsers()
        if !Runtime.current.isPeer && hasTime { $0.bundle.addNamespace("time") }
        $0.bundle.addNamespace("cgroup")
      }
      let report = try container.execReport("process", "namespaces", "user", "processes")
      let pid = try container.pid()
      for (kind, file) in NamespaceTests.files {
        #expect(report["namespaces"][file].int == Files.inode("/proc/\(pid)/ns/\(file)"), "\(kind)")
      }
      #expect(report["uids"].ints == [0, 0, 0])
    }

    @Test(.peerDiffers("runc", "1.1.5", "joins the user namespace first and has no rights any more"))
    func commandIsInTheNetworkThatTheContainerJoined() throws {
      let other = try Subprocess("/usr/bin/unshare", ["--net", "/bin/sh", "-c", "echo ready; exec sleep 1000"])
      try other.stdout.waitFor("ready")
      let container = try running {
        try $0.bundle.mapUsers()
        $0.bundle.removeMount("/sys")
        $0.bundle.removeMount("/sys/fs/cgroup")
        $0.bundle.removeNamespace("network")
        $0.bundle.config["linux"]["namespaces"].append([
          "type": "network", "path": .string("/proc/\(other.process)/ns/net"),
        ])
      }
      let report = try container.execReport("namespaces")
      #expect(report["namespaces"]["net"].int == Files.inode("/proc/\(other.process)/ns/net"))
      #expect(report["namespaces"]["user"].int != Files.inode("/proc/self/ns/user"))
      try container.delete("--force")
      other.signal(SIGKILL)
      _ = try other.wait()
    }

    /// Its root directory is all that such a container has of its own.
    @Test(
      .peerDiffers("crun", "1.8.1", "the command has the root of the host"),
      .peerDiffers("runc", "1.1.5", "the command has the root of the host"))
    func commandHasTheRootOfAContainerWithoutAMountNamespace() throws {
      let container = try running {
        $0.bundle.removeNamespace("mount")
        $0.bundle.config["mounts"] = []
        for name in ["maskedPaths", "readonlyPaths"] { $0.bundle.config["linux"][name] = nil }
        $0.bundle.config["root"]["readonly"] = nil
      }
      #expect(try container.exec(["/bin/busybox", "cat", "/etc/hostname"]).code != 0, "that of the host")
      #expect(try container.exec(["/bin/agent", "exit", "3"]).code == 3)
    }

    @Test(.peerDiffers("crun", "1.8.1", "only the environment is that of the container"))
    func commandHasWhatTheProcessOfTheContainerHas() throws {
      let container = try running {
        $0.bundle.config["process"]["user"] = ["uid": 1000, "gid": 2000, "additionalGids": [5], "umask": 0o27]
        $0.bundle.config["process"]["cwd"] = "/usr/bin"
        $0.bundle.config["process"]["env"] = ["PATH=/bin", "WORD=a b"]
        $0.bundle.config["process"]["oomScoreAdj"] = 321
      }
      // What the file says by now is of no interest.
      container.bundle.config["process"]["cwd"] = "/tmp"
      if !Runtime.current.isPeer { try container.bundle.write() }
      let report = try container.execReport(
        "user", "capabilities", "security", "limits", "command", "descriptors", "attributes")
      #expect(report["uids"].ints == [1000, 1000, 1000])
      #expect(report["gids"].ints == [2000, 2000, 2000])
      #expect(Set(report["groups"].ints).subtracting([2000]) == [5])
      #expect(report["cwd"].string == "/usr/bin")
      #expect(report["env"].strings.contains("WORD=a b"))
      #expect(report["env"].strings.contains("HOME=/home"))
      #expect(report["noNewPrivileges"].int == 1 || report["noNewPrivileges"].bool == true)
      // runc knows that of the document only.
      if !Runtime.current.isPeer { #expect(report["umask"].int == 0o27) }
      #expect(report["oomScoreAdj"].int == 321)
      #expect(report["descriptors"].members.keys.sorted() == ["0", "1", "2"])
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "takes no -g"))
    func flagsChangeWhoTheCommandIs() throws {
      let container = try running()
      let report = try container.execReport(
        "user", "command",
        flags: [
          "--user", "1000:7", "-g", "8", "-g", "9", "--cwd", "/usr/bin", "-e", "A=first", "-e", "A=second", "-e",
          "B=",
        ])
      #expect(report["uids"].ints == [1000, 1000, 1000])
      #expect(report["gids"].ints == [7, 7, 7])
      #expect(Set(report["groups"].ints).subtracting([7]) == [8, 9])
      #expect(report["cwd"].string == "/usr/bin")
      let environment = report["env"].strings
      #expect(environment.filter { $0.hasPrefix("A=") }.last == "A=second")
      #expect(environment.contains("B=") && environment.contains("TERM=xterm"))
      #expect(environment.contains("HOME=/home"))
    }

    @Test func filterOfTheContainerHoldsForTheCommand() throws {
      let container = try running {
        $0.bundle.config["linux"]["seccomp"] = [
          "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [["names": ["swapon"], "action": "SCMP_ACT_ERRNO"]],
        ]
      }
      #expect(try container.execReport("security")["seccomp"].int == 2)
    }

    @Test(.peerDiffers("crun", "1.8.1", "sets no HOME"))
    func processDocumentIsAppliedAsItIs() throws {
      let container = try running()
      let outcome = try container.exec(document: [
        "args": ["/bin/agent", "report", "user", "capabilities", "command", "limits", "security"], "cwd": "/tmp",
        "user": ["uid": 3, "gid": 4], "env": ["X=y"], "noNewPrivileges": false,
        "capabilities": [
          "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "effective": ["CAP_KILL"],
          "ambient": ["CAP_KILL"],
        ],
        "rlimits": [["type": "RLIMIT_NOFILE", "hard": 99, "soft": 98]],
      ])
      let report = try outcome.json
      #expect(report["uids"].ints == [3, 3, 3])
      #expect(report["cwd"].string == "/tmp")
      #expect(report["env"].strings.sorted() == ["HOME=/", "X=y"])
      for set in ["bounding", "permitted", "inheritable", "effective", "ambient"] {
        #expect(report["capabilities"][set].strings == ["CAP_KILL"], "\(set)")
      }
      #expect(report["rlimits"]["RLIMIT_NOFILE"] == ["soft": 98, "hard": 99], "\(report["rlimits"].text)")
    }

    @Test(.peerDiffers("runc", "1.1.5", "newer"), .peerDiffers("crun", "1.8.1", "newer"))
    func attributesOfADocumentAreTaken() throws {
      let container = try running { $0.bundle.config["process"]["oomScoreAdj"] = 100 }
      let report = try container.exec(document: [
        "args": ["/bin/agent", "report", "attributes"], "cwd": "/", "oomScoreAdj": 200,
        "scheduler": ["policy": "SCHED_BATCH", "nice": 5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]],
        "ioPriority": ["class": "IOPRIO_CLASS_BE", "priority": 3],
      ]).json
      #expect(report["oomScoreAdj"].int == 200)
      #expect(report["scheduler"]["policy"].int == 3)
      #expect(report["scheduler"]["nice"].int == 5)
      #expect(report["scheduler"]["flags"].int == 1)
      #expect(report["ioPriority"].int == 2 << 13 | 3)
    }

    /// What no process document can say.
    @Test(.peerDiffers("runc", "1.1.5", "newer"), .peerDiffers("crun", "1.8.1", "newer"))
    func attributesOfTheContainerAreTaken() throws {
      let container = try running {
        $0.bundle.config["linux"]["personality"] = ["domain": "LINUX32"]
        $0.bundle.config["linux"]["memoryPolicy"] = ["mode": "MPOL_BIND", "nodes": "0"]
      }
      for outcome in [
        try container.exec(["/bin/agent", "report", "attributes"]),
        try container.exec(document: ["args": ["/bin/agent", "report", "attributes"], "cwd": "/"]),
      ] {
        let report = try outcome.json
        #expect(report["personality"].int == 8)
        #expect(report["memoryPolicy"]["mode"].int == 2)
        #expect(report["memoryPolicy"]["nodes"].ints == [0])
        #expect(report["keyring"].string?.hasSuffix("_ses.\(container.id)") == true, "\(report["keyring"])")
      }
    }

    @Test(.apusOnly("in our words"))
    func unknownCapabilityOfADocumentIsAWarning() throws {
      let container = try running()
      let outcome = try container.exec(document: [
        "args": ["/bin/agent", "exit", "3"], "cwd": "/", "capabilities": ["bounding": ["CAP_OF_TOMORROW", "CAP_KILL"]],
      ])
      #expect(outcome.code == 3)
      #expect(outcome.stderr.contains("CAP_OF_TOMORROW") && outcome.stderr.contains("warning"), "\(outcome)")
    }

    @Test func terminalOfADocumentHasItsSize() throws {
      let container = try running()
      let socket = try DescriptorSocket()
      let path = "\(container.bundle.path)/process.json"
      let process: JSONValue = [
        "args": ["/bin/agent", "report", "terminal"], "cwd": "/", "terminal": true, "user": ["uid": 0, "gid": 0],
        "consoleSize": ["height": 33, "width": 99],
      ]
      try Files.write(process.text, to: path)
      let file = "\(container.bundle.path)/exec.pid"
      let flags = ["--process", path, "--detach", "--console-socket", socket.path, "--pid-file", file]
      try container.spawn("exec", flags).wait().expectSuccess()
      let text = try socket.receiveTerminal().readToEnd()
      #expect(text.contains("\"rows\":33") && text.contains("\"columns\":99"), "\(text)")
      try endDetached(try #require(Int(try Files.read(file))))
    }

    @Test func exitStatusIsThatOfTheCommand() throws {
      let container = try running()
      #expect(try container.exec(["/bin/agent", "exit", "7"]).code == 7)
      #expect(try container.exec(["/bin/agent", "signal", "9"]).code == 137)
      #expect(try container.exec(["/bin/agent", "signal", "15"]).code == 143)
    }

    @Test func commandThatCannotRunIs255() throws {
      let container = try running()
      for (command, words) in [
        ("no-such-command", "executable file not found in $PATH"), ("/no/such", "no such file or directory"),
        ("/etc", "is a directory"), ("/etc/passwd", "permission denied"),
      ] {
        let outcome = try container.exec([command])
        #expect(outcome.code == 255, "\(outcome)")
        if !(Runtime.current.isPeer && command == "/etc") { expectError(outcome, says: words) }
      }
      #expect(try container.status() == "running")
    }

    @Test(.peerDiffers("crun", "1.8.1", "other words"))
    func commandOfADocumentThatCannotRunIsToldWithoutTheDocument() throws {
      let container = try running()
      for (command, words) in [
        ("no-such-command", "executable file not found in $PATH"), ("/no/such", "no such file or directory"),
        ("/etc", "permission denied"), ("/etc/passwd", "permission denied"), ("", "the command is empty"),
      ] {
        let process: JSONValue = ["args": [.string(command)], "cwd": "/", "user": ["uid": 0, "gid": 0]]
        let outcome = try container.exec(document: process)
        #expect(outcome.code == 255 && outcome.stderr.contains(words), "\(outcome)")
        #expect(!outcome.stderr.contains("process.json"), "\(outcome)")
      }
    }

    @Test func standardStreamsAreThoseOfTheCaller() throws {
      let container = try running()
      let outcome = try container.exec(
        ["/bin/sh", "-c", "cat; echo error >&2"], options: .init(input: "from outside\n"))
      #expect(outcome.stdout == "from outside\n" && outcome.stderr == "error\n", "\(outcome)")
    }

    @Test func detachedCommandGoesOnAndHasAPidFile() throws {
      let container = try running()
      let file = "\(container.bundle.path)/exec.pid"
      let outcome = try container.exec(["/bin/agent", "pause"], "--detach", "--pid-file", file)
      #expect(outcome.code == 0, "\(outcome)")
      let pid = try #require(Int(try Files.read(file)))
      #expect(Files.inode("/proc/\(pid)/ns/pid") == Files.inode("/proc/\(try container.pid())/ns/pid"))
      try endDetached(pid)
    }

    @Test func signalsAreHandedOnToTheCommand() throws {
      let container = try running()
      let child = try container.spawn("exec", rest: ["/bin/agent", "wait"])
      try child.stdout.waitFor("ready")
      child.signal(SIGTERM)
      let outcome = try child.wait()
      #expect(outcome.stdout.contains("15"), "\(outcome)")
      #expect(try container.status() == "running")
    }

    @Test func terminalOfACommandGoesToTheSocket() throws {
      let container = try running()
      let socket = try DescriptorSocket()
      let file = "\(container.bundle.path)/exec.pid"
      let outcome = try container.exec(
        ["/bin/agent", "report", "terminal", "process"], "--tty", "--detach", "--console-socket", socket.path,
        "--pid-file", file)
      #expect(outcome.code == 0, "\(outcome)")
      let report = try JSONValue(parsing: socket.receiveTerminal().readToEnd())
      #expect(report["terminal"]["stdin"]["isTerminal"].bool == true)
      #expect(report["terminal"]["controls"].bool == true)
      #expect(report["sid"].int == report["pid"].int)
      try endDetached(try #require(Int(try Files.read(file))))
    }

    @Test(.peerDiffers("runc", "1.1.5", "not there yet"), .peerDiffers("crun", "1.8.1", "not there yet"))
    func pidfdOfACommandGoesToTheSocket() throws {
      let container = try running()
      let socket = try DescriptorSocket()
      let outcome = try container.exec(["/bin/agent", "pause"], "--detach", "--pidfd-socket", socket.path)
      #expect(outcome.code == 0, "\(outcome)")
      let (descriptor, _) = try socket.receive()
      let info = try Files.read("/proc/self/fdinfo/\(descriptor)")
      let pid = info.split(separator: "\n").first { $0.hasPrefix("Pid:") }?.split(separator: "\t").last
      try endDetached(try #require(pid.flatMap { Int($0) }, "\(info)"))
      close(descriptor)
    }

    @Test func preservedDescriptorsReachTheCommand() throws {
      let container = try running()
      let file = "\(container.bundle.path)/passed"
      let descriptor = Glibc.open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      let outcome = try container.exec(
        ["/bin/sh", "-c", "echo from inside >&3"], "--preserve-fds", "1", options: .init(descriptors: [descriptor]))
      close(descriptor)
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try Files.read(file) == "from inside\n")
    }

    @Test func commandIsInTheCgroupOfTheContainer() throws {
      let container = try running()
      let file = "\(container.bundle.path)/exec.pid"
      #expect(try container.exec(["/bin/agent", "pause"], "-d", "--pid-file", file).code == 0)
      let pid = try #require(Int(try Files.read(file)))
      func lines(_ pid: Int) throws -> [Substring] { try Files.read("/proc/\(pid)/cgroup").split(separator: "\n") }
      defer { cleanUp { try endDetached(pid) } }
      #expect(try lines(pid) == lines(try container.pid()))
      let path = try container.cgroupPath
      #expect(try lines(pid).contains { $0.contains(path) })
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "takes no such path"), .peerMayDiffer("runc", "1.1.5", "not in a hybrid layout"))
    func commandMayBeInACgroupBelow() throws {
      let container = try running()
      let isV2 = Cgroups.root(of: "pids") == nil
      let pids = try container.cgroup(isV2 ? "" : "pids")
      mkdir(pids + "/below", 0o755)
      let file = "\(container.bundle.path)/exec.pid"
      let outcome = try container.exec(
        ["/bin/agent", "pause"], "-d", "--pid-file", file, "--cgroup", isV2 ? "below" : "pids:below")
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try Files.read(pids + "/below/cgroup.procs") == Files.read(file) + "\n")
      try endDetached(try #require(Int(try Files.read(file))))
      let wrong = try container.exec(["/bin/agent", "exit", "0"], "--cgroup", "../x")
      expectError(wrong, detail: "--cgroup")
      let missing = try container.exec(["/bin/agent", "exit", "0"], "--cgroup", "missing")
      expectError(missing, detail: "missing")
      rmdir(pids + "/below")
    }

    @Test func containerThatDoesNotRunTakesNoCommand() throws {
      let container = try running()
      try container.end()
      expectError(try container.exec(["/bin/agent", "exit", "0"]), detail: "stopped container")
      let absent = try container.spawn("exec", rest: ["x"]).wait()
      #expect(absent.code != 0)
      let nobody = try Container(args: ["/bin/agent"])
      expectError(try nobody.exec(["/bin/agent", "exit", "0"]), says: "does not exist")
    }

    @Test func createdContainerTakesACommand() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.create()
      #expect(try container.exec(["/bin/agent", "exit", "4"]).code == 4)
      #expect(try container.status() == "created")
    }

    @Test(.peerDiffers("crun", "1.8.1", "has no such flag, and waits"))
    func pausedContainerTakesACommandOnlyIfToldSo() throws {
      let container = try running { $0.bundle.args = ["/bin/agent", "children", "0"] }
      try container.stdout.waitFor("ready")
      var child: Subprocess?
      try Freezer(container).whileFrozen {
        expectError(try container.exec(["/bin/agent", "exit", "0"]), says: "paused container")
        child = try container.spawn("exec", ["--ignore-paused"], rest: ["/bin/agent", "exit", "5"])
        #expect(child?.isStillRunning(after: 0.2) == true)
      }
      #expect(try child?.wait().code == 5)
    }

    @Test(
      .apusOnly("the peers take no notice of what they do not know"),
      arguments: [
        (["args": [], "cwd": "/"], "/args"), (["cwd": "/"], "/args"), (["args": ["/bin/agent"]], "cwd"),
        (["args": ["/bin/agent"], "cwd": "x"], "/cwd"), (["args": ["/bin/agent"], "cwd": 5], "/cwd"),
        (["args": ["/bin/agent"], "cwd": "/", "env": ["x"]], "/env/0"),
        (["args": ["/bin/agent"], "cwd": "/", "user": ["uid": -1, "gid": 0]], "/user/uid"),
        (
          ["args": ["/bin/agent"], "cwd": "/", "rlimits": [["type": "RLIMIT_X", "hard": 1, "soft": 1]]],
          "/rlimits/0/type"
        ),
        (["args": ["/bin/agent"], "cwd": "/", "oomScoreAdj": 5000], "/oomScoreAdj"),
        (["args": ["/bin/agent"], "cwd": "/", "scheduler": ["policy": "SCHED_X"]], "/scheduler/policy"),
        (["args": ["/bin/agent"], "cwd": "/", "ioPriority": ["class": "X", "priority": 0]], "/ioPriority/class"),
        (["args": ["/bin/agent"], "cwd": "/", "execCPUAffinity": ["initial": "x"]], "/execCPUAffinity/initial"),
        (["args": ["/bin/agent"], "cwd": "/", "apparmorProfile": "x"], "/apparmorProfile"),
        (["args": ["/bin/agent"], "cwd": "/", "selinuxLabel": "x"], "/selinuxLabel"),
        (
          ["args": ["/bin/agent"], "cwd": "/", "consoleSize": ["height": 70000, "width": 1], "terminal": true],
          "/consoleSize"
        ),
      ] as [(JSONValue, String)])
    func wrongProcessDocumentNamesTheField(document: JSONValue, field: String) throws {
      let container = try running()
      let outcome = try container.exec(document: document)
      expectError(outcome, detail: field)
      #expect(outcome.code == 255 && outcome.stderr.contains("process.json"), "\(outcome)")
      #expect(!outcome.stderr.contains("/process/"), "a pointer into the document: \(outcome)")
    }

    @Test(.apusOnly("in our words"))
    func wrongCommandLineOfExecIsNamed() throws {
      let container = try running()
      for (flags, command, words) in [
        (["--env", "x"], ["/bin/agent"], "--env"), (["--cwd", "x"], ["/bin/agent"], "--cwd"),
        (["--cap", "CAP_X"], ["/bin/agent"], "--cap"), ([], [], "needs a command"),
        (["--process", "/no/such"], [], "--process"), (["--process", "/no/such"], ["/bin/agent"], "--process"),
        (["-g", "x"], ["/bin/agent"], "--additional-gids"), (["--apparmor", "x"], ["/bin/agent"], "--apparmor"),
        (["--pid-file", "/no/such/pid"], ["/bin/agent", "pause"], "/no/such/pid"),
        (["--tty", "--detach"], ["/bin/agent"], "console socket"),
      ] {
        let outcome = try container.spawn("exec", flags, rest: command).wait()
        expectError(outcome, detail: words)
        #expect(outcome.code == 255, "\(outcome)")
      }
      #expect(try container.execReport("processes")["processes"].ints.count == 2, "something is left over")
    }

    @Test(.peerDiffers("runc", "1.1.5", "newer"), .peerDiffers("crun", "1.8.1", "newer"))
    func commandRunsOnTheCPUsOfTheConfiguration() throws {
      let container = try running {
        $0.bundle.config["process"]["execCPUAffinity"] = ["initial": "0-1", "final": "1"]
      }
      let outcome = try container.exec(["/bin/sh", "-c", "grep Cpus_allowed_list /proc/self/status"])
      #expect(outcome.stdout.split(separator: "\t").last == "1\n", "\(outcome)")
      let initial = try container.exec(document: [
        "args": ["/bin/sh", "-c", "grep Cpus_allowed_list /proc/self/status"], "cwd": "/",
        "execCPUAffinity": ["initial": "1"],
      ])
      // The kernel forgets it on the way into a cpuset, before Linux 6.2.
      let isForgotten = CgroupView.current == .v2 && MachineFeature.controllers.isHere && !Kernel.isAtLeast(6, 2)
      #expect(
        initial.stdout.split(separator: "\t").last == (isForgotten ? "0-1\n" : "1\n"),
        "it is left as it was: \(initial)")
      #expect(try container.shellCPUs() == "0-1\n")
    }
  }
}

extension Container {
  fileprivate func shellCPUs() throws -> String {
    let text = try Files.read("/proc/\(pid())/status").split(separator: "\n").first {
      $0.hasPrefix("Cpus_allowed_list")
    }
    return String(text?.split(separator: "\t").last ?? "") + "\n"
  }
}
