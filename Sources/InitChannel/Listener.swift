public import Diagnostics
import Linux

/// What the init stage may do behind its filter with the listener of it. Who made the profile may want to be asked about the
/// calls for that, and then they wait for an answer of somebody who is not there yet, or who has gone.
public struct ListenerTerms: Sendable, Equatable {
  /// The call by which it gives up its own copy. With that copy the process would wait for ever if whoever listens ends: the
  /// kernel answers ENOSYS in his place only when the last copy is closed.
  public enum Closing: UInt8, Sendable, CaseIterable {
    /// None that certainly passes the filter: the copy stays until execve(2).
    case none = 0
    case close = 1
    case closeRange = 2
    case dup3 = 3

    public var call: String {
      switch self {
      case .none: ""
      case .close: "close"
      case .closeRange: "close_range"
      case .dup3: "dup3"
      }
    }
  }

  public var closing: Closing
  /// Whether it sends the listener, because the runtime may not take it.
  public var sends: Bool

  public init(closing: Closing = .none, sends: Bool = false) {
    self.closing = closing
    self.sends = sends
  }

  init(rawValue: UInt8) {
    closing = Closing(rawValue: rawValue & 0x7F) ?? .none
    sends = rawValue & 0x80 != 0
  }

  var rawValue: UInt8 { closing.rawValue | (sends ? 0x80 : 0) }
}

/// The packets of the init stage about its listener, made before the filter: behind it no memory may be asked for.
public struct ListenerPackets {
  fileprivate var made = encodeReport(.listenerMade(number: 0))
  fileprivate let held = encodeReport(.listenerHeld)
  fileprivate let given = encodeReport(.listenerGiven)

  /// What may lie unread in the socket, in bytes with what the kernel needs for each packet, before the next one waits.
  static var socketSize: Int { 8192 }
  /// With those needs it is more than that.
  static var heldLength: Int { 8000 }

  public init() {}

  fileprivate mutating func set(_ number: Int32) {
    for index in 0..<4 { made[1 + index] = UInt8(truncatingIfNeeded: number >> (8 * Int32(index))) }
  }
}

extension InitReporter {
  /// Before the filter is loaded: makes the socket as small as ``handOver(listener:_:_:)`` wants it.
  public func prepareHandover() throws(SystemError) {
    try Socket.limitSending(socket, to: ListenerPackets.socketSize)
  }

  /// Gives the listener of the filter to the runtime, and waits until whoever listens has it. It waits in write(2), about
  /// which nobody is asked: if the runtime ends meanwhile, so does the wait, whatever else the filter holds up. After that
  /// the listener is closed here, as `terms` say.
  public func handOver(
    listener: Int32, _ terms: ListenerTerms, _ packets: inout ListenerPackets
  ) throws(RuntimeError) {
    var failure: SystemError?
    do {
      packets.set(listener)
      if terms.sends {
        try socket.send(packets.made, passing: listener)
      } else {
        try socket.write(packets.made)
      }
      try socket.write(packets.held)
      // There is room for it when the runtime has received the one before.
      try socket.write(packets.given)
    } catch {
      failure = error
    }
    // First of all, or what the way out calls could wait for an answer.
    terms.closing.apply(listener, replacement: socket.number)
    guard let failure else { return }
    if [.brokenPipe, .connectionReset, .connectionRefused].contains(failure.errno) {
      throw RuntimeError(.initProtocol, "the runtime ended before it had passed the listener on")
    }
    throw failure.because(
      .listener, "cannot hand the listener of the seccomp filter over", field: "/linux/seccomp",
      hint: "a profile with `SCMP_ACT_NOTIFY` must let `write` pass, and `sendmsg` where the listener cannot be taken")
  }
}

extension ListenerTerms.Closing {
  /// Should it fail after all, the copy stays until execve(2).
  fileprivate func apply(_ listener: Int32, replacement: Int32) {
    do {
      switch self {
      case .none: break
      case .close: try Programs.closeDescriptor(listener)
      case .closeRange: try Programs.closeRange(from: UInt32(listener), upTo: UInt32(listener))
      case .dup3: try Programs.replaceDescriptor(listener, by: replacement, closesOnExec: true)
      }
    } catch {
      // A filter of somebody around this program may refuse it: as without it.
    }
  }
}
