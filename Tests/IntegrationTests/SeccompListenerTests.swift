import Foundation
import IntegrationSupport
import Testing

extension Container {
  /// A filter that asks whoever listens at `path` about these calls.
  func notify(
    _ calls: [String], at path: String, flags: [String]? = nil, metadata: String? = nil, refusing refused: [String] = []
  ) {
    let notified: JSONValue = ["names": JSONValue(calls), "action": "SCMP_ACT_NOTIFY"]
    let refusal: JSONValue = ["names": JSONValue(refused), "action": "SCMP_ACT_ERRNO"]
    var profile: JSONValue = [
      "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "listenerPath": .string(path),
      "syscalls": .array(refused.isEmpty ? [notified] : [notified, refusal]),
    ]
    if let flags { profile["flags"] = JSONValue(flags) }
    if let metadata { profile["listenerMetadata"] = .string(metadata) }
    bundle.config["linux"]["seccomp"] = profile
  }

  /// `create` and `start`, up to the end of the command.
  fileprivate func createAndStart() throws -> String {
    try create()
    let pid = try pid()
    try start()
    guard waitForEnd(of: pid) else { throw HarnessError("the command does not end") }
    return try stdout.readToEnd()
  }
}

extension Integration {
  /// SCMP_ACT_NOTIFY (config-linux.md, "Seccomp" and "The Container Process State").
  @Suite struct SeccompListenerTests {
    typealias Call = SeccompAgent.Call

    private func result(_ text: String) throws -> Int? {
      try text.split(separator: "\n").first.flatMap { try JSONValue(parsing: String($0))["result"].int }
    }

    // MARK: Who answers

    @Test(arguments: [true, false], ["start", "run", "run --detach"])
    func whoListensAnswersForTheCommand(noNewPrivileges: Bool, verb: String) throws {
      let agent = try SeccompAgent([Call.sethostname: .value(4242)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "syscall", "sethostname"])
      container.bundle.config["process"]["noNewPrivileges"] = .bool(noNewPrivileges)
      container.notify(["sethostname"], at: agent.path)
      let text: String
      switch verb {
      case "start": text = try container.createAndStart()
      case "run": text = try container.run().stdout
      default:
        try container.runDetached()
        text = try container.stdout.readToEnd()
      }
      #expect(try result(text) == 4242, "\(text)")
      #expect(agent.connections.count == 1)
    }

    @Test func anAnswerMayPretendThatADirectoryWasMade() throws {
      let agent = try SeccompAgent([Call.mkdir: .value(0)])
      defer { agent.end() }
      let container = try Container()
      container.bundle.addMount("/tmp", type: "tmpfs", source: "tmpfs")
      container.notify(["mkdir"], at: agent.path)
      let outcome = try container.shell("mkdir /tmp/d && ls -d /tmp/d 2>/dev/null; echo end")
      #expect(outcome.stdout == "end\n", "\(outcome)")
    }

    @Test(arguments: [true, false])
    func anErrnoIsTheAnswerInAUserNamespaceToo(noNewPrivileges: Bool) throws {
      let agent = try SeccompAgent([Call.sethostname: .failure(ENOTUNIQ)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "syscall", "sethostname"])
      container.bundle.config["process"]["noNewPrivileges"] = .bool(noNewPrivileges)
      try container.bundle.mapUsers()
      container.notify(["sethostname"], at: agent.path)
      #expect(try container.createAndStart().contains("ENOTUNIQ"))
    }

    @Test(.peerDiffers("crun", "1.8.1", "sends no pid"))
    func commandsOfExecHaveAListenerEach() throws {
      let agent = try SeccompAgent([Call.sethostname: .value(77)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "pause"])
      container.notify(["sethostname"], at: agent.path)
      try container.runDetached()
      let first = try container.pid()
      for count in 2...3 {
        let outcome = try container.attempt("exec", rest: ["/bin/agent", "syscall", "sethostname"])
        #expect(try result(outcome.stdout) == 77, "\(outcome)")
        let connections = agent.connections
        #expect(connections.count == count, "one process state for each connection")
        let state = try #require(try connections.last).state
        let asked = try #require(agent.questions.last)
        #expect(state["pid"].int == asked.process, "the process of `exec`")
        #expect(state["pid"].int != first)
        #expect(state["state"]["pid"].int == first)
        #expect(state["state"]["status"].string == "running")
      }
    }

    // MARK: What is sent

    @Test func theListenerComesWithTheContainerProcessState() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["annotations"] = ["org.example.a": "b"]
      container.notify(["sethostname"], at: agent.path, metadata: "for \u{e9} \"you\"")
      try container.runDetached()
      let connection = try agent.waitForConnection()
      #expect(agent.connections.count == 1)
      #expect(connection.descriptors == 1 && connection.descriptorCameAt == 0, "with the first sendmsg(2) and no other")
      #expect(connection.isClosed)
      let (state, pid) = (try connection.state, try container.pid())
      #expect(Set(state.members.keys) == ["ociVersion", "fds", "pid", "metadata", "state"])
      #expect(state["ociVersion"].string?.split(separator: ".").count ?? 0 >= 3)
      #expect(state["fds"].strings == ["seccompFd"])
      #expect(state["pid"].int == pid)
      #expect(state["metadata"].string == "for \u{e9} \"you\"")
      let inner = state["state"]
      #expect(inner["id"].string == container.id)
      #expect(inner["pid"].int == pid)
      #expect(inner["bundle"].string == container.bundle.path)
      #expect(inner["ociVersion"].string != nil)
      #expect(inner["annotations"]["org.example.a"].string == "b")
      #expect(["creating", "created"].contains(inner["status"].string))
      if !Runtime.current.isPeer { #expect(inner["status"].string == "created", "`start` loads the filter") }
    }

    @Test func withoutMetadataNoneIsSent() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.notify(["sethostname"], at: agent.path)
      #expect(try container.run().code == 0)
      #expect(try !agent.waitForConnection().state.members.keys.contains("metadata"))
    }

    @Test func aLongProcessStateComesWhole() throws {
      let agent = try SeccompAgent([Call.sethostname: .value(5)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "syscall", "sethostname"])
      let metadata = String(repeating: "m", count: 1_000_000)
      container.notify(["sethostname"], at: agent.path, metadata: metadata)
      #expect(try result(container.run().stdout) == 5)
      let connection = try #require(agent.connections.first)
      #expect(try connection.state["metadata"].string == metadata)
      #expect(connection.descriptors == 1 && connection.descriptorCameAt == 0)
    }

    @Test(.peerDiffers("crun", "1.8.1", "connects all the same"))
    func thePathIsIgnoredWithoutTheAction() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      for path in [agent.path, "/nowhere/listener"] {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        container.notify(["sethostname"], at: path)
        container.bundle.config["linux"]["seccomp"]["syscalls"][0]["action"] = "SCMP_ACT_ERRNO"
        let outcome = try container.run()
        #expect(outcome.code == 0, "\(outcome)")
      }
      #expect(agent.connections.isEmpty)
    }

    @Test(.apusOnly("runc looks from the bundle in `create` and from elsewhere in `exec`"))
    func aRelativePathIsOneOfTheBundle() throws {
      let agent = try SeccompAgent([Call.sethostname: .value(6)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "syscall", "sethostname"])
      container.notify(["sethostname"], at: "../listener")
      #expect(try result(container.run().stdout) == 6)
    }

    @Test func theCommandHasNoDescriptorOfIt() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      let container = try Container()
      container.notify(["mkdir"], at: agent.path)
      #expect(try Set(container.report("descriptors")["descriptors"].members.keys) == ["0", "1", "2"])
      let paused = try Container(args: ["/bin/agent", "pause"])
      paused.notify(["mkdir"], at: agent.path)
      try paused.runDetached()
      #expect(try Set(paused.execReport("descriptors")["descriptors"].members.keys) == ["0", "1", "2"])
    }

    // MARK: The calls on the way to the command

    /// Whoever passes the network of a container on asks for most of these (bypass4netns(1)).
    @Test(
      .peerDiffers("crun", "1.8.1", "sends the listener by sendmsg(2), and waits for ever"), arguments: [true, false])
    func theCallsOnTheWayMayBeNotifiedButForOne(noNewPrivileges: Bool) throws {
      if Runtime.current.name == "crun" { throw HarnessError("it would wait for ever") }
      let agent = try SeccompAgent([Call.sethostname: .value(8)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "syscall", "sethostname"])
      container.bundle.config["process"]["noNewPrivileges"] = .bool(noNewPrivileges)
      container.notify(
        ["read", "close", "execve", "capset", "sendmsg", "sendto", "bind", "exit_group", "sethostname", "mmap", "brk"],
        at: agent.path)
      #expect(try result(container.createAndStart()) == 8)
      #expect(agent.questions.contains { $0.number == Call.execve })
      if !Runtime.current.isPeer {
        let calls = agent.questions.map(\.number)
        let before = calls[..<(calls.firstIndex(of: Call.execve) ?? 0)]
        #expect(before.allSatisfy { [Call.read, Call.capset].contains($0) }, "\(before)")
        #expect(before.contains(Call.capset) == !noNewPrivileges)
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it"))
    func notifyingWriteIsRefused() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.notify(["sethostname", "write"], at: agent.path)
      expectError(try container.run(), says: "write", detail: "/linux/seccomp/syscalls/0/names/1")
      try expectNothingLeft()
      #expect(agent.connections.isEmpty)
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it"))
    func notifyingByDefaultIsRefused() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.notify(["sethostname"], at: agent.path)
      container.bundle.config["linux"]["seccomp"]["defaultAction"] = "SCMP_ACT_NOTIFY"
      expectError(try container.run(), detail: "/linux/seccomp/defaultAction")
      try expectNothingLeft()
      #expect(agent.connections.isEmpty)
    }

    @Test func notifyingWithoutAListenerIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.notify(["sethostname"], at: "")
      expectError(try container.run(), detail: "/linux/seccomp/syscalls/0/action")
      try expectNothingLeft()
    }

    @Test(.apusOnly("runc wants pidfd_getfd(2)"), arguments: ["start", "exec"])
    func theListenerIsSentWhereItCannotBeTaken(verb: String) throws {
      let agent = try SeccompAgent([Call.sethostname: .value(9)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", "pause"])
      container.notify(["sethostname"], at: agent.path)
      func call(_ words: [String]) throws -> Outcome {
        try Subprocess(
          "/usr/bin/setpriv", ["--bounding-set=-sys_ptrace", Runtime.current.path] + container.root + words
        ).wait()
      }
      if verb == "exec" {
        try container.runDetached()
        let outcome = try call(["exec", container.id, "/bin/agent", "syscall", "sethostname"])
        #expect(try result(outcome.stdout) == 9, "\(outcome)")
      } else {
        container.bundle.args = ["/bin/agent", "syscall", "sethostname"]
        try container.create()
        let outcome = try call(["start", container.id])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(try result(try container.stdout.readToEnd()) == 9)
      }
      #expect(agent.connections.allSatisfy { $0.descriptors == 1 })
      // And then it cannot be asked about the way.
      let other = try Container(args: ["/bin/agent", "exit", "0"])
      other.notify(["sethostname", "sendmsg"], at: agent.path)
      try other.bundle.write()
      let outcome = try Subprocess(
        "/usr/bin/setpriv",
        ["--bounding-set=-sys_ptrace", Runtime.current.path] + other.root
          + ["run", "--bundle", other.bundle.path, other.id]
      ).wait()
      expectError(outcome, says: "`sendmsg`", detail: "/linux/seccomp/syscalls/0/names/1")
    }

    /// Somebody refuses what the capabilities allow: a security module, Yama, or a filter around the runtime as here.
    @Test(.apusOnly("runc wants pidfd_getfd(2)"), arguments: ["start", "exec"])
    func theListenerIsSentWhereTakingItIsRefused(verb: String) throws {
      let agent = try SeccompAgent([Call.sethostname: .value(9)])
      defer { agent.end() }
      let container = try Container(args: ["/bin/agent", verb == "exec" ? "pause" : "syscall", "sethostname"])
      container.notify(["sethostname", "read"], at: agent.path)
      func call(_ container: Container, _ words: [String]) throws -> Outcome {
        // pidfd_getfd
        try Subprocess(
          RootTemplate.agent(), ["without", "438", Runtime.current.path] + container.root + words
        ).wait()
      }
      try container.create()
      if verb == "exec" {
        try container.start()
        let outcome = try call(container, ["exec", container.id, "/bin/agent", "syscall", "sethostname"])
        #expect(try result(outcome.stdout) == 9, "\(outcome)")
      } else {
        let outcome = try call(container, ["start", container.id])
        #expect(outcome.code == 0, "\(outcome)")
        #expect(try result(try container.stdout.readToEnd()) == 9)
      }
      // It is found out before there is anything that could not be undone.
      let other = try Container(args: ["/bin/agent", "pause"])
      other.notify(["sethostname", "sendmsg"], at: agent.path)
      if verb == "exec" {
        try other.runDetached()
        let outcome = try call(other, ["exec", other.id, "/bin/agent", "syscall", "sethostname"])
        expectError(outcome, says: "`sendmsg`", detail: "pidfd_getfd descriptor -1: operation not permitted")
        #expect(try other.status() == "running")
      } else {
        try other.bundle.write()
        let outcome = try call(other, ["create", "--bundle", other.bundle.path, other.id])
        expectError(outcome, says: "`sendmsg`", detail: "pidfd_getfd descriptor -1: operation not permitted")
        expectError(try other.attempt("state"), says: "does not exist")
      }
    }

    @Test(.apusOnly("it is newer than the peers"), arguments: [true, false])
    func aQuestionThatWasReadIsKilledButNotInterrupted(isKillable: Bool) throws {
      let agent = try SeccompAgent([Call.chdir: .silence])
      defer { agent.end() }
      let container = try Container(args: ["/bin/sh", "-c", "trap 'echo trapped' USR1; cd /tmp"])
      container.notify(
        ["chdir"], at: agent.path, flags: isKillable ? ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"] : [])
      try container.runDetached()
      let question = try agent.waitForQuestion(Call.chdir)
      try container.kill("USR1")
      usleep(100_000)
      #expect((support_still_waits(question.listener, question.identity) == 0) == isKillable)
    }

    // MARK: A listener that is not there

    private enum Place: String, CaseIterable {
      case absent, file, left, datagram, packets, mute
    }

    @Test(arguments: Place.allCases)
    private func aListenerThatIsNotThereIsAnErrorOfCreate(place: Place) throws {
      let path = try Workspace.active().directory + "/listener"
      var socket: Int32 = -1
      defer { if socket >= 0 { close(socket) } }
      switch place {
      case .absent: break
      case .file: try Files.write("", to: path)
      case .left:
        let left = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), 1)
        close(left)
      case .datagram: socket = support_unix_socket(path, Int32(SOCK_DGRAM.rawValue), 0)
      case .packets: socket = support_unix_socket(path, Int32(SOCK_SEQPACKET.rawValue), 1)
      // A stream socket on which nobody listens yet.
      case .mute: socket = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), -1)
      }
      for verb in ["create", "run"] {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        container.notify(["sethostname"], at: path)
        let outcome = try container.spawn(verb).wait()
        expectError(outcome, detail: "`\(path)`")
        if !Runtime.current.isPeer {
          #expect(outcome.stderr.contains("(at `/linux/seccomp/listenerPath`)"), "\(outcome)")
        }
        try expectNothingLeft()
      }
    }

    @Test(.apusOnly("no other runtime has the command")) func checkFindsAListenerThatIsNotThere() throws {
      let agent = try SeccompAgent()
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.notify(["sethostname"], at: agent.path)
      try container.bundle.write()
      func findings() throws -> String {
        try runtime(bare: container.root + ["check", "--bundle", container.bundle.path]).stdout
      }
      #expect(try !findings().contains("listenerPath"))
      agent.end()
      #expect(agent.connections.isEmpty)
      #expect(try findings().contains("host: /linux/seccomp/listenerPath"))
    }

    @Test(.apusOnly("the peers connect in `create`"))
    func aListenerThatGoesBeforeStartIsAnErrorOfStart() throws {
      let agent = try SeccompAgent()
      let container = try Container(args: ["/bin/sh", "-c", "echo it runs"])
      container.notify(["sethostname"], at: agent.path)
      try container.create()
      #expect(agent.connections.isEmpty, "there is nothing to send before the filter is loaded")
      let pid = try container.pid()
      agent.end()
      expectError(try container.attempt("start"), detail: "`\(agent.path)`")
      #expect(waitForEnd(of: pid, timeout: 1))
      #expect(try container.stdout.readToEnd() == "")
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }

    @Test(.peerDiffers("runc", "1.1.5", "lets the command go on before it has sent the listener"))
    func aListenerThatGoesBeforeExecIsAnErrorOfExec() throws {
      let agent = try SeccompAgent()
      let container = try Container(args: ["/bin/agent", "pause"])
      container.notify(["sethostname"], at: agent.path)
      try container.runDetached()
      agent.end()
      let before = try container.attempt("ps").stdout
      let outcome = try container.attempt("exec", rest: ["/bin/sh", "-c", "echo it runs"])
      expectError(outcome, detail: "`\(agent.path)`")
      if !Runtime.current.isPeer { #expect(outcome.stdout == "") }
      #expect(try container.attempt("ps").stdout == before)
      #expect(try container.status() == "running")
    }

    /// What it is sent is longer than the kernel keeps for somebody who does not read.
    private func container(longer path: String) throws -> Container {
      let container = try Container(args: ["/bin/sh", "-c", "echo it runs"])
      container.notify(["sethostname"], at: path, metadata: String(repeating: "m", count: 1_000_000))
      return container
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "sends once, however little gets through"),
      .peerDiffers("crun", "1.8.1", "sends once, however little gets through"))
    func aListenerThatClosesHalfWayIsAnError() throws {
      let path = try Workspace.active().directory + "/listener"
      let socket = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), 1)
      defer { close(socket) }
      let container = try container(longer: path)
      let call = try container.spawn("run")
      let connection = support_accept(socket)
      var bytes = [UInt8](repeating: 0, count: 16)
      #expect(read(connection, &bytes, bytes.count) == bytes.count)
      close(connection)
      let outcome = try call.wait()
      expectError(outcome, detail: "`\(path)`")
      #expect(!outcome.stdout.contains("it runs"))
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers wait for ever"), arguments: ["accepts", "accepts nothing"])
    func aListenerThatDoesNotReadIsWaitedForTenSeconds(how: String) throws {
      let path = try Workspace.active().directory + "/listener"
      let socket = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(socket) }
      // With this one its queue is full.
      let other = how == "accepts" ? -1 : support_unix_connect(path)
      defer { if other >= 0 { close(other) } }
      let container = try container(longer: path)
      let start = Deadline.now
      let outcome = try container.run(timeout: 60)
      expectError(outcome, detail: "`\(path)`")
      #expect(9...25 ~= Deadline.now - start)
      #expect(outcome.stdout == "")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers do not wait for the command"))
    func aCommandThatNobodyAnswersForIsGivenUp() throws {
      let agent = try SeccompAgent([Call.execve: .silence])
      defer { agent.end() }
      let container = try Container(args: ["/bin/sh", "-c", "echo it runs"])
      container.notify(["execve"], at: agent.path)
      let outcome = try container.run(timeout: 60)
      expectError(outcome, detail: "`\(agent.path)`")
      #expect(outcome.stdout == "")
      try expectNothingLeft()
    }
  }
}
