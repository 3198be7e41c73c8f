/// What came in does not follow the D-Bus specification.
enum DBusFormatError: Error {
  case malformed
}

/// Reads marshalled values. Whoever wrote them is not trusted: each length is held against what is left.
struct DBusReader {
  private let bytes: [UInt8]
  private(set) var position: Int

  init(_ bytes: [UInt8], at position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  mutating func align(_ boundary: Int) throws(DBusFormatError) {
    position = (position + boundary - 1) / boundary * boundary
    if position > bytes.count { throw .malformed }
  }

  mutating func number(_ size: Int) throws(DBusFormatError) -> UInt64 {
    try align(size)
    guard bytes.count - position >= size else { throw .malformed }
    var value: UInt64 = 0
    for index in 0..<size { value |= UInt64(bytes[position + index]) << UInt64(8 * index) }
    position += size
    return value
  }

  mutating func uint32() throws(DBusFormatError) -> UInt32 { UInt32(truncatingIfNeeded: try number(4)) }

  mutating func string() throws(DBusFormatError) -> String {
    String(decoding: try text(Int(try number(4))), as: UTF8.self)
  }

  mutating func signature() throws(DBusFormatError) -> [UInt8] { [UInt8](try text(Int(try number(1)))) }

  private mutating func text(_ length: Int) throws(DBusFormatError) -> ArraySlice<UInt8> {
    guard length < bytes.count - position, bytes[position + length] == 0 else { throw .malformed }
    defer { position += length + 1 }
    return bytes[position..<position + length]
  }

  /// Passes over a variant of whatever type.
  mutating func skipVariant(_ depth: Int = 0) throws(DBusFormatError) {
    let signature = try signature()
    var place = 0
    try skip(signature, &place, depth)
    if place != signature.count { throw .malformed }
  }

  /// Passes over one value, and in the signature over its type.
  private mutating func skip(_ signature: [UInt8], _ place: inout Int, _ depth: Int) throws(DBusFormatError) {
    guard place < signature.count, depth < 32 else { throw .malformed }
    let letter = signature[place]
    switch letter {
    case 0x73, 0x6F:
      _ = try string()
      place += 1
    case 0x67:
      _ = try self.signature()
      place += 1
    case 0x76:
      place += 1
      try skipVariant(depth + 1)
    case 0x61:
      let length = Int(try number(4))
      place += 1
      guard place < signature.count else { throw .malformed }
      try align(DBusType.alignment(signature[place]))
      guard length <= bytes.count - position else { throw .malformed }
      try DBusReader.skipType(signature, &place, depth + 1)
      position += length
    case 0x28:
      try align(8)
      place += 1
      while place < signature.count && signature[place] != 0x29 { try skip(signature, &place, depth + 1) }
      guard place < signature.count else { throw .malformed }
      place += 1
    default:
      let size = DBusType.size(letter)
      if size == 0 { throw .malformed }
      _ = try number(size)
      place += 1
    }
  }

  private static func skipType(_ signature: [UInt8], _ place: inout Int, _ depth: Int) throws(DBusFormatError) {
    guard place < signature.count, depth < 32 else { throw .malformed }
    let letter = signature[place]
    place += 1
    if letter == 0x61 { return try skipType(signature, &place, depth + 1) }
    guard letter == 0x28 || letter == 0x7B else { return }
    let end: UInt8 = letter == 0x28 ? 0x29 : 0x7D
    while place < signature.count && signature[place] != end { try skipType(signature, &place, depth + 1) }
    guard place < signature.count else { throw .malformed }
    place += 1
  }
}

/// A method call of ours.
struct DBusCall {
  var member: String
  var body: [DBusValue]
  /// Of the bus itself and not of systemd.
  var toBus: Bool

  init(_ member: String, _ body: [DBusValue], toBus: Bool = false) {
    self.member = member
    self.body = body
    self.toBus = toBus
  }

  func encode(serial: UInt32) -> [UInt8] {
    var content = DBusWriter()
    for value in body { content.put(value) }
    var writer = DBusWriter()
    // Little-endian, a method call, no flags, version 1.
    for byte: UInt64 in [0x6C, 1, 0, 1] { writer.put(byte, size: 1) }
    writer.put(UInt64(content.bytes.count), size: 4)
    writer.put(UInt64(serial), size: 4)
    var fields: [DBusValue] = []
    func field(_ code: UInt64, _ value: DBusValue) {
      fields.append(.structure([.number(0x79, code), .variant(value)]))
    }
    field(1, .text(0x6F, toBus ? "/org/freedesktop/DBus" : "/org/freedesktop/systemd1"))
    field(2, .string(toBus ? SystemdName.bus : SystemdName.managerInterface))
    field(3, .string(member))
    field(6, .string(toBus ? SystemdName.bus : SystemdName.manager))
    let signature = body.flatMap { $0.signature }
    if !signature.isEmpty { field(8, .text(0x67, String(decoding: signature, as: UTF8.self))) }
    writer.put(.array(Array("(yv)".utf8), fields))
    writer.align(8)
    return writer.bytes + content.bytes
  }
}

/// A message that came in. Of its header only what is looked at here.
struct DBusMessage {
  enum Kind: UInt8 {
    case call = 1
    case reply = 2
    case error = 3
    case signal = 4
  }

  /// Nil for a kind that is not known, which is ignored.
  var kind: Kind?
  var replySerial: UInt32 = 0
  var interface = ""
  var member = ""
  var errorName = ""
  var sender = ""
  var signature: [UInt8] = []
  var body: [UInt8]

  /// Longer ones are not looked at: nothing that is waited for is half as long.
  static let lengthLimit = 1 << 20
  static let prefixLength = 16

  /// The length of the whole message, from the first 16 bytes of it, in the order of bytes that it says.
  static func length(_ prefix: [UInt8]) throws(DBusFormatError) -> Int {
    guard prefix.count >= prefixLength, prefix[0] == 0x6C || prefix[0] == 0x42, prefix[3] == 1 else { throw .malformed }
    var reader = DBusReader(prefix, at: 4)
    var body = try reader.uint32()
    _ = try reader.uint32()
    var fields = try reader.uint32()
    if prefix[0] == 0x42 { (body, fields) = (body.byteSwapped, fields.byteSwapped) }
    // The limits of the specification.
    guard body <= 1 << 27, fields <= 1 << 26 else { throw .malformed }
    return (prefixLength + Int(fields) + 7) / 8 * 8 + Int(body)
  }

  init(_ bytes: [UInt8]) throws(DBusFormatError) {
    // Whoever answers from this machine is little-endian as it is.
    guard try DBusMessage.length(bytes) == bytes.count, bytes[0] == 0x6C else { throw .malformed }
    kind = Kind(rawValue: bytes[1])
    var reader = DBusReader(bytes, at: 12)
    let end = DBusMessage.prefixLength + Int(try reader.uint32())
    body = []
    while reader.position < end {
      try reader.align(8)
      let code = try reader.number(1)
      // The types of the fields that are known are fixed, but anybody may write another.
      var ahead = reader
      let type = try ahead.signature()
      switch (code, type) {
      case (2, [0x73]): interface = try ahead.string()
      case (3, [0x73]): member = try ahead.string()
      case (4, [0x73]): errorName = try ahead.string()
      case (5, [0x75]): replySerial = try ahead.uint32()
      case (7, [0x73]): sender = try ahead.string()
      case (8, [0x67]): signature = try ahead.signature()
      default:
        ahead = reader
        try ahead.skipVariant()
      }
      reader = ahead
    }
    guard reader.position == end else { throw .malformed }
    try reader.align(8)
    body = [UInt8](bytes[reader.position...])
  }
}

extension DBusMessage {
  /// Nil for what is no message.
  init?(of bytes: [UInt8]) {
    do {
      self = try DBusMessage(bytes)
    } catch {
      return nil
    }
  }

  static func length(of prefix: [UInt8]) -> Int? {
    do {
      return try length(prefix)
    } catch {
      return nil
    }
  }

  /// What an error says, for people: one line and not too long, whoever wrote it.
  var errorText: String {
    var text = ""
    if signature.first == 0x73 {
      var reader = DBusReader(body)
      do throws(DBusFormatError) {
        text = try reader.string()
      } catch {
        // The name alone then.
      }
    }
    text += text.isEmpty ? errorName : " (" + errorName + ")"
    var bytes = [UInt8](text.utf8)
    if bytes.count > 600 { bytes.removeLast(bytes.count - 600) }
    for index in bytes.indices where bytes[index] < 0x20 || bytes[index] == 0x7F { bytes[index] = 0x20 }
    return CgroupText.string(bytes[...])
  }
}
