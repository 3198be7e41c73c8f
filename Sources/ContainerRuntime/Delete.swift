import Cgroups
public import Diagnostics
import InitChannel
import Linux

extension ContainerRuntime {
  /// Removes what `create` made (runtime.md, "Delete"). A created container is ended first, as runc does; a running one
  /// only with `force`, and with `force` an id that does not exist is no error.
  public func delete(_ id: String, force: Bool) throws(RuntimeError) {
    try checkID(id)
    let entry: StateStore.Entry
    do {
      if force { try endHolder(id) }
      entry = try store.open(id, locking: true)
    } catch {
      if force && error.code == .containerNotFound { return }
      throw error
    }
    let record: ContainerRecord?
    do {
      record = try entry.read()
    } catch {
      guard force else { throw error }
      options.log.warning("\(error.text); the folder is removed, a cgroup may stay")
      record = nil
    }
    if let record { try end(record, entry, force: force) }
    if let failure = store.remove(entry) {
      throw failure.because(.cleanup, "cannot remove the state of `\(id)`")
    }
    if let record { runPoststop(record) }
  }

  /// Ends and removes the very container that was created, if it is still there, and nobody else who has its id now.
  func destroy(_ created: ContainerRecord) {
    do {
      // Before the lock, which a `start` that waits for a stopped container would hold for ever. There is no other process
      // that this could reach.
      try killProcess(created)
      let entry = try store.open(created.id, locking: true)
      guard let record = try entry.read(), record.isSameProcess(as: created) else { return }
      destroy(record, entry)
    } catch {
      if error.code == .containerNotFound { return }
      options.log.warning("cannot end `\(created.id)`: \(error.text)")
    }
  }

  /// Ends and removes a container that a hook has condemned. What cannot be done is a warning: the error that led here
  /// matters more, and `delete --force` can do the rest.
  func destroy(_ record: ContainerRecord, _ entry: borrowing StateStore.Entry) {
    do {
      try end(record, entry, force: true)
    } catch {
      options.log.warning("cannot end `\(record.id)`: \(error.text)")
      return
    }
    if let failure = store.remove(entry) {
      options.log.warning("cannot remove the state of `\(record.id)`: \(failure.text)")
      return
    }
    runPoststop(record)
  }

  /// A `start` that waits for a stopped container holds the lock, and would hold it for ever: with the process it ends.
  private func endHolder(_ id: String) throws(RuntimeError) {
    let entry = try store.open(id, locking: false)
    do {
      if try entry.directory.tryLock() { return }
    } catch {
      throw error.because(.stateUnreadable, "cannot look at the lock of `\(id)`")
    }
    let record: ContainerRecord?
    do {
      record = try entry.read()
    } catch {
      // A damaged record names no process; what is to be said of it is said when the lock is there.
      return
    }
    if let record, record.pid != 0 { try killProcess(record) }
  }

  private func end(
    _ record: ContainerRecord, _ entry: borrowing StateStore.Entry, force: Bool
  ) throws(RuntimeError) {
    let status = try status(record, entry, holdsLock: true)
    if status != .stopped && status != .created && !force {
      throw RuntimeError(
        .wrongStatus, "cannot delete container `\(record.id)` that is not stopped: \(status.name)",
        hint: "`kill` it first, or use `delete --force`")
    }
    let mayLeaveOthers = record.isFoundByUsers && !record.hasPidNamespace
    if mayLeaveOthers { _ = try signalMembers(record, 9) }
    if status != .stopped { try killProcess(record) }
    if mayLeaveOthers { try endMembers(record) }
    if let failure = try record.cgroup.end(kills: record.pid != 0) { options.log.warning(failure.text) }
    try ResctrlGroup.remove(record.resctrl)
  }

  /// Ends process 1 and waits for its end by event. With a pid namespace the kernel ends all others before it.
  private func killProcess(_ record: ContainerRecord) throws(RuntimeError) {
    let process: FileDescriptor
    do {
      process = try openProcess(record)
    } catch {
      // It ended by itself meanwhile.
      if error.code == .containerNotRunning { return }
      throw error
    }
    do throws(SystemError) {
      try process.sendSignal(9)
    } catch {
      if error.errno == .noProcess { return }
      throw error.because(.processesRemain, "cannot end process \(record.pid) of `\(record.id)`")
    }
    // A frozen process of v1 takes no signal until it is thawed.
    if try record.cgroup.isFrozen { try record.cgroup.kill() }
    do {
      if try Poll.wait(process, for: Poll.readable, timeout: ContainerRuntime.endTimeout) { return }
    } catch {
      throw error.because(.processesRemain, "cannot wait for the end of process \(record.pid)")
    }
    throw remains(record)
  }

  /// The error for a process 1 that SIGKILL has not ended, with the process that keeps it: the kernel ends all others of its
  /// pid namespace before it, and waits until their parents have waited for them.
  private func remains(_ record: ContainerRecord) -> RuntimeError {
    let message = phrase(
      "process ", String(record.pid), " of `", record.id, "` did not end within 10 seconds of SIGKILL")
    let manager = CgroupManager(record: record.cgroup)
    do throws(RuntimeError) {
      if let holder = try holder(record, manager) {
        return RuntimeError(
          .processesRemain, phrase(message, ": ", holder.text), hint: manager.hint(holder))
      }
    } catch {
      options.log.debug("cannot look for what keeps it: " + error.text)
    }
    return RuntimeError(.processesRemain, message)
  }

  private func holder(_ record: ContainerRecord, _ manager: CgroupManager) throws(RuntimeError) -> CgroupHolder? {
    var pids = try manager.processes()
    do {
      let members = record.hasPidNamespace ? try PidNamespace.members(of: record.pid) : [record.pid]
      for pid in members where !pids.contains(pid) { pids.append(pid) }
      return try CgroupHolder(among: pids)
    } catch {
      throw error.because(.processesRemain, "cannot look at the processes")
    }
  }

  /// How long a killed process may take to end, in milliseconds.
  static var endTimeout: Int64 { 10_000 }
}
