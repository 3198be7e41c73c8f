public import LinuxABI
public import OCISpec

/// Everything that will be done to make one container, worked out once from the configuration and the facts of the
/// host. A pure value: printing it is `apus plan`.
public struct ContainerPlan: Sendable {
  public var namespaces: NamespacePlan
  public var cgroup: CgroupPlan
  /// The seccomp profile, compiled by the runtime before anything is started; nil for none.
  public var seccomp: Seccomp?
  public var netDevices: [NetDevicePlan]
  public var intelRdt: IntelRdtPlan?
  /// The Landlock ruleset of every process of the container; nil for none.
  public var landlock: LandlockPlan?
  /// What the kernel will do of it, for the record.
  public var landlockState: LandlockState?
  /// The absolute path of the root file system.
  public var rootPath: String
  /// What init stage 2 does up to the new root, in order.
  public var steps: [InitStep]
  public var hooks: HookPlans
  /// What becomes the agent command; nil where `process` is absent, and then `start` fails.
  public var agent: AgentPlan?
  /// For the processes of `exec`; kept with the state.
  public var execCPUAffinity: ExecCPUAffinity?
  public var annotations: [NamedValue<String>]
  public var ociVersion: String
  /// What the specification says to warn about and carry on.
  public var warnings: [String]

  /// Whether the process gets a terminal of its own.
  public var hasTerminal: Bool {
    steps.contains { if case .console = $0 { true } else { false } }
  }
}

/// The seccomp profile of the plan: as the document has it.
public typealias Seccomp = SeccompProfile

public struct NamespacePlan: Sendable, Equatable {
  /// The namespaces that are made new.
  public var created: CloneFlags
  /// The namespaces of others that are joined, in the order in which they must be.
  public var joined: [JoinedNamespace]
  /// The lines for /proc/PID/uid_map and gid_map of a new user namespace, or those that a joined one must have; empty where
  /// the configuration has none.
  public var uidMap: [IDRange]
  public var gidMap: [IDRange]
  /// The lines for /proc/PID/timens_offsets; empty without offsets.
  public var timeOffsets: String
  /// Network devices of the host come into the network namespace.
  public var takesNetDevices = false

  public init(
    created: CloneFlags, joined: [JoinedNamespace] = [], uidMap: [IDRange] = [], gidMap: [IDRange] = [],
    timeOffsets: String = ""
  ) {
    self.created = created
    self.joined = joined
    self.uidMap = uidMap
    self.gidMap = gidMap
    self.timeOffsets = timeOffsets
  }
}

extension NamespacePlan {
  /// The container's mounts are not the host's: a new mount namespace, or one that is joined.
  public var hasMountNamespace: Bool { created.contains(.newMount) || joins(.newMount) }

  public var hasUserNamespace: Bool { created.contains(.newUser) || joins(.newUser) }

  public func joins(_ kind: CloneFlags) -> Bool { join(of: kind) != nil }

  public func join(of kind: CloneFlags) -> JoinedNamespace? {
    joined.first { $0.kind == kind }
  }
}

/// A namespace that somebody else made.
public struct JoinedNamespace: Sendable, Equatable {
  /// The one CLONE_NEW* flag of its kind.
  public var kind: CloneFlags
  /// Absolute on the host: a file of /proc/PID/ns, or one that such a file is bound on.
  public var path: String
  /// The place in `linux.namespaces`.
  public var index: UInt32
  /// The JSON pointer of a property that changes the namespace; then it must not be the runtime's own. Empty if none does.
  public var changedBy: String

  public init(kind: CloneFlags, path: String, index: UInt32, changedBy: String = "") {
    self.kind = kind
    self.path = path
    self.index = index
    self.changedBy = changedBy
  }
}

/// One line of user_namespaces(7) uid_map.
public struct IDRange: Sendable, Equatable {
  public var inside: UInt32
  public var outside: UInt32
  public var count: UInt32

  public init(inside: UInt32, outside: UInt32, count: UInt32) {
    self.inside = inside
    self.outside = outside
    self.count = count
  }
}

public struct CgroupPlan: Sendable {
  /// `linux.cgroupsPath`; nil where it is absent.
  public var path: String?
  public var resources: Resources?
  /// The device rules: those of the configuration, then those that the default devices need.
  public var deviceRules: [DeviceRule]
  /// The user of the container, as it is called inside, who gets the cgroup if it is one of v2; nil if nobody does.
  public var owner: UInt32?

  public init(path: String?, resources: Resources?, deviceRules: [DeviceRule], owner: UInt32? = nil) {
    self.path = path
    self.resources = resources
    self.deviceRules = deviceRules
    self.owner = owner
  }
}

/// The agent command and the privileges that it starts with.
public struct AgentPlan: Sendable, Equatable {
  public var arguments: [String]
  public var environment: [String]
  /// `process.cwd`, absolute inside of the container.
  public var workingDirectory: String
  public var uid: UInt32
  public var gid: UInt32
  public var additionalGids: [UInt32]
  public var umask: UInt32
  public var capabilities: CapabilityPlan
  public var noNewPrivileges: Bool
  public var limits: [LimitPlan]
  /// HOME is not in the environment and is looked up in the container's /etc/passwd.
  public var looksUpHome: Bool
  public var attributes: ProcessAttributes
  public var labels: ProcessLabels

  public init(
    arguments: [String], environment: [String], workingDirectory: String, uid: UInt32, gid: UInt32,
    additionalGids: [UInt32], umask: UInt32, capabilities: CapabilityPlan, noNewPrivileges: Bool,
    limits: [LimitPlan], looksUpHome: Bool, attributes: ProcessAttributes = ProcessAttributes(),
    labels: ProcessLabels = ProcessLabels()
  ) {
    self.arguments = arguments
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.uid = uid
    self.gid = gid
    self.additionalGids = additionalGids
    self.umask = umask
    self.capabilities = capabilities
    self.noNewPrivileges = noNewPrivileges
    self.limits = limits
    self.looksUpHome = looksUpHome
    self.attributes = attributes
    self.labels = labels
  }
}

/// The five sets of capabilities(7), bit N for capability N.
public struct CapabilityPlan: Sendable, Equatable {
  public var bounding: UInt64
  public var effective: UInt64
  public var permitted: UInt64
  public var inheritable: UInt64
  public var ambient: UInt64

  public init(
    bounding: UInt64 = 0, effective: UInt64 = 0, permitted: UInt64 = 0, inheritable: UInt64 = 0,
    ambient: UInt64 = 0
  ) {
    self.bounding = bounding
    self.effective = effective
    self.permitted = permitted
    self.inheritable = inheritable
    self.ambient = ambient
  }
}

/// One resource limit of setrlimit(2).
public struct LimitPlan: Sendable, Equatable {
  /// RLIMIT_* as a number.
  public var resource: Int32
  public var soft: UInt64
  public var hard: UInt64

  public init(resource: Int32, soft: UInt64, hard: UInt64) {
    self.resource = resource
    self.soft = soft
    self.hard = hard
  }
}
