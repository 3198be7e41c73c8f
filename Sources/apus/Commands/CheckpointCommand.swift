import ContainerRuntime
import Diagnostics

/// The flags that `checkpoint` and `restore` share.
struct CheckpointFlags: Equatable, Sendable {
  var imagePath: String
  var workPath: String?
  var tcpEstablished: Bool
  var extUnixSk: Bool
  var shellJob: Bool
  var fileLocks: Bool
  var autoDedup: Bool
  var lazyPages: Bool
  var cgroupMode: String?

  static let flags: [FlagSpecification] = [
    FlagSpecification(.imagePath, "image-path", value: "DIR", "the folder of the images (default: checkpoint)"),
    FlagSpecification(.workPath, "work-path", value: "DIR", "the folder of the log (default: that of the images)"),
    FlagSpecification(.tcpEstablished, "tcp-established", "connections of TCP may be open"),
    FlagSpecification(.extUnixSk, "ext-unix-sk", "sockets of unix(7) may lead out of the container"),
    FlagSpecification(.shellJob, "shell-job", "the terminal may be one of the caller's"),
    FlagSpecification(.fileLocks, "file-locks", "locks of files are part of it"),
    FlagSpecification(
      .manageCgroupsMode, "manage-cgroups-mode", value: "soft|full|strict|ignore",
      "how cgroups below the container's come back (default: ignore)"),
    FlagSpecification(
      .emptyNs, "empty-ns", value: "network", "a namespace that comes back empty; that of the network always does"),
    FlagSpecification(.autoDedup, "auto-dedup", "memory that is known elsewhere goes out of the images"),
    FlagSpecification(.lazyPages, "lazy-pages", "memory comes when it is used, by userfaultfd(2)"),
  ]

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    imagePath = scanned.text(.imagePath) ?? "checkpoint"
    workPath = scanned.text(.workPath)
    tcpEstablished = scanned.isOn(.tcpEstablished)
    extUnixSk = scanned.isOn(.extUnixSk)
    shellJob = scanned.isOn(.shellJob)
    fileLocks = scanned.isOn(.fileLocks)
    autoDedup = scanned.isOn(.autoDedup)
    lazyPages = scanned.isOn(.lazyPages)
    cgroupMode = scanned.text(.manageCgroupsMode)
    if let cgroupMode, !CriuSettings.isCgroupMode(cgroupMode) {
      throw RuntimeError(
        .usage, "invalid value `\(cgroupMode)`, expected `soft`, `full`, `strict` or `ignore`",
        field: "--manage-cgroups-mode")
    }
    for name in scanned.texts(.emptyNs) where name != "network" && !name.isEmpty {
      throw RuntimeError(.usage, "invalid value `\(name)`, expected `network`", field: "--empty-ns")
    }
  }

  var settings: CriuSettings {
    var settings = CriuSettings(imagePath: imagePath)
    settings.workPath = workPath
    settings.establishedTCP = tcpEstablished
    settings.externalUnixSockets = extUnixSk
    settings.shellJob = shellJob
    settings.fileLocks = fileLocks
    settings.autoDedup = autoDedup
    settings.lazyPages = lazyPages
    settings.cgroupMode = cgroupMode
    return settings
  }
}

/// `checkpoint`: the processes of a container become files.
struct CheckpointCommand: Equatable, Sendable {
  var id: String
  var common: CheckpointFlags
  var parentPath: String?
  var leaveRunning: Bool
  var tcpSkipInFlight: Bool
  var linkRemap: Bool
  var preDump: Bool
  var pageServer: PageServer?
  var statusDescriptor: Int32?

  /// `ADDRESS:PORT`, an address of IPv6 in brackets.
  struct PageServer: Equatable, Sendable {
    var address: String
    var port: UInt16
  }

  static var specification: CommandSpecification {
    CommandSpecification(
      "checkpoint", "save the processes of a container as files",
      operands: "<container-id>", operandCount: 1...1,
      flags: CheckpointFlags.flags + [
        FlagSpecification(.leaveRunning, "leave-running", "the container goes on instead of being deleted"),
        FlagSpecification(.preDump, "pre-dump", "only the memory, and the container goes on"),
        FlagSpecification(
          .parentPath, "parent-path", value: "DIR", "images that these go on from, relative to --image-path"),
        FlagSpecification(.tcpSkipInFlight, "tcp-skip-in-flight", "connections that are only being made are left out"),
        FlagSpecification(.linkRemap, "link-remap", "files without a name may get one meanwhile"),
        FlagSpecification(
          .pageServer, "page-server", value: "ADDRESS:PORT", "memory goes to the `criu page-server` there"),
        FlagSpecification(
          .statusFd, "status-fd", value: "N", "write a zero byte to this descriptor when --lazy-pages is ready"),
      ],
      description: """
        CRIU, which must be installed, saves the memory, the open files and all else of the container's
        processes. The container is running or paused, and is deleted then.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    common = try CheckpointFlags(scanned)
    parentPath = scanned.text(.parentPath)
    leaveRunning = scanned.isOn(.leaveRunning)
    tcpSkipInFlight = scanned.isOn(.tcpSkipInFlight)
    linkRemap = scanned.isOn(.linkRemap)
    preDump = scanned.isOn(.preDump)
    if let text = scanned.text(.pageServer) { pageServer = try CheckpointCommand.pageServer(text) }
    // -1 is runc's word for none.
    if let text = scanned.text(.statusFd), text != "-1" {
      // Where standard input is closed, something else has its number by now; errors go to the third.
      guard let number = Int32(text), number > 0, number != 2 else {
        throw RuntimeError(
          .usage, "invalid value `\(text)`, expected a descriptor other than standard input and standard error",
          field: "--status-fd")
      }
      statusDescriptor = number
    }
  }

  private static func pageServer(_ text: String) throws(RuntimeError) -> PageServer {
    let bytes = Array(text.utf8)
    if let colon = bytes.lastIndex(of: 0x3A), colon > 0 {
      var address = bytes[..<colon]
      if address.first == 0x5B && address.last == 0x5D && address.count > 2 { address = address.dropFirst().dropLast() }
      let port = String(decoding: bytes[(colon + 1)...], as: UTF8.self)
      if let port = UInt16(port), port != 0 {
        return PageServer(address: String(decoding: address, as: UTF8.self), port: port)
      }
    }
    throw RuntimeError(.usage, "invalid value `\(text)`, expected ADDRESS:PORT", field: "--page-server")
  }

  /// What the library is told.
  var options: CheckpointOptions {
    var options = CheckpointOptions(common.settings)
    options.parentPath = parentPath
    options.leavesRunning = leaveRunning
    options.skipsTCPInFlight = tcpSkipInFlight
    options.linkRemap = linkRemap
    options.isPreDump = preDump
    options.pageServer = pageServer.map { ($0.address, $0.port) }
    options.statusDescriptor = statusDescriptor
    return options
  }

  func checkDescriptors() throws(RuntimeError) { try options.checkStatusDescriptor() }

  func run(_ session: Session) throws(RuntimeError) { try session.runtime().checkpoint(id, options) }
}

/// `restore`: a container goes on from such files.
struct RestoreCommand: Equatable, Sendable {
  var id: String
  var common: CheckpointFlags
  var bundle: String
  var pidFile: String?
  var consoleSocket: String?
  var detach: Bool
  var noSubreaper: Bool
  var lsmProfile: String?
  var lsmMountContext: String?

  static var specification: CommandSpecification {
    CommandSpecification(
      "restore", "make a container that goes on from a checkpoint",
      operands: "<new-container-id>", operandCount: 1...1,
      flags: CheckpointFlags.flags + [
        ContainerFlags.bundleFlag,
        FlagSpecification(.pidFile, "pid-file", value: "FILE", "write the container's process id to this file"),
        FlagSpecification(
          .consoleSocket, "console-socket", value: "SOCKET", "send the terminal of the process to this socket"),
        FlagSpecification(.detach, "detach", short: "d", "do not wait"),
        FlagSpecification(.noSubreaper, "no-subreaper", "do not collect orphans of the container"),
        FlagSpecification(.noPivot, "no-pivot", "accepted and without effect: CRIU finds its own way to the root"),
        FlagSpecification(
          .lsmProfile, "lsm-profile", value: "TYPE:NAME",
          "another profile or label, as `apparmor:NAME` or `selinux:LABEL`"),
        FlagSpecification(
          .lsmMountContext, "lsm-mount-context", value: "LABEL", "another context of SELinux for the mounts"),
      ],
      description: """
        Makes a container from a bundle like the one that was saved by `checkpoint`, whose processes go on
        where they were. Without `--detach` it is waited for and deleted as with `run`.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    common = try CheckpointFlags(scanned)
    bundle = scanned.text(.bundle) ?? "."
    pidFile = scanned.text(.pidFile)
    consoleSocket = scanned.text(.consoleSocket)
    detach = scanned.isOn(.detach)
    noSubreaper = scanned.isOn(.noSubreaper)
    lsmProfile = scanned.text(.lsmProfile)
    lsmMountContext = scanned.text(.lsmMountContext)
    if let lsmProfile {
      let isKnown = ["apparmor:", "selinux:"].contains {
        lsmProfile.utf8.starts(with: $0.utf8) && lsmProfile.utf8.count > $0.utf8.count
      }
      guard isKnown else {
        throw RuntimeError(
          .usage, "invalid value `\(lsmProfile)`, expected `apparmor:NAME` or `selinux:LABEL`", field: "--lsm-profile")
      }
    }
  }

  func run(_ session: Session) throws(RuntimeError) -> Int32 {
    var options = RestoreOptions(common.settings, bundle: bundle)
    options.pidFile = pidFile
    options.consoleSocket = consoleSocket
    options.securityProfile = lsmProfile
    options.mountContext = lsmMountContext
    return try session.runtime().restore(id, options, detach: detach, subreaper: !noSubreaper)
  }
}
