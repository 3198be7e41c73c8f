import Cgroups
public import ContainerPlan
public import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec

/// What `exec` is told.
public struct ExecOptions: Sendable {
  /// A document with the process (config.md, "Process"); nil to run a command as the container's own process is run.
  public var processFile: String?
  /// The command, and what differs from that process.
  public var overrides = ExecOverrides()
  /// Where the pid of the process is written; nil for nowhere.
  public var pidFile: String?
  /// The stream socket that gets the master of the terminal; nil for none.
  public var consoleSocket: String?
  /// The stream socket that gets a pidfd of the process; nil for none.
  public var pidfdSocket: String?
  /// How many descriptors of this program, from 3 on, the command gets; at most ``CreateOptions/passedLimit``.
  public var passedDescriptors: UInt32 = 0
  /// How many of them are sockets that a manager listens on, sd_listen_fds(3).
  public var listeningDescriptors: UInt32 = 0
  /// LISTEN_FDNAMES of the command; nil for none.
  public var listeningNames: String?
  /// A paused container is no error: the process starts when it is resumed.
  public var ignorePaused = false
  /// Cgroups below those of the container, `PATH` or with v1 `CONTROLLER[,CONTROLLER]:PATH`; they must be there.
  public var cgroups: [String] = []

  public init() {}
}

extension ContainerRuntime {
  /// Runs a command in a container. With `detach` it returns 0 when the command has started; else it waits in the
  /// foreground, hands signals on, and returns the exit status of the command, 128 + n for a signal. When it throws,
  /// the command has not run, or was ended because this program cannot stand in front of it any longer.
  public func exec(
    _ id: String, _ options: ExecOptions, detach: Bool
  ) throws(RuntimeError) -> Int32 {
    if detach {
      _ = try startExec(id, options, .passed)
      return 0
    }
    var session = try ForegroundSession.begin(subreaper: false)
    do throws(RuntimeError) {
      let process = try startExec(id, options, .copied(session.foreground.terminal))
      let status = try wait(for: process, id, options, session)
      session.end()
      return status.shellStatus
    } catch {
      session.end()
      throw error
    }
  }

  /// A command that nobody waits for any more must not go on behind the back of the caller.
  private func wait(
    for process: borrowing SpawnedProcess, _ id: String, _ options: ExecOptions, _ session: borrowing ForegroundSession
  ) throws(RuntimeError) -> ExitStatus {
    do {
      return try session.foreground.wait(process, id, self.options.log)
    } catch {
      if let failure = InitLaunch.end(process) {
        self.options.log.warning("cannot end the command: \(failure.text)")
      }
      if let path = options.pidFile, let failure = PidFile.remove(path) {
        self.options.log.warning("cannot remove the pid file: \(failure.text)")
      }
      throw error
    }
  }

  /// Returns when the command runs.
  private func startExec(
    _ id: String, _ options: ExecOptions, _ terminal: TerminalUse
  ) throws(RuntimeError) -> SpawnedProcess {
    try checkID(id)
    let entry = try store.open(id, locking: false)
    guard let record = try entry.read() else {
      throw RuntimeError(.containerNotRunning, "container not running: `\(id)`")
    }
    guard try isAlive(record) else {
      let isCreating = try status(record, entry) == .creating
      throw RuntimeError(
        .containerNotRunning,
        isCreating
          ? "cannot exec in a container that is being created: `\(id)`" : "cannot exec in a stopped container: `\(id)`")
    }
    if !options.ignorePaused, try record.cgroup.isFrozen {
      throw RuntimeError(
        .wrongStatus, "cannot exec in a paused container: `\(id)`",
        hint: "`--ignore-paused` starts it as soon as the container is resumed")
    }
    var template = try template(entry)
    if let path = template.landlock?.paths.first(where: { $0.place == nil }) {
      // By its name the container decides what that is.
      throw RuntimeError(
        .stateUnreadable, "the state of `\(id)` does not say what the Landlock rule for `\(path.path)` is about",
        field: path.field)
    }
    try readMaps(&template.namespaces, record)
    let document = try options.processFile.map { (path) throws(RuntimeError) in try readProcess(path) }
    var plan = try plan(document, options, record, template)
    #if APUS_MUTANTS
      ExecLeavingOut.apply(&plan, &template)
    #endif
    plan.agent.environment.announce(options.listeningDescriptors, names: options.listeningNames, pid: nil)
    for warning in plan.warnings { self.options.log.warning(warning) }
    let sockets = try CallerSockets(
      hasTerminal: plan.console != nil, consoleSocket: options.consoleSocket, pidfdSocket: options.pidfdSocket,
      terminal)
    let start = ExecStart(
      runtime: self, record: record, status: record.listener == nil ? .running : try status(record, entry),
      template: template, plan: plan, options: options, terminal: terminal)
    do {
      return try start.run(sockets)
    } catch {
      throw locate(error, options, document)
    }
  }

  private func template(_ entry: borrowing StateStore.Entry) throws(RuntimeError) -> ExecTemplate {
    do {
      return try entry.execTemplate()
    } catch {
      // A `delete` was quicker, which ends the container before it removes anything.
      guard error.cause?.errno == .noEntry else { throw error }
      if let record = try entry.read(), try isAlive(record) { throw error }
      throw RuntimeError(.containerNotFound, "container does not exist: `\(entry.id)`")
    }
  }

  /// Those of a user namespace that the container has joined need not stand in its configuration.
  private func readMaps(_ namespaces: inout NamespacePlan, _ record: ContainerRecord) throws(RuntimeError) {
    guard namespaces.created.contains(.newUser), namespaces.uidMap.isEmpty else { return }
    let process = try openProcess(record)
    (namespaces.uidMap, namespaces.gidMap) = try IDMapReader.read(pid: record.pid, field: "")
    do {
      // Still the same process, or the pid could have been another's.
      try process.sendSignal(0)
    } catch {
      throw error.because(.containerNotRunning, "container not running: `\(record.id)`")
    }
  }

  private func plan(
    _ document: Process?, _ options: ExecOptions, _ record: ContainerRecord, _ template: ExecTemplate
  ) throws(RuntimeError) -> ExecPlan {
    do throws(RuntimeError) {
      return try Planner.planExec(
        document, template.agent, template.namespaces, record.execCPUAffinity, options.overrides,
        facts: try SecurityModules.facts(for: document, options.overrides.labels))
    } catch {
      throw locate(error, options, document)
    }
  }

  /// With a document, an error about the process is one about a place in it; the document is the process itself. A label is
  /// that of the flag, else of the document, else of the container, and then it stands in config.json.
  private func locate(_ error: RuntimeError, _ options: ExecOptions, _ document: Process?) -> RuntimeError {
    let labels = options.overrides.labels
    for (field, label, flag, own) in [
      ("/process/apparmorProfile", labels.appArmorProfile, "--apparmor", document?.apparmorProfile),
      ("/process/selinuxLabel", labels.selinuxLabel, "--process-label", document?.selinuxLabel),
    ] where error.field == field {
      if label.isEmpty {
        if (own ?? "").isEmpty { return error }
        break
      }
      var error = error
      error.field = flag
      return error
    }
    guard let path = options.processFile, error.field.utf8.starts(with: "/process/".utf8) else { return error }
    var error = error
    error.field = String(error.field.dropFirst("/process".utf8.count))
    // A manager's file is nothing that its user knows, who only mistyped a command.
    switch error.code {
    case .executableNotFound, .executableDenied, .execFailed: return error
    default: return error.during("`\(path)`")
    }
  }

  private func readProcess(_ path: String) throws(RuntimeError) -> Process {
    let bytes: [UInt8]
    do {
      // A pipe or /dev/stdin is as good, and its writer may take a while: it is waited for.
      let file = try FileDescriptor.open(path, [.readOnly, .noControllingTerminal])
      bytes = try file.readAll(limit: Bundle.sizeLimit)
    } catch {
      throw error.because(.configMissing, "cannot read the process document `\(path)`", field: "--process")
    }
    return try Process.decode(bytes, file: path)
  }
}

/// One run of `exec` from the first side effect on.
private struct ExecStart {
  let runtime: ContainerRuntime
  let record: ContainerRecord
  /// Of the container, for whoever listens for its filter.
  let status: ContainerStatus
  let template: ExecTemplate
  let plan: ExecPlan
  let options: ExecOptions
  let terminal: TerminalUse

  func run(_ sockets: borrowing CallerSockets) throws(RuntimeError) -> SpawnedProcess {
    let cgroups = try ExecCgroups(record.cgroup, options.cgroups)
    // That process and no other: whatever happens to the pid from here on.
    let container = try runtime.openProcess(record)
    do {
      return try run(container, cgroups, sockets)
    } catch {
      throw explained(error, container)
    }
  }

  private func run(
    _ container: borrowing FileDescriptor, _ cgroups: ExecCgroups, _ sockets: borrowing CallerSockets
  ) throws(RuntimeError) -> SpawnedProcess {
    var launch = try launch(container, cgroups, sockets)
    var pidFile: String?
    do throws(RuntimeError) {
      while try launch.advance(nil) != .prepared {}
      if let unit = launch.unit { try SystemdClient(unit.bus).attach(launch.initProcess.pid, to: unit.name) }
      // The master has come by now, and nothing has run yet if it cannot be used.
      if case .copied(let terminal) = terminal { try terminal.begin() }
      // Its ancestor is the runtime, so it does not come with a place in resctrl.
      try ResctrlGroup.add(launch.initProcess.pid, to: record.joinedResctrl)
      if let path = options.pidFile {
        try PidFile.write(launch.initProcess.pid, to: path)
        pidFile = path
      }
      try sockets.send(pidfd: launch.initProcess.descriptor)
      let stage = try runtime.stageFile(launch.initProcess.pid)
      let terms = try record.listener?.terms(for: launch.initProcess.descriptor)
      // The last thing: what the streams lead to stays with its new owner.
      try giveStreams()
      try launch.commit(terms)
      if let failure = try launch.outcome(handover(launch.initProcess.pid), terms) {
        throw failure.during("unable to start container process")
      }
      try runtime.checkExecuted(launch.initProcess.pid, startTime: nil, from: stage, "the process")
      return launch.takeProcess()
    } catch {
      if let pidFile, let failure = PidFile.remove(pidFile, of: launch.initProcess.pid) {
        runtime.options.log.warning("cannot remove the pid file: \(failure.text)")
      }
      if let failure = launch.abort() {
        runtime.options.log.warning("cannot end the init stage: \(failure.text)")
      }
      throw error
    }
  }

  private func handover(_ pid: Int32) -> ListenerHandover? {
    record.listener.map { ListenerHandover($0, pid: pid, record.state(status, pid: record.pid)) }
  }

  /// The end of its first process ends whatever comes into the container: the stage is killed without a word, the kernel
  /// starts no process in a pid namespace without one (ENOMEM), the cgroup is gone.
  private func explained(_ failure: RuntimeError, _ container: borrowing FileDescriptor) -> RuntimeError {
    if failure.code == .spawn && failure.cause?.errno == .tryAgain {
      var failure = failure
      failure.hint = CgroupManager(record: record.cgroup).taskLimit() ?? failure.hint
      return failure
    }
    // It waits for all others to be collected, and the stage just was.
    let isLikely = failure.code == .initDied || failure.cause?.errno == .noMemory
    do {
      guard try Poll.wait(container, for: Poll.readable, timeout: isLikely ? 200 : 0) else { return failure }
    } catch {
      return failure
    }
    return RuntimeError(
      .containerNotRunning, "container not running: the first process of `\(record.id)` has just ended",
      cause: failure.cause)
  }

  /// With the rights of the host, which root of a user namespace has not over streams of the caller.
  private func giveStreams() throws(RuntimeError) {
    guard plan.console == nil, let owner = template.namespaces.uidMap.outside(plan.agent.uid) else { return }
    try describe(.credentials, "cannot prepare the standard streams") { () throws(SystemError) in
      for number in Int32(0)...2 { try StandardDescriptors.give(number, to: owner) }
    }
  }

  private func launch(
    _ container: borrowing FileDescriptor, _ cgroups: ExecCgroups, _ sockets: borrowing CallerSockets
  ) throws(RuntimeError) -> InitLaunch {
    do {
      return try launch(container, try cgroups.open(), sockets)
    } catch {
      if error.code == .spawn, error.isRefusal, options.cgroups.isEmpty,
        runtime.options.lacksRoot
      {
        if let unit = record.cgroup.unit {
          var launch = try launch(container, CgroupEntrance.none, sockets)
          launch.unit = unit
          return launch
        }
        // Its parent has not been delegated to this session.
        runtime.options.log.warning("the command stays in the cgroup of the caller: \(error.text)")
        return try launch(container, CgroupEntrance.none, sockets)
      }
      // The container has divided its cgroup. Where one below is asked for, it is that one or none.
      guard error.isClosedCgroup, options.cgroups.isEmpty,
        let entrance = try CgroupManager(record: record.cgroup).openForJoining(neighbour: record.pid)
      else { throw error }
      try describe(.containerNotRunning, "container not running: `\(record.id)`") { () throws(SystemError) in
        // Or the cgroup could be that of another process with its pid.
        try container.sendSignal(0)
      }
      return try launch(container, entrance, sockets)
    }
  }

  private func launch(
    _ container: borrowing FileDescriptor, _ entrance: CgroupEntrance, _ sockets: borrowing CallerSockets
  ) throws(RuntimeError) -> InitLaunch {
    let executable = try SelfExecutable.open(runtime.options.initExecutable)
    // What the init stage runs on from its first moment is what it inherits.
    let old = try describe(.processAttribute, "cannot set the CPUs", field: "/process/execCPUAffinity/initial") {
      () throws(SystemError) -> [UInt64] in
      plan.initialCPUs.isEmpty ? [] : try Scheduling.setAffinity(plan.initialCPUs)
    }
    defer {
      // What was there a moment ago is allowed again, unless the CPUs were taken away meanwhile.
      if !old.isEmpty { do { try Scheduling.setAffinity(mask: old) } catch {} }
    }
    let others =
      (plan.console != nil ? [sockets.console.number] : []) + entrance.taskFileNumbers
      + (0..<options.passedDescriptors).map { Int32(3 + $0) }
    return try InitLaunch(
      executable, payload: payload(UInt32(entrance.taskFileNumbers.count)), startSocket: container, others: others,
      cgroup: entrance.directoryNumber ?? -1, log: runtime.options.log)
  }

  private func payload(_ taskFiles: UInt32) -> InitPayload {
    var steps: [InitStep] = [.startSession]
    #if APUS_MUTANTS
      if !ExecLeavingOut.startsSession { steps = [] }
    #endif
    if !template.keyring.isEmpty { steps.append(.keyring(template.keyring)) }
    if let console = plan.console { steps.append(.console(console)) }
    return InitPayload(
      namespaces: NamespacePlan(
        created: template.namespaces.created, uidMap: template.namespaces.uidMap, gidMap: template.namespaces.gidMap),
      steps: steps, agent: plan.agent,
      filter: template.filter, filterFlags: template.filterFlags, landlock: template.landlock, cgroupMounts: [],
      taskFiles: taskFiles,
      hasCgroupDirectory: false, hasConsoleSocket: plan.console != nil,
      passedDescriptors: options.passedDescriptors,
      exec: ExecJoin(
        kinds: template.namespaces.created, pid: record.pid, finalCPUs: plan.finalCPUs,
        setsListenPID: options.listeningDescriptors > 0))
  }
}

extension RuntimeError {
  /// The kernel lets no process into this cgroup of v2, only into those below.
  fileprivate var isClosedCgroup: Bool {
    code == .spawn && (cause?.errno == .busy || cause?.errno == .notSupported)
  }
}
