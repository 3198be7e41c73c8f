import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The init stage of `exec`: it joins a container that is there and becomes a command in it.
///
/// The container may be hostile, and a root in it that may trace could open each descriptor of a process that it sees. So
/// this process is not dumpable from the beginning (CVE-2016-9962), and nothing of the host is open in it when it is cloned
/// into the pid namespace but the sockets to the runtime. A container in the pid namespace of the host sees it before;
/// besides these there are a pidfd of its own first process and its own root directory open then.
struct ExecStage {
  private(set) var payload: InitPayload
  let descriptors: InitDescriptors
  let join: ExecJoin

  /// Returns only to say what failed.
  mutating func run(
    _ reporter: borrowing InitReporter, container: borrowing FileDescriptor
  ) throws(RuntimeError) -> RuntimeError {
    try joinCgroups()
    try adjust(reporter)
    if join.kinds.contains(.newMount) { try StandardStreams.shieldHostNull() }
    try enter(container)
    // All that is left open is the channel, a socket for the terminal, and what the caller passes to the command.
    try closeHost()
    if try !startInside(reporter) { Processes.exit(0) }
    return inside(reporter)
  }

  // MARK: On the host's side

  /// As in ``Stage1``; the process was born in its cgroup of v2.
  private func joinCgroups() throws(RuntimeError) {
    for index in 0..<payload.taskFiles {
      let tasks = FileDescriptor(owning: descriptors.firstCgroup + Int32(index))
      try describe(.cgroup, "cannot join the cgroup") { () throws(SystemError) in try tasks.write("0") }
    }
  }

  /// What takes rights of the host, and the labels, which the process that is made later inherits: they are written where nothing
  /// of the container can lie over the files.
  private func adjust(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    guard let agent = payload.agent else { return }
    if join.kinds.contains(.newUser) { _ = try LateLimits.raiseHard(agent.limits) }
    if agent.attributes.oomScoreAdjustment == nil && agent.labels.isEmpty { return }
    let proc = try describe(.processAttribute, "cannot open the procfs of the host") { () throws(SystemError) in
      try ProcFileSystem.mounted()
    }
    try AttributeExecutor.adjustOOMScore(agent.attributes, proc, reporter)
    try LabelExecutor.apply(agent.labels, proc)
    if payload.steps.contains(where: { if case .keyring = $0 { true } else { false } }) {
      try LabelExecutor.applyToKeys(agent.labels, proc)
    }
  }

  private func enter(_ container: borrowing FileDescriptor) throws(RuntimeError) {
    var root = FileDescriptor(owning: -1)
    if !join.kinds.contains(.newMount) {
      // Without a mount namespace of its own the container has only its root directory to itself.
      root = try describe(.namespace, "cannot open the root directory of the container") { () throws(SystemError) in
        let directory = try FileDescriptor.open("/proc/\(join.pid)/root", [.path, .directory])
        // Still the same process, or the pid could have been another's.
        try container.sendSignal(0)
        return directory
      }
    }
    if join.kinds.contains(.newUser) {
      // As in ``Stage1``.
      try describe(.credentials, "cannot give up the groups") { () throws(SystemError) in
        try Credentials.giveUpGroups()
      }
    }
    try joinNamespaces(container)
    try stayNotDumpable()
    if root.number >= 0 {
      try describe(.namespace, "cannot enter the root directory of the container") { () throws(SystemError) in
        try Mounts.changeRoot(to: root)
      }
    }
    if join.kinds.contains(.newUser) {
      try describe(.credentials, "cannot become root of the user namespace") { () throws(SystemError) in
        try Credentials.setGroup(payload.namespaces.gidMap.setUpID)
        try Credentials.setUser(payload.namespaces.uidMap.setUpID)
      }
      try stayNotDumpable()
    }
  }

  /// A change of ids, or a user namespace of another user, makes a process dumpable again where suid_dumpable says so
  /// (prctl(2)).
  private func stayNotDumpable() throws(RuntimeError) {
    try describe(.credentials, "cannot stay not dumpable") { () throws(SystemError) in
      try Processes.becomeNotDumpable()
    }
  }

  private func joinNamespaces(_ container: borrowing FileDescriptor) throws(RuntimeError) {
    if join.kinds.isEmpty { return }
    do {
      try Namespaces.join(container, join.kinds)
      return
    } catch {
      if error.errno == .noProcess { throw ended(error) }
      // EPERM where a namespace belongs to the host and the user namespace does not: it has to be joined before that one.
      guard error.errno == .notPermitted, join.kinds.contains(.newUser) else {
        throw error.because(.namespace, "cannot join the namespaces of the container")
      }
      // The process that waits for `start` lets nobody look into it.
      if Processes.effectiveUser() != 0 {
        throw error.because(
          .namespace, "cannot join the namespaces of the container",
          hint: "without root only those of a container that runs can be joined: `start` it first")
      }
    }
    var left = join.kinds
    let kinds: [CloneFlags] = [.newNetwork, .newIPC, .newUTS, .newCgroup, .newTime, .newPID]
    do throws(SystemError) {
      for kind in kinds where left.contains(kind) {
        do {
          try Namespaces.join(container, kind)
          left.subtract(kind)
        } catch {
          // It belongs to the user namespace, which comes next.
          if error.errno != .notPermitted { throw error }
        }
      }
      try Namespaces.join(container, left)
    } catch {
      if error.errno == .noProcess { throw ended(error) }
      throw error.because(.namespace, "cannot join the namespaces of the container")
    }
  }

  private func ended(_ error: SystemError) -> RuntimeError {
    error.because(.containerNotRunning, "container not running: its first process has just ended")
  }

  private func closeHost() throws(RuntimeError) {
    let console = descriptors.consoleSocket
    try describe(.spawn, "cannot close the descriptors of the host") { () throws(SystemError) in
      if console < 0 {
        try Programs.closeRange(from: UInt32(descriptors.channel + 1), onExec: false)
      } else {
        try Programs.closeRange(from: UInt32(descriptors.channel + 1), upTo: UInt32(console - 1))
        try Programs.closeRange(from: UInt32(console + 1), onExec: false)
      }
    }
  }

  private func clone() throws(RuntimeError) -> CloneResult {
    do {
      return try Clone.fork(.parent, cgroup: -1, exitSignal: 0)
    } catch {
      // Nothing can be born in a pid namespace whose first process has ended.
      if error.errno == .noMemory && join.kinds.contains(.newPID) { throw ended(error) }
      throw error.because(.spawn, "cannot start a process in the container")
    }
  }

  // MARK: Inside

  /// Answers true in the new process. It is a child of the runtime, which has to be able to wait for it.
  private func startInside(_ reporter: borrowing InitReporter) throws(RuntimeError) -> Bool {
    switch try clone() {
    case .child:
      return true
    case .parent(let process):
      try describe(.initProtocol, "cannot announce the process") { () throws(SystemError) in
        try reporter.send(.cloned(pid: process.pid), passing: process.descriptor.number)
      }
      return false
    }
  }

  private mutating func inside(_ reporter: borrowing InitReporter) -> RuntimeError {
    do throws(RuntimeError) {
      Credentials.setUmask(0)
      Signals.resetActions()
      try describe(.spawn, "cannot name the process") { () throws(SystemError) in
        try Processes.setName(InitPayload.processName)
      }
      for step in payload.steps { try execute(step) }
      if !join.finalCPUs.isEmpty {
        try describe(.processAttribute, "cannot set the CPUs", field: "/process/execCPUAffinity/final") {
          () throws(SystemError) in
          _ = try Scheduling.setAffinity(join.finalCPUs)
        }
      }
      if join.setsListenPID {
        // sd_listen_fds(3) wants the number that the process has for itself.
        payload.agent?.environment.set("LISTEN_PID", "\(Processes.ownPid())")
      }
      guard var agent = try Agent.prepare(payload, reporter) else {
        throw RuntimeError(.initProtocol, "the payload has no command")
      }
      try describe(.initProtocol, "cannot tell the runtime that the process is prepared") {
        () throws(SystemError) in
        try reporter.send(.prepared)
      }
      var terms = ListenerTerms()
      let order = try describe(.initProtocol, "no answer from the runtime") { () throws(SystemError) in
        try reporter.receive(&terms)
      }
      // The runtime died or gave up.
      guard order == .committed else { Processes.exit(1) }
      agent.run(reporter, terms) { _ in 255 }
    } catch {
      return error
    }
  }

  private func execute(_ step: InitStep) throws(RuntimeError) {
    switch step {
    case .startSession:
      try describe(.spawn, "cannot start a session") { () throws(SystemError) in try Processes.startSession() }
    case .keyring(let name):
      try SessionKeyring.join(name, searchableByOthers: join.kinds.contains(.newUser))
    case .console(let console):
      let root = try describe(.terminal, "cannot open the root directory") { () throws(SystemError) in
        RootDirectory(try FileDescriptor.open("/", [.path, .directory]))
      }
      try Console.setUp(console, in: root, sendingTo: FileDescriptor(owning: descriptors.consoleSocket))
    default:
      throw RuntimeError(.initProtocol, "the payload has a step that `exec` does not know")
    }
  }
}
