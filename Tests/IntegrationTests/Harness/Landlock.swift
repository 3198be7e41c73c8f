import Foundation
import Testing

/// The attempts of the agent, and what became of them: the name of an error, or nothing.
typealias AttemptOutcomes = [String: String]

extension Container {
  /// A writable tree below /w, and the rights that making devices takes.
  func makeTree() throws {
    bundle.config["root"]["readonly"] = false
    bundle.setCapabilities(["CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE"])
    for folder in ["w", "w/folder", "w/a", "w/b", "v"] { mkdir("\(bundle.rootfs)/\(folder)", 0o755) }
    for file in ["w/file", "w/old", "w/a/x", "w/a/y", "v/file"] {
      try Files.write("text", to: "\(bundle.rootfs)/\(file)")
    }
    try Files.copy(RootTemplate.agent(), to: bundle.rootfs + "/w/program")
    symlink("/w", bundle.rootfs + "/link")
  }

  func restrict(_ document: JSONValue) {
    bundle.config["annotations"]["org.apus.landlock"] = .string(document.text)
  }

  func attempts(_ words: [String]) throws -> AttemptOutcomes {
    bundle.args = ["/bin/agent", "attempt"] + words
    return try outcomes(run(), words)
  }

  func execAttempts(_ words: [String], _ flags: String...) throws -> AttemptOutcomes {
    try outcomes(spawn("exec", flags, rest: ["/bin/agent", "attempt"] + words).wait(), words)
  }

  private func outcomes(_ outcome: Outcome, _ words: [String]) throws -> AttemptOutcomes {
    try #require(outcome.code == 0, "\(outcome)")
    let json = try outcome.json
    var outcomes: AttemptOutcomes = [:]
    for word in words { outcomes[word] = json[word].string }
    return outcomes
  }
}

enum Landlock {
  /// The ABI of this machine's kernel.
  static let version: Int = recorded(or: 0) {
    try Subprocess(RootTemplate.agent(), ["attempt"]).wait().json["landlock"].int ?? 0
  }

  /// The agent may run, whatever is handled.
  static func files(_ handled: [String], _ rules: [JSONValue]) -> JSONValue {
    [
      "ruleset": ["handledAccessFS": JSONValue(handled)],
      "rules": ["pathBeneath": .array([["allowedAccess": ["all"], "paths": ["/bin"]]] + rules)],
    ]
  }
}

extension Trait where Self == ConditionTrait {
  static func landlock(_ version: Int) -> Self {
    .enabled("needs Landlock with ABI \(version)") { Landlock.version >= version }
  }
}
