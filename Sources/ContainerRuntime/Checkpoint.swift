import Cgroups
import Checkpoint
import ContainerPlan
public import Diagnostics
import JSON
import Linux
import LinuxABI
import OCISpec

/// What `checkpoint` and `restore` are both told. The names are those of criu(8).
public struct CriuSettings: Sendable {
  /// The folder of the images.
  public var imagePath: String
  /// The folder for logs and files that are only needed meanwhile; nil for that of the images.
  public var workPath: String?
  /// Connections of TCP may be open.
  public var establishedTCP = false
  /// Sockets of unix(7) may lead out of the container.
  public var externalUnixSockets = false
  /// The terminal may be one of the caller's.
  public var shellJob = false
  /// Locks of files are part of it.
  public var fileLocks = false
  /// Memory that is known from elsewhere goes out of the images before.
  public var autoDedup = false
  /// Memory comes when it is used.
  public var lazyPages = false
  /// `ignore`, `soft`, `full` or `strict`; nil for `ignore`, as runc has it.
  public var cgroupMode: String?

  public init(imagePath: String) {
    self.imagePath = imagePath
  }

  var mode: CriuCgroupMode { cgroupMode.flatMap { CriuCgroupMode(name: $0) } ?? .ignore }

  /// Whether a word names a way to deal with cgroups.
  public static func isCgroupMode(_ word: String) -> Bool { CriuCgroupMode(name: word) != nil }
}

/// What `checkpoint` is told.
public struct CheckpointOptions: Sendable {
  /// What it has in common with a restore.
  public var settings: CriuSettings
  /// The images before this one, relative to their folder; memory that has not changed since stays there.
  public var parentPath: String?
  /// The container goes on instead of being deleted.
  public var leavesRunning = false
  /// Connections that are only being made are left out.
  public var skipsTCPInFlight = false
  /// Files without a name may get one meanwhile.
  public var linkRemap = false
  /// Only the memory, and the container goes on.
  public var isPreDump = false
  /// Where the memory is sent to.
  public var pageServer: (address: String, port: UInt16)?
  /// A descriptor of this program that gets a zero byte, and is closed, when pages can be asked for; CRIU does not get it
  /// and says when. ``checkStatusDescriptor()`` has to come before this program opens any file.
  public var statusDescriptor: Int32?

  public init(_ settings: CriuSettings) {
    self.settings = settings
  }

  /// Fails where nothing would ever be written to it. A number that is not open would be that of a file that is opened later.
  public func checkStatusDescriptor() throws(RuntimeError) {
    guard let number = statusDescriptor else { return }
    if !settings.lazyPages || isPreDump {
      throw RuntimeError(
        .usage,
        isPreDump
          ? "nothing is written to descriptor \(number) by `--pre-dump`, which sends no pages later"
          : "nothing is written to descriptor \(number) without `--lazy-pages`",
        field: "--status-fd")
    }
    let isWritable: Bool
    do {
      isWritable = try FileDescriptor.isWritable(number)
    } catch {
      throw error.because(.usage, "cannot use descriptor \(number)", field: "--status-fd")
    }
    if !isWritable { throw RuntimeError(.usage, "descriptor \(number) cannot be written to", field: "--status-fd") }
  }
}

extension ContainerRuntime {
  /// Whether CRIU is there, without which there are no checkpoints.
  public static var canCheckpoint: Bool { CriuProcess.isThere }

  /// The error for a host without CRIU.
  public static func checkForCriu() throws(RuntimeError) { _ = try CriuProcess.find() }

  /// Saves the processes of a container that is running or paused, by CRIU. The container is deleted then, unless it is to go
  /// on.
  public func checkpoint(_ id: String, _ options: CheckpointOptions) throws(RuntimeError) {
    try checkID(id)
    let criu = try CriuProcess.find()
    try refuseWithoutRoot()
    let entry = try openSoon(id)
    guard let record = try entry.read() else {
      throw RuntimeError(.wrongStatus, "cannot checkpoint a container that is being created: `\(id)`")
    }
    let status = try status(record, entry, holdsLock: true)
    guard status == .running || status == .paused else {
      throw RuntimeError(
        status == .stopped ? .containerNotRunning : .wrongStatus,
        "container cannot be checkpointed: `\(id)` is \(status.name)")
    }
    try refuse(record, entry)
    try Dump.make(self, record, options).run(criu)
    if options.leavesRunning || options.isPreDump { return }
    destroy(record, entry)
  }

  func refuseWithoutRoot() throws(RuntimeError) {
    guard options.lacksRoot else { return }
    throw RuntimeError(.checkpointUnsupported, "checkpoints need root: CRIU may not look into containers of others")
  }

  /// What CRIU would not save, so that the container would come back without it.
  private func refuse(_ record: ContainerRecord, _ entry: borrowing StateStore.Entry) throws(RuntimeError) {
    if record.listener != nil {
      throw RuntimeError(
        .checkpointUnsupported, "cannot checkpoint `\(record.id)`: its seccomp filter has a listener",
        field: "/linux/seccomp/listenerPath")
    }
    if record.landlock != nil {
      throw RuntimeError(
        .checkpointUnsupported, "cannot checkpoint `\(record.id)`: CRIU does not save Landlock rulesets",
        field: "/annotations/\(LandlockConfig.annotation)")
    }
    if try entry.notifyFolder() != nil {
      throw RuntimeError(
        .checkpointUnsupported, "cannot checkpoint `\(record.id)`: it has a socket of sd_notify(3)",
        hint: "create it without NOTIFY_SOCKET")
    }
  }
}

/// The folders that CRIU reads and writes, opened once.
struct CriuFolders: ~Copyable {
  let images: FileDescriptor
  let work: FileDescriptor
  /// Absolute, for messages.
  let workPath: String

  /// With `makes` that of the images is made where it is missing.
  static func open(_ settings: CriuSettings, makes: Bool) throws(RuntimeError) -> CriuFolders {
    let images = try describe(
      .checkpointImage, "cannot open the folder of the images `\(settings.imagePath)`", field: "--image-path"
    ) { () throws(SystemError) -> FileDescriptor in
      if makes { return try makeHostDirectories(settings.imagePath, mode: 0o700) }
      return try FileDescriptor.open(settings.imagePath, [.readOnly, .directory])
    }
    let path = settings.workPath ?? settings.imagePath
    let work = try describe(.checkpointImage, "cannot open the folder for the log `\(path)`", field: "--work-path") {
      () throws(SystemError) -> FileDescriptor in
      try makeHostDirectories(path, mode: 0o700)
    }
    let workPath = try describe(.checkpointImage, "cannot find the path of `\(path)`", field: "--work-path") {
      () throws(SystemError) -> String in
      try work.hostPath()
    }
    return CriuFolders(images: images, work: work, workPath: workPath)
  }

  /// An error of CRIU's with what its log says.
  func explained(_ error: RuntimeError, _ log: String) -> RuntimeError {
    guard error.code == .criu else { return error }
    do {
      let reason = try CriuProcess.reason(work, log)
      let explained = reason.isEmpty || error.message.utf8.hasSuffix(reason.utf8) ? error : error.because(reason)
      return explained.hint.isEmpty ? explained.adding("see `\(workPath)/\(log)`") : explained
    } catch let failure {
      return error.adding(
        failure.errno == .noEntry
          ? "CRIU has left no log in `\(workPath)`" : "cannot read `\(workPath)/\(log)`: \(failure.text)")
    }
  }
}

extension String.UTF8View {
  fileprivate func hasSuffix(_ other: String.UTF8View) -> Bool { reversed().starts(with: other.reversed()) }
}

extension RuntimeError {
  /// The same with a reason that another program has told.
  fileprivate func because(_ reason: String) -> RuntimeError {
    var copy = RuntimeError(code, "\(message): \(reason)", field: field, cause: cause, hint: hint)
    copy.trail = trail
    return copy
  }
}

/// One run of `checkpoint`.
private struct Dump: ~Copyable {
  private let runtime: ContainerRuntime
  private let record: ContainerRecord
  private let options: CheckpointOptions
  private let plan: ContainerPlan
  private let folders: CriuFolders

  private static var log: String { "dump.log" }

  private init(
    runtime: ContainerRuntime, record: ContainerRecord, options: CheckpointOptions, plan: ContainerPlan,
    folders: consuming CriuFolders
  ) {
    self.runtime = runtime
    self.record = record
    self.options = options
    self.plan = plan
    self.folders = folders
  }

  /// With everything looked at that can be found wrong before CRIU is started.
  static func make(
    _ runtime: ContainerRuntime, _ record: ContainerRecord, _ options: CheckpointOptions
  ) throws(RuntimeError) -> Dump {
    let bundle = try during("cannot checkpoint `\(record.id)`") { () throws(RuntimeError) -> Bundle in
      try Bundle.load(record.bundle)
    }
    let plan = try runtime.makePlan(bundle, keyring: nil, noPivot: false)
    try CheckpointPlanning.refuse(plan)
    let folders = try CriuFolders.open(options.settings, makes: true)
    let dump = Dump(runtime: runtime, record: record, options: options, plan: plan, folders: folders)
    try dump.checkParent()
    return dump
  }

  private func checkParent() throws(RuntimeError) {
    guard let parent = options.parentPath else { return }
    if parent.utf8.first == 0x2F {
      throw RuntimeError(.usage, "expected a path relative to that of the images: `\(parent)`", field: "--parent-path")
    }
    do {
      _ = try folders.images.open(parent, [.path, .directory])
    } catch {
      throw error.because(.checkpointImage, "cannot open the folder of the images before", field: "--parent-path")
    }
  }

  func run(_ path: String) throws(RuntimeError) {
    var program = CriuProcess.program(path)
    let null = try describe(.criu, "cannot open `/dev/null`") { () throws(SystemError) in
      try FileDescriptor.open("/dev/null", .readWrite)
    }
    program.standard = (null.number, null.number, null.number)
    // Its reasons are told from there.
    try forget(Dump.log, in: folders.work, "--work-path")
    var criu = try CriuProcess.start(program)
    // After a pre-dump it waits for the next one.
    let patience: Int64? = options.isPreDump ? CriuProcess.patience : nil
    do {
      try run(&criu)
    } catch {
      let failure = removeNewDescription(criu.end(within: patience, after: error))
      throw folders.explained(failure.during("cannot checkpoint `\(record.id)`"), Dump.log)
    }
    do throws(RuntimeError) {
      let status = try criu.end(within: patience)
      if options.isPreDump || status == .exited(0) { return }
      throw RuntimeError(.criu, "CRIU failed at its end, with status \(status.shellStatus)")
    } catch {
      throw folders.explained(error.during("cannot checkpoint `\(record.id)`"), Dump.log)
    }
  }

  private func run(_ criu: inout CriuProcess) throws(RuntimeError) {
    if options.isPreDump { try criu.check(CriuFeatures(memoryTracking: true)) }
    if options.settings.lazyPages { try criu.check(CriuFeatures(lazyPages: true)) }
    if options.statusDescriptor != nil { try criu.require(31_500, for: "--status-fd") }
    var request = try basicOptions()
    var description = CheckpointDescription()
    if !options.isPreDump {
      description = try CheckpointPlanning.describe(record, plan)
      try write(description)
      // What an earlier one has left in the folder: from here on it is overwritten.
      try forget(CheckpointDescription.fileName, in: folders.images, "--image-path")
      for name in try ImageFiles.mountFiles(folders.images) { try forget(name, in: folders.images, "--image-path") }
      for mount in description.mounts + description.cgroups {
        request.externals.append("mnt[\(mount.path)]:\(mount.key)")
      }
      // A file of the host that a standard stream leads to.
      for stream in description.streams where stream.utf8.starts(with: "file[".utf8) {
        request.externals.append(stream)
      }
      for mask in description.masks { request.externals.append("mnt[\(mask)]:\(CheckpointDescription.maskKey)") }
    }
    for kind in ["net", "pid"] where plan.namespaces.joins(kind == "net" ? .newNetwork : .newPID) {
      let namespace = try describe(.namespace, "cannot look at the namespaces of process \(record.pid)") {
        () throws(SystemError) in
        try NamespaceIdentity(kind, of: record.pid)
      }
      request.externals.append("\(kind)[\(namespace.inode)]:\(CheckpointDescription.key(ofNamespace: kind))")
    }
    let kind: CriuRequestKind = options.isPreDump ? .preDump : .dump
    try criu.send(CriuRequest(kind, request))
    try follow(&criu, kind, description)
  }

  private func basicOptions() throws(RuntimeError) -> CriuOptions {
    var request = CriuOptions(imagesDirectory: folders.images.number, logFile: Dump.log, root: record.rootfs)
    request.workDirectory = folders.work.number
    request.process = record.pid
    request.parentImage = options.parentPath
    request.leavesRunning = options.leavesRunning
    request.skipsTCPInFlight = options.skipsTCPInFlight
    request.linkRemap = options.linkRemap
    request.pageServer = options.pageServer.map { ($0.address, Int32($0.port)) }
    request.freezerCgroup = record.cgroup.directory(of: "freezer")?.path
    try request.take(options.settings, plan)
    return request
  }

  /// What has happened so far.
  private struct Progress {
    var isTold = false
    var isKept = false
  }

  /// Answers what CRIU asks until it is done.
  private func follow(
    _ criu: inout CriuProcess, _ kind: CriuRequestKind, _ description: CheckpointDescription
  ) throws(RuntimeError) {
    var progress = Progress()
    do {
      try follow(&criu, kind, description, &progress)
    } catch {
      throw progress.isKept ? dropDescription(error) : error
    }
  }

  private func follow(
    _ criu: inout CriuProcess, _ kind: CriuRequestKind, _ description: CheckpointDescription,
    _ progress: inout Progress
  ) throws(RuntimeError) {
    while true {
      let message = try criu.receive()
      guard message.response.kind == CriuRequestKind.notify.rawValue else {
        guard message.response.isSuccess else { throw CriuProcess.failure(message.response, kind) }
        guard message.response.kind == kind.rawValue else {
          throw RuntimeError(.criu, "CRIU answers another request than `\(kind.name)`")
        }
        return
      }
      runtime.options.log.debug("CRIU: \(message.response.script)")
      if message.response.script == "status-ready" && !progress.isTold {
        progress.isTold = true
        tellReady()
      }
      if message.response.script == "post-dump" && kind == .dump {
        do {
          _ = try ImageFiles.mounts(folders.images).places(description.keys)
          // With the next answer the processes are ended, and the image is all there is.
          try keepDescription()
          progress.isKept = true
        } catch {
          // The container goes on: nobody could restore it.
          throw criu.refuse(error)
        }
      }
      try criu.send(CriuRequest(.notify, isSuccess: true))
    }
  }

  /// Whoever waits for the pages is told, and sees the end of it either way.
  private func tellReady() {
    guard let number = options.statusDescriptor else { return }
    do {
      _ = try FileDescriptor.writeOnce(number, [0])
    } catch {
      runtime.options.log.warning("cannot write to descriptor \(number): \(error.text)")
    }
    do {
      try Programs.closeDescriptor(number)
      // No other file gets the number of a standard stream.
      if number < 3 { try StandardDescriptors.fill() }
    } catch {
      runtime.options.log.warning("cannot close descriptor \(number): \(error.text)")
    }
  }

  private func write(_ description: CheckpointDescription) throws(RuntimeError) {
    do {
      let file = try folders.images.open(
        Dump.newDescription, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
      try file.write(description.encoded(.spaces) + [0x0A])
    } catch {
      throw error.because(.checkpointImage, "cannot write into the folder of the images", field: "--image-path")
    }
  }

  private static var newDescription: String { CheckpointDescription.fileName + ".new" }

  private func keepDescription() throws(RuntimeError) {
    do {
      try folders.images.rename(Dump.newDescription, to: CheckpointDescription.fileName)
    } catch {
      throw error.because(.checkpointImage, "cannot write into the folder of the images", field: "--image-path")
    }
  }

  /// After an error behind it: with a container that goes on the folder is no checkpoint.
  private func dropDescription(_ error: RuntimeError) -> RuntimeError {
    do throws(RuntimeError) {
      if try runtime.isAlive(record) { try forget(CheckpointDescription.fileName, in: folders.images, "--image-path") }
      return error
    } catch let second {
      return error.adding(second.text)
    }
  }

  private func forget(
    _ name: String, in folder: borrowing FileDescriptor, _ flag: String
  ) throws(RuntimeError) {
    do {
      try folder.unlink(name)
    } catch {
      if error.errno == .noEntry { return }
      throw error.because(.checkpointImage, "cannot remove `\(name)` of an earlier checkpoint", field: flag)
    }
  }

  /// After an error, which says so where that is not possible.
  private func removeNewDescription(_ error: RuntimeError) -> RuntimeError {
    if options.isPreDump { return error }
    do {
      try folders.images.unlink(Dump.newDescription)
    } catch let second {
      if second.errno == .noEntry { return error }
      return error.adding("`\(Dump.newDescription)` beside the images stays: \(second.text)")
    }
    return error
  }
}

extension CriuOptions {
  mutating func take(_ settings: CriuSettings, _ plan: ContainerPlan) throws(RuntimeError) {
    establishedTCP = settings.establishedTCP
    externalUnixSockets = settings.externalUnixSockets
    shellJob = settings.shellJob
    fileLocks = settings.fileLocks
    autoDedup = settings.autoDedup
    lazyPages = settings.lazyPages
    cgroupMode = settings.mode
    // Whoever has set up the network of a container does it again: by hooks, or around the container.
    if plan.namespaces.created.contains(.newNetwork) {
      emptyNamespaces = UInt32(truncatingIfNeeded: CloneFlags.newNetwork.rawValue)
    }
    // Those of the peers: whoever has set CRIU up for containers has done it there.
    let name = "org.criu.config"
    let file = plan.annotations.value(named: name) ?? "/etc/criu/runc.conf"
    if file.isEmpty { return }
    // It can name programs that CRIU executes, and annotations come from images too.
    let folder = "/etc/criu/"
    let rest = file.utf8.dropFirst(folder.utf8.count)
    guard file.utf8.starts(with: folder.utf8), !rest.isEmpty, !rest.contains(0x2F), rest.first != 0x2E else {
      throw RuntimeError(
        .configUnsupported, "expected the settings of CRIU in `/etc/criu`: `\(file)`", field: "/annotations/\(name)")
    }
    configFile = file
  }
}
