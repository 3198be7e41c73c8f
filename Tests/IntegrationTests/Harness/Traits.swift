import Foundation
import Testing

/// The root of all integration tests. One after another, since each compares what is on the host before and after.
@Suite(.serialized, .leavesNothing) enum Integration {}

/// Gives each test its workspace, and applies what its tags say about peers.
struct LeavesNothing: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func prepare(for test: Test) async throws {
    try await MachineNeed.leaveOutOthers(test)
    try await BothDrivers.leaveOutOthers(test)
  }

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    guard testCase != nil else { return try await function() }
    let workspace = try Workspace()
    func body() async throws {
      var failure: (any Error)?
      do {
        try await Workspace.$current.withValue(workspace) { try await function() }
      } catch {
        failure = error
      }
      workspace.finish()
      if let failure { throw failure }
    }
    let differences = test.traits.compactMap { $0 as? PeerDifference }
    guard let difference = differences.first(where: \.applies) else {
      TestRun.count("shared", test.name)
      return try await body()
    }
    let lost = Flag()
    try await withKnownIssue(
      "\(difference.peer) \(difference.version): \(difference.reason)", isIntermittent: difference.isAtTimes
    ) {
      try await body()
    } matching: { _ in
      lost.isSet = true
      return true
    }
    TestRun.count(
      "differs", "\(test.name)\t\(difference.reason)\(lost.isSet ? "" : " (not this time)")")
  }
}

private final class Flag: @unchecked Sendable {
  var isSet = false
}

extension Trait where Self == LeavesNothing {
  static var leavesNothing: Self { LeavesNothing() }
}

/// A peer in a certain version does otherwise; should it pass after all, the run fails and the tag goes.
struct PeerDifference: TestTrait {
  let peer: String
  let version: String
  let reason: String
  /// A race that is lost in some runs only.
  var isAtTimes = false

  var applies: Bool { Runtime.current.name == peer && Runtime.current.version.hasPrefix(version) }
}

extension Trait where Self == PeerDifference {
  static func peerDiffers(_ peer: String, _ version: String, _ reason: String) -> Self {
    PeerDifference(peer: peer, version: version, reason: reason)
  }

  static func peerMayDiffer(_ peer: String, _ version: String, _ reason: String) -> Self {
    PeerDifference(peer: peer, version: version, reason: reason, isAtTimes: true)
  }
}

extension Trait where Self == PeerDifference {
  /// What `apus` refuses because it is not built yet; once it is, the run fails and the tag goes.
  static func notYet(_ reason: String) -> Self {
    PeerDifference(peer: "apus", version: "", reason: "not yet: \(reason)")
  }
}

extension Trait where Self == ConditionTrait {
  /// Something no peer has: not run there, and not counted as shared.
  static func apusOnly(_ reason: String, sourceLocation: SourceLocation = #_sourceLocation) -> Self {
    .enabled("no peer has it: \(reason)") {
      if Runtime.current.isPeer {
        TestRun.count("apusOnly", "\(sourceLocation.fileName):\(sourceLocation.line)\t\(reason)")
      }
      return !Runtime.current.isPeer
    }
  }

  /// Only in these layouts of cgroups.
  static func views(_ views: CgroupView...) -> Self {
    .enabled("needs another cgroup layout") { views.contains(CgroupView.current) }
  }
}

/// Runs once more in the virtual machine with every container as a scope of systemd (``CgroupDriver``), where the kernel's files
/// must say the same. The files that say `.bothDrivers` are those whose suites go there.
struct BothDrivers: SuiteTrait, TestTrait {
  var isRecursive: Bool { true }

  static func leaveOutOthers(_ test: Test) async throws {
    if CgroupDriver.current == .cgroupfs || test.isSuite { return }
    if test.traits.contains(where: { $0 is BothDrivers }) { return }
    try await ConditionTrait.disabled("is not about limits").prepare(for: test)
  }
}

extension Trait where Self == BothDrivers {
  static var bothDrivers: Self { BothDrivers() }
}

/// Of a suite for both drivers, the tests about something that systemd does not have or has in its own way: they are counted.
struct CgroupfsOnly: TestTrait {
  let reason: String

  func prepare(for test: Test) async throws {
    if CgroupDriver.current == .cgroupfs { return }
    TestRun.count("cgroupfs", "\(test.name)\t\(reason)")
    try await ConditionTrait.disabled("not with systemd: \(reason)").prepare(for: test)
  }
}

extension Trait where Self == CgroupfsOnly {
  static func cgroupfsOnly(_ reason: String) -> Self { CgroupfsOnly(reason: reason) }
}

/// The rows of spec/security.md that a test stands for: one line for each, so that what was tried can be listed.
struct AttackRows: TestTrait, TestScoping {
  let numbers: [String]

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    for number in numbers {
      print("attack \(number): \(test.name)")
      TestRun.count("attack", "\(number)\t\(test.name)")
    }
    try await function()
  }
}

extension Trait where Self == AttackRows {
  static func attack(_ numbers: String...) -> Self { AttackRows(numbers: numbers) }
}

/// Like ``PeerDifference`` for one case of a test with many: `reasons` by the name of the runtime, `apus` for what it
/// lacks. Should the case pass after all, the run fails and the reason goes.
func allowing(
  _ reasons: [String: String], in name: String, isIntermittent: Bool = false, _ body: () throws -> Void
) throws {
  guard let reason = reasons[Runtime.current.name] else { return try body() }
  TestRun.count("differs", "\(name)\t\(reason)")
  withKnownIssue("\(Runtime.current.name): \(reason)", isIntermittent: isIntermittent) { try body() }
}
