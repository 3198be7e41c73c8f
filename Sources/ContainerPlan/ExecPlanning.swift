public import Diagnostics
import LinuxABI
public import OCISpec

/// What the flags of `exec` change of the process.
public struct ExecOverrides: Sendable, Equatable {
  /// The command; empty leaves that of the process document.
  public var arguments: [String] = []
  /// Further variables, `NAME=value`; a later one of a name wins.
  public var environment: [String] = []
  public var workingDirectory: String?
  public var uid: UInt32?
  public var gid: UInt32?
  /// Further groups.
  public var additionalGids: [UInt32] = []
  /// Names of capabilities to be added to the bounding, effective and permitted sets; never to the inheritable one, from
  /// which a file could get what its user must not have (CVE-2022-29162).
  public var capabilities: [String] = []
  public var noNewPrivileges: Bool?
  public var terminal: Bool?
  /// The AppArmor profile and the SELinux label; an empty text leaves that of the process.
  public var labels = ProcessLabels()

  public init() {}
}

/// The process of one `exec`.
public struct ExecPlan: Sendable {
  public var agent: AgentPlan
  public var console: ConsoleStep?
  /// The CPUs while the process comes into the container, and for the command; empty for what the cgroup allows.
  public var initialCPUs: [UInt32]
  public var finalCPUs: [UInt32]
  public var warnings: [String]
}

extension Planner {
  /// Works out what `exec` runs. `document` is the process document of the call, nil to run a command with what the
  /// container's own process has; `template` is that one, nil where the container has none.
  public static func planExec(
    _ document: Process?, _ template: AgentPlan?, _ namespaces: NamespacePlan, _ affinity: ExecCPUAffinity,
    _ overrides: ExecOverrides, facts: HostFacts = HostFacts(effectiveUser: 0)
  ) throws(RuntimeError) -> ExecPlan {
    let config = Config(ociVersion: "", root: Root(path: ""), process: document)
    var planner = Planner(PlanInput(config: config, bundle: "", keyring: nil, facts: facts))
    planner.namespaces = namespaces
    return try planner.makeExec(template, namespaces, affinity, overrides)
  }

  private mutating func makeExec(
    _ template: AgentPlan?, _ namespaces: NamespacePlan, _ affinity: ExecCPUAffinity, _ overrides: ExecOverrides
  ) throws(RuntimeError) -> ExecPlan {
    var affinity = affinity
    var agent: AgentPlan
    var console: ConsoleStep?
    if config.process != nil {
      agent = try planDocument(template)
      console = planConsole(isMounted: false)
      affinity = config.process?.execCPUAffinity ?? affinity
    } else if let template {
      agent = template
    } else {
      throw RuntimeError(
        .configInvalid, "the container has no process to take user, environment and limits from", field: "/process",
        hint: "describe the process with `--process`")
    }
    try apply(overrides, to: &agent, namespaces)
    if let isWanted = overrides.terminal {
      console = isWanted ? console ?? ConsoleStep(rows: 0, columns: 0, isMounted: false) : nil
    }
    return ExecPlan(
      agent: agent, console: console,
      initialCPUs: try numberList(affinity.initial ?? "", "/process/execCPUAffinity/initial"),
      finalCPUs: try numberList(affinity.final ?? "", "/process/execCPUAffinity/final"), warnings: findings.warnings)
  }

  /// The document says what the process is; what it leaves out and belongs to the container is the container's.
  private mutating func planDocument(_ template: AgentPlan?) throws(RuntimeError) -> AgentPlan {
    try follow(Rule.ofDocument)
    try follow(Rule.ofProcess)
    try follow(Rule.ofAttributes)
    guard let process = config.process, var agent = planAgent() else {
      throw RuntimeError(.configInvalid, "no process", field: "/process")
    }
    var attributes = planAttributes()
    if let template {
      if process.capabilities == nil { agent.capabilities = template.capabilities }
      if agent.limits.isEmpty { agent.limits = template.limits }
      if process.user.umask == nil { agent.umask = template.umask }
      let given = template.attributes
      attributes.oomScoreAdjustment = attributes.oomScoreAdjustment ?? given.oomScoreAdjustment
      attributes.scheduler = attributes.scheduler ?? given.scheduler
      attributes.ioPriority = attributes.ioPriority ?? given.ioPriority
      attributes.personality = given.personality
      attributes.memoryPolicy = given.memoryPolicy
      agent.labels = agent.labels.filled(from: template.labels)
    }
    agent.attributes = attributes
    return agent
  }

  private func apply(
    _ overrides: ExecOverrides, to agent: inout AgentPlan, _ namespaces: NamespacePlan
  ) throws(RuntimeError) {
    if !overrides.arguments.isEmpty { agent.arguments = overrides.arguments }
    for argument in agent.arguments { try refuseNul(argument, "/process/args") }
    for entry in overrides.environment {
      try refuseNul(entry, "--env")
      guard let equals = entry.utf8.firstIndex(of: 0x3D), equals != entry.utf8.startIndex else {
        throw RuntimeError(.usage, "`\(entry)` is not of the form NAME=value", field: "--env")
      }
      let name = String(decoding: entry.utf8[..<equals], as: UTF8.self)
      agent.environment.set(name, String(decoding: entry.utf8[entry.utf8.index(after: equals)...], as: UTF8.self))
      // An empty HOME counts as none, as in the configuration.
      if name == "HOME" {
        agent.looksUpHome = entry == "HOME="
        if agent.looksUpHome { agent.environment.unset(name) }
      }
    }
    if let directory = overrides.workingDirectory {
      try refuseNul(directory, "--cwd")
      guard directory.utf8.first == 0x2F else {
        throw RuntimeError(.usage, "Cwd must be an absolute path: `\(directory)`", field: "--cwd")
      }
      agent.workingDirectory = directory
    }
    if let uid = overrides.uid { agent.uid = uid }
    if let gid = overrides.gid { agent.gid = gid }
    agent.additionalGids += overrides.additionalGids
    if let isSet = overrides.noNewPrivileges { agent.noNewPrivileges = isSet }
    try LabelRules.check(overrides.labels, "--apparmor", "--process-label", input.facts)
    agent.labels = overrides.labels.filled(from: agent.labels)
    for name in overrides.capabilities {
      guard let capability = Capability(name: name) else {
        throw RuntimeError(
          .usage, "unknown capability `\(name)`, expected a name such as `CAP_NET_ADMIN`", field: "--cap")
      }
      let bit = UInt64(1) << UInt64(capability.rawValue)
      agent.capabilities.bounding |= bit
      agent.capabilities.effective |= bit
      agent.capabilities.permitted |= bit
    }
    try checkMapped(overrides, namespaces)
  }

  /// The kernel would read only what is in front of it.
  private func refuseNul(_ text: String, _ field: String) throws(RuntimeError) {
    if text.utf8.contains(0) {
      throw RuntimeError(.configInvalid, "the text holds a NUL character", field: field)
    }
  }

  private func checkMapped(_ overrides: ExecOverrides, _ namespaces: NamespacePlan) throws(RuntimeError) {
    if let uid = overrides.uid { try checkMapped(uid, namespaces.uidMap, namespaces, "--user") }
    if let gid = overrides.gid { try checkMapped(gid, namespaces.gidMap, namespaces, "--user") }
    for gid in overrides.additionalGids {
      try checkMapped(gid, namespaces.gidMap, namespaces, "--additional-gids")
    }
  }

  private func checkMapped(
    _ id: UInt32, _ map: [IDRange], _ namespaces: NamespacePlan, _ field: String
  ) throws(RuntimeError) {
    if !namespaces.created.contains(.newUser) { return }
    if map.outside(id) == nil {
      throw RuntimeError(.configInvalid, "id \(id) is not mapped into the user namespace", field: field)
    }
  }
}
