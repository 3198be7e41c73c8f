import Diagnostics
import Foundation
import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

/// What was logged. Used by one test at a time, each of which has its own.
private final class Records: @unchecked Sendable {
  var warnings: [String] = []
  var others: [String] = []

  var sink: LogSink {
    LogSink(level: .debug) { level, message in
      if level == .warning { self.warnings.append(message) } else { self.others.append(message) }
    }
  }
}

/// A state directory of its own.
private final class StateRoot {
  let url = FileManager.default.temporaryDirectory.appending(path: "apus-cache-\(UUID().uuidString)")
  var path: String { url.path }
  var cache: URL { url.appending(path: "@cache/seccomp") }

  init() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  deinit {
    do {
      try FileManager.default.removeItem(at: url)
    } catch {
      Issue.record("\(url.path) stays: \(error)")
    }
  }

  var files: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: cache.path).sorted() }
  }

  func only() throws -> URL {
    cache.appending(path: try #require(try files.first))
  }
}

private func profile(_ action: String = "SCMP_ACT_ERRNO", value: UInt64 = 0) -> SeccompProfile {
  SeccompProfile(
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [
      SeccompRule(
        names: ["personality"], action: action,
        args: [SeccompArgument(index: 0, value: value, op: "SCMP_CMP_EQ")])
    ])
}

@Suite struct SeccompCacheTests {
  private let root: StateRoot
  private let records = Records()

  init() throws {
    root = try StateRoot()
  }

  private func program(_ profile: SeccompProfile? = profile()) throws -> SeccompProgram? {
    try SeccompCompiler.program(for: profile, stateRoot: root.path, log: records.sink)
  }

  /// Puts `bytes` where a program that was kept stands.
  private func damage(_ change: (inout [UInt8]) -> Void) throws {
    let file = try root.only()
    var bytes = [UInt8](try Data(contentsOf: file))
    change(&bytes)
    try Data(bytes).write(to: file)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
  }

  private func expectMadeAnew(_ good: SeccompProgram?, sourceLocation: SourceLocation = #_sourceLocation)
    throws
  {
    records.warnings = []
    #expect(try program() == good, sourceLocation: sourceLocation)
    #expect(records.warnings.count == 1, sourceLocation: sourceLocation)
    records.warnings = []
    #expect(try program() == good, sourceLocation: sourceLocation)
    #expect(records.warnings == [], sourceLocation: sourceLocation)
  }

  @Test func aProgramIsKeptAndUsedAgain() throws {
    let first = try program()
    let file = try root.only()
    let number = try FileManager.default.attributesOfItem(atPath: file.path)[.systemFileNumber] as? NSNumber
    #expect(try program() == first)
    #expect(try root.files.count == 1)
    #expect(
      try FileManager.default.attributesOfItem(atPath: file.path)[.systemFileNumber] as? NSNumber == number)
    #expect(records.warnings + records.others == [])
    let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? NSNumber
    #expect(mode == 0o600)
    let folder =
      try FileManager.default.attributesOfItem(atPath: root.cache.path)[.posixPermissions] as? NSNumber
    #expect(folder == 0o700)
  }

  @Test func whatIsKeptIsWhatIsLoaded() throws {
    _ = try program()
    // A valid record of another program under this key shows that the file is really read.
    let key = SeccompKey(digest: try digest(of: try root.only().lastPathComponent))
    let other: [UInt8] = [6, 0, 0, 0, 0, 0, 0xFF, 0x7F]
    try damage { $0 = SeccompRecord.encode(other, key) }
    #expect(try program()?.instructions == other)
  }

  @Test func otherProfilesHaveOtherPrograms() throws {
    _ = try program()
    _ = try program(profile("SCMP_ACT_KILL"))
    _ = try program(profile(value: 1))
    #expect(try root.files.count == 3)
  }

  @Test func flagsShareAProgram() throws {
    var log = profile()
    log.flags = ["SECCOMP_FILTER_FLAG_LOG"]
    _ = try program()
    #expect(try program(log)?.flags == .log)
    #expect(try program()?.flags == .allowSpeculation)
    #expect(try root.files.count == 1)
  }

  @Test func aDamagedFileIsMadeAnew() throws {
    let good = try program()
    try damage { $0[50] ^= 1 }
    try expectMadeAnew(good)
    try damage { $0[$0.count - 1] ^= 1 }
    try expectMadeAnew(good)
    try damage { $0.removeLast(8) }
    try expectMadeAnew(good)
    try damage { $0 = [] }
    try expectMadeAnew(good)
    try damage { $0 += [UInt8](repeating: 0, count: 70_000) }
    try expectMadeAnew(good)
  }

  @Test func aProgramUnderTheNameOfAnotherIsNotUsed() throws {
    let good = try program()
    let name = try root.only()
    _ = try program(profile("SCMP_ACT_KILL"))
    let other = root.cache.appending(
      path: try #require(try root.files.first { $0 != name.lastPathComponent }))
    try FileManager.default.removeItem(at: name)
    try FileManager.default.moveItem(at: other, to: name)
    try expectMadeAnew(good)
  }

  @Test func aFileThatOthersCanWriteIsNotUsed() throws {
    let good = try program()
    try FileManager.default.setAttributes([.posixPermissions: 0o660], ofItemAtPath: try root.only().path)
    try expectMadeAnew(good)
  }

  @Test func aLinkOrAFifoInPlaceOfTheFileIsNotUsed() throws {
    let good = try program()
    let file = try root.only()
    let moved = root.url.appending(path: "moved")
    try FileManager.default.moveItem(at: file, to: moved)
    try FileManager.default.createSymbolicLink(at: file, withDestinationURL: moved)
    try expectMadeAnew(good)
    try FileManager.default.removeItem(at: file)
    #expect(mkfifo(file.path, 0o600) == 0)
    try expectMadeAnew(good)
  }

  @Test func aDirectoryThatOthersCanWriteIsNotUsed() throws {
    let good = try program()
    try FileManager.default.setAttributes([.posixPermissions: 0o770], ofItemAtPath: root.cache.path)
    #expect(try program() == good)
    #expect(records.warnings.count == 1)
    #expect(records.warnings.first?.contains("@cache/seccomp") == true)
  }

  @Test func aDirectoryOfAnotherUserIsNotUsed() throws {
    guard geteuid() == 0 else { return }
    let good = try program()
    #expect(chown(root.url.appending(path: "@cache").path, 12345, 12345) == 0)
    #expect(try program() == good)
    #expect(records.warnings.count == 1)
  }

  @Test func withoutAPlaceToKeepItTheProgramIsMadeAllTheSame() throws {
    let good = try program()
    let nowhere = try SeccompCompiler.program(
      for: profile(), stateRoot: root.path + "/absent", log: records.sink)
    #expect(nowhere == good)
    #expect(records.warnings == [])
    #expect(!records.others.isEmpty)
    #expect(try SeccompCompiler.program(for: profile(), stateRoot: "", log: records.sink) == good)
  }

  @Test func theCacheDoesNotGrowWithoutBounds() throws {
    for value in 0..<UInt64(SeccompCache.capacity + 1) { _ = try program(profile(value: value)) }
    #expect(try root.files.count == 1)
  }

  @Test func noProfileIsNoProgram() throws {
    #expect(try program(nil) == nil)
    #expect(try program(SeccompProfile(defaultAction: "")) == nil)
  }

  @Test func rulesWithoutEffectAreTold() throws {
    var twice = profile()
    twice.syscalls?.append(SeccompRule(names: ["personality"], action: "SCMP_ACT_TRAP"))
    _ = try program(twice)
    _ = try program(twice)
    #expect(records.warnings == [])
    #expect(records.others.count == 2)
  }

  private func digest(of name: String) throws -> [UInt8] {
    let digits = Array(name.utf8)
    return try stride(from: 0, to: digits.count, by: 2).map { at in
      try #require(UInt8(String(decoding: digits[at...(at + 1)], as: UTF8.self), radix: 16))
    }
  }
}

@Suite struct SeccompKeyTests {
  private func key(_ profile: SeccompProfile, library: String = "1", architecture: UInt32 = 1) throws
    -> String
  {
    try #require(try SeccompFilter.make(profile)).key(library: library, architecture: architecture).name
  }

  @Test func theKeyCoversEverythingAProgramDependsOn() throws {
    let condition = SeccompArgument(index: 1, value: 2, valueTwo: 3, op: "SCMP_CMP_MASKED_EQ")
    func make(_ change: (inout SeccompProfile, inout SeccompRule, inout SeccompArgument) -> Void)
      -> SeccompProfile
    {
      var argument = condition
      var rule = SeccompRule(names: ["read", "write"], action: "SCMP_ACT_ERRNO")
      var profile = SeccompProfile(defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86"])
      change(&profile, &rule, &argument)
      rule.args = [argument]
      profile.syscalls = [rule]
      return profile
    }
    let plain = make { _, _, _ in }
    let others = [
      make { profile, _, _ in profile.defaultAction = "SCMP_ACT_KILL" },
      make { profile, _, _ in profile.architectures = [] },
      make { profile, _, _ in profile.architectures = ["SCMP_ARCH_X32"] },
      make { _, rule, _ in rule.names = ["read"] }, make { _, rule, _ in rule.names = ["readw", "rite"] },
      make { _, rule, _ in rule.action = "SCMP_ACT_TRAP" }, make { _, rule, _ in rule.errnoRet = 2 },
      make { _, _, argument in argument.index = 2 }, make { _, _, argument in argument.value = 4 },
      make { _, _, argument in argument.valueTwo = 4 },
      make { _, _, argument in argument.op = "SCMP_CMP_EQ" },
    ]
    var keys = [try key(plain), try key(plain, library: "2"), try key(plain, architecture: 2)]
    for other in others { keys.append(try key(other)) }
    #expect(Set(keys).count == others.count + 3)
    #expect(try key(plain) == keys[0])
    #expect(keys.allSatisfy { $0.utf8.count == 64 })
  }
}

@Suite struct SHA256Tests {
  /// The examples of FIPS 180-4 and the edges of the padding.
  @Test(arguments: [
    ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ("a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
    ("a", 56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
    ("a", 63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
    ("a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
    ("a", 65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"),
    ("a", 119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
    ("a", 120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
    ("a", 128, "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e"),
  ])
  func digestsAreThoseOfTheStandard(_ text: String, _ count: Int, _ expected: String) {
    let bytes = [UInt8](String(repeating: text, count: count).utf8)
    #expect(SeccompKey(digest: SHA256.digest(bytes)).name == expected)
  }
}
