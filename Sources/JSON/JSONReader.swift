package import Diagnostics

/// A pull parser for one JSON document (RFC 8259), strict, without a tree: the decoder asks for what it expects, and
/// whatever else stands there is an error with line, column and JSON pointer.
///
/// It reads `config.json` at every container start and the states at every command, so it copies nothing but the
/// texts that are asked for. Also refused are: a property that stands twice in one object (which one counts differs
/// between parsers, so it can hide a setting from a reviewer), a byte order mark, nesting deeper than
/// ``depthLimit``, more bytes than ``sizeLimit``. Property names are compared exactly, with their case.
package struct JSONReader: ~Copyable {
  /// Nesting of objects and arrays. The deepest that the specification knows is 7.
  package static let depthLimit = 64
  /// Bytes in one document.
  package static let sizeLimit = 16 << 20
  /// Up to so many names in one object are compared with each other at once; in a larger object they are sorted when
  /// it ends, so that the work does not grow with the square.
  static let comparedKeys = 32

  /// An object or array that is open.
  struct Frame {
    /// Where its bracket stands.
    var start: Int
    /// The number of names on the stack when it opened.
    var keyBase: Int
    /// The index of the current element of an array; -1 in an object.
    var index: Int
    var isFirst = true
    /// Whether the reader stands in a member of it, so that the member belongs into a pointer.
    var isInMember = false
  }

  /// A property name that was seen in an open object.
  struct SeenKey {
    var hash: UInt32
    var length: Int32
    var start: Int
    var hasEscape: Bool
  }

  let bytes: UnsafeBufferPointer<UInt8>
  let file: String
  let code: ErrorCode
  package internal(set) var position = 0
  var frames: [Frame] = []
  var keys: [SeenKey] = []
  /// Where the object that ended last began.
  var closedStart = 0

  /// - Parameters:
  ///   - file: how messages name the document.
  ///   - code: the code of every error of this reader.
  init(_ bytes: UnsafeBufferPointer<UInt8>, file: String, code: ErrorCode) throws(RuntimeError) {
    self.bytes = bytes
    self.file = file
    self.code = code
    if bytes.count > Self.sizeLimit {
      throw RuntimeError(
        code, "`\(file)` has \(bytes.count) bytes: expected at most \(Self.sizeLimit)")
    }
    if bytes.isEmpty {
      throw RuntimeError(code, "`\(file)` is empty: expected a JSON document")
    }
    if bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF {
      throw RuntimeError(
        code, "`\(file)` begins with a byte order mark: expected JSON, which has none (RFC 8259, 8.1)")
    }
    frames.reserveCapacity(16)
    keys.reserveCapacity(64)
  }

  /// The byte at the position, or -1 at the end.
  var current: Int {
    @inline(__always) get { position < bytes.count ? Int(bytes[position]) : -1 }
  }

  mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  /// Refuses anything but white space after the document.
  mutating func finish() throws(RuntimeError) {
    skipSpace()
    if current != -1 {
      throw failure("expected the end of the file, found \(foundCharacter)")
    }
  }

  mutating func open(_ bracket: UInt8, _ kind: String) throws(RuntimeError) {
    skipSpace()
    guard current == Int(bracket) else {
      throw failure("expected \(kind), found \(foundValue)")
    }
    if frames.count == Self.depthLimit {
      throw failure("expected at most \(Self.depthLimit) levels of nesting")
    }
    frames.append(
      Frame(start: position, keyBase: keys.count, index: -1))
    position += 1
  }

  /// The opening bracket of an object. Call ``nextProperty()`` until it gives nothing.
  package mutating func beginObject() throws(RuntimeError) {
    try open(UInt8(ascii: "{"), "an object")
  }

  /// The name of the next property, or nothing, and then the object has ended. The caller must read the value, or
  /// ``skipValue()``. A property whose value is `null` counts as absent and is passed over.
  package mutating func nextProperty() throws(RuntimeError) -> JSONKey? {
    let top = frames.count - 1
    while true {
      frames[top].isInMember = false
      skipSpace()
      if current == 0x7D && frames[top].isFirst {
        try closeObject()
        return nil
      }
      if !frames[top].isFirst {
        if current == 0x7D {
          try closeObject()
          return nil
        }
        guard current == 0x2C else {
          throw failure("expected `,` or `}`, found \(foundCharacter)")
        }
        position += 1
        skipSpace()
      }
      frames[top].isFirst = false
      guard current == 0x22 else {
        throw failure("expected a property name in quotes, found \(foundCharacter)")
      }
      let text = try scanString()
      let key = makeKey(text)
      try note(text, key)
      frames[top].isInMember = true
      skipSpace()
      guard current == 0x3A else {
        throw failure("expected `:`, found \(foundCharacter)")
      }
      position += 1
      skipSpace()
      guard current == 0x6E else { return key }
      try literal("null")
    }
  }

  /// The opening bracket of an array. Call ``nextElement()`` until it says no.
  package mutating func beginArray() throws(RuntimeError) {
    try open(UInt8(ascii: "["), "an array")
  }

  /// Whether there is another element; if not, the array has ended. The caller must read it, or ``skipValue()``.
  package mutating func nextElement() throws(RuntimeError) -> Bool {
    let top = frames.count - 1
    frames[top].isInMember = false
    skipSpace()
    if current == 0x5D {
      frames.removeLast()
      position += 1
      return false
    }
    if !frames[top].isFirst {
      guard current == 0x2C else {
        throw failure("expected `,` or `]`, found \(foundCharacter)")
      }
      position += 1
      skipSpace()
    }
    frames[top].isFirst = false
    frames[top].index += 1
    frames[top].isInMember = true
    return true
  }

  /// Passes over a value of any kind, and checks its syntax all the same.
  package mutating func skipValue() throws(RuntimeError) {
    skipSpace()
    switch current {
    case 0x7B:
      try beginObject()
      while try nextProperty() != nil {
        try skipValue()
      }
    case 0x5B:
      try beginArray()
      while try nextElement() {
        try skipValue()
      }
    case 0x22: _ = try scanString()
    case 0x74: try literal("true")
    case 0x66: try literal("false")
    case 0x6E: try literal("null")
    case 0x2D, 0x30...0x39: _ = try scanNumber()
    default: throw failure("expected a value, found \(foundCharacter)")
    }
  }

  mutating func closeObject() throws(RuntimeError) {
    let frame = frames[frames.count - 1]
    if keys.count - frame.keyBase > Self.comparedKeys {
      try refuseRepeatedKeys(from: frame.keyBase)
    }
    keys.removeLast(keys.count - frame.keyBase)
    frames.removeLast()
    closedStart = frame.start
    position += 1
  }
}
