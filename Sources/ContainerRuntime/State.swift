import Cgroups
public import Diagnostics
import InitChannel
import Linux
import LinuxABI
public import OCISpec

extension ContainerRuntime {
  /// The state of a container (runtime.md, "Query State").
  public func state(_ id: String) throws(RuntimeError) -> ContainerState {
    try state(id, isWhole: true)
  }

  private func state(_ id: String, isWhole: Bool) throws(RuntimeError) -> ContainerState {
    try checkID(id)
    let entry = try store.open(id, locking: false)
    guard let record = try entry.read() else {
      throw RuntimeError(.containerNotFound, "container does not exist: `\(id)` is being created")
    }
    let status = try status(record, entry)
    var state = describe(record, status)
    if !isWhole { return state }
    if status == .stopped { state.exit = exit(of: record, entry) }
    // Before there is a process, it is not known what was counted before the container.
    if record.pid != 0 { state.limitEvents = limitEvents(of: record) }
    return state
  }

  /// All containers of this state directory, in the order of their ids. One that is deleted meanwhile is left out; one
  /// that cannot be read is a warning.
  ///
  /// - Parameter isWhole: with `exit` and `limitEvents`, for which files of each cgroup are read.
  public func list(isWhole: Bool = true) throws(RuntimeError) -> [ContainerState] {
    var states: [ContainerState] = []
    for id in try store.ids() {
      do throws(RuntimeError) {
        states.append(try state(id, isWhole: isWhole))
      } catch {
        if error.code != .containerNotFound {
          options.log.warning("`\(id)` is left out: \(error.text)")
        }
      }
    }
    return states
  }

  func describe(_ record: ContainerRecord, _ status: ContainerStatus) -> ContainerState {
    var state = ContainerState(
      ociVersion: record.ociVersion, id: record.id, pid: status == .stopped ? 0 : record.pid,
      status: status.name,
      bundle: record.bundle, rootfs: record.rootfs,
      created: RFC3339.text(seconds: record.created.seconds, nanoseconds: record.created.nanoseconds),
      annotations: record.annotations.isEmpty ? nil : record.annotations, owner: record.owner,
      systemdScope: record.cgroup.unit?.name)
    state.landlock = record.landlock
    return state
  }

  /// Worked out afresh each time: is the process the one that was started, does it still wait, is it frozen.
  func status(
    _ record: ContainerRecord, _ entry: borrowing StateStore.Entry, holdsLock: Bool = false
  ) throws(RuntimeError) -> ContainerStatus {
    // Who holds the lock knows that nobody creates; the probe would find its own lock.
    if record.pid == 0 {
      if holdsLock { return .stopped }
      return try isBeingCreated(entry) ? .creating : .stopped
    }
    guard try isAlive(record) else { return .stopped }
    if try record.cgroup.isFrozen { return .paused }
    return try waitsForStart(entry) ? .created : .running
  }

  /// Whether the very process that was created still lives: a pid is used again, a pid with its start time is not.
  func isAlive(_ record: ContainerRecord) throws(RuntimeError) -> Bool {
    if record.pid == 0 { return false }
    do {
      guard let status = try Processes.status(record.pid), status.isAlive, status.startTime == record.startTime
      else { return false }
      return try Processes.open(record.pid).status().inode == record.processInode
    } catch {
      if error.errno == .noProcess { return false }
      throw error.because(.stateUnreadable, "cannot look at process \(record.pid) of `\(record.id)`")
    }
  }

  /// Whoever creates a container holds the lock of its folder; a folder without a process and without a holder was left
  /// behind by a `create` that was killed.
  private func isBeingCreated(_ entry: borrowing StateStore.Entry) throws(RuntimeError) -> Bool {
    do {
      // A description of its own: a lock belongs to it, and the caller may hold one through another.
      let probe = try entry.directory.open(".", [.readOnly, .directory])
      return try !probe.tryLock()
    } catch {
      throw error.because(.stateUnreadable, "cannot look at the lock of `\(entry.id)`")
    }
  }

  /// The folder of a container under its lock, for commands that must not wait for long: `create` and `start` hold it while
  /// hooks run, which may take as long as they like, and may call this very command.
  func openSoon(_ id: String) throws(RuntimeError) -> StateStore.Entry {
    let began = Clock.monotonicMilliseconds()
    while true {
      let entry = try store.open(id, locking: false)
      if try store.tryLock(entry) { return entry }
      let record = try entry.read()
      let waited = Clock.monotonicMilliseconds() - began
      // Without a record `create` has only begun, or `delete` is about to remove the folder.
      if record?.pid == 0 || record == nil && waited > 2000 {
        throw RuntimeError(.wrongStatus, "container `\(id)` is being created")
      }
      if waited > 2000, try waitsForStart(entry) {
        throw RuntimeError(.wrongStatus, "container `\(id)` is being started", hint: "try again when `start` has ended")
      }
      // Longer than a `pause` takes.
      if waited > 15_000 {
        throw RuntimeError(.wrongStatus, "container `\(id)` is being changed by another command", hint: "try again")
      }
      try Diagnostics.describe(.stateUnreadable, "cannot wait for the lock of `\(id)`") { () throws(SystemError) in
        _ = try Poll.wait([], timeout: 10)
      }
    }
  }

  /// The socket accepts connections until execve(2) closes it. That its name is still there says nothing: `start` may
  /// have been killed before it could remove it.
  private func waitsForStart(_ entry: borrowing StateStore.Entry) throws(RuntimeError) -> Bool {
    do {
      return try Socket.isListening(in: entry.directory, StateStore.Name.startSocket)
    } catch {
      throw error.because(.stateUnreadable, "cannot look at the start socket of `\(entry.id)`")
    }
  }

  /// A pidfd of the container's first process, which is that process for sure.
  func openProcess(_ record: ContainerRecord) throws(RuntimeError) -> FileDescriptor {
    let notRunning = RuntimeError(.containerNotRunning, "container not running: `\(record.id)`")
    guard record.pid != 0 else { throw notRunning }
    let process: FileDescriptor
    do {
      process = try Processes.open(record.pid)
    } catch {
      if error.errno == .noProcess { throw notRunning }
      throw error.because(.signalling, "cannot open process \(record.pid) of `\(record.id)`")
    }
    // Looked at behind pidfd_open: if the pid was used again before, the start time differs now.
    guard try isAlive(record) else { throw notRunning }
    return process
  }
}
