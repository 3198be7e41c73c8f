public import Diagnostics
import JSON
import LinuxABI
public import OCISpec

/// What the planner has to know besides the configuration.
public struct PlanInput: Sendable {
  public var config: Config
  /// The absolute path of the bundle.
  public var bundle: String
  /// The container gets a session keyring of its own unless `--no-new-keyring` was given; the name is for messages of
  /// keyctl(1) only.
  public var keyring: String?
  /// `--no-pivot`.
  public var noPivot: Bool
  /// The folder of the host in which the container's socket for sd_notify(3) will be; nil for none.
  public var notifyFolder: String?
  public var facts: HostFacts

  public init(
    config: Config, bundle: String, keyring: String?, noPivot: Bool = false, notifyFolder: String? = nil,
    facts: HostFacts
  ) {
    self.config = config
    self.bundle = bundle
    self.keyring = keyring
    self.noPivot = noPivot
    self.notifyFolder = notifyFolder
    self.facts = facts
  }
}

/// Everything asked of the machine before planning. A plain value.
public struct HostFacts: Sendable, Equatable {
  /// The effective user of the runtime.
  public var effectiveUser: UInt32
  /// SELinux is on. Asked for only where a label is configured.
  public var hasSELinux: Bool
  /// AppArmor is on. Asked for only where a profile is configured.
  public var hasAppArmor: Bool
  /// Asked for only where there is a ruleset.
  public var landlock: LandlockSupport

  public init(
    effectiveUser: UInt32, hasSELinux: Bool = false, hasAppArmor: Bool = false,
    landlock: LandlockSupport = .missing(.notImplemented)
  ) {
    self.effectiveUser = effectiveUser
    self.hasSELinux = hasSELinux
    self.hasAppArmor = hasAppArmor
    self.landlock = landlock
  }
}

/// Makes the plan of a container: a pure function of its input.
public struct Planner {
  let input: PlanInput
  let linux: LinuxConfig
  var findings: Findings
  /// The rule that is followed at the moment.
  var current = Rule.ofDocument[0]
  // What the rules have read, and the plan is made of.
  var namespaces = NamespacePlan(created: [])
  var uidMap: [IDRange] = []
  var gidMap: [IDRange] = []
  var sysctls: [SysctlEntry] = []
  var mounts: [MountEntry] = []
  var memoryNodes: [UInt32] = []
  var landlockConfig: LandlockConfig?
  var landlock: LandlockPlan?
  var landlockState: LandlockState?

  var config: Config { input.config }

  init(_ input: PlanInput, collects: Bool = false) {
    self.input = input
    linux = input.config.linux ?? LinuxConfig()
    findings = Findings(collects: collects)
  }

  /// Works the plan out, or throws the first thing that is wrong with the configuration.
  public static func plan(_ input: PlanInput) throws(RuntimeError) -> ContainerPlan {
    var planner = Planner(input)
    return try planner.make()
  }

  /// Everything that is wrong with the configuration, and what can be planned of it all the same. The plan is good for
  /// looking at only, unless there is no finding that refuses.
  public static func check(_ input: PlanInput) throws(RuntimeError) -> (plan: ContainerPlan, findings: [Finding]) {
    var planner = Planner(input, collects: true)
    let plan = try planner.make()
    return (plan, planner.findings.list)
  }

  /// Each part behind the rules that it has to keep, so what is planned cannot be wrong any more.
  private mutating func make() throws(RuntimeError) -> ContainerPlan {
    try follow(Rule.ofDocument)
    try follow(Rule.ofNamespaces)
    planNamespaces()
    try follow(Rule.ofNamespaceUse)
    sysctls = SysctlEntry.read(linux.sysctl ?? [])
    try follow(Rule.ofSysctls)
    let sysctlSteps = planSysctls()
    try follow(Rule.ofNetDevices)
    let netDevices = planNetDevices()
    readMounts()
    try follow(Rule.ofMounts)
    let mounts = try planMounts()
    try follow(Rule.ofDevices)
    let devices = planDevices()
    try follow(Rule.ofHooks)
    let hooks = planHooks()
    try follow(Rule.ofRoot)
    try follow(Rule.ofProcess)
    try follow(Rule.ofAttributes)
    try follow(Rule.ofIntelRdt)
    try follow(Rule.ofLandlock)
    var steps = orderSteps(mounts, devices, hookSteps(hooks))
    var agent = planAgent()
    agent?.attributes = planAttributes()
    let isLabelled = agent?.labels.isEmpty == false
    if !sysctlSteps.isEmpty || isLabelled {
      // Opened before anything is mounted, used last: parameters when all interfaces are there, labels when no hook comes any
      // more that is not the container's own.
      steps.insert(.openProc, at: 1)
      steps += sysctlSteps
      if isLabelled { steps.append(.processLabels) }
    }
    let cgroup = CgroupPlan(
      path: linux.cgroupsPath, resources: linux.resources,
      deviceRules: Planner.deviceRules(linux.resources?.devices ?? []), owner: cgroupOwner(mounts))
    return ContainerPlan(
      namespaces: namespaces, cgroup: cgroup, seccomp: linux.seccomp, netDevices: netDevices,
      intelRdt: planIntelRdt(),
      landlock: landlock, landlockState: landlockState, rootPath: rootPath, steps: steps, hooks: hooks, agent: agent,
      execCPUAffinity: config.process?.execCPUAffinity,
      annotations: config.annotations ?? [], ociVersion: config.ociVersion, warnings: findings.warnings)
  }

  /// `root.path` is relative to the bundle unless it starts with a slash (config.md, "Root").
  private var rootPath: String {
    let path = config.root.path
    return path.utf8.first == 0x2F ? path : "\(input.bundle)/\(path)"
  }

  // MARK: Order

  /// The order of the steps in stage 2. What stands behind each says why there.
  private func orderSteps(
    _ mounts: [MountStep], _ devices: DevicePlan, _ hooks: [InitStep]
  ) -> [InitStep] {
    let created = namespaces.created
    var steps: [InitStep] = [.startSession]
    // Stage 2 is in its cgroup by now, which becomes the root of the namespace.
    if created.contains(.newCgroup) { steps.append(.newCgroupNamespace) }
    if created.contains(.newNetwork) { steps.append(.interfaceUp("lo")) }
    if let hostname = config.hostname, !hostname.isEmpty { steps.append(.hostname(hostname)) }
    if let domainname = config.domainname, !domainname.isEmpty { steps.append(.domainname(domainname)) }
    if let keyring = input.keyring { steps.append(.keyring(keyring)) }
    guard namespaces.hasMountNamespace else {
      // The host's mounts are the container's: nothing is mounted, masked or changed.
      steps.append(.openRoot(path: rootPath, privateParent: false))
      steps += hooks
      if let cwd = config.process?.cwd { steps.append(.workingDirectory(relative(cwd))) }
      if let console = planConsole(isMounted: false) { steps.append(.console(console)) }
      steps.append(.changeRoot)
      return steps
    }
    let propagation = rootfsPropagation()
    // First of all, so that no mount made below reaches the host. What rootfsPropagation asks for is about the new `/`
    // and comes behind the switch; only a shared one leaves the peers as they are, or there would be none to share with.
    let isShared = propagation?.isShared ?? false
    if !isShared { steps.append(.propagation(.slaves)) }
    steps.append(.openRoot(path: rootPath, privateParent: isShared))
    // Mount points, devices and files of hooks are made in /dev and in other tmpfs below, so they become read-only last, as
    // in runc. What a later entry covers or remounts becomes so at once.
    var readonlyLast: [String] = []
    for (index, mount) in mounts.enumerated() {
      let isLate = mount.becomesReadonlyLast && !mounts[(index + 1)...].contains { $0.replaces(mount.destination) }
      if isLate { readonlyLast.append(mount.destination) }
      steps.append(.mount(isLate ? mount.writable : mount))
    }
    if devices.isSetUp {
      steps.append(.devices(devices.nodes))
      steps.append(.deviceLinks)
    }
    steps += hooks
    // Makes /dev/console where there is none, so before /dev and the root become read-only.
    if let console = planConsole(isMounted: true) { steps.append(.console(console)) }
    for path in readonlyLast { steps.append(.readonlyMount(path)) }
    if let cwd = config.process?.cwd { steps.append(.workingDirectory(relative(cwd))) }
    // Read-only paths before masks: a masked path below a read-only one would be covered by the copy.
    if let paths = linux.readonlyPaths, !paths.isEmpty {
      steps.append(.readonlyPaths(paths.map { relative($0) }))
    }
    if let paths = linux.maskedPaths, !paths.isEmpty {
      steps.append(.maskPaths(paths.map { relative($0) }, label: linux.mountLabel ?? ""))
    }
    // Last before the switch: everything above may have to make directories in the root.
    if config.root.readonly == true { steps.append(.readonlyRoot) }
    steps.append(input.noPivot ? .moveRoot : .pivotRoot)
    // It is about the new `/`, so behind the switch.
    if let propagation { steps.append(.rootPropagation(propagation)) }
    return steps
  }

  private func rootfsPropagation() -> PropagationChange? {
    guard let (kind, recursive) = Propagation.parse(linux.rootfsPropagation ?? "") else { return nil }
    return PropagationChange(kind: kind.flag.rawValue, recursive: recursive)
  }

  // MARK: Namespaces

  private mutating func planNamespaces() {
    var created: CloneFlags = []
    var joined: [JoinedNamespace] = []
    for (index, namespace) in (linux.namespaces ?? []).enumerated() {
      guard let kind = NamespaceKind(ociName: namespace.type) else { continue }
      if let path = namespace.path, !path.isEmpty {
        let join = planJoin(kind, path, index)
        // The mount namespace last: the paths of the others are found in the one that the runtime is in.
        joined.insert(join, at: kind == .mount || joined.last?.kind != .newMount ? joined.count : joined.count - 1)
      } else {
        created.formUnion(kind.cloneFlag)
      }
    }
    namespaces = NamespacePlan(
      created: created, joined: joined, uidMap: uidMap, gidMap: gidMap,
      timeOffsets: created.contains(.newTime) ? planTimeOffsets() : "")
  }

  private func planJoin(_ kind: NamespaceKind, _ path: String, _ index: Int) -> JoinedNamespace {
    // A mount namespace is changed in any case: the container's root becomes its root. The kernel lets nobody join the user
    // namespace that he is in.
    JoinedNamespace(
      kind: kind.cloneFlag, path: path, index: UInt32(index),
      changedBy: kind == .mount || kind == .user ? "/linux/namespaces/\(index)/path" : "")
  }

  private func planTimeOffsets() -> String {
    var lines = ""
    for offset in linux.timeOffsets ?? [] {
      lines += "\(offset.name) \(offset.value.secs ?? 0) \(offset.value.nanosecs ?? 0)\n"
    }
    return lines
  }

  // MARK: Paths

  /// A path of the container as the resolver wants it: relative to the root, `.` and `..` worked out by the text as
  /// runc does, no slash at either end. The root itself is `.`.
  func relative(_ path: String) -> String {
    var parts: [Substring.UTF8View] = []
    for part in path.utf8.split(separator: 0x2F) {
      if part.elementsEqual(".".utf8) { continue }
      if part.elementsEqual("..".utf8) {
        if !parts.isEmpty { parts.removeLast() }
        continue
      }
      parts.append(part)
    }
    if parts.isEmpty { return "." }
    var text = ""
    for part in parts {
      if !text.isEmpty { text += "/" }
      text += String(decoding: part, as: UTF8.self)
    }
    return text
  }
}
