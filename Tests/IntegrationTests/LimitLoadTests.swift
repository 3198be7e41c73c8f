import Foundation
import Testing

extension Integration {
  /// Containers that try to take more than they may have: they are held, what they took can be read, and nothing of them
  /// is left when they are deleted.
  @Suite(.bothDrivers) struct LimitLoadTests {
    private func text(_ container: Container, _ controller: String, _ file: String) throws -> String {
      try Files.read(container.cgroup(CgroupView.current == .v2 ? "" : controller) + "/" + file)
    }

    /// Under the name that the file has on v1.
    private func value(_ container: Container, _ controller: String, _ file: String) throws -> Int {
      let isV2 = CgroupView.current == .v2
      let text =
        isV2
        ? try LimitFiles.value(file, in: container.cgroup("")) : try text(container, controller, file)
      return try #require(Int(text.split(separator: "\n").first ?? ""), "\(file): \(text)")
    }

    /// The number behind a word of a file.
    private func number(_ key: String, of text: String) -> Int {
      let line = text.split(separator: "\n").first { $0.hasPrefix(key + " ") }
      return line.flatMap { Int($0.dropFirst(key.count + 1)) } ?? 0
    }

    private func container(_ args: [String], _ resources: JSONValue) throws -> Container {
      let container = try Container(args: args)
      for (name, value) in resources.members { container.bundle.config["linux"]["resources"][name] = value }
      return container
    }

    /// The limit of crun's own README; runc does not come up with it.
    @Test(
      .needs(.controllers), .peerDiffers("runc", "1.1.5", "takes more for itself"), arguments: [512, 768, 1024])
    func containerStartsWithHalfAMegabyte(kilobytes: Int) throws {
      let container = try container(["/bin/true"], ["memory": ["limit": .number(kilobytes << 10)]])
      for _ in 0..<5 {
        let outcome = try container.run()
        #expect(outcome.code == 0, "\(kilobytes) kB: \(outcome)")
      }
      try expectNothingLeft()
      try container.create()
      #expect(try value(container, "memory", "memory.limit_in_bytes") == kilobytes << 10)
      try container.start()
      try container.delete("--force")
    }

    /// Whatever is too little for a container to start is an error with the reason, at once.
    @Test(.needs(.controllers), .apusOnly("the peers say it otherwise"), arguments: [1, 4096, 65_536])
    func containerWithTooLittleMemoryIsAnError(bytes: Int) throws {
      let container = try container(["/bin/true"], ["memory": ["limit": .number(bytes), "swap": .number(bytes)]])
      expectError(try container.attempt("create"), detail: "memory")
      try expectNothingLeft()
    }

    @Test(.needs(.controllers)) func memoryHogIsHeld() throws {
      let limit = 16 << 20
      let line = "while :; do /bin/agent memory 200; echo again; done"
      let container = try container(
        ["/bin/sh", "-c", line], ["memory": ["limit": .number(limit), "swap": .number(limit)]])
      try container.runDetached()
      try container.stdout.waitFor("again")
      let most = try value(container, "memory", "memory.max_usage_in_bytes")
      #expect(most <= limit && most > limit / 2)
      let text = try text(
        container, "memory", CgroupView.current == .v2 ? "memory.events" : "memory.oom_control")
      #expect(number("oom_kill", of: text) > 0, "\(text)")
      try end(container)
    }

    @Test(.needs(.controllers)) func forkBombIsHeld() throws {
      let container = try container(["/bin/agent", "bomb", "2000"], ["pids": ["limit": 60]])
      try container.runDetached()
      try container.stdout.waitFor("held")
      for _ in 0..<20 {
        #expect(try value(container, "pids", "pids.current") <= 60)
        usleep(5000)
      }
      let events = try text(container, "pids", "pids.events")
      #expect(number("max", of: events) > 0, "\(events)")
      #expect(try value(container, "pids", "pids.current") > 50)
      try end(container)
    }

    /// A tenth of one processor: what two busy loops get in a number of whole periods is counted, whenever they end.
    @Test(.needs(.controllers)) func busyLoopIsHeldAtATenth() throws {
      let line = "(while :; do :; done) & echo ready; while :; do :; done"
      let container = try container(["/bin/sh", "-c", line], ["cpu": ["quota": 5000, "period": 50_000]])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      func statistics() throws -> (periods: Int, throttled: Int, used: Int) {
        let stat = try text(container, "cpu", "cpu.stat")
        let used =
          CgroupView.current == .v2
          ? number("usage_usec", of: stat) * 1000 : try value(container, "cpuacct", "cpuacct.usage")
        return (number("nr_periods", of: stat), number("nr_throttled", of: stat), used)
      }
      let before = try statistics()
      let deadline = Deadline(20)
      var after = before
      while after.periods - before.periods < 20 && !deadline.hasPassed {
        usleep(50_000)
        after = try statistics()
      }
      let periods = after.periods - before.periods
      let used = after.used - before.used
      #expect(periods >= 20)
      #expect(after.throttled > before.throttled)
      // Up to one period more on each side, and a slice of 5 ms for each processor that the kernel has lent out. A fifth more,
      // for kernels that look only at each tick.
      #expect(used <= (periods + 2) * 6_000_000 + 10_000_000, "\(used) ns in \(periods) periods")
      try end(container)
    }

    /// Throttled, a dying process would wait for the next period: here for nearly a second.
    @Test(
      .needs(.controllers), .apusOnly("the peers wait for the next period"),
      .cgroupfsOnly("the cgroup of a scope goes with its last process"))
    func killedContainerIsNotHeldByItsQuota() throws {
      let isV2 = CgroupView.current == .v2
      func quota(_ container: Container) throws -> String {
        let folder = try container.cgroup(isV2 ? "" : "cpu")
        return try Files.read(folder + (isV2 ? "/cpu.max" : "/cpu.cfs_quota_us"))
      }
      for (verb, flags, rest, isLifted) in [
        ("kill", [], ["TERM"], false), ("kill", [], ["KILL"], true), ("kill", ["--all"], ["KILL"], true),
      ] as [(String, [String], [String], Bool)] {
        let container = try container(
          ["/bin/sh", "-c", "echo ready; while :; do :; done"], ["cpu": ["quota": 20_000, "period": 1_000_000]])
        try container.runDetached()
        try container.stdout.waitFor("ready")
        let limited = isV2 ? "20000 1000000\n" : "20000\n"
        #expect(try quota(container) == limited)
        try container.spawn(verb, flags, rest: rest).wait().expectSuccess()
        let after = try quota(container)
        #expect(after == (isLifted ? isV2 ? "max 1000000\n" : "-1\n" : limited), "\(rest): \(after)")
        try container.delete("--force")
        try expectNothingLeft()
      }
    }

    /// Killed while they are at it, and deleted at once: no process and no cgroup is left.
    private func end(_ container: Container) throws {
      let pid = try container.pid()
      try container.kill("KILL")
      #expect(waitForEnd(of: pid))
      try container.delete()
      try expectNothingLeft()
    }
  }
}
