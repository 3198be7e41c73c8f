import Cgroups
import Checkpoint
import ContainerPlan
public import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec
import Seccomp

/// What `restore` is told.
public struct RestoreOptions: Sendable {
  /// What it has in common with a checkpoint.
  public var settings: CriuSettings
  /// The folder that holds `config.json`.
  public var bundle: String
  /// Where the pid of the container's first process is written; nil for nowhere.
  public var pidFile: String?
  /// The stream socket that gets the master of the terminal; nil for none.
  public var consoleSocket: String?
  /// Another profile or label than the processes had: `apparmor:NAME` or `selinux:LABEL`.
  public var securityProfile: String?
  /// Another context of SELinux than the mounts had.
  public var mountContext: String?

  public init(_ settings: CriuSettings, bundle: String) {
    self.settings = settings
    self.bundle = bundle
  }
}

extension ContainerRuntime {
  /// Makes a container out of a bundle and the images of another one, which goes on where that one was. With `detach` it
  /// returns 0 then; else it waits in the foreground as ``run(_:_:detach:keep:subreaper:)`` does. When any step fails, all that
  /// was done before it is undone.
  public func restore(
    _ id: String, _ options: RestoreOptions, detach: Bool, subreaper: Bool
  ) throws(RuntimeError) -> Int32 {
    if detach {
      _ = try restoreContainer(id, options, .passed)
      return 0
    }
    var session = try ForegroundSession.begin(subreaper: subreaper)
    let terminal = session.foreground.terminal
    do throws(RuntimeError) {
      let container = try restoreContainer(id, options, .copied(terminal))
      do throws(RuntimeError) {
        try terminal.begin()
      } catch {
        destroy(container.record)
        throw error
      }
      let status = try session.foreground.wait(container.process, id, self.options.log)
      session.end()
      reportLimits(of: container.record, status)
      destroy(container.record)
      return status.shellStatus
    } catch {
      session.end()
      throw error
    }
  }

  private func restoreContainer(
    _ id: String, _ options: RestoreOptions, _ terminal: TerminalUse
  ) throws(RuntimeError) -> CreatedContainer {
    try checkID(id)
    let criu = try CriuProcess.find()
    try refuseWithoutRoot()
    let bundle = try Bundle.load(options.bundle)
    let plan = try makePlan(bundle, keyring: "_ses.\(id)", noPivot: false)
    try CheckpointPlanning.refuse(plan)
    for warning in plan.warnings { self.options.log.warning(warning) }
    try bundle.checkRoot(plan)
    let folders = try CriuFolders.open(options.settings, makes: false)
    let image = try RestoredImage.open(folders, plan)
    let cgroup = try CgroupSetup(plan, id: id, self.options)
    var resctrl: ResctrlGroup?
    if let rdt = plan.intelRdt { resctrl = try ResctrlGroup.find(rdt, id: id) }
    let filter = try compileFilter(plan)
    let sockets = try CallerSockets(
      hasTerminal: plan.hasTerminal, consoleSocket: options.consoleSocket, pidfdSocket: nil, terminal)
    let entry = try store.reserve(id)
    let record = ContainerRecord(
      id: id, ociVersion: plan.ociVersion, bundle: bundle.path, rootfs: plan.rootPath, created: Clock.now(),
      owner: Owner.name(of: Processes.effectiveUser()), annotations: plan.annotations, pid: 0, startTime: 0,
      processInode: 0, hasPidNamespace: plan.namespaces.created.contains(.newPID), cgroup: cgroup.record,
      poststart: plan.hooks.poststart, poststop: plan.hooks.poststop,
      execCPUAffinity: plan.execCPUAffinity ?? ExecCPUAffinity())
    var restoration = Restoration(
      runtime: self, plan: plan, filter: filter, image: image, cgroup: cgroup, resctrl: resctrl, sockets: sockets,
      record: record, options: options)
    do {
      return try restoration.run(criu, folders, entry)
    } catch {
      let explained = folders.explained(error, Restoration.log)
      restoration.undo(entry)
      throw explained.during("cannot restore `\(id)`")
    }
  }
}

/// One run of `restore`, with what has to be undone if it fails.
private struct Restoration: ~Copyable {
  let runtime: ContainerRuntime
  let plan: ContainerPlan
  let filter: SeccompProgram?
  let image: RestoredImage
  var cgroup: CgroupSetup
  var resctrl: ResctrlGroup?
  let sockets: CallerSockets
  private var record: ContainerRecord
  let options: RestoreOptions
  private var process = SpawnedProcess(pid: 0, descriptor: FileDescriptor(owning: -1))
  private var pidFileWritten = false
  private var hooksBegan = false

  static var log: String { "restore.log" }

  init(
    runtime: ContainerRuntime, plan: ContainerPlan, filter: SeccompProgram?, image: RestoredImage,
    cgroup: consuming CgroupSetup, resctrl: ResctrlGroup?, sockets: consuming CallerSockets, record: ContainerRecord,
    options: RestoreOptions
  ) {
    self.runtime = runtime
    self.plan = plan
    self.filter = filter
    self.image = image
    self.cgroup = cgroup
    self.resctrl = resctrl
    self.sockets = sockets
    self.record = record
    self.options = options
  }

  mutating func run(
    _ path: String, _ folders: borrowing CriuFolders, _ entry: borrowing StateStore.Entry
  ) throws(RuntimeError) -> CreatedContainer {
    // Before anything is made: if this process is killed, `delete` still finds what there may be.
    try entry.write(record)
    try entry.write(template([]))
    try cgroup.make()
    record.cgroup = cgroup.record
    if resctrl != nil {
      try resctrl?.make()
      record.resctrl = resctrl?.removedWithContainer ?? []
      record.joinedResctrl = resctrl?.joined ?? []
      try entry.write(record)
    }
    try image.makePlaces(plan)
    let root = try entry.makeCriuRoot()
    var program = CriuProcess.program(path)
    program.root = (plan.rootPath, root)
    program.keyring = "_ses.\(record.id)"
    // All that CRIU starts begins in the container's cgroup. When it is told to leave cgroups alone it makes no namespace of them.
    program.cgroups = record.cgroup.directories.map { "\($0.path)/cgroup.procs" }
    program.hasCgroupNamespace = plan.namespaces.created.contains(.newCgroup) && options.settings.mode == .ignore
    var namespaces: [FileDescriptorBox] = []
    var request = try request(folders, root, &namespaces)
    program.descriptors = namespaces.map { $0.descriptor.number }
    var criu = try CriuProcess.start(program)
    do {
      // CRIU mounts in its working directory, which has to be of its own mount namespace: it opens what this process has open.
      let work = try describe(.checkpointImage, "cannot open `\(folders.workPath)` for CRIU", field: "--work-path") {
        () throws(SystemError) in
        try FileDescriptor.open("/proc/\(criu.pid)/root\(folders.workPath)", [.readOnly, .directory])
      }
      request.workDirectory = work.number
      if options.securityProfile != nil { try criu.require(31_600, for: "--lsm-profile") }
      if options.mountContext != nil { try criu.require(31_600, for: "--lsm-mount-context") }
      try resctrl?.add(criu.pid)
      request.cgroupRoots = try cgroupRoots(criu.pid)
      try criu.send(CriuRequest(.restore, request))
      try follow(&criu, entry)
    } catch {
      throw criu.end(within: CriuProcess.patience, after: error)
    }
    let status = try criu.end(within: CriuProcess.patience)
    guard status == .exited(0) else {
      throw RuntimeError(.criu, "CRIU failed at its end, with status \(status.shellStatus)")
    }
    var restored = SpawnedProcess(pid: 0, descriptor: FileDescriptor(owning: -1))
    swap(&restored, &process)
    return CreatedContainer(record: record, process: restored)
  }

  private func request(
    _ folders: borrowing CriuFolders, _ root: String, _ files: inout [FileDescriptorBox]
  ) throws(RuntimeError) -> CriuOptions {
    var request = CriuOptions(imagesDirectory: folders.images.number, logFile: Restoration.log, root: root)
    request.workDirectory = folders.work.number
    request.evasiveDevices = true
    request.isSibling = true
    request.externals = image.externals + (try image.cgroups(cgroup.mounts))
    request.securityProfile = options.securityProfile
    request.mountContext = options.mountContext
    try request.take(options.settings, plan)
    for (number, stream) in image.description.streams.enumerated()
    where stream.utf8.starts(with: "pipe:[".utf8) || stream.utf8.starts(with: "file[".utf8) {
      request.inherited.append((stream, Int32(number)))
    }
    for joined in plan.namespaces.joined {
      let kind = CheckpointPlanning.name(joined.kind)
      if kind == "ipc" || kind == "uts" {
        request.joinedNamespaces.append(CriuPair(kind, joined.path))
        continue
      }
      do {
        files.append(FileDescriptorBox(try FileDescriptor.open(joined.path, .readOnly)))
      } catch {
        throw error.because(
          .namespace, "cannot open `\(joined.path)`", field: "/linux/namespaces/\(joined.index)/path")
      }
      // Behind the socket.
      request.inherited.append((CheckpointDescription.key(ofNamespace: kind), Int32(3 + files.count)))
    }
    return request
  }

  /// Where the cgroups of the image are made again.
  private func cgroupRoots(_ pid: Int32) throws(RuntimeError) -> [CriuPair] {
    if options.settings.mode == .ignore { return [] }
    return try ProcessCgroup.list(of: pid).map { CriuPair($0.controllers, $0.path) }
  }

  /// Answers what CRIU asks until the container goes on.
  private mutating func follow(
    _ criu: inout CriuProcess, _ entry: borrowing StateStore.Entry
  ) throws(RuntimeError) {
    while true {
      var message = try criu.receive()
      guard message.response.kind == CriuRequestKind.notify.rawValue else {
        guard message.response.isSuccess else { throw CriuProcess.failure(message.response, .restore) }
        guard message.response.kind == CriuRequestKind.restore.rawValue, process.pid != 0 else {
          throw RuntimeError(.criu, "CRIU answers another request than `restore`")
        }
        return
      }
      runtime.options.log.debug("CRIU: \(message.response.script)")
      do {
        try answer(&message, entry)
      } catch {
        // It ends what it has made.
        throw criu.refuse(error)
      }
      try criu.send(CriuRequest(.notify, isSuccess: true))
    }
  }

  private mutating func answer(
    _ message: inout CriuMessage, _ entry: borrowing StateStore.Entry
  ) throws(RuntimeError) {
    switch message.response.script {
    case "setup-namespaces":
      // Neither we nor the hooks touch the network of somebody else.
      try checkNamespaces(message.response.process, [(.newNetwork, "net")])
      // Before the hooks, as with `create`, and before the connections, which need a way to their other end.
      try setInterfacesUp(message.response.process)
      hooksBegan = true
      try runtime.run(plan.hooks.prestart + plan.hooks.createRuntime, record, .creating, pid: message.response.process)
    case "orphan-pts-master":
      guard let master = message.descriptor.take() else {
        throw RuntimeError(.terminal, "CRIU has made a terminal and sent none")
      }
      try pass(master)
    case "post-restore":
      // All processes are there and stand still.
      try adopt(message.response.process, entry)
    default: break
    }
  }

  private func pass(_ master: borrowing FileDescriptor) throws(RuntimeError) {
    guard sockets.console.number >= 0 else { return }
    do {
      try sockets.console.send([UInt8]("/dev/ptmx".utf8), passing: master.number)
    } catch {
      throw error.because(.terminal, "cannot send the terminal", field: "--console-socket")
    }
  }

  private mutating func adopt(_ pid: Int32, _ entry: borrowing StateStore.Entry) throws(RuntimeError) {
    var created: CloneFlags = []
    do throws(SystemError) {
      let descriptor = try Processes.open(pid)
      guard try Processes.isChild(descriptor, pid) else { throw SystemError("waitid", .noChild, "\(pid)") }
      record.startTime = try Processes.status(pid)?.startTime ?? 0
      record.processInode = try descriptor.status().inode
      // CRIU puts what it restores into a time namespace, so that its clocks go on.
      if try NamespaceIdentity("time", of: pid) != NamespaceIdentity("time", of: Processes.ownPid()) {
        created = .newTime
      }
      process = SpawnedProcess(pid: pid, descriptor: descriptor)
    } catch {
      throw error.because(.criu, "cannot look at the restored process")
    }
    try checkNamespaces(pid)
    try image.checkMounts(of: pid)
    do {
      try MountRestriction.apply(image.restrictions(plan), to: pid)
    } catch {
      throw error.because(.mount, "cannot set the attributes of the restored mounts")
    }
    // No code of the container's has run yet.
    try cgroup.applyLast(uidMap: [])
    record.pid = pid
    record.cgroup = cgroup.record
    record.devices = cgroup.devices
    try entry.write(template(created))
    try entry.write(record)
    if let pidFile = options.pidFile {
      try PidFile.write(pid, to: pidFile)
      pidFileWritten = true
    }
  }

  /// Which namespaces the processes have is said by the image alone.
  private func checkNamespaces(
    _ pid: Int32, _ which: [(CloneFlags, String)] = Restoration.namespaces
  ) throws(RuntimeError) {
    for (kind, name) in which {
      let join = plan.namespaces.join(of: kind)
      let isNew = plan.namespaces.created.contains(kind)
      let isRight: Bool
      do throws(SystemError) {
        let found = try NamespaceIdentity(name, of: pid)
        let expected =
          if let join { try NamespaceIdentity(path: join.path) } else {
            try NamespaceIdentity(name, of: Processes.ownPid())
          }
        isRight = (found == expected) != isNew
      } catch {
        throw error.because(.criu, "cannot look at the namespaces of the restored process")
      }
      if isRight { continue }
      throw RuntimeError(
        .checkpointImage,
        "the `\(name)` namespace of the restored process is "
          + (isNew ? "the runtime's own, and not a new one" : "another than that of the configuration"),
        field: "/linux/namespaces")
    }
  }

  private static var namespaces: [(CloneFlags, String)] {
    [
      (.newMount, "mnt"), (.newPID, "pid"), (.newNetwork, "net"), (.newIPC, "ipc"), (.newUTS, "uts"),
      (.newCgroup, "cgroup"), (.newUser, "user"),
    ]
  }

  /// As `create` does: the namespace is new, and CRIU has left it to whoever sets networks up.
  private func setInterfacesUp(_ pid: Int32) throws(RuntimeError) {
    for step in plan.steps {
      guard case .interfaceUp(let name) = step else { continue }
      do {
        try Namespaces.setInterfaceUp(name, in: pid)
      } catch {
        throw error.because(.network, "cannot set the interface `\(name)` up")
      }
    }
  }

  /// What `exec` needs.
  private func template(_ more: CloneFlags) -> ExecTemplate {
    var namespaces = plan.namespaces
    for joined in namespaces.joined { namespaces.created.formUnion(joined.kind) }
    namespaces.joined = []
    namespaces.created.formUnion(more)
    return ExecTemplate(
      namespaces: namespaces, agent: plan.agent, filter: filter?.instructions ?? [],
      filterFlags: filter?.flags.rawValue ?? 0, landlock: nil, keyring: "_ses.\(record.id)")
  }

  /// Takes back what was done.
  func undo(_ entry: borrowing StateStore.Entry) {
    if process.pid != 0, let failure = InitLaunch.end(process) {
      runtime.options.log.warning("cannot end the restored process: \(failure.text)")
    }
    runtime.undo(
      record, entry, cgroup, resctrl, pidFile: pidFileWritten ? options.pidFile : nil, runsPoststop: hooksBegan)
  }
}

/// An open file in a list.
private final class FileDescriptorBox {
  let descriptor: FileDescriptor

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}
