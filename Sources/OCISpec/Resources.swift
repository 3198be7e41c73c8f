/// The limits of the container's cgroup (config-linux.md, "Control groups"), and the document that `update` reads.
public struct Resources: Equatable, Sendable {
  /// Rules of the device controller, in the order in which they apply.
  public var devices: [DeviceRule]?
  /// The memory controller.
  public var memory: MemoryResources?
  /// The cpu and cpuset controllers.
  public var cpu: CPUResources?
  /// The pids controller.
  public var pids: PidsResources?
  /// The io (or blkio) controller.
  public var blockIO: BlockIOResources?
  /// The hugetlb controller.
  public var hugepageLimits: [HugepageLimit]?
  /// The net_cls and net_prio controllers of cgroup v1.
  public var network: NetworkResources?
  /// The rdma controller, by device name.
  public var rdma: [NamedValue<RDMALimit>]?
  /// Files of cgroup v2 and what to write to them.
  public var unified: [NamedValue<String>]?

  public init(
    devices: [DeviceRule]? = nil, memory: MemoryResources? = nil, cpu: CPUResources? = nil,
    pids: PidsResources? = nil, blockIO: BlockIOResources? = nil, hugepageLimits: [HugepageLimit]? = nil,
    network: NetworkResources? = nil, rdma: [NamedValue<RDMALimit>]? = nil,
    unified: [NamedValue<String>]? = nil
  ) {
    self.devices = devices
    self.memory = memory
    self.cpu = cpu
    self.pids = pids
    self.blockIO = blockIO
    self.hugepageLimits = hugepageLimits
    self.network = network
    self.rdma = rdma
    self.unified = unified
  }
}

/// One rule of the device controller.
public struct DeviceRule: Equatable, Sendable {
  /// Whether the rule allows or denies.
  public var allow: Bool
  /// `a` (all), `c` or `b`. Absent: all.
  public var type: String?
  /// The major number. Absent, or -1: all.
  public var major: Int64?
  /// The minor number. Absent, or -1: all.
  public var minor: Int64?
  /// Letters out of `rwm`: read, write, make a node.
  public var access: String?

  public init(
    allow: Bool, type: String? = nil, major: Int64? = nil, minor: Int64? = nil, access: String? = nil
  ) {
    self.allow = allow
    self.type = type
    self.major = major
    self.minor = minor
    self.access = access
  }
}

/// Memory limits in bytes; -1 means no limit.
public struct MemoryResources: Equatable, Sendable {
  /// The limit.
  public var limit: Int64?
  /// The soft limit.
  public var reservation: Int64?
  /// The limit of memory and swap together.
  public var swap: Int64?
  /// Kernel memory. Deprecated: the kernel has no such limit any more.
  public var kernel: Int64?
  /// Buffers of TCP, cgroup v1 only.
  public var kernelTCP: Int64?
  /// How eagerly the kernel swaps, 0 to 100, cgroup v1 only.
  public var swappiness: UInt64?
  /// Whether processes wait instead of being killed, cgroup v1 only.
  public var disableOOMKiller: Bool?
  /// Whether child cgroups count too, cgroup v1 only.
  public var useHierarchy: Bool?
  /// Whether `update` refuses a limit below what is in use.
  public var checkBeforeUpdate: Bool?

  public init(
    limit: Int64? = nil, reservation: Int64? = nil, swap: Int64? = nil, kernel: Int64? = nil,
    kernelTCP: Int64? = nil, swappiness: UInt64? = nil, disableOOMKiller: Bool? = nil,
    useHierarchy: Bool? = nil, checkBeforeUpdate: Bool? = nil
  ) {
    self.limit = limit
    self.reservation = reservation
    self.swap = swap
    self.kernel = kernel
    self.kernelTCP = kernelTCP
    self.swappiness = swappiness
    self.disableOOMKiller = disableOOMKiller
    self.useHierarchy = useHierarchy
    self.checkBeforeUpdate = checkBeforeUpdate
  }
}

/// Limits of the cpu and cpuset controllers.
public struct CPUResources: Equatable, Sendable {
  /// The relative share of CPU time, in the units of cgroup v1 (1024 is one part).
  public var shares: UInt64?
  /// Microseconds of CPU time in one period; not above zero means no limit.
  public var quota: Int64?
  /// Microseconds that may be saved up for a burst.
  public var burst: UInt64?
  /// The length of a period in microseconds.
  public var period: UInt64?
  /// Microseconds for real-time policies, cgroup v1 only.
  public var realtimeRuntime: Int64?
  /// The period of that, in microseconds, cgroup v1 only.
  public var realtimePeriod: UInt64?
  /// The CPUs, a list such as `0-3,7`.
  public var cpus: String?
  /// The NUMA nodes, a list such as `0-1`.
  public var mems: String?
  /// 1: SCHED_IDLE for the whole cgroup, 0: the default.
  public var idle: Int64?

  public init(
    shares: UInt64? = nil, quota: Int64? = nil, burst: UInt64? = nil, period: UInt64? = nil,
    realtimeRuntime: Int64? = nil, realtimePeriod: UInt64? = nil, cpus: String? = nil, mems: String? = nil,
    idle: Int64? = nil
  ) {
    self.shares = shares
    self.quota = quota
    self.burst = burst
    self.period = period
    self.realtimeRuntime = realtimeRuntime
    self.realtimePeriod = realtimePeriod
    self.cpus = cpus
    self.mems = mems
    self.idle = idle
  }
}

/// The number of tasks.
public struct PidsResources: Equatable, Sendable {
  /// The most tasks there may be; -1 means no limit, and 0 is a real zero.
  public var limit: Int64?

  public init(limit: Int64? = nil) {
    self.limit = limit
  }
}

/// Weights and rates of block devices.
public struct BlockIOResources: Equatable, Sendable {
  /// The weight of the cgroup on all devices.
  public var weight: UInt16?
  /// The weight against child cgroups, cgroup v1 only.
  public var leafWeight: UInt16?
  /// Weights on single devices.
  public var weightDevice: [WeightDevice]?
  /// Bytes read in a second.
  public var throttleReadBpsDevice: [ThrottleDevice]?
  /// Bytes written in a second.
  public var throttleWriteBpsDevice: [ThrottleDevice]?
  /// Read operations in a second.
  public var throttleReadIOPSDevice: [ThrottleDevice]?
  /// Write operations in a second.
  public var throttleWriteIOPSDevice: [ThrottleDevice]?

  public init(
    weight: UInt16? = nil, leafWeight: UInt16? = nil, weightDevice: [WeightDevice]? = nil,
    throttleReadBpsDevice: [ThrottleDevice]? = nil, throttleWriteBpsDevice: [ThrottleDevice]? = nil,
    throttleReadIOPSDevice: [ThrottleDevice]? = nil, throttleWriteIOPSDevice: [ThrottleDevice]? = nil
  ) {
    self.weight = weight
    self.leafWeight = leafWeight
    self.weightDevice = weightDevice
    self.throttleReadBpsDevice = throttleReadBpsDevice
    self.throttleWriteBpsDevice = throttleWriteBpsDevice
    self.throttleReadIOPSDevice = throttleReadIOPSDevice
    self.throttleWriteIOPSDevice = throttleWriteIOPSDevice
  }
}

/// The weight on one block device. One of the two weights must be given.
public struct WeightDevice: Equatable, Sendable {
  /// The major number of the device.
  public var major: Int64
  /// The minor number of the device.
  public var minor: Int64
  /// The weight.
  public var weight: UInt16?
  /// The weight against child cgroups, cgroup v1 only.
  public var leafWeight: UInt16?

  public init(major: Int64, minor: Int64, weight: UInt16? = nil, leafWeight: UInt16? = nil) {
    self.major = major
    self.minor = minor
    self.weight = weight
    self.leafWeight = leafWeight
  }
}

/// The highest rate on one block device.
public struct ThrottleDevice: Equatable, Sendable {
  /// The major number of the device.
  public var major: Int64
  /// The minor number of the device.
  public var minor: Int64
  /// Bytes or operations in a second.
  public var rate: UInt64

  public init(major: Int64, minor: Int64, rate: UInt64) {
    self.major = major
    self.minor = minor
    self.rate = rate
  }
}

/// The limit for huge pages of one size.
public struct HugepageLimit: Equatable, Sendable {
  /// The size, as in the names of the hugetlb files: `2MB`, `1GB`.
  public var pageSize: String
  /// The limit in bytes.
  public var limit: UInt64

  public init(pageSize: String, limit: UInt64) {
    self.pageSize = pageSize
    self.limit = limit
  }
}

/// The network controllers of cgroup v1.
public struct NetworkResources: Equatable, Sendable {
  /// The class of the packets.
  public var classID: UInt32?
  /// The priority of traffic, by interface.
  public var priorities: [InterfacePriority]?

  public init(classID: UInt32? = nil, priorities: [InterfacePriority]? = nil) {
    self.classID = classID
    self.priorities = priorities
  }
}

/// The priority of traffic that leaves by one interface.
public struct InterfacePriority: Equatable, Sendable {
  /// The interface, in the runtime's network namespace.
  public var name: String
  /// The priority.
  public var priority: UInt32

  public init(name: String, priority: UInt32) {
    self.name = name
    self.priority = priority
  }
}

/// Limits for one RDMA device. One of the two must be given.
public struct RDMALimit: Equatable, Sendable {
  /// The most handles.
  public var hcaHandles: UInt32?
  /// The most objects.
  public var hcaObjects: UInt32?

  public init(hcaHandles: UInt32? = nil, hcaObjects: UInt32? = nil) {
    self.hcaHandles = hcaHandles
    self.hcaObjects = hcaObjects
  }
}
