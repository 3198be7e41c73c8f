import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The half of the init stage that is still on the host's side.
struct Stage1 {
  let payload: InitPayload
  let descriptors: InitDescriptors
  /// Without root there are no rights over anything before the user namespace is entered, and all over what belongs to it
  /// afterwards.
  let isUnprivileged = Processes.effectiveUser() != 0
  /// The limits of the caller that were raised; hooks have those.
  private(set) var callerLimits: [LimitPlan] = []

  init(payload: InitPayload, descriptors: InitDescriptors) {
    self.payload = payload
    self.descriptors = descriptors
  }

  /// Joins the cgroups of v1 and the namespaces given by path, makes the user and time namespaces, and starts stage 2.
  /// Answers true in stage 1 and false in stage 2.
  mutating func run(_ reporter: borrowing InitReporter) throws(RuntimeError) -> Bool {
    try joinCgroups()
    // Opened while /proc is the host's: a mount namespace that is joined has another one.
    let proc = try describe(.namespace, "cannot open the procfs of the host") { () throws(SystemError) in
      try ProcFileSystem.mounted()
    }
    if let agent = payload.agent {
      try AttributeExecutor.adjustOOMScore(agent.attributes, proc, reporter)
      if payload.namespaces.hasUserNamespace { callerLimits = try LateLimits.raiseHard(agent.limits) }
    }
    try enterNamespaces(proc, reporter)
    return try startStage2(reporter)
  }

  /// Writes 0, this process, into each `tasks` file. That form moves one thread that cannot go away meanwhile, and the
  /// kernel takes no global lock for it; a pid in `cgroup.procs` waits for a grace period of RCU, 10 ms and more.
  private func joinCgroups() throws(RuntimeError) {
    for index in (joinsInside ? 1 : 0)..<payload.taskFiles { try joinCgroup(index) }
  }

  private func joinCgroup(_ index: UInt32) throws(RuntimeError) {
    let tasks = FileDescriptor(owning: descriptors.firstCgroup + Int32(index))
    try describe(.cgroup, "cannot join the cgroup") { () throws(SystemError) in try tasks.write("0") }
  }

  /// The first of several, that of the memory, is left to stage 2: what the clone takes counts for who calls it, and a copy of
  /// all mounts of the host is more than some containers may have. A single one may be that of v2.
  private var joinsInside: Bool { payload.taskFiles > 1 }

  /// Root joins namespaces with the rights of the host, which hold over its own and over those that belong to any user
  /// namespace below; in a user namespace, new or joined, only those over its own are left. Others have no right before
  /// they are in it.
  private func enterNamespaces(
    _ proc: borrowing ProcFileSystem, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    guard payload.namespaces.hasUserNamespace else {
      try joinNamespaces(proc, reporter)
      return try enterTimeNamespace(proc)
    }
    try describe(.credentials, "cannot give up the groups") { () throws(SystemError) in
      // Where it is surely allowed to root: setgroups(2) may be denied in the user namespace, and the groups would stay.
      try Credentials.giveUpGroups()
    }
    if isUnprivileged {
      try enterUserNamespace(proc)
      try joinNamespaces(proc, reporter)
      try becomeRoot(reporter)
      // A change of ids makes a process not dumpable.
      if payload.namespaces.created.contains(.newUser) { try becomeDumpable() }
      try enterTimeNamespace(proc)
    } else {
      // Opened before a mount namespace is joined, in which the path may lead elsewhere.
      let user = try openUserNamespace(proc)
      try joinNamespaces(proc, reporter)
      // Before the user namespace: the files in /proc of a process that is not dumpable are the host's root's, and the
      // offsets could not be written any more.
      try enterTimeNamespace(proc)
      try enterUserNamespace(user)
      try becomeRoot(reporter)
    }
    // A change of ids, or a user namespace of another user, makes the process dumpable again where the kernel's
    // suid_dumpable says so (prctl(2)).
    try stayNotDumpable()
  }

  private func joinNamespaces(
    _ proc: borrowing ProcFileSystem, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    for namespace in payload.namespaces.joined where namespace.kind != .newUser {
      try join(namespace, try open(namespace, proc))
      if namespace.kind == .newNetwork && payload.namespaces.takesNetDevices {
        try NetworkHandover.run(reporter)
      }
    }
  }

  /// Number -1 where none is joined.
  private func openUserNamespace(_ proc: borrowing ProcFileSystem) throws(RuntimeError) -> FileDescriptor {
    guard let namespace = payload.namespaces.join(of: .newUser) else { return FileDescriptor(owning: -1) }
    return try open(namespace, proc)
  }

  private func enterUserNamespace(_ proc: borrowing ProcFileSystem) throws(RuntimeError) {
    try enterUserNamespace(try openUserNamespace(proc))
  }

  private func enterUserNamespace(_ file: borrowing FileDescriptor) throws(RuntimeError) {
    if let namespace = payload.namespaces.join(of: .newUser) {
      try join(namespace, file)
      return try stayNotDumpable()
    }
    // The runtime has to write the maps, and without root may do so only to a process that it may trace. Nobody else is in
    // the new namespace, and who has the same user without it may trace the caller as well.
    if isUnprivileged { try becomeDumpable() }
    try describe(.namespace, "cannot make the user namespace") { () throws(SystemError) in
      try Namespaces.unshare(.newUser)
    }
  }

  private func open(
    _ namespace: JoinedNamespace, _ proc: borrowing ProcFileSystem
  ) throws(RuntimeError) -> FileDescriptor {
    let file: FileDescriptor
    let isNamespace: Bool
    do throws(SystemError) {
      // Not opened before it is known to be a namespace: to open a device may do something.
      let place = try FileDescriptor.open(namespace.path, .path)
      isNamespace = try place.fileSystemType() == FileSystemMagic.nsfs.rawValue
      file = isNamespace ? try proc.openOwnLink("fd", "\(place.number)", .readOnly) : place
    } catch {
      throw error.because(.namespace, "cannot open the namespace", field: field(namespace))
    }
    if !isNamespace { throw refusal(namespace, SystemError("setns", .invalid)) }
    if !namespace.changedBy.isEmpty { try refuseOwn(namespace, file, proc) }
    return file
  }

  private func field(_ namespace: JoinedNamespace) -> String { "/linux/namespaces/\(namespace.index)/path" }

  private func join(_ namespace: JoinedNamespace, _ file: borrowing FileDescriptor) throws(RuntimeError) {
    do {
      try Namespaces.join(file, namespace.kind)
    } catch {
      throw refusal(namespace, error)
    }
  }

  private func refusal(_ namespace: JoinedNamespace, _ error: SystemError) -> RuntimeError {
    let hint = error.errno == .invalid ? "the file is no namespace of this type" : ""
    return error.because(
      .namespace, "cannot join the namespace `\(namespace.path)`", field: field(namespace), hint: hint)
  }

  /// What changes the container's namespace must not change the host's. Here, with the open file in hand, nobody can put
  /// another one at the path any more.
  private func refuseOwn(
    _ namespace: JoinedNamespace, _ file: borrowing FileDescriptor, _ proc: borrowing ProcFileSystem
  ) throws(RuntimeError) {
    guard let kind = NamespaceKind.allCases.first(where: { $0.cloneFlag == namespace.kind }) else { return }
    let isOwn = try describe(.namespace, "cannot look at the \(kind.ociName) namespace of the host") {
      () throws(SystemError) in
      let own = try proc.openOwnLink("ns", kind.procName, .readOnly).status()
      let other = try file.status()
      return own.inode == other.inode && own.device == other.device
    }
    if isOwn && kind == .user {
      throw RuntimeError(
        .configInvalid, "`\(namespace.path)` is the user namespace of the runtime, which is in it already",
        field: namespace.changedBy, hint: "leave the entry out to share it")
    }
    if isOwn {
      throw RuntimeError(
        .configInvalid, "this is not allowed in the host's \(kind.ociName) namespace, which `\(namespace.path)` is",
        field: namespace.changedBy)
    }
  }

  private func becomeDumpable() throws(RuntimeError) {
    try describe(.credentials, "cannot become dumpable") { () throws(SystemError) in try Processes.becomeDumpable() }
  }

  private func stayNotDumpable() throws(RuntimeError) {
    try describe(.credentials, "cannot stay not dumpable") { () throws(SystemError) in
      try Processes.becomeNotDumpable()
    }
  }

  /// Waits until the runtime has written the maps of the new user namespace, or has read those of the joined one.
  private func becomeRoot(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    try describe(.initProtocol, "cannot ask for the id maps") { () throws(SystemError) in
      try reporter.send(.userNamespaceReady)
    }
    let order = try describe(.initProtocol, "no answer from the runtime") { () throws(SystemError) in
      try reporter.receive()
    }
    guard order == .idsMapped else {
      throw RuntimeError(.initProtocol, "the runtime ended before it had seen to the id maps")
    }
    // All capabilities came with the new namespace; the ids are those of its root from here on, so that files made
    // during the set-up belong to it.
    try describe(.credentials, "cannot become root of the user namespace") { () throws(SystemError) in
      try Credentials.setGroup(payload.namespaces.gidMap.setUpID)
      try Credentials.setUser(payload.namespaces.uidMap.setUpID)
    }
    // The streams are the caller's, and only here somebody has a right over them (``StandardDescriptors``).
    guard isUnprivileged, let agent = payload.agent, descriptors.consoleSocket < 0 else { return }
    try describe(.credentials, "cannot prepare the standard streams") { () throws(SystemError) in
      for number in Int32(0)...2 { try StandardDescriptors.give(number, to: agent.uid) }
    }
  }

  /// clone3 with CLONE_NEWTIME leaves no moment to write the offsets; after unshare(2) the children enter it.
  private func enterTimeNamespace(_ proc: borrowing ProcFileSystem) throws(RuntimeError) {
    guard payload.namespaces.created.contains(.newTime) else { return }
    try describe(.namespace, "cannot make the time namespace") { () throws(SystemError) in
      try Namespaces.unshare(.newTime)
    }
    if payload.namespaces.timeOffsets.isEmpty { return }
    do {
      try proc.writeOwn("timens_offsets", payload.namespaces.timeOffsets)
    } catch {
      let isForeign = isUnprivileged && payload.namespaces.joins(.newUser)
      throw error.because(
        .namespace, "cannot set the offsets of the time namespace", field: "/linux/timeOffsets",
        hint: isForeign ? "without root they take a user namespace of the container's own" : "")
    }
  }

  private func clone(_ flags: CloneFlags, _ cgroup: Int32) throws(RuntimeError) -> CloneResult {
    do {
      return try Clone.fork(flags, cgroup: cgroup, exitSignal: 0)
    } catch {
      // A file may keep a pid namespace whose first process has ended: nothing can be born in it (pid_namespaces(7)).
      if error.errno == .noMemory, let namespace = payload.namespaces.join(of: .newPID) {
        throw error.because(
          .namespace, "cannot start a process in the pid namespace", field: field(namespace),
          hint: "its first process has probably ended")
      }
      throw error.because(.spawn, "cannot start the first process of the container")
    }
  }

  private func startStage2(_ reporter: borrowing InitReporter) throws(RuntimeError) -> Bool {
    var flags = payload.namespaces.created
    // Made by unshare(2) above; the cgroup namespace is made by stage 2, which is in its cgroup then: clone3 would
    // root the namespace at the cgroup of this process.
    flags.subtract([.newUser, .newTime, .newCgroup])
    // The child of our parent: the runtime and, when it is gone, the manager must be able to wait for it. clone3 wants
    // no exit signal together with CLONE_PARENT; it is the one of this process.
    flags.formUnion(.parent)
    let cgroup =
      payload.hasCgroupDirectory ? descriptors.firstCgroup + Int32(payload.taskFiles) : -1
    switch try clone(flags, cgroup) {
    case .child:
      if joinsInside { try joinCgroup(0) }
      // The cgroup's directory was opened on the host's side: a way up to the host's root for whoever executes
      // `/proc/self/fd/N/..` before close-on-exec takes effect (CVE-2024-21626). Closed, not marked.
      try describe(.spawn, "cannot close the descriptors of the cgroup") { () throws(SystemError) in
        try Programs.closeRange(from: UInt32(descriptors.firstCgroup), onExec: false)
      }
      return false
    case .parent(let process):
      try describe(.initProtocol, "cannot announce the first process of the container") {
        () throws(SystemError) in
        try reporter.send(.cloned(pid: process.pid), passing: process.descriptor.number)
      }
      return true
    }
  }
}
