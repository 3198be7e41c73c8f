import Foundation
import IntegrationSupport
import Testing

/// Somebody who listens and takes no connection, or takes one and reads nothing of it unless told to.
private final class IdleListener {
  let path: String
  private let socket: Int32
  private var connection: Int32 = -1

  init() throws {
    path = try Workspace.active().directory + "/idle"
    socket = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), 1)
    guard socket >= 0 else { throw HarnessError(errno: errno, "listen at \(path)") }
  }

  /// Returns when somebody has connected and sent something.
  func accept() throws {
    connection = support_accept(socket)
    var entry = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 10_000) > 0 else { throw HarnessError("nobody has sent anything") }
  }

  func read(_ count: Int) -> Int {
    var bytes = [UInt8](repeating: 0, count: count)
    return Foundation.read(connection, &bytes, count)
  }

  deinit {
    for handle in [connection, socket] where handle >= 0 { close(handle) }
    unlink(path)
  }
}

extension Integration {
  /// Listeners, and runtimes, that end or stand still in the middle of handing a listener over.
  @Suite struct ListenerFailureTests {
    typealias Call = SeccompAgent.Call

    /// What it is sent is longer than the kernel keeps for somebody who does not read.
    private func container(_ calls: [String], idle path: String) throws -> Container {
      let container = try Container(args: ["/bin/sh", "-c", "echo it runs"])
      container.notify(calls, at: path, metadata: String(repeating: "m", count: 1_000_000))
      return container
    }

    // MARK: Somebody ends

    /// Its own copy of the listener must not keep the process waiting for an answer, whatever it is asked about.
    @Test(
      .apusOnly("the peers keep their copy, or do not wait for the command"),
      arguments: [
        ["execve"], ["execve", "read", "close"], ["execve", "close", "close_range", "exit_group", "exit", "read"],
      ], ["run", "exec"])
    func aListenerThatEndsIsNoticedAtOnce(calls: [String], verb: String) throws {
      let agent = try SeccompAgent([Call.execve: .silence])
      let container = try Container(args: ["/bin/agent", "pause"])
      container.notify(calls, at: agent.path)
      let call: Subprocess
      if verb == "exec" {
        // The first process is let through.
        let other = try SeccompAgent(at: "other")
        try FileManager.default.moveItem(atPath: agent.path, toPath: agent.path + ".kept")
        try FileManager.default.moveItem(atPath: other.path, toPath: agent.path)
        try container.runDetached()
        try FileManager.default.removeItem(atPath: agent.path)
        try FileManager.default.moveItem(atPath: agent.path + ".kept", toPath: agent.path)
        call = try container.spawn("exec", rest: ["/bin/sh", "-c", "echo it runs"])
        _ = try agent.waitForQuestion(Call.execve)
        agent.end()
        try expectEnd(of: call, says: "function not implemented")
        #expect(try container.status() == "running")
        try container.delete("--force")
        other.end()
      } else {
        call = try container.spawn("run")
        _ = try agent.waitForQuestion(Call.execve)
        agent.end()
        try expectEnd(of: call, says: "function not implemented")
      }
      try expectNothingLeft()
    }

    /// Well before the bounds of the runtime.
    private func expectEnd(
      of call: Subprocess, says word: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let start = Deadline.now
      let outcome = try call.wait(timeout: 60)
      #expect(Deadline.now - start < 5, "\(outcome)", sourceLocation: sourceLocation)
      #expect(outcome.code != 0 && outcome.stderr.contains(word), "\(outcome)", sourceLocation: sourceLocation)
      #expect(!outcome.stdout.contains("it runs"), sourceLocation: sourceLocation)
    }

    /// Neither half given nor waiting for ever for somebody who has gone.
    @Test(
      .apusOnly("in the peers it is `create` that hands it over"),
      arguments: [SIGTERM, SIGKILL], [["sethostname"], ["read", "close", "execve"]])
    func aStartThatIsKilledEndsItsContainer(signal: Int32, calls: [String]) throws {
      let idle = try IdleListener()
      let container = try container(calls, idle: idle.path)
      try container.create()
      let pid = try container.pid()
      let start = try container.spawn("start")
      try idle.accept()
      #expect(kill(start.process, signal) == 0)
      #expect(try start.wait().code == 128 + signal)
      #expect(waitForEnd(of: pid, timeout: 5))
      #expect(try container.status() == "stopped")
      #expect(try container.stdout.readToEnd() == "")
      try container.delete()
      try expectNothingLeft()
    }

    /// It has been told that it failed, or was killed: the command must not run after all.
    @Test(.apusOnly("a fifo keeps no order"))
    func anOrderOfAStartThatHasGoneIsNone() throws {
      let container = try Container(args: ["/bin/echo", "it runs"])
      try container.create()
      let pid = Int32(try container.pid())
      #expect(kill(pid, SIGSTOP) == 0)
      let start = try container.spawn("start")
      #expect(start.isStillRunning(after: 1))
      #expect(kill(start.process, SIGKILL) == 0)
      _ = try start.wait()
      #expect(kill(pid, SIGCONT) == 0)
      try container.start()
      #expect(try container.stdout.readToEnd() == "it runs\n")
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers wait for ever, or say nothing"))
    func aProfileThatLeavesNoWayOutIsRefused() throws {
      let agent = try SeccompAgent()
      defer { agent.end() }
      for (calls, refused, says) in [
        (["sethostname"], ["write"], "must let `write` pass"),
        (["exit_group", "close", "close_range"], ["dup3"], "cannot be the action of `exit_group`"),
      ] {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        container.notify(calls, at: agent.path, refusing: refused)
        expectError(try container.attempt("create"), says: says, detail: "(at `/linux/seccomp")
      }
      #expect(agent.connections.isEmpty)
    }

    @Test(.apusOnly("in the peers `start` hands nothing over"))
    func aSecondStartDoesNotWaitForEver() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "sleep 60")
      try container.create()
      let first = try container.spawn("start")
      #expect(first.isStillRunning(after: 1))
      #expect(kill(first.process, SIGKILL) == 0)
      _ = try first.wait()
      expectError(try container.attempt("start", timeout: 30), says: "or is being started already")
      try container.delete("--force")
      try expectNothingLeft()
    }

    // MARK: Somebody stands still

    @Test(.apusOnly("in the peers `start` hands nothing over"), arguments: ["accepted", "queued", "full"])
    func forcedDeleteDoesNotWaitForAListener(how: String) throws {
      let idle = try IdleListener()
      var others: [Int32] = []
      defer { for other in others { close(other) } }
      let container = try container(["sethostname"], idle: idle.path)
      try container.create()
      if how == "full" { for _ in 0..<2 { others.append(support_unix_connect(idle.path)) } }
      let start = try container.spawn("start")
      if how == "accepted" { try idle.accept() }
      #expect(start.isStillRunning(after: 0.5))
      let began = Deadline.now
      #expect(try container.status() == "created")
      try container.delete("--force")
      #expect(Deadline.now - began < 5)
      #expect(try start.wait(timeout: 5).code != 0)
      try expectNothingLeft()
    }

    /// Ten seconds for all of it, and not for each of its parts.
    @Test(.apusOnly("the peers wait for ever"))
    func aListenerThatReadsSlowlyHasTenSecondsAltogether() throws {
      let idle = try IdleListener()
      let container = try container(["sethostname"], idle: idle.path)
      let call = try container.spawn("run")
      try idle.accept()
      let start = Deadline.now
      while call.isStillRunning(after: 1), Deadline.now - start < 40 { _ = idle.read(50_000) }
      #expect(8...25 ~= Deadline.now - start)
      expectError(try call.wait(), detail: "`\(idle.path)`")
      try expectNothingLeft()
    }

    // MARK: Somebody is in the container

    @Test(.apusOnly("the peers take it"), arguments: ["directly", "by a link"])
    func aListenerInTheRootFileSystemIsRefused(how: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      let folder = URL(filePath: container.bundle.path).lastPathComponent
      let agent = try SeccompAgent(at: "\(folder)/rootfs/listener")
      defer { agent.end() }
      let link = try Workspace.active().directory + "/link"
      symlink(agent.path, link)
      defer { unlink(link) }
      container.notify(["sethostname"], at: how == "directly" ? agent.path : link)
      for verb in ["create", "run"] {
        expectError(
          try container.attempt(verb), says: "is in the root file system of the container",
          detail: "(at `/linux/seccomp/listenerPath`)")
      }
      #expect(agent.connections.isEmpty)
    }

    /// It has put its own socket into the place of that of the host. Who has called listen(2) may have left it to another.
    @Test(
      .apusOnly("the peers send it the listener"),
      arguments: [("exec ", "", "is a process of the container"), ("", " gone", "cannot find out who listens")])
    func aProcessOfTheContainerIsNoListener(how: String, then: String, says: String) throws {
      let folder = try Workspace.active().directory + "/shared"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      let agent = try SeccompAgent(at: "shared/listener")
      let container = try Container(args: [
        "/bin/sh", "-c", "read line; \(how)/bin/agent listen /shared/listener\(then); exec sleep 3600",
      ])
      container.bundle.addMount("/shared", type: "bind", source: folder, options: ["bind", "rw"])
      container.notify(["sethostname"], at: agent.path)
      let input = try Pipe.make()
      defer { close(input.write) }
      _ = try container.spawn("run", ["--detach"], options: Subprocess.Options(stdin: input.read)).wait()
      close(input.read)
      agent.end()
      #expect(write(input.write, "go\n", 3) == 3)
      try container.stdout.waitFor("ready")
      let outcome = try container.attempt("exec", rest: ["/bin/sh", "-c", "echo it runs"])
      expectError(outcome, says: says, detail: "(at `/linux/seccomp/listenerPath`)")
      #expect(outcome.stdout == "")
      #expect(try container.status() == "running")
      try container.delete("--force")
      try FileManager.default.removeItem(atPath: folder)
      try expectNothingLeft()
    }

    /// What was a link at `create` is not one for `exec`.
    @Test(.apusOnly("the peers follow the link again"))
    func theListenerOfExecIsThatOfCreate() throws {
      let agent = try SeccompAgent([Call.sethostname: .value(3)])
      defer { agent.end() }
      let other = try SeccompAgent([Call.sethostname: .value(4)], at: "other")
      defer { other.end() }
      let link = try Workspace.active().directory + "/link"
      symlink(agent.path, link)
      defer { unlink(link) }
      let container = try Container(args: ["/bin/agent", "pause"])
      container.notify(["sethostname"], at: link)
      try container.runDetached()
      unlink(link)
      symlink(other.path, link)
      let outcome = try container.attempt("exec", rest: ["/bin/agent", "syscall", "sethostname"])
      #expect(outcome.stdout.contains("3"), "\(outcome)")
      // Nor is its place in the record followed, if it has become a link.
      try FileManager.default.moveItem(atPath: agent.path, toPath: agent.path + ".kept")
      symlink(other.path, agent.path)
      expectError(
        try container.attempt("exec", rest: ["/bin/agent", "syscall", "sethostname"]),
        says: "too many levels of symbolic links", detail: "(at `/linux/seccomp/listenerPath`)")
      unlink(agent.path)
      try FileManager.default.moveItem(atPath: agent.path + ".kept", toPath: agent.path)
      #expect(other.connections.isEmpty && agent.connections.count == 2)
    }
  }
}

private struct Pipe {
  let read: Int32
  let write: Int32

  static func make() throws -> Pipe {
    var ends: [Int32] = [-1, -1]
    guard support_pipe(&ends) == 0 else { throw HarnessError(errno: errno, "pipe") }
    return Pipe(read: ends[0], write: ends[1])
  }
}
