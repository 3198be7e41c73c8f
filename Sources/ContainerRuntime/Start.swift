public import Diagnostics
import InitChannel
import Linux

extension ContainerRuntime {
  /// Lets the agent command run (runtime.md, "Start"). Returns when execve(2) has succeeded, and throws its error
  /// otherwise. With the socket of a manager that waits for sd_notify(3), and a container that was created with one, it
  /// returns only when the container is ready or has ended.
  public func start(_ id: String, notifySocket: String? = nil) throws(RuntimeError) {
    try begin(id, notifySocket)?.wait(options.log)
  }

  /// The same without waiting for the container to be ready; what has to be waited for is answered.
  func begin(_ id: String, _ notifySocket: String?) throws(RuntimeError) -> NotifyProxy? {
    try checkID(id)
    let (record, proxy) = try execute(id, notifySocket)
    if record.poststart.isEmpty { return proxy }
    // Without the lock: a hook may take as long as it likes, and may ask for the container, or delete it.
    do {
      try run(record.poststart, record, .running, pid: record.pid)
    } catch {
      destroy(record)
      throw error
    }
    return proxy
  }

  /// The part under the container's lock: gives the order and waits until the command is executed.
  private func execute(
    _ id: String, _ notifySocket: String?
  ) throws(RuntimeError) -> (ContainerRecord, NotifyProxy?) {
    let entry = try store.open(id, locking: true)
    guard let record = try entry.read() else {
      throw RuntimeError(.wrongStatus, "cannot start a container that is not created: `\(id)`")
    }
    guard try isAlive(record) else {
      throw RuntimeError(.wrongStatus, "cannot start a container that has stopped: `\(id)`")
    }
    if try record.cgroup.isFrozen {
      throw RuntimeError(.wrongStatus, "cannot start a container that is paused: `\(id)`")
    }
    let proxy = try makeProxy(entry, record, notifySocket)
    let connection: FileDescriptor
    do {
      connection = try Socket.connect(in: entry.directory, StateStore.Name.startSocket)
    } catch {
      if error.errno == .noEntry || error.errno == .connectionRefused {
        throw RuntimeError(.wrongStatus, "cannot start an already running container: `\(id)`")
      }
      throw error.because(.stateUnreadable, "cannot reach the container `\(id)`")
    }
    let stage = try stageFile(record.pid)
    let failure = try giveOrder(connection, record)
    do {
      try entry.directory.unlink(StateStore.Name.startSocket)
    } catch {
      if error.errno != .noEntry { options.log.warning("cannot remove the start socket: \(error.text)") }
    }
    if let failure {
      // A failed hook ends the container for good (runtime.md, "Lifecycle"); any other failure leaves it to `delete`.
      if failure.code == .hook { destroy(record, entry) } else { waitForEnd(record) }
      throw failure.during("unable to start container process")
    }
    try checkExecuted(record.pid, startTime: record.startTime, from: stage, "the container `\(record.id)`")
    return (record, proxy)
  }

  /// What the command could not be executed for; nil when it runs, or ended before it could say.
  private func giveOrder(
    _ connection: consuming FileDescriptor, _ record: ContainerRecord
  ) throws(RuntimeError) -> RuntimeError? {
    let channel = RuntimeChannel(connection)
    let handover = record.listener.map {
      ListenerHandover($0, pid: record.pid, record.state(.created, pid: record.pid))
    }
    let process = handover == nil ? FileDescriptor.none : try openProcess(record)
    let terms = try record.listener?.terms(for: process)
    do {
      try channel.send(.start, terms)
    } catch {
      throw error.because(.initDied, "the container `\(record.id)` ended before its command was executed")
    }
    try waitForAcceptance(channel, record)
    let failure: RuntimeError?
    var patience: Int64 = 0
    do {
      failure = try channel.outcome(of: process, handover, terms)
      // It has said so itself, and ends with a status of its own unless somebody has to be asked about that.
      patience = ContainerRuntime.patience
    } catch {
      if handover == nil { throw error }
      failure = error
    }
    if failure == nil || handover == nil { return failure }
    // Nobody answers for it any more, and it may wait for an answer to whatever it does to end.
    do {
      if try Poll.wait(process, for: Poll.readable, timeout: patience) { return failure }
      try process.sendSignal(9)
    } catch {
      if error.errno != .noProcess { options.log.warning("cannot end `\(record.id)`: \(error.text)") }
    }
    return failure
  }

  /// The process that waits accepts at once. One that was ordered to start by somebody who has gone since does not, and may run
  /// hooks that take as long as they like.
  private func waitForAcceptance(
    _ channel: borrowing RuntimeChannel, _ record: ContainerRecord
  ) throws(RuntimeError) {
    do {
      while true {
        if try channel.wait(timeout: ContainerRuntime.acceptanceTimeout) { return }
        if try !channel.hasUnreadOrder { return }
        // T: SIGCONT lets it go on.
        guard let status = try Processes.status(record.pid), status.state == 0x54 else { break }
      }
    } catch {
      throw error.because(.initProtocol, "cannot wait for the container `\(record.id)`")
    }
    throw RuntimeError(.wrongStatus, "the container `\(record.id)` does not answer, or is being started already")
  }

  /// In milliseconds.
  private static var acceptanceTimeout: Int64 { 10_000 }
  private static var patience: Int64 { 500 }

  private func makeProxy(
    _ entry: borrowing StateStore.Entry, _ record: ContainerRecord, _ notifySocket: String?
  ) throws(RuntimeError) -> NotifyProxy? {
    guard let notifySocket, let folder = try entry.notifyFolder() else { return nil }
    return try NotifyProxy(
      folder: folder, manager: notifySocket, process: try openProcess(record), pid: record.pid)
  }

  /// A process that could not execute its command ends a moment after it has said so. `delete` must find it stopped.
  private func waitForEnd(_ record: ContainerRecord) {
    do throws(SystemError) {
      let process = try Processes.open(record.pid)
      guard let status = try Processes.status(record.pid), status.startTime == record.startTime else { return }
      _ = try Poll.wait(process, for: Poll.readable, timeout: 5000)
    } catch {
      if error.errno != .noProcess { options.log.warning("cannot wait for the end of `\(record.id)`: \(error.text)") }
    }
  }

  /// What the init stage executes, before it is told to go on; nil where this program may not look at it, as without
  /// root.
  func stageFile(_ pid: Int32) throws(RuntimeError) -> ExecutedFile? {
    try Diagnostics.describe(.stateUnreadable, "cannot look at process \(pid)") { () throws(SystemError) in
      try Processes.executable(pid)
    }
  }

  /// The end of the connection is execve(2), or the end of the process before it. The file that it executes tells: execve
  /// replaces it before it closes the connection, and exit(2) gives it up. Where none can be seen the name has to do, which
  /// a zombie keeps, and which execve replaces a moment later. It is the command's own to choose. A process that was
  /// collected already cannot be told from a command that was quick.
  func checkExecuted(
    _ pid: Int32, startTime: UInt64?, from stage: ExecutedFile?, _ what: String
  ) throws(RuntimeError) {
    do throws(SystemError) {
      let process = try Processes.open(pid)
      for round in 0..<250 {
        guard let status = try Processes.status(pid), status.startTime == startTime ?? status.startTime,
          status.command == InitPayload.processName
        else { return }
        if let file = try Processes.executable(pid), file != stage { return }
        if !status.isAlive { break }
        // Either its end or its new name comes within microseconds; the bound is for a machine that stands still.
        if round > 50 { _ = try Poll.wait(process, for: Poll.readable, timeout: 5) }
      }
    } catch {
      if error.errno == .noProcess { return }
      throw error.because(.stateUnreadable, "cannot look at process \(pid) of \(what)")
    }
    throw RuntimeError(
      .initDied, "\(what) ended before its command was executed",
      hint: "a seccomp profile must allow `execve`, and a memory limit must have room for it")
  }
}
