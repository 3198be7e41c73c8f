import Diagnostics
import Linux
import LinuxABI

/// Whether processes are left in a cgroup and in those below it, and what to poll to hear that it may have changed: an event of
/// v2; on v1 there is none, so that one process after the other is waited for.
final class CgroupPopulation {
  private let directory: CgroupDirectory
  /// `cgroup.events`; none on v1, and where the cgroup was removed.
  private let events: FileDescriptor
  private var member = CgroupDirectory(.none)
  private var memberPid: Int32 = 0

  init(_ directory: CgroupDirectory) throws(SystemError) {
    self.directory = directory
    do {
      events = try directory.descriptor.open("cgroup.events", .readOnly)
    } catch {
      guard error.isGone else { throw error }
      events = .none
    }
  }

  /// Whether every change is told; a process of v1 may leave the cgroup alive.
  var isToldByEvent: Bool { events.number >= 0 }

  /// One for the event, one for a process.
  var polled: [(number: Int32, events: Int16)] {
    [(events.number, Poll.priority), (member.descriptor.number, Poll.readable)]
  }

  func isEmpty() throws(SystemError) -> Bool {
    if events.number < 0 { return try hasNoMember() }
    do {
      // From the start: the kernel counts events from the last such read.
      return CgroupText.value(of: "populated", in: try events.readFromStart(upTo: 4096)) != "1"
    } catch {
      // Removed, and so empty.
      if error.errno == .noDevice { return true }
      throw error
    }
  }

  private func hasNoMember() throws(SystemError) -> Bool {
    // The bound is for those that start faster than they are waited for.
    for _ in 0..<1000 {
      let pids = try directory.descriptor.cgroupProcesses()
      guard let first = pids.first else { return true }
      if pids.contains(memberPid) {
        guard try Poll.wait(member.descriptor, for: Poll.readable, timeout: 0) else { return false }
        // It has ended, and leaves the list in a moment, even if its parent has not reaped it.
        try Pause.milliseconds(1)
      }
      memberPid = 0
      do {
        member = CgroupDirectory(try Processes.open(first))
        memberPid = first
      } catch {
        if error.errno != .noProcess && error.errno != .invalid { throw error }
        try Pause.milliseconds(1)
      }
    }
    return false
  }
}

extension CgroupDirectory {
  /// Waits until no process is in this cgroup and in those below it; false when `end`, of ``Clock/monotonicMilliseconds()``,
  /// came first.
  func waitUntilEmpty(until end: Int64) throws(SystemError) -> Bool {
    let population = try CgroupPopulation(self)
    while true {
      if try population.isEmpty() { return true }
      let left = end - Clock.monotonicMilliseconds()
      if left <= 0 { return false }
      _ = try Poll.wait(population.polled, timeout: population.isToldByEvent ? left : min(left, 50))
    }
  }
}
