public import Diagnostics
package import JSON

extension Config {
  /// Reads `config.json`.
  ///
  /// - Parameters:
  ///   - bytes: the document.
  ///   - file: how messages name it.
  /// - Throws: ``RuntimeError`` with ``ErrorCode/configSyntax`` where the document is no JSON, has another type than
  ///   the specification, or lacks a required property; ``ErrorCode/versionUnsupported`` where `ociVersion` is not a
  ///   version 1. The message has line and column, the field is the JSON pointer.
  public static func decode(_ bytes: [UInt8], file: String) throws(RuntimeError) -> Config {
    try JSONReader.decode(bytes, file: file)
  }
}

extension Process {
  /// Reads the `process` object of its own that `exec` takes. Throws as ``Config/decode(_:file:)``.
  public static func decode(_ bytes: [UInt8], file: String) throws(RuntimeError) -> Process {
    try JSONReader.decode(bytes, file: file)
  }
}

extension Resources {
  /// Reads the `resources` object of its own that `update` takes. Throws as ``Config/decode(_:file:)``.
  public static func decode(_ bytes: [UInt8], file: String) throws(RuntimeError) -> Resources {
    try JSONReader.decode(bytes, file: file)
  }
}

extension JSONReader {
  /// An object whose names are free, in the order of the document.
  package mutating func namedValues<Value: JSONDecodable>() throws(RuntimeError) -> [NamedValue<Value>] {
    var entries: [NamedValue<Value>] = []
    try beginObject()
    while let key = try nextProperty() {
      let name = key.string
      if name.utf8.contains(0) {
        throw failure("expected a property name without U+0000")
      }
      entries.append(NamedValue(name, try value()))
    }
    return entries
  }
}
