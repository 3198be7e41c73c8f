import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec
import Seccomp

/// Who answers for the system calls that a filter has SCMP_ACT_NOTIFY for (config-linux.md, "Seccomp").
struct SeccompListener: Sendable, Equatable {
  /// Of a stream socket of the host: absolute, and for a record without symbolic links, since nobody may lead a later `exec`
  /// elsewhere.
  var path: String
  /// What he is told along with the listener; empty for nothing.
  var metadata: String
  /// By which call the init stage gives up its own copy of the listener.
  var closing = ListenerTerms.Closing.none
  /// Whether the filter lets sendmsg(2) not pass for certain, so that the init stage cannot send the listener.
  var refusesSending = false

  /// How long he may take to accept and to read, both together, in milliseconds.
  fileprivate static var timeout: Int64 { 10_000 }
  fileprivate static var pointer: String { "/linux/seccomp/listenerPath" }
  /// CAP_SYS_PTRACE of capabilities(7).
  private static var tracing: UInt64 { 1 << 19 }

  /// Nil where the filter asks nobody.
  static func find(
    _ profile: SeccompProfile?, _ filter: SeccompProgram?, bundle: String, root: String
  ) throws(RuntimeError) -> SeccompListener? {
    guard let profile, let filter, filter.flags.contains(.newListener) else { return nil }
    if filter.flags.contains(.waitKillable), !SeccompFilterFlags.waitKillable.isSupported {
      throw RuntimeError(
        .configUnsupported, "the kernel does not have `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`",
        field: "/linux/seccomp/flags", hint: "Linux 5.19 has it")
    }
    return try find(profile, bundle: bundle, root: root)
  }

  /// Of a profile with SCMP_ACT_NOTIFY, for a container with this root file system. He must be there: at `start` it would be
  /// late to say so. But he is not connected to before there is a listener, because each connection has to bring him one.
  static func find(_ profile: SeccompProfile, bundle: String, root: String) throws(RuntimeError) -> SeccompListener? {
    guard let path = profile.listenerPath, !path.isEmpty else { return nil }
    try checkHandover(profile)
    var listener = SeccompListener(
      path: path.utf8.first == 0x2F ? path : "\(bundle)/\(path)", metadata: profile.listenerMetadata ?? "")
    listener.closing = ListenerTerms.Closing.allCases.first { $0 != .none && profile.passes($0.call) } ?? .none
    listener.refusesSending = !profile.passes("sendmsg")
    try checkWayOut(profile, listener.closing)
    do {
      try Socket.checkStream(listener.path)
      listener.path = try FileDescriptor.open(listener.path, .path).hostPath()
    } catch {
      throw listener.explain(error)
    }
    try listener.checkPlace(root)
    return listener
  }

  /// Behind the filter the init stage can say nothing but by write(2). And where it can neither close its own copy nor end without
  /// being asked about, it would wait for an answer to itself.
  private static func checkWayOut(
    _ profile: SeccompProfile, _ closing: ListenerTerms.Closing
  ) throws(RuntimeError) {
    if !profile.passes("write") {
      throw RuntimeError(
        .configUnsupported, "a profile with `SCMP_ACT_NOTIFY` must let `write` pass, whatever its arguments",
        field: "/linux/seccomp", hint: "the listener is handed over by it")
    }
    guard closing == .none, let notified = profile.notified(["exit_group"]) else { return }
    throw RuntimeError(
      .configUnsupported,
      "`SCMP_ACT_NOTIFY` cannot be the action of `exit_group` in a profile that lets none of close, close_range and dup3 pass",
      field: "/linux/seccomp/\(notified.pointer)",
      hint: "a process that cannot give its listener up would wait for an answer to its own end")
  }

  /// What lies in the container is the container's: a process of it could put its own socket there, and answer for itself
  /// from the next `exec` on.
  private func checkPlace(_ root: String) throws(RuntimeError) {
    let directory = try describe(.rootfsInvalid, "cannot look at the root file system", field: "/root/path") {
      () throws(SystemError) in try FileDescriptor.open(root, [.path, .directory]).hostPath()
    }
    // Who gives the host's root away gives all sockets away.
    if directory == "/" || !path.utf8.starts(with: "\(directory)/".utf8) { return }
    throw RuntimeError(
      .configInvalid, "the seccomp listener `\(path)` is in the root file system of the container",
      field: SeccompListener.pointer, hint: "processes of the container could take its place")
  }

  /// Without the right to take the listener out of the process, that one has to send it: by a call which then nobody must be
  /// asked about. Who has the right may be refused all the same, which ``terms(for:)`` finds.
  private static func checkHandover(_ profile: SeccompProfile) throws(RuntimeError) {
    guard let notified = profile.notified(["sendmsg"]) else { return }
    let held = try describe(.capabilities, "cannot read the capabilities") { () throws(SystemError) in
      try Capabilities.permitted()
    }
    if held & tracing != 0 { return }
    throw RuntimeError(
      .configUnsupported, "without CAP_SYS_PTRACE `SCMP_ACT_NOTIFY` cannot be the action of `\(notified.call)`",
      field: "/linux/seccomp/\(notified.pointer)",
      hint: "it would hold up the call that hands the listener over")
  }

  /// How the listener of the filter that this process will load is handed over.
  func terms(for process: borrowing FileDescriptor) throws(RuntimeError) -> ListenerTerms {
    do {
      try SeccompListeners.checkTaking(from: process)
      return ListenerTerms(closing: closing)
    } catch {
      guard [.notPermitted, .accessDenied, .notImplemented].contains(error.errno), !refusesSending else {
        throw error.because(
          .listener, "cannot take the listener out of the process", field: "/linux/seccomp",
          hint: "a profile that lets `sendmsg` pass does not need that")
      }
    }
    return ListenerTerms(closing: closing, sends: true)
  }

  /// One connection for each process, and nothing else on it.
  fileprivate func send(
    _ listener: borrowing FileDescriptor, _ state: ContainerProcessState, for process: borrowing FileDescriptor
  ) throws(RuntimeError) {
    let end = Clock.monotonicMilliseconds() + SeccompListener.timeout
    let socket: FileDescriptor
    do {
      socket = try Socket.connectStream(path, until: end, for: process)
    } catch {
      throw explain(error)
    }
    try checkPeer(socket, state)
    do throws(SystemError) {
      try socket.sendStream(state.document(), passing: listener.number, until: end, for: process)
      // POLLERR: it was closed, and something was left to read.
      if try Poll.wait([(number: socket.number, events: 0)], timeout: 0)[0] & 8 != 0 {
        throw SystemError("sendmsg", .connectionReset)
      }
    } catch {
      throw explain(error)
    }
  }

  /// A process of the container must not answer for the container. Known is who called listen(2), and nobody who was handed the
  /// socket: where that process has ended it could have been one of the container, and where it may not be looked at too.
  private func checkPeer(_ socket: borrowing FileDescriptor, _ state: ContainerProcessState) throws(RuntimeError) {
    let isOutside: Bool
    do throws(SystemError) {
      let peer = try Socket.listener(of: socket)
      // 0: in no pid namespace that is this one or below it.
      isOutside = peer == 0 ? true : try PidNamespace.isOutside(peer, namespaceOf: state.state.pid ?? state.pid)
      // Afterwards: had he ended before, his number could have been another's.
      if try Socket.listenerHasEnded(socket) { throw SystemError("getsockopt", .noProcess, "SO_PEERPIDFD") }
    } catch {
      throw error.because(
        .listener, "cannot find out who listens on the seccomp listener `\(path)`", field: SeccompListener.pointer,
        hint: "the process that called listen(2) has to be there, and one that may be looked at")
    }
    if isOutside { return }
    throw RuntimeError(
      .listener, "whoever listens on the seccomp listener `\(path)` is a process of the container",
      field: SeccompListener.pointer)
  }

  private func explain(_ error: SystemError) -> RuntimeError {
    let hint =
      switch error.errno {
      case .connectionRefused: "nobody listens there"
      case .wrongSocketType: "a stream socket is expected"
      case .tryAgain: "somebody listens there and does not accept, or does not read"
      case .brokenPipe, .connectionReset: "somebody listens there and does not read to the end"
      case .noProcess: "the process that it is for was ended meanwhile"
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

  /// `sent` is what came along with the report, wanted where the init stage sends.
  fileprivate func run(
    _ number: Int32, _ sent: consuming FileDescriptor?, _ process: borrowing FileDescriptor,
    _ channel: borrowing RuntimeChannel, _ terms: ListenerTerms
  ) throws(RuntimeError) {
    let descriptor = try terms.sends ? ListenerHandover.check(sent) : take(number, process)
    // Somebody else may be in the place of the init stage of `exec`, and whoever listens trusts what he gets.
    guard SeccompListeners.isListener(descriptor) else {
      throw RuntimeError(.initProtocol, "the init stage handed something else over than the listener of its filter")
    }
    try listener.send(descriptor, state, for: process)
    try wait(channel, ListenerHandover.answerTimeout, "the init stage does not wait for the listener")
    // With this it goes on.
    guard let received = try channel.receive() else {
      throw RuntimeError(.initDied, "the init stage ended before its listener was handed over")
    }
    switch received.report {
    case .listenerHeld: return
    case .failed(let failure): throw failure
    default: throw RuntimeError(.initProtocol, "the init stage said something else than that it waits")
    }
  }

  private func take(_ number: Int32, _ process: borrowing FileDescriptor) throws(RuntimeError) -> FileDescriptor {
    do {
      return try SeccompListeners.take(number, from: process)
    } catch {
      throw error.because(
        .listener, "cannot take the listener out of the process", field: "/linux/seccomp",
        hint: "a security module may refuse what is allowed without a filter")
    }
  }

  private static func check(_ sent: consuming FileDescriptor?) throws(RuntimeError) -> FileDescriptor {
    guard let sent else { throw RuntimeError(.initProtocol, "the init stage handed no listener over") }
    return sent
  }

  /// From here on it is whoever listens that holds the process up.
  fileprivate func waitForCommand(_ channel: borrowing RuntimeChannel, until end: Int64) throws(RuntimeError) {
    try wait(
      channel, max(0, end - Clock.monotonicMilliseconds()),
      "the command is held up by the seccomp listener `\(listener.path)`")
  }

  fileprivate static var commandEnd: Int64 { Clock.monotonicMilliseconds() + commandTimeout }

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
    of process: borrowing FileDescriptor, _ handover: ListenerHandover?, _ terms: ListenerTerms?
  ) throws(RuntimeError) -> RuntimeError? {
    var servedEnd: Int64?
    while true {
      if let servedEnd { try handover?.waitForCommand(self, until: servedEnd) }
      guard var received = try receive() else { return nil }
      switch received.report {
      case .failed(let failure): return failure
      case .listenerMade(let number) where servedEnd == nil:
        guard let handover, let terms else { break }
        try handover.run(number, received.takeDescriptor(), process, self, terms)
        servedEnd = ListenerHandover.commandEnd
        continue
      case .listenerGiven where servedEnd != nil: continue
      default: break
      }
      throw RuntimeError(.initProtocol, "the init stage said something else than an error")
    }
  }
}
