import Cgroups
public import Diagnostics
import Linux
public import OCISpec

extension ContainerRuntime {
  /// What the kernel has counted of the resources of a container that has not stopped.
  ///
  /// - Throws: `containerNotRunning` where it has stopped, `cgroup` where it has no cgroup, or one whose files cannot be
  ///   understood: the file is named.
  public func statistics(_ id: String) throws(RuntimeError) -> ContainerStatistics {
    try statistics(try recordOfMeasured(id))
  }

  /// Tells what happens to a container until no process of it is left: its numbers each time `interval` milliseconds have
  /// passed, and at once that it met its memory limit. Throws as ``statistics(_:)``, and what `tell` throws.
  public func events(
    _ id: String, interval: Int64, _ tell: (ContainerEvent) throws(RuntimeError) -> Void
  ) throws(RuntimeError) {
    let record = try recordOfMeasured(id)
    let watch = try CgroupWatch(CgroupManager(record: record.cgroup))
    var end = Clock.monotonicMilliseconds() + interval
    while true {
      switch try watch.next(until: end) {
      case .outOfMemory: try tell(.outOfMemory)
      case .ended: return
      case nil:
        try tell(.statistics(try statistics(record)))
        // A reader that is late gets the next one late, and not several at once.
        end = max(end + interval, Clock.monotonicMilliseconds())
      }
    }
  }

  private func recordOfMeasured(_ id: String) throws(RuntimeError) -> ContainerRecord {
    try checkID(id)
    let entry = try store.open(id, locking: false)
    // The words of runc.
    guard let record = try entry.read(), try status(record, entry) != .stopped else {
      throw RuntimeError(.containerNotRunning, phrase("container with id ", id, " is not running"))
    }
    if record.cgroup.directories.isEmpty {
      throw RuntimeError(
        .cgroup, phrase("there are no statistics of `", id, "`: it was made without a cgroup"),
        hint: "without root a container has one only where one is delegated")
    }
    return record
  }

  private func statistics(_ record: ContainerRecord) throws(RuntimeError) -> ContainerStatistics {
    var statistics = try CgroupManager(record: record.cgroup).statistics()
    if !record.joinedResctrl.isEmpty { statistics.intelRdt = try ResctrlGroup.statistics(record.joinedResctrl) }
    return statistics
  }
}
