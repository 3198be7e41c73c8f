public import Diagnostics

/// What is wrong with bytes in wire form: they end early or hold a value that does not exist.
public enum WireError: Error, Sendable {
  case truncated
  case malformed
}

/// Writes the compact wire form: numbers little-endian, lengths and counts as 32 bits, no padding. Both sides are the
/// same program, so there is no versioning beyond the one of the record file.
public struct WireWriter {
  public private(set) var bytes: [UInt8] = []

  public init() {
    bytes.reserveCapacity(4096)
  }

  public mutating func put(_ value: UInt8) { bytes.append(value) }
  public mutating func put(_ value: Bool) { bytes.append(value ? 1 : 0) }

  public mutating func put(_ value: UInt32) {
    for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  public mutating func put(_ value: Int32) { put(UInt32(bitPattern: value)) }

  public mutating func put(_ value: UInt64) {
    put(UInt32(truncatingIfNeeded: value))
    put(UInt32(truncatingIfNeeded: value >> 32))
  }

  public mutating func put(_ value: Int64) { put(UInt64(bitPattern: value)) }

  public mutating func put(_ value: [UInt8]) {
    put(UInt32(value.count))
    bytes.append(contentsOf: value)
  }

  public mutating func put(_ value: String) {
    put(UInt32(value.utf8.count))
    bytes.append(contentsOf: value.utf8)
  }

  public mutating func put(_ values: [String]) {
    put(UInt32(values.count))
    for value in values { put(value) }
  }

  public mutating func put(_ values: [UInt32]) {
    put(UInt32(values.count))
    for value in values { put(value) }
  }

  public mutating func put<T>(list values: [T], _ element: (inout WireWriter, T) -> Void) {
    put(UInt32(values.count))
    for value in values { element(&self, value) }
  }
}

/// Reads what ``WireWriter`` wrote. It trusts nothing: every length is held against what is left.
public struct WireReader {
  private let bytes: [UInt8]
  private var position = 0

  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  public var isAtEnd: Bool { position == bytes.count }

  public mutating func byte() throws(WireError) -> UInt8 {
    guard position < bytes.count else { throw .truncated }
    position += 1
    return bytes[position - 1]
  }

  public mutating func bool() throws(WireError) -> Bool {
    switch try byte() {
    case 0: return false
    case 1: return true
    default: throw .malformed
    }
  }

  public mutating func uint32() throws(WireError) -> UInt32 {
    guard bytes.count - position >= 4 else { throw .truncated }
    var value: UInt32 = 0
    for index in 0..<4 { value |= UInt32(bytes[position + index]) << UInt32(8 * index) }
    position += 4
    return value
  }

  public mutating func int32() throws(WireError) -> Int32 { Int32(bitPattern: try uint32()) }

  public mutating func uint64() throws(WireError) -> UInt64 {
    let low = UInt64(try uint32())
    return low | UInt64(try uint32()) << 32
  }

  public mutating func int64() throws(WireError) -> Int64 { Int64(bitPattern: try uint64()) }

  public mutating func blob() throws(WireError) -> [UInt8] {
    let count = Int(try uint32())
    guard count <= bytes.count - position else { throw .truncated }
    defer { position += count }
    return [UInt8](bytes[position..<position + count])
  }

  public mutating func string() throws(WireError) -> String {
    let count = Int(try uint32())
    guard count <= bytes.count - position else { throw .truncated }
    defer { position += count }
    return String(decoding: bytes[position..<position + count], as: UTF8.self)
  }

  public mutating func strings() throws(WireError) -> [String] {
    try list { (reader) throws(WireError) in try reader.string() }
  }

  public mutating func numbers() throws(WireError) -> [UInt32] {
    try list { (reader) throws(WireError) in try reader.uint32() }
  }

  public mutating func list<T>(
    _ element: (inout WireReader) throws(WireError) -> T
  ) throws(WireError) -> [T] {
    let count = Int(try uint32())
    // An element takes at least one byte: a count beyond that is a lie, and must not reserve memory.
    guard count <= bytes.count - position else { throw .truncated }
    var values: [T] = []
    values.reserveCapacity(count)
    for _ in 0..<count { values.append(try element(&self)) }
    return values
  }
}

extension RuntimeError {
  public func encode(to writer: inout WireWriter) {
    writer.put(UInt32(code.rawValue))
    writer.put(message)
    writer.put(trail)
    writer.put(field)
    writer.put(hint)
    writer.put(cause != nil)
    if let cause {
      writer.put(cause.call)
      writer.put(cause.errno.number)
      writer.put(cause.subject)
    }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    guard let code = ErrorCode(rawValue: UInt16(truncatingIfNeeded: try reader.uint32())) else {
      throw .malformed
    }
    let message = try reader.string()
    let trail = try reader.strings()
    let field = try reader.string()
    let hint = try reader.string()
    var cause: SystemError?
    if try reader.bool() {
      let call = try reader.string()
      let number = try reader.int32()
      cause = SystemError(call, Errno(number), try reader.string())
    }
    self.init(code, message, field: field, cause: cause, hint: hint)
    self.trail = trail
  }
}
