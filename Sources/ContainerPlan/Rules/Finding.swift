public import Diagnostics

/// How a finding stands between a configuration and a container.
public enum FindingKind: UInt8, Sendable, Equatable {
  /// The configuration is wrong, wherever it is used; `create` refuses it.
  case error = 0
  /// Something that the user should know and that stops nothing.
  case warning = 1
  /// The configuration is right and this host cannot honour it.
  case host = 2

  public var name: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .host: "host"
    }
  }
}

/// One thing that is wrong with a configuration, or with the host for it.
public struct Finding: Sendable, Equatable {
  public var kind: FindingKind
  /// The name of the rule that is broken.
  public var rule: String
  /// Where that is written down; empty for what no text says.
  public var section: String
  /// The message, the JSON pointer and the hint: what `create` would say.
  public var detail: RuntimeError

  public init(_ kind: FindingKind, rule: String, section: String = "", _ detail: RuntimeError) {
    self.kind = kind
    self.rule = rule
    self.section = section
    self.detail = detail
  }
}

extension Finding {
  public init(_ rule: Rule, _ detail: RuntimeError) {
    self.init(rule.kind, rule: rule.name, section: rule.section, detail)
  }
}

/// Where the findings of a planner go: `create` stops at the first that refuses, `check` wants all of them.
struct Findings {
  let collects: Bool
  private(set) var list: [Finding] = []

  init(collects: Bool) {
    self.collects = collects
  }

  mutating func add(_ rule: Rule, _ error: RuntimeError) throws(RuntimeError) {
    if !collects && rule.kind != .warning { throw error }
    list.append(Finding(rule, error))
  }

  /// The texts of what the specification says to warn about and carry on.
  var warnings: [String] {
    var texts: [String] = []
    for finding in list where finding.kind == .warning { texts.append(finding.detail.text) }
    return texts
  }
}
