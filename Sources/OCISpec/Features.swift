/// What `features` prints (features.md). An absent property means unknown, not unsupported.
public struct Features: Equatable, Sendable {
  /// The oldest version of the specification that is taken.
  public var ociVersionMin: String?
  /// The newest version that is known.
  public var ociVersionMax: String?
  /// The names of hooks.
  public var hooks: [String]?
  /// The options of mounts, without those that filesystems take as data.
  public var mountOptions: [String]?
  /// The part for Linux.
  public var linux: LinuxFeatures?
  /// Facts of this implementation, such as its version.
  public var annotations: [NamedValue<String>]?
  /// Annotations that change what the container may do; with a dot at the end, a prefix.
  public var potentiallyUnsafeConfigAnnotations: [String]?

  public init(
    ociVersionMin: String? = nil, ociVersionMax: String? = nil, hooks: [String]? = nil,
    mountOptions: [String]? = nil, linux: LinuxFeatures? = nil, annotations: [NamedValue<String>]? = nil,
    potentiallyUnsafeConfigAnnotations: [String]? = nil
  ) {
    self.ociVersionMin = ociVersionMin
    self.ociVersionMax = ociVersionMax
    self.hooks = hooks
    self.mountOptions = mountOptions
    self.linux = linux
    self.annotations = annotations
    self.potentiallyUnsafeConfigAnnotations = potentiallyUnsafeConfigAnnotations
  }
}

/// The part of the features that is for Linux (features-linux.md). It is about what is built in, not about the host.
public struct LinuxFeatures: Equatable, Sendable {
  /// The types of namespaces.
  public var namespaces: [String]?
  /// The names of capabilities.
  public var capabilities: [String]?
  /// The cgroup managers.
  public var cgroup: CgroupFeatures?
  /// The system call filter.
  public var seccomp: SeccompFeatures?
  /// AppArmor.
  public var apparmor: EnabledFeature?
  /// SELinux.
  public var selinux: EnabledFeature?
  /// Intel RDT.
  public var intelRdt: IntelRDTFeatures?
  /// NUMA memory policies.
  public var memoryPolicy: MemoryPolicyFeatures?
  /// Extensions of mounts.
  public var mountExtensions: MountExtensionFeatures?
  /// Network devices that move into the container.
  public var netDevices: EnabledFeature?

  public init(
    namespaces: [String]? = nil, capabilities: [String]? = nil, cgroup: CgroupFeatures? = nil,
    seccomp: SeccompFeatures? = nil, apparmor: EnabledFeature? = nil, selinux: EnabledFeature? = nil,
    intelRdt: IntelRDTFeatures? = nil, memoryPolicy: MemoryPolicyFeatures? = nil,
    mountExtensions: MountExtensionFeatures? = nil, netDevices: EnabledFeature? = nil
  ) {
    self.namespaces = namespaces
    self.capabilities = capabilities
    self.cgroup = cgroup
    self.seccomp = seccomp
    self.apparmor = apparmor
    self.selinux = selinux
    self.intelRdt = intelRdt
    self.memoryPolicy = memoryPolicy
    self.mountExtensions = mountExtensions
    self.netDevices = netDevices
  }
}

/// A feature that is there or not.
public struct EnabledFeature: Equatable, Sendable {
  /// Whether it is.
  public var enabled: Bool?

  public init(enabled: Bool? = nil) {
    self.enabled = enabled
  }
}

/// The cgroup managers.
public struct CgroupFeatures: Equatable, Sendable {
  /// cgroup v1.
  public var v1: Bool?
  /// cgroup v2.
  public var v2: Bool?
  /// Through the systemd of the system.
  public var systemd: Bool?
  /// Through the systemd of a user.
  public var systemdUser: Bool?
  /// The rdma controller.
  public var rdma: Bool?

  public init(
    v1: Bool? = nil, v2: Bool? = nil, systemd: Bool? = nil, systemdUser: Bool? = nil, rdma: Bool? = nil
  ) {
    self.v1 = v1
    self.v2 = v2
    self.systemd = systemd
    self.systemdUser = systemdUser
    self.rdma = rdma
  }
}

/// The system call filter. The lists hold names as in the configuration.
public struct SeccompFeatures: Equatable, Sendable {
  /// Whether there is one.
  public var enabled: Bool?
  /// Actions.
  public var actions: [String]?
  /// Comparisons.
  public var operators: [String]?
  /// Architectures.
  public var archs: [String]?
  /// Flags that are understood.
  public var knownFlags: [String]?
  /// Flags that this kernel and this libseccomp take.
  public var supportedFlags: [String]?

  public init(
    enabled: Bool? = nil, actions: [String]? = nil, operators: [String]? = nil, archs: [String]? = nil,
    knownFlags: [String]? = nil, supportedFlags: [String]? = nil
  ) {
    self.enabled = enabled
    self.actions = actions
    self.operators = operators
    self.archs = archs
    self.knownFlags = knownFlags
    self.supportedFlags = supportedFlags
  }
}

/// Intel RDT.
public struct IntelRDTFeatures: Equatable, Sendable {
  /// Whether it is there at all.
  public var enabled: Bool?
  /// Whether `schemata` is.
  public var schemata: Bool?
  /// Whether `enableMonitoring` is.
  public var monitoring: Bool?

  public init(enabled: Bool? = nil, schemata: Bool? = nil, monitoring: Bool? = nil) {
    self.enabled = enabled
    self.schemata = schemata
    self.monitoring = monitoring
  }
}

/// NUMA memory policies. The lists hold names as in the configuration.
public struct MemoryPolicyFeatures: Equatable, Sendable {
  /// Modes.
  public var modes: [String]?
  /// Flags of modes.
  public var flags: [String]?

  public init(modes: [String]? = nil, flags: [String]? = nil) {
    self.modes = modes
    self.flags = flags
  }
}

/// Extensions of mounts.
public struct MountExtensionFeatures: Equatable, Sendable {
  /// Id-mapped mounts.
  public var idmap: EnabledFeature?

  public init(idmap: EnabledFeature? = nil) {
    self.idmap = idmap
  }
}
