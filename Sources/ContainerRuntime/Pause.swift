import Cgroups
public import Diagnostics
import Linux

extension ContainerRuntime {
  /// Stops every process of a container that is created or running. Returns when all stand still; if one does not stop
  /// within 10 seconds, all go on.
  ///
  /// - Throws: `containerNotRunning` or `wrongStatus` by the status, `cgroup` without a cgroup, `processesRemain` with the
  ///   process that does not stop.
  public func pause(_ id: String) throws(RuntimeError) {
    try checkID(id)
    // The lock: a `start` that gives its order to a process that has just been frozen would wait for it.
    let entry = try openSoon(id)
    let record = try entry.read()
    let status = try status(record, entry, holdsLock: true)
    guard let record, status == .created || status == .running else {
      if status == .paused { throw RuntimeError(.wrongStatus, "container is already paused: `\(id)`") }
      throw RuntimeError(.containerNotRunning, "container not running: `\(id)` is \(status.name)")
    }
    let manager = CgroupManager(record: record.cgroup)
    do {
      try manager.pause()
    } catch {
      throw error.during("cannot pause `\(id)`")
    }
    // It may have ended before it could be stopped. An empty cgroup that stays frozen would stop the next who joins it.
    if try isAlive(record) { return }
    try manager.resume()
    throw RuntimeError(.containerNotRunning, "container not running: `\(id)` has ended")
  }

  /// Lets the processes of a paused container go on.
  public func resume(_ id: String) throws(RuntimeError) {
    try checkID(id)
    // No lock: whoever holds it may wait for the very process that stands still.
    let entry = try store.open(id, locking: false)
    let record = try entry.read()
    let status = try status(record, entry, holdsLock: false)
    guard let record, status == .paused else {
      throw RuntimeError(
        status == .stopped ? .containerNotRunning : .wrongStatus, "container not paused: `\(id)` is \(status.name)")
    }
    do {
      try CgroupManager(record: record.cgroup).resume()
    } catch {
      throw error.during("cannot resume `\(id)`")
    }
  }

  /// The same where `create` may not have come so far as to write a record.
  private func status(
    _ record: ContainerRecord?, _ entry: borrowing StateStore.Entry, holdsLock: Bool
  ) throws(RuntimeError) -> ContainerStatus {
    if let record { return try status(record, entry, holdsLock: holdsLock) }
    return holdsLock ? .stopped : .creating
  }
}
