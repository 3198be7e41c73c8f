/// Splitting of the texts that the kernel gives, on bytes.
enum CgroupText {
  static func split(_ bytes: ArraySlice<UInt8>, on separator: UInt8) -> [ArraySlice<UInt8>] {
    var parts: [ArraySlice<UInt8>] = []
    var start = bytes.startIndex
    var index = start
    while index < bytes.endIndex {
      if bytes[index] == separator {
        parts.append(bytes[start..<index])
        start = index + 1
      }
      index += 1
    }
    parts.append(bytes[start..<bytes.endIndex])
    return parts
  }

  /// The lines, without empty ones.
  static func lines(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    split(bytes[...], on: 0x0A).filter { !$0.isEmpty }
  }

  /// The first line, without its end.
  static func line(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
    bytes[..<(bytes.firstIndex(of: 0x0A) ?? bytes.endIndex)]
  }

  /// The words of a line.
  @inline(never)
  static func words(of line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    split(line, on: 0x20).filter { !$0.isEmpty }
  }

  /// The words between blanks and line ends.
  static func words(_ bytes: [UInt8]) -> [String] {
    lines(bytes).flatMap { words(of: $0).map(string) }
  }

  static func string(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes, as: UTF8.self)
  }

  /// A decimal number and nothing else.
  @inline(never)
  static func unsigned(_ bytes: ArraySlice<UInt8>) -> UInt64? {
    if bytes.isEmpty { return nil }
    var value: UInt64 = 0
    for byte in bytes {
      guard byte >= 0x30 && byte <= 0x39 else { return nil }
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(byte - 0x30))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  /// The same, where it is not too large for the type.
  static func number(_ bytes: ArraySlice<UInt8>) -> Int? {
    unsigned(bytes).flatMap { Int(exactly: $0) }
  }

  /// The value of `key` in a file of `key value` lines, such as `cgroup.events`.
  static func value(of key: String, in bytes: [UInt8]) -> String? {
    for line in lines(bytes) {
      let parts = split(line, on: 0x20)
      if parts.count == 2 && string(parts[0]) == key { return string(parts[1]) }
    }
    return nil
  }

  /// The text without the blanks and line ends around it.
  static func trimmed(_ bytes: [UInt8]) -> String {
    var slice = bytes[...]
    while let last = slice.last, last == 0x0A || last == 0x20 { slice = slice.dropLast() }
    while let first = slice.first, first == 0x0A || first == 0x20 { slice = slice.dropFirst() }
    return string(slice)
  }

  /// Takes out the octal escapes of proc(5) mountinfo: blank, tab, line end and backslash.
  static func unescaped(_ bytes: ArraySlice<UInt8>) -> String {
    var plain: [UInt8] = []
    plain.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
      if bytes[index] == 0x5C && bytes.endIndex - index > 3 {
        let digits = bytes[(index + 1)...(index + 3)]
        if digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x37 }) {
          plain.append(digits.reduce(0) { $0 &* 8 &+ ($1 - 0x30) })
          index += 4
          continue
        }
      }
      plain.append(bytes[index])
      index += 1
    }
    return String(decoding: plain, as: UTF8.self)
  }
}
