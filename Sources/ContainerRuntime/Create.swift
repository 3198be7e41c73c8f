import Cgroups
import ContainerPlan
public import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec
import Seccomp

/// What `create` and `run` are told.
public struct CreateOptions: Sendable {
  /// The folder that holds `config.json`; relative to the working directory or absolute.
  public var bundle: String
  /// Where the pid of the container's first process is written; nil for nowhere.
  public var pidFile: String?
  /// The container shares the session keyring of the caller.
  public var noNewKeyring = false
  /// The root is moved onto `/` and entered by chroot(2) instead of pivot_root(2), for a root file system that lies on an
  /// initramfs. Weaker: the old root stays below the new one.
  public var noPivot = false
  /// The stream socket that gets the master of the terminal, with SCM_RIGHTS of unix(7); nil for none.
  public var consoleSocket: String?
  /// The stream socket that gets a pidfd of the container's first process in the same way; nil for none.
  public var pidfdSocket: String?
  /// How many descriptors of this program, from 3 on and all open, the agent command gets under the same numbers; at
  /// most ``passedLimit``.
  public var passedDescriptors: UInt32 = 0
  /// EINVAL of the start of the init stage beyond it.
  public static var passedLimit: UInt32 { 1024 }
  /// How many of them, the first ones, are sockets that a manager listens on, sd_listen_fds(3): LISTEN_FDS of the agent
  /// command says so, and LISTEN_PID that they are for process 1.
  public var listeningDescriptors: UInt32 = 0
  /// LISTEN_FDNAMES of the agent command; nil for none.
  public var listeningNames: String?
  /// The socket of a manager that waits for sd_notify(3): the container gets one of its own, and ``ContainerRuntime/start(_:notifySocket:)``
  /// passes on what comes; nil for none.
  public var notifySocket: String?

  public init(bundle: String) {
    self.bundle = bundle
  }
}

extension ContainerRuntime {
  /// Makes a container out of a bundle: everything but the agent command, which waits for ``start(_:)`` (runtime.md,
  /// "Create"). When any step fails, all that was done before it is undone.
  public func create(_ id: String, _ options: CreateOptions) throws(RuntimeError) {
    _ = try createContainer(id, options, .passed)
  }

  /// The same, answering what was made for those who go on with it.
  func createContainer(
    _ id: String, _ options: CreateOptions, _ terminal: TerminalUse
  ) throws(RuntimeError) -> CreatedContainer {
    try checkID(id)
    let bundle = try Bundle.load(options.bundle)
    var plan = try makePlan(
      bundle, keyring: options.noNewKeyring ? nil : "_ses.\(id)", noPivot: options.noPivot,
      notifyFolder: options.notifySocket == nil ? nil : "\(store.root)/\(id)/\(StateStore.Name.notify)")
    let template = plan.agent
    plan.agent?.environment.announce(options.listeningDescriptors, names: options.listeningNames, pid: 1)
    for warning in plan.warnings { self.options.log.warning(warning) }
    // Everything that can be found wrong without a side effect has been found; what follows is undone on failure.
    try bundle.checkRoot(plan)
    let cgroup = try CgroupSetup(plan, id: id, self.options)
    var resctrl: ResctrlGroup?
    if let rdt = plan.intelRdt { resctrl = try ResctrlGroup.find(rdt, id: id) }
    let filter = try compileFilter(plan)
    let listener = try SeccompListener.find(plan.seccomp, filter, bundle: bundle.path, root: plan.rootPath)
    let sockets = try CallerSockets(
      hasTerminal: plan.hasTerminal, consoleSocket: options.consoleSocket, pidfdSocket: options.pidfdSocket, terminal)
    let entry = try store.reserve(id)
    var record = ContainerRecord(
      id: id, ociVersion: plan.ociVersion, bundle: bundle.path, rootfs: plan.rootPath, created: Clock.now(),
      owner: Owner.name(of: Processes.effectiveUser()), annotations: plan.annotations, pid: 0, startTime: 0,
      processInode: 0, hasPidNamespace: plan.namespaces.created.contains(.newPID), cgroup: cgroup.record,
      poststart: plan.hooks.poststart, poststop: plan.hooks.poststop,
      execCPUAffinity: plan.execCPUAffinity ?? ExecCPUAffinity())
    record.listener = listener
    record.landlock = plan.landlockState
    var creation = Creation(
      runtime: self, plan: plan, filter: filter, cgroup: cgroup, resctrl: resctrl, sockets: sockets,
      record: record, template: template, options: options)
    do {
      return try creation.run(entry)
    } catch {
      let explained = creation.explained(error)
      creation.undo(entry)
      throw explained
    }
  }

  /// Compiled here and not in the init stage: libseccomp needs memory and time, and neither should be the container's.
  func compileFilter(_ plan: ContainerPlan) throws(RuntimeError) -> SeccompProgram? {
    guard let profile = plan.seccomp else { return nil }
    return try SeccompCompiler.program(for: profile, stateRoot: options.root, log: options.log)
  }

  func makePlan(
    _ bundle: Bundle, keyring: String?, noPivot: Bool, notifyFolder: String? = nil
  ) throws(RuntimeError) -> ContainerPlan {
    let plan = try Planner.plan(
      PlanInput(
        config: bundle.config, bundle: bundle.path, keyring: keyring, noPivot: noPivot,
        notifyFolder: notifyFolder, facts: try facts(for: bundle.config)))
    #if APUS_MUTANTS
      return try plan.leavingOut()
    #else
      return plan
    #endif
  }

  func facts(for config: Config) throws(RuntimeError) -> HostFacts {
    var facts = try SecurityModules.facts(for: config.process, mountLabel: config.linux?.mountLabel ?? "")
    if config.annotations?.value(named: LandlockConfig.annotation) != nil { facts.landlock = .ofThisKernel }
    return facts
  }
}

/// What ``ContainerRuntime/createContainer(_:_:_:)`` has made.
struct CreatedContainer: ~Copyable {
  /// That names its process for ever; another container may get the id as soon as nobody holds the lock.
  let record: ContainerRecord
  /// A child of this program.
  let process: SpawnedProcess
}

/// One run of `create`, with what has to be undone if it fails.
private struct Creation: ~Copyable {
  let runtime: ContainerRuntime
  let plan: ContainerPlan
  let filter: SeccompProgram?
  var cgroup: CgroupSetup
  var resctrl: ResctrlGroup?
  let sockets: CallerSockets
  private var record: ContainerRecord
  /// What the container's process is planned as, for the processes of `exec`.
  private let template: AgentPlan?
  let options: CreateOptions
  private var pidFileWritten = false
  private var hooksBegan = false

  init(
    runtime: ContainerRuntime, plan: ContainerPlan, filter: SeccompProgram?, cgroup: consuming CgroupSetup,
    resctrl: ResctrlGroup?, sockets: consuming CallerSockets, record: ContainerRecord, template: AgentPlan?,
    options: CreateOptions
  ) {
    self.runtime = runtime
    self.plan = plan
    self.filter = filter
    self.cgroup = cgroup
    self.resctrl = resctrl
    self.sockets = sockets
    self.record = record
    self.template = template
    self.options = options
  }

  mutating func run(_ entry: borrowing StateStore.Entry) throws(RuntimeError) -> CreatedContainer {
    // Before anything is made: if this process is killed, `delete` still finds what there may be.
    try entry.write(record)
    try entry.write(execTemplate())
    if options.notifySocket != nil { try entry.makeNotifyFolder() }
    try cgroup.make()
    record.cgroup = cgroup.record
    runtime.options.log.debug(
      "cgroup made: \(cgroup.record.directories.map { $0.path }.joined(separator: " "))")
    if resctrl != nil {
      try resctrl?.make()
      record.resctrl = resctrl?.removedWithContainer ?? []
      record.joinedResctrl = resctrl?.joined ?? []
      try entry.write(record)
    }
    let executable = try SelfExecutable.open(runtime.options.initExecutable)
    let startSocket: FileDescriptor
    do {
      startSocket = try Socket.listen(in: entry.directory, StateStore.Name.startSocket)
    } catch {
      throw error.because(.stateUnwritable, "cannot make the start socket of `\(entry.id)`")
    }
    var launch = try InitLaunch(
      executable, payload: payload(), startSocket: startSocket, others: otherDescriptors(),
      log: runtime.options.log)
    let setup = cgroup
    launch.moveStage1 = { (pid) throws(RuntimeError) in try setup.attach(pid) }
    do {
      let process = try finish(&launch, entry)
      return CreatedContainer(record: record, process: process)
    } catch {
      launch.takeDevicesBack()
      if let failure = launch.abort() {
        runtime.options.log.warning("cannot end the init stage: \(failure.text)")
      }
      throw error
    }
  }

  private mutating func finish(
    _ launch: inout InitLaunch, _ entry: borrowing StateStore.Entry
  ) throws(RuntimeError) -> SpawnedProcess {
    while try launch.advance(plan) == .mountsMade {
      // pids.max before the hooks, which may change it; those of the container count in it.
      try cgroup.applyLast(uidMap: launch.uidMap)
      hooksBegan = true
      try runtime.run(plan.hooks.prestart + plan.hooks.createRuntime, record, .creating, pid: launch.initProcess.pid)
      try launch.goOn()
    }
    // pids.max: stage 1 is gone, and process 1 starts nobody any more before it is the agent command.
    if !hooksBegan { try cgroup.applyLast(uidMap: launch.uidMap) }
    // Before the record has a pid: until then `exec` finds no process.
    if launch.landlockPlaces.count != plan.landlock?.paths.count ?? 0 {
      throw RuntimeError(.initProtocol, "the init stage has not told what each of the Landlock rules is about")
    }
    if !launch.landlockPlaces.isEmpty { try entry.write(execTemplate(launch.landlockPlaces)) }
    try resctrl?.add(launch.initProcess.pid)
    // Later it would be too late to say so.
    _ = try record.listener?.terms(for: launch.initProcess.descriptor)
    record.pid = launch.initProcess.pid
    record.cgroup.userNamespace = launch.userNamespace
    record.cgroup.pidNamespace = launch.pidNamespace
    record.devices = cgroup.devices
    runtime.options.log.debug("process \(record.pid) is prepared")
    do {
      record.startTime = try Processes.status(record.pid)?.startTime ?? 0
      record.processInode = try launch.initProcess.descriptor.status().inode
    } catch {
      throw error.because(.stateUnreadable, "cannot read the start time of process \(record.pid)")
    }
    try entry.write(record)
    if let pidFile = options.pidFile {
      try PidFile.write(record.pid, to: pidFile)
      pidFileWritten = true
    }
    try sockets.send(pidfd: launch.initProcess.descriptor)
    try launch.commit()
    return launch.takeProcess()
  }

  private func execTemplate(_ places: [LandlockPlace] = []) -> ExecTemplate {
    var landlock = plan.landlock
    for (index, place) in places.enumerated() { landlock?.paths[index].place = place }
    var namespaces = plan.namespaces
    for joined in namespaces.joined { namespaces.created.formUnion(joined.kind) }
    namespaces.joined = []
    var agent = template
    // The socket is the first process's own.
    if options.notifySocket != nil { agent?.environment.unset("NOTIFY_SOCKET") }
    return ExecTemplate(
      namespaces: namespaces, agent: agent, filter: filter?.instructions ?? [],
      filterFlags: filter?.flags.rawValue ?? 0, landlock: landlock,
      keyring: options.noNewKeyring ? "" : "_ses.\(record.id)")
  }

  private func payload() -> InitPayload {
    InitPayload(
      namespaces: plan.namespaces, steps: plan.steps, agent: plan.agent, filter: filter?.instructions ?? [],
      filterFlags: filter?.flags.rawValue ?? 0, landlock: plan.landlock, cgroupMounts: cgroup.mounts,
      taskFiles: cgroup.taskFileCount,
      hasCgroupDirectory: cgroup.hasDirectory, hasConsoleSocket: plan.hasTerminal,
      passedDescriptors: options.passedDescriptors, hooks: runtime.initHooks(plan.hooks, record))
  }

  /// In the order of ``InitDescriptors``.
  private func otherDescriptors() -> [Int32] {
    (plan.hasTerminal ? [sockets.console.number] : []) + cgroup.files
      + (0..<options.passedDescriptors).map { Int32(3 + $0) }
  }

  /// With what the cgroup tells, as long as it is there, of an init stage that died without a word.
  func explained(_ error: RuntimeError) -> RuntimeError {
    guard error.code == .initDied, let events = runtime.limitEvents(of: record), events.oomKills ?? 0 > 0 else {
      return error
    }
    var error = error
    error.hint = "the kernel killed it " + LimitReport.reason(events)
    return error
  }

  /// Takes back what was done.
  func undo(_ entry: borrowing StateStore.Entry) {
    runtime.undo(
      record, entry, cgroup, resctrl, pidFile: pidFileWritten ? options.pidFile : nil, runsPoststop: hooksBegan)
  }
}

extension ContainerRuntime {
  /// Takes back what was made for a container that comes to nothing. What cannot be taken back is a warning: the error that led
  /// here matters more.
  func undo(
    _ record: ContainerRecord, _ entry: borrowing StateStore.Entry, _ cgroup: CgroupSetup, _ resctrl: ResctrlGroup?,
    pidFile: String?, runsPoststop: Bool
  ) {
    if let pidFile, let failure = PidFile.remove(pidFile, of: record.pid) {
      options.log.warning("cannot remove the pid file: \(failure.text)")
    }
    do throws(RuntimeError) {
      try resctrl?.undo()
    } catch {
      options.log.warning(error.text)
    }
    if let failure = cgroup.remove() {
      options.log.warning("cannot remove the cgroup: \(failure.text)")
    }
    if let failure = store.remove(entry) {
      options.log.warning("cannot remove the state of `\(entry.id)`: \(failure.text)")
    }
    // What the first hooks did, these undo; before them there is nothing (runtime.md, "Lifecycle").
    if runsPoststop { runPoststop(record) }
  }
}

extension [String] {
  /// The variables of sd_listen_fds(3), as runc sets them. Without `pid` the init stage puts the number of its process in.
  mutating func announce(_ count: UInt32, names: String?, pid: Int32?) {
    if count == 0 { return }
    set("LISTEN_FDS", "\(count)")
    if let pid { set("LISTEN_PID", "\(pid)") }
    if let names { set("LISTEN_FDNAMES", names) }
  }
}
