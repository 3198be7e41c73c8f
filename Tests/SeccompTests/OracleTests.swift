import Diagnostics
import Foundation
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

/// Our programs against what the filter means and against those of libseccomp, call by call: both are run by ``ClassicBPF``.
///
/// Theirs differ in what `D98` of spec/deviations.md says and in nothing else, and in ENOSYS for calls newer than the
/// profile. For a machine of another architecture they are made on this one.
@Suite(.enabled(if: isAMD64)) struct OracleTests {
  /// Both programs of one profile.
  private struct Pair {
    let filter: SeccompFilter
    let meaning: Meaning
    let ours: ClassicBPF
    let theirs: ClassicBPF
    private let confused: Set<Int32>

    init(_ profile: SeccompProfile, on machine: Machine) throws {
      filter = try #require(try SeccompFilter.make(profile))
      meaning = Meaning(filter, on: machine)
      ours = ClassicBPF(try SeccompCompiler.compile(filter, native: machine.native).instructions)
      theirs = try Library.compile(filter, native: machine.native)
      confused = OracleTests.confused(filter, on: machine)
    }

    /// How many calls were answered wrongly; each of the first ones is an issue of its own.
    func compare(_ calls: [SystemCall], _ comment: @autoclosure () -> String = "") throws -> Int {
      var wrong = 0
      for call in calls {
        let right = meaning.verdicts(call)
        let (found, theirs) = (try ours.run(call), meaning.newer(call, try self.theirs.run(call)))
        // Which of several rules comes first only libseccomp says.
        let isKnown = theirs == found || confused.contains(call.number) || meaning.isMisjudged(call)
        if right.contains(found) && isKnown { continue }
        wrong += 1
        if wrong <= 3 {
          let rules = filter.rules.filter { Library.isNumber(call.number, of: $0.systemCall) }
          Issue.record("\(call): \(right), \(theirs) of libseccomp, but \(found) \(comment()) \(rules)")
        }
      }
      return wrong
    }
  }

  /// All numbers up to well above the last one, those of x32, those that ARM has for itself, and those at the edges.
  private static let numbers: [Int32] =
    Array(0..<1200) + Array(0..<1200).map { $0 | SystemCall.x32Bit } + Array(0x0F_0000...0x0F_0008)
    + [
      -1, -2, -101, .min, .min + 1, .max, .max - 1, 0x3FFF_FFFF, SystemCall.x32Bit - 1, 0x7000_0000,
      Int32(bitPattern: 0x8000_0001), Int32(bitPattern: 0xBFFF_FFFF), Int32(bitPattern: 0xC000_0000),
      Int32(bitPattern: 0xC000_0005),
    ]
  /// Those of both machines, and some that are not there.
  private static let architectures: [UInt32] = [
    SystemCall.amd64, SystemCall.i386, SystemCallTable.aarch64, SystemCallTable.arm, SystemCallTable.x32, 0,
  ]

  /// Every number on every architecture, and with these arguments those that `filter` has conditions for.
  private static func calls(_ filter: SeccompFilter, _ arguments: [[UInt64]]) -> [SystemCall] {
    var conditional: Set<Int32> = [102, 117]
    for rule in filter.rules where !rule.conditions.isEmpty {
      for token in Machine.all.flatMap(\.tokens) {
        for number in Library.allNumbers(rule.systemCall, token) {
          conditional.formUnion([Int32(number), Int32(number) | SystemCall.x32Bit])
        }
      }
    }
    return architectures.flatMap { architecture in
      numbers.map { SystemCall(number: $0, architecture: architecture) }
        + conditional.sorted().flatMap { number in
          arguments.map { SystemCall(number: number, architecture: architecture, arguments: $0) }
        }
    }
  }

  /// Around each value that a rule compares with: in its place, with the upper word set and without.
  private static func arguments(_ filter: SeccompFilter) -> [[UInt64]] {
    var lists: Set<[UInt64]> = [[], [1], [2], [0, 1], [3, 3, 3, 3, 3, 3], [.max, .max, .max, .max, .max, .max]]
    for condition in filter.rules.flatMap(\.conditions) {
      let values = [condition.value, condition.valueTwo, condition.value | condition.valueTwo, ~condition.value]
      for value in values.flatMap({ [$0 &- 1, $0, $0 &+ 1] }) {
        for word in [value, value & 0xFFFF_FFFF, value | 0x1_0000_0000, value ^ 0x8000_0000_0000_0000] {
          lists.insert([UInt64](repeating: 0, count: Int(condition.index)) + [word])
        }
      }
    }
    return lists.sorted { $0.lexicographicallyPrecedes($1) }
  }

  @Test(arguments: ["docker-amd64", "podman-amd64"], Machine.all)
  func theVerdictsOfDefaultProfilesAreThoseOfLibseccomp(_ name: String, _ machine: Machine) throws {
    var profile = try fixture(name)
    if !machine.names.isEmpty {
      profile.syscalls?.append(SeccompRule(names: machine.names, action: "SCMP_ACT_ALLOW"))
    }
    for architectures in [machine.architectures, []] + machine.architectures.dropFirst().map({ [$0] }) {
      profile.architectures = architectures
      let pair = try Pair(profile, on: machine)
      let wrong = try pair.compare(Self.calls(pair.filter, Self.arguments(pair.filter)))
      #expect(wrong == 0)
      #expect(pair.ours.count * 5 < pair.theirs.count * 2, "\(pair.ours.count) instructions, \(pair.theirs.count)")
    }
  }

  /// Each in a profile of its own: a table that is wrong for one name cannot hide behind another one.
  @Test(arguments: Machine.all) func everyNameMeansTheSameCalls(_ machine: Machine) throws {
    let names = Library.names()
    #expect(names.count > 480)
    var wrong = 0
    for name in names {
      let rule = SeccompRule(names: ["getpid", name], action: "SCMP_ACT_TRAP")
      let pair = try Pair(
        SeccompProfile(defaultAction: "SCMP_ACT_ALLOW", architectures: machine.architectures, syscalls: [rule]),
        on: machine)
      // That of x32 is told by its numbers.
      let calls = machine.tokens.prefix(2).flatMap { architecture in
        Self.numbers.map { SystemCall(number: $0, architecture: architecture) }
      }
      let shared = [Int32(102), 117].flatMap { number in
        (0..<26).map { SystemCall(number: number, architecture: SystemCall.i386, arguments: [UInt64($0)]) }
      }
      wrong += try pair.compare(calls + shared, name)
    }
    #expect(wrong == 0)
  }

  /// The numbers that libseccomp 2.5.4 is wrong about: a call that is compared by order and once more. With the rules
  /// `<= 2^63` and `<= 6` for one argument it takes 2^32 - 1 for larger than both.
  private static func confused(_ filter: SeccompFilter, on machine: Machine) -> Set<Int32> {
    var conditions: [UInt32: [SeccompCondition]] = [:]
    for rule in filter.rules where !rule.conditions.isEmpty {
      for number in Set(machine.tokens.flatMap { Library.allNumbers(rule.systemCall, $0) }) {
        conditions[number, default: []] += rule.conditions
      }
    }
    let confused = conditions.filter { _, conditions in
      let ordered = conditions.filter { ![.equal, .notEqual, .maskedEqual].contains($0.comparison) }
      if ordered.count > 1 { return true }
      return ordered.contains { one in conditions.count { $0.index == one.index } > 1 }
    }
    return Set(confused.keys.map { Int32($0) })
  }

  /// Rules of one call share an action in one round, and contradict each other in the other.
  @Test(arguments: [true, false], Machine.all)
  func theVerdictsOfRandomProfilesAreThoseOfLibseccomp(_ sharesActions: Bool, _ machine: Machine) throws {
    var (wrong, profiles) = (0, 0)
    for seed in UInt64(0)..<250 {
      let profile = RandomProfile.make(seed, sharesActions: sharesActions, on: machine)
      let filter = try #require(try SeccompFilter.make(profile))
      // See conflictsAreThoseOfLibseccomp().
      if refuses({ _ = try Library.compile(filter, native: machine.native) }) { continue }
      wrong += try Pair(profile, on: machine).compare(Self.randomCalls(seed, machine), "seed \(seed)")
      profiles += 1
    }
    #expect(wrong == 0)
    #expect(profiles >= (sharesActions ? 250 : 230))
  }

  /// libseccomp refuses a few more: two upper bounds of one argument share a comparison of upper words in its tree.
  @Test func conflictsAreThoseOfLibseccomp() throws {
    var both = 0
    for seed in UInt64(0)..<1000 {
      let profile = RandomProfile.make(
        seed, sharesActions: false, names: ["personality", "ioctl", "socket", "socketcall", "semop", "ipc"])
      let filter = try #require(try SeccompFilter.make(profile))
      if !refuses({ _ = try SeccompCompiler.compile(filter) }) { continue }
      #expect(refuses { _ = try Library.compile(filter) }, "seed \(seed)")
      both += 1
    }
    #expect(both > 10)
  }

  private func refuses(_ body: () throws -> Void) -> Bool {
    do {
      try body()
      return false
    } catch {
      return true
    }
  }

  /// Where libseccomp is wrong, too: no rule that does not match, and no default action where one does.
  @Test(arguments: Machine.all) func aRuleMatchesWhereAllItsConditionsHold(_ machine: Machine) throws {
    var (wrong, without, misjudged) = (0, 0, 0)
    for seed in UInt64(1000)..<1200 {
      let filter = try #require(try SeccompFilter.make(RandomProfile.make(seed, sharesActions: true, on: machine)))
      let program = ClassicBPF(try SeccompCompiler.compile(filter, native: machine.native).instructions)
      let meaning = Meaning(filter, on: machine)
      let rules = Set(filter.rules.map(\.action))
      for call in Self.randomCalls(seed, machine) {
        let (right, found) = (meaning.verdicts(call), try program.run(call))
        if right.isDisjoint(with: rules) { without += 1 }
        if meaning.isMisjudged(call) { misjudged += 1 }
        if right.contains(found) { continue }
        wrong += 1
        if wrong <= 3 { Issue.record("\(call): \(right) but \(found), seed \(seed)") }
      }
    }
    #expect(wrong == 0)
    #expect(without > 5000)
    #expect(machine.native != SystemCallTable.amd64 || misjudged > 200)
  }

  /// The calls that the profiles name, with arguments near the values of their rules, and some others.
  private static func randomCalls(_ seed: UInt64, _ machine: Machine) -> [SystemCall] {
    var random = SeededGenerator(~seed)
    var calls: [SystemCall] = []
    for architecture in machine.tokens.prefix(2) + [0xC000_00F3] {
      for name in RandomProfile.names {
        for number in Library.allNumbers(name, architecture) {
          for _ in 0..<12 {
            let arguments = RandomProfile.arguments(&random)
            let number = Int32(number)
            calls.append(SystemCall(number: number, architecture: architecture, arguments: arguments))
            calls.append(
              SystemCall(number: number | SystemCall.x32Bit, architecture: architecture, arguments: arguments))
          }
        }
      }
      for _ in 0..<20 {
        calls.append(SystemCall(number: random.pick(numbers), architecture: architecture))
      }
    }
    for number in [Int32(102), 117] {
      for selector in UInt64(0)..<26 {
        // The version of ipc(2), and what is no selector of socketcall(2).
        for version in [0, 1, 0x7FFF] as [UInt64] {
          let rest = RandomProfile.arguments(&random).dropFirst()
          calls.append(
            SystemCall(
              number: number, architecture: SystemCall.i386, arguments: [version << 16 | selector] + rest))
        }
      }
    }
    return calls
  }
}
