public import Diagnostics
import LinuxABI
import OCISpec

extension Planner {
  /// What becomes the agent command. Nil where `process` is absent: create succeeds, start does not.
  mutating func planAgent(_ namespaces: NamespacePlan) throws(RuntimeError) -> AgentPlan? {
    guard let process = config.process else { return nil }
    guard let arguments = process.args, !arguments.isEmpty else {
      throw RuntimeError(.configInvalid, "args must not be empty", field: "/process/args")
    }
    guard process.cwd.utf8.first == 0x2F else {
      throw RuntimeError(
        .configInvalid, "Cwd must be an absolute path: `\(process.cwd)`", field: "/process/cwd")
    }
    if let umask = process.user.umask, umask > 0o777 {
      throw RuntimeError(
        .configInvalid, "a umask of \(umask): it must not be above 511, which is 0777", field: "/process/user/umask")
    }
    var environment = try planEnvironment(process.env ?? [])
    if input.notifyFolder != nil {
      if namespaces.created.contains(.newMount) {
        environment.set("NOTIFY_SOCKET", "/\(Planner.notifyDestination)/notify.sock")
      } else {
        warnings.append("NOTIFY_SOCKET is not passed on: that takes a mount namespace of the container's own")
      }
    }
    let hasHome = environment.contains { $0.utf8.starts(with: "HOME=".utf8) }
    let agent = AgentPlan(
      arguments: arguments, environment: environment, workingDirectory: process.cwd,
      uid: process.user.uid, gid: process.user.gid, additionalGids: process.user.additionalGids ?? [],
      // The text leaves the caller's umask; runc sets 0022, and a caller's 0 would be a hole (spec/deviations.md).
      umask: process.user.umask ?? 0o022,
      capabilities: planCapabilities(process.capabilities),
      noNewPrivileges: process.noNewPrivileges ?? false,
      limits: try planLimits(process.rlimits ?? []),
      looksUpHome: !hasHome)
    try agent.checkIDs()
    // The maps of a namespace that is joined are not known before it is open.
    if namespaces.created.contains(.newUser) {
      try agent.checkMapped(uidMap: namespaces.uidMap, gidMap: namespaces.gidMap)
    }
    return agent
  }

  /// The terminal of the process; nil without one, and then its size is nothing to look at (config.md, "Process").
  func planConsole(isMounted: Bool) throws(RuntimeError) -> ConsoleStep? {
    guard let process = config.process, process.terminal == true else { return nil }
    guard let size = process.consoleSize else {
      return ConsoleStep(rows: 0, columns: 0, isMounted: isMounted)
    }
    guard let rows = UInt16(exactly: size.height), let columns = UInt16(exactly: size.width) else {
      throw RuntimeError(
        .configInvalid, "a terminal has at most \(UInt16.max) rows and columns", field: "/process/consoleSize")
    }
    return ConsoleStep(rows: rows, columns: columns, isMounted: isMounted)
  }

  /// The last one of a name counts, as in runc: getenv(3) of the command would take the first. An empty HOME counts as
  /// none.
  private func planEnvironment(_ entries: [String]) throws(RuntimeError) -> [String] {
    var environment: [String] = []
    var names: Set<String> = []
    // From the end, so that the first one seen of a name is the last of the document.
    for (index, entry) in entries.enumerated().reversed() {
      guard let equals = entry.utf8.firstIndex(of: 0x3D), equals != entry.utf8.startIndex else {
        throw RuntimeError(
          .configInvalid, "`\(entry)` is not of the form NAME=value", field: "/process/env/\(index)")
      }
      let isNew = names.insert(String(decoding: entry.utf8[..<equals], as: UTF8.self)).inserted
      if isNew && entry != "HOME=" { environment.append(entry) }
    }
    return environment.reversed()
  }

  /// Unknown names are warned about and left out (config.md, "Linux Process").
  private mutating func planCapabilities(_ sets: Capabilities?) -> CapabilityPlan {
    var unknown: [String] = []
    func mask(_ names: [String]?) -> UInt64 {
      var mask: UInt64 = 0
      for name in names ?? [] {
        if let capability = Capability(name: name) {
          mask |= 1 << UInt64(capability.rawValue)
        } else if !unknown.contains(name) {
          unknown.append(name)
        }
      }
      return mask
    }
    let plan = CapabilityPlan(
      bounding: mask(sets?.bounding), effective: mask(sets?.effective), permitted: mask(sets?.permitted),
      inheritable: mask(sets?.inheritable), ambient: mask(sets?.ambient))
    for name in unknown {
      warnings.append("unknown capability `\(name)` is ignored (at `/process/capabilities`)")
    }
    return plan
  }

  /// A type that stands twice is an error (config.md, "rlimits").
  private func planLimits(_ limits: [ResourceLimit]) throws(RuntimeError) -> [LimitPlan] {
    var plans: [LimitPlan] = []
    for (index, limit) in limits.enumerated() {
      let field = "/process/rlimits/\(index)"
      guard let resource = Resource(name: limit.type) else {
        throw RuntimeError(.configInvalid, "unknown resource limit `\(limit.type)`", field: "\(field)/type")
      }
      let number = Int32(resource.rawValue)
      if plans.contains(where: { $0.resource == number }) {
        throw RuntimeError(.configInvalid, "`\(limit.type)` stands twice in rlimits", field: "\(field)/type")
      }
      if limit.soft > limit.hard {
        throw RuntimeError(
          .configInvalid, "the soft limit \(limit.soft) is above the hard limit \(limit.hard)",
          field: "\(field)/soft")
      }
      plans.append(LimitPlan(resource: number, soft: limit.soft, hard: limit.hard))
    }
    return plans
  }
}

extension AgentPlan {
  /// Throws for 4294967295, which as (uid_t)-1 means "leave it" to setresuid(2): the process would stay root.
  fileprivate func checkIDs() throws(RuntimeError) {
    func check(_ id: UInt32, _ field: String) throws(RuntimeError) {
      if id == UInt32.max {
        throw RuntimeError(.configInvalid, "4294967295 is no id, the highest is 4294967294", field: field)
      }
    }
    try check(uid, "/process/user/uid")
    try check(gid, "/process/user/gid")
    for (index, id) in additionalGids.enumerated() { try check(id, "/process/user/additionalGids/\(index)") }
  }

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
