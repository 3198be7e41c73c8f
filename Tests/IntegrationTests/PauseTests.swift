import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `pause` and `resume`, and what the other commands do with a paused container.
  @Suite(.bothDrivers) struct PauseTests {
    private func running(_ line: String = "while :; do echo tick; sleep 0.01; done") throws -> Container {
      let container = try Container(args: ["/bin/sh", "-c", line])
      try container.runDetached()
      return container
    }

    private func succeed(_ outcome: Outcome, _ location: SourceLocation = #_sourceLocation) {
      #expect(outcome.code == 0, "\(outcome)", sourceLocation: location)
    }

    /// Clock ticks that the processes of the container have used, and the number of those.
    private func used(_ container: Container) throws -> [String] {
      let folder = try container.cgroup(CgroupView.current == .v2 ? "" : "freezer")
      return try Files.read(folder + "/cgroup.procs").split(separator: "\n").map { pid in
        let words = try Files.read("/proc/\(pid)/stat").split(separator: " ")
        return "\(pid) \(words[13]) \(words[14])"
      }
    }

    @Test(
      .peerMayDiffer("runc", "1.1.5", "gives up soon where the machine is busy"),
      .peerMayDiffer("crun", "1.8.1", "says `running` while a cgroup of v1 is being frozen"))
    func pausedContainerStandsStillUntilItIsResumed() throws {
      let container = try running(
        "(while :; do :; done) & (while :; do :; done) & echo ready; while :; do :; done")
      try container.stdout.waitFor("ready")
      succeed(try container.attempt("pause"))
      #expect(try container.status() == "paused")
      let before = try used(container)
      #expect(before.count == 3)
      usleep(100_000)
      #expect(try used(container) == before)
      succeed(try container.attempt("resume"))
      #expect(try container.status() == "running")
      let deadline = Deadline(5)
      while try used(container) == before && !deadline.hasPassed { usleep(10_000) }
      #expect(try used(container) != before)
    }

    /// The freezer asks the processes that it finds; one that forks all the time must not slip through.
    @Test(.peerMayDiffer("runc", "1.1.5", "gives up soon where the machine is busy"))
    func containerThatForksAllTheTimeIsPaused() throws {
      let container = try running(
        "for i in 1 2 3; do (while :; do /bin/true; done) & done; while :; do /bin/true; done")
      for _ in 0..<5 {
        succeed(try container.attempt("pause"))
        let before = try used(container)
        usleep(20_000)
        #expect(try used(container) == before)
        succeed(try container.attempt("resume"))
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it for done")) func onlyAPausedContainerIsResumed() throws {
      let container = try running()
      expectError(try container.attempt("resume"), detail: "container not paused: `\(container.id)` is running")
      #expect(try container.status() == "running")
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it for done"))
    func containerThatIsPausedAlreadyIsNotPausedAgain() throws {
      let container = try running()
      succeed(try container.attempt("pause"))
      expectError(try container.attempt("pause"), detail: "container is already paused")
      #expect(try container.status() == "paused")
      succeed(try container.attempt("resume"))
    }

    @Test func stoppedContainerIsNeitherPausedNorResumed() throws {
      let container = try running()
      try container.end()
      expectError(try container.attempt("pause"), detail: "container not running: `\(container.id)` is stopped")
      expectError(try container.attempt("resume"), detail: "container not paused: `\(container.id)` is stopped")
      #expect(try container.status() == "stopped")
      let nobody = try Container()
      expectError(try nobody.attempt("pause"), says: "does not exist")
      expectError(try nobody.attempt("resume"), says: "does not exist")
    }

    @Test(.peerDiffers("crun", "1.8.1", "says `created` of it all the time"))
    func createdContainerIsPausedAndCreatedAgain() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      succeed(try container.attempt("pause"))
      #expect(try container.status() == "paused")
      succeed(try container.attempt("resume"))
      #expect(try container.status() == "created")
      try container.start()
      #expect(try container.status() == "running")
    }

    @Test(.apusOnly("the peers wait for it, or take it for running"))
    func pausedContainerIsNotStarted() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      succeed(try container.attempt("pause"))
      expectError(try container.attempt("start"), detail: "paused")
      succeed(try container.attempt("resume"))
      try container.start()
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves it frozen in v1, where no signal arrives"))
    func pausedContainerIsKilled() throws {
      let container = try running()
      let pid = try container.pid()
      succeed(try container.attempt("pause"))
      try container.kill("KILL")
      #expect(waitForEnd(of: pid))
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }

    @Test func otherSignalArrivesWhenItIsResumed() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let pid = try container.pid()
      succeed(try container.attempt("pause"))
      try container.kill("TERM")
      usleep(50_000)
      #expect(try container.status() == "paused")
      succeed(try container.attempt("resume"))
      #expect(waitForEnd(of: pid))
    }

    @Test func pausedContainerIsDeletedByForce() throws {
      let container = try running("sleep 100 & sleep 100")
      succeed(try container.attempt("pause"))
      expectError(try container.attempt("delete"), detail: "paused")
      #expect(try container.status() == "paused")
      try container.delete("--force")
      try expectNothingLeft()
    }

    /// Waits for a file system in user space whose server does not answer: no signal and no freezer gets through.
    @Test(
      .peerMayDiffer("runc", "1.1.5", "takes longer than anybody waits in v2"),
      .peerMayDiffer("crun", "1.8.1", "waits for ever"))
    func processThatCannotBeStoppedIsNamedAndAllGoOn() throws {
      let server = try ServedFolder()
      defer { server.end() }
      let line = "sleep 100 & while sleep 0.05; do cat /folder/*; done"
      let container = try Container(args: ["/bin/sh", "-c", line])
      container.bundle.addMount("/folder", type: "bind", source: server.path, options: ["bind"])
      try container.runDetached()
      try container.stdout.waitFor("served")
      server.stop()
      let stuck = try server.waitingProcess(of: container)
      let outcome = try container.attempt("pause", timeout: 30)
      expectError(outcome, detail: "process \(stuck) (`")
      #expect(try container.status() == "running")
      server.answer()
      succeed(try container.attempt("pause"))
      succeed(try container.attempt("resume"))
      try container.end()
      try container.delete()
    }

    @Test(.apusOnly("the peers do not look above")) func frozenCgroupAboveIsAnError() throws {
      let container = try running()
      succeed(try container.attempt("pause"))
      try Freezer(container, above: true).whileFrozen {
        expectError(try container.attempt("resume"), detail: "one above it is frozen")
      }
      #expect(try container.status() == "running")
    }

    /// The cgroup that the container has made below its own stops with it.
    @Test func processesInCgroupsBelowStopToo() throws {
      let container = try running("(while :; do :; done) & echo ready; wait")
      try container.stdout.waitFor("ready")
      let folder = try container.cgroup(CgroupView.current == .v2 ? "" : "freezer")
      let inner = folder + "/inner"
      mkdir(inner, 0o755)
      let pids = try Files.read(folder + "/cgroup.procs").split(separator: "\n").map(String.init)
      let pid = try "\(container.pid())"
      guard let child = pids.first(where: { $0 != pid }) else { throw HarnessError("no child: \(pids)") }
      try Files.write(child, to: inner + "/cgroup.procs")
      succeed(try container.attempt("pause"))
      func ticks() throws -> [Substring] {
        let words = try Files.read("/proc/\(child)/stat").split(separator: " ")
        return Array(words[13...14])
      }
      let before = try ticks()
      usleep(50_000)
      #expect(try ticks() == before)
      succeed(try container.attempt("resume"))
      try container.delete("--force")
      try expectNothingLeft()
    }
  }
}
