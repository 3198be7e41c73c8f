/// What CRIU is asked, by number as in its `images/rpc.proto`.
package enum CriuRequestKind: UInt64, Sendable, Equatable {
  case dump = 1
  case restore = 2
  case preDump = 4
  case notify = 6
  case featureCheck = 9
  case version = 10

  /// As CRIU's own messages call it.
  package var name: String {
    switch self {
    case .dump: "dump"
    case .restore: "restore"
    case .preDump: "pre-dump"
    case .notify: "notify"
    case .featureCheck: "feature check"
    case .version: "version"
    }
  }
}

/// Which of the kernel's features are asked about.
package struct CriuFeatures: Sendable, Equatable {
  package var memoryTracking: Bool
  package var lazyPages: Bool

  package init(memoryTracking: Bool = false, lazyPages: Bool = false) {
    self.memoryTracking = memoryTracking
    self.lazyPages = lazyPages
  }
}

/// A message to `criu swrk`.
package struct CriuRequest: Sendable {
  package var kind: CriuRequestKind
  package var options: CriuOptions?
  package var features: CriuFeatures?
  /// For an answer to a notification.
  package var isSuccess: Bool?
  /// Another request follows.
  package var staysOpen: Bool

  package init(
    _ kind: CriuRequestKind, _ options: CriuOptions? = nil, features: CriuFeatures? = nil, isSuccess: Bool? = nil,
    staysOpen: Bool = false
  ) {
    self.kind = kind
    self.options = options
    self.features = features
    self.isSuccess = isSuccess
    self.staysOpen = staysOpen
  }

  package func encode() -> [UInt8] {
    var writer = ProtobufWriter()
    writer.put(1, kind.rawValue)
    if let options { writer.put(2, options.message) }
    if let isSuccess { writer.put(3, isSuccess) }
    if staysOpen { writer.put(4, true) }
    if let features {
      var message = ProtobufWriter()
      if features.memoryTracking { message.put(1, true) }
      if features.lazyPages { message.put(2, true) }
      writer.put(5, message)
    }
    return writer.bytes
  }
}

/// How much of the cgroups CRIU saves and makes again (criu(8), `--manage-cgroups`).
package enum CriuCgroupMode: UInt64, Sendable, Equatable {
  case ignore = 0
  case soft = 3
  case full = 4
  case strict = 5

  package init?(name: String) {
    switch name {
    case "ignore": self = .ignore
    case "soft": self = .soft
    case "full": self = .full
    case "strict": self = .strict
    default: return nil
    }
  }
}

/// A name on one side, and what it stands for.
package struct CriuPair: Sendable, Equatable {
  package var key: String
  package var value: String

  package init(_ key: String, _ value: String) {
    self.key = key
    self.value = value
  }
}

/// The options of a dump or a restore. Numbers of descriptors are those in CRIU's process.
package struct CriuOptions: Sendable {
  package var imagesDirectory: Int32
  package var workDirectory: Int32?
  package var process: Int32?
  package var logFile: String
  package var root: String
  package var parentImage: String?
  package var configFile: String?
  package var freezerCgroup: String?
  package var pageServer: (address: String, port: Int32)?
  package var leavesRunning = false
  package var externalUnixSockets = false
  package var establishedTCP = false
  package var skipsTCPInFlight = false
  package var shellJob = false
  package var fileLocks = false
  package var linkRemap = false
  package var autoDedup = false
  package var lazyPages = false
  package var evasiveDevices = false
  package var isSibling = false
  package var cgroupMode = CriuCgroupMode.ignore
  package var cgroupRoots: [CriuPair] = []
  /// Namespaces that are made again without what is in them, as CLONE_NEW* flags.
  package var emptyNamespaces: UInt32 = 0
  package var externals: [String] = []
  package var joinedNamespaces: [CriuPair] = []
  package var inherited: [(key: String, number: Int32)] = []
  package var securityProfile: String?
  package var mountContext: String?

  package init(imagesDirectory: Int32, logFile: String, root: String) {
    self.imagesDirectory = imagesDirectory
    self.logFile = logFile
    self.root = root
  }

  var message: ProtobufWriter {
    var writer = ProtobufWriter()
    writer.put(1, imagesDirectory)
    if let process { writer.put(2, process) }
    // Everything that it does, for whoever reads the log.
    writer.put(9, Int32(4))
    writer.put(10, logFile)
    // notify_scripts, orphan_pts_master
    writer.put(12, true)
    writer.put(50, true)
    writer.put(13, root)
    putSwitches(&writer)
    putCgroups(&writer)
    if let workDirectory { writer.put(17, workDirectory) }
    if let parentImage {
      writer.put(14, parentImage)
      // track_mem: without it there is nothing to compare with.
      writer.put(15, true)
    }
    if let configFile { writer.put(51, configFile) }
    if emptyNamespaces != 0 { writer.put(38, UInt64(emptyNamespaces)) }
    for external in externals { writer.put(37, external) }
    for pair in joinedNamespaces { writer.put(39, CriuOptions.pair(pair)) }
    for inherited in inherited {
      var message = ProtobufWriter()
      message.put(1, inherited.key)
      message.put(2, inherited.number)
      writer.put(27, message)
    }
    if let pageServer {
      var message = ProtobufWriter()
      message.put(1, pageServer.address)
      message.put(2, pageServer.port)
      writer.put(11, message)
    }
    if let securityProfile { writer.put(53, securityProfile) }
    if let mountContext { writer.put(63, mountContext) }
    return writer
  }

  private func putSwitches(_ writer: inout ProtobufWriter) {
    let switches: [(UInt32, Bool)] = [
      (3, leavesRunning), (4, externalUnixSockets), (5, establishedTCP), (6, evasiveDevices), (7, shellJob),
      (8, fileLocks), (16, autoDedup), (18, linkRemap), (26, isSibling), (46, skipsTCPInFlight), (48, lazyPages),
    ]
    for (field, isOn) in switches where isOn { writer.put(field, true) }
  }

  private func putCgroups(_ writer: inout ProtobufWriter) {
    // manage_cgroups is what versions before the modes know.
    writer.put(24, true)
    writer.put(34, cgroupMode.rawValue)
    for root in cgroupRoots { writer.put(25, CriuOptions.pair(root)) }
    if let freezerCgroup { writer.put(44, freezerCgroup) }
  }

  private static func pair(_ pair: CriuPair) -> ProtobufWriter {
    var message = ProtobufWriter()
    message.put(1, pair.key)
    message.put(2, pair.value)
    return message
  }
}
