import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

private func profile(
  _ defaultAction: String = "SCMP_ACT_ALLOW", errnoRet: UInt? = nil, architectures: [String]? = nil,
  flags: [String]? = nil, _ rules: SeccompRule...
) -> SeccompProfile {
  SeccompProfile(
    defaultAction: defaultAction, defaultErrnoRet: errnoRet, architectures: architectures, flags: flags,
    syscalls: rules)
}

private func error(_ profile: SeccompProfile) -> RuntimeError? {
  do throws(RuntimeError) {
    _ = try SeccompFilter.make(profile)
    return nil
  } catch {
    return error
  }
}

@Suite struct SeccompFilterTests {
  @Test(arguments: [
    ("SCMP_ACT_KILL", UInt32(0)), ("SCMP_ACT_KILL_THREAD", 0), ("SCMP_ACT_KILL_PROCESS", 0x8000_0000),
    ("SCMP_ACT_TRAP", 0x3_0000), ("SCMP_ACT_ERRNO", 0x5_0001), ("SCMP_ACT_TRACE", 0x7FF0_0001),
    ("SCMP_ACT_LOG", 0x7FFC_0000), ("SCMP_ACT_ALLOW", 0x7FFF_0000),
  ])
  func everyActionHasTheNumberOfTheKernel(_ name: String, _ number: UInt32) throws {
    #expect(try SeccompFilter.make(profile(name))?.defaultAction == number)
  }

  @Test func errnoRetIsTheErrnoOfDefaultAndRules() throws {
    let filter = try #require(
      try SeccompFilter.make(
        profile(
          "SCMP_ACT_ERRNO", errnoRet: 38,
          SeccompRule(names: ["read"], action: "SCMP_ACT_ERRNO", errnoRet: 13),
          SeccompRule(names: ["write"], action: "SCMP_ACT_TRACE", errnoRet: 0xFFFF),
          SeccompRule(names: ["open"], action: "SCMP_ACT_ERRNO"))))
    #expect(filter.defaultAction == 0x5_0026)
    #expect(filter.rules.map(\.action) == [0x5_000D, 0x7FF0_FFFF, 0x5_0001])
  }

  @Test func aProfileWithoutDefaultActionAndRulesIsNoFilter() throws {
    #expect(try SeccompFilter.make(profile("")) == nil)
  }

  @Test func aRuleThatDoesWhatHappensAnywayIsLeftOut() throws {
    let filter = try SeccompFilter.make(
      profile(
        "SCMP_ACT_ERRNO", SeccompRule(names: ["read"], action: "SCMP_ACT_ERRNO", errnoRet: 1),
        SeccompRule(names: ["write"], action: "SCMP_ACT_ERRNO", errnoRet: 2)))
    #expect(filter?.rules.map(\.systemCall) == ["write"])
  }

  @Test func theFlagsDifferBetweenAbsentAndEmpty() throws {
    #expect(try SeccompFilter.make(profile())?.flags == .allowSpeculation)
    #expect(try SeccompFilter.make(profile(flags: []))?.flags == [])
    let all = try SeccompFilter.make(profile(flags: SeccompFilterFlags.knownNames))
    #expect(all?.flags.rawValue == 0b100111)
  }

  @Test func twoConditionsOnOneArgumentBecomeTwoRules() throws {
    let equal = SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ")
    let other = SeccompArgument(index: 0, value: 2, op: "SCMP_CMP_EQ")
    let third = SeccompArgument(index: 1, value: 2, op: "SCMP_CMP_EQ")
    func groups(_ arguments: [SeccompArgument]) throws -> [Int]? {
      try SeccompFilter.make(
        profile("SCMP_ACT_ALLOW", SeccompRule(names: ["read"], action: "SCMP_ACT_TRAP", args: arguments)))?
        .rules.map(\.conditions.count)
    }
    #expect(try groups([equal, third]) == [2])
    #expect(try groups([equal, other]) == [1, 1])
    #expect(try groups([]) == [0])
  }

  @Test func wrongValuesAreRefusedWithTheirPointer() {
    func rule(
      _ action: String = "SCMP_ACT_TRAP", names: [String] = ["read"], errnoRet: UInt? = nil,
      index: UInt = 0, op: String = "SCMP_CMP_EQ"
    ) -> SeccompProfile {
      let arguments = [SeccompArgument(index: index, value: 0, op: op)]
      let good = SeccompRule(names: ["write"], action: "SCMP_ACT_TRAP")
      return profile(
        "SCMP_ACT_ALLOW", good, SeccompRule(names: names, action: action, errnoRet: errnoRet, args: arguments)
      )
    }
    #expect(error(rule()) == nil)
    let cases: [(SeccompProfile, String, ErrorCode)] = [
      (profile("ALLOW"), "defaultAction", .configInvalid),
      (profile("SCMP_ACT_NOTIFY"), "defaultAction", .configInvalid),
      (profile("SCMP_ACT_ALLOW", errnoRet: 1), "defaultErrnoRet", .configInvalid),
      (profile("SCMP_ACT_ERRNO", errnoRet: 4095), "defaultErrnoRet", .configInvalid),
      (profile(architectures: ["SCMP_ARCH_X86", "amd64"]), "architectures/1", .configInvalid),
      (profile(flags: ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]), "flags/0", .configInvalid),
      (rule("SCMP_ACT_PANIC"), "syscalls/1/action", .configInvalid),
      (rule("SCMP_ACT_NOTIFY"), "syscalls/1/action", .configInvalid),
      (rule("SCMP_ACT_KILL", errnoRet: 1), "syscalls/1/errnoRet", .configInvalid),
      (rule("SCMP_ACT_TRACE", errnoRet: 65536), "syscalls/1/errnoRet", .configInvalid),
      (rule(names: []), "syscalls/1/names", .configInvalid),
      (rule(names: ["read", ""]), "syscalls/1/names/1", .configInvalid),
      (rule(index: 6), "syscalls/1/args/0/index", .configInvalid),
      (rule(op: "=="), "syscalls/1/args/0/op", .configInvalid),
    ]
    for (profile, pointer, code) in cases {
      let error = error(profile)
      #expect(error?.field == "/linux/seccomp/\(pointer)")
      #expect(error?.code == code, "\(pointer)")
    }
  }

  @Test func allMistakesAreReportedWhereAllAreWanted() throws {
    var wrong = profile(
      "ALLOW", SeccompRule(names: [], action: "SCMP_ACT_TRAP"), SeccompRule(names: ["read"], action: "SCMP_ACT_TRAP"),
      SeccompRule(names: ["write"], action: "TRAP"))
    wrong.architectures = ["amd64"]
    wrong.flags = ["LOG"]
    wrong.listenerMetadata = "a"
    var fields: [String] = []
    _ = try SeccompFilter.make(wrong) { (error) throws(RuntimeError) in fields.append(error.field) }
    #expect(
      fields.map { $0.dropFirst("/linux/seccomp/".count) } == [
        "defaultAction", "architectures/0", "flags/0", "listenerMetadata", "syscalls/0/names", "syscalls/2/action",
      ])
  }

  @Test func listenerMetadataNeedsAListener() {
    var wrong = profile()
    wrong.listenerMetadata = "a"
    #expect(error(wrong)?.field == "/linux/seccomp/listenerMetadata")
    wrong.listenerPath = "/run/agent"
    #expect(error(wrong) == nil)
  }

  private func notifying(_ names: [String], flags: [String]? = nil) -> SeccompProfile {
    var wanted = profile(
      "SCMP_ACT_ALLOW", flags: flags, SeccompRule(names: ["chmod"], action: "SCMP_ACT_ERRNO"),
      SeccompRule(names: names, action: "SCMP_ACT_NOTIFY"))
    wanted.listenerPath = "/run/agent"
    return wanted
  }

  @Test func aCallThatHandsTheListenerOverIsNotNotified() {
    for name in ["read", "close", "execve", "writev", "sendmsg"] { #expect(error(notifying(["mkdir", name])) == nil) }
    let wrong = error(notifying(["mkdir", "write"]))
    #expect(wrong?.code == .configInvalid)
    #expect(wrong?.field == "/linux/seccomp/syscalls/1/names/1")
    #expect(notifying(["mkdir", "read", "sendmsg"]).notified(["sendmsg", "read"])?.pointer == "syscalls/1/names/1")
    #expect(notifying(["mkdir"]).notified(["chmod"]) == nil, "it has another action")
  }

  @Test func notificationsNeedAListener() {
    var wrong = notifying(["mkdir"])
    for path in [nil, ""] {
      wrong.listenerPath = path
      #expect(error(wrong)?.field == "/linux/seccomp/syscalls/1/action")
    }
  }

  @Test func aFilterThatNotifiesIsLoadedWithAListener() throws {
    let tsync = "SECCOMP_FILTER_FLAG_TSYNC"
    let killable = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
    #expect(try SeccompFilter.make(notifying(["mkdir"], flags: []))?.loadFlags == .newListener)
    #expect(
      try SeccompFilter.make(notifying(["mkdir"], flags: [tsync]))?.loadFlags
        == [.newListener, .synchronizeThreads, .synchronizeThreadsESRCH])
    #expect(
      try SeccompFilter.make(notifying(["mkdir"], flags: [killable]))?.loadFlags == [.newListener, .waitKillable])
    // The path alone asks for nothing.
    var silent = profile(flags: [tsync, killable])
    silent.listenerPath = "/run/agent"
    #expect(try SeccompFilter.make(silent)?.loadFlags == .synchronizeThreads)
  }

  @Test func rulesWithoutEffectAreFound() throws {
    let condition = [SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ")]
    let filter = try #require(
      try SeccompFilter.make(
        profile(
          "SCMP_ACT_ALLOW", SeccompRule(names: ["read"], action: "SCMP_ACT_TRAP"),
          SeccompRule(names: ["read"], action: "SCMP_ACT_TRAP"),
          SeccompRule(names: ["read"], action: "SCMP_ACT_KILL"),
          SeccompRule(names: ["write"], action: "SCMP_ACT_TRAP", args: condition),
          SeccompRule(names: ["write"], action: "SCMP_ACT_KILL"))))
    let sentences = filter.ineffectiveRules()
    #expect(sentences.count == 2)
    #expect(sentences.first?.contains("`/linux/seccomp/syscalls/2/names/0`") == true)
    #expect(sentences.last?.contains("`/linux/seccomp/syscalls/3/names/0`") == true)
  }

  @Test func everyNameGoesBothWays() {
    for action in SeccompAction.allCases { #expect(SeccompAction(name: action.name) == action) }
    for comparison in SeccompOperator.allCases {
      #expect(SeccompOperator(name: comparison.name) == comparison)
    }
    for architecture in SeccompArchitecture.allCases {
      #expect(SeccompArchitecture(name: architecture.name) == architecture)
      #expect(architecture.name == "SCMP_ARCH_" + architecture.libraryName.uppercased())
    }
    #expect(SeccompAction.allCases.count == 9)
    #expect(SeccompOperator.allCases.count == 7)
    #expect(SeccompArchitecture.allCases.count == 23)
    let flags = SeccompFilterFlags.knownNames.compactMap { SeccompFilterFlags.parse($0) }
    #expect(flags == [.synchronizeThreads, .log, .allowSpeculation, .waitKillable])
    // The last one is newer than the oldest kernel that is supported.
    let count = SeccompFilterFlags.waitKillable.isSupported ? 4 : 3
    #expect(SeccompFilterFlags.supportedNames == Array(SeccompFilterFlags.knownNames.prefix(count)))
  }

  @Test func aCallPassesOnlyIfNoRuleSaysOtherwise() {
    let close = SeccompRule(names: ["read", "close"], action: "SCMP_ACT_ALLOW")
    let first = SeccompArgument(index: 0, value: 1, op: "SCMP_CMP_EQ")
    let some = SeccompRule(names: ["close"], action: "SCMP_ACT_ALLOW", args: [first])
    let asked = SeccompRule(names: ["close"], action: "SCMP_ACT_NOTIFY", args: [first])
    #expect(profile().passes("close") && profile("SCMP_ACT_LOG").passes("close"))
    #expect(!profile("SCMP_ACT_ERRNO").passes("close"))
    #expect(profile("SCMP_ACT_ERRNO", close).passes("close"))
    #expect(!profile("SCMP_ACT_ERRNO", close).passes("dup3"))
    #expect(!profile("SCMP_ACT_ERRNO", some).passes("close"))
    #expect(profile("SCMP_ACT_ERRNO", some, close).passes("close"))
    #expect(!profile("SCMP_ACT_ALLOW", close, asked).passes("close"))
  }
}
