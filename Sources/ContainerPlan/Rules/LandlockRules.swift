import Diagnostics
import LinuxABI
import OCISpec

/// Rules about the annotation `org.apus.landlock` (spec/landlock.md).
enum LandlockRules {
  /// The annotation is a document.
  static func document(_ planner: inout Planner) throws(RuntimeError) {
    guard let text = planner.config.annotations?.value(named: LandlockConfig.annotation) else { return }
    do {
      planner.landlockConfig = try LandlockConfig.decode(text)
    } catch {
      try planner.report(error)
    }
  }

  /// Every name is known; what they stand for is the plan.
  static func names(_ planner: inout Planner) throws(RuntimeError) {
    guard let config = planner.landlockConfig else { return }
    var plan = LandlockPlan()
    let ruleset = config.ruleset
    plan.files = try planner.bits(.files, ruleset.handledAccessFS, "/ruleset/handledAccessFS")
    plan.network = try planner.bits(.network, ruleset.handledAccessNet, "/ruleset/handledAccessNet")
    plan.scopes = try planner.bits(.scopes, ruleset.scoped, "/ruleset/scoped")
    plan[.flags] = try planner.bits(.flags, config.flags, "/flags")
    for (number, rule) in config.rules.pathBeneath.enumerated() {
      let access = try planner.allowed(
        .files, rule.allowedAccess, of: plan.files, "/rules/pathBeneath/\(number)/allowedAccess")
      for (index, path) in rule.paths.enumerated() {
        plan.paths.append(
          LandlockPath(
            path: path, access: access, ifExists: rule.ifExists, followLinks: rule.followLinks, rule: UInt32(number),
            index: UInt32(index)))
      }
    }
    for (number, rule) in config.rules.netPort.enumerated() {
      let access = try planner.allowed(
        .network, rule.allowedAccess, of: plan.network, "/rules/netPort/\(number)/allowedAccess")
      for port in rule.ports { plan.ports.append(LandlockPort(port: port, access: access)) }
    }
    planner.landlock = plan
  }

  /// A document that forbids nothing is a mistake of whoever wrote it.
  static func restriction(_ planner: inout Planner) throws(RuntimeError) {
    guard let plan = planner.landlock, !plan.restricts else { return }
    try planner.report(
      "nothing is restricted, expected `handledAccessFS`, `handledAccessNet` or `scoped`",
      LandlockConfig.field("/ruleset"))
  }

  /// Each rule is about something.
  static func objects(_ planner: inout Planner) throws(RuntimeError) {
    guard let rules = planner.landlockConfig?.rules else { return }
    for (number, rule) in rules.pathBeneath.enumerated() {
      let field = LandlockConfig.field("/rules/pathBeneath/\(number)/paths")
      if rule.paths.isEmpty { try planner.report("a rule must have paths", field) }
      for (index, path) in rule.paths.enumerated() where path.utf8.first != 0x2F {
        try planner.report("`\(path)` is not an absolute path", "\(field)/\(index)")
      }
    }
    for (number, rule) in rules.netPort.enumerated() where rule.ports.isEmpty {
      try planner.report("a rule must have ports", LandlockConfig.field("/rules/netPort/\(number)/ports"))
    }
  }

  /// What the kernel does not know is left out, unless the document wants all or nothing of it.
  static func bestEffort(_ planner: inout Planner) throws(RuntimeError) {
    guard var plan = planner.landlock, case .version(let version) = planner.input.facts.landlock else { return }
    let left = plan.reduce(toABI: version)
    planner.landlock = plan
    planner.landlockState = LandlockState(abi: version, leftOut: left.flatMap { $0.set.names(of: $0.bits) })
    if planner.landlockConfig?.disableBestEffort == true { return }
    for (set, bits) in left {
      // The first version forbids it everywhere, whatever it is told.
      let refer = set == .files ? bits & LandlockSet.refer : 0
      let fate = set == .flags ? "it logs no refusals" : "it is not restricted"
      for (bits, fate) in [(bits & ~refer, fate), (refer, "it is allowed nowhere")] where bits != 0 {
        try planner.report(
          "the kernel's Landlock (ABI \(version)) does not know \(list(set, bits)): \(fate)", place(of: set))
      }
    }
  }

  /// The kernel can restrict the container as it is told to.
  static func kernel(_ planner: inout Planner) throws(RuntimeError) {
    guard var plan = planner.landlock else { return }
    let field = LandlockConfig.field("")
    let version: Int32
    switch planner.input.facts.landlock {
    case .version(let number): version = number
    case .missing(let errno):
      return try planner.report(
        RuntimeError(
          .landlock, "the kernel has no Landlock", field: field,
          cause: SystemError("landlock_create_ruleset", errno),
          hint: errno == .notSupported
            ? "`lsm=` of the kernel's command line must name `landlock`"
            : "it is there since Linux 5.13, with CONFIG_SECURITY_LANDLOCK"))
    }
    let left = plan.reduce(toABI: version)
    if planner.landlockConfig?.disableBestEffort == true {
      for (set, bits) in left {
        try planner.report(
          "the kernel's Landlock (ABI \(version)) does not know \(list(set, bits))", place(of: set), code: .landlock,
          hint: "without `disableBestEffort` it is left out")
      }
    } else if !left.isEmpty && !plan.restricts {
      try planner.report(
        "the kernel's Landlock (ABI \(version)) does not know anything of what is restricted", field, code: .landlock)
    }
  }

  private static func list(_ set: LandlockSet, _ bits: UInt64) -> String {
    set.names(of: bits).map { "`\($0)`" }.joined(separator: ", ")
  }

  private static func place(of set: LandlockSet) -> String {
    switch set {
    case .files: LandlockConfig.field("/ruleset/handledAccessFS")
    case .network: LandlockConfig.field("/ruleset/handledAccessNet")
    case .scopes: LandlockConfig.field("/ruleset/scoped")
    case .flags: LandlockConfig.field("/flags")
    }
  }
}

extension Planner {
  /// The bits of a list of names.
  fileprivate mutating func bits(
    _ set: LandlockSet, _ names: [String], _ pointer: String
  ) throws(RuntimeError) -> UInt64 {
    var bits: UInt64 = 0
    for (index, name) in names.enumerated() {
      if let found = set.bit(name) ?? set.group(name) {
        bits |= found
      } else {
        try reportUnknown(set, name, "\(pointer)/\(index)")
      }
    }
    return bits
  }

  /// The same for a rule, which can only allow what the ruleset handles (EINVAL of landlock_add_rule(2)). Of a group it is that.
  fileprivate mutating func allowed(
    _ set: LandlockSet, _ names: [String], of handled: UInt64, _ pointer: String
  ) throws(RuntimeError) -> UInt64 {
    var bits: UInt64 = 0
    var isRight = true
    for (index, name) in names.enumerated() {
      if let bit = set.bit(name) {
        bits |= bit
        if handled & bit != 0 { continue }
        isRight = false
        try report("`\(name)` is allowed and not handled by the ruleset", LandlockConfig.field("\(pointer)/\(index)"))
      } else if let group = set.group(name) {
        bits |= group & handled
      } else {
        isRight = false
        try reportUnknown(set, name, "\(pointer)/\(index)")
      }
    }
    if bits & handled == 0 && isRight {
      try report("a rule must allow something that the ruleset handles", LandlockConfig.field(pointer))
    }
    return bits & handled
  }

  private mutating func reportUnknown(_ set: LandlockSet, _ name: String, _ pointer: String) throws(RuntimeError) {
    var known = set.names
    for group in ["read", "write", "all"] where set.group(group) != nil { known.append(group) }
    try report(
      "`\(name)` is not known, expected one of \(known.joined(separator: ", "))", LandlockConfig.field(pointer))
  }
}
