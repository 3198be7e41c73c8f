import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The half of the init stage that is process 1 of the container.
struct Stage2 {
  let payload: InitPayload
  let descriptors: InitDescriptors
  /// What hooks start with, as they do in the runtime.
  private var callerUmask: UInt32 = 0o022
  /// Of limits that stage 1 has raised: hooks start with these.
  private let callerLimits: [LimitPlan]

  init(payload: InitPayload, descriptors: InitDescriptors, callerLimits: [LimitPlan]) {
    self.payload = payload
    self.descriptors = descriptors
    self.callerLimits = callerLimits
  }

  /// Prepares everything, waits for `start`, and becomes the agent command. Returns only to say what failed; a failure
  /// behind the filter or after `start` has been reported already and ends the process here.
  mutating func run(
    _ reporter: borrowing InitReporter, _ startSocket: borrowing FileDescriptor
  ) -> RuntimeError {
    do throws(RuntimeError) {
      try bindToRuntime(reporter)
      // What the set-up makes has the modes that the plan says.
      callerUmask = Credentials.setUmask(0)
      Signals.resetActions()
      try describe(.spawn, "cannot name the process") { () throws(SystemError) in
        try Processes.setName(InitPayload.processName)
      }
      if payload.namespaces.takesNetDevices && payload.namespaces.created.contains(.newNetwork) {
        try NetworkHandover.run(reporter)
      }
      if payload.namespaces.hasMountNamespace { try StandardStreams.shieldNull() }
      var rootFileSystem = RootFileSystem(payload: payload, consoleSocket: descriptors.consoleSocket)
      var proc = ProcFileSystem()
      do throws(RuntimeError) {
        for step in payload.steps {
          try execute(step, &rootFileSystem, &proc, reporter)
        }
      } catch {
        // A mount namespace of our own ends with this process; one that was joined is somebody else's.
        if payload.namespaces.joins(.newMount) { throw rootFileSystem.undo(error) }
        throw error
      }
      rootFileSystem.close()
      // It can write what the container must not.
      proc = ProcFileSystem()
      let agent = try Agent.prepare(payload, reporter)
      // Without a process the rules are for the commands of `exec`: about what is there now. As long as this one waits it
      // keeps the ruleset, and that the files, so that no other gets the number of one.
      let kept = try LandlockExecutor.prepare(payload.agent == nil ? payload.landlock : nil, reporter)
      try describe(.initProtocol, "cannot tell the runtime that the container is prepared") {
        () throws(SystemError) in
        // From here on its end is seen at the channel; and with its answer it may go.
        try Processes.setParentDeathSignal(0)
        try reporter.send(.prepared)
      }
      let order = try describe(.initProtocol, "no answer from the runtime") { () throws(SystemError) in
        try reporter.receive()
      }
      guard order == .committed else {
        // The runtime died or gave up: nobody will ever send `start`.
        Processes.exit(1)
      }
      waitForStart(startSocket, agent, kept)
    } catch {
      return error
    }
  }

  /// A runtime that is killed takes this process with it. Its caller may unmount the root as soon as it is gone, which this
  /// mount namespace follows: whatever was made then would lie in the folder below.
  private func bindToRuntime(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    try describe(.spawn, "cannot be told of the end of the runtime") { () throws(SystemError) in
      try Processes.setParentDeathSignal(9)
      // It may have come before that.
      if try reporter.isAbandoned { Processes.exit(1) }
    }
  }

  private func execute(
    _ step: InitStep, _ root: inout RootFileSystem, _ proc: inout ProcFileSystem,
    _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    switch step {
    case .startSession:
      try describe(.spawn, "cannot start a session") { () throws(SystemError) in try Processes.startSession()
      }
    case .newCgroupNamespace:
      try describe(.namespace, "cannot make the cgroup namespace") { () throws(SystemError) in
        try Namespaces.unshare(.newCgroup)
      }
    case .interfaceUp(let name):
      try describe(.network, "cannot set `\(name)` up") { () throws(SystemError) in
        try Namespaces.setInterfaceUp(name)
      }
    case .hostname(let name):
      try describe(.hostname, "cannot set the host name", field: "/hostname") { () throws(SystemError) in
        try Namespaces.setHostname(name)
      }
    case .domainname(let name):
      try describe(.hostname, "cannot set the domain name", field: "/domainname") { () throws(SystemError) in
        try Namespaces.setDomainname(name)
      }
    case .keyring(let name):
      try LabelExecutor.applyToKeys(payload.agent?.labels, proc)
      try SessionKeyring.join(name, searchableByOthers: payload.namespaces.hasUserNamespace)
    case .mountsMade:
      try waitForHooks(reporter)
    case .hooks(let hooks):
      try HookRunner(
        environment: payload.hooks.environment,
        state: InitHooks.document(payload.hooks.creatingState, pid: Processes.ownPid()),
        directory: root.directory, umask: Int32(callerUmask), limits: callerLimits
      ).run(hooks)
      try InitHookOrphans.reap()
    case .propagation(let change), .rootPropagation(let change):
      try describe(.mount, "cannot make the mounts \(change.text)", field: "/linux/rootfsPropagation") {
        () throws(SystemError) in
        try Mounts.setPropagationOfRoot(change.kind, recursive: change.recursive)
      }
    case .openProc:
      proc = try openProc()
    case .sysctl(let parameter):
      try describe(.sysctl, "cannot set kernel parameter `\(parameter.path)`", field: parameter.field) {
        () throws(SystemError) in
        // Nothing would be written for an empty text; a line without anything is the empty value of a text parameter.
        try proc.write("sys/\(parameter.path)", parameter.value.isEmpty ? "\n" : parameter.value)
      }
    case .processLabels:
      try LabelExecutor.apply(payload.agent?.labels ?? ProcessLabels(), proc)
    default:
      try root.execute(step, reporter)
    }
  }

  private func openProc() throws(RuntimeError) -> ProcFileSystem {
    let isLabelled = payload.agent?.labels.isEmpty == false
    return try describe(
      isLabelled ? .securityLabel : .sysctl, "cannot open a verified procfs",
      field: isLabelled ? "/process" : "/linux/sysctl"
    ) { () throws(SystemError) in
      try ProcFileSystem.own()
    }
  }

  private func waitForHooks(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    try describe(.initProtocol, "cannot tell the runtime that everything is mounted") {
      () throws(SystemError) in
      try reporter.send(.mountsMade)
    }
    let order = try describe(.initProtocol, "no answer from the runtime") { () throws(SystemError) in
      try reporter.receive()
    }
    guard order == .hooksRun else {
      throw RuntimeError(.initProtocol, "the runtime ended before it had run its hooks")
    }
  }

  /// Signals that end a program end the waiting process too. It has to see to that itself: for process 1 of a pid
  /// namespace the kernel drops what would take the default action.
  private func waitForConnection(_ startSocket: borrowing FileDescriptor) throws(SystemError) {
    var mask: UInt64 = 0
    for signal in [1, 2, 3, 10, 12, 14, 15] { mask |= 1 << UInt64(signal - 1) }
    let signals = try Signals.descriptor(mask)
    do {
      // Last of all: what is needed on the way to the kernel comes back at once. Not if `start` is there already.
      if try !Poll.wait(startSocket, for: Poll.readable, timeout: 0) { try ProgramImage.giveBack() }
    } catch {
      // It waits all the same, only larger.
    }
    let ready = try Poll.wait([(startSocket.number, Poll.readable), (signals.number, Poll.readable)])
    if ready[1] != 0 { Processes.exit(128 + (try Signals.next(signals))) }
  }

  /// From here on the other side is whoever calls `start`.
  private func waitForStart(
    _ startSocket: borrowing FileDescriptor, _ agent: consuming Agent?, _ kept: borrowing LandlockRuleset
  ) -> Never {
    while true {
      do throws(SystemError) {
        try waitForConnection(startSocket)
        let connection = try startSocket.accept()
        // A connection without an order only asks whether this process still waits. One that says nothing for a
        // second must not keep `start` out.
        guard try Poll.wait(connection, for: Poll.readable, timeout: 1000) else { continue }
        let reporter = InitReporter(connection)
        var terms = ListenerTerms()
        guard try reporter.receive(&terms) == .start else { continue }
        // Nor is an order one whose giver has gone, and has told his caller that it failed.
        guard try !reporter.isAbandoned else { continue }
        agent?.run(reporter, terms) { failure in failure.code == .executableNotFound ? 127 : 126 }
        let failure = RuntimeError(
          .configInvalid, "the container has no process to start", field: "/process",
          hint: "`process` is required by start")
        reporter.end(failure, status: 126)
      } catch {
        // Whoever connected has gone again; without the start socket nobody can come any more.
        if error.call == "accept4" { Processes.exit(1) }
      }
    }
  }
}

enum SessionKeyring {
  /// In a user namespace the user who joins later may have an id that is not the keyring's owner.
  static func join(_ name: String, searchableByOthers: Bool) throws(RuntimeError) {
    do {
      try Credentials.joinSessionKeyring(name, searchableByOthers: searchableByOthers)
    } catch {
      // A kernel without keys: then there is no keyring of the caller that the container could see.
      if error.errno == .notImplemented { return }
      throw error.because(
        .credentials, "cannot make the session keyring", hint: "--no-new-keyring does without")
    }
  }
}
