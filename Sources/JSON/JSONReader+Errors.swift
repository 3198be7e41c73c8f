package import Diagnostics

extension JSONReader {
  /// Gives the value of a required property, or says that it is missing from the object that ended last.
  package func required<Value>(_ value: Value?, _ name: StaticString) throws(RuntimeError) -> Value {
    if let value { return value }
    throw failure("missing property `\(name.description)`", at: closedStart, under: name.description)
  }

  /// An error about the value that stands here, for rules that the decoder checks itself.
  package func failure(_ message: String) -> RuntimeError {
    failure(message, at: position)
  }

  /// - Parameters:
  ///   - offset: the byte that the error is about, a ``position`` of before.
  ///   - under: a property of the value that the reader stands in, if the error is about that.
  package func failure(_ message: String, at offset: Int, under name: String? = nil) -> RuntimeError {
    var line = 1
    var lineStart = 0
    for index in 0..<min(offset, bytes.count) where bytes[index] == 0x0A {
      line += 1
      lineStart = index + 1
    }
    var field = pointer
    if let name {
      field += "/"
      field += escapeForPointer(name)
    }
    return RuntimeError(
      code, "`\(file)` line \(line) column \(offset - lineStart + 1): \(message)", field: field)
  }

  func repeatedKey(_ key: SeenKey) -> RuntimeError {
    var error = failure(
      "property \(quoted(from: key.start, to: key.start + Int(key.length))) stands twice in one object",
      at: key.start - 1)
    error.field += "/"
    error.field += escapeForPointer(name(of: key))
    return error
  }

  /// The place of the current value as a JSON pointer (RFC 6901).
  var pointer: String {
    var result = ""
    for (depth, frame) in frames.enumerated() where frame.isInMember {
      result += "/"
      if frame.index >= 0 {
        result += "\(frame.index)"
      } else {
        let next = depth + 1 < frames.count ? frames[depth + 1].keyBase : keys.count
        result += escapeForPointer(name(of: keys[next - 1]))
      }
    }
    return result
  }

  /// The kind of the value that begins here, for "expected a string, found a number".
  var foundValue: String {
    switch current {
    case 0x7B: "an object"
    case 0x5B: "an array"
    case 0x22: "a string"
    case 0x2D, 0x30...0x39: "a number"
    default: isWordCharacter(current) ? foundWord : foundCharacter
    }
  }

  /// The letters that stand here.
  var foundWord: String {
    var end = position
    while end < bytes.count, isWordCharacter(Int(bytes[end])) {
      end += 1
    }
    return end == position ? foundCharacter : quoted(from: position, to: end)
  }

  /// The character that stands here.
  var foundCharacter: String {
    switch current {
    case -1:
      return "the end of the file"
    case 0x60:
      return "a back-quote"
    case 0x21...0x7E:
      return quoted(from: position, to: position + 1)
    default:
      let digits = String(current, radix: 16)
      return digits.utf8.count == 1 ? "the byte 0x0\(digits)" : "the byte 0x\(digits)"
    }
  }

  func isWordCharacter(_ byte: Int) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F: true
    default: false
    }
  }

  /// A piece of the document in back-quotes, at most 40 bytes of it.
  func quoted(from start: Int, to end: Int) -> String {
    let limit = 40
    let piece = bytes[start..<min(end, start + limit)]
    return "`" + String(decoding: piece, as: UTF8.self) + (end - start > limit ? "…`" : "`")
  }
}

/// A name as a step of a JSON pointer: `~` and `/` escaped (RFC 6901, 3).
package func escapeForPointer(_ name: String) -> String {
  var result: [UInt8] = []
  for byte in name.utf8 {
    switch byte {
    case 0x7E:
      result.append(0x7E)
      result.append(0x30)
    case 0x2F:
      result.append(0x7E)
      result.append(0x31)
    default: result.append(byte)
    }
  }
  return String(decoding: result, as: UTF8.self)
}
