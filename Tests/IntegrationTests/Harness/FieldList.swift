import Foundation

/// The properties that the decoder of the configuration knows below `process` and `linux`, read from its sources: a new one
/// is a line there, and has to have a row in ``FieldRow/all`` from then on.
enum FieldList {
  /// One property; `*` in the pointer stands for an index, or for a name that is free.
  struct Field {
    let pointer: String
    let empty: JSONValue
  }

  static let all: Result<[Field], any Error> = Result {
    var fields: [Field] = []
    try add("Process", "/process", to: &fields)
    try add("LinuxConfig", "/linux", to: &fields)
    return fields
  }

  /// Their own tests are about what stands inside.
  private static let closed = ["SeccompProfile"]

  private static func add(_ type: String, _ place: String, to fields: inout [Field]) throws {
    let types = try types.get()
    for name in try names.get()[type] ?? [] {
      guard let text = types["\(type).\(name)"] else { throw HarnessError("`\(type)` has no property `\(name)`") }
      fields.append(Field(pointer: "\(place)/\(name)", empty: empty(text)))
      // Of the resources only the first level.
      if type == "Resources" { continue }
      let inner = text.replacingOccurrences(of: "NamedValue<", with: "").filter { !"[]?>".contains($0) }
      guard !closed.contains(inner), try names.get()[inner] != nil else { continue }
      try add(inner, "\(place)/\(name)\(text.hasPrefix("[") ? "/*" : "")", to: &fields)
    }
  }

  private static func empty(_ type: String) -> JSONValue {
    switch type.filter({ $0 != "?" }) {
    case "Bool": false
    case "String": ""
    case "Int", "UInt", "Int32", "Int64", "UInt16", "UInt32", "UInt64": 0
    case let list where list.hasPrefix("[") && !list.hasPrefix("[NamedValue"): []
    default: [:]
    }
  }

  private static let sources: Result<[String], any Error> = Result {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/../../../Sources/OCISpec"
    return try Files.names(in: folder).filter { $0.hasSuffix(".swift") }.map { try Files.read("\(folder)/\($0)") }
  }

  /// The names that each type decodes, in their order: `case "args":` within `extension Process: JSONDecodable`.
  private static let names: Result<[String: [String]], any Error> = Result {
    var found: [String: [String]] = [:]
    for source in try sources.get() {
      for part in source.components(separatedBy: "\nextension ").dropFirst() {
        guard let colon = part.firstIndex(of: ":"), part[colon...].hasPrefix(": JSONDecodable") else { continue }
        let matches = part.matches(of: /\n      case "([A-Za-z0-9]+)":/)
        found[String(part[..<colon])] = matches.map { String($0.output.1) }
      }
    }
    return found
  }

  /// The type of each stored property: `Process.args` is `[String]?`.
  private static let types: Result<[String: String], any Error> = Result {
    var found: [String: String] = [:]
    for source in try sources.get() {
      for part in source.components(separatedBy: "\npublic struct ").dropFirst() {
        let name = part.prefix { $0.isLetter }
        for match in part.matches(of: /\n  public var `?([A-Za-z0-9]+)`?: ([^\n{=]+)\n/) {
          found["\(name).\(match.output.1)"] = String(match.output.2)
        }
      }
    }
    return found
  }
}
