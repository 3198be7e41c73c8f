import Foundation
import Testing

/// The runtime under test: our release binary, or a peer named by RUNTIME.
struct Runtime: Sendable {
  let path: String
  let name: String
  /// The third word of the first line of `--version`.
  let version: String

  var isPeer: Bool { name != "apus" }

  static let current: Runtime = {
    let environment = ProcessInfo.processInfo.environment
    let wanted = environment["RUNTIME"] ?? "apus"
    let path: String
    switch wanted {
    case "", "apus":
      path =
        environment["APUS_BINARY"] ?? FileManager.default.currentDirectoryPath
        + "/.build-release/release/apus"
    case let wanted where wanted.contains("/"): path = wanted
    default:
      let folders = (environment["PATH"] ?? "/usr/sbin:/usr/bin").split(separator: ":")
      path = folders.map { "\($0)/\(wanted)" }.first { access($0, X_OK) == 0 } ?? wanted
    }
    let said = recorded(or: "") { try Subprocess(path, ["--version"]).wait().stdout }
    let words = said.split(separator: "\n").first?.split(separator: " ") ?? []
    let isOurs = wanted.isEmpty || wanted == "apus"
    let base = path.split(separator: "/").last.map(String.init) ?? path
    return Runtime(path: path, name: isOurs ? "apus" : base, version: words.count > 2 ? String(words[2]) : "?")
  }()
}

/// Which layout of cgroups the tests run in; `hack/test` prepares it.
enum CgroupView: String {
  case hybrid, v1, v2

  static let current =
    CgroupView(
      rawValue: ProcessInfo.processInfo.environment["CGROUP_VIEW"] ?? "hybrid") ?? .hybrid
}

/// Who makes the cgroups: the runtime itself, or systemd for it. With APUS_TEST_DRIVER=systemd every container is a scope of
/// systemd, and the tests read the same files at another place.
enum CgroupDriver: String {
  case cgroupfs, systemd

  static let current =
    CgroupDriver(rawValue: ProcessInfo.processInfo.environment["APUS_TEST_DRIVER"] ?? "cgroupfs") ?? .cgroupfs

  /// One of the tests' own, which they may freeze without harm.
  private static let slice = "apustest.slice"

  var flags: [String] { self == .systemd ? ["--systemd-cgroup"] : [] }

  /// `linux.cgroupsPath` of the container with this number.
  func cgroupsPath(number: String) -> String {
    self == .systemd ? "\(Self.slice):\(TestRun.tag):\(number)" : "/\(TestRun.tag)/\(number)"
  }

  /// Where the cgroup of a `linux.cgroupsPath` is, below the root of each hierarchy.
  func place(of cgroupsPath: String) -> String {
    let words = cgroupsPath.split(separator: ":")
    guard self == .systemd, words.count == 3 else { return cgroupsPath }
    return "/\(words[0])/\(words[1])-\(words[2]).scope"
  }

  /// The scopes of this run that systemd knows, which keeps a file for each.
  static func units() -> [String] {
    current == .systemd ? Files.names(in: "/run/systemd/transient").filter { $0.contains(TestRun.tag) } : []
  }
}

/// Names and folders of one run of the tests.
enum TestRun {
  /// Stands in every id and every cgroup of this run, so that what is left over can be recognised.
  static let tag = "apus-test-\(getpid())-\(UInt32.random(in: 0...0xffff))"

  static let directory: String = {
    let parent = ProcessInfo.processInfo.environment["APUS_TEST_DIR"] ?? "/tmp"
    let path = "\(parent)/\(tag)"
    mkdir(path, 0o711)
    return path
  }()

  /// True where `/run` and the process ids are this run's own, so that they can be compared as a whole.
  static let isPrivate = ProcessInfo.processInfo.environment["APUS_TEST_PRIVATE"] == "1"

  /// The long runs: 1,000 containers instead of 200.
  static let isFull = ProcessInfo.processInfo.environment["APUS_FULL"] == "1"

  static func count(_ kind: String, _ name: String) {
    guard let path = ProcessInfo.processInfo.environment["APUS_TEST_COUNTS"] else { return }
    guard let file = fopen(path, "a") else { return }
    fputs("\(kind)\t\(name)\n", file)
    fclose(file)
  }
}
