package import Diagnostics
import Linux
package import OCISpec

/// What the kernel counts of limits that were met, since a cgroup was made.
package struct LimitCounts: Equatable, Sendable {
  package var oomKills: UInt64?
  /// How often the memory limit was met; v1 does not tell.
  package var memoryLimitHits: UInt64?
  package var pidsLimitHits: UInt64?

  package init(oomKills: UInt64? = nil, memoryLimitHits: UInt64? = nil, pidsLimitHits: UInt64? = nil) {
    self.oomKills = oomKills
    self.memoryLimitHits = memoryLimitHits
    self.pidsLimitHits = pidsLimitHits
  }

  /// Of a cgroup whose counters cannot be read, or whose sum may become less: what is added to it later is not known.
  static var unknown: LimitCounts { LimitCounts(oomKills: .max, memoryLimitHits: .max, pidsLimitHits: .max) }

  /// What came to one counter since it was `before`; nil where that cannot be known.
  static func added(to before: UInt64?, _ now: UInt64?) -> UInt64? {
    let before = before ?? 0
    guard let now, before != .max, now >= before else { return nil }
    return now - before
  }
}

extension CgroupManager {
  /// How often the container met its limits; nil where no cgroup tells.
  package func limitEvents() throws(RuntimeError) -> LimitEvents? {
    let now = try limitCounts()
    let before = record.countsBefore
    let events = LimitEvents(
      oomKills: LimitCounts.added(to: before.oomKills, now.oomKills),
      isMemoryLimitMet: LimitCounts.added(to: before.memoryLimitHits, now.memoryLimitHits).map { $0 > 0 },
      pidsLimitHits: LimitCounts.added(to: before.pidsLimitHits, now.pidsLimitHits))
    return events == LimitEvents() ? nil : events
  }

  /// Keeps what was counted in a cgroup that was there before the container, and is not its own. Where it cannot be read,
  /// nothing is told later.
  package func keepCounts() throws(RuntimeError) {
    if record.directories.allSatisfy(isFresh) { return }
    record.countsBefore = .unknown
    record.countsBefore = try limitCounts(isBefore: true)
  }

  /// - Parameter isBefore: for later comparison: numbers that become less with a cgroup that goes are unknown.
  private func limitCounts(isBefore: Bool = false) throws(RuntimeError) -> LimitCounts {
    var counts = LimitCounts()
    if let directory = record.directory(of: "memory"), let files = try CgroupFiles(directory.path) {
      if directory.version == .v1 {
        counts.oomKills = try files.sum("memory.oom_control", of: "oom_kill", isBefore)
      } else {
        for (key, value) in try files.pairs("memory.events") {
          if key == "oom_kill" { counts.oomKills = value }
          if key == "oom" { counts.memoryLimitHits = value }
        }
      }
    }
    if let directory = record.directory(of: "pids"), let files = try CgroupFiles(directory.path) {
      counts.pidsLimitHits =
        directory.version == .v1
        ? try files.sum("pids.events", of: "max", isBefore) : try files.value("pids.events", of: "max")
    }
    return counts
  }
}

extension CgroupFiles {
  /// More cgroups below are not gone through: how many there are is the container's choice.
  private static var mostBelow: Int { 1000 }

  /// One counter of v1, which counts in each cgroup by itself, of this one and of all below; nil where there is none, or where
  /// there are too many of them.
  fileprivate func sum(_ name: String, of key: String, _ isBefore: Bool) throws(RuntimeError) -> UInt64? {
    guard let own = try value(name, of: key) else { return nil }
    var below: UInt64 = 0
    var count = -1
    do throws(SystemError) {
      // Its name and its own `.`, and no `..` of another: nothing is below, as nearly always.
      if try directory.descriptor.status().links == 2 { return own }
      try directory.descriptor.visitCgroups { (cgroup) throws(SystemError) in
        count += 1
        if count > CgroupFiles.mostBelow { return false }
        // The first one is this cgroup itself.
        guard count > 0, let bytes = try cgroup.cgroupFile(name), let text = CgroupText.value(of: key, in: bytes) else {
          return true
        }
        guard let number = UInt64(text) else { throw SystemError("read", .inputOutput, name) }
        below &+= number
        return true
      }
    } catch {
      throw error.because(.cgroup, phrase("cannot read `", name, "` below `", path, "`"))
    }
    if count > CgroupFiles.mostBelow { return nil }
    if isBefore && below > 0 { return .max }
    return own &+ below
  }
}
