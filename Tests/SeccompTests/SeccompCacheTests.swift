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
    let key = profile().key(library: SeccompCompiler.libraryVersion, architecture: SystemCallTable.native)
    #expect(try root.files == [key.name])
    let other = SeccompProgram(instructions: [6, 0, 0, 0, 0, 0, 0xFF, 0x7F], flags: .log)
    try damage { $0 = SeccompRecord.encode(other, key) }
    #expect(try program() == other)
  }

  @Test func otherProfilesHaveOtherPrograms() throws {
    _ = try program()
    _ = try program(profile("SCMP_ACT_KILL"))
    _ = try program(profile(value: 1))
    #expect(try root.files.count == 3)
  }

  @Test func theFlagsAreKeptWithTheProgram() throws {
    var log = profile()
    log.flags = ["SECCOMP_FILTER_FLAG_LOG"]
    for _ in 0..<2 {
      #expect(try program(log)?.flags == .log)
      #expect(try program()?.flags == .allowSpeculation)
    }
    #expect(try root.files.count == 2)
  }

  @Test func aProfileThatIsWrongIsRefusedEveryTime() throws {
    _ = try program()
    var wrong = profile()
    wrong.listenerMetadata = "a"
    for _ in 0..<2 { #expect(throws: RuntimeError.self) { try program(wrong) } }
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
    for place in [0, 8, 12, 16, 100] {
      try damage { $0[$0.count - 1 - place] ^= 0x80 }
      try expectMadeAnew(good)
      try damage { $0[place] ^= 0x10 }
      try expectMadeAnew(good)
    }
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

  /// In another pid namespace somebody else may have this process id, and be about to write the same file.
  @Test func whatAnotherRuntimeIsWritingIsLeftAlone() throws {
    _ = try program(profile(value: 7))
    let others = ["new.\(getpid())", "new.1"].map { root.cache.appending(path: $0) }
    for other in others { try Data("half".utf8).write(to: other) }
    _ = try program()
    for other in others { #expect(try Data(contentsOf: other) == Data("half".utf8)) }
    #expect(try root.files.count == 4)
    #expect(records.warnings + records.others == [])
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
}

@Suite struct SeccompChecksumTests {
  @Test func everyChangeOfOneWordIsSeen() {
    var bytes = (0..<203).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let good = SeccompChecksum.of(bytes, upTo: bytes.count)
    for place in bytes.indices {
      for bit: UInt8 in 0..<8 {
        bytes[place] ^= 1 << bit
        #expect(SeccompChecksum.of(bytes, upTo: bytes.count) != good)
        bytes[place] ^= 1 << bit
      }
    }
    let lengths = (0..<64).map { SeccompChecksum.of([UInt8](repeating: 0, count: 64), upTo: $0) }
    #expect(Set(lengths).count == 64)
    #expect(SeccompChecksum.of(bytes.reversed(), upTo: bytes.count) != good)
    #expect(SeccompChecksum.of(bytes, upTo: bytes.count) == good)
  }
}
