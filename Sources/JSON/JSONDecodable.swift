package import Diagnostics

/// What can be read from a document. The type asked for says what must stand there.
package protocol JSONDecodable {
  init(from reader: inout JSONReader) throws(RuntimeError)
}

extension JSONReader {
  /// The value that stands here, as the type that the caller wants.
  package mutating func value<T: JSONDecodable>(_ type: T.Type = T.self) throws(RuntimeError) -> T {
    try T(from: &self)
  }

  /// A whole document.
  ///
  /// - Parameters:
  ///   - file: how messages name the document.
  ///   - code: the code of every error of syntax or type.
  package static func decode<T: JSONDecodable>(
    _ bytes: [UInt8], file: String, code: ErrorCode = .configSyntax
  ) throws(RuntimeError) -> T {
    try bytes.withUnsafeBufferPointer { (buffer) throws(RuntimeError) -> T in
      var reader = try JSONReader(buffer, file: file, code: code)
      let value = try T(from: &reader)
      try reader.finish()
      return value
    }
  }
}

extension String: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self = try reader.string()
  }
}

extension Bool: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self = try reader.boolean()
  }
}

extension JSONDecodable where Self: FixedWidthInteger {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self = try reader.integer()
  }
}

extension Int: JSONDecodable {}
extension Int32: JSONDecodable {}
extension Int64: JSONDecodable {}
extension UInt: JSONDecodable {}
extension UInt16: JSONDecodable {}
extension UInt32: JSONDecodable {}
extension UInt64: JSONDecodable {}

extension Array: JSONDecodable where Element: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self = []
    try reader.beginArray()
    while try reader.nextElement() {
      append(try Element(from: &reader))
    }
  }
}
