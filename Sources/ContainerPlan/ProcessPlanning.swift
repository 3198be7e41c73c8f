public import Diagnostics
import LinuxABI
import OCISpec

extension Planner {
  /// What becomes the agent command. Nil where `process` is absent: create succeeds, start does not.
  func planAgent() -> AgentPlan? {
    guard let process = config.process else { return nil }
    var environment = planEnvironment(process.env ?? [])
    if input.notifyFolder != nil && namespaces.created.contains(.newMount) {
      environment.set("NOTIFY_SOCKET", "/\(Planner.notifyDestination)/notify.sock")
    }
    let hasHome = environment.contains { $0.utf8.starts(with: "HOME=".utf8) }
    return AgentPlan(
      arguments: process.args ?? [], environment: environment, workingDirectory: process.cwd,
      uid: process.user.uid, gid: process.user.gid, additionalGids: process.user.additionalGids ?? [],
      // The text leaves the caller's umask; runc sets 0022, and a caller's 0 would be a hole (spec/deviations.md).
      umask: process.user.umask ?? 0o022,
      capabilities: planCapabilities(process.capabilities),
      noNewPrivileges: process.noNewPrivileges ?? false,
      limits: planLimits(process.rlimits ?? []),
      looksUpHome: !hasHome,
      labels: ProcessLabels(
        appArmorProfile: process.apparmorProfile ?? "", selinuxLabel: process.selinuxLabel ?? ""))
  }

  /// The terminal of the process; nil without one.
  func planConsole(isMounted: Bool) -> ConsoleStep? {
    guard let process = config.process, process.terminal == true else { return nil }
    let size = process.consoleSize ?? ConsoleSize(height: 0, width: 0)
    return ConsoleStep(
      rows: UInt16(clamping: size.height), columns: UInt16(clamping: size.width), isMounted: isMounted)
  }

  /// `NAME` of `NAME=value`; nil for a text of another form.
  static func variableName(_ entry: String) -> Substring.UTF8View? {
    guard let equals = entry.utf8.firstIndex(of: 0x3D), equals != entry.utf8.startIndex else { return nil }
    return entry.utf8[..<equals]
  }

  /// The last one of a name counts, as in runc: getenv(3) of the command would take the first. An empty HOME counts as
  /// none.
  private func planEnvironment(_ entries: [String]) -> [String] {
    var environment: [String] = []
    var names: Set<String> = []
    // From the end, so that the first one seen of a name is the last of the document.
    for entry in entries.reversed() {
      guard let name = Planner.variableName(entry) else { continue }
      let isNew = names.insert(String(decoding: name, as: UTF8.self)).inserted
      if isNew && entry != "HOME=" { environment.append(entry) }
    }
    return environment.reversed()
  }

  /// Unknown names are left out (config.md, "Linux Process").
  private func planCapabilities(_ sets: Capabilities?) -> CapabilityPlan {
    func mask(_ names: [String]?) -> UInt64 {
      var mask: UInt64 = 0
      for name in names ?? [] {
        if let capability = Capability(name: name) { mask |= 1 << UInt64(capability.rawValue) }
      }
      return mask
    }
    return CapabilityPlan(
      bounding: mask(sets?.bounding), effective: mask(sets?.effective), permitted: mask(sets?.permitted),
      inheritable: mask(sets?.inheritable), ambient: mask(sets?.ambient))
  }

  private func planLimits(_ limits: [ResourceLimit]) -> [LimitPlan] {
    var plans: [LimitPlan] = []
    for limit in limits {
      guard let resource = Resource(name: limit.type) else { continue }
      plans.append(LimitPlan(resource: Int32(resource.rawValue), soft: limit.soft, hard: limit.hard))
    }
    return plans
  }
}

extension AgentPlan {
  /// Throws for an id of the process that a user namespace with these maps does not have: it cannot be taken on, and the
  /// kernel's own answer would be EINVAL without a name.
  public func checkMapped(uidMap: [IDRange], gidMap: [IDRange]) throws(RuntimeError) {
    try uidMap.check(uid, "/process/user/uid")
    try gidMap.check(gid, "/process/user/gid")
    for (index, id) in additionalGids.enumerated() {
      try gidMap.check(id, "/process/user/additionalGids/\(index)")
    }
  }
}

extension [IDRange] {
  /// The id that the host sees; nil for one that is not mapped.
  public func outside(_ id: UInt32) -> UInt32? {
    for range in self where id >= range.inside && id - range.inside < range.count {
      return range.outside &+ (id - range.inside)
    }
    return nil
  }

  /// Who sets the container up: the root of the namespace, or where the map has none its first id. The maps of a namespace
  /// that is joined, which may not be known here, are sure to have root.
  public var setUpID: UInt32 { isEmpty || outside(0) != nil ? 0 : self[0].inside }

  fileprivate func check(_ id: UInt32, _ field: String) throws(RuntimeError) {
    if outside(id) == nil {
      throw RuntimeError(.configInvalid, "id \(id) is not mapped into the user namespace", field: field)
    }
  }
}

extension [String] {
  /// Sets a variable of an environment; what was there of this name goes.
  public mutating func set(_ name: String, _ value: String) {
    unset(name)
    append("\(name)=\(value)")
  }

  /// Takes a variable out of an environment.
  public mutating func unset(_ name: String) {
    let start = "\(name)="
    removeAll { $0.utf8.starts(with: start.utf8) }
  }
}
