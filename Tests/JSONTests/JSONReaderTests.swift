import Diagnostics
import JSON
import Testing

/// Any value at all: what a decoder that knows no property makes of a document.
struct Anything: JSONDecodable {
  init(from reader: inout JSONReader) throws(RuntimeError) {
    try reader.skipValue()
  }
}

/// The names of an object in their order, and nothing of the values.
struct Names: JSONDecodable {
  var names: [String] = []

  init(from reader: inout JSONReader) throws(RuntimeError) {
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      names.append(key.string)
      try reader.skipValue()
    }
  }
}

func read<T: JSONDecodable>(_ type: T.Type, _ text: String) throws(RuntimeError) -> T {
  try JSONReader.decode(Array(text.utf8), file: "a.json")
}

/// The text of the error that reading `bytes` gives; empty if it gives none.
func refusal<T: JSONDecodable>(_ type: T.Type, _ bytes: [UInt8]) -> String {
  do throws(RuntimeError) {
    _ = try JSONReader.decode(bytes, file: "a.json") as T
    return ""
  } catch {
    return error.text
  }
}

@Suite struct JSONSyntaxTests {
  @Test(arguments: [
    "{}", "[]", "0", "-0", "-1.5e+30", "1E400", "123456789012345678901234567890", "true", "false", "null",
    "\"\"", " \t\r\n[ 1 , 2 ] \n", #"{"":{"":[]}}"#, #"["\u0000\uD834\udd1e\"\\\/\b\f\n\r\t"]"#,
    "\"\u{7F}ä€😀\"",
    #"{"a":{"a":1},"b":{"a":2}}"#, "[[],[[]],{}]", "1.0", #""\uFFFF""#,
  ])
  func validDocumentIsTaken(_ text: String) throws {
    _ = try read(Anything.self, text)
  }

  static let invalid: [(String, String)] = [
    ("", "`a.json` is empty: expected a JSON document"),
    (" \n ", "`a.json` line 2 column 2: expected a value, found the end of the file"),
    ("\u{FEFF}{}", "`a.json` begins with a byte order mark: expected JSON, which has none (RFC 8259, 8.1)"),
    ("{} x", "`a.json` line 1 column 4: expected the end of the file, found `x`"),
    ("{}}", "`a.json` line 1 column 3: expected the end of the file, found `}`"),
    ("[1,]", "`a.json` line 1 column 4: expected a value, found `]` (at `/1`)"),
    ("[,1]", "`a.json` line 1 column 2: expected a value, found `,` (at `/0`)"),
    ("[1 2]", "`a.json` line 1 column 4: expected `,` or `]`, found `2`"),
    ("[1", "`a.json` line 1 column 3: expected `,` or `]`, found the end of the file"),
    ("[1}", "`a.json` line 1 column 3: expected `,` or `]`, found `}`"),
    (#"{"a":1,}"#, "`a.json` line 1 column 8: expected a property name in quotes, found `}`"),
    (#"{"a":1 "b":2}"#, "`a.json` line 1 column 8: expected `,` or `}`, found `\"`"),
    (#"{"a" 1}"#, "`a.json` line 1 column 6: expected `:`, found `1` (at `/a`)"),
    (#"{"a":}"#, "`a.json` line 1 column 6: expected a value, found `}` (at `/a`)"),
    ("{a:1}", "`a.json` line 1 column 2: expected a property name in quotes, found `a`"),
    ("{'a':1}", "`a.json` line 1 column 2: expected a property name in quotes, found `'`"),
    ("{1:1}", "`a.json` line 1 column 2: expected a property name in quotes, found `1`"),
    ("{", "`a.json` line 1 column 2: expected a property name in quotes, found the end of the file"),
    ("// x", "`a.json` line 1 column 1: expected a value, found `/`"),
    ("tru", "`a.json` line 1 column 1: expected `true`, found `tru`"),
    ("truey", "`a.json` line 1 column 1: expected `true`, found `truey`"),
    ("[nul]", "`a.json` line 1 column 2: expected `null`, found `nul` (at `/0`)"),
    (#"{"a":nulll}"#, "`a.json` line 1 column 6: expected `null`, found `nulll` (at `/a`)"),
    ("False", "`a.json` line 1 column 1: expected a value, found `F`"),
    ("NaN", "`a.json` line 1 column 1: expected a value, found `N`"),
    ("`", "`a.json` line 1 column 1: expected a value, found a back-quote"),
    ("01", "`a.json` line 1 column 1: expected a number without a leading zero"),
    ("[1,-00]", "`a.json` line 1 column 4: expected a number without a leading zero (at `/1`)"),
    ("-", "`a.json` line 1 column 2: expected a digit, found the end of the file"),
    ("+1", "`a.json` line 1 column 1: expected a value, found `+`"),
    ("1.", "`a.json` line 1 column 3: expected a digit, found the end of the file"),
    (".5", "`a.json` line 1 column 1: expected a value, found `.`"),
    ("1e+", "`a.json` line 1 column 4: expected a digit, found the end of the file"),
    ("0x10", "`a.json` line 1 column 2: expected the end of the file, found `x`"),
    ("\"a", "`a.json` line 1 column 3: expected `\"`, found the end of the file"),
    ("\"a\nb\"", "`a.json` line 1 column 3: expected no control character in a string, found the byte 0x0a"),
    (
      "[\"\t\"]",
      "`a.json` line 1 column 3: expected no control character in a string, found the byte 0x09 (at `/0`)"
    ),
    (#""\a""#, "`a.json` line 1 column 3: expected one of `\"\\/bfnrtu` after `\\`, found `a`"),
    (#""\u12g4""#, "`a.json` line 1 column 6: expected four hexadecimal digits after `\\u`, found `g`"),
    (#""\ud800""#, "`a.json` line 1 column 2: expected a pair of surrogates, found a single one"),
    (#""\udc00""#, "`a.json` line 1 column 2: expected a pair of surrogates, found a single one"),
    (#""\ud800\u0041""#, "`a.json` line 1 column 2: expected a pair of surrogates, found a single one"),
    (#""\ud800\ud800""#, "`a.json` line 1 column 2: expected a pair of surrogates, found a single one"),
    (
      #"{"a":{"b":1,"b":2}}"#,
      "`a.json` line 1 column 13: property `b` stands twice in one object (at `/a/b`)"
    ),
    (
      #"{"x/y~":1,"\u0078/y~":2}"#,
      #"`a.json` line 1 column 11: property `\u0078/y~` stands twice in one object (at `/x~1y~0`)"#
    ),
    (#"{"a":null,"a":1}"#, "`a.json` line 1 column 11: property `a` stands twice in one object (at `/a`)"),
  ]

  @Test(arguments: invalid)
  func invalidDocumentIsRefusedWithItsPlace(_ text: String, _ expected: String) {
    #expect(refusal(Anything.self, Array(text.utf8)) == expected)
  }

  @Test(
    arguments: [
      [0x80], [0xC0, 0xAF], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xC3, 0x28], [0xE2, 0x82, 0x28], [0xFF],
    ] as [[UInt8]])
  func invalidUTF8IsRefused(_ bytes: [UInt8]) {
    let text = refusal(Anything.self, Array(#"{"k":""#.utf8) + bytes + Array("\"}".utf8))
    #expect(text.hasPrefix("`a.json` line 1 column 7: expected UTF-8, found the byte 0x"))
    #expect(text.hasSuffix(" (at `/k`)"))
    #expect(refusal(Anything.self, Array("\"".utf8) + bytes).contains("expected UTF-8"))
    #expect(refusal(Anything.self, bytes).contains("expected a value, found the byte 0x"))
  }

  @Test func everyScalarIsReadAsItIs() throws {
    for value in stride(from: UInt32(1), through: 0x10FFFF, by: 251) {
      guard let scalar = Unicode.Scalar(value), value >= 0x20, value != 0x22, value != 0x5C else { continue }
      #expect(try read(String.self, "\"\(Character(scalar))\"") == String(Character(scalar)))
    }
  }

  @Test func linesAndColumnsAreCountedInBytes() {
    #expect(
      refusal(Anything.self, Array("[1,\r\n\n \"é\" x]".utf8))
        == "`a.json` line 3 column 7: expected `,` or `]`, found `x`")
  }

  @Test func nestingIsLimited() throws {
    let deepest = JSONReader.depthLimit
    let fits = String(repeating: "[", count: deepest) + String(repeating: "]", count: deepest)
    _ = try read(Anything.self, fits)
    let text = refusal(Anything.self, Array("[\(fits)]".utf8))
    #expect(text.contains("line 1 column 65: expected at most 64 levels of nesting"))
    #expect(refusal(Anything.self, [UInt8](repeating: 0x5B, count: 1 << 20)).contains("levels of nesting"))
  }

  @Test func sizeIsLimited() {
    let bytes = [UInt8](repeating: 0x20, count: JSONReader.sizeLimit + 1)
    #expect(refusal(Anything.self, bytes) == "`a.json` has 16777217 bytes: expected at most 16777216")
    #expect(refusal(Anything.self, Array(bytes.dropLast())).contains("expected a value"))
  }

  @Test(arguments: [2, 31, 32, 33, 34, 500])
  func repeatedNameIsFoundInObjectsOfAnySize(_ count: Int) throws {
    let names = (0..<count).map { "\"n\($0)\":[{}]" }
    let fine = "{\(names.joined(separator: ","))}"
    #expect(try read(Names.self, fine).names == (0..<count).map { "n\($0)" })
    for name in ["n0", "n\(count - 1)", "\\u006e1"] {
      let text = refusal(Anything.self, Array("[{\(names.joined(separator: ",")),\"\(name)\":0}]".utf8))
      #expect(text.contains("property `\(name)` stands twice in one object (at `/0/n"), "\(text)")
    }
  }

  @Test func manyNamesTakeNoQuadraticTime() {
    let names = (0..<50_000).map { "\"\($0)\":0" }
    let clock = ContinuousClock()
    let time = clock.measure {
      #expect(refusal(Anything.self, Array("{\(names.joined(separator: ","))}".utf8)) == "")
    }
    #expect(time < .seconds(20))
  }
}

@Suite struct JSONValueTests {
  @Test func textsAreUnescaped() throws {
    #expect(
      try read([String].self, #"["\"\\\/\b\f\n\r\t","\u00e9\u20ac\uD83D\uDE00","plain","ä"]"#)
        == ["\"\\/\u{8}\u{C}\n\r\t", "é€😀", "plain", "ä"])
  }

  @Test func integersAreReadToTheirLimits() throws {
    #expect(try read([Int64].self, "[-9223372036854775808,9223372036854775807,-0]") == [.min, .max, 0])
    #expect(try read(UInt64.self, "18446744073709551615") == .max)
    #expect(try read([UInt16].self, "[0,65535]") == [0, .max])
    #expect(try read([Int32].self, "[-2147483648,2147483647]") == [.min, .max])
  }

  static let outside: [(String, String)] = [
    ("-9223372036854775809", "expected an integer from -9223372036854775808 to 9223372036854775807"),
    ("9223372036854775808", "expected an integer from -9223372036854775808 to 9223372036854775807"),
    ("18446744073709551616", "expected an integer from -9223372036854775808 to 9223372036854775807"),
    ("-18446744073709551615", "expected an integer from -9223372036854775808 to 9223372036854775807"),
    ("1.0", "expected an integer"), ("1e3", "expected an integer"), ("1E0", "expected an integer"),
  ]

  @Test(arguments: outside)
  func integerThatDoesNotFitIsRefused(_ number: String, _ expected: String) {
    #expect(
      refusal([Int64].self, Array("[\(number)]".utf8))
        == "`a.json` line 1 column 2: \(expected), found `\(number)` (at `/0`)")
  }

  @Test func negativeZeroIsNoUnsignedInteger() {
    #expect(refusal(UInt32.self, Array("-0".utf8)).hasSuffix("from 0 to 4294967295, found `-0`"))
  }

  @Test func absurdNumberIsCutInTheMessage() {
    let number = String(repeating: "9", count: 5000)
    let expected = "found `\(String(repeating: "9", count: 40))…`"
    #expect(refusal(Int.self, Array(number.utf8)).hasSuffix(expected))
  }

  @Test func escapedNameIsTheSameName() throws {
    #expect(try read(Names.self, #"{"\u0061\"\ud83d\ude00":1,"b":null,"c":2}"#).names == ["a\"😀", "c"])
  }

  @Test func errorsCarryTheCodeOfTheReader() {
    let error = #expect(throws: RuntimeError.self) {
      try JSONReader.decode([0x7B], file: "state.json", code: .stateUnreadable) as Anything
    }
    #expect(error?.code == .stateUnreadable)
  }
}

@Suite struct JSONWriterTests {
  struct Sample: JSONEncodable {
    func encode(to writer: inout JSONWriter) {
      writer.beginObject()
      writer.member("a", [1, -2])
      writer.member("b", [String]())
      writer.member("c", String?.none)
      writer.name("d")
      writer.beginObject()
      writer.endObject()
      writer.member("e", [[true], []])
      writer.endObject()
    }
  }

  func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  @Test func layoutsDifferInWhiteSpaceOnly() {
    #expect(text(Sample().encoded(.compact)) == #"{"a":[1,-2],"b":[],"d":{},"e":[[true],[]]}"#)
    let lines = [
      "{", ">\"a\": [", ">>1,", ">>-2", ">],", ">\"b\": [],", ">\"d\": {},", ">\"e\": [", ">>[", ">>>true",
      ">>],",
      ">>[]", ">]", "}",
    ].joined(separator: "\n")
    #expect(text(Sample().encoded(.spaces)) == lines.replacing(">", with: "  "))
    #expect(text(Sample().encoded(.tabs)) == lines.replacing(">", with: "\t"))
  }

  @Test func textsAreEscaped() {
    #expect(
      text("\"\\/\u{8}\u{C}\n\r\t\u{0}\u{1F}\u{7F}\u{9B}\u{2028}\u{2029}<é😀>".encoded(.compact))
        == #""\"\\/\b\f\n\r\t\u0000\u001f\u007f\u009b\u2028\u2029<é😀>""#)
  }

  @Test func everyTextReadsBackTheSame() throws {
    for value in stride(from: UInt32(1), through: 0x10FFFF, by: 97) {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let original = "a" + String(Character(scalar)) + "b"
      #expect(try JSONReader.decode(original.encoded(.compact), file: "a.json") == original)
    }
  }

  @Test func pointerStepsAreEscaped() {
    #expect(escapeForPointer("a/b~c") == "a~1b~0c")
  }
}
