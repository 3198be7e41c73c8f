/// What can be written into a document.
package protocol JSONEncodable {
  func encode(to writer: inout JSONWriter)
}

extension JSONEncodable {
  /// The whole document, without a line break at its end.
  package func encoded(_ layout: JSONLayout) -> [UInt8] {
    var writer = JSONWriter(layout)
    encode(to: &writer)
    return writer.bytes
  }
}

extension JSONWriter {
  /// A property, or nothing where the value is absent.
  package mutating func member<Value: JSONEncodable>(_ name: StaticString, _ value: Value?) {
    guard let value else { return }
    self.name(name.description)
    value.encode(to: &self)
  }
}

extension String: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.string(self)
  }
}

extension Bool: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.boolean(self)
  }
}

extension JSONEncodable where Self: FixedWidthInteger {
  package func encode(to writer: inout JSONWriter) {
    writer.integer(self)
  }
}

extension Int: JSONEncodable {}
extension Int32: JSONEncodable {}
extension Int64: JSONEncodable {}
extension UInt: JSONEncodable {}
extension UInt16: JSONEncodable {}
extension UInt32: JSONEncodable {}
extension UInt64: JSONEncodable {}

extension Array: JSONEncodable where Element: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginArray()
    for element in self {
      element.encode(to: &writer)
    }
    writer.endArray()
  }
}
