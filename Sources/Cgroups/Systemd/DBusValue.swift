/// A value of D-Bus (D-Bus specification, "Type System"), as far as the properties of units need it.
package indirect enum DBusValue: Equatable, Sendable {
  /// The letter of its type (`y b n q i u x t`) and its bits.
  case number(UInt8, UInt64)
  /// `s` or `o`; `g` for a signature.
  case text(UInt8, String)
  /// The signature of one element, and the elements, which are all of it.
  case array([UInt8], [DBusValue])
  case structure([DBusValue])
  case variant(DBusValue)

  package static func bool(_ value: Bool) -> DBusValue { .number(0x62, value ? 1 : 0) }
  package static func uint32(_ value: UInt32) -> DBusValue { .number(0x75, UInt64(value)) }
  package static func uint64(_ value: UInt64) -> DBusValue { .number(0x74, value) }
  package static func string(_ value: String) -> DBusValue { .text(0x73, value) }

  /// The number of one process, `au`.
  static func processes(_ pid: Int32) -> DBusValue { .array([0x75], [.uint32(UInt32(bitPattern: pid))]) }

  /// `ay`
  package static func bytes(_ bytes: [UInt8]) -> DBusValue { .array([0x79], bytes.map { .number(0x79, UInt64($0)) }) }

  /// The single complete type of the value, as `a(ss)`.
  package var signature: [UInt8] {
    switch self {
    case .number(let letter, _), .text(let letter, _): [letter]
    case .array(let element, _): [0x61] + element
    case .structure(let fields): [0x28] + fields.flatMap { $0.signature } + [0x29]
    case .variant: [0x76]
    }
  }
}

/// What every value of a type is aligned to, by the first letter of its signature.
enum DBusType {
  static func alignment(_ letter: UInt8) -> Int {
    switch letter {
    case 0x6E, 0x71: 2  // n q
    case 0x62, 0x69, 0x75, 0x68, 0x73, 0x6F, 0x61: 4  // b i u h s o a
    case 0x78, 0x74, 0x64, 0x28, 0x7B: 8  // x t d ( {
    default: 1  // y g v
    }
  }

  /// How many bytes a number takes; 0 for what is none.
  static func size(_ letter: UInt8) -> Int {
    switch letter {
    case 0x79: 1
    case 0x6E, 0x71, 0x62, 0x69, 0x75, 0x68, 0x78, 0x74, 0x64: alignment(letter)
    default: 0
    }
  }

  /// Whether it is exactly one complete type (D-Bus specification, "Type System"): whoever gets another one hangs up.
  static func isComplete(_ signature: [UInt8]) -> Bool { end(signature, 0, 0) == signature.count }

  /// Whether a text is a path of an object (`o`) or a signature (`g`), which the bus looks at.
  static func isText(_ text: [UInt8], of letter: UInt8) -> Bool {
    if letter == 0x67 {
      var place = 0
      while place < text.count {
        guard let behind = end(text, place, 0) else { return false }
        place = behind
      }
      // Its length is one byte.
      return text.count <= 255
    }
    guard text.first == 0x2F else { return false }
    return text.count == 1
      || CgroupText.split(text[1...], on: 0x2F).allSatisfy { name in
        !name.isEmpty
          && name.allSatisfy { byte in
            byte == 0x5F || (byte >= 0x30 && byte <= 0x39) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A)
          }
      }
  }

  /// The place behind the complete type that begins at `place`; nil where none does.
  private static func end(_ signature: [UInt8], _ place: Int, _ depth: Int) -> Int? {
    guard place < signature.count, depth < 32 else { return nil }
    switch signature[place] {
    case 0x73, 0x6F, 0x67, 0x76: return place + 1  // s o g v
    case 0x61:
      let next = place + 1
      guard next < signature.count, signature[next] == 0x7B else { return end(signature, next, depth + 1) }
      // A dictionary: the key is no container.
      guard let value = end(signature, next + 1, depth + 1), value == next + 2, signature[next + 1] != 0x76,
        let behind = end(signature, value, depth + 1), behind < signature.count, signature[behind] == 0x7D
      else { return nil }
      return behind + 1
    case 0x28:
      var next = place + 1
      repeat {
        guard let behind = end(signature, next, depth + 1) else { return nil }
        next = behind
      } while next < signature.count && signature[next] != 0x29
      return next < signature.count ? next + 1 : nil
    default: return size(signature[place]) > 0 ? place + 1 : nil
    }
  }
}

/// Writes values in little-endian marshalling (D-Bus specification, "Marshaling").
struct DBusWriter {
  private(set) var bytes: [UInt8] = []

  mutating func align(_ boundary: Int) {
    while bytes.count % boundary != 0 { bytes.append(0) }
  }

  mutating func put(_ value: UInt64, size: Int) {
    align(size)
    for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }

  mutating func put(_ text: String) {
    put(UInt64(text.utf8.count), size: 4)
    bytes += text.utf8
    bytes.append(0)
  }

  /// A signature has one byte of length.
  mutating func put(signature: [UInt8]) {
    bytes.append(UInt8(truncatingIfNeeded: signature.count))
    bytes += signature
    bytes.append(0)
  }

  mutating func put(_ value: DBusValue) {
    switch value {
    case .number(let letter, let bits): put(bits, size: DBusType.size(letter))
    case .text(0x67, let text): put(signature: [UInt8](text.utf8))
    case .text(_, let text): put(text)
    case .variant(let inner):
      put(signature: inner.signature)
      put(inner)
    case .structure(let fields):
      align(8)
      for field in fields { put(field) }
    case .array(let element, let values):
      put(0, size: 4)
      let place = bytes.count - 4
      align(DBusType.alignment(element.first ?? 0))
      let start = bytes.count
      for value in values { put(value) }
      // The padding in front of the first element does not count.
      let length = bytes.count - start
      for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
    }
  }
}
