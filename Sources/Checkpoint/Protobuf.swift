/// What is wrong with bytes in the wire form of protocol buffers.
package enum ProtobufError: Error, Sendable {
  case truncated
  case malformed
}

/// Writes the wire form of protocol buffers (protobuf.dev, "Encoding"), as far as CRIU's messages need it.
package struct ProtobufWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func put(_ field: UInt32, _ value: UInt64) {
    varint(UInt64(field) << 3)
    varint(value)
  }

  /// A negative number of a field of type `int32` takes all of the 64 bits.
  package mutating func put(_ field: UInt32, _ value: Int32) { put(field, UInt64(bitPattern: Int64(value))) }

  package mutating func put(_ field: UInt32, _ value: Bool) { put(field, value ? UInt64(1) : 0) }

  package mutating func put(_ field: UInt32, _ text: String) { put(field, [UInt8](text.utf8)) }

  package mutating func put(_ field: UInt32, _ message: ProtobufWriter) { put(field, message.bytes) }

  private mutating func put(_ field: UInt32, _ content: [UInt8]) {
    varint(UInt64(field) << 3 | 2)
    varint(UInt64(content.count))
    bytes += content
  }

  private mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}

/// Reads the wire form of protocol buffers. It trusts nothing: every length is held against what is left.
package struct ProtobufReader {
  package enum Value: Equatable {
    case number(UInt64)
    case content(ArraySlice<UInt8>)
    /// A number of 32 or 64 bits, which no field that is read here has.
    case fixed
  }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  package init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// The next field and its number; nil at the end.
  package mutating func next() throws(ProtobufError) -> (field: UInt64, value: Value)? {
    if position == bytes.endIndex { return nil }
    let tag = try varint()
    guard tag >> 3 != 0, tag >> 3 < 1 << 29 else { throw .malformed }
    switch tag & 7 {
    case 0: return (tag >> 3, .number(try varint()))
    case 1:
      _ = try take(8)
      return (tag >> 3, .fixed)
    case 2:
      let length = try varint()
      guard length <= UInt64(bytes.endIndex - position) else { throw .truncated }
      return (tag >> 3, .content(try take(Int(length))))
    case 5:
      _ = try take(4)
      return (tag >> 3, .fixed)
    default: throw .malformed
    }
  }

  private mutating func take(_ count: Int) throws(ProtobufError) -> ArraySlice<UInt8> {
    guard count <= bytes.endIndex - position else { throw .truncated }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private mutating func varint() throws(ProtobufError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      guard position < bytes.endIndex else { throw .truncated }
      let byte = bytes[position]
      position += 1
      // The tenth byte has room for one bit.
      guard shift < 63 || (shift == 63 && byte <= 1) else { throw .malformed }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
  }
}

extension ProtobufReader.Value {
  package var bool: Bool {
    get throws(ProtobufError) { try uint64 != 0 }
  }

  /// A number that others cut to 32 bits: a longer one would be another for them.
  package var uint32: UInt64 {
    get throws(ProtobufError) {
      let number = try uint64
      guard number <= UInt64(UInt32.max) else { throw .malformed }
      return number
    }
  }

  package var uint64: UInt64 {
    get throws(ProtobufError) {
      guard case .number(let number) = self else { throw .malformed }
      return number
    }
  }

  package var int32: Int32 {
    get throws(ProtobufError) { Int32(truncatingIfNeeded: try uint64) }
  }

  package var message: ProtobufReader {
    get throws(ProtobufError) {
      guard case .content(let bytes) = self else { throw .malformed }
      return ProtobufReader(bytes)
    }
  }

  /// UTF-8 and nothing else: what was repaired would be another name.
  package var string: String {
    get throws(ProtobufError) {
      guard case .content(let bytes) = self else { throw .malformed }
      let text = String(decoding: bytes, as: UTF8.self)
      guard text.utf8.elementsEqual(bytes) else { throw .malformed }
      return text
    }
  }
}
