import Foundation
import Testing

extension Integration {
  /// Many commands in one container.
  @Suite struct ExecLoadTests {
    /// What the commands of a container that is there have left: files, cgroups, and processes that nobody has collected.
    private func expectNothingLeft(
      of container: Container, since before: Snapshot, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let zombies = Processes.descendants().filter { $0.state == "Z" }.map { "\($0.id) \($0.command)" }
      #expect(zombies.isEmpty, "not waited for: \(zombies)", sourceLocation: sourceLocation)
      let differences = try Snapshot(stateRoot: Workspace.active().stateRoot).differences(from: before)
      #expect(differences.isEmpty, "\(differences)", sourceLocation: sourceLocation)
      let processes = try container.spawn("ps", ["--format", "json"]).wait().json.ints
      #expect(processes == [try container.pid()], sourceLocation: sourceLocation)
      #expect(try container.execReport("processes")["processes"].ints.count == 2, sourceLocation: sourceLocation)
    }

    /// After a first command, which may leave a cache.
    private func snapshot(of container: Container) throws -> Snapshot {
      #expect(try container.exec(["/bin/agent", "exit", "4"]).code == 4)
      return try Snapshot(stateRoot: Workspace.active().stateRoot)
    }

    @Test(.peerMayDiffer("crun", "1.8.1", "leaves processes behind"))
    func manyCommandsAtOnce() throws {
      let container = try Container.running()
      let before = try snapshot(of: container)
      let children = try (0..<50).map { try container.spawn("exec", rest: ["/bin/agent", "exit", "\($0)"]) }
      for (number, child) in children.enumerated() { #expect(try child.wait().code == Int32(number)) }
      try expectNothingLeft(of: container, since: before)
    }

    @Test(.peerMayDiffer("crun", "1.8.1", "leaves processes behind"))
    func manyCommandsInARow() throws {
      let container = try Container.running()
      let before = try snapshot(of: container)
      for _ in 0..<(TestRun.isFull ? 1000 : 100) { #expect(try container.exec(["/bin/agent", "exit", "0"]).code == 0) }
      try expectNothingLeft(of: container, since: before)
    }

    /// Each is the child of whoever called, who collects it.
    @Test(.peerMayDiffer("crun", "1.8.1", "leaves processes behind"))
    func manyDetachedCommands() throws {
      let container = try Container.running()
      let before = try snapshot(of: container)
      let file = "\(container.bundle.path)/exec.pid"
      for _ in 0..<(TestRun.isFull ? 1000 : 50) {
        try container.exec(["/bin/agent", "exit", "0"], "--detach", "--pid-file", file).expectSuccess()
        let pid = try #require(Int32(try Files.read(file)))
        #expect(waitpid(pid, nil, 0) == pid)
      }
      unlink(file)
      try expectNothingLeft(of: container, since: before)
    }
  }
}
