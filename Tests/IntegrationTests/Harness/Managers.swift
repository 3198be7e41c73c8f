import Foundation
import IntegrationSupport
import Testing

/// How managers call a runtime and what they read of its answers, rebuilt from what is known of them (`spec/managers.md`). Where
/// one of them would misunderstand, so does this.
final class GoRunc {
  /// What the client makes of a container: of the members of the state it knows these and passes over the others.
  struct State: Decodable {
    var id: String
    var pid: Int
    var status: String
    var bundle: String
    var rootfs: String
    var created: String
    var annotations: [String: String]?
  }

  struct Version: Equatable {
    var runc = ""
    var commit = ""
    var spec = ""
  }

  enum KillFailure: Equatable {
    case notFound
    case noSuchContainer
    case other(String)
  }

  let container: Container
  let log: String
  /// Beside those that are always there.
  var globals: [String] = []

  init(_ container: Container) throws {
    self.container = container
    log = container.bundle.path + "/log.json"
    try container.bundle.write()
  }

  var pidFile: String { container.bundle.path + "/init.pid" }

  func spawn(_ words: [String], _ options: Subprocess.Options = .init()) throws -> Subprocess {
    let flags = container.root + ["--log", log, "--log-format", "json"] + globals
    return try Subprocess(container.executable, flags + words, options)
  }

  func call(_ words: String..., options: Subprocess.Options = .init()) throws -> Outcome {
    try spawn(words, options).wait()
  }

  @discardableResult
  func succeed(
    _ words: String..., options: Subprocess.Options = .init(), sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Outcome {
    let outcome = try spawn(words, options).wait()
    try #require(outcome.code == 0, "\(outcome)", sourceLocation: sourceLocation)
    return outcome
  }

  /// `create` with what the shim gives it, and the id in its pid file.
  @discardableResult
  func create(_ flags: String..., options: Subprocess.Options = .init()) throws -> Int {
    let words = ["create", "--bundle", container.bundle.path, "--pid-file", pidFile] + flags + [container.id]
    let call = try spawn(words, options)
    let outcome = try call.wait()
    try #require(outcome.code == 0, "\(outcome)")
    return try GoRunc.readPidFile(pidFile)
  }

  /// A number and nothing else, no new line either.
  static func readPidFile(_ path: String) throws -> Int {
    let text = try Files.read(path)
    guard let number = Int(text) else { throw HarnessError("not a number: `\(text)`") }
    return number
  }

  func state() throws -> State {
    try JSONDecoder().decode(State.self, from: Data(succeed("state", container.id).stdout.utf8))
  }

  /// The message of the last record of level `error`; a record that is no JSON or has a time that is none is a failure of the
  /// whole.
  func lastError() throws -> String {
    var found = ""
    for line in try Files.read(log).split(separator: "\n") {
      let record = try JSONValue(parsing: String(line))
      _ = try dateOfRFC3339(record["time"].string ?? "")
      if record["level"].string == "error" { found = record["msg"].string ?? "" }
    }
    return found.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// What the shim makes of a `kill` that has failed, by the text.
  static func killFailure(_ text: String) -> KillFailure {
    let lower = text.lowercased()
    let ended = ["os: process already finished", "container not running", "no such process"]
    if ended.contains(where: lower.contains) { return .notFound }
    if lower.contains("does not exist") { return .noSuchContainer }
    return .other(text)
  }

  /// The lines that begin with these words, each from a certain column on.
  static func version(_ text: String) -> Version? {
    let lines = text.trimmingCharacters(in: .whitespacesAndNewlines).split(separator: "\n")
    guard let first = lines.first, first.hasPrefix("runc version ") else { return nil }
    var version = Version(runc: String(first.dropFirst("runc version ".count)))
    for line in lines.dropFirst() {
      if line.hasPrefix("commit: ") { version.commit = String(line.dropFirst(8)) }
      if line.hasPrefix("spec: ") { version.spec = String(line.dropFirst(6)) }
    }
    return version
  }

  /// A table of ps(1): fields by white space, what is too much belongs to the last column. Without a column `PID` the client
  /// itself would fall over.
  static func table(_ text: String) throws -> (headers: [String], rows: [[String]]) {
    let lines = text.split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace).map(String.init) }
    guard let headers = lines.first, let pid = headers.firstIndex(of: "PID") else {
      throw HarnessError("no column `PID`: \(text)")
    }
    let rows = try lines.dropFirst().filter { $0[pid] != "-" }.map { fields -> [String] in
      guard fields.count >= headers.count else { throw HarnessError("too few fields: \(fields)") }
      return Array(fields[..<(headers.count - 1)]) + [fields[(headers.count - 1)...].joined(separator: " ")]
    }
    return (headers, rows)
  }
}

enum Dockerd {
  struct Version: Equatable {
    var runtime = ""
    var version = ""
    var commit = ""
  }

  /// Every line that holds the word is split at it, and the last one wins.
  static func version(_ text: String) -> Version? {
    var found = Version()
    for line in text.trimmingCharacters(in: .whitespacesAndNewlines).components(separatedBy: "\n") {
      let parts = line.components(separatedBy: "version")
      if parts.count > 1 {
        found.runtime = parts[0].trimmingCharacters(in: .whitespaces)
        found.version = parts[parts.count - 1].trimmingCharacters(in: .whitespaces)
      } else if line.hasPrefix("commit:") {
        found.commit = line.dropFirst(7).trimmingCharacters(in: .whitespaces)
      }
    }
    return found.version.isEmpty && found.commit.isEmpty ? nil : found
  }

  /// The exit status that `docker run` shows for this error of `create` or `start`, and whether it comes with advice about
  /// mounts of files on directories.
  static func status(_ text: String) -> (code: Int, explainsMounts: Bool) {
    let lower = text.lowercased()
    let isAboutMounts = lower.contains("not a directory")
    if lower.contains("permission denied") || lower.contains("is a directory") { return (126, isAboutMounts) }
    let absent = [
      "not a directory", "executable file not found", "no such file or directory",
      "system cannot find the file specified",
    ]
    return (absent.contains(where: lower.contains) ? 127 : 128, isAboutMounts)
  }
}

enum Podman {
  /// The message in the log file, which has to be one JSON object as a whole; without one podman shows standard error.
  static func message(log: String) throws -> String {
    let record = try JSONValue(parsing: Files.read(log))
    guard record["level"].string == "error", let message = record["msg"].string else {
      throw HarnessError("no error: \(record.text)")
    }
    return message
  }

  private static func has(_ text: String, _ pattern: String) -> Bool {
    text.range(of: pattern, options: .regularExpression) != nil
  }

  /// The exit status of `podman exec` for this error, 125 where podman knows nothing about it.
  static func status(_ text: String) -> Int {
    if has(text, "(?i).*permission denied.*|.*operation not permitted.*") { return 126 }
    if has(text, "(?i).*executable file not found in.*|.*no such file or directory.*|.*open executable.*") {
      return 127
    }
    return 125
  }

  /// That of `podman run`, which looks at the text once more.
  static func statusOfRun(_ text: String) -> Int {
    let lower = text.lowercased()
    return lower.contains("file not found") || lower.contains("no such file or directory") ? 127 : 126
  }

  /// Whether podman takes it for one about security labels.
  static func isAboutLabels(_ text: String) -> Bool { has(text, "`/proc/[a-z0-9-].+/attr.*`") }
}

enum CRIO {
  /// Whether an error of `kill` means that there is nothing left to kill.
  static func isNotFound(_ stderr: String) -> Bool {
    ["no such process", "container not running", "invalid process"].contains(where: stderr.contains)
  }
}
