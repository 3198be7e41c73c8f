import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `delete` of a container whose processes do not end: it waits, and then says which one, and why.
  @Suite struct HeldContainerTests {
    /// What the container runs: it holds a file of the served folder, and closes it when it is told to (FUSE_FLUSH).
    private static let line = "exec 3</folder/file; echo served; read line </go; exec 3<&-; exec sleep 100"

    /// Starts the container and holds the process that executes the line; its number.
    private func hold(_ container: Container, by server: ServedFolder) throws -> String {
      container.bundle.addMount("/folder", type: "bind", source: server.path, options: ["bind"])
      mkfifo(container.bundle.rootfs + "/go", 0o644)
      try container.runDetached()
      try container.stdout.waitFor("served")
      server.stop()
      try Files.write("\n", to: container.bundle.rootfs + "/go")
      return try server.waitingProcess(of: container)
    }

    @Test(.apusOnly("the peers do not look for it"))
    func processThatCannotBeInterruptedIsNamed() throws {
      let server = try ServedFolder()
      defer { server.end() }
      let container = try Container(args: ["/bin/sh", "-c", Self.line])
      let stuck = try hold(container, by: server)
      let outcome = try container.attempt("delete", "--force")
      expectError(outcome, detail: "did not end within 10 seconds of SIGKILL: process \(stuck) (`sh`) in state D")
      #expect(outcome.stderr.contains("/proc/\(stuck)/stack"))
      #expect(try container.status() == "running")
      server.answer()
      try container.delete("--force")
      server.end()
      try expectNothingLeft()
    }

    /// Without a pid namespace the first process ends, and the others are left.
    @Test(.apusOnly("the peers do not look for it"))
    func processThatOutlivesTheFirstIsNamed() throws {
      let server = try ServedFolder()
      defer { server.end() }
      let container = try Container(args: ["/bin/sh", "-c", "(\(Self.line)) & wait"])
      container.bundle.removeNamespace("pid")
      let stuck = try hold(container, by: server)
      let outcome = try container.attempt("delete", "--force")
      expectError(outcome, detail: "is not empty: process \(stuck) (`sh`) in state D (uninterruptible sleep)")
      #expect(try container.status() == "stopped")
      server.answer()
      try container.delete()
      server.end()
      try expectNothingLeft()
    }

    @Test(.peerMayDiffer("runc", "1.1.5", "tries 100 times"), .peerMayDiffer("crun", "1.8.1", "leaves it behind"))
    func deleteGoesOnInTheMomentInWhichTheProcessEnds() throws {
      let server = try ServedFolder()
      defer { server.end() }
      let container = try Container(args: ["/bin/sh", "-c", Self.line])
      _ = try hold(container, by: server)
      let call = try container.spawn("delete", ["--force"])
      #expect(call.isStillRunning(after: 1))
      server.answer()
      let start = Deadline.now
      #expect(try call.wait().code == 0)
      #expect(Deadline.now - start < 1)
      server.end()
      try expectNothingLeft()
    }

    /// On v2 a frozen process can be killed.
    @Test(.views(.hybrid, .v1), .apusOnly("the peers do not look above"))
    func frozenCgroupAboveIsNamed() throws {
      let container = try Container(args: ["/bin/sh", "-c", "sleep 100 & wait"])
      try container.runDetached()
      try Freezer(container, above: true).whileFrozen {
        let outcome = try container.attempt("delete", "--force")
        expectError(outcome, detail: "a cgroup above is frozen")
        #expect(outcome.stderr.contains("in state D"), "\(outcome)")
      }
      try container.delete("--force")
      try expectNothingLeft()
    }

    /// The kernel ends the first process of a pid namespace only when all others have been waited for.
    @Test(.apusOnly("the peers do not look for it"))
    func processThatNobodyHasWaitedForIsNamedWithItsParent() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      let pidFile = "\(container.bundle.path)/pid"
      let made = try container.attempt("exec", "--detach", "--pid-file", pidFile, rest: ["/bin/agent", "pause"])
      try #require(made.code == 0, "\(made)")
      let pid = try Files.read(pidFile)
      let outcome = try container.attempt("delete", "--force")
      expectError(outcome, detail: "process \(pid) (`agent`) in state Z (ended)")
      #expect(outcome.stderr.contains("process \(getpid()), its parent, has not waited for it"), "\(outcome)")
      Processes.reap()
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test func processesInCgroupsBelowEndToo() throws {
      let container = try Container(args: ["/bin/sh", "-c", "sleep 100 & echo ready; wait"])
      container.bundle.removeNamespace("pid")
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let folder = try container.cgroup(CgroupView.current == .v2 ? "" : "freezer")
      let inner = folder + "/inner"
      mkdir(inner, 0o755)
      let pid = try "\(container.pid())"
      let pids = try Files.read(folder + "/cgroup.procs").split(separator: "\n").map(String.init)
      for other in pids where other != pid { try Files.write(other, to: inner + "/cgroup.procs") }
      try container.delete("--force")
      try expectNothingLeft()
    }

    /// crun leaves all of it behind.
    private func removeTree(_ top: String, _ pids: [String]) throws {
      for pid in pids.compactMap({ Int32($0) }) { kill(pid, SIGKILL) }
      try waitUntil {
        if !Files.exists(top) { return true }
        // It fails as long as a process has not ended.
        return try Subprocess("/usr/bin/find", [top, "-depth", "-type", "d", "-delete"]).wait().code == 0
      }
    }

    /// A container that may write to its cgroup decides how deep those below are, and what they are called.
    @Test(
      .attack("cgroup-tree"), .peerMayDiffer("crun", "1.8.1", "goes down with one descriptor for each"),
      arguments: ["d", "\u{FF}"])
    func cgroupsBelowOfAnyDepthAndNameAreRemoved(_ name: String) throws {
      let container = try Container(args: ["/bin/sh", "-c", "sleep 100 & echo ready; wait"])
      container.bundle.removeNamespace("pid")
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let first = try container.pid()
      // As Latin-1, so that it need not be UTF-8.
      let bytes = name.unicodeScalars.map { CChar(truncatingIfNeeded: $0.value) } + [0]
      let top = try container.cgroup(CgroupView.current == .v2 ? "" : "freezer")
      let pids = try Files.read(top + "/cgroup.procs").split(separator: "\n").map(String.init)
      let sleeper = try #require(pids.first { $0 != String(first) })
      defer {
        if Runtime.current.isPeer { cleanUp { try removeTree(top, pids) } }
      }
      var folder = open(top, O_DIRECTORY | O_CLOEXEC)
      for _ in 0..<1500 {
        try #require(mkdirat(folder, bytes, 0o755) == 0)
        let below = openat(folder, bytes, O_DIRECTORY | O_CLOEXEC)
        close(folder)
        folder = below
      }
      let lowest = openat(folder, "cgroup.procs", O_WRONLY | O_CLOEXEC)
      #expect(write(lowest, sleeper, sleeper.utf8.count) > 0)
      close(lowest)
      close(folder)
      let script = "\(container.bundle.path)/few-descriptors"
      try Files.write("#!/bin/sh\nexec prlimit --nofile=100 \(container.executable) \"$@\"\n", to: script)
      try #require(chmod(script, 0o755) == 0)
      container.executable = script
      let listed = try container.attempt("ps", "--format", "json")
      listed.expectSuccess()
      #expect(listed.stdout.contains(sleeper))
      try container.attempt("delete", "--force").expectSuccess()
      try expectNothingLeft()
    }
  }
}
