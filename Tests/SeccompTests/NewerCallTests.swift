import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

private let newer = SeccompReturn.errno | 38

/// ENOSYS for calls newer than the profile. Numbers of x86_64: getpid 39, personality 135, openat2 437; of i386: getpid 20,
/// socket 359 and through socketcall(2), accept through that only.
@Suite(.enabled(if: isAMD64)) struct NewerCallTests {
  private func program(
    _ names: [String], _ action: String = "SCMP_ACT_ALLOW", default defaultAction: String = "SCMP_ACT_ERRNO",
    architectures: [String] = []
  ) throws -> ClassicBPF {
    let profile = SeccompProfile(
      defaultAction: defaultAction, architectures: architectures,
      syscalls: [SeccompRule(names: names, action: action)])
    return ClassicBPF(try SeccompCompiler.compile(try #require(try SeccompFilter.make(profile))).instructions)
  }

  private func verdict(
    _ program: ClassicBPF, _ number: Int32, _ architecture: UInt32 = SystemCall.amd64
  ) throws -> UInt32 {
    try program.run(SystemCall(number: number, architecture: architecture))
  }

  /// As on aarch64 for a profile of ARM's calls only: what all numbers share is an answer that is there already, and what
  /// was written last belongs to the other architecture.
  @Test func anArchitectureWithoutRulesDoesNotRunIntoAnother() throws {
    let (native, other) = (SeccompSection(0xC000_00B7, defaultAction: SeccompReturn.allow), SystemCall.i386)
    var second = SeccompSection(other, defaultAction: SeccompReturn.allow)
    let numbers = SystemCallNumbers(direct: 86)
    let rule = SeccompFilterRule(systemCall: "uselib", action: newer, conditions: [], rule: 0, name: 0)
    second.mention(numbers)
    second.add(rule, numbers, order: 0)
    var assembler = SeccompAssembler()
    SeccompTree.put([native, second], into: &assembler, newer: nil)
    let program = ClassicBPF(assembler.bytes)
    for number: Int32 in [0, 85, 86, 87, 500] {
      #expect(try verdict(program, number, 0xC000_00B7) == SeccompReturn.allow, "\(number)")
      #expect(try verdict(program, number, other) == (number == 86 ? newer : SeccompReturn.allow), "\(number)")
    }
  }

  @Test func aCallNewerThanTheProfileIsNotThere() throws {
    let program = try program(["getpid", "personality"])
    #expect(try verdict(program, 39) == SeccompReturn.allow)
    #expect(try verdict(program, 134) == SeccompReturn.errno | 1)
    #expect(try verdict(program, 136) == newer)
    #expect(try verdict(program, 9999) == newer)
    #expect(try verdict(program, 0x3FFF_FFFF) == newer)
    // Of another architecture: killed as before. -1 is what a tracer leaves out.
    #expect(try verdict(program, 0x4000_0000) == SeccompReturn.killThread)
    #expect(try verdict(program, .min) == SeccompReturn.killThread)
    #expect(try verdict(program, -1) == SeccompReturn.errno | 1)
  }

  @Test(arguments: [
    ("SCMP_ACT_ERRNO", true), ("SCMP_ACT_KILL", true), ("SCMP_ACT_KILL_PROCESS", true), ("SCMP_ACT_TRAP", true),
    ("SCMP_ACT_ALLOW", false), ("SCMP_ACT_LOG", false), ("SCMP_ACT_TRACE", false),
  ])
  func aDefaultActionThatLetsCallsPassDoesSoForNewerOnes(_ action: String, _ isNewer: Bool) throws {
    let program = try program(["getpid"], "SCMP_ACT_KILL_THREAD", default: action)
    #expect(try (verdict(program, 40) == newer) == isNewer)
  }

  @Test func everyArchitectureHasItsOwnLargestNumber() throws {
    let program = try program(["getpid"], architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    #expect(try verdict(program, 19, SystemCall.i386) == SeccompReturn.errno | 1)
    #expect(try verdict(program, 20, SystemCall.i386) == SeccompReturn.allow)
    #expect(try verdict(program, 21, SystemCall.i386) == newer)
    #expect(try verdict(program, 38 | SystemCall.x32Bit) == SeccompReturn.errno | 1)
    #expect(try verdict(program, 40 | SystemCall.x32Bit) == newer)
    #expect(try verdict(program, 38) == SeccompReturn.errno | 1)
  }

  @Test func aNameWithoutARuleOfItsOwnIsKnownToTheProfile() throws {
    let program = try program(["getpid", "openat2"], "SCMP_ACT_ERRNO")
    #expect(try verdict(program, 437) == SeccompReturn.errno | 1)
    #expect(try verdict(program, 438) == newer)
  }

  @Test func aProfileThatNamesNoCallOfAnArchitectureKnowsNoneToBeNewer() throws {
    // read is 0 on x86_64: runc takes that for none, too.
    #expect(try verdict(try program(["read"]), 1) == SeccompReturn.errno | 1)
    #expect(try verdict(try program(["chown32"]), 400) == SeccompReturn.errno | 1)
  }

  @Test func aCallByASharedNumberIsNotTakenForANewerOne() throws {
    let program = try program(["getpid", "accept"], architectures: ["SCMP_ARCH_X86"])
    let accept = SystemCall(number: 102, architecture: SystemCall.i386, arguments: [5])
    #expect(try program.run(accept) == SeccompReturn.allow)
    #expect(try verdict(program, 102, SystemCall.i386) == SeccompReturn.errno | 1)
    #expect(try verdict(program, 103, SystemCall.i386) == newer)
    let direct = try self.program(["getpid", "socket"], architectures: ["SCMP_ARCH_X86"])
    #expect(try verdict(direct, 359, SystemCall.i386) == SeccompReturn.allow)
    #expect(try verdict(direct, 360, SystemCall.i386) == newer)
  }
}

@Suite(.enabled(if: isAMD64)) struct LargeProfileTests {
  private func compile(_ rules: [SeccompRule]) throws -> SeccompFilter {
    try #require(try SeccompFilter.make(SeccompProfile(defaultAction: "SCMP_ACT_ALLOW", syscalls: rules)))
  }

  /// Each call has rules of its own, so that what one half of the tree jumps to is far from the other half.
  @Test func longJumpsArriveWhereShortOnesDo() throws {
    let names = Library.names()
    let rules = (0..<600).map { index in
      SeccompRule(
        names: [names[index % names.count]], action: "SCMP_ACT_ERRNO", errnoRet: UInt(index % 200),
        args: [SeccompArgument(index: UInt(index % 6), value: UInt64(index), op: "SCMP_CMP_GE")])
    }
    let filter = try compile(rules)
    let (ours, theirs) = (ClassicBPF(try SeccompCompiler.compile(filter).instructions), try Library.compile(filter))
    #expect(ours.count > 2000)
    var wrong = 0
    for number in Int32(0)..<500 {
      for value in [0, 40, 200, 500, 700, 1 << 32] as [UInt64] {
        let call = SystemCall(
          number: number, architecture: SystemCall.amd64, arguments: [UInt64](repeating: value, count: 6))
        if try ours.run(call) != theirs.run(call) { wrong += 1 }
      }
    }
    #expect(wrong == 0)
  }

  @Test func tenThousandRulesAreCompiledOrRefusedAtOnce() throws {
    let names = Library.names()
    let plain = (0..<10_000).map { SeccompRule(names: [names[$0 % names.count]], action: "SCMP_ACT_TRAP") }
    let start = ContinuousClock.now
    #expect(ClassicBPF(try SeccompCompiler.compile(try compile(plain)).instructions).count < 200)
    let conditional = (0..<10_000).map { value in
      SeccompRule(
        names: ["personality"], action: "SCMP_ACT_TRAP",
        args: [SeccompArgument(index: 0, value: UInt64(value), op: "SCMP_CMP_EQ")])
    }
    let error = #expect(throws: RuntimeError.self) { try SeccompCompiler.compile(try compile(conditional)) }
    #expect(error?.code == .configInvalid)
    #expect(error?.message.contains("`10000` rules") == true)
    // A debug build takes a tenth of that.
    #expect(ContinuousClock.now - start < .seconds(10))
  }
}
