import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

@Suite struct SeccompKeyTests {
  private typealias Version = (UInt32, UInt32, UInt32)

  private func key(_ profile: SeccompProfile, library: Version = (2, 5, 4), architecture: UInt32 = 1) -> [UInt8] {
    profile.key(library: library, architecture: architecture).text
  }

  private typealias Change = (inout SeccompProfile, inout SeccompRule, inout SeccompArgument) -> Void

  /// Two rules with a condition, and one that does what happens anyway.
  private func make(_ change: Change) -> SeccompProfile {
    var argument = SeccompArgument(index: 1, value: 2, valueTwo: 3, op: "SCMP_CMP_MASKED_EQ")
    var rule = SeccompRule(names: ["read", "write"], action: "SCMP_ACT_TRACE")
    var profile = SeccompProfile(
      defaultAction: "SCMP_ACT_ERRNO", architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
      syscalls: [
        SeccompRule(names: ["getpid"], action: "SCMP_ACT_ERRNO"), SeccompRule(names: ["open"], action: "SCMP_ACT_TRAP"),
      ])
    change(&profile, &rule, &argument)
    rule.args = (rule.args ?? []) + [argument]
    profile.syscalls?.append(rule)
    return profile
  }

  @Test func theKeyCoversEverythingAProgramDependsOn() throws {
    let changes: [Change] = [
      { profile, _, _ in profile.defaultAction = "SCMP_ACT_KILL" }, { profile, _, _ in profile.defaultErrnoRet = 2 },
      { profile, _, _ in profile.flags = [] }, { profile, _, _ in profile.flags = ["SECCOMP_FILTER_FLAG_LOG"] },
      { profile, _, _ in profile.flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"] },
      // That there is a listener, and that there is something to tell it: without it the profile may be wrong.
      { profile, _, _ in profile.listenerPath = "/run/agent" }, { profile, _, _ in profile.listenerMetadata = "a" },
      { profile, _, _ in profile.architectures = nil }, { profile, _, _ in profile.architectures = ["SCMP_ARCH_X32"] },
      { profile, _, _ in profile.architectures = ["SCMP_ARCH_X86"] },
      { profile, _, _ in profile.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
      // What needs no rule still tells which calls are newer than the profile.
      { profile, _, _ in profile.syscalls?.removeFirst() },
      { profile, _, _ in profile.syscalls?[0].names = ["gettid"] },
      { profile, _, _ in profile.syscalls?[0].names.append("gettid") },
      { profile, _, _ in profile.syscalls?[0].action = "SCMP_ACT_TRAP" },
      { profile, _, _ in profile.syscalls?.removeLast() }, { profile, _, _ in profile.syscalls?[1].names = ["read"] },
      { _, rule, _ in rule.names = ["read"] }, { _, rule, _ in rule.names = ["write", "read"] },
      { _, rule, _ in rule.names = ["readw", "rite"] }, { _, rule, _ in rule.names = ["readwrite"] },
      { _, rule, _ in rule.action = "SCMP_ACT_ALLOW" }, { _, rule, _ in rule.errnoRet = 2 },
      { _, rule, _ in rule.args = [SeccompArgument(index: 0, value: 0, op: "SCMP_CMP_EQ")] },
      { _, _, argument in argument.index = 2 }, { _, _, argument in argument.value = 4 },
      { _, _, argument in argument.value = 2 | 1 << 63 }, { _, _, argument in argument.valueTwo = 4 },
      { _, rule, _ in rule.errnoRet = 0 },
      { _, _, argument in argument.valueTwo = nil }, { _, _, argument in argument.op = "SCMP_CMP_EQ" },
    ]
    let plain = make { _, _, _ in }
    var keys = [key(plain), key(plain, architecture: 2)]
    for version: Version in [(3, 5, 4), (2, 6, 4), (2, 5, 5), (2, 54, 0)] { keys.append(key(plain, library: version)) }
    for change in changes { keys.append(key(make(change))) }
    // The same rules in another order: with contradictions that would be another program.
    keys.append(
      key(
        make { profile, _, _ in profile.syscalls?.insert(SeccompRule(names: ["a"], action: "SCMP_ACT_LOG"), at: 0) }))
    keys.append(
      key(make { profile, _, _ in profile.syscalls?.append(SeccompRule(names: ["a"], action: "SCMP_ACT_LOG")) }))
    #expect(Set(keys).count == changes.count + 8)
    #expect(Set(keys.map { SeccompKey(text: $0).name }).count == changes.count + 8)
    #expect(key(plain) == keys[0])
  }

  @Test func whatAProgramDoesNotDependOnIsNotInTheKey() throws {
    let one = make { profile, _, _ in
      profile.listenerPath = "/run/one"
      profile.listenerMetadata = "one"
    }
    let other = make { profile, rule, _ in
      profile.listenerPath = "/run/other"
      profile.listenerMetadata = "other"
      profile.syscalls?[0].args = []
    }
    #expect(key(one) == key(other))
  }

  /// A new property is to be put into the key.
  @Test func theKeyKnowsAllPropertiesOfAProfile() throws {
    func names(_ value: Any) -> [String?] { Mirror(reflecting: value).children.map(\.label) }
    let profile = make { _, _, _ in }
    #expect(
      names(profile) == [
        "defaultAction", "defaultErrnoRet", "architectures", "flags", "listenerPath", "listenerMetadata", "syscalls",
      ])
    let rule = try #require(profile.syscalls?.last)
    #expect(names(rule) == ["names", "action", "errnoRet", "args"])
    #expect(names(try #require(rule.args?.first)) == ["index", "value", "valueTwo", "op"])
  }

  /// Programs of before stay in caches. If this fails, and the change is wanted, raise ``SeccompKey/version`` and put what is
  /// found here next to it.
  @Test(.enabled(if: SeccompCompiler.libraryVersionText == "2.5.4", "other versions know other calls"))
  func aChangeOfWhatIsMadeOfAFilterHasAnotherVersion() throws {
    var found: [String: String] = [:]
    for machine in Machine.all {
      func program(_ profile: SeccompProfile) throws -> [UInt8] {
        let filter = try #require(try SeccompFilter.make(profile))
        return try SeccompCompiler.compile(filter, native: machine.native).instructions
      }
      for name in ["docker-amd64", "podman-amd64"] {
        var profile = try fixture(name)
        profile.architectures = machine.architectures
        found["\(name) \(machine)"] = SeccompKey(text: try program(profile)).name
      }
      var random: [UInt8] = []
      for seed in UInt64(0)..<200 {
        do {
          random += try program(RandomProfile.make(seed, sharesActions: seed % 2 == 0, on: machine))
        } catch is RuntimeError {
          // Rules that contradict each other.
          random.append(0)
        }
      }
      found["random \(machine)"] = SeccompKey(text: random).name
    }
    #expect(SeccompKey.version == "apus-seccomp-4")
    #expect(
      found == [
        "docker-amd64 x86_64": "ff0b6e241bec411c", "podman-amd64 x86_64": "0603f098ae5afe1b",
        "random x86_64": "ddb90e447ddaa623", "docker-amd64 aarch64": "dc0b0e7e3c0a5eba",
        "podman-amd64 aarch64": "413e518ffb3407eb", "random aarch64": "191192243fe3ba12",
      ],
      "raise the version of SeccompKey, or undo the change: programs of before are in caches")
  }
}
