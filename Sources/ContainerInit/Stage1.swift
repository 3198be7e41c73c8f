import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The half of the init stage that is still on the host's side.
struct Stage1 {
  let payload: InitPayload
  let descriptors: InitDescriptors

  /// Joins the cgroups of v1, makes the user and time namespaces, and starts stage 2. Answers true in stage 1 and
  /// false in stage 2.
  func run(_ reporter: borrowing InitReporter) throws(RuntimeError) -> Bool {
    try joinCgroups()
    try enterNamespaces(reporter)
    if payload.namespaces.created.contains(.newUser) {
      try enterUserNamespace(reporter)
    }
    return try startStage2(reporter)
  }

  /// Writes 0, this process, into each `tasks` file. That form moves one thread that cannot go away meanwhile, and the
  /// kernel takes no global lock for it; a pid in `cgroup.procs` waits for a grace period of RCU, 10 ms and more.
  private func joinCgroups() throws(RuntimeError) {
    for index in 0..<payload.taskFiles {
      let tasks = FileDescriptor(owning: descriptors.firstCgroup + Int32(index))
      try describe(.cgroup, "cannot join the cgroup") { () throws(SystemError) in try tasks.write("0") }
    }
  }

  private func enterNamespaces(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    // Opened while /proc is the host's: a mount namespace that is joined has another one.
    let proc = try describe(.namespace, "cannot open the procfs of the host") { () throws(SystemError) in
      try ProcFileSystem.mounted()
    }
    if let agent = payload.agent { try AttributeExecutor.adjustOOMScore(agent.attributes, proc) }
    for namespace in payload.namespaces.joined {
      try join(namespace, proc)
      if namespace.kind == .newNetwork && payload.namespaces.takesNetDevices {
        try NetworkHandover.run(reporter)
      }
    }
    // Before the user namespace: the files in /proc of a process that is not dumpable are the host's root's, and the
    // offsets could not be written any more.
    if payload.namespaces.created.contains(.newTime) {
      try enterTimeNamespace(proc)
    }
  }

  /// With the rights of the host: a user namespace that is made later has none over the namespaces of others.
  private func join(_ namespace: JoinedNamespace, _ proc: borrowing ProcFileSystem) throws(RuntimeError) {
    let field = "/linux/namespaces/\(namespace.index)/path"
    let file: FileDescriptor
    do {
      // Not blocking: a fifo in its place would wait for ever.
      file = try FileDescriptor.open(namespace.path, [.readOnly, .nonBlocking])
    } catch {
      throw error.because(.namespace, "cannot open the namespace", field: field)
    }
    if !namespace.changedBy.isEmpty { try refuseOwn(namespace, file, proc) }
    do {
      try Namespaces.join(file, namespace.kind)
    } catch {
      let hint = error.errno == .invalid ? "the file is no namespace of this type" : ""
      throw error.because(.namespace, "cannot join the namespace `\(namespace.path)`", field: field, hint: hint)
    }
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
    if isOwn {
      throw RuntimeError(
        .configInvalid, "this is not allowed in the host's \(kind.ociName) namespace, which `\(namespace.path)` is",
        field: namespace.changedBy)
    }
  }

  private func enterUserNamespace(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    try describe(.namespace, "cannot make the user namespace") { () throws(SystemError) in
      try Namespaces.unshare(.newUser)
    }
    try describe(.initProtocol, "cannot ask for the id maps") { () throws(SystemError) in
      try reporter.send(.userNamespaceReady)
    }
    let order = try describe(.initProtocol, "no answer from the runtime") { () throws(SystemError) in
      try reporter.receive()
    }
    guard order == .idsMapped else {
      throw RuntimeError(.initProtocol, "the runtime ended before it had written the id maps")
    }
    // All capabilities came with the new namespace; the ids are those of its root from here on, so that files made
    // during the set-up belong to it. The groups of the caller are given up (and may be refused where setgroups is
    // denied, which the runtime decided).
    try describe(.credentials, "cannot become root of the user namespace") { () throws(SystemError) in
      try Credentials.setGroup(0)
      try Credentials.setUser(0)
    }
    // A change of ids makes the process dumpable again where the kernel's suid_dumpable says so (prctl(2)).
    try describe(.credentials, "cannot stay not dumpable") { () throws(SystemError) in
      try Processes.becomeNotDumpable()
    }
  }

  /// clone3 with CLONE_NEWTIME leaves no moment to write the offsets; after unshare(2) the children enter it.
  private func enterTimeNamespace(_ proc: borrowing ProcFileSystem) throws(RuntimeError) {
    try describe(.namespace, "cannot make the time namespace") { () throws(SystemError) in
      try Namespaces.unshare(.newTime)
    }
    if payload.namespaces.timeOffsets.isEmpty { return }
    try describe(.namespace, "cannot set the offsets of the time namespace", field: "/linux/timeOffsets") {
      () throws(SystemError) in
      try proc.writeOwn("timens_offsets", payload.namespaces.timeOffsets)
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
    let result = try describe(.spawn, "cannot start the first process of the container") {
      () throws(SystemError) in
      try Clone.fork(flags, cgroup: cgroup, exitSignal: 0)
    }
    switch consume result {
    case .child:
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
