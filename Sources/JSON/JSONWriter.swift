/// How a document is laid out.
public enum JSONLayout: Sendable {
  /// Everything on one line, without spaces.
  case compact
  /// One member on a line, each level indented by two spaces.
  case spaces
  /// One member on a line, each level indented by a tab.
  case tabs
}

/// Writes one JSON document. Members come out in the order of the calls.
package struct JSONWriter {
  package private(set) var bytes: [UInt8] = []
  let layout: JSONLayout
  /// For each open bracket whether it is still empty.
  var isEmpty: [Bool] = []
  /// Whether a name was written and its value is next.
  var isAfterName = false

  package init(_ layout: JSONLayout) {
    self.layout = layout
  }

  package mutating func beginObject() {
    beginValue()
    bytes.append(UInt8(ascii: "{"))
    isEmpty.append(true)
  }

  package mutating func endObject() {
    end(UInt8(ascii: "}"))
  }

  package mutating func beginArray() {
    beginValue()
    bytes.append(UInt8(ascii: "["))
    isEmpty.append(true)
  }

  package mutating func endArray() {
    end(UInt8(ascii: "]"))
  }

  package mutating func name(_ name: String) {
    beginValue()
    text(name)
    bytes.append(UInt8(ascii: ":"))
    if layout != .compact {
      bytes.append(UInt8(ascii: " "))
    }
    isAfterName = true
  }

  package mutating func string(_ value: String) {
    beginValue()
    text(value)
  }

  package mutating func boolean(_ value: Bool) {
    beginValue()
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
  }

  package mutating func integer<T: FixedWidthInteger>(_ value: T) {
    beginValue()
    bytes.append(contentsOf: String(value).utf8)
  }

  package mutating func null() {
    beginValue()
    bytes.append(contentsOf: "null".utf8)
  }

  /// A number with up to two digits behind the point: 150 is `1.5`.
  package mutating func hundredths(_ value: UInt64) {
    integer(value / 100)
    let rest = UInt8(value % 100)
    if rest == 0 { return }
    bytes += [UInt8(ascii: "."), 0x30 + rest / 10]
    if rest % 10 != 0 { bytes.append(0x30 + rest % 10) }
  }

  /// The comma and the line break in front of a value or a name.
  private mutating func beginValue() {
    if isAfterName {
      isAfterName = false
      return
    }
    guard let wasEmpty = isEmpty.last else { return }
    if !wasEmpty {
      bytes.append(UInt8(ascii: ","))
    }
    isEmpty[isEmpty.count - 1] = false
    breakLine()
  }

  private mutating func end(_ bracket: UInt8) {
    if !isEmpty.removeLast() {
      breakLine()
    }
    bytes.append(bracket)
  }

  private mutating func breakLine() {
    guard layout != .compact else { return }
    bytes.append(0x0A)
    for _ in isEmpty {
      if layout == .tabs {
        bytes.append(0x09)
      } else {
        bytes.append(0x20)
        bytes.append(0x20)
      }
    }
  }

  /// A text in quotes. U+2028 and U+2029 are escaped too, as they end lines in JavaScript and in some terminals.
  private mutating func text(_ value: String) {
    bytes.append(0x22)
    for scalar in value.unicodeScalars {
      switch scalar.value {
      case 0x22: escape(UInt8(ascii: "\""))
      case 0x5C: escape(UInt8(ascii: "\\"))
      case 0x08: escape(UInt8(ascii: "b"))
      case 0x0C: escape(UInt8(ascii: "f"))
      case 0x0A: escape(UInt8(ascii: "n"))
      case 0x0D: escape(UInt8(ascii: "r"))
      case 0x09: escape(UInt8(ascii: "t"))
      case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029: escapeNumber(scalar.value)
      default: JSONReader.appendUTF8(scalar.value, to: &bytes)
      }
    }
    bytes.append(0x22)
  }

  private mutating func escape(_ letter: UInt8) {
    bytes.append(0x5C)
    bytes.append(letter)
  }

  private mutating func escapeNumber(_ value: UInt32) {
    escape(UInt8(ascii: "u"))
    for shift in [12, 8, 4, 0] {
      let digit = UInt8(truncatingIfNeeded: value >> UInt32(shift) & 0xF)
      bytes.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
    }
  }
}
