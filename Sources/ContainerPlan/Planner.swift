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

  public init(effectiveUser: UInt32, hasSELinux: Bool = false) {
    self.effectiveUser = effectiveUser
    self.hasSELinux = hasSELinux
  }
}

/// Makes the plan of a container: a pure function of its input.
public struct Planner {
  let input: PlanInput
  let linux: LinuxConfig
  var warnings: [String] = []

  var config: Config { input.config }

  /// Works the plan out, or throws the first thing that is wrong with the configuration.
  public static func plan(_ input: PlanInput) throws(RuntimeError) -> ContainerPlan {
    var planner = Planner(input: input, linux: input.config.linux ?? LinuxConfig())
    return try planner.make()
  }

  private mutating func make() throws(RuntimeError) -> ContainerPlan {
    try Unsupported.refuse(config)
    try refuseNul()
    try checkAnnotations()
    var namespaces = try planNamespaces()
    try checkNamespaceUse(namespaces)
    let sysctls = try planSysctls(&namespaces)
    let netDevices = try planNetDevices(&namespaces)
    let mounts = try planMounts(namespaces)
    let devices = try planDevices()
    let hooks = try planHooks()
    var steps = try orderSteps(namespaces, mounts, devices, hookSteps(hooks))
    if !sysctls.isEmpty {
      // Opened before anything is mounted, used last, when all interfaces are there.
      steps.insert(.openProc, at: 1)
      steps += sysctls
    }
    var agent = try planAgent(namespaces)
    let attributes = try planAttributes()
    agent?.attributes = attributes
    let cgroup = CgroupPlan(
      path: linux.cgroupsPath, resources: linux.resources, deviceRules: deviceRules(devices))
    return ContainerPlan(
      namespaces: namespaces, cgroup: cgroup, seccomp: linux.seccomp, netDevices: netDevices,
      intelRdt: try planIntelRdt(),
      rootPath: rootPath, steps: steps, hooks: hooks, agent: agent, execCPUAffinity: try planExecAffinity(),
      annotations: config.annotations ?? [], ociVersion: config.ociVersion, warnings: warnings)
  }

  /// config.md, "Annotations". What they say is somebody else's business.
  private func checkAnnotations() throws(RuntimeError) {
    for annotation in config.annotations ?? [] where annotation.name.isEmpty {
      throw RuntimeError(.configInvalid, "an annotation must have a name", field: "/annotations/")
    }
  }

  /// `root.path` is relative to the bundle unless it starts with a slash (config.md, "Root").
  private var rootPath: String {
    let path = config.root.path
    return path.utf8.first == 0x2F ? path : "\(input.bundle)/\(path)"
  }

  // MARK: Order

  /// The order of the steps in stage 2. What stands behind each says why there.
  private func orderSteps(
    _ namespaces: NamespacePlan, _ mounts: [MountStep], _ devices: DevicePlan, _ hooks: [InitStep]
  ) throws(RuntimeError) -> [InitStep] {
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
      if let console = try planConsole(isMounted: false) { steps.append(.console(console)) }
      steps.append(.changeRoot)
      return steps
    }
    let propagation = try rootfsPropagation()
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
    if let console = try planConsole(isMounted: true) { steps.append(.console(console)) }
    for path in readonlyLast { steps.append(.readonlyMount(path)) }
    if let cwd = config.process?.cwd { steps.append(.workingDirectory(relative(cwd))) }
    // Read-only paths before masks: a masked path below a read-only one would be covered by the copy.
    if let paths = linux.readonlyPaths, !paths.isEmpty {
      steps.append(.readonlyPaths(try absolutePaths(paths, "/linux/readonlyPaths")))
    }
    if let paths = linux.maskedPaths, !paths.isEmpty {
      steps.append(.maskPaths(try absolutePaths(paths, "/linux/maskedPaths")))
    }
    // Last before the switch: everything above may have to make directories in the root.
    if config.root.readonly == true { steps.append(.readonlyRoot) }
    steps.append(input.noPivot ? .moveRoot : .pivotRoot)
    // It is about the new `/`, so behind the switch.
    if let propagation { steps.append(.rootPropagation(propagation)) }
    return steps
  }

  private func absolutePaths(_ paths: [String], _ field: String) throws(RuntimeError) -> [String] {
    var result: [String] = []
    for (index, path) in paths.enumerated() {
      guard path.utf8.first == 0x2F else {
        throw RuntimeError(
          .configInvalid, "`\(path)` must be an absolute path", field: "\(field)/\(index)")
      }
      result.append(relative(path))
    }
    return result
  }

  private func rootfsPropagation() throws(RuntimeError) -> PropagationChange? {
    guard let name = linux.rootfsPropagation, !name.isEmpty else { return nil }
    guard let (kind, recursive) = Propagation.parse(name) else {
      throw RuntimeError(
        .configInvalid, "unknown propagation `\(name)`", field: "/linux/rootfsPropagation",
        hint: "expected shared, slave, private or unbindable, or one of them with an `r` in front")
    }
    return PropagationChange(kind: kind.flag.rawValue, recursive: recursive)
  }

  // MARK: Namespaces

  private func planNamespaces() throws(RuntimeError) -> NamespacePlan {
    var created: CloneFlags = []
    var joined: [JoinedNamespace] = []
    var seen: CloneFlags = []
    for (index, namespace) in (linux.namespaces ?? []).enumerated() {
      guard let kind = NamespaceKind(ociName: namespace.type) else {
        throw RuntimeError(
          .configInvalid, "unknown namespace type `\(namespace.type)`",
          field: "/linux/namespaces/\(index)/type",
          hint: "expected pid, network, mount, ipc, uts, user, cgroup or time")
      }
      guard !seen.contains(kind.cloneFlag) else {
        throw RuntimeError(
          .configInvalid, "malformed spec file: duplicated ns `\(namespace.type)`",
          field: "/linux/namespaces/\(index)")
      }
      seen.formUnion(kind.cloneFlag)
      if let path = namespace.path, !path.isEmpty {
        let join = try planJoin(kind, path, index)
        // The mount namespace last: the paths of the others are found in the one that the runtime is in.
        joined.insert(join, at: kind == .mount || joined.last?.kind != .newMount ? joined.count : joined.count - 1)
      } else {
        created.formUnion(kind.cloneFlag)
      }
    }
    let hasUser = seen.contains(.newUser)
    let isPlaceholder =
      !created.contains(.newUser) && isPlaceholder(linux.uidMappings) && isPlaceholder(linux.gidMappings)
    let uidMap = isPlaceholder ? [] : try planIDMap(linux.uidMappings, "/linux/uidMappings", hasUser)
    let gidMap = isPlaceholder ? [] : try planIDMap(linux.gidMappings, "/linux/gidMappings", hasUser)
    if created.contains(.newUser) && (uidMap.isEmpty || gidMap.isEmpty) {
      throw RuntimeError(
        .configInvalid, "a new user namespace needs uidMappings and gidMappings",
        field: uidMap.isEmpty ? "/linux/uidMappings" : "/linux/gidMappings")
    }
    return NamespacePlan(
      created: created, joined: joined, uidMap: uidMap, gidMap: gidMap, timeOffsets: try planTimeOffsets(created))
  }

  private func planJoin(
    _ kind: NamespaceKind, _ path: String, _ index: Int
  ) throws(RuntimeError) -> JoinedNamespace {
    let field = "/linux/namespaces/\(index)/path"
    guard path.utf8.first == 0x2F else {
      throw RuntimeError(.configInvalid, "`\(path)` must be an absolute path", field: field)
    }
    // A mount namespace is changed in any case: the container's root becomes its root. The kernel lets nobody join the user
    // namespace that he is in.
    return JoinedNamespace(
      kind: kind.cloneFlag, path: path, index: UInt32(index),
      changedBy: kind == .mount || kind == .user ? field : "")
  }

  /// What Podman up to 5.6 writes next to a path, because old versions of runc wanted some mapping: it means none.
  private func isPlaceholder(_ mappings: [IDMapping]?) -> Bool {
    guard let mappings, mappings.count == 1 else { return false }
    return mappings[0].containerID == 0 && mappings[0].hostID == 0 && mappings[0].size == 1
  }

  private func planIDMap(
    _ mappings: [IDMapping]?, _ field: String, _ hasUserNamespace: Bool
  ) throws(RuntimeError) -> [IDRange] {
    guard let mappings, !mappings.isEmpty else { return [] }
    guard hasUserNamespace else {
      throw RuntimeError(
        .configInvalid, "id mappings need a user namespace in `linux.namespaces`", field: field)
    }
    return try IDMappingCheck.ranges(mappings, field)
  }

  private func planTimeOffsets(_ created: CloneFlags) throws(RuntimeError) -> String {
    guard let offsets = linux.timeOffsets, !offsets.isEmpty else { return "" }
    guard created.contains(.newTime) else {
      throw RuntimeError(
        .configInvalid, "time offsets need a time namespace in `linux.namespaces`",
        field: "/linux/timeOffsets")
    }
    var lines = ""
    for offset in offsets {
      guard offset.name == "monotonic" || offset.name == "boottime" else {
        throw RuntimeError(
          .configInvalid, "unknown clock `\(offset.name)`",
          field: "/linux/timeOffsets/\(escapeForPointer(offset.name))", hint: "expected monotonic or boottime")
      }
      if let nanoseconds = offset.value.nanosecs, nanoseconds >= 1_000_000_000 {
        throw RuntimeError(
          .configInvalid, "\(nanoseconds) nanoseconds are a second or more",
          field: "/linux/timeOffsets/\(offset.name)/nanosecs")
      }
      lines += "\(offset.name) \(offset.value.secs ?? 0) \(offset.value.nanosecs ?? 0)\n"
    }
    return lines
  }

  /// Settings that would change the host where the container shares its namespace.
  private func checkNamespaceUse(_ namespaces: NamespacePlan) throws(RuntimeError) {
    let created = namespaces.created
    if !created.contains(.newUTS) && !namespaces.joined.contains(where: { $0.kind == .newUTS }) {
      if let name = config.hostname, !name.isEmpty { throw needs("uts", "/hostname") }
      if let name = config.domainname, !name.isEmpty { throw needs("uts", "/domainname") }
    }
    if !namespaces.hasMountNamespace {
      if let mounts = config.mounts, !mounts.isEmpty { throw needs("mount", "/mounts") }
      if let paths = linux.maskedPaths, !paths.isEmpty { throw needs("mount", "/linux/maskedPaths") }
      if let paths = linux.readonlyPaths, !paths.isEmpty { throw needs("mount", "/linux/readonlyPaths") }
      if let name = linux.rootfsPropagation, !name.isEmpty {
        throw needs("mount", "/linux/rootfsPropagation")
      }
      if let devices = linux.devices, !devices.isEmpty { throw needs("mount", "/linux/devices") }
      if config.root.readonly == true { throw needs("mount", "/root/readonly") }
    }
  }

  private func needs(_ namespace: String, _ field: String) -> RuntimeError {
    RuntimeError(
      .configInvalid, "this needs a \(namespace) namespace of the container's own", field: field,
      hint: "add {\"type\": \"\(namespace)\"} to `linux.namespaces`")
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

  /// The kernel ends a string at a NUL: what stands behind it would silently be lost.
  func refuseNul() throws(RuntimeError) {
    try refuseNul(config.root.path, "/root/path")
    try refuseNul(config.hostname ?? "", "/hostname")
    try refuseNul(config.domainname ?? "", "/domainname")
    for (index, namespace) in (linux.namespaces ?? []).enumerated() {
      try refuseNul(namespace.path ?? "", "/linux/namespaces/\(index)/path")
    }
    for (index, mount) in (config.mounts ?? []).enumerated() {
      try refuseNul(mount.destination, "/mounts/\(index)/destination")
      try refuseNul(mount.source ?? "", "/mounts/\(index)/source")
      try refuseNul(mount.type ?? "", "/mounts/\(index)/type")
      for (number, option) in (mount.options ?? []).enumerated() {
        try refuseNul(option, "/mounts/\(index)/options/\(number)")
      }
    }
    let lists: [([String]?, String)] = [
      (config.process?.args, "/process/args"), (config.process?.env, "/process/env"),
      (linux.maskedPaths, "/linux/maskedPaths"), (linux.readonlyPaths, "/linux/readonlyPaths"),
    ]
    for (values, field) in lists {
      for (index, value) in (values ?? []).enumerated() { try refuseNul(value, "\(field)/\(index)") }
    }
    for (index, device) in (linux.devices ?? []).enumerated() {
      try refuseNul(device.path, "/linux/devices/\(index)/path")
    }
    try refuseNul(config.process?.cwd ?? "", "/process/cwd")
    try refuseNul(linux.cgroupsPath ?? "", "/linux/cgroupsPath")
  }

  func refuseNul(_ text: String, _ field: String) throws(RuntimeError) {
    if text.utf8.contains(0) {
      throw RuntimeError(.configInvalid, "the text holds a NUL character", field: field)
    }
  }
}
