public import Diagnostics
public import JSON

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

extension JSONWriter {
  /// A property that is an object with free names, or nothing where it is absent.
  mutating func members<Value: JSONEncodable>(_ name: StaticString, _ values: [NamedValue<Value>]?) {
    guard let values else { return }
    self.name(name.description)
    beginObject()
    for entry in values {
      self.name(entry.name)
      entry.value.encode(to: &self)
    }
    endObject()
  }
}

// The documents below come without a line break at the end.

extension Config {
  /// The document, for `spec`. Properties stand in the order in which the other runtimes write them.
  public func document(_ layout: JSONLayout = .tabs) -> [UInt8] {
    encoded(layout)
  }
}

extension State {
  /// The document that hooks get.
  public func document(_ layout: JSONLayout = .compact) -> [UInt8] {
    encoded(layout)
  }
}

extension ContainerProcessState {
  /// The document that goes to the listener of a seccomp filter.
  public func document(_ layout: JSONLayout = .compact) -> [UInt8] {
    encoded(layout)
  }
}

extension ContainerState {
  /// The document that `state` prints.
  public func document(_ layout: JSONLayout = .spaces) -> [UInt8] {
    encoded(layout)
  }

  /// The document that `list --format json` prints.
  public static func document(of list: [ContainerState], _ layout: JSONLayout = .compact) -> [UInt8] {
    list.encoded(layout)
  }
}

extension Features {
  /// The document that `features` prints.
  public func document(_ layout: JSONLayout = .spaces) -> [UInt8] {
    encoded(layout)
  }
}
