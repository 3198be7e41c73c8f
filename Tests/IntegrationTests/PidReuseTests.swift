import Foundation
import Testing

extension Integration {
  /// The number of a container's first process is used again by another one.
  @Suite struct PidReuseTests {
    /// A container whose first process has ended, and a stranger with its number.
    private func recycled(
      isStarted: Bool, hasPidNamespace: Bool
    ) throws -> (container: Container, stranger: Subprocess, pid: Int, start: Int) {
      let container = try Container(args: ["/bin/agent", "pause"])
      if !hasPidNamespace { container.bundle.removeNamespace("pid") }
      try container.create()
      if isStarted { try container.start() }
      let pid = try container.pid()
      let start = try #require(Processes.startTime(pid))
      try container.end()
      Processes.reap()
      // The peers compare the start time alone, which counts in hundredths of a second.
      if Runtime.current.isPeer { usleep(30_000) }
      let stranger = try Subprocess(container.bundle.rootfs + "/bin/agent", ["born", "\(pid)"])
      try stranger.stdout.waitFor("ready")
      return (container, stranger, pid, start)
    }

    /// It says so itself: had it got another signal before, that one would stand here.
    private func expectUntouched(_ stranger: Subprocess, _ pid: Int) throws {
      Glibc.kill(pid_t(pid), SIGUSR1)
      #expect(try stranger.wait().stdout == "ready\nsignal 10\n")
    }

    enum Command: CaseIterable {
      case state, kill, killAll, exec, execDetached, ps, list, start, delete, forcedDelete
    }

    @Test(.attack("pid-reuse"), arguments: Command.allCases, [true, false])
    func processThatGotTheNumberIsNeverMeant(command: Command, hasPidNamespace: Bool) throws {
      let (container, stranger, pid, _) = try recycled(isStarted: command != .start, hasPidNamespace: hasPidNamespace)
      switch command {
      case .state:
        #expect(try container.status() == "stopped")
        #expect([nil, 0].contains(try container.state()["pid"].int))
      case .list:
        let list = try runtime("list", "--format", "json").json
        #expect(list.elements.map { $0["status"].string } == ["stopped"])
      case .kill:
        for signal in ["TERM", "KILL", "0"] {
          expectError(try container.attempt("kill", rest: [signal]), says: "container not running")
        }
      case .killAll:
        // Nothing is left of it, which is what was wanted.
        for signal in ["TERM", "KILL"] { _ = try container.attempt("kill", "--all", rest: [signal]) }
      case .exec: expectError(try container.exec(["/bin/agent", "exit", "0"]), detail: "stopped container")
      case .execDetached:
        expectError(try container.exec(["/bin/agent", "exit", "0"], "--detach"), detail: "stopped container")
      case .ps: #expect(try !container.spawn("ps", ["--format", "json"]).wait().stdout.contains("\(pid)"))
      case .start: expectError(try container.attempt("start"))
      case .delete: try container.delete()
      case .forcedDelete: try container.delete("--force")
      }
      try expectUntouched(stranger, pid)
      _ = try container.attempt("delete", "--force")
      try expectNothingLeft()
    }

    /// A start time says which process it is to a hundredth of a second only; the pidfd says it always (Linux 6.9).
    @Test(.attack("pid-reuse"), .apusOnly("the form of the state"))
    func processOfTheSameMomentIsNotMeantEither() throws {
      let (container, stranger, pid, start) = try recycled(isStarted: true, hasPidNamespace: false)
      let path = try Workspace.active().stateRoot + "/\(container.id)/record"
      var record = try Data(contentsOf: URL(fileURLWithPath: path))
      func bytes(_ number: some FixedWidthInteger) -> Data { withUnsafeBytes(of: number.littleEndian) { Data($0) } }
      // The number and the start time behind it: the number alone may be the length of a text as well.
      let place = try #require(record.range(of: bytes(UInt32(pid)) + bytes(UInt64(start))))
      let time = UInt64(try #require(Processes.startTime(pid)))
      record.replaceSubrange(place, with: bytes(UInt32(pid)) + bytes(time))
      try record.write(to: URL(fileURLWithPath: path))
      #expect(try container.status() == "stopped")
      expectError(try container.attempt("kill", rest: ["KILL"]), says: "container not running")
      expectError(try container.exec(["/bin/agent", "exit", "0"]), says: "stopped container")
      try container.delete("--force")
      try expectUntouched(stranger, pid)
      try expectNothingLeft()
    }
  }
}
