// The protocol between the runtime (the parent) and the two halves of the init stage. It changes here first.
//
//   runtime                      stage 1                         stage 2
//     │ spawn (socket, payload, …)  │
//     ├────────────────────────────►│ not dumpable, reads the payload
//     │                             │ joins the cgroups of v1
//     │      userNamespaceReady     │ unshare(CLONE_NEWUSER)
//     │◄────────────────────────────┤      only with a new user namespace
//     │ writes uid_map and gid_map  │
//     │          idsMapped          │
//     ├────────────────────────────►│ becomes root of it
//     │                             │ unshare(CLONE_NEWTIME), offsets
//     │       cloned + pidfd        │ clone3 (CLONE_PARENT, CLONE_INTO_CGROUP)
//     │◄────────────────────────────┼──────────────────────────────►│ the steps of the plan, pivot; a terminal's
//     │                             │ exit                          │ master goes to a socket of its own
//     │                                                             │ privileges given up
//     │                           prepared                          │
//     │◄────────────────────────────────────────────────────────────┤
//     │ the state is written        │
//     │                          committed                          │
//     ├────────────────────────────────────────────────────────────►│ accepts on the start socket
//     │
//   start
//     │ connect                        start                        │
//     ├────────────────────────────────────────────────────────────►│ seccomp filter, execve
//     │                 end of file: the agent command runs         │
//     │◄────────────────────────────────────────────────────────────┤
//
// At any rung the init stage may answer `failed` with the error instead, and ends. If the runtime is gone the next
// send or receive fails, and the init stage ends too: nobody would ever start it. One SOCK_SEQPACKET packet is one
// message with at most one descriptor.

public import Diagnostics
public import Linux

/// What the init stage tells the runtime.
public enum InitReport: Sendable {
  case userNamespaceReady
  /// Stage 2 has this pid in the namespace of stage 1; its pidfd comes along.
  case cloned(pid: Int32)
  /// Something that the user should know and that stops nothing.
  case warning(String)
  case prepared
  case failed(RuntimeError)
}

/// What the runtime tells the init stage.
public enum RuntimeOrder: UInt8, Sendable {
  case idsMapped = 1
  case committed = 2
  case start = 3
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

  public func send(_ order: RuntimeOrder) throws(SystemError) {
    try socket.send([order.rawValue])
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
  private let socket: FileDescriptor

  public init(_ socket: consuming FileDescriptor) {
    self.socket = socket
  }

  public func send(_ report: InitReport, passing descriptor: Int32 = -1) throws(SystemError) {
    try socket.send(encodeReport(report), passing: descriptor)
  }

  /// Sends by write(2) alone, the only way out that is left behind a seccomp filter.
  public func sendBehindFilter(_ report: InitReport) throws(SystemError) {
    try socket.write(encodeReport(report))
  }

  /// Waits for an order; nil when the other side has closed.
  public func receive() throws(SystemError) -> RuntimeOrder? {
    let packet: Packet
    do {
      packet = try socket.receive()
    } catch {
      if error.errno == .connectionReset { return nil }
      throw error
    }
    guard let first = packet.bytes.first else { return nil }
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
  case .warning(let text):
    writer.put(UInt8(5))
    writer.put(text.cut(to: 8192))
  }
  return writer.bytes
}

extension RuntimeError {
  /// The same error with at most so many bytes in each of its texts, and without its trail.
  fileprivate func cut(to limit: Int) -> RuntimeError {
    var short = RuntimeError(
      code, message.cut(to: limit), field: field.cut(to: limit), cause: cause, hint: hint.cut(to: limit))
    short.cause?.subject = cause?.subject.cut(to: limit) ?? ""
    return short
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
    case 4: return .failed(try RuntimeError(from: &reader))
    case 5: return .warning(try reader.string())
    default: throw .malformed
    }
  } catch {
    throw RuntimeError(.initProtocol, "the init stage sent a message that cannot be read")
  }
}

/// The answer to `start`: what the waiting init sent before it closed the connection. Nil is success.
public func decodeStartAnswer(_ bytes: [UInt8]) throws(RuntimeError) -> RuntimeError? {
  if bytes.isEmpty { return nil }
  if case .failed(let error) = try decodeReport(bytes) { return error }
  throw RuntimeError(.initProtocol, "the init stage answered `start` with something else than an error")
}
