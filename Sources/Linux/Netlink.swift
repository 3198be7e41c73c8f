import CLinux
public import Diagnostics

/// A socket of rtnetlink(7). It speaks for the network namespace in which it was opened, whoever holds it.
@frozen public struct NetlinkSocket: ~Copyable {
  public let descriptor: FileDescriptor

  public init(_ descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }
}

extension NetlinkSocket {
  public static func open() throws(SystemError) -> NetlinkSocket {
    let number = try check(
      "socket", sys_socket(16 /* AF_NETLINK */, 3 /* SOCK_RAW */, 0 /* NETLINK_ROUTE */), "rtnetlink")
    return NetlinkSocket(FileDescriptor(owning: Int32(number)))
  }

  /// The network namespace of the socket, ioctl SIOCGSKNS (netdevice(7)).
  public func namespace() throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: Int32(try check("ioctl", sys_ioctl(descriptor.number, 0x894C, nil), "SIOCGSKNS")))
  }

  /// Sends a request and collects what comes before the end of the answer, each message without its header. `subject` is
  /// for the error.
  func request(_ message: NetlinkMessage, _ subject: String) throws(SystemError) -> [[UInt8]] {
    try descriptor.write(message.finished)
    var answers: [[UInt8]] = []
    while true {
      let packet = try descriptor.read(upTo: 65536)
      var offset = 0
      while packet.count - offset >= NetlinkMessage.headerSize {
        let length = Int(packet.word(offset))
        guard length >= NetlinkMessage.headerSize, length <= packet.count - offset else { break }
        let body = [UInt8](packet[(offset + NetlinkMessage.headerSize)..<(offset + length)])
        let type = UInt16(truncatingIfNeeded: packet.word(offset + 4))
        if type == 3 /* NLMSG_DONE */ { return answers }
        if type == 2 /* NLMSG_ERROR; with 0 it is the acknowledgement */ {
          let result = Int32(bitPattern: body.word(0))
          if result == 0 { return answers }
          throw SystemError("rtnetlink", Errno(-result), subject)
        }
        answers.append(body)
        offset += (length + 3) & ~3
      }
      if packet.isEmpty { throw SystemError("read", .inputOutput, "rtnetlink") }
    }
  }
}

/// One request of rtnetlink(7) while it is put together.
struct NetlinkMessage {
  static var headerSize: Int { 16 }
  /// NLM_F_DUMP: all objects, and an end of the list.
  static var dump: UInt16 { 0x300 }
  /// NLM_F_CREATE | NLM_F_REPLACE
  static var replace: UInt16 { 0x500 }

  private var bytes: [UInt8] = []

  /// An acknowledgement is always asked for, so that every answer has an end.
  init(_ type: UInt16, flags: UInt16 = 0) {
    put(UInt32(0))
    put(UInt32(type) | UInt32(flags | 0x1 | 0x4 /* NLM_F_REQUEST | NLM_F_ACK */) << 16)
    put(UInt32(1))
    put(UInt32(0))
  }

  mutating func put(_ value: UInt32) {
    for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func put(_ values: [UInt8]) { bytes += values }

  mutating func attribute(_ type: UInt16, _ value: [UInt8]) {
    put(UInt32(value.count + 4) | UInt32(type) << 16)
    bytes += value
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  mutating func attribute(_ type: UInt16, name: String) { attribute(type, [UInt8](name.utf8) + [0]) }

  /// With its length in front.
  var finished: [UInt8] {
    var finished = bytes
    for index in 0..<4 { finished[index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index)) }
    return finished
  }
}

extension [UInt8] {
  /// 32 bits from `offset` on; 0 behind the end.
  func word(_ offset: Int) -> UInt32 {
    guard offset + 4 <= count else { return 0 }
    return (0..<4).reduce(0) { $0 | UInt32(self[offset + $1]) << UInt32(8 * $1) }
  }

  /// The attributes that begin at `offset`.
  func attributes(from offset: Int) -> [(type: UInt16, value: [UInt8])] {
    var found: [(type: UInt16, value: [UInt8])] = []
    var offset = offset
    while count - offset >= 4 {
      let header = word(offset)
      let length = Int(header & 0xFFFF)
      guard length >= 4, length <= count - offset else { return found }
      found.append((UInt16(truncatingIfNeeded: header >> 16), [UInt8](self[(offset + 4)..<(offset + length)])))
      offset += (length + 3) & ~3
    }
    return found
  }
}
