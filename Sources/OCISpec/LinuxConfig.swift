/// The part of the configuration that is for Linux (config-linux.md).
public struct LinuxConfig: Equatable, Sendable {
  /// The namespaces to make or to join.
  public var namespaces: [Namespace]?
  /// The user ids of the user namespace.
  public var uidMappings: [IDMapping]?
  /// The group ids of the user namespace.
  public var gidMappings: [IDMapping]?
  /// Offsets of the clocks `monotonic` and `boottime` in a new time namespace.
  public var timeOffsets: [NamedValue<TimeOffset>]?
  /// Device nodes that must be there in the container.
  public var devices: [Device]?
  /// Network devices of the host, by name, that move into the container.
  public var netDevices: [NamedValue<NetDevice>]?
  /// The cgroup: a path for the cgroupfs driver, `slice:prefix:name` for the systemd driver.
  public var cgroupsPath: String?
  /// Limits of the cgroup.
  public var resources: Resources?
  /// Cache and memory bandwidth, by resctrl.
  public var intelRdt: IntelRDT?
  /// The NUMA memory policy of set_mempolicy(2).
  public var memoryPolicy: MemoryPolicy?
  /// Kernel parameters of the container's namespaces.
  public var sysctl: [NamedValue<String>]?
  /// The system call filter.
  public var seccomp: SeccompProfile?
  /// `shared`, `slave`, `private` or `unbindable`, and their `r` forms.
  public var rootfsPropagation: String?
  /// Absolute paths in the container that cannot be read.
  public var maskedPaths: [String]?
  /// Absolute paths in the container that cannot be written.
  public var readonlyPaths: [String]?
  /// The SELinux label of the mounts.
  public var mountLabel: String?
  /// The execution domain of personality(2).
  public var personality: Personality?

  public init(
    namespaces: [Namespace]? = nil, uidMappings: [IDMapping]? = nil, gidMappings: [IDMapping]? = nil,
    timeOffsets: [NamedValue<TimeOffset>]? = nil, devices: [Device]? = nil,
    netDevices: [NamedValue<NetDevice>]? = nil, cgroupsPath: String? = nil, resources: Resources? = nil,
    intelRdt: IntelRDT? = nil, memoryPolicy: MemoryPolicy? = nil, sysctl: [NamedValue<String>]? = nil,
    seccomp: SeccompProfile? = nil, rootfsPropagation: String? = nil, maskedPaths: [String]? = nil,
    readonlyPaths: [String]? = nil, mountLabel: String? = nil, personality: Personality? = nil
  ) {
    self.namespaces = namespaces
    self.uidMappings = uidMappings
    self.gidMappings = gidMappings
    self.timeOffsets = timeOffsets
    self.devices = devices
    self.netDevices = netDevices
    self.cgroupsPath = cgroupsPath
    self.resources = resources
    self.intelRdt = intelRdt
    self.memoryPolicy = memoryPolicy
    self.sysctl = sysctl
    self.seccomp = seccomp
    self.rootfsPropagation = rootfsPropagation
    self.maskedPaths = maskedPaths
    self.readonlyPaths = readonlyPaths
    self.mountLabel = mountLabel
    self.personality = personality
  }
}

/// One entry of `linux.namespaces`.
public struct Namespace: Equatable, Sendable {
  /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup` or `time`.
  public var type: String
  /// The absolute path of a namespace to join. Absent: a new one is made.
  public var path: String?

  public init(type: String, path: String? = nil) {
    self.type = type
    self.path = path
  }
}

/// A range of ids, as in user_namespaces(7).
public struct IDMapping: Equatable, Sendable {
  /// The first id inside.
  public var containerID: UInt32
  /// The first id outside.
  public var hostID: UInt32
  /// The number of ids.
  public var size: UInt32

  public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
    self.containerID = containerID
    self.hostID = hostID
    self.size = size
  }
}

/// The offset of one clock, time_namespaces(7).
public struct TimeOffset: Equatable, Sendable {
  /// Seconds.
  public var secs: Int64?
  /// Nanoseconds on top.
  public var nanosecs: UInt32?

  public init(secs: Int64? = nil, nanosecs: UInt32? = nil) {
    self.secs = secs
    self.nanosecs = nanosecs
  }
}

/// A device node that must be there in the container.
public struct Device: Equatable, Sendable {
  /// `c`, `b`, `u` (a character device too) or `p` (a FIFO).
  public var type: String
  /// The absolute path in the container.
  public var path: String
  /// The major number; required unless the type is `p`.
  public var major: Int64?
  /// The minor number; required unless the type is `p`.
  public var minor: Int64?
  /// The permission bits.
  public var fileMode: UInt32?
  /// The owner, in the container's user namespace.
  public var uid: UInt32?
  /// The group, in the container's user namespace.
  public var gid: UInt32?

  public init(
    type: String, path: String, major: Int64? = nil, minor: Int64? = nil, fileMode: UInt32? = nil,
    uid: UInt32? = nil, gid: UInt32? = nil
  ) {
    self.type = type
    self.path = path
    self.major = major
    self.minor = minor
    self.fileMode = fileMode
    self.uid = uid
    self.gid = gid
  }
}

/// A network device of the host that moves into the container.
public struct NetDevice: Equatable, Sendable {
  /// Its name inside. Absent: the name stays.
  public var name: String?

  public init(name: String? = nil) {
    self.name = name
  }
}

/// Intel Resource Director Technology, by the resctrl filesystem.
public struct IntelRDT: Equatable, Sendable {
  /// The class of service: the folder in resctrl. Absent: the id of the container.
  public var closID: String?
  /// Lines for the `schemata` file, written after the two below.
  public var schemata: [String]?
  /// The line for the L3 cache.
  public var l3CacheSchema: String?
  /// The line for the memory bandwidth.
  public var memBwSchema: String?
  /// Whether the container gets a monitoring group of its own.
  public var enableMonitoring: Bool?

  public init(
    closID: String? = nil, schemata: [String]? = nil, l3CacheSchema: String? = nil,
    memBwSchema: String? = nil, enableMonitoring: Bool? = nil
  ) {
    self.closID = closID
    self.schemata = schemata
    self.l3CacheSchema = l3CacheSchema
    self.memBwSchema = memBwSchema
    self.enableMonitoring = enableMonitoring
  }
}

/// The memory policy of set_mempolicy(2).
public struct MemoryPolicy: Equatable, Sendable {
  /// A name such as `MPOL_BIND`.
  public var mode: String
  /// A list of NUMA nodes such as `0-3`; some modes take none.
  public var nodes: String?
  /// Names such as `MPOL_F_STATIC_NODES`.
  public var flags: [String]?

  public init(mode: String, nodes: String? = nil, flags: [String]? = nil) {
    self.mode = mode
    self.nodes = nodes
    self.flags = flags
  }
}

/// The execution domain of personality(2).
public struct Personality: Equatable, Sendable {
  /// `LINUX` or `LINUX32`.
  public var domain: String
  /// None is defined today.
  public var flags: [String]?

  public init(domain: String, flags: [String]? = nil) {
    self.domain = domain
    self.flags = flags
  }
}
