import Foundation
import IntegrationSupport
import Testing

/// A folder that stands for the host: whatever an attack reaches of it shows in its files, their contents or their
/// metadata. The attacks aim at this folder and at nothing else of the machine.
final class Canary {
  let path: String
  private var before: [String: String] = [:]

  /// `folder` is there already where the attack has to find the same path twice, in the root and outside of it.
  init(_ path: String? = nil) throws {
    let directory = try Workspace.active().directory
    self.path = path ?? "\(directory)/canary"
    try FileManager.default.createDirectory(
      atPath: self.path + "/folder/below", withIntermediateDirectories: true)
    for (name, mode) in [("file", 0o644), ("secret", 0o600), ("folder/file", 0o640)] {
      try Files.write("of the host: \(name)", to: "\(self.path)/\(name)")
      chmod("\(self.path)/\(name)", mode_t(mode))
    }
    chown(self.path + "/folder/file", 1234, 5678)
    symlink("file", self.path + "/link")
    mkfifo(self.path + "/fifo", 0o620)
    // A node of our own with the numbers of /dev/null, so that no attack reaches the machine's.
    guard mknod(null, S_IFCHR | 0o666, dev_t(1 << 8 | 3)) == 0 else {
      throw HarnessError(errno: errno, "mknod \(null)")
    }
    chmod(null, 0o666)
    guard support_set_attribute(self.path + "/file", "trusted.canary", "sings") == 0 else {
      throw HarnessError(errno: errno, "setxattr")
    }
    remember()
  }

  var null: String { path + "/null" }
  var secret: String { path + "/secret" }

  /// The folder as a link that climbs out of any root file system would name it.
  var climbing: String { String(repeating: "../", count: 16) + path.dropFirst() }

  /// What the test itself has changed since is as it has to be.
  func remember() { before = state() }

  /// One line for each name that is there now and was not, is gone, or is not as it was.
  func changes() -> [String] {
    let now = state()
    return Set(before.keys).union(now.keys).sorted().compactMap { name in
      before[name] == now[name] ? nil : "\(name): was \(before[name] ?? "absent"), is \(now[name] ?? "absent")"
    }
  }

  private func state() -> [String: String] {
    var found: [String: String] = [:]
    describe("", into: &found)
    return found
  }

  private func describe(_ name: String, into found: inout [String: String]) {
    let full = path + name
    var line = [CChar](repeating: 0, count: 4096)
    let result = support_describe(full, &line, UInt(line.count))
    var text =
      result == 0
      ? String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) : "errno \(-result)"
    var status = stat()
    lstat(full, &status)
    switch status.st_mode & S_IFMT {
    case S_IFREG: text += ", holds `\(contents(full))`"
    case S_IFLNK:
      let target = recorded(or: "?") { try FileManager.default.destinationOfSymbolicLink(atPath: full) }
      text += ", leads to `\(target)`"
    case S_IFDIR: for entry in Files.names(in: full) { describe("\(name)/\(entry)", into: &found) }
    default: break
    }
    found[name] = text
  }

  /// The text itself, or the hash of what is long.
  private func contents(_ path: String) -> String {
    recorded(or: "nothing that can be read") {
      let data = try Files.data(path)
      if data.count <= 256 { return String(decoding: data, as: UTF8.self) }
      let outcome = try Subprocess("/usr/bin/sha256sum", [path]).wait()
      if outcome.code != 0 { throw HarnessError("\(outcome)") }
      return String(outcome.stdout.prefix(64))
    }
  }
}

func expectUntouched(
  _ canary: Canary, _ what: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
  let changes = canary.changes()
  if changes.isEmpty { return }
  Issue.record(
    "the host was reached, \(what()):\n\(changes.joined(separator: "\n"))", sourceLocation: sourceLocation)
  canary.remember()
}

/// The same bundle without the malice has to work, or a refusal of the hostile one says nothing.
func expectBenign(_ outcome: Outcome, sourceLocation: SourceLocation = #_sourceLocation) throws {
  try #require(outcome.code == 0, "without the malice: \(outcome)", sourceLocation: sourceLocation)
}

/// Names that another process exchanges in a loop while a runtime works on them, as a second container of the same volume
/// can.
enum Race {
  /// How often each race is run; 500 for a long run.
  static let rounds = ProcessInfo.processInfo.environment["APUS_ROUNDS"].flatMap(Int.init) ?? 40

  /// Runs `body` once before the race, which is the control, with -1, and then with the number of each round.
  static func run(
    _ names: [String], sourceLocation: SourceLocation = #_sourceLocation, _ body: (Int) throws -> Void
  ) throws {
    try body(-1)
    let agent = try Container().bundle.rootfs + "/bin/agent"
    let attacker = try Subprocess(agent, ["exchange"] + names)
    try attacker.stdout.waitFor("ready")
    for round in 0..<rounds {
      try body(round)
      Processes.reap()
    }
    attacker.signal(SIGTERM)
    let said = try attacker.wait().stdout
    let count = said.split(separator: "\n").last?.split(separator: " ").last.flatMap { Int($0) } ?? 0
    #expect(count > rounds, "no race: \(said)", sourceLocation: sourceLocation)
  }
}

/// What became of the rounds of a race. Refusing is no failure, always refusing is.
struct Tally {
  private(set) var made = 0
  private(set) var refused = 0
  private var failures: [String] = []
  var wrong: [String] { failures }

  mutating func count(made isMade: Bool) {
    if isMade { made += 1 } else { refused += 1 }
  }

  mutating func fail(_ what: String) { failures.append(what) }

  func judge(sourceLocation: SourceLocation = #_sourceLocation) {
    print("attack: \(made) made, \(refused) refused, \(failures.count) wrong")
    #expect(made > 1, "always refused under the race", sourceLocation: sourceLocation)
    #expect(
      failures.isEmpty, "\(failures.count) rounds of \(made + refused) were lost, the first: \(failures.first ?? "")",
      sourceLocation: sourceLocation)
  }
}
