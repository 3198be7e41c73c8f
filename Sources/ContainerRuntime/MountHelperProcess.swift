import Diagnostics
import InitChannel
import Linux

/// The runtime's side of a mount helper (`ContainerInit/MountHelper.swift`). A class, so that it can be there or not.
final class MountHelperProcess {
  private let requests: FileDescriptor
  private let process: SpawnedProcess
  private var isReaped = false

  /// Starts the helper with the runtime's end of the channel, the payload, and the pidfd of stage 2.
  init(
    _ executable: borrowing FileDescriptor, _ payload: borrowing FileDescriptor,
    _ channel: borrowing RuntimeChannel, _ stage2: borrowing FileDescriptor
  ) throws(RuntimeError) {
    do {
      let pair = try Socket.pair()
      process = try Spawn.start(
        executable, arguments: [InitPayload.helperArgument0], environment: [],
        descriptors: [channel.number, payload.number, pair.second.number, stage2.number])
      requests = pair.takeFirst()
    } catch {
      throw error.because(.spawn, "cannot start the mount helper")
    }
  }

  /// Hands a request over and waits until stage 2 has been answered.
  func give(_ request: HelpRequest) throws(RuntimeError) {
    let isAnswered = try describe(.initProtocol, "cannot reach the mount helper") { () throws(SystemError) in
      try requests.send(request.encode())
      return try !requests.receive().bytes.isEmpty
    }
    guard isAnswered else {
      throw RuntimeError(.initDied, "the mount helper ended without an answer")
    }
  }

  /// Lets it go: nothing of the runtime outlives `create`.
  func end() throws(RuntimeError) {
    try describe(.spawn, "cannot end the mount helper") { () throws(SystemError) in try abort() }
  }

  func abort() throws(SystemError) {
    if isReaped { return }
    isReaped = true
    do {
      try process.descriptor.sendSignal(9)
    } catch {
      // Ended already, which is what is wanted.
      if error.errno != .noProcess { throw error }
    }
    _ = try Processes.wait(process.pid)
  }
}
