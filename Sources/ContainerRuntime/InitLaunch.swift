import Cgroups
import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The runtime's side of the ladder in `InitChannel/Message.swift`, up to `prepared`.
struct InitLaunch: ~Copyable {
  private let channel: RuntimeChannel
  private let log: LogSink
  /// What the mount helper is started from; the payload is the init stage's own.
  private let executable: FileDescriptor
  private let memory: FileDescriptor
  private var helper: MountHelperProcess?
  private var stage1: SpawnedProcess
  private var stage1IsReaped = false
  /// Process 1 of the container, or the command of `exec`; pid 0 until it exists.
  private(set) var initProcess: SpawnedProcess
  /// Where the new user namespace may have to stand for a cgroup (``CgroupRecord/userNamespace``).
  private(set) var userNamespace = NamespaceIdentity()
  private(set) var pidNamespace = NamespaceIdentity()
  /// Puts stage 1 into the container's cgroup before the other half is born in it, where that is for somebody else to do.
  var moveStage1: ((Int32) throws(RuntimeError) -> Void)?
  /// The scope into which systemd has to move the process of `exec`.
  var unit: SystemdUnit?
  /// The users of the container's user namespace, new or joined; empty without one.
  private(set) var uidMap: [IDRange] = []
  /// What the paths of the Landlock ruleset lead to, in their order.
  private(set) var landlockPlaces: [LandlockPlace] = []
  /// The network devices that were moved into the container.
  private var mover: NetDeviceMover?

  /// Starts stage 1 with the payload, in the directory `cgroup` of cgroup v2 unless that is -1. `others` are the
  /// descriptors behind the start socket (``InitDescriptors``), in whose place `exec` has the container's process.
  init(
    _ executable: consuming FileDescriptor, payload: InitPayload, startSocket: borrowing FileDescriptor,
    others: [Int32], cgroup: Int32 = -1, log: LogSink
  ) throws(RuntimeError) {
    self.log = log
    let started = try describe(.spawn, "cannot start the init stage") { () throws(SystemError) in
      try StartedStage(executable, payload.encode(), [startSocket.number] + others, cgroup)
    }
    memory = started.memory
    channel = RuntimeChannel(started.socket)
    stage1 = started.process
    self.executable = executable
    initProcess = SpawnedProcess(pid: 0, descriptor: FileDescriptor(owning: -1))
  }

  /// A rung at which the runtime has something to do.
  enum Rung {
    /// The hooks of `create` are next; ``goOn()`` is awaited.
    case mountsMade
    case prepared
  }

  /// Follows the ladder to the next rung. The two halves of the init stage write to one socket without an order between
  /// them: what stage 2 says may come before stage 1 has announced it. `exec` has no plan of a container.
  mutating func advance(_ plan: ContainerPlan?) throws(RuntimeError) -> Rung {
    var reached: Rung?
    var failure: RuntimeError?
    var wanted: (MountHelp, UInt32, Errno)?
    var isNetworkReady = false
    var network: FileDescriptor?
    while true {
      guard var received = try receive() else {
        if let failure { throw failure }
        throw silentDeath()
      }
      try checkTurn(of: received.report, isExec: plan == nil)
      switch received.report {
      case .userNamespaceReady:
        try moveStage1?(stage1.pid)
        if let plan { try prepareUsers(plan) }
        try order(.idsMapped)
      case .cloned(let pid):
        initProcess = SpawnedProcess(pid: pid, descriptor: try InitLaunch.check(received.takeDescriptor(), pid))
        try reapStage1()
      case .warning(let text): log.warning(text)
      case .note(let text): log.debug(text)
      case .mountsMade:
        reached = .mountsMade
      case .networkReady:
        isNetworkReady = true
        network = received.takeDescriptor()
      case .landlockPlaces(let places):
        landlockPlaces += places
      case .helpWanted(let help, let mount, let refused):
        wanted = (help, mount, refused)
      case .prepared:
        reached = .prepared
      case .listenerMade, .listenerHeld, .listenerGiven: continue  // Out of turn, and refused above.
      case .failed(let error):
        // With the pid known, or with the end of stage 1 if it was that one that failed, there is nothing to wait for.
        failure = error
      }
      // Stage 2 can be faster than the report of its clone: not before it is known, it would be left over if this failed. A
      // network that is joined is handed over by stage 1, which clones afterwards.
      if isNetworkReady, let plan, initProcess.pid != 0 || !plan.namespaces.created.contains(.newNetwork) {
        isNetworkReady = false
        try moveDevices(plan.netDevices, network.take())
        try order(.devicesMoved)
      }
      if initProcess.pid != 0 {
        if let failure { throw failure }
        if let (help, mount, refused) = wanted {
          wanted = nil
          try giveHelp(HelpRequest(help, mount: mount, refused: refused, pid: initProcess.pid))
        }
        if let reached {
          // All that it helps with are mounts; and it holds a copy of the channel, whose end stage 2 has to see.
          try helper?.end()
          helper = nil
          return reached
        }
      }
    }
  }

  /// The next report; nil when nobody is left who could send one. Before the child is announced that is stage 1: the child
  /// holds a copy of the channel and waits for an order, so if stage 1 dies in between there is no end of file.
  private func receive() throws(RuntimeError) -> ReceivedReport? {
    if initProcess.pid == 0 {
      let isGone = try describe(.initProtocol, "cannot wait for the init stage") { () throws(SystemError) -> Bool in
        let ready = try Poll.wait([
          (number: channel.number, events: Poll.readable), (number: stage1.descriptor.number, events: Poll.readable),
        ])
        if ready[0] != 0 { return false }
        // What it said may have come between the two looks.
        return try Poll.wait([(number: channel.number, events: Poll.readable)], timeout: 0)[0] == 0
      }
      if isGone { return nil }
    }
    return try channel.receive()
  }

  /// The other half of the channel is in the container from the clone on, where somebody may be allowed to trace it and send
  /// on it. Nothing that it says then may lead the runtime to act on another process, or, in a container that runs, to act
  /// for it at all.
  private func checkTurn(of report: InitReport, isExec: Bool) throws(RuntimeError) {
    switch report {
    case .warning, .note, .prepared, .failed: return
    case .cloned where initProcess.pid == 0: return
    case .userNamespaceReady where initProcess.pid == 0 && !isExec: return
    case .mountsMade where !isExec, .networkReady where !isExec, .helpWanted where !isExec: return
    case .landlockPlaces where !isExec: return
    default: throw RuntimeError(.initProtocol, "the init stage sent a message out of turn")
    }
  }

  /// The descriptor of a child with this number: pid files, managers and signals believe in both.
  private static func check(
    _ descriptor: consuming FileDescriptor?, _ pid: Int32
  ) throws(RuntimeError) -> FileDescriptor {
    guard let descriptor else {
      throw RuntimeError(.initProtocol, "the init stage announced a process without its descriptor")
    }
    let isChild = try describe(.initProtocol, "cannot look at the announced process") { () throws(SystemError) in
      try Processes.isChild(descriptor, pid)
    }
    if !isChild { throw RuntimeError(.initProtocol, "the init stage announced a process that is not its child") }
    return descriptor
  }

  /// Sees to the maps of the user namespace, and to the standard streams, which are the caller's: inside nobody has a right
  /// over them.
  private mutating func prepareUsers(_ plan: ContainerPlan) throws(RuntimeError) {
    var uidMap = plan.namespaces.uidMap
    if let joined = plan.namespaces.join(of: .newUser) {
      uidMap = try IDMapReader.check(joined, plan, pid: stage1.pid)
    } else {
      try IDMapWriter.write(plan, pid: stage1.pid)
      // Later the process lets nobody look who is not root.
      if UserNamespace.lacksRootOfHost() {
        do {
          userNamespace = try NamespaceIdentity("user", of: stage1.pid)
          if !plan.namespaces.created.contains(.newPID) && plan.namespaces.join(of: .newPID) == nil {
            pidNamespace = try NamespaceIdentity("pid", of: Processes.ownPid())
          }
        } catch {
          guard error.errno == .accessDenied || error.errno == .notPermitted else {
            throw error.because(.namespace, "cannot look at the new user namespace")
          }
          log.debug("cannot look at the new user namespace: \(error.text)")
        }
      }
    }
    self.uidMap = uidMap
    // With a terminal the container has others.
    guard let agent = plan.agent, !plan.hasTerminal, let owner = uidMap.outside(agent.uid) else { return }
    try describe(.credentials, "cannot prepare the standard streams") { () throws(SystemError) in
      for number in Int32(0)...2 { try StandardDescriptors.give(number, to: owner) }
    }
  }

  /// Lets the mount helper answer stage 2. It is started when it is first needed.
  private mutating func giveHelp(_ request: HelpRequest) throws(RuntimeError) {
    if helper == nil {
      helper = try MountHelperProcess(executable, memory, channel, initProcess.descriptor)
      log.debug("mount helper started")
    }
    try helper?.give(request)
  }

  /// With a socket in the container's network namespace.
  private mutating func moveDevices(
    _ plans: [NetDevicePlan], _ socket: consuming FileDescriptor?
  ) throws(RuntimeError) {
    guard let socket else {
      throw RuntimeError(.initProtocol, "the init stage announced its network without a socket")
    }
    do {
      mover = try NetDeviceMover.into(socket)
    } catch {
      throw error.because(.network, "cannot reach the container's network", field: "/linux/netDevices")
    }
    for plan in plans { try mover?.move(plan) }
  }

  /// Network devices go back to the host while nobody but us has seen them.
  mutating func takeDevicesBack() {
    for failure in mover?.takeBack() ?? [] { log.warning(failure.text) }
  }

  /// The process of the container, which is the caller's to wait for.
  mutating func takeProcess() -> SpawnedProcess {
    let pid = initProcess.pid
    var nothing = SpawnedProcess(pid: 0, descriptor: FileDescriptor(owning: -1))
    swap(&nothing, &initProcess)
    nothing.pid = pid
    return nothing
  }

  /// The hooks of the runtime have run.
  func goOn() throws(RuntimeError) {
    try order(.hooksRun)
  }

  /// What the command of `exec` could not be executed for; nil when it runs, or ended before it could say.
  func outcome(_ handover: ListenerHandover?, _ terms: ListenerTerms?) throws(RuntimeError) -> RuntimeError? {
    try channel.outcome(of: initProcess.descriptor, handover, terms)
  }

  /// Lets process 1 wait for `start`, and the process of `exec` go on.
  func commit(_ terms: ListenerTerms? = nil) throws(RuntimeError) {
    try order(.committed, terms)
  }

  private func order(_ order: RuntimeOrder, _ terms: ListenerTerms? = nil) throws(RuntimeError) {
    do {
      try channel.send(order, terms)
    } catch {
      // The other side has usually said why before it closed.
      if let received = try channel.receive(), case .failed(let reason) = received.report { throw reason }
      throw error.because(.initDied, "the init stage has gone")
    }
  }

  private mutating func reapStage1() throws(RuntimeError) {
    if stage1IsReaped { return }
    stage1IsReaped = true
    do {
      _ = try Processes.wait(stage1.pid)
    } catch {
      throw error.because(.spawn, "cannot wait for the init stage")
    }
  }

  /// The error for a child that ended without a word: with the signal, and what that may mean.
  private mutating func silentDeath() -> RuntimeError {
    let pid = initProcess.pid != 0 ? initProcess.pid : stage1.pid
    do {
      let status = try Processes.wait(pid)
      if initProcess.pid != 0 {
        initProcess = SpawnedProcess(pid: 0, descriptor: FileDescriptor(owning: -1))
      } else {
        stage1IsReaped = true
      }
      switch status {
      case .exited(let code):
        return RuntimeError(.initDied, "the init stage ended with status \(code) without a word")
      case .signaled(let signal):
        return RuntimeError(
          .initDied, "the init stage was killed by signal \(signal) (\(SignalName.name(of: signal) ?? "?"))",
          hint: signal == 9
            ? "if the memory limit of the container is very low, the kernel may have ended it" : "")
      }
    } catch {
      return error.because(.initDied, "the init stage has gone")
    }
  }

  /// Ends whatever was started, and waits for the end. What fails is answered: it cannot be undone further.
  mutating func abort() -> SystemError? {
    var failures: [SystemError] = []
    do {
      try helper?.abort()
    } catch {
      failures.append(error)
    }
    // Each of them, whatever became of the others.
    if initProcess.pid != 0 {
      if let failure = InitLaunch.end(initProcess) { failures.append(failure) }
      initProcess = SpawnedProcess(pid: 0, descriptor: FileDescriptor(owning: -1))
    }
    if !stage1IsReaped {
      stage1IsReaped = true
      if let failure = InitLaunch.end(stage1) { failures.append(failure) }
    }
    return failures.first
  }

  /// Kills a child and collects it.
  static func end(_ process: borrowing SpawnedProcess) -> SystemError? {
    do {
      try process.descriptor.sendSignal(9)
    } catch {
      // Ended already: then it only has to be collected.
      if error.errno != .noProcess { return error }
    }
    do {
      _ = try Processes.wait(process.pid)
      return nil
    } catch {
      return error
    }
  }
}

/// Stage 1 on its way, with what the runtime keeps of it.
private struct StartedStage: ~Copyable {
  let memory: FileDescriptor
  let socket: FileDescriptor
  let process: SpawnedProcess

  init(
    _ executable: borrowing FileDescriptor, _ payload: [UInt8], _ others: [Int32], _ cgroup: Int32
  ) throws(SystemError) {
    let memory = try FileDescriptor.sealedMemory("apus-payload", payload)
    let pair = try Socket.pair()
    process = try Spawn.start(
      executable, arguments: [InitPayload.argument0], environment: [],
      descriptors: [pair.second.number, memory.number] + others, cgroup: cgroup)
    // The end of the init stage is closed here, so that its death is an end of file.
    socket = pair.takeFirst()
    self.memory = memory
  }
}
