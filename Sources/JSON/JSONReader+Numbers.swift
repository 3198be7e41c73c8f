package import Diagnostics

/// A number of the document. Its syntax is known to be right.
struct ScannedNumber {
  var start: Int
  var isNegative: Bool
  /// The digits before the point, unless ``isTooLarge``.
  var magnitude: UInt64
  var isTooLarge: Bool
  /// Whether it has neither a fraction nor an exponent.
  var isInteger: Bool
}

extension JSONReader {
  /// An integer of the width asked for. `1.0` and `1e3` are refused, as the other runtimes' parser does: an integer
  /// is written as one. So is `-0` where the type has no sign.
  package mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(RuntimeError) -> T {
    let bits = try integerBits(
      T.isSigned ? Int64(truncatingIfNeeded: T.min) : 0, UInt64(truncatingIfNeeded: T.max))
    return T(truncatingIfNeeded: bits)
  }

  /// An integer from `least` to `most`, as the bits of its two's complement. Not generic: the code is there once.
  private mutating func integerBits(_ least: Int64, _ most: UInt64) throws(RuntimeError) -> UInt64 {
    skipSpace()
    guard current == 0x2D || current >= 0x30 && current <= 0x39 else {
      throw failure("expected an integer, found \(foundValue)")
    }
    let number = try scanNumber()
    guard number.isInteger else {
      throw failure("expected an integer, found \(text(of: number))", at: number.start)
    }
    if !number.isTooLarge {
      if !number.isNegative {
        if number.magnitude <= most { return number.magnitude }
      } else if least < 0 && number.magnitude <= least.magnitude {
        return 0 &- number.magnitude
      }
    }
    throw failure("expected an integer from \(least) to \(most), found \(text(of: number))", at: number.start)
  }

  package mutating func boolean() throws(RuntimeError) -> Bool {
    skipSpace()
    switch current {
    case 0x74:
      try literal("true")
      return true
    case 0x66:
      try literal("false")
      return false
    default:
      throw failure("expected `true` or `false`, found \(foundValue)")
    }
  }

  /// Moves behind one of the three words of JSON.
  mutating func literal(_ word: StaticString) throws(RuntimeError) {
    let start = position
    for index in 0..<word.utf8CodeUnitCount {
      guard current == Int(word.utf8Start[index]) else {
        position = start
        throw failure("expected `\(word.description)`, found \(foundWord)")
      }
      position += 1
    }
    // `nullx`: the letter would otherwise be reported as a missing comma.
    if isWordCharacter(current) {
      position = start
      throw failure("expected `\(word.description)`, found \(foundWord)")
    }
  }

  /// Checks the number that begins here and moves behind it.
  mutating func scanNumber() throws(RuntimeError) -> ScannedNumber {
    var number = ScannedNumber(
      start: position, isNegative: false, magnitude: 0, isTooLarge: false, isInteger: true)
    if current == 0x2D {
      number.isNegative = true
      position += 1
    }
    let firstDigit = position
    try scanDigits { digit in
      let (product, overflow) = number.magnitude.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      number.magnitude = sum
      number.isTooLarge = number.isTooLarge || overflow || carry
    }
    if bytes[firstDigit] == 0x30 && position - firstDigit > 1 {
      throw failure("expected a number without a leading zero", at: number.start)
    }
    if current == 0x2E {
      number.isInteger = false
      position += 1
      try scanDigits { _ in }
    }
    if current == 0x65 || current == 0x45 {
      number.isInteger = false
      position += 1
      if current == 0x2B || current == 0x2D {
        position += 1
      }
      try scanDigits { _ in }
    }
    return number
  }

  /// One digit or more.
  mutating func scanDigits(_ body: (UInt8) -> Void) throws(RuntimeError) {
    guard current >= 0x30 && current <= 0x39 else {
      throw failure("expected a digit, found \(foundCharacter)")
    }
    while position < bytes.count, bytes[position] >= 0x30 && bytes[position] <= 0x39 {
      body(bytes[position] &- 0x30)
      position += 1
    }
  }

  /// The number as it is written, in back-quotes, cut where it is absurdly long.
  func text(of number: ScannedNumber) -> String {
    quoted(from: number.start, to: position)
  }
}
