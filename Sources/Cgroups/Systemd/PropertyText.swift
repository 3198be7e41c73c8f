package import Diagnostics
package import OCISpec

extension UnitProperties {
  private static var prefix: String { "org.systemd.property." }

  /// The properties that annotations ask for: `org.systemd.property.NAME` with a value in the text form of GVariant, as in runc.
  package static func annotated(_ annotations: [NamedValue<String>]) throws(RuntimeError) -> [UnitProperty] {
    var list: [UnitProperty] = []
    for annotation in annotations where annotation.name.utf8.starts(with: prefix.utf8) {
      list.append(
        try property(
          String(Substring(annotation.name.utf8.dropFirst(prefix.utf8.count))), annotation.value, annotation.name))
    }
    return list
  }

  private static func property(
    _ name: String, _ text: String, _ annotation: String
  ) throws(RuntimeError) -> UnitProperty {
    let field = "/annotations/" + WriteList.escaped(annotation)
    let letters = [UInt8](name.utf8)
    guard letters.count >= 3, letters.allSatisfy({ ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A }) else {
      throw RuntimeError(
        .configInvalid, "`\(name)` is no name of a property: expected at least three letters", field: field)
    }
    // Whoever is named there would be ended with the container.
    if name == "PIDs" { throw RuntimeError(.configInvalid, "`PIDs` is the runtime's own to set", field: field) }
    do throws(PropertyTextError) {
      // `TimeoutStopSec` of the manual is `TimeoutStopUSec` on the bus.
      let count = letters.count
      if count > 3, name.utf8.suffix(3).elementsEqual("Sec".utf8), letters[count - 4] >= 0x61 {
        return UnitProperty(
          String(decoding: letters[..<(count - 3)], as: UTF8.self) + "USec",
          .uint64(try PropertyText.microseconds(text)))
      }
      return UnitProperty(name, try PropertyText.value(text))
    } catch {
      throw RuntimeError(
        .configInvalid, "the value `\(text)` is \(error.text)", field: field,
        hint: "it is a text of GVariant, such as `uint64 5`, `true` or `'text'`")
    }
  }
}

enum PropertyTextError: Error {
  case malformed
  case range
  case time

  var text: String {
    switch self {
    case .malformed: "malformed"
    case .range: "out of the range of its type"
    case .time: "no number of seconds"
    }
  }
}

/// The text form of GVariant, as far as properties need it: numbers, truth values, texts, lists, structures and variants,
/// with the type in front where it is another one than that which the text has by itself.
struct PropertyText {
  private let bytes: [UInt8]
  private var position = 0

  static func value(_ text: String) throws(PropertyTextError) -> DBusValue {
    var parser = PropertyText(bytes: [UInt8](text.utf8))
    let value = try parser.value([], 0)
    try parser.expectEnd()
    return value
  }

  /// A number of seconds, with digits behind a point too.
  static func microseconds(_ text: String) throws(PropertyTextError) -> UInt64 {
    var bytes = [UInt8](CgroupText.trimmed([UInt8](text.utf8)).utf8)[...]
    if bytes.starts(with: "double ".utf8) { bytes = bytes.dropFirst(7) }
    let parts = CgroupText.split(bytes, on: 0x2E)
    var micro: UInt64 = 0
    var whole: UInt64?
    if parts.count == 2 {
      whole = CgroupText.number(parts[0]).map { UInt64($0) }
      let digits = [UInt8](parts[1].prefix(6)) + [UInt8](repeating: 0x30, count: max(0, 6 - parts[1].count))
      guard parts[1].allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let part = CgroupText.number(digits[...]) else {
        throw .time
      }
      micro = UInt64(part)
    } else if case .number(let letter, let bits) = try value(text), letter != 0x62 {
      // A negative one has the highest bit set.
      whole = bits < 1 << 63 || letter == 0x74 ? bits : nil
    }
    guard let whole else { throw .time }
    let (product, overflow) = whole.multipliedReportingOverflow(by: 1_000_000)
    let (sum, carry) = product.addingReportingOverflow(micro)
    if overflow || carry { throw .range }
    return sum
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private var next: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func skipBlanks() {
    while next == 0x20 || next == 0x09 || next == 0x0A { position += 1 }
  }

  private mutating func take(_ byte: UInt8) -> Bool {
    skipBlanks()
    guard position < bytes.count, bytes[position] == byte else { return false }
    position += 1
    return true
  }

  private mutating func expectEnd() throws(PropertyTextError) {
    skipBlanks()
    if position < bytes.count { throw .malformed }
  }

  /// `expected` is the signature that the value must have; empty for any.
  private mutating func value(_ expected: [UInt8], _ depth: Int) throws(PropertyTextError) -> DBusValue {
    if depth > 16 { throw .malformed }
    skipBlanks()
    let value: DBusValue
    switch next {
    case 0x27, 0x22:
      let text = try quoted()
      let isSpecial = expected == [0x6F] || expected == [0x67]
      if isSpecial && !DBusType.isText([UInt8](text.utf8), of: expected[0]) { throw .malformed }
      value = .text(isSpecial ? expected[0] : 0x73, text)
    case 0x5B: value = try array(expected, depth)
    case 0x28: value = try structure(depth)
    case 0x3C:
      position += 1
      value = .variant(try self.value([], depth + 1))
      guard take(0x3E) else { throw .malformed }
    case 0x40:
      position += 1
      let signature = type()
      if signature.isEmpty { throw .malformed }
      value = try self.value(signature, depth + 1)
    default: value = try scalar(expected, depth)
    }
    if !expected.isEmpty && value.signature != expected { throw .malformed }
    // Its length is one byte on the bus.
    if value.signature.count > 255 { throw .malformed }
    return value
  }

  private mutating func array(_ expected: [UInt8], _ depth: Int) throws(PropertyTextError) -> DBusValue {
    position += 1
    var element = expected.first == 0x61 ? [UInt8](expected.dropFirst()) : []
    var values: [DBusValue] = []
    if !take(0x5D) {
      repeat {
        let value = try self.value(element, depth + 1)
        element = value.signature
        values.append(value)
      } while take(0x2C)
      guard take(0x5D) else { throw .malformed }
    }
    // A list without elements and without a type could be any; and its type may be what no element has.
    if !DBusType.isComplete([0x61] + element) { throw .malformed }
    return .array(element, values)
  }

  private mutating func structure(_ depth: Int) throws(PropertyTextError) -> DBusValue {
    position += 1
    var fields: [DBusValue] = []
    // The types of the fields are not told apart here: what does not come out as expected is refused by the caller.
    repeat { fields.append(try value([], depth + 1)) } while take(0x2C)
    guard take(0x29) else { throw .malformed }
    return .structure(fields)
  }

  private mutating func quoted() throws(PropertyTextError) -> String {
    let quote = next
    position += 1
    var text: [UInt8] = []
    while position < bytes.count && bytes[position] != quote {
      var byte = bytes[position]
      position += 1
      if byte == 0x5C {
        byte = next
        position += 1
        switch byte {
        case 0x6E: byte = 0x0A
        case 0x74: byte = 0x09
        case 0x5C, 0x27, 0x22: break
        default: throw .malformed
        }
      }
      // D-Bus has no such text.
      if byte == 0 { throw .malformed }
      text.append(byte)
    }
    guard position < bytes.count else { throw .malformed }
    position += 1
    return String(decoding: text, as: UTF8.self)
  }

  /// Letters, digits and signs up to the next blank or bracket.
  private mutating func word() -> [UInt8] {
    let start = position
    while position < bytes.count {
      switch bytes[position] {
      case 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: position += 1
      default: return [UInt8](bytes[start..<position])
      }
    }
    return [UInt8](bytes[start...])
  }

  /// A signature, up to the next blank.
  private mutating func type() -> [UInt8] {
    let start = position
    while position < bytes.count && bytes[position] != 0x20 { position += 1 }
    return [UInt8](bytes[start..<position])
  }

  private mutating func scalar(_ expected: [UInt8], _ depth: Int) throws(PropertyTextError) -> DBusValue {
    let word = word()
    if word.elementsEqual("true".utf8) { return .bool(true) }
    if word.elementsEqual("false".utf8) { return .bool(false) }
    if let type = PropertyText.type(word) { return try value([type], depth + 1) }
    return try PropertyText.number(word, expected.isEmpty ? 0x69 : expected[0])
  }

  private static func type(_ word: [UInt8]) -> UInt8? {
    switch String(decoding: word, as: UTF8.self) {
    case "boolean": 0x62
    case "byte": 0x79
    case "int16": 0x6E
    case "uint16": 0x71
    case "int32": 0x69
    case "uint32": 0x75
    case "int64": 0x78
    case "uint64": 0x74
    case "string": 0x73
    case "objectpath": 0x6F
    case "signature": 0x67
    default: nil
    }
  }

  /// Decimal, or hexadecimal behind `0x`; a type without a sign takes none.
  private static func number(_ word: [UInt8], _ type: UInt8) throws(PropertyTextError) -> DBusValue {
    var digits = word[...]
    let isNegative = digits.first == 0x2D
    if isNegative || digits.first == 0x2B { digits = digits.dropFirst() }
    let isHexadecimal = digits.starts(with: "0x".utf8) && digits.count > 2
    if isHexadecimal { digits = digits.dropFirst(2) }
    if digits.isEmpty { throw .malformed }
    var value: UInt64 = 0
    for byte in digits {
      guard let digit = DBusAddress.hexadecimal(byte), isHexadecimal || digit < 10 else { throw .malformed }
      let (product, overflow) = value.multipliedReportingOverflow(by: isHexadecimal ? 16 : 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      if overflow || carry { throw .range }
      value = sum
    }
    let size = DBusType.size(type)
    let isSigned = type == 0x6E || type == 0x69 || type == 0x78
    if size == 0 || type == 0x62 { throw .malformed }
    let top = UInt64(1) << UInt64(8 * size - 1)
    if isSigned ? value > (isNegative ? top : top - 1) : isNegative && value != 0 { throw .range }
    if !isSigned && size < 8 && value >> UInt64(8 * size) != 0 { throw .range }
    return .number(type, isNegative ? 0 &- value : value)
  }
}
