import Diagnostics
import Foundation
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

private let allow = SeccompReturn.allow
private let denied = SeccompReturn.errno | 1

private func compile(
  _ rules: [SeccompRule], _ defaultAction: String = "SCMP_ACT_ALLOW", architectures: [String]? = nil,
  flags: [String]? = nil
) throws -> SeccompProgram {
  let profile = SeccompProfile(
    defaultAction: defaultAction, architectures: architectures, flags: flags, syscalls: rules)
  return try SeccompCompiler.compile(try #require(try SeccompFilter.make(profile)))
}

/// Numbers of x86_64: read 0, write 1, getpid 39, personality 135.
@Suite(.enabled(if: isAMD64)) struct SeccompCompilerTests {
  private func verdict(
    _ program: SeccompProgram, _ number: Int32, _ arguments: [UInt64] = [],
    _ architecture: UInt32 = SystemCall.amd64
  ) throws -> UInt32 {
    try ClassicBPF(program.instructions).run(
      SystemCall(number: number, architecture: architecture, arguments: arguments))
  }

  @Test(arguments: [
    ("SCMP_ACT_KILL", SeccompReturn.killThread), ("SCMP_ACT_KILL_PROCESS", SeccompReturn.killProcess),
    ("SCMP_ACT_TRAP", SeccompReturn.trap), ("SCMP_ACT_ERRNO", denied), ("SCMP_ACT_TRACE", 0x7FF0_0001),
    ("SCMP_ACT_LOG", SeccompReturn.log),
  ])
  func theActionOfARuleIsTheVerdict(_ action: String, _ expected: UInt32) throws {
    let program = try compile([SeccompRule(names: ["getpid"], action: action)])
    #expect(try verdict(program, 39) == expected)
    #expect(try verdict(program, 0) == allow)
  }

  @Test func theDefaultActionMeetsWhatNoRuleNames() throws {
    let program = try compile(
      [SeccompRule(names: ["read", "write", "personality"], action: "SCMP_ACT_ALLOW")], "SCMP_ACT_ERRNO")
    #expect(try verdict(program, 0) == allow)
    #expect(try verdict(program, 1) == allow)
    #expect(try verdict(program, 39) == denied)
    #expect(try verdict(program, 134) == denied)
  }

  @Test(
    arguments: [
      ("SCMP_CMP_EQ", [5], [4, 6, 0x1_0000_0005]),
      ("SCMP_CMP_NE", [4, 6, 0x1_0000_0005], [5]),
      ("SCMP_CMP_LT", [0, 4], [5, 6, 0x1_0000_0000]),
      ("SCMP_CMP_LE", [0, 5], [6, 0x1_0000_0000]),
      ("SCMP_CMP_GE", [5, 6, 0x1_0000_0000], [0, 4]),
      ("SCMP_CMP_GT", [6, 0x1_0000_0000], [0, 5]),
    ] as [(String, [UInt64], [UInt64])])
  func everyOperatorComparesAllOfTheArgument(_ op: String, _ matching: [UInt64], _ others: [UInt64]) throws {
    for index in UInt(0)...5 {
      let program = try compile([
        SeccompRule(
          names: ["personality"], action: "SCMP_ACT_ERRNO",
          args: [SeccompArgument(index: index, value: 5, op: op)])
      ])
      let before = [UInt64](repeating: 77, count: Int(index))
      for value in matching { #expect(try verdict(program, 135, before + [value]) == denied) }
      for value in others { #expect(try verdict(program, 135, before + [value]) == allow) }
    }
  }

  @Test func maskedEqualLooksAtTheBitsOfTheMaskOnly() throws {
    let program = try compile([
      SeccompRule(
        names: ["personality"], action: "SCMP_ACT_KILL_PROCESS",
        args: [
          SeccompArgument(index: 1, value: 0xF_0000_00F0, valueTwo: 0x2_0000_0030, op: "SCMP_CMP_MASKED_EQ")
        ])
    ])
    #expect(try verdict(program, 135, [0, 0x2_0000_0030]) == SeccompReturn.killProcess)
    #expect(try verdict(program, 135, [0, 0xFF2_FFFF_FF3F]) == SeccompReturn.killProcess)
    #expect(try verdict(program, 135, [0, 0x3_0000_0030]) == allow)
    #expect(try verdict(program, 135, [0, 0x2_0000_0070]) == allow)
  }

  @Test func conditionsOnDifferentArgumentsMustAllHold() throws {
    let program = try compile([
      SeccompRule(
        names: ["personality"], action: "SCMP_ACT_ERRNO",
        args: [
          SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ"),
          SeccompArgument(index: 2, value: 3, op: "SCMP_CMP_EQ"),
        ])
    ])
    #expect(try verdict(program, 135, [1, 9, 3]) == denied)
    #expect(try verdict(program, 135, [1, 9, 4]) == allow)
    #expect(try verdict(program, 135, [2, 9, 3]) == allow)
  }

  @Test func conditionsOnOneArgumentAreAlternatives() throws {
    let program = try compile([
      SeccompRule(
        names: ["personality"], action: "SCMP_ACT_ERRNO",
        args: [
          SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ"),
          SeccompArgument(index: 0, value: 3, op: "SCMP_CMP_EQ"),
        ])
    ])
    #expect(try verdict(program, 135, [1]) == denied)
    #expect(try verdict(program, 135, [3]) == denied)
    #expect(try verdict(program, 135, [2]) == allow)
  }

  @Test func aCallOfAnArchitectureThatIsNotListedKills() throws {
    let rules = [SeccompRule(names: ["getpid"], action: "SCMP_ACT_ERRNO")]
    let native = try compile(rules)
    // getpid is 20 on i386, and the x86_64 number with a bit in x32.
    #expect(try verdict(native, 20, [], SystemCall.i386) == SeccompReturn.killThread)
    #expect(try verdict(native, 39 | SystemCall.x32Bit) == SeccompReturn.killThread)
    let three = try compile(rules, architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    #expect(try verdict(three, 20, [], SystemCall.i386) == denied)
    #expect(try verdict(three, 39, [], SystemCall.i386) == allow)
    #expect(try verdict(three, 39 | SystemCall.x32Bit) == denied)
    #expect(try verdict(three, 39) == denied)
    #expect(try verdict(three, 39, [], 0xC000_00B7) == SeccompReturn.killThread)
  }

  @Test func theNativeArchitectureBelongsToEveryFilter() throws {
    let program = try compile(
      [SeccompRule(names: ["getpid"], action: "SCMP_ACT_ERRNO")], architectures: ["SCMP_ARCH_X86"])
    #expect(try verdict(program, 39) == denied)
    #expect(try verdict(program, 20, [], SystemCall.i386) == denied)
  }

  @Test func unknownSystemCallsAreLeftOut() throws {
    let program = try compile(
      [SeccompRule(names: ["no_such_call", "getpid"], action: "SCMP_ACT_ERRNO")],
      architectures: ["SCMP_ARCH_X86"])
    #expect(try verdict(program, 39) == denied)
    #expect(try verdict(program, 0) == allow)
  }

  @Test func aCallThatOnlyAnotherArchitectureHasIsFilteredThere() throws {
    // chown32 is 212 on i386 and nothing on x86_64.
    let program = try compile(
      [SeccompRule(names: ["chown32"], action: "SCMP_ACT_ERRNO")], architectures: ["SCMP_ARCH_X86"])
    #expect(try verdict(program, 212, [], SystemCall.i386) == denied)
    #expect(try verdict(program, 212) == allow)
  }

  @Test func anEmptyFilterDoesTheDefaultAction() throws {
    #expect(try verdict(try compile([], "SCMP_ACT_ERRNO"), 39) == denied)
    #expect(try verdict(try compile([], "SCMP_ACT_ALLOW"), 39) == allow)
  }

  @Test func theFlagsComeWithTheProgram() throws {
    #expect(try compile([]).flags == .allowSpeculation)
    let program = try compile(
      [],
      flags: [
        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
      ])
    #expect(program.flags == [.log, .synchronizeThreads])
  }

  @Test func conflictingRulesAreRefusedWithThePointer() throws {
    let condition = [SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ")]
    let error = #expect(throws: RuntimeError.self) {
      try compile([
        SeccompRule(names: ["read"], action: "SCMP_ACT_ERRNO", args: condition),
        SeccompRule(names: ["write", "read"], action: "SCMP_ACT_KILL", args: condition),
      ])
    }
    #expect(error?.code == .configInvalid)
    #expect(error?.field == "/linux/seccomp/syscalls/1/names/1")
  }

  @Test func aRuleWithoutConditionsDecidesAlone() throws {
    let condition = [SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ")]
    let rules = [
      SeccompRule(names: ["read"], action: "SCMP_ACT_TRAP"),
      SeccompRule(names: ["read"], action: "SCMP_ACT_ERRNO"),
      SeccompRule(names: ["write"], action: "SCMP_ACT_TRAP", args: condition),
      SeccompRule(names: ["write"], action: "SCMP_ACT_ERRNO"),
    ]
    let program = try compile(rules)
    #expect(try verdict(program, 0, [1]) == SeccompReturn.trap)
    #expect(try verdict(program, 1, [1]) == denied)
  }

  @Test func architecturesThatCannotBeAddedAreNamed() throws {
    let unknown = #expect(throws: RuntimeError.self) {
      try compile([], architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_M68K"])
    }
    #expect(unknown?.code == .configUnsupported)
    #expect(unknown?.field == "/linux/seccomp/architectures/1")
    let foreign = #expect(throws: RuntimeError.self) { try compile([], architectures: ["SCMP_ARCH_S390X"]) }
    #expect(foreign?.code == .configInvalid)
    #expect(foreign?.field == "/linux/seccomp/architectures/0")
  }

  @Test func aProgramTooLongForTheKernelIsRefused() throws {
    let rules = (0..<3000).map { value in
      SeccompRule(
        names: ["personality"], action: "SCMP_ACT_ERRNO",
        args: [SeccompArgument(index: 0, value: UInt64(value) << 32 | UInt64(value), op: "SCMP_CMP_EQ")])
    }
    let error = #expect(throws: RuntimeError.self) { try compile(rules) }
    #expect(error?.code == .configInvalid)
    #expect(error?.field == "/linux/seccomp/syscalls")
  }

  @Test func theLibraryNamesItsVersionAndArchitectures() {
    #expect(SeccompCompiler.libraryVersion.major == 2)
    #expect(SeccompCompiler.libraryVersionText.hasPrefix("2."))
  }

  /// Whatever this machine is: an architecture is announced if it can be asked for, and only then.
  @Test(arguments: SeccompArchitecture.allCases)
  func architecturesThatCanBeAddedAreAnnounced(_ architecture: SeccompArchitecture) {
    let isAnnounced = SeccompCompiler.architectureNames.contains(architecture.name)
    do {
      _ = try compile([], architectures: [architecture.name])
      #expect(isAnnounced)
    } catch {
      #expect(!isAnnounced, "\(error)")
    }
  }
}

var isAMD64: Bool {
  #if arch(x86_64)
    true
  #else
    false
  #endif
}

/// What a manager writes into config.json on x86_64 with its default capabilities.
func fixture(_ name: String) throws -> SeccompProfile {
  let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/\(name).json")
  struct Profile: Decodable {
    struct Rule: Decodable {
      struct Argument: Decodable {
        var index: UInt
        var value: UInt64
        var valueTwo: UInt64?
        var op: String
      }
      var names: [String]
      var action: String
      var errnoRet: UInt?
      var args: [Argument]?
    }
    var defaultAction: String
    var defaultErrnoRet: UInt?
    var architectures: [String]
    var syscalls: [Rule]
  }
  let profile = try JSONDecoder().decode(Profile.self, from: Data(contentsOf: file))
  return SeccompProfile(
    defaultAction: profile.defaultAction, defaultErrnoRet: profile.defaultErrnoRet,
    architectures: profile.architectures,
    syscalls: profile.syscalls.map { rule in
      SeccompRule(
        names: rule.names, action: rule.action, errnoRet: rule.errnoRet,
        args: rule.args?.map {
          SeccompArgument(index: $0.index, value: $0.value, valueTwo: $0.valueTwo, op: $0.op)
        })
    })
}
