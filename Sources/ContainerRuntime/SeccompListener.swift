import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec
import Seccomp

/// Who answers for the system calls that a filter has SCMP_ACT_NOTIFY for (config-linux.md, "Seccomp").
struct SeccompListener: Sendable, Equatable {
  /// Of a stream socket of the host, absolute.
  var path: String
  /// What he is told along with the listener; empty for nothing.
  var metadata: String

  /// How long he may take to accept and to read, in milliseconds.
  private static var timeout: Int64 { 10_000 }
  private static var pointer: String { "/linux/seccomp/listenerPath" }
  /// CAP_SYS_PTRACE of capabilities(7).
  private static var tracing: UInt64 { 1 << 19 }

  /// Nil where the filter asks nobody.
  static func find(
    _ profile: SeccompProfile?, _ filter: SeccompProgram?, bundle: String
  ) throws(RuntimeError) -> SeccompListener? {
    guard let profile, let filter, filter.flags.contains(.newListener) else { return nil }
    if filter.flags.contains(.waitKillable), !SeccompFilterFlags.waitKillable.isSupported {
      throw RuntimeError(
        .configUnsupported, "the kernel does not have `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`",
        field: "/linux/seccomp/flags", hint: "Linux 5.19 has it")
    }
    return try find(profile, bundle: bundle)
  }

  /// Of a profile with SCMP_ACT_NOTIFY. He must be there: at `start` it would be late to say so. But he is not connected to
  /// before there is a listener, because each connection has to bring him one.
  static func find(_ profile: SeccompProfile, bundle: String) throws(RuntimeError) -> SeccompListener? {
    guard let path = profile.listenerPath, !path.isEmpty else { return nil }
    try checkHandover(profile)
    let listener = SeccompListener(
      path: path.utf8.first == 0x2F ? path : "\(bundle)/\(path)", metadata: profile.listenerMetadata ?? "")
    do {
      try Socket.checkStream(listener.path)
    } catch {
      throw listener.explain(error)
    }
    return listener
  }

  /// Without the right to take the listener out of the process, that one has to send it: by calls which then nobody must be
  /// asked about.
  private static func checkHandover(_ profile: SeccompProfile) throws(RuntimeError) {
    guard let notified = profile.notified(["sendmsg", "read"]) else { return }
    let held = try describe(.capabilities, "cannot read the capabilities") { () throws(SystemError) in
      try Capabilities.permitted()
    }
    if held & tracing != 0 { return }
    throw RuntimeError(
      .configUnsupported, "without CAP_SYS_PTRACE `SCMP_ACT_NOTIFY` cannot be the action of `\(notified.call)`",
      field: "/linux/seccomp/\(notified.pointer)",
      hint: "it would hold up the call that hands the listener over")
  }

  /// One connection for each process, and nothing else on it.
  fileprivate func send(_ listener: borrowing FileDescriptor, _ state: ContainerProcessState) throws(RuntimeError) {
    do throws(SystemError) {
      let socket = try Socket.connectStream(path, timeout: SeccompListener.timeout)
      try socket.sendStream(state.document(), passing: listener.number)
      // POLLERR: it was closed, and something was left to read.
      if try Poll.wait([(number: socket.number, events: 0)], timeout: 0)[0] & 8 != 0 {
        throw SystemError("sendmsg", .connectionReset)
      }
    } catch {
      throw explain(error)
    }
  }

  private func explain(_ error: SystemError) -> RuntimeError {
    let hint =
      switch error.errno {
      case .connectionRefused: "nobody listens there"
      case .wrongSocketType: "a stream socket is expected"
      case .tryAgain: "somebody listens there and does not accept, or does not read"
      case .brokenPipe, .connectionReset: "somebody listens there and does not read to the end"
      default: ""
      }
    return error.because(
      .listener, "cannot reach the seccomp listener `\(path)`", field: SeccompListener.pointer, hint: hint)
  }
}

/// The part of the ladder about the listener of one process (`InitChannel/Message.swift`).
struct ListenerHandover {
  private let listener: SeccompListener
  private let state: ContainerProcessState

  /// How long the init stage may take for what is held up by nobody, and the command for what may be, in milliseconds.
  private static var answerTimeout: Int64 { 10_000 }
  private static var commandTimeout: Int64 { 20_000 }

  init(_ listener: SeccompListener, pid: Int32, _ state: State) {
    self.listener = listener
    self.state = ContainerProcessState(
      fds: ["seccompFd"], pid: pid, metadata: listener.metadata.isEmpty ? nil : listener.metadata, state: state)
  }

  fileprivate func run(
    _ number: Int32, _ process: borrowing FileDescriptor, _ channel: borrowing RuntimeChannel
  ) throws(RuntimeError) {
    let descriptor = try take(number, process, channel)
    // Somebody else may be in the place of the init stage of `exec`, and whoever listens trusts what he gets.
    guard SeccompListeners.isListener(descriptor) else {
      throw RuntimeError(.initProtocol, "the init stage handed something else over than the listener of its filter")
    }
    try listener.send(descriptor, state)
    try order(.listenerServed, channel)
  }

  private func take(
    _ number: Int32, _ process: borrowing FileDescriptor, _ channel: borrowing RuntimeChannel
  ) throws(RuntimeError) -> FileDescriptor {
    do {
      return try SeccompListeners.take(number, from: process)
    } catch {
      guard [.notPermitted, .accessDenied, .notImplemented].contains(error.errno) else {
        throw error.because(.listener, "cannot take the listener out of the process")
      }
    }
    try order(.listenerWanted, channel)
    try wait(channel, ListenerHandover.answerTimeout, "the init stage does not hand the listener over")
    guard var received = try channel.receive() else {
      throw RuntimeError(.initDied, "the init stage ended before it had handed the listener over")
    }
    if case .failed(let failure) = received.report { throw failure }
    guard let descriptor = received.takeDescriptor() else {
      throw RuntimeError(.initProtocol, "the init stage handed no listener over")
    }
    return descriptor
  }

  private func order(_ order: RuntimeOrder, _ channel: borrowing RuntimeChannel) throws(RuntimeError) {
    try describe(.initProtocol, "the init stage has gone") { () throws(SystemError) in try channel.send(order) }
  }

  /// From here on it is whoever listens that holds the process up.
  fileprivate func waitForCommand(_ channel: borrowing RuntimeChannel) throws(RuntimeError) {
    try wait(
      channel, ListenerHandover.commandTimeout,
      "the command is held up by the seccomp listener `\(listener.path)`")
  }

  private func wait(
    _ channel: borrowing RuntimeChannel, _ timeout: Int64, _ message: String
  ) throws(RuntimeError) {
    let isThere = try describe(.initProtocol, "cannot wait for the init stage") { () throws(SystemError) in
      try channel.wait(timeout: timeout)
    }
    if isThere { return }
    throw SystemError("ppoll", .timedOut).because(.listener, message, field: "/linux/seccomp")
  }
}

extension RuntimeChannel {
  /// The last rungs of `start` and `exec`: what the command could not be executed for; nil when it runs, or ended before it
  /// could say. `process` is the one that becomes the command, of which only a listener is wanted.
  func outcome(
    of process: borrowing FileDescriptor, _ handover: ListenerHandover?
  ) throws(RuntimeError) -> RuntimeError? {
    var isServed = false
    while true {
      if isServed { try handover?.waitForCommand(self) }
      guard let received = try receive() else { return nil }
      switch received.report {
      case .failed(let failure): return failure
      case .listenerMade(let number) where !isServed:
        guard let handover else { break }
        try handover.run(number, process, self)
        isServed = true
        continue
      default: break
      }
      throw RuntimeError(.initProtocol, "the init stage said something else than an error")
    }
  }
}
