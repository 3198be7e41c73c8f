import Foundation
import Testing

/// A JSON document that tests can read and change without declaring types: configurations, states, reports.
/// Reading what is not there gives `.null`; writing `.null` takes a member away.
enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case number(Int)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(parsing text: String) throws {
    self = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
  }

  var text: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return recorded(or: "") { String(decoding: try encoder.encode(self), as: UTF8.self) }
  }

  subscript(name: String) -> JSONValue {
    get {
      guard case .object(let members) = self else { return .null }
      return members[name] ?? .null
    }
    set {
      var members: [String: JSONValue] = [:]
      if case .object(let present) = self { members = present }
      members[name] = newValue == .null ? nil : newValue
      self = .object(members)
    }
  }

  subscript(index: Int) -> JSONValue {
    get { elements.indices.contains(index) ? elements[index] : .null }
    set {
      var changed = elements
      changed[index] = newValue
      self = .array(changed)
    }
  }

  /// What a JSON pointer leads to; writing one element behind the last one of an array appends it.
  subscript(pointer pointer: String) -> JSONValue {
    get {
      pointer.split(separator: "/").reduce(self) { value, part in
        if case .array = value { value[Int(part) ?? -1] } else { value[String(part)] }
      }
    }
    set {
      let parts = pointer.split(separator: "/").map(String.init)
      guard let first = parts.first else {
        self = newValue
        return
      }
      let rest = parts.dropFirst().joined(separator: "/")
      guard case .array(let elements) = self, let index = Int(first) else {
        self[first][pointer: rest] = newValue
        return
      }
      if index == elements.count { append(.object([:])) }
      self[index][pointer: rest] = newValue
    }
  }

  mutating func append(_ value: JSONValue) {
    self = .array(elements + [value])
  }

  var string: String? { if case .string(let value) = self { value } else { nil } }
  var int: Int? { if case .number(let value) = self { value } else { nil } }
  var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  var elements: [JSONValue] { if case .array(let values) = self { values } else { [] } }
  var members: [String: JSONValue] { if case .object(let values) = self { values } else { [:] } }
  var strings: [String] { elements.compactMap(\.string) }
  var ints: [Int] { elements.compactMap(\.int) }
}

extension JSONValue: Codable {
  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    // Of what kind a value is can only be told by trying: nil where it is of another one. What is wrong within a list or an
    // object is an error.
    func decode<Value: Decodable>(_: Value.Type) throws -> Value? {
      do {
        return try container.decode(Value.self)
      } catch DecodingError.typeMismatch(_, let place) where place.codingPath.count == decoder.codingPath.count {
        return nil
      } catch {
        // A number that does not fit into this type: Foundation has an error of its own for that, which has no name here.
        guard Value.self is any Numeric.Type else { throw error }
        return nil
      }
    }
    if container.decodeNil() {
      self = .null
    } else if let value = try decode(Bool.self) {
      self = .bool(value)
    } else if let value = try decode(Int.self) {
      self = .number(value)
    } else if let value = try decode(UInt64.self) {
      self = .number(Int(clamping: value))
    } else if let value = try decode(Double.self) {
      // No test looks behind the point.
      self = .number(Int(value))
    } else if let value = try decode(String.self) {
      self = .string(value)
    } else if let value = try decode([JSONValue].self) {
      self = .array(value)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .string(let value): try container.encode(value)
    case .array(let values): try container.encode(values)
    case .object(let values): try container.encode(values)
    }
  }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByStringInterpolation, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  init(nilLiteral: ()) { self = .null }
  init(booleanLiteral value: Bool) { self = .bool(value) }
  init(integerLiteral value: Int) { self = .number(value) }
  init(stringLiteral value: String) { self = .string(value) }
  init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(Dictionary(elements, uniquingKeysWith: { $1 }))
  }
  init(_ strings: [String]) { self = .array(strings.map { .string($0) }) }
}
