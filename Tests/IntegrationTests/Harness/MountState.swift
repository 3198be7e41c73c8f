import Foundation
import IntegrationSupport
import Testing

/// What the attributes of one mount are, whatever shows them: words of a configuration, mountinfo, statfs(2), attempts.
struct MountState: Equatable, CustomStringConvertible {
  struct Flag: Sendable {
    /// As in mountinfo and in a configuration.
    let word: String
    /// MS_* of mount(2), ST_* of statfs(2).
    let mountFlag: UInt
    let statFlag: Int
    /// The key in the agent's `probe`, and its value without the flag and with it.
    let attempt: (key: String, without: JSONValue, with: JSONValue)?
  }

  static let flags: [Flag] = [
    Flag(word: "ro", mountFlag: 1, statFlag: 1, attempt: ("write", "", "EROFS")),
    Flag(word: "nosuid", mountFlag: 2, statFlag: 2, attempt: ("setUserID", true, false)),
    Flag(word: "nodev", mountFlag: 4, statFlag: 4, attempt: ("device", "", "EACCES")),
    Flag(word: "noexec", mountFlag: 8, statFlag: 8, attempt: ("execute", "", "EACCES")),
    Flag(word: "nosymfollow", mountFlag: 256, statFlag: 0x2000, attempt: ("link", "", "ELOOP")),
    Flag(word: "nodiratime", mountFlag: 2048, statFlag: 2048, attempt: nil),
  ]

  /// When reading a file changes its time of access; the values are those of the agent's `probe`.
  enum AccessTime: String, Sendable { case none, relative, strict }

  var words: Set<String> = []
  var accessTime = AccessTime.relative

  var description: String { (words.sorted() + ["atime=\(accessTime.rawValue)"]).joined(separator: ",") }

  /// From words of a configuration: `noatime` and `strictatime` stand for the field that they set.
  init(configured words: [String] = []) {
    for word in words {
      switch word {
      case "noatime": accessTime = .none
      case "strictatime": accessTime = .strict
      default: self.words.insert(word)
      }
    }
  }

  /// From the options of a line of mountinfo.
  init(mountinfo options: [String]) {
    words = Set(options).intersection(MountState.flags.map(\.word))
    accessTime = options.contains("noatime") ? .none : options.contains("relatime") ? .relative : .strict
  }

  /// From `f_flags` of statfs(2).
  init(statFlags: Int) {
    words = Set(MountState.flags.filter { statFlags & $0.statFlag != 0 }.map(\.word))
    accessTime = statFlags & 1024 != 0 ? .none : statFlags & 4096 != 0 ? .relative : .strict
  }

  /// For mount(2).
  var mountFlags: UInt {
    let times: [AccessTime: UInt] = [.none: 1 << 10, .relative: 1 << 21, .strict: 1 << 24]
    return MountState.flags.filter { words.contains($0.word) }.reduce(times[accessTime] ?? 0) {
      $0 | $1.mountFlag
    }
  }

  /// Compares one answer of the agent's `probe` with this state: what the kernel says of the mount twice, and what
  /// happens. Where the fixtures could not be made, only the attempt to write says something.
  func expect(of answer: JSONValue, hasFixtures: Bool = true, sourceLocation: SourceLocation = #_sourceLocation) {
    let path = answer["path"].string ?? "?"
    #expect(
      MountState(mountinfo: answer["mount"].words("options")) == self, "mountinfo of \(path): \(answer.text)",
      sourceLocation: sourceLocation)
    #expect(
      MountState(statFlags: answer["flags"].int ?? -1) == self, "statfs of \(path): \(answer.text)",
      sourceLocation: sourceLocation)
    for flag in MountState.flags {
      guard let attempt = flag.attempt, answer[attempt.key] != .null else { continue }
      guard hasFixtures || attempt.key == "write" else { continue }
      let wanted = words.contains(flag.word) ? attempt.with : attempt.without
      #expect(
        answer[attempt.key] == wanted, "\(attempt.key) on \(path): \(answer.text)", sourceLocation: sourceLocation)
    }
    if words.contains("ro") { return }
    #expect(
      answer["accessTime"].string == accessTime.rawValue, "\(path): \(answer.text)", sourceLocation: sourceLocation)
    if answer["directoryTime"] == .null { return }
    let ofFolders = words.contains("nodiratime") ? .none : accessTime
    #expect(
      answer["directoryTime"].string == ofFolders.rawValue, "\(path): \(answer.text)",
      sourceLocation: sourceLocation)
  }
}

/// Mounts of the host that tests bind from; gone when `body` ends.
enum HostMounts {
  /// A file system on a folder of this test.
  static func with(
    _ type: String, on path: String, source: String? = nil, data: String = "", flags: UInt = 0,
    _ body: () throws -> Void
  ) throws {
    mkdir(path, 0o755)
    guard support_mount(source ?? type, path, type, flags, data) == 0 else {
      throw HarnessError(errno: errno, "mount \(type) on \(path)")
    }
    defer { _ = support_unmount(path) }
    try body()
  }

  /// A shared tmpfs and another one on its folder `below`, both with the agent's fixtures and in the state `state`.
  static func withTree(
    _ state: MountState = MountState(), name: String = "tree", _ body: (_ path: String) throws -> Void
  ) throws {
    let path = try Workspace.active().directory + "/" + name
    try with("tmpfs", on: path, data: "mode=755") {
      guard support_make_shared(path) == 0 else { throw HarnessError(errno: errno, "share \(path)") }
      try with("tmpfs", on: path + "/below", data: "mode=755") {
        for folder in [path, path + "/below"] {
          try Subprocess(try RootTemplate.agent(), ["fixtures", folder]).wait().expectSuccess()
          // MS_REMOUNT | MS_BIND: of the mount, not of its file system.
          guard support_mount("none", folder, "none", 32 | 4096 | state.mountFlags, nil) == 0 else {
            throw HarnessError(errno: errno, "remount \(folder)")
          }
        }
        try body(path)
      }
    }
  }

  /// The line of mountinfo of the mount that lies topmost on `path`, cut into words; nil where there is none.
  static func line(of path: String) throws -> [String]? {
    try Files.read("/proc/self/mountinfo").split(separator: "\n").last {
      $0.split(separator: " ").dropFirst(4).first.map(String.init) == path
    }?.split(separator: " ").map(String.init)
  }
}

extension Container {
  /// Everything that the agent's `probe` needs to try what a mount allows.
  func allowProbing() {
    bundle.setCapabilities([
      "CAP_CHOWN", "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_SYS_ADMIN",
    ])
    bundle.config["process"]["noNewPrivileges"] = false
  }

  /// What the agent finds out about mounts of the container, in the order of `paths`.
  func probe(_ paths: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> [JSONValue] {
    allowProbing()
    bundle.args = ["/bin/agent", "probe"] + paths
    let outcome = try run()
    try #require(outcome.code == 0, "\(outcome)", sourceLocation: sourceLocation)
    return try outcome.stdout.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
  }
}
