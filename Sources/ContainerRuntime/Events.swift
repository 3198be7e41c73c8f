import Cgroups
public import Diagnostics
import Linux
public import OCISpec

extension ContainerRuntime {
  /// What the kernel has counted of the resources of a container that has not stopped.
  ///
  /// - Throws: `containerNotRunning` where it has stopped, `cgroup` where it has no cgroup, one that is gone, or one whose files cannot be
  ///   understood: the file is named.
  public func statistics(_ id: String) throws(RuntimeError) -> ContainerStatistics {
    let record = try recordOfMeasured(id)
    let numbers = try statistics(record)
    // Nobody removes the cgroup of a process that lives; of one that has ended some files may have been gone already.
    guard try isAlive(record) else { throw notRunning(id) }
    return numbers
  }

  /// Tells what happens to a container until no process of it is left: its numbers each time `interval` milliseconds have
  /// passed, and at once that it met its memory limit. Numbers that cannot be read are a warning.
  ///
  /// - Throws: `containerNotRunning` and `cgroup` as ``statistics(_:)``, and what `tell` throws.
  public func events(
    _ id: String, interval: Int64, _ tell: (ContainerEvent) throws(RuntimeError) -> Void
  ) throws(RuntimeError) {
    let record = try recordOfMeasured(id)
    guard let watch = try CgroupWatch(CgroupManager(record: record.cgroup)) else { return }
    var end = Clock.monotonicMilliseconds() + interval
    while true {
      switch try watch.next(until: end) {
      case .outOfMemory: try tell(.outOfMemory)
      case .ended: return
      case nil:
        try tellStatistics(record, watch, tell)
        // A reader that is late gets the next one late, and not several at once.
        end = max(end + interval, Clock.monotonicMilliseconds())
      }
    }
  }

  /// What cannot be read this time is a warning: that the container runs out of memory is told all the same. Of a cgroup that
  /// may be in the middle of its removal nothing is told.
  private func tellStatistics(
    _ record: ContainerRecord, _ watch: CgroupWatch, _ tell: (ContainerEvent) throws(RuntimeError) -> Void
  ) throws(RuntimeError) {
    let numbers: ContainerStatistics
    do {
      numbers = try statistics(record)
    } catch {
      if try !watch.isEmpty() { options.log.warning(error.text) }
      return
    }
    if try !watch.isEmpty() { try tell(.statistics(numbers)) }
  }

  /// The words of runc.
  private func notRunning(_ id: String) -> RuntimeError {
    RuntimeError(.containerNotRunning, phrase("container with id ", id, " is not running"))
  }

  private func recordOfMeasured(_ id: String) throws(RuntimeError) -> ContainerRecord {
    try checkID(id)
    let entry = try store.open(id, locking: false)
    guard let record = try entry.read(), try status(record, entry) != .stopped else {
      throw notRunning(id)
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
