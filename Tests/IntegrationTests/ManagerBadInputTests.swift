import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What managers do wrong, and what is done to them.
  @Suite struct ManagerBadInputTests {
    // MARK: The end of a manager

    /// Which of its calls a manager dies in.
    enum Call: String, CaseIterable, Sendable {
      case create, start, exec, kill, pause, delete, forcedDelete, run
    }

    /// Makes what the call needs, and gives its words.
    private func prepare(_ call: Call, _ container: Container) throws -> [String] {
      let (bundle, id) = (container.bundle.path, container.id)
      try container.bundle.write()
      switch call {
      case .create: return ["create", "--bundle", bundle, "--pid-file", bundle + "/pid", id]
      case .run: return ["run", "--bundle", bundle, "--pid-file", bundle + "/pid", "--detach", id]
      case .start:
        try container.create()
        return ["start", id]
      case .delete:
        try container.create()
        return ["delete", id]
      case .exec, .kill, .pause, .forcedDelete: try container.runDetached()
      }
      switch call {
      case .kill: return ["kill", "--all", id, "9"]
      case .pause: return ["pause", id]
      case .forcedDelete: return ["delete", "--force", id]
      default: return ["exec", "--detach", "--pid-file", bundle + "/exec.pid", id, "/bin/agent", "pause"]
      }
    }

    private static let tracer = "/usr/bin/strace"

    /// The call under strace(1), without the processes that it makes; its words stand behind ours.
    private func traced(_ container: Container, _ words: [String], _ flags: String...) throws -> Outcome {
      try Subprocess(Self.tracer, ["-qq"] + flags + [container.executable] + container.root + words).wait()
    }

    /// The system calls of a call that nobody disturbs: which, and the how manieth of its name.
    private func systemCalls(_ call: Call) throws -> [(name: String, number: Int)] {
      let container = try Container(args: ["/bin/agent", "pause"])
      let words = try prepare(call, container)
      let log = container.bundle.path + "/calls"
      let outcome = try traced(container, words, "-o", log)
      try #require(outcome.code == 0, "\(outcome)")
      try deleteAsManager(container).expectSuccess()
      Processes.reap()
      var counts: [String: Int] = [:]
      return try Files.read(log).split(separator: "\n").compactMap { line in
        guard let end = line.firstIndex(of: "("), line.first?.isLetter == true else { return nil }
        let name = String(line[..<end])
        counts[name, default: 0] += 1
        return (name, counts[name, default: 0])
      }
    }

    /// `delete --force` by one who collects meanwhile what has become his: the commands of `exec`, without which the pid
    /// namespace does not end.
    private func deleteAsManager(_ container: Container) throws -> Outcome {
      let call = try container.spawn("delete", ["--force"])
      while call.isStillRunning(after: 0.02) {
        for process in Processes.descendants() where process.state == "Z" && process.id != Int(call.process) {
          if process.parent == Int(getpid()) { _ = waitpid(pid_t(process.id), nil, WNOHANG) }
        }
      }
      return try call.wait()
    }

    /// The runtime dies with the thread of its manager (PR_SET_PDEATHSIG). Whatever the moment, the next manager can delete
    /// the container, and nothing of it stays.
    @Test(
      .apusOnly("the peers leave cgroups and processes behind"),
      .enabled("there is no strace") { Files.exists(tracer) },
      arguments: Call.allCases)
    func callThatIsKilledInAnySystemCallLeavesNothingBehindDelete(_ call: Call) throws {
      let calls = try systemCalls(call)
      try #require(calls.count > 20, "\(calls.count) system calls")
      // The first one is the execve(2) of the runtime itself.
      let step = TestRun.isFull ? 1 : max(1, calls.count / 12)
      var failures: [String] = []
      var kills = 0
      for index in stride(from: Int.random(in: 1...step), to: calls.count, by: step) {
        let (name, number) = calls[index]
        let container = try Container(args: ["/bin/agent", "pause"])
        let words = try prepare(call, container)
        let inject = "--inject=\(name):signal=SIGKILL:when=\(number)"
        let killed = try traced(container, words, "-o", container.bundle.path + "/calls", inject).code
        if killed == 137 { kills += 1 }
        let moment = "killed in \(name) \(number)"
        let outcome = try deleteAsManager(container)
        if outcome.code != 0 { failures.append("\(moment): \(outcome)") }
        Processes.reap()
        let left = try Workspace.active().differences()
        if let first = left.first { failures.append("\(moment): \(first) and \(left.count - 1) more") }
        if !left.isEmpty { Cgroups.removeAll() }
      }
      #expect(kills > 6, "\(kills) of \(calls.count)")
      #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }

    /// As go-runc starts it. The container of a shim lives on: the signal is the runtime's alone.
    @Test func deathOfTheManagerEndsTheRuntimeAndNotTheContainer() throws {
      let client = try GoRunc(Container(args: ["/bin/agent", "wait"]))
      let line = "setpriv --pdeathsig KILL \"$0\" \"$@\"; echo made; read line"
      var ends: [Int32] = [0, 0]
      try #require(support_pipe(&ends) == 0)
      defer { for end in ends { close(end) } }
      func manager(_ words: [String]) throws -> Subprocess {
        let flags = client.container.root + ["--log", client.log, "--log-format", "json"]
        return try Subprocess(
          "/bin/sh", ["-c", line, client.container.executable] + flags + words, .init(stdin: ends[0]))
      }
      let id = client.container.id
      let first = try manager(["create", "--bundle", client.container.bundle.path, "--pid-file", client.pidFile, id])
      try first.stdout.waitFor("made")
      first.end()
      #expect(try client.state().status == "created")
      let second = try manager(["start", id])
      try second.stdout.waitFor("made")
      second.end()
      #expect(try client.state().status == "running")
      let pid = try client.state().pid
      let third = try manager(["events", "--interval=1h", id])
      if Runtime.current.name != "crun" {
        #expect(third.isStillRunning(after: 0.3))
        let runtime = Processes.all().first { $0.parent == Int(third.process) }?.id ?? 0
        try #require(runtime > 0)
        third.end()
        #expect(waitForEnd(of: runtime, timeout: 5), "the runtime dies with its manager")
      } else {
        third.end()
      }
      #expect(try client.state().status == "running" && client.state().pid == pid)
      try client.succeed("delete", "--force", id)
      try expectNothingLeft()
    }

    // MARK: Sockets and files

    /// `exec` too gives up a socket that accepts nobody, and the container is as it was.
    @Test(.apusOnly("the peers wait for ever")) func consoleSocketOfACommandThatNeverAcceptsIsGivenUp() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      let socket = try DescriptorSocket(backlog: 0)
      let first = support_unix_connect(socket.path)
      defer { close(first) }
      let file = container.bundle.path + "/exec.pid"
      let outcome = try container.attempt(
        "exec", "--tty", "--detach", "--pid-file", file, "--console-socket", socket.path, rest: ["/bin/agent", "pause"])
      expectError(outcome, detail: "does not accept")
      #expect(outcome.code == 255 && !Files.exists(file))
      #expect(try container.attempt("ps", "--format", "json").json.ints == [try container.pid()])
    }

    @Test(arguments: ["create", "run", "start", "state", "delete", "list"])
    func logThatIsAFolderIsAnErrorBeforeAnythingIsDone(verb: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      if verb == "start" || verb == "delete" { try container.create() }
      try container.bundle.write()
      let folder = container.bundle.path + "/log"
      mkdir(folder, 0o755)
      let makes = verb == "create" || verb == "run"
      let words = [verb] + (makes ? ["--bundle", container.bundle.path] : []) + (verb == "list" ? [] : [container.id])
      let outcome = try runtime(bare: ["--log", folder, "--log-format", "json"] + container.root + words)
      #expect(outcome.code == 1, "\(outcome)")
      try allowing(["crun": "in other words"], in: "a log that is a folder", isIntermittent: true) {
        #expect(outcome.stderr.contains("is a directory"), "\(outcome)")
      }
      #expect(Files.names(in: folder).isEmpty)
      if makes || verb == "list" || verb == "state" {
        try expectNothingLeft()
      } else {
        #expect(try container.status() == "created")
      }
    }

    @Test(arguments: [["create"], ["run", "--detach"], ["run"]])
    func pidFileInAFolderThatIsGoneLeavesNothing(verb: [String]) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let client = try GoRunc(container)
      let path = container.bundle.path + "/gone/init.pid"
      let words = verb + ["--bundle", container.bundle.path, "--pid-file", path, container.id]
      let outcome = try client.spawn(words).wait()
      #expect(outcome.code == 1, "\(outcome)")
      let message = try client.lastError()
      #expect(Words.has(message, "no such file or directory"), "\(message)")
      if !Runtime.current.isPeer { #expect(message.contains("`\(path)`") && message.contains("(at `--pid-file`)")) }
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves the process"))
    func pidFileOfACommandInAFolderThatIsGoneLeavesNoCommand() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      let path = container.bundle.path + "/gone/exec.pid"
      let outcome = try container.attempt("exec", "--detach", "--pid-file", path, rest: ["/bin/agent", "pause"])
      expectError(outcome, says: "no such file or directory", detail: "`\(path)`")
      Processes.reap()
      #expect(try container.attempt("ps", "--format", "json").json.ints == [try container.pid()])
    }

    /// By rename: who reads the file meanwhile sees the old one or the new one, and never a part.
    @Test(.peerDiffers("crun", "1.8.1", "empties the file and writes into it"))
    func pidFileIsReplacedAsAWhole() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let path = container.bundle.path + "/pid"
      try Files.write("old", to: path)
      let old = open(path, O_RDONLY | O_CLOEXEC)
      defer { close(old) }
      try container.create("--pid-file", path)
      #expect(try GoRunc.readPidFile(path) == container.pid())
      var bytes = [UInt8](repeating: 0, count: 16)
      #expect(pread(old, &bytes, bytes.count, 0) == 3 && bytes.starts(with: Array("old".utf8)))
    }

    /// What a person sees who mistypes: one line that says what, and where to look.
    @Test(
      .apusOnly("in our words"),
      arguments: [
        (["crate", "x"], "unknown command `crate`"), (["--nosuch", "list"], "flag provided but not defined: -nosuch"),
        (["create", "--nosuch", "x"], "see `apus create --help`"),
        (["create"], "requires exactly 1 argument"), (["start", "a", "b"], "requires exactly 1 argument"),
        (["kill", "x", "NOSUCH"], "unknown signal"),
        (["create", "--bundle", "/no/such", "x"], "`/no/such`"),
        (["create", "--bundle"], "flag needs an argument"), (["--root", "/", "list"], "`--root`"),
        (["state", "../x"], "`../x`"),
      ])
    func badCommandIsOneClearLine(_ words: [String], _ part: String) throws {
      let outcome = try runtime(bare: words)
      #expect(outcome.code == 1 && outcome.stdout.isEmpty, "\(outcome)")
      expectError(outcome, says: part)
    }
  }
}
