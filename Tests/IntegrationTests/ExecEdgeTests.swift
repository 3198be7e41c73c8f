import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `exec` where the container or the caller makes it difficult.
  @Suite struct ExecEdgeTests {
    private func running(_ change: (Container) throws -> Void = { _ in }) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      try change(container)
      try container.runDetached()
      return container
    }

    /// As systemd as process 1 does it: no process may be in the cgroup of the container itself any more.
    @Test(
      .views(.v2, .hybrid), .peerMayDiffer("runc", "1.1.5", "not in a hybrid layout"),
      .peerMayDiffer("crun", "1.8.1", "not in a hybrid layout"))
    func commandComesIntoAContainerThatDividesItsCgroup() throws {
      let folder = CgroupView.current == .v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified"
      let container = try Container(args: [
        "/bin/sh", "-c",
        """
        cd \(folder); mkdir -p inner/most && echo 1 > inner/most/cgroup.procs && echo +hugetlb > cgroup.subtree_control \
        && echo +hugetlb > inner/cgroup.subtree_control; echo result $?; exec /bin/agent pause
        """,
      ])
      container.bundle.addNamespace("cgroup")
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.addMount("/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw"])
      container.bundle.config["linux"]["resources"]["hugepageLimits"] = [["pageSize": "2MB", "limit": 0]]
      try container.runDetached()
      try container.stdout.waitFor("result 0")
      let outcome = try container.exec(["/bin/sh", "-c", "grep ^0: /proc/self/cgroup; cat /proc/1/cgroup | grep ^0:"])
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.stdout == "0::/inner/most\n0::/inner/most\n", "\(outcome)")
      if Runtime.current.isPeer { return }
      // A cgroup that was asked for is that one or none.
      expectError(try container.exec(["/bin/agent", "exit", "0"], "--cgroup", ":inner"), detail: "cannot start")
      #expect(try container.exec(["/bin/agent", "exit", "4"], "--cgroup", ":inner/most").code == 4)
    }

    /// Whether the processes of the container are its first one and the one that looks, as they were before.
    private func expectNoCommandLeft(_ container: Container, _ what: String) throws {
      #expect(try container.execReport("processes")["processes"].ints.count == 2, "left over: \(what)")
    }

    /// The caller's terminal hangs up while the container is paused, before anything of the command can have run.
    @Test(.apusOnly("the peers do not wait for a paused container, or run the command"))
    func commandDoesNotRunWhereTheTerminalOfTheCallerIsGone() throws {
      let container = try running {
        $0.bundle.args = ["/bin/agent", "children", "0"]
        $0.bundle.config["root"]["readonly"] = false
      }
      try container.stdout.waitFor("ready")
      let pidFile = "\(container.bundle.path)/exec.pid"
      var terminal: CallersTerminal? = try CallersTerminal()
      var call: Subprocess?
      try Freezer(container).whileFrozen {
        call = try container.spawn(
          "exec", ["--ignore-paused", "--tty", "--pid-file", pidFile],
          rest: ["/bin/sh", "-c", "touch /tmp/ran; exec /bin/agent pause"], options: .init(terminal: terminal?.slave))
        #expect(call?.isStillRunning(after: 0.3) == true)
        terminal = nil
      }
      #expect(try call?.wait().code == 255)
      #expect(!Files.exists(container.bundle.rootfs + "/tmp/ran") && !Files.exists(pidFile))
      try expectNoCommandLeft(container, "the command without a terminal")
    }

    /// ppoll(2) takes no more descriptors than the limit of them says.
    @Test(.apusOnly("crun leaves the command running, and runc does not poll"))
    func commandIsEndedWhereNobodyCanWaitForIt() throws {
      let container = try running()
      let script =
        "trap 'echo got it' USR1; busybox mkfifo /dev/shm/p; exec 3<>/dev/shm/p; echo ready; while :; do read x <&3; done"
      let call = try container.spawn("exec", rest: ["/bin/sh", "-c", script])
      try call.stdout.waitFor("ready")
      // Handed on: the runtime has nothing else to do any more. Again where the shell was just about to read.
      for _ in 0..<60 where !call.stdout.text.contains("got it") {
        call.signal(SIGUSR1)
        _ = call.isStillRunning(after: 0.1)
        call.stdout.drain()
      }
      #expect(call.stdout.text.contains("got it"))
      try Subprocess("/usr/bin/prlimit", ["--pid", "\(call.process)", "--nofile=2"]).wait().expectSuccess()
      call.signal(SIGWINCH)
      let outcome = try call.wait()
      expectError(outcome, detail: "cannot wait for the process")
      #expect(outcome.code == 255, "\(outcome)")
      try expectNoCommandLeft(container, "the command")
    }

    /// The pipes of the harness are root's, who is nobody inside; the configuration need not say who is who.
    @Test(
      .peerDiffers("runc", "1.1.5", "wants mappings, which it does not use"),
      .peerDiffers("crun", "1.8.1", "the streams stay the caller's"), arguments: ["none", "placeholder"])
    func commandOwnsItsStreamsInAJoinedUserNamespace(mappings: String) throws {
      let holder = try NamespaceHolder("--user", map: "0 100000 1000")
      let container = try running {
        try $0.bundle.joinUsers(holder.path("user"), size: 1000)
        for name in ["uidMappings", "gidMappings"] {
          $0.bundle.config["linux"][name] = [["containerID": 0, "hostID": 0, "size": 1]]
          if mappings == "none" { $0.bundle.config["linux"][name] = nil }
        }
      }
      for user in ["0", "5"] {
        let outcome = try container.exec(
          ["/bin/sh", "-c", "stat -L -c %u /proc/self/fd/1; echo seen > /dev/stderr"], "--user", user)
        #expect(outcome.stdout == "\(user)\n" && outcome.stderr == "seen\n", "\(outcome)")
      }
      if Runtime.current.isPeer { return }
      for user in ["1000", "0:1000"] {
        expectError(
          try container.exec(["/bin/agent", "exit", "0"], "--user", user), says: "id 1000 is not mapped",
          detail: "--user")
      }
      try container.delete("--force")
      try expectNothingLeft(but: holder)
    }

    /// No machine of the tests has resctrl: a folder stands for the class, which a container that needs none is given. The list
    /// of classes stands in the record with its length in front, and behind it 18 bytes for listener and Landlock, of which there are
    /// none (spec/state-format.md).
    @Test(.apusOnly("the state is ours"))
    func commandIsInTheClassOfServiceOfTheContainer() throws {
      let container = try running()
      let folder = "\(container.bundle.path)/class"
      mkdir(folder, 0o755)
      let record = "\(try Workspace.active().stateRoot)/\(container.id)/record"
      func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }
      var bytes = [UInt8](try Files.data(record))
      let rest = [UInt8](repeating: 0, count: 18)
      try #require(Array(bytes.suffix(22)) == length(0) + rest)
      bytes.removeLast(22)
      bytes += length(1) + length(folder.utf8.count) + Array(folder.utf8) + rest
      try Data(bytes).write(to: URL(fileURLWithPath: record))
      let pidFile = "\(container.bundle.path)/exec.pid"
      #expect(try container.exec(["/bin/agent", "exit", "3"], "--pid-file", pidFile).code == 3)
      #expect(try Files.read("\(folder)/tasks") == Files.read(pidFile))
      // A command that cannot come into its class does not run.
      unlink("\(folder)/tasks")
      rmdir(folder)
      expectError(try container.exec(["/bin/agent", "exit", "0"]), detail: "class of service")
      mkdir(folder, 0o755)
      try expectNoCommandLeft(container, "the command without its class")
    }

    /// An `exec` that fails leaves the files behind its streams as they were.
    @Test(
      .peerDiffers("crun", "1.8.1", "gives them away first"), .peerDiffers("runc", "1.1.5", "gives them away first"))
    func streamsKeepTheirOwnerWhereTheCommandCannotRun() throws {
      let container = try running { try $0.bundle.mapUsers() }
      let path = "\(container.bundle.path)/log"
      try Files.write("", to: path)
      func owner(_ flags: [String], _ command: [String]) throws -> UInt32? {
        let words = ["-c", "exec \"$@\" >> \(path)", "sh", Runtime.current.path] + container.root
        let outcome = try Subprocess("/bin/sh", words + ["exec"] + flags + [container.id] + command).wait()
        #expect((outcome.code == 0) == flags.isEmpty, "\(outcome)")
        return Files.status(path)?.st_uid
      }
      #expect(try owner(["--cgroup", "missing"], ["/bin/agent", "exit", "0"]) == 0)
      #expect(try owner(["--pid-file", "/no/such/pid"], ["/bin/agent", "exit", "0"]) == 0)
      #expect(try owner(["--cwd", "/no/such"], ["/bin/agent", "exit", "0"]) == 0)
      #expect(try owner(["-e", "A=B"], ["no-such-command"]) == 0)
      #expect(try owner([], ["/bin/agent", "exit", "0"]) == 100_000)
    }

    @Test func processDocumentComesThroughAPipeWithTime() throws {
      let container = try running()
      let document: JSONValue = ["args": ["/bin/agent", "exit", "6"], "cwd": "/", "user": ["uid": 0, "gid": 0]]
      let script = "(sleep 0.3; printf %s \"$1\") | { shift; \"$@\"; }"
      let words =
        ["-c", script, "sh", document.text, Runtime.current.path] + container.root
        + ["exec", "--process", "/dev/stdin", container.id]
      let outcome = try Subprocess("/bin/sh", words).wait()
      #expect(outcome.code == 6, "\(outcome)")
    }

    @Test(.apusOnly("in our words"))
    func containerThatIsBeingCreatedTakesNoCommand() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let (begin, end) = ("\(container.bundle.path)/begin", "\(container.bundle.path)/end")
      container.bundle.config["hooks"]["createRuntime"].append([
        "path": "/bin/sh", "args": ["sh", "-c", .string("touch \(begin); until [ -e \(end) ]; do sleep 0.02; done")],
      ])
      let creation = try container.spawn("create")
      let deadline = Deadline(Limits.call)
      while !Files.exists(begin), !deadline.hasPassed { usleep(1000) }
      expectError(try container.exec(["/bin/agent", "exit", "0"]), detail: "that is being created")
      try Files.write("", to: end)
      try creation.wait().expectSuccess()
      #expect(try container.exec(["/bin/agent", "exit", "3"]).code == 3)
    }

    /// Wherever the end of the container meets an `exec`, it is told in the words that managers know.
    @Test(.apusOnly("the peers tell what happened to fail"))
    func endOfTheContainerMeanwhileIsTold() throws {
      var seen: Set<String> = []
      for round in 0..<40 {
        let container = try running()
        let pid = try container.pid()
        let call = try container.spawn("exec", rest: ["/bin/agent", "pause"])
        usleep(useconds_t(round * 300))
        if round % 2 == 0 { Glibc.kill(pid_t(pid), SIGKILL) } else { try container.delete("--force") }
        let outcome = try call.wait()
        // It runs and is killed with the container, or does not run and the reason is the container's end.
        let isTold = ["container not running", "stopped container", "does not exist"].contains {
          outcome.stderr.contains($0)
        }
        #expect(outcome.code == 137 && outcome.stderr.isEmpty || outcome.code == 255 && isTold, "\(round): \(outcome)")
        seen.insert(outcome.code == 137 ? "killed" : "told")
        try container.delete("--force")
      }
      #expect(seen.contains("told"))
    }

    @Test func listenPIDIsTheNumberOfACommandThatGetsSockets() throws {
      let container = try running()
      let file = "\(container.bundle.path)/passed"
      try Files.write("", to: file)
      func environment(_ variables: String, _ flags: String) throws -> [String] {
        let script = "exec 3<\(file); exec \(variables) \"$@\""
        let words =
          ["-c", script, "sh", Runtime.current.path] + container.root + ["exec"]
          + flags.split(separator: " ").map(String.init)
        let command = ["/bin/sh", "-c", "echo LISTEN_FDS=$LISTEN_FDS LISTEN_PID=$LISTEN_PID own=$$"]
        let outcome = try Subprocess("/bin/sh", words + [container.id] + command).wait()
        return outcome.stdout.split(whereSeparator: \.isWhitespace).map(String.init)
      }
      // A value that was asked for is no placeholder.
      #expect(try environment("env", "-e LISTEN_PID=0").contains("LISTEN_PID=0"))
      if Runtime.current.isPeer { return }
      let found = try environment("env LISTEN_FDS=1 LISTEN_PID=$$", "")
      #expect(found.first == "LISTEN_FDS=1", "\(found)")
      #expect(found.dropFirst().first?.dropFirst("LISTEN_PID=".count) == found.last?.dropFirst("own=".count))
    }

    private func expectUser(
      _ user: Int, _ group: Int, in directory: String, _ report: JSONValue,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      let ids = [report["uids"].ints, report["gids"].ints]
      #expect(ids == [user, group].map { [$0, $0, $0] }, sourceLocation: sourceLocation)
      #expect(report["cwd"].string == directory, sourceLocation: sourceLocation)
    }

    /// CVE-2026-30892: an empty user must not be read as root.
    @Test(.attack("CVE-2026-30892"), .peerMayDiffer("crun", "1.8.1", "another user"))
    func emptyUserAndDirectoryAreThoseOfTheContainer() throws {
      let container = try running {
        $0.bundle.config["process"]["user"] = ["uid": 1000, "gid": 2000]
        $0.bundle.config["process"]["cwd"] = "/usr/bin"
      }
      let report = try container.execReport("user", "command", flags: ["--user", "", "--cwd", ""])
      expectUser(1000, 2000, in: "/usr/bin", report)
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes the document as it is"),
      .peerDiffers("crun", "1.8.1", "takes the document as it is"))
    func flagsCountBesideADocument() throws {
      let container = try running()
      let document: JSONValue = [
        "args": ["/bin/agent", "report", "user", "command"], "cwd": "/", "user": ["uid": 3, "gid": 4], "env": ["X=y"],
      ]
      let report = try container.exec(document: document, "--user", "5:6", "--env", "A=B", "--cwd", "/tmp").json
      expectUser(5, 6, in: "/tmp", report)
      #expect(report["env"].strings.contains("A=B") && report["env"].strings.contains("X=y"))
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes no notice of the command"),
      .peerDiffers("crun", "1.8.1", "takes no notice of the command"))
    func commandBesideADocumentIsRefused() throws {
      let container = try running()
      let path = "\(container.bundle.path)/process.json"
      let document: JSONValue = ["args": ["/bin/agent", "exit", "0"], "cwd": "/", "user": ["uid": 0, "gid": 0]]
      try Files.write(document.text, to: path)
      let outcome = try container.spawn("exec", ["--process", path], rest: ["/bin/agent", "exit", "0"]).wait()
      expectError(outcome, detail: "cannot stand beside a document")
    }
  }
}
