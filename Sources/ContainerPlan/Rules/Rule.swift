import Diagnostics

/// A rule that a configuration has to keep. `create` follows all of them and stops at the first that is broken; `check`
/// tells every place where one is. They stand in ``Rule/all``, in the order in which they are followed.
public struct Rule: Sendable {
  /// Stable, for those who read findings by program: `mount-bind-data`.
  public let name: String
  /// The JSON pointer of what it is about, with a `*` for every element of a list.
  public let pointer: String
  public let kind: FindingKind
  /// The file and the section of the runtime specification, or the manual page, that it comes from.
  public let section: String
  /// Reports what breaks the rule; nil for a rule that is followed where its part of the plan is worked out.
  let check: (@Sendable (inout Planner) throws(RuntimeError) -> Void)?

  init(
    _ name: String, _ pointer: String, _ section: String, _ kind: FindingKind,
    _ check: (@Sendable (inout Planner) throws(RuntimeError) -> Void)?
  ) {
    self.name = name
    self.pointer = pointer
    self.kind = kind
    self.section = section
    self.check = check
  }

  init(
    _ name: String, _ pointer: String, _ section: String,
    _ check: (@Sendable (inout Planner) throws(RuntimeError) -> Void)?
  ) {
    self.init(name, pointer, section, .error, check)
  }
}

extension Rule {
  /// A rule that is followed outside of the planner: what it is about is known by another module.
  package init(_ name: String, _ pointer: String, _ section: String, _ kind: FindingKind = .error) {
    self.init(name, pointer, section, kind, nil)
  }
}

extension Planner {
  mutating func follow(_ rules: [Rule]) throws(RuntimeError) {
    for rule in rules {
      guard let check = rule.check else { continue }
      current = rule
      try check(&self)
    }
  }

  /// Reports that the rule that is followed is broken.
  mutating func report(
    _ message: String, _ field: String, code: ErrorCode = .configInvalid, hint: String = ""
  ) throws(RuntimeError) {
    try findings.add(current, RuntimeError(code, message, field: field, hint: hint))
  }

  /// Reports what a part of the plan cannot be made of.
  mutating func report(_ error: RuntimeError) throws(RuntimeError) {
    try findings.add(current, error)
  }
}
