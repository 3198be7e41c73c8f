// The protocol between the runtime (the parent) and the two halves of the init stage. It changes here first.
//
//   runtime                      stage 1                         stage 2
//     │ spawn (socket, payload, …)  │
//     ├────────────────────────────►│ not dumpable, reads the payload
//     │                             │ joins the cgroups of v1 but that of the memory, and namespaces by path
//     │    networkReady + socket    │ opened in the container's network namespace
//     │◄────────────────────────────┤      only with network devices; from stage 2 where the namespace is new
//     │ moves the devices           │
//     │        devicesMoved         │
//     ├────────────────────────────►│
//     │      userNamespaceReady     │ unshare(CLONE_NEWUSER), or setns(2) where it is joined
//     │◄────────────────────────────┤      only with a user namespace
//     │ writes uid_map and gid_map  │      of a joined one it reads them
//     │          idsMapped          │
//     ├────────────────────────────►│ becomes root of it
//     │                             │ unshare(CLONE_NEWTIME), offsets
//     │       cloned + pidfd        │ clone3 (CLONE_PARENT, CLONE_INTO_CGROUP)
//     │◄────────────────────────────┼──────────────────────────────►│ joins that of the memory; the steps of the plan up to
//     │                             │                               │ the mounts
//     │                             │ exit                          │ (the master of a terminal goes to a socket
//     │                                                             │ of its own)
//     │                       helpWanted(kind, mount, errno)        │
//     │◄────────────────────────────────────────────────────────────┤      for a mount that takes rights over the host's files
//     │ the mount helper is started │     helpGiven + descriptor    │
//     ├──── mount helper ───────────┼──────────────────────────────►│      or helpRefused with the error
//     │                          mountsMade                         │
//     │◄────────────────────────────────────────────────────────────┤      only with hooks of `create`
//     │ prestart and createRuntime  │                               │
//     │                           hooksRun                          │
//     ├────────────────────────────────────────────────────────────►│ createContainer hooks
//     │                                                             │ masks, pivot, privileges given up
//     │                       landlockPlaces                        │
//     │◄────────────────────────────────────────────────────────────┤      only with rules for paths
//     │                           prepared                          │
//     │◄────────────────────────────────────────────────────────────┤
//     │ the state is written        │
//     │                          committed                          │
//     ├────────────────────────────────────────────────────────────►│ accepts on the start socket
//     │
//   start
//     │ connect                        start                        │
//     ├────────────────────────────────────────────────────────────►│ startContainer hooks, seccomp filter
//     │                  the listener, see below                    │      only with SCMP_ACT_NOTIFY
//     │◄───────────────────────────────────────────────────────────►│ execve
//     │                 end of file: the agent command runs         │
//     │◄────────────────────────────────────────────────────────────┤
//     │ poststart hooks
//
//   exec
//     │ spawn (socket, payload, pidfd of the container's process 1, …), born in the cgroup
//     ├────────────────────────────►│ not dumpable, joins the cgroups of v1
//     │                             │ setns(2) into all namespaces of the pidfd, closes all but the sockets
//     │       cloned + pidfd        │ clone3 (CLONE_PARENT), now inside of the pid namespace
//     │◄────────────────────────────┼──────────────────────────────►│ session, keyring, terminal
//     │                             │ exit                          │ privileges given up
//     │                           prepared                          │
//     │◄────────────────────────────────────────────────────────────┤
//     │ joins resctrl, takes the terminal over, writes the pid file,
//     │ gives the streams away                                      │
//     │                          committed                          │
//     ├────────────────────────────────────────────────────────────►│ seccomp filter
//     │                  the listener, see below                    │      only with SCMP_ACT_NOTIFY
//     │◄───────────────────────────────────────────────────────────►│ execve
//     │                 end of file: the command runs               │
//     │◄────────────────────────────────────────────────────────────┤
//
//   the listener of a filter with SCMP_ACT_NOTIFY, on the connection of `start` and the channel of `exec`; how it goes is said
//   with `start` and `committed` (``ListenerTerms``)
//     │                   listenerMade(number)                      │ by write(2), which nobody may be asked about
//     │◄────────────────────────────────────────────────────────────┤      or with the descriptor, by sendmsg(2)
//     │ takes it (pidfd_getfd), connects, sends the container       │ write(2) of a packet that fills the socket, and of
//     │ process state, closes                                       │ one behind it, which waits for room
//     │                       listenerHeld                          │
//     │ reads it only now ◄─────────────────────────────────────────┤
//     │                       listenerGiven                         │ whoever listens can answer for it by now
//     │◄────────────────────────────────────────────────────────────┤ closes its own copy
//
// Before `cloned` the runtime waits for the end of stage 1 too: the channel of stage 2 is open then. `cloned` counts once, and
// `exec` accepts nothing but what stands in its ladder: from the clone on the other side is in a container that runs.
//
// At any rung the init stage may answer `failed` with the error instead, and ends. If the runtime is gone the next
// send or receive fails, and the init stage ends too: nobody would ever start it. One SOCK_SEQPACKET packet is one
// message with at most one descriptor.

public import ContainerPlan
public import Diagnostics
public import Linux

/// What the init stage tells the runtime.
public enum InitReport: Sendable {
  case userNamespaceReady
  /// Stage 2 has this pid in the namespace of stage 1; its pidfd comes along.
  case cloned(pid: Int32)
  /// Something that the user should know and that stops nothing.
  case warning(String)
  /// Everything is mounted, the host's tree is still there; the hooks of `create` are next.
  case mountsMade
  case prepared
  /// Stage 2 needs something for the mount with this index that it cannot get inside of a user namespace.
  case helpWanted(MountHelp, mount: UInt32, refused: Errno)
  /// The network namespace of the container is there; a socket of rtnetlink(7) opened in it comes along.
  case networkReady
  /// The filter is loaded, and its listener has this number in the process; it may come along.
  case listenerMade(number: Int32)
  /// As long as this is not received the init stage waits.
  case listenerHeld
  /// It does not wait any more.
  case listenerGiven
  /// What the next of the ruleset's paths lead to, for the record.
  case landlockPlaces([LandlockPlace])
  /// Something that only helps to find a mistake.
  case note(String)
  case failed(RuntimeError)
}

/// What the mount helper can give.
public enum MountHelp: UInt8, Sendable {
  /// A detached copy of the source of a bind mount (or of the root file system), id-mapped if the mount says so.
  case tree = 1
  /// A user namespace with the mappings of the mount.
  case userNamespace = 2

  /// The index of the mount that stands for the root file system.
  public static var rootIndex: UInt32 { UInt32.max }
}

/// What the runtime tells the init stage.
public enum RuntimeOrder: UInt8, Sendable {
  case idsMapped = 1
  case committed = 2
  case start = 3
  /// With a descriptor.
  case helpGiven = 4
  /// Followed by the error.
  case helpRefused = 5
  /// The answer to `mountsMade`: the runtime has run its hooks.
  case hooksRun = 6
  case devicesMoved = 20
}

/// The runtime's side of the channel.
public struct RuntimeChannel: ~Copyable {
  private let socket: FileDescriptor

  public init(_ socket: consuming FileDescriptor) {
    self.socket = socket
  }

  /// The next report; nil when the init stage has closed its side without a word.
  public func receive() throws(RuntimeError) -> ReceivedReport? {
    let packet: Packet
    do {
      packet = try socket.receive()
    } catch {
      if error.errno == .connectionReset { return nil }
      throw error.because(.initProtocol, "cannot hear the init stage")
    }
    if packet.bytes.isEmpty { return nil }
    let report = try decodeReport(packet.bytes)
    return ReceivedReport(report: report, descriptor: packet.descriptor)
  }

  /// `terms` go with `start` and `committed` where the filter has a listener.
  public func send(_ order: RuntimeOrder, _ terms: ListenerTerms? = nil) throws(SystemError) {
    try socket.send(terms.map { [order.rawValue, $0.rawValue] } ?? [order.rawValue])
  }

  /// Whether an order has not been received yet.
  public var hasUnreadOrder: Bool { get throws(SystemError) { try Socket.unread(socket) > 0 } }

  /// Waits until there is something to receive, or the other side has closed; false when `timeout` milliseconds passed first.
  public func wait(timeout: Int64) throws(SystemError) -> Bool {
    try Poll.wait(socket, for: Poll.readable, timeout: timeout)
  }

  /// The number of the socket, for the mount helper, which answers in the place of the runtime.
  public var number: Int32 { socket.number }
}

/// The mount helper's side of the channel: it only sends.
public struct HelperChannel: ~Copyable {
  private let socket: FileDescriptor

  public init(_ socket: consuming FileDescriptor) {
    self.socket = socket
  }

  public func give(_ descriptor: borrowing FileDescriptor) throws(SystemError) {
    try socket.send([RuntimeOrder.helpGiven.rawValue], passing: descriptor.number)
  }

  public func refuse(_ error: RuntimeError) throws(SystemError) {
    var writer = WireWriter()
    writer.put(RuntimeOrder.helpRefused.rawValue)
    error.cut(to: 4096).encode(to: &writer)
    try socket.send(writer.bytes)
  }
}

/// What the runtime tells the mount helper: what to do for which mount, and the first process of the container.
public struct HelpRequest: Sendable, Equatable {
  public var help: MountHelp
  public var mount: UInt32
  public var pid: Int32
  /// What the kernel said to the process that asks; 0 where it has not tried.
  public var refused: Errno

  public init(_ help: MountHelp, mount: UInt32, refused: Errno, pid: Int32) {
    self.help = help
    self.mount = mount
    self.refused = refused
    self.pid = pid
  }

  public func encode() -> [UInt8] {
    var writer = WireWriter()
    writer.put(help.rawValue)
    writer.put(mount)
    writer.put(pid)
    writer.put(refused.number)
    return writer.bytes
  }

  public init(decoding bytes: [UInt8]) throws(WireError) {
    var reader = WireReader(bytes)
    guard let help = MountHelp(rawValue: try reader.byte()) else { throw .malformed }
    self.help = help
    mount = try reader.uint32()
    pid = try reader.int32()
    refused = Errno(try reader.int32())
  }
}

/// A report and the descriptor that came with it.
@frozen public struct ReceivedReport: ~Copyable {
  public var report: InitReport
  public var descriptor: FileDescriptor?

  /// The descriptor, which the caller closes from here on.
  @inlinable public mutating func takeDescriptor() -> FileDescriptor? {
    let taken = descriptor.take()
    return taken
  }
}

/// The init stage's side of the channel.
public struct InitReporter: ~Copyable {
  let socket: FileDescriptor

  public init(_ socket: consuming FileDescriptor) {
    self.socket = socket
  }

  public func send(_ report: InitReport, passing descriptor: Int32 = -1) throws(SystemError) {
    try socket.send(encodeReport(report), passing: descriptor)
  }

  /// Whether the other side has closed.
  public var isAbandoned: Bool {
    // POLLHUP
    get throws(SystemError) { try Poll.wait([(number: socket.number, events: 0)], timeout: 0)[0] & 0x10 != 0 }
  }

  /// Tells by write(2) alone why the command does not run, whether anybody listens or not, and ends the process. Nothing is
  /// closed on the way, neither this connection nor what the caller holds: somebody may have to be asked about that too.
  public func end(_ failure: RuntimeError, status: Int32) -> Never {
    do { try sendBehindFilter(.failed(failure)) } catch {}
    Processes.exit(status)
  }

  /// Sends by write(2) alone, the only way out that is left behind a seccomp filter.
  func sendBehindFilter(_ report: InitReport) throws(SystemError) {
    do {
      try socket.write(encodeReport(report))
    } catch {
      // The socket was made small for a listener.
      guard error.errno == .messageTooLong, case .failed(let failure) = report else { throw error }
      try socket.write(encodeReport(.failed(failure.cut(to: ListenerPackets.socketSize / 5))))
    }
  }

  /// Asks the mount helper, and waits for what it gives.
  /// `refused` is what the kernel said to this process, where it has tried.
  public func ask(
    for help: MountHelp, _ mount: UInt32, refused: Errno = Errno(0)
  ) throws(RuntimeError) -> FileDescriptor {
    try describe(.initProtocol, "cannot ask the mount helper") { () throws(SystemError) in
      try send(.helpWanted(help, mount: mount, refused: refused))
    }
    return try receiveHelp()
  }

  /// What the other side gives with a ``HelperChannel``, or the error that it refuses with.
  public func receiveHelp() throws(RuntimeError) -> FileDescriptor {
    let packet: Packet
    do {
      packet = try socket.receive()
    } catch {
      throw error.because(.initProtocol, "no answer from the mount helper")
    }
    return try InitReporter.given(packet)
  }

  private static func given(_ received: consuming Packet) throws(RuntimeError) -> FileDescriptor {
    var packet = received
    let order = packet.bytes.first.flatMap { RuntimeOrder(rawValue: $0) }
    if order == .helpRefused {
      var reader = WireReader([UInt8](packet.bytes.dropFirst()))
      let reason: RuntimeError
      do {
        reason = try RuntimeError(from: &reader)
      } catch {
        throw RuntimeError(.initProtocol, "the mount helper sent an error that cannot be read")
      }
      throw reason
    }
    guard order == .helpGiven, let descriptor = packet.takeDescriptor() else {
      throw RuntimeError(.initProtocol, "the mount helper gave no descriptor")
    }
    return descriptor
  }

  /// Waits for an order; nil when the other side has closed.
  public func receive() throws(SystemError) -> RuntimeOrder? {
    var terms = ListenerTerms()
    return try receive(&terms)
  }

  /// The same, with what is said about the listener of the filter.
  public func receive(_ terms: inout ListenerTerms) throws(SystemError) -> RuntimeOrder? {
    let packet: Packet
    do {
      packet = try socket.receive()
    } catch {
      if error.errno == .connectionReset { return nil }
      throw error
    }
    guard let first = packet.bytes.first else { return nil }
    if packet.bytes.count > 1 { terms = ListenerTerms(rawValue: packet.bytes[1]) }
    return RuntimeOrder(rawValue: first)
  }
}

func encodeReport(_ report: InitReport) -> [UInt8] {
  var writer = WireWriter()
  switch report {
  case .userNamespaceReady:
    writer.put(UInt8(1))
  case .cloned(let pid):
    writer.put(UInt8(2))
    writer.put(pid)
  case .prepared:
    writer.put(UInt8(3))
  case .failed(let error):
    writer.put(UInt8(4))
    error.encode(to: &writer)
    if writer.bytes.count > Socket.packetLimit {
      // It does not fit into a packet: every text is cut; the code and the cause stay.
      var short = WireWriter()
      short.put(UInt8(4))
      error.cut(to: 4096).encode(to: &short)
      return short.bytes
    }
  case .helpWanted(let help, let mount, let refused):
    writer.put(UInt8(6))
    writer.put(help.rawValue)
    writer.put(mount)
    writer.put(refused.number)
  case .networkReady:
    writer.put(UInt8(20))
  case .landlockPlaces(let places):
    writer.put(UInt8(21))
    writer.put(places)
  case .warning(let text):
    writer.put(UInt8(5))
    writer.put(text.cut(to: 8192))
  case .note(let text):
    writer.put(UInt8(22))
    writer.put(text.cut(to: 8192))
  case .mountsMade:
    writer.put(UInt8(7))
  case .listenerMade(let number):
    writer.put(UInt8(8))
    writer.put(number)
  case .listenerHeld:
    // So long that nothing has room behind it.
    return [9] + [UInt8](repeating: 0, count: ListenerPackets.heldLength - 1)
  case .listenerGiven:
    writer.put(UInt8(10))
  }
  return writer.bytes
}

extension RuntimeError {
  /// The same error with at most so many bytes in each of its texts, and without its trail.
  fileprivate func cut(to limit: Int) -> RuntimeError {
    RuntimeError(
      code, message.cut(to: limit), field: field.cut(to: limit),
      cause: cause.map { SystemError($0.call, $0.errno, $0.subject.cut(to: limit)) }, hint: hint.cut(to: limit))
  }
}

extension String {
  /// The first bytes of the text; a character that the cut divides is replaced.
  fileprivate func cut(to limit: Int) -> String {
    utf8.count <= limit ? self : String(decoding: utf8.prefix(limit), as: UTF8.self)
  }
}

func decodeReport(_ bytes: [UInt8]) throws(RuntimeError) -> InitReport {
  var reader = WireReader(bytes)
  do throws(WireError) {
    switch try reader.byte() {
    case 1: return .userNamespaceReady
    case 2: return .cloned(pid: try reader.int32())
    case 3: return .prepared
    case 20: return .networkReady
    case 21: return .landlockPlaces(try reader.landlockPlaces())
    case 4: return .failed(try RuntimeError(from: &reader))
    case 5: return .warning(try reader.string())
    case 22: return .note(try reader.string())
    case 6:
      guard let help = MountHelp(rawValue: try reader.byte()) else { throw .malformed }
      let mount = try reader.uint32()
      return .helpWanted(help, mount: mount, refused: Errno(try reader.int32()))
    case 7: return .mountsMade
    case 8: return .listenerMade(number: try reader.int32())
    case 9: return .listenerHeld
    case 10: return .listenerGiven
    default: throw .malformed
    }
  } catch {
    throw RuntimeError(.initProtocol, "the init stage sent a message that cannot be read")
  }
}
