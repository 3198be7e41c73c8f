package import Diagnostics

/// Where the content of a string stands, between the quotes. Its syntax is known to be right.
struct ScannedString {
  var start: Int
  var end: Int
  var hasEscape: Bool
  /// Whether it holds U+0000.
  var hasNul: Bool
}

extension JSONReader {
  /// A string. U+0000 is refused: every text of these documents ends up in an interface where it would cut the text
  /// short, so that what runs would not be what a reviewer read.
  package mutating func string() throws(RuntimeError) -> String {
    skipSpace()
    guard current == 0x22 else {
      throw failure("expected a string, found \(foundValue)")
    }
    let quote = position
    let text = try scanString()
    if text.hasNul {
      throw failure("expected a string without U+0000", at: quote)
    }
    let raw = UnsafeBufferPointer(rebasing: bytes[text.start..<text.end])
    if text.hasEscape {
      return String(decoding: Self.unescape(raw), as: UTF8.self)
    }
    return String(decoding: raw, as: UTF8.self)
  }

  /// Checks the string that begins here and moves behind it.
  mutating func scanString() throws(RuntimeError) -> ScannedString {
    position += 1
    var text = ScannedString(start: position, end: position, hasEscape: false, hasNul: false)
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case 0x22:
        text.end = position
        position += 1
        return text
      case 0x5C:
        text.hasEscape = true
        if try scanEscape() == 0 {
          text.hasNul = true
        }
      case 0..<0x20:
        throw failure("expected no control character in a string, found \(foundCharacter)")
      case 0x80...:
        try scanMultibyte(byte)
      default:
        position += 1
      }
    }
    throw failure("expected `\"`, found \(foundCharacter)")
  }

  /// Checks the escape that begins here, moves behind it and gives its scalar.
  mutating func scanEscape() throws(RuntimeError) -> UInt32 {
    let start = position
    position += 1
    let letter = current
    switch letter {
    case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74:
      position += 1
      return UInt32(letter)
    case 0x75:
      position += 1
      let first = try scanHexadecimal()
      if first & 0xFC00 == 0xD800, current == 0x5C, position + 1 < bytes.count, bytes[position + 1] == 0x75 {
        position += 2
        let second = try scanHexadecimal()
        if second & 0xFC00 == 0xDC00 {
          return 0x10000 + (first & 0x3FF) << 10 + second & 0x3FF
        }
      }
      if first & 0xF800 == 0xD800 {
        throw failure("expected a pair of surrogates, found a single one", at: start)
      }
      return first
    default:
      throw failure("expected one of `\"\\/bfnrtu` after `\\`, found \(foundCharacter)")
    }
  }

  mutating func scanHexadecimal() throws(RuntimeError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Self.hexadecimalDigit(current) else {
        throw failure("expected four hexadecimal digits after `\\u`, found \(foundCharacter)")
      }
      value = value << 4 | digit
      position += 1
    }
    return value
  }

  static func hexadecimalDigit(_ byte: Int) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte - 0x30)
    case 0x41...0x46: UInt32(byte - 0x41 + 10)
    case 0x61...0x66: UInt32(byte - 0x61 + 10)
    default: nil
    }
  }

  /// Checks one character of two to four bytes: no overlong form, no surrogate, nothing above U+10FFFF.
  mutating func scanMultibyte(_ lead: UInt8) throws(RuntimeError) {
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    let following: Int
    switch lead {
    case 0xC2...0xDF: following = 1
    case 0xE0...0xEF:
      following = 2
      if lead == 0xE0 { lowest = 0xA0 }
      if lead == 0xED { highest = 0x9F }
    case 0xF0...0xF4:
      following = 3
      if lead == 0xF0 { lowest = 0x90 }
      if lead == 0xF4 { highest = 0x8F }
    default: throw failure("expected UTF-8, found \(foundCharacter)")
    }
    guard position + following < bytes.count else {
      throw failure("expected UTF-8, found \(foundCharacter)")
    }
    for offset in 1...following {
      let byte = bytes[position + offset]
      guard byte >= lowest && byte <= highest else {
        throw failure("expected UTF-8, found \(foundCharacter)")
      }
      lowest = 0x80
      highest = 0xBF
    }
    position += following + 1
  }

  /// The bytes that a checked string stands for.
  static func unescape(_ raw: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(raw.count)
    var index = 0
    while index < raw.count {
      let byte = raw[index]
      guard byte == 0x5C else {
        result.append(byte)
        index += 1
        continue
      }
      let letter = raw[index + 1]
      index += 2
      switch letter {
      case 0x62: result.append(0x08)
      case 0x66: result.append(0x0C)
      case 0x6E: result.append(0x0A)
      case 0x72: result.append(0x0D)
      case 0x74: result.append(0x09)
      case 0x75:
        var scalar = fourDigits(raw, index)
        index += 4
        if scalar & 0xFC00 == 0xD800 {
          scalar = 0x10000 + (scalar & 0x3FF) << 10 + fourDigits(raw, index + 2) & 0x3FF
          index += 6
        }
        appendUTF8(scalar, to: &result)
      default: result.append(letter)
      }
    }
    return result
  }

  static func fourDigits(_ raw: UnsafeBufferPointer<UInt8>, _ start: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in start..<start + 4 {
      value = value << 4 | (hexadecimalDigit(Int(raw[index])) ?? 0)
    }
    return value
  }

  static func appendUTF8(_ scalar: UInt32, to result: inout [UInt8]) {
    if scalar < 0x80 {
      result.append(UInt8(scalar))
      return
    }
    if scalar < 0x800 {
      result.append(0xC0 | UInt8(scalar >> 6))
    } else {
      if scalar < 0x10000 {
        result.append(0xE0 | UInt8(scalar >> 12))
      } else {
        result.append(0xF0 | UInt8(scalar >> 18))
        result.append(0x80 | UInt8(scalar >> 12 & 0x3F))
      }
      result.append(0x80 | UInt8(scalar >> 6 & 0x3F))
    }
    result.append(0x80 | UInt8(scalar & 0x3F))
  }
}
