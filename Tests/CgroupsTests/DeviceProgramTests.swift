import Diagnostics
import OCISpec
import Testing

@testable import Cgroups

/// Executes the few instructions that device programs are made of.
struct BPFInterpreter {
  enum Failure: Error {
    case unknown(UInt8)
    case outOfBounds, endless
  }

  static func run(_ bytes: [UInt8], context: [UInt32]) throws -> UInt64 {
    var registers = [UInt64](repeating: 0, count: 11)
    var pc = 0
    var steps = 0
    while true {
      guard pc >= 0, pc * 8 + 8 <= bytes.count else { throw Failure.outOfBounds }
      steps += 1
      if steps > 100_000 { throw Failure.endless }
      let at = Array(bytes[pc * 8..<pc * 8 + 8])
      let (to, from) = (Int(at[1] & 0xF), Int(at[1] >> 4))
      let offset = Int(Int16(bitPattern: UInt16(at[2]) | UInt16(at[3]) << 8))
      let word = UInt32(at[4]) | UInt32(at[5]) << 8 | UInt32(at[6]) << 16 | UInt32(at[7]) << 24
      pc += 1
      switch at[0] {
      case 0x61:
        guard from == 1, offset % 4 == 0, offset / 4 < context.count else { throw Failure.outOfBounds }
        registers[to] = UInt64(context[offset / 4])
      case 0xBF: registers[to] = registers[from]
      case 0xB7: registers[to] = UInt64(bitPattern: Int64(Int32(bitPattern: word)))
      case 0x54: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[to]) & word)
      case 0x74: registers[to] = UInt64(UInt32(truncatingIfNeeded: registers[to]) >> word)
      case 0x05: pc += offset
      case 0x56: if UInt32(truncatingIfNeeded: registers[to]) != word { pc += offset }
      case 0x46: if UInt32(truncatingIfNeeded: registers[to]) & word != 0 { pc += offset }
      case 0x95: return registers[0]
      default: throw Failure.unknown(at[0])
      }
    }
  }
}

/// What the kernel's device controller of v1 answers for a list of lines (security/device_cgroup.c).
struct DeviceListV1 {
  var allows = true
  var exceptions: [(kind: Character, major: String, minor: String, access: Set<Character>)] = []

  mutating func write(_ file: String, _ text: String) {
    let allow = file == "devices.allow"
    if text == "a" {
      allows = allow
      exceptions = []
      return
    }
    let parts = text.split(separator: " ").map(String.init)
    let numbers = parts[1].split(separator: ":").map(String.init)
    let kind = Character(parts[0])
    let access = Set(parts[2])
    let same = exceptions.firstIndex { ($0.kind, $0.major, $0.minor) == (kind, numbers[0], numbers[1]) }
    if allow == allows {
      guard let same else { return }
      exceptions[same].access.subtract(access)
      if exceptions[same].access.isEmpty { exceptions.remove(at: same) }
    } else if let same {
      exceptions[same].access.formUnion(access)
    } else {
      exceptions.append((kind, numbers[0], numbers[1], access))
    }
  }

  func permits(_ kind: Character, _ major: Int, _ minor: Int, _ access: String) -> Bool {
    let wanted = Set(access)
    let matching = exceptions.filter {
      $0.kind == kind && ($0.major == "*" || $0.major == "\(major)")
        && ($0.minor == "*" || $0.minor == "\(minor)")
    }
    return allows
      ? !matching.contains { !$0.access.isDisjoint(with: wanted) }
      : matching.contains { $0.access.isSuperset(of: wanted) }
  }
}

private func rule(_ text: String) -> DeviceRule {
  // `+c 1:* rw`
  let parts = text.dropFirst().split(separator: " ").map(String.init)
  let numbers = parts.count > 1 ? parts[1].split(separator: ":").map { Int64($0) ?? -1 } : [-1, -1]
  return DeviceRule(
    allow: text.first == "+", type: parts[0], major: numbers[0], minor: numbers[1],
    access: parts.count > 2 ? parts[2] : nil)
}

@Suite struct DevicePermissionTests {
  static let sets: [[String]] = [
    [],
    ["-a"],
    ["+a"],
    ["-a", "+c 1:3 rwm"],
    ["-a", "+c *:* m", "+b *:* m", "+c 1:3 rwm", "+c 1:5 rwm", "+c 136:* rwm"],
    ["+a", "-c 1:3 w"],
    ["+a", "-b *:* rwm", "+b 8:0 rwm"],
    ["+c 1:* rwm", "-a", "+c 1:5 r"],
    ["+c 1:3 r", "+c 1:3 w"],
    ["+c 1:3 r", "+c *:* w"],
    ["+c *:* w", "+c 1:3 r"],
    ["+c 1:3 rw", "-c 1:3 w"],
    ["+c 1:3 rw", "+c 1:5 rw", "-c 1:* w"],
    ["+a *:* r"],
    ["+a 8:* rw", "-b 8:* w"],
    ["+a", "-a *:3 rw", "+c 1:3 r"],
    ["+c 4294967295:4294967295 rwm"],
    ["+b 8:0 rm", "+b 8:0 w", "-b 8:0 m"],
  ]
  static let requests: [(Character, Int, Int, String)] = {
    var list: [(Character, Int, Int, String)] = []
    for kind: Character in ["b", "c"] {
      for (major, minor) in [
        (1, 3), (1, 5), (5, 0), (8, 0), (8, 3), (136, 0), (4_294_967_295, 4_294_967_295),
      ] {
        for access in ["r", "w", "m", "rw"] { list.append((kind, major, minor, access)) }
      }
    }
    return list
  }()

  private func expected(_ rules: [DeviceRule], _ request: (Character, Int, Int, String)) -> Bool {
    DeviceMatrix.permits(
      rules, DeviceRequest(kind: request.0, major: request.1, minor: request.2, access: request.3))
  }

  private func context(_ request: (Character, Int, Int, String)) -> [UInt32] {
    let bits: [Character: UInt32] = ["m": 1, "r": 2, "w": 4]
    let access = request.3.reduce(0) { $0 | (bits[$1] ?? 0) }
    return [access << 16 | (request.0 == "b" ? 1 : 2), UInt32(request.1), UInt32(request.2)]
  }

  @Test(arguments: sets) func programAnswersAsTheRulesSay(_ set: [String]) throws {
    let rules = set.map { rule($0) }
    let program = DeviceProgram(try DevicePermissions(rules))
    for request in DevicePermissionTests.requests {
      let answer = try BPFInterpreter.run(program.bytes, context: context(request))
      #expect(answer == (expected(rules, request) ? 1 : 0), "\(request)")
    }
  }

  /// Rules in which v1 cannot say what is meant; they are refused there, see below.
  static let notOnV1: Set<[String]> = [["+a", "-a *:3 rw", "+c 1:3 r"], ["+a", "-b *:* rwm", "+b 8:0 rwm"]]

  @Test(arguments: sets.filter { !notOnV1.contains($0) }) func linesAnswerAsTheRulesSay(_ set: [String])
    throws
  {
    let rules = set.map { rule($0) }
    var list = DeviceListV1()
    for line in try DevicePermissions(rules).linesV1() { list.write(line.file, line.text) }
    for request in DevicePermissionTests.requests {
      #expect(
        list.permits(request.0, request.1, request.2, request.3) == expected(rules, request),
        "\(request)")
    }
  }

  @Test func generatedRulesAgree() throws {
    var generator = SeededGenerator(1)
    var played = 0
    for _ in 0..<400 {
      let rules = DeviceMatrix.rules(0...7, majors: [1, 8], minors: [0, 3], &generator)
      let permissions = try DevicePermissions(rules)
      let program = DeviceProgram(permissions)
      let lines = try permissions.linesV1IfAny()
      if lines != nil { played += 1 }
      var list = DeviceListV1()
      for line in lines ?? [] { list.write(line.file, line.text) }
      for request in DevicePermissionTests.requests {
        let meant = expected(rules, request)
        #expect(
          try BPFInterpreter.run(program.bytes, context: context(request)) == (meant ? 1 : 0), "\(rules)")
        if lines != nil {
          #expect(list.permits(request.0, request.1, request.2, request.3) == meant, "\(rules) \(request)")
        }
      }
    }
    #expect(played > 50)
  }

  @Test func v1RefusesAHoleInAWildcard() throws {
    let error = #expect(throws: RuntimeError.self) {
      try DevicePermissions([rule("+c 1:* rwm"), rule("-c 1:3 w")]).linesV1()
    }
    #expect(error?.code == .configUnsupported)
    #expect(error?.field == "/linux/resources/devices/1")
    for set in DevicePermissionTests.notOnV1 {
      #expect(throws: RuntimeError.self) { try DevicePermissions(set.map { rule($0) }).linesV1() }
    }
  }

  @Test func denyComesFirstAndLinesAreShort() throws {
    let rules = ["-a", "+c 1:3 rwm", "+c *:* m", "+c 1:3 rwm"].map { rule($0) }
    let lines = try DevicePermissions(rules).linesV1().map { "\($0.file) \($0.text)" }
    #expect(lines == ["devices.deny a", "devices.allow c 1:3 rwm", "devices.allow c *:* m"])
  }

  @Test func noRulesDenyEverything() throws {
    let program = DeviceProgram(try DevicePermissions([]))
    #expect(try BPFInterpreter.run(program.bytes, context: [2 << 16 | 2, 1, 3]) == 0)
    #expect(try DevicePermissions([]).linesV1().map { $0.file } == ["devices.deny"])
  }

  @Test(arguments: [
    (DeviceRule(allow: true, type: "p"), "/type"),
    (DeviceRule(allow: true, type: "c", access: "rx"), "/access"),
    (DeviceRule(allow: true, major: -2), "/major"), (DeviceRule(allow: true, minor: 1 << 33), "/minor"),
  ])
  func badRuleIsRefused(_ rule: DeviceRule, _ property: String) {
    let error = #expect(throws: RuntimeError.self) { try DevicePermissions([rule]) }
    #expect(error?.field == "/linux/resources/devices/0" + property)
  }
}
