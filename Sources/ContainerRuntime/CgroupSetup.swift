import Cgroups
import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec

/// The cgroup of a container that is being created: worked out first, made later, removed if the creation fails.
struct CgroupSetup {
  private let layout: CgroupLayout
  private let path: CgroupPath
  /// The scope, with the systemd driver.
  private let scope: ScopeSetup?
  private let isDisabled: Bool
  private let writes: [CgroupWrite]
  private let permissions: DevicePermissions
  /// ``CgroupPlan/owner``, where the layout is v2 alone.
  private let owner: UInt32?
  /// The container has a user namespace, or joins the cgroup namespace of another one.
  private let joinsEarly: Bool
  private let hasUserNamespace: Bool
  /// Of which only ``RuntimeOptions/lacksRoot`` is asked, and that late: to find it out takes a while.
  private let options: RuntimeOptions
  private let hasPath: Bool
  private let log: LogSink
  private var manager: CgroupManager?
  private var entrance: CgroupEntrance?
  /// `cgroup.procs` of v2, by which stage 1 joins before it enters a user namespace.
  private var processesFile: OpenFile?
  /// What became of the rules for devices.
  private(set) var devices = DeviceState()

  /// Works out where and what, with no side effect; throws what the configuration asks for and this host cannot do.
  init(
    _ plan: ContainerPlan, id: String, _ options: RuntimeOptions
  ) throws(RuntimeError) {
    let (annotations, namespaces) = (plan.annotations, plan.namespaces)
    let (plan, log) = (plan.cgroup, options.log)
    layout = try CgroupLayout.read()
    permissions = try DevicePermissions(plan.deviceRules)
    isDisabled = options.cgroupDriver == .disabled
    // They are set last; what v1 cannot say is found before anything is made.
    if !isDisabled && layout.version(of: "devices") == .v1 { _ = try permissions.linesV1() }
    owner = layout.kind == .v2 ? plan.owner : nil
    hasUserNamespace = namespaces.hasUserNamespace
    joinsEarly = hasUserNamespace || namespaces.joins(.newCgroup)
    self.options = options
    self.log = log
    hasPath = !(plan.path ?? "").isEmpty
    if let resources = plan.resources {
      writes = try ResourceConversion.writes(resources, layout: layout)
      for warning in ResourceConversion.warnings(resources) { log.warning(warning.text) }
    } else {
      writes = []
    }
    if options.cgroupDriver == .systemd {
      let scope = try ScopeSetup(
        plan, id: id, annotations, bus: options.lacksRoot ? .user : .system,
        isUnified: layout.kind == .v2, writes, permissions)
      path = CgroupPath(components: try scope.name.components())
      self.scope = scope
    } else {
      path = isDisabled ? CgroupPath(components: []) : try CgroupPath(plan.path, id: id)
      scope = nil
    }
    if isDisabled {
      try refuseLimits()
      if !namespaces.created.contains(.newPID) && !namespaces.joins(.newPID)
        && !(namespaces.created.contains(.newUser) && doesWithout)
      {
        log.warning(
          "without a cgroup and a pid namespace of its own nothing tells the processes of `\(id)`: `kill` and `delete` end the first one"
        )
      }
      return
    }
    if layout.hierarchies.isEmpty && layout.unified == nil {
      throw RuntimeError(.cgroup, "no cgroup file system is mounted", hint: "mount cgroup2 on /sys/fs/cgroup")
    }
  }

  /// Makes the cgroup and sets every limit that must hold before the first process is in it.
  mutating func make() throws(RuntimeError) {
    if isDisabled { return }
    let manager: CgroupManager
    if let scope {
      // From here on there may be something to undo.
      try scope.start()
      self.manager = CgroupManager(record: record)
      manager = try scope.adopt(layout, writes)
    } else {
      manager = try makeDirectories()
    }
    self.manager = manager
    do {
      try manager.keepCounts()
    } catch {
      log.debug(phrase("it will not be told which limits the container met: ", error.text))
    }
    if !manager.leftOut.isEmpty { try checkLeftOut(manager) }
    try manager.apply(writes, phase: .beforeJoin)
    #if APUS_MUTANTS
      if CgroupSetup.leavesOut("CgroupSetup.join") { return }
    #endif
    // systemd puts stage 1 into the scope of a user, see `attach`.
    if attaches { return }
    let entrance = try manager.openForJoining()
    self.entrance = entrance
    if joinsEarly, let unified = manager.record.unified {
      do {
        processesFile = OpenFile(try FileDescriptor.open("\(unified.path)/cgroup.procs", .writeOnly))
      } catch {
        throw error.because(.cgroup, "cannot open `\(unified.path)/cgroup.procs`")
      }
    }
  }

  private func makeDirectories() throws(RuntimeError) -> CgroupManager {
    do {
      return try CgroupManager.create(path, layout: layout, writes: writes) { !hasPath && doesWithout }
    } catch {
      guard error.isRefusal, hasPath, doesWithout else { throw error }
      var hinted = error
      hinted.hint = "leave cgroupsPath out, or have the cgroup delegated to user \(Processes.effectiveUser())"
      throw hinted
    }
  }

  /// A limit that nobody would set is an error. Device rules are not: every configuration has them, and what a container without
  /// cgroups may do with devices is told by capabilities and permissions alone.
  private func refuseLimits() throws(RuntimeError) {
    guard let write = writes.first(where: { !$0.isDefault }) else { return }
    throw RuntimeError(
      .cgroupLimit, "cannot set a limit: cgroups are disabled", field: write.pointer,
      hint: "leave the limit out, or `--cgroup-manager=disabled`")
  }

  /// A process can only be moved by somebody who may write above both places. Without root that is systemd: the session of the
  /// caller, and the scopes of his systemd, are below what belongs to root.
  private var attaches: Bool { scope?.unit.bus == .user && hasUserNamespace }

  /// Puts stage 1 into the cgroup where it cannot do so itself.
  func attach(_ pid: Int32) throws(RuntimeError) {
    if attaches, let scope { try scope.attach(pid) }
  }

  /// Whether what is refused for want of permission may be done without.
  private var doesWithout: Bool { options.lacksRoot }

  /// A limit that would silently not hold is an error.
  private func checkLeftOut(_ manager: CgroupManager) throws(RuntimeError) {
    for mount in manager.leftOut { log.debug("no cgroup below \(mount): the caller may not make one") }
    guard let write = manager.missing(writes) else { return }
    throw RuntimeError(
      .cgroupLimit,
      "cannot set a limit: user \(Processes.effectiveUser()) may not make a cgroup with the controller `\(write.controller)`",
      field: write.pointer,
      hint: "have a cgroup delegated (`systemd-run --user --scope -p Delegate=yes`), or leave the limit out")
  }

  /// Without root no device can be made, and the nodes of the host ask for their own permissions: the filter is one more
  /// fence, and only root may set it up.
  private mutating func setDevices(_ manager: CgroupManager) throws(RuntimeError) {
    devices = DeviceState(.refused, permissions)
    if manager.record.directories.isEmpty && !manager.leftOut.isEmpty { return }
    do {
      try manager.setDevices(permissions)
      devices.force = .inForce
    } catch {
      let isAbsent = error.cause == nil && !manager.leftOut.isEmpty
      guard isAbsent || error.isRefusal, doesWithout else { throw error }
      log.debug("no device filter: \(error.text)")
    }
  }

  /// The limit of the number of tasks, when all processes that set the container up have been started, and the devices: a
  /// file system of the configuration is mounted from its block device inside of the cgroup. No code of the container's
  /// has run yet.
  ///
  /// - Parameter uidMap: that of the container's user namespace; empty without one.
  mutating func applyLast(uidMap: [IDRange]) throws(RuntimeError) {
    guard let manager else { return }
    // Process 1 is in the scope now, and holds it.
    try scope?.release()
    try setDevices(manager)
    try manager.apply(writes, phase: .last)
    guard let owner, let user = uidMap.isEmpty ? owner : uidMap.outside(owner) else { return }
    do {
      try manager.delegate(to: user)
    } catch {
      // Only root gives things to others; to root inside, which is the caller, it belongs already.
      guard error.isRefusal, doesWithout else { throw error }
      log.debug(error.text)
    }
  }

  /// What was made, or what will be.
  var record: CgroupRecord {
    if let manager { return manager.record }
    if isDisabled { return CgroupRecord(directories: []) }
    // Where the systemd of a user has its cgroups, it tells only by making one.
    if let unit = scope?.unit, unit.bus == .user { return CgroupRecord(directories: [], unit: unit) }
    return CgroupManager.planned(path, layout: layout, unit: scope?.unit)
  }

  /// What the init stage joins with: the files it writes 0 to, then the directory that stage 2 is born in. The kernel
  /// checks CLONE_INTO_CGROUP against the ids of a user namespace that was entered before, and where cgroups are delegated by
  /// namespaces (`nsdelegate`, cgroups(7)) against a cgroup namespace that was joined: there stage 1 joins first.
  var files: [Int32] {
    guard let entrance else { return [] }
    if let processesFile { return entrance.taskFileNumbers + [processesFile.descriptor.number] }
    return entrance.taskFileNumbers + (entrance.directoryNumber.map { [$0] } ?? [])
  }

  var hasDirectory: Bool { processesFile == nil && entrance?.directoryNumber != nil }
  var taskFileCount: UInt32 { UInt32(files.count - (hasDirectory ? 1 : 0)) }

  /// What a mount of type cgroup shows: the container's own directories.
  var mounts: [CgroupMountSource] {
    let directories = record.directories
    if directories.count == 1, let only = directories.first, only.version == .v2 {
      return [CgroupMountSource(name: "", path: only.path)]
    }
    var sources: [CgroupMountSource] = []
    for directory in directories {
      sources.append(CgroupMountSource(name: directory.mountName, path: directory.path))
      // `cpu,cpuacct` is also found under the name of each of its controllers.
      if directory.controllers.count > 1 {
        for controller in directory.controllers where controller != directory.mountName {
          sources.append(CgroupMountSource(name: controller, path: directory.mountName, isLink: true))
        }
      }
    }
    return sources
  }

  /// Removes what was made; what cannot be removed is answered.
  func remove() -> RuntimeError? {
    var first: RuntimeError?
    func attempt(_ step: () throws(RuntimeError) -> Void) {
      do {
        try step()
      } catch {
        // The steps behind it may still leave less.
        if first == nil { first = error }
      }
    }
    // Without it a scope that systemd is only about to make comes to nothing.
    attempt { () throws(RuntimeError) in try scope?.end() }
    guard let manager else { return first }
    if scope?.isAdopted ?? true { attempt { () throws(RuntimeError) in try manager.killAll() } }
    attempt { () throws(RuntimeError) in try scope?.stop() }
    attempt { () throws(RuntimeError) in try manager.remove() }
    return first
  }
}

/// An open file in a value that can only be partly made.
private final class OpenFile {
  let descriptor: FileDescriptor

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}

/// What the later commands do with the cgroup of a container.
extension CgroupRecord {
  var isFrozen: Bool {
    get throws(RuntimeError) { try CgroupManager(record: self).freezerState() != .thawed }
  }

  /// Ends every process that is left and removes the directories. With `kills` false, for a creation that was cut off,
  /// only waits for the init stage, which ends by itself without a runtime: what is in the cgroup may be another's.
  ///
  /// What the bus refuses is answered and not thrown: a scope that is empty is gone without it.
  func end(kills: Bool) throws(RuntimeError) -> RuntimeError? {
    let manager = CgroupManager(record: self)
    if let unit, kills {
      try manager.killAll()
      _ = try manager.waitUntilEmpty(milliseconds: ContainerRuntime.endTimeout)
      var failure: RuntimeError?
      do {
        try SystemdClient(unit.bus).stop(unit.name)
      } catch {
        failure = error
      }
      try manager.remove()
      return failure
    }
    if kills {
      // Nearly always the processes are gone already, and the kernel refuses to remove a cgroup that holds one: trying
      // is cheaper than looking.
      do {
        try manager.remove(patience: 0)
        return nil
      } catch {
        guard error.code == .processesRemain || error.code == .cleanup else { throw error }
      }
      try manager.killAll()
      if try !manager.waitUntilEmpty(milliseconds: ContainerRuntime.endTimeout) {
        // What can be removed is, and the error names the process that is left.
        try manager.remove(patience: 0)
        return nil
      }
    }
    if unit != nil { try manager.waitForSystemd(milliseconds: 2000) }
    try manager.remove()
    guard let unit else { return nil }
    // A scope whose process has ended before systemd came to it has failed, or goes on without one, and would stay. If the
    // creation did not come so far, one of this name is another's, and has a process.
    do {
      let client = SystemdClient(unit.bus)
      if try client.isEmpty(unit.name) { try client.stop(unit.name) } else { try client.forget(unit.name) }
    } catch {
      return error
    }
    return nil
  }

  /// Ends every process; a frozen one is thawed so that it can end.
  func kill() throws(RuntimeError) {
    try CgroupManager(record: self).killAll()
  }

  /// Takes away what would only delay the end of processes that were all killed.
  func letEnd() { CgroupManager(record: self).liftBandwidth() }

  func signal(_ number: Int32) throws(RuntimeError) -> Bool {
    if number == 9 {
      let manager = CgroupManager(record: self)
      if try manager.processes().isEmpty { return false }
      try manager.killAll()
      return true
    }
    return try CgroupManager(record: self).signalAll(number) > 0
  }
}
