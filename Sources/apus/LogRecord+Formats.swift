import Diagnostics
import JSON

extension LogRecord {
  /// The record with its line break.
  func line(_ format: LogFormat) -> String {
    switch format {
    case .text: "time=\"\(time)\" level=\(level.name) msg=\(LogRecord.quoted(message))\n"
    case .json: json + "\n"
    }
  }

  private var json: String {
    var writer = JSONWriter(.compact)
    writer.beginObject()
    writer.member("level", level.name)
    writer.member("msg", message)
    writer.member("time", time)
    if let error {
      writer.member("code", error.code.name)
      writer.member("field", error.field.isEmpty ? nil : error.field)
      writer.member("syscall", error.cause?.call)
      writer.member("errno", error.cause?.errno.number)
      writer.member("subject", error.cause.flatMap { $0.subject.isEmpty ? nil : $0.subject })
      writer.member("hint", error.hint.isEmpty ? nil : error.hint)
    }
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  /// A value of the text form: bare if it is one word, else in quotes as Go writes them.
  static func quoted(_ text: String) -> String {
    let isBare =
      !text.isEmpty
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        // - . _ / @ ^ +
        case 0x2D, 0x2E, 0x5F, 0x2F, 0x40, 0x5E, 0x2B: true
        default: false
        }
      }
    return isBare ? text : "\"\(escaped(text, quotes: true))\""
  }

  /// One line that is safe for a terminal, whatever a configuration made the message of.
  static func printable(_ text: String) -> String { escaped(text, quotes: false) }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x22 where quotes: result += "\\\""
      case 0x5C where quotes: result += "\\\\"
      case 0x0A: result += "\\n"
      case 0x09: result += "\\t"
      case 0x0D: result += "\\r"
      case 0..<0x20, 0x7F: result += "\\x" + hexadecimal(scalar.value, digits: 2)
      // C1 controls, line and paragraph separators, and what turns the direction of writing.
      case 0x80..<0xA0, 0x2028...0x202E, 0x2066...0x2069:
        result += "\\u" + hexadecimal(scalar.value, digits: 4)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func hexadecimal(_ value: UInt32, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }
}
