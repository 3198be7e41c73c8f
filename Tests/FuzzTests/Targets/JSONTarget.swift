import Diagnostics

@testable import JSON

/// A document as a tree, which no part of the program makes.
private indirect enum Tree: JSONDecodable, JSONEncodable, Equatable {
  case object([Member])
  case array([Tree])
  case string(String)
  case boolean(Bool)
  case null
  case signed(Int64)
  case unsigned(UInt64)

  struct Member: Equatable {
    var name: String
    var value: Tree
  }

  init(from reader: inout JSONReader) throws(RuntimeError) {
    reader.skipSpace()
    switch reader.current {
    case 0x7B:
      var members: [Member] = []
      try reader.beginObject()
      while let key = try reader.nextProperty() {
        let name = key.string
        members.append(Member(name: name, value: try Tree(from: &reader)))
      }
      self = .object(members)
    case 0x5B: self = .array(try [Tree](from: &reader))
    case 0x22: self = .string(try reader.string())
    case 0x74, 0x66: self = .boolean(try reader.boolean())
    case 0x6E:
      try reader.literal("null")
      self = .null
    case 0x2D, 0x30...0x39: self = try Tree.number(&reader)
    default: throw reader.failure("expected a value, found \(reader.foundCharacter)")
    }
  }

  /// A number that is no integer of 64 bits stands as its text.
  private static func number(_ reader: inout JSONReader) throws(RuntimeError) -> Tree {
    let start = reader.position
    let number = try reader.scanNumber()
    let isInteger = number.isInteger && !number.isTooLarge
    if isInteger && !number.isNegative { return .unsigned(number.magnitude) }
    if isInteger && number.magnitude > 0 && number.magnitude <= Int64.min.magnitude {
      return .signed(Int64(truncatingIfNeeded: 0 &- number.magnitude))
    }
    return .string(String(decoding: reader.bytes[start..<reader.position], as: UTF8.self))
  }

  func encode(to writer: inout JSONWriter) {
    switch self {
    case .object(let members):
      writer.beginObject()
      for member in members {
        writer.name(member.name)
        member.value.encode(to: &writer)
      }
      writer.endObject()
    case .array(let elements): elements.encode(to: &writer)
    case .string(let text): writer.string(text)
    case .boolean(let value): writer.boolean(value)
    case .null: writer.null()
    case .signed(let value): writer.integer(value)
    case .unsigned(let value): writer.integer(value)
    }
  }

  /// A member that is `null` counts as absent, but an element does not.
  var hasNullMember: Bool {
    switch self {
    case .object(let members): members.contains { $0.value == .null || $0.value.hasNullMember }
    case .array(let elements): elements.contains { $0.hasNullMember }
    default: false
    }
  }
}

/// A document that is read without a look at what is in it.
private struct Skipped: JSONDecodable {
  init(from reader: inout JSONReader) throws(RuntimeError) { try reader.skipValue() }
}

/// An object of the kind that a decoder reads.
private struct Sample: JSONDecodable, JSONEncodable, Equatable {
  var name: String
  var number: Int32?
  var list: [String]?
  var share: UInt64 = 0

  init(from reader: inout JSONReader) throws(RuntimeError) {
    var name: String?
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "name": name = try reader.value()
      case "number": number = try reader.value()
      case "list": list = try reader.value()
      case "share": share = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.name = try reader.required(name, "name")
  }

  func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("name", name)
    writer.member("number", number)
    writer.member("list", list)
    writer.member("share", share)
    writer.name("hundredths")
    writer.hundredths(share)
    writer.endObject()
  }
}

private func check<T: JSONDecodable & JSONEncodable & Equatable>(
  _ type: T.Type, _ input: [UInt8], _ layouts: [JSONLayout] = [.compact]
) throws(BrokenRule) {
  switch outcome({ () throws(RuntimeError) in try JSONReader.decode(input, file: "d") as T }) {
  case .failure(let error): try checkError(error, in: input)
  case .success(let value):
    for layout in layouts {
      let text = value.encoded(layout)
      let again = outcome { () throws(RuntimeError) in try JSONReader.decode(text, file: "d") as T }
      try hold(again == .success(value), "what is written as \(layout) is not what was read: \(T.self)")
    }
  }
}

func fuzzJSON(_ input: [UInt8]) throws(BrokenRule) {
  try check(Tree.self, input, [.compact, .spaces, .tabs])
  try check(Sample.self, input)
  try check([Int64].self, input)
  try check([UInt16].self, input)
  try check([[UInt64]].self, input)
  try check([Bool].self, input)
  try check([String].self, input)
  let tree = outcome { () throws(RuntimeError) in try JSONReader.decode(input, file: "d") as Tree }
  switch outcome({ () throws(RuntimeError) in try JSONReader.decode(input, file: "d") as Skipped }) {
  case .success:
    // A text with U+0000 is right JSON, and refused where it is read.
    if case .failure(let error) = tree {
      try hold(error.message.contains("U+0000"), "passed over and not read: \(error.message)")
    }
  case .failure(let error):
    try checkError(error, in: input)
    if case .success = tree { throw BrokenRule("read and not passed over: \(error.message)") }
  }
  if case .success(let tree) = tree {
    try hold(!tree.hasNullMember, "a member that is `null` is not absent")
  }
}
