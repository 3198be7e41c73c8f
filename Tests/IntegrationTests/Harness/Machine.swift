import Foundation
import Testing

/// What a test may need that not every machine has. That of `hack/vm` has all of it, in one layout of cgroups or the other.
enum MachineFeature: String, Sendable {
  /// As process 1, and its sockets are in reach.
  case systemd
  /// All that limits are made of, in the layout of cgroups under test.
  case controllers
  case appArmor
  /// CAP_SYS_RESOURCE: hard limits can be raised.
  case resourceLimits
  /// Those of v1 that have nothing like it on v2.
  case networkControllers
  /// Huge pages are limited on v1.
  case legacyHugePages
  /// A version of Landlock's ABI that lacks rights: below 3.
  case olderLandlock
  /// It is there, and knows the kernel.
  case criu

  var isHere: Bool {
    switch self {
    case .systemd: Files.exists("/run/systemd/private")
    case .controllers:
      CgroupView.current != .v2
        || Cgroups.unifiedControllers().isSuperset(of: ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"])
    case .appArmor: recorded(or: nil) { try Files.readIfThere("/sys/module/apparmor/parameters/enabled") } == "Y\n"
    case .resourceLimits: MachineFeature.hasCapability(24)
    case .networkControllers: ["net_cls", "net_prio"].allSatisfy { Cgroups.root(of: $0) != nil }
    case .olderLandlock: (1...2).contains(Landlock.version)
    case .criu: MachineFeature.hasCriu
    case .legacyHugePages: Cgroups.root(of: "hugetlb") != nil
    }
  }

  private static let hasCriu =
    Files.exists("/usr/sbin/criu")
    && recorded(or: false) { try Subprocess("/usr/sbin/criu", ["check"]).wait().code == 0 }

  /// By its number in capabilities(7).
  private static func hasCapability(_ number: Int) -> Bool {
    let status = recorded(or: "") { try Files.read("/proc/self/status") }
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
      let mask = UInt64(line.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16)
    else { return false }
    return mask & 1 << number != 0
  }
}

/// Where something is missing the test is put on the list of those that need the virtual machine. `hack/test` prints the list
/// and runs them there; the files that say `.needs(` are those whose suites go there as a whole.
struct MachineNeed: SuiteTrait, TestTrait {
  let features: [MachineFeature]

  var isRecursive: Bool { true }

  func prepare(for test: Test) async throws {
    let missing = features.filter { !$0.isHere }.map(\.rawValue)
    if missing.isEmpty || test.isSuite { return }
    TestRun.count("machine", "\(test.name)\t\(missing.joined(separator: " "))")
    try await ConditionTrait.disabled("needs the virtual machine: \(missing.joined(separator: ", "))").prepare(
      for: test)
  }

  /// APUS_TEST_ONLY: the tests that need this, and no others.
  static let only = ProcessInfo.processInfo.environment["APUS_TEST_ONLY"].flatMap { MachineFeature(rawValue: $0) }

  static func leaveOutOthers(_ test: Test) async throws {
    guard let only, !test.isSuite else { return }
    if test.traits.contains(where: { ($0 as? MachineNeed)?.features.contains(only) == true }) { return }
    try await ConditionTrait.disabled("runs without \(only.rawValue) too").prepare(for: test)
  }
}

extension Trait where Self == MachineNeed {
  static func needs(_ features: MachineFeature...) -> Self { MachineNeed(features: features) }
}

enum Kernel {
  static func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
    var names = utsname()
    uname(&names)
    let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (major, minor)
  }
}
