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
  /// the command has not run.
  public func exec(
    _ id: String, _ options: ExecOptions, detach: Bool, subreaper: Bool
  ) throws(RuntimeError) -> Int32 {
    if detach {
      _ = try startExec(id, options, .passed)
      return 0
    }
    var session = try ForegroundSession.begin(subreaper: subreaper)
    do throws(RuntimeError) {
      let process = try startExec(id, options, .copied(session.foreground.terminal))
      try session.foreground.terminal.begin()
      let status = try session.foreground.wait(process, id, self.options.log)
      session.end()
      return status.shellStatus
    } catch {
      session.end()
      throw error
    }
  }

  /// Returns when the command runs.
  private func startExec(
    _ id: String, _ options: ExecOptions, _ terminal: TerminalUse
  ) throws(RuntimeError) -> SpawnedProcess {
    try checkExistingID(id)
    let entry = try store.open(id, locking: false)
    guard let record = try entry.read() else {
      throw RuntimeError(.containerNotRunning, "container not running: `\(id)`")
    }
    guard try isAlive(record) else {
      throw RuntimeError(.containerNotRunning, "cannot exec in a stopped container: `\(id)`")
    }
    if !options.ignorePaused, try record.cgroup.isFrozen {
      throw RuntimeError(
        .wrongStatus, "cannot exec in a paused container: `\(id)`",
        hint: "`--ignore-paused` starts it as soon as the container is resumed")
    }
    #if APUS_MUTANTS
      var template = try entry.execTemplate()
      var plan = try plan(options, record, template)
      ExecLeavingOut.apply(&plan, &template)
    #else
      let template = try entry.execTemplate()
      var plan = try plan(options, record, template)
    #endif
    plan.agent.environment.announce(options.listeningDescriptors, names: options.listeningNames, isFirst: false)
    for warning in plan.warnings { self.options.log.warning(warning) }
    let sockets = try CallerSockets(
      hasTerminal: plan.console != nil, consoleSocket: options.consoleSocket, pidfdSocket: options.pidfdSocket,
      terminal)
    let start = ExecStart(runtime: self, record: record, template: template, plan: plan, options: options)
    do {
      return try start.run(sockets)
    } catch {
      throw locate(error, options)
    }
  }

  private func plan(
    _ options: ExecOptions, _ record: ContainerRecord, _ template: ExecTemplate
  ) throws(RuntimeError) -> ExecPlan {
    var document: Process?
    if let path = options.processFile { document = try readProcess(path) }
    var namespaces = template.namespaces
    // The maps of a user namespace that was joined are not known; the kernel says what it has not.
    if namespaces.uidMap.isEmpty { namespaces.created.subtract(.newUser) }
    do throws(RuntimeError) {
      return try Planner.planExec(
        document, template.agent, namespaces, record.execCPUAffinity, options.overrides)
    } catch {
      throw locate(error, options)
    }
  }

  /// With a document, an error about the process is one about a place in it; the document is the process itself.
  private func locate(_ error: RuntimeError, _ options: ExecOptions) -> RuntimeError {
    guard let path = options.processFile, error.field.utf8.starts(with: "/process/".utf8) else { return error }
    var error = error
    error.field = String(error.field.dropFirst("/process".utf8.count))
    return error.during("`\(path)`")
  }

  private func readProcess(_ path: String) throws(RuntimeError) -> Process {
    let bytes: [UInt8]
    do {
      let file = try FileDescriptor.open(path, [.readOnly, .nonBlocking])
      // A pipe or /dev/stdin is as good.
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
  let template: ExecTemplate
  let plan: ExecPlan
  let options: ExecOptions

  func run(_ sockets: borrowing CallerSockets) throws(RuntimeError) -> SpawnedProcess {
    let executable = try SelfExecutable.open(runtime.options.initExecutable)
    // That process and no other: whatever happens to the pid from here on.
    let container = try runtime.openProcess(record)
    try giveStreams()
    let entrance = try ExecCgroups(record.cgroup, options.cgroups).open()
    var launch = try launch(executable, container, entrance, sockets)
    var pidFile: String?
    do throws(RuntimeError) {
      while try launch.advance(nil) != .prepared {}
      if let path = options.pidFile {
        try PidFile.write(launch.initProcess.pid, to: path)
        pidFile = path
      }
      try sockets.send(pidfd: launch.initProcess.descriptor)
      let stage = try runtime.stageFile(launch.initProcess.pid)
      try launch.commit()
      if let failure = try launch.outcome() { throw failure.during("unable to start container process") }
      try runtime.checkExecuted(launch.initProcess.pid, startTime: nil, from: stage, "the process")
      return launch.takeProcess()
    } catch {
      if let pidFile, let failure = PidFile.remove(pidFile) {
        runtime.options.log.warning("cannot remove the pid file: \(failure.text)")
      }
      if let failure = launch.abort() {
        runtime.options.log.warning("cannot end the init stage: \(failure.text)")
      }
      throw error
    }
  }

  /// With the rights of the host, which root of a user namespace has not over streams of the caller.
  private func giveStreams() throws(RuntimeError) {
    guard plan.console == nil, let owner = template.namespaces.uidMap.outside(plan.agent.uid) else { return }
    try describe(.credentials, "cannot prepare the standard streams") { () throws(SystemError) in
      for number in Int32(0)...2 { try StandardDescriptors.give(number, to: owner) }
    }
  }

  private func launch(
    _ executable: consuming FileDescriptor, _ container: borrowing FileDescriptor, _ entrance: CgroupEntrance,
    _ sockets: borrowing CallerSockets
  ) throws(RuntimeError) -> InitLaunch {
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
      namespaces: NamespacePlan(created: template.namespaces.created), steps: steps, agent: plan.agent,
      filter: template.filter, filterFlags: template.filterFlags, cgroupMounts: [], taskFiles: taskFiles,
      hasCgroupDirectory: false, hasConsoleSocket: plan.console != nil,
      passedDescriptors: options.passedDescriptors,
      exec: ExecJoin(kinds: template.namespaces.created, pid: record.pid, finalCPUs: plan.finalCPUs))
  }
}
