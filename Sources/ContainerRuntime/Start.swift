public import Diagnostics
import InitChannel
import Linux

extension ContainerRuntime {
  /// Lets the agent command run (runtime.md, "Start"). Returns when execve(2) has succeeded, and throws its error
  /// otherwise.
  public func start(_ id: String) throws(RuntimeError) {
    try checkExistingID(id)
    let entry = try store.open(id, locking: true)
    guard let record = try entry.read() else {
      throw RuntimeError(.wrongStatus, "cannot start a container that is not created: `\(id)`")
    }
    guard try isAlive(record) else {
      throw RuntimeError(.wrongStatus, "cannot start a container that has stopped: `\(id)`")
    }
    let connection: FileDescriptor
    do {
      connection = try Socket.connect(in: entry.directory, StateStore.Name.startSocket)
    } catch {
      if error.errno == .noEntry || error.errno == .connectionRefused {
        throw RuntimeError(.wrongStatus, "cannot start an already running container: `\(id)`")
      }
      throw error.because(.stateUnreadable, "cannot reach the container `\(id)`")
    }
    let answer: [UInt8]
    do {
      try connection.send([RuntimeOrder.start.rawValue])
      answer = try connection.receive().bytes
    } catch {
      throw error.because(.initDied, "the container `\(id)` ended before its command was executed")
    }
    do {
      try entry.directory.unlink(StateStore.Name.startSocket)
    } catch {
      if error.errno != .noEntry { options.log.warning("cannot remove the start socket: \(error.text)") }
    }
    if let failure = try decodeStartAnswer(answer) {
      throw failure.during("unable to start container process")
    }
  }
}
