import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

/// socketcall(2), 102, and ipc(2), 117, of i386. Selectors: socket 1, bind 2, accept 5; semop 1, shmget 23. By its own number
/// socket is 359.
@Suite(.enabled(if: isAMD64)) struct SharedNumberTests {
  private static let allow = SeccompReturn.allow
  private static let denied = SeccompReturn.errno | 1

  private func program(_ defaultAction: String, _ rules: [SeccompRule]) throws -> ClassicBPF {
    let profile = SeccompProfile(
      defaultAction: defaultAction, architectures: ["SCMP_ARCH_X86"],
      syscalls: rules + [SeccompRule(names: ["vmsplice"], action: "SCMP_ACT_TRAP")])
    return ClassicBPF(try SeccompCompiler.compile(try #require(try SeccompFilter.make(profile))).instructions)
  }

  private func verdict(_ program: ClassicBPF, _ number: Int32, _ arguments: [UInt64]) throws -> UInt32 {
    try program.run(SystemCall(number: number, architecture: SystemCall.i386, arguments: arguments))
  }

  private func rule(
    _ name: String, _ action: String, _ index: UInt? = nil, _ op: String = "SCMP_CMP_EQ", _ value: UInt64 = 40
  ) -> SeccompRule {
    SeccompRule(names: [name], action: action, args: index.map { [SeccompArgument(index: $0, value: value, op: op)] })
  }

  /// ipc/syscall.c: `call &= 0xffff`. net/compat.c compares the whole number.
  @Test func theVersionOfACallOfIpcIsNotLookedAt() throws {
    let program = try program(
      "SCMP_ACT_ALLOW",
      [rule("shmget", "SCMP_ACT_ERRNO"), rule("semop", "SCMP_ACT_ERRNO"), rule("socket", "SCMP_ACT_ERRNO")])
    for call: UInt64 in [23, 0x1_0017, 0x7FFF_0017, 0xFFFF_0017, 0x5_FFFF_0017, 1, 0x1_0001] {
      #expect(try verdict(program, 117, [call]) == Self.denied, "\(call)")
    }
    for call: UInt64 in [0, 22, 24, 0x17_0000, 0x1_0018, 0x8017] {
      #expect(try verdict(program, 117, [call]) == Self.allow, "\(call)")
    }
    #expect(try verdict(program, 102, [1]) == Self.denied)
    #expect(try verdict(program, 102, [0x1_0001]) == Self.allow)
  }

  /// Whoever calls can put anything into the registers that socketcall(2) does not use.
  @Test func aStricterRuleHoldsWhereItsConditionsCannotBeSeen() throws {
    for index in UInt(0)...2 {
      let program = try program("SCMP_ACT_ALLOW", [rule("socket", "SCMP_ACT_ERRNO", index)])
      for rest: [UInt64] in [[], [40, 40], [41, 41], [.max, .max]] {
        #expect(try verdict(program, 102, [1] + rest) == Self.denied)
        #expect(try verdict(program, 102, [2] + rest) == Self.allow)
      }
      #expect(try verdict(program, 359, [40, 40, 40]) == Self.denied)
      #expect(try verdict(program, 359, [41, 41, 41]) == Self.allow)
    }
  }

  @Test func aLaxerRuleDoesNotHoldWhereItsConditionsCannotBeSeen() throws {
    for index in UInt(0)...2 {
      let program = try program(
        "SCMP_ACT_ERRNO", [rule("socket", "SCMP_ACT_ALLOW", index, "SCMP_CMP_NE"), rule("bind", "SCMP_ACT_ALLOW")])
      for rest: [UInt64] in [[], [40, 40], [41, 41]] {
        #expect(try verdict(program, 102, [1] + rest) == Self.denied)
        #expect(try verdict(program, 102, [2] + rest) == Self.allow)
      }
      #expect(try verdict(program, 359, [40, 40, 40]) == Self.denied)
      #expect(try verdict(program, 359, [41, 41, 41]) == Self.allow)
    }
    // As managers have it: the call that the others share is allowed as a whole.
    let whole = try program(
      "SCMP_ACT_ERRNO", [rule("socket", "SCMP_ACT_ALLOW", 0, "SCMP_CMP_NE"), rule("socketcall", "SCMP_ACT_ALLOW")])
    #expect(try verdict(whole, 102, [1]) == Self.allow)
  }

  @Test func theStrictestOfUnseenRulesHolds() throws {
    let log = rule("socket", "SCMP_ACT_LOG", 0, "SCMP_CMP_EQ", 1)
    let kill = rule("socket", "SCMP_ACT_KILL_PROCESS", 2, "SCMP_CMP_EQ", 2)
    let trap = rule("socket", "SCMP_ACT_TRAP", 1)
    for rules in [[log, kill, trap], [kill, trap, log], [trap, log, kill]] {
      #expect(try verdict(try program("SCMP_ACT_ALLOW", rules), 102, [1]) == SeccompReturn.killProcess)
    }
    #expect(try verdict(try program("SCMP_ACT_TRAP", [log, kill]), 102, [1]) == SeccompReturn.killProcess)
    #expect(try verdict(try program("SCMP_ACT_TRAP", [log]), 102, [1]) == SeccompReturn.trap)
  }

  @Test func aRuleWithoutConditionsDecidesAloneForASharedNumberToo() throws {
    let conditional = rule("socket", "SCMP_ACT_KILL", 1)
    let whole = rule("socket", "SCMP_ACT_LOG")
    for rules in [[conditional, whole], [whole, conditional]] {
      let program = try program("SCMP_ACT_ALLOW", rules)
      #expect(try verdict(program, 102, [1]) == SeccompReturn.log)
      #expect(try verdict(program, 359, [40, 40]) == SeccompReturn.log)
    }
  }

  @Test func aRuleForTheSharedCallItselfConflictsWithOneForTheSameSelector() throws {
    let own = rule("socketcall", "SCMP_ACT_LOG", 0, "SCMP_CMP_EQ", 1)
    let socket = rule("socket", "SCMP_ACT_KILL", 1)
    for rules in [[own, socket], [socket, own]] {
      let error = #expect(throws: RuntimeError.self) { try program("SCMP_ACT_ALLOW", rules) }
      #expect(error?.field == "/linux/seccomp/syscalls/1/names/0")
    }
    // Not with one that asks for a version of ipc(2): it is the narrower one.
    let narrow = try program(
      "SCMP_ACT_ALLOW", [rule("shmget", "SCMP_ACT_KILL"), rule("ipc", "SCMP_ACT_LOG", 0, "SCMP_CMP_EQ", 0x1_0017)])
    #expect(try verdict(narrow, 117, [0x1_0017]) == SeccompReturn.log)
    #expect(try verdict(narrow, 117, [0x2_0017]) == SeccompReturn.killThread)
  }
}
