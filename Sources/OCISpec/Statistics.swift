/// What the kernel has counted of a container's resources: the data of a `stats` event. Names and units are those of
/// runc's `types/events.go`, which managers read.
public struct ContainerStatistics: Equatable, Sendable {
  /// CPU time.
  public var cpu = CPUStatistics()
  /// The CPUs and memory nodes, of cgroup v1.
  public var cpuset = CpusetStatistics()
  /// Memory.
  public var memory = MemoryStatistics()
  /// The number of tasks.
  public var pids = PidsStatistics()
  /// Block devices.
  public var blockIO = BlockIOStatistics()
  /// Huge pages, by their size: `2MB`.
  public var hugePages: [NamedValue<HugePageStatistics>] = []
  /// Cache and memory bandwidth; empty for a container that is not in resctrl.
  public var intelRdt = IntelRdtStatistics()

  public init() {}
}

/// Times in nanoseconds since the cgroup was made.
public struct CPUStatistics: Equatable, Sendable {
  /// All CPU time.
  public var total: UInt64 = 0
  /// CPU time on each CPU, of cgroup v1.
  public var perCPU: [UInt64] = []
  /// That of it in the kernel.
  public var perCPUKernel: [UInt64] = []
  /// That of it outside of the kernel.
  public var perCPUUser: [UInt64] = []
  /// CPU time in the kernel.
  public var kernel: UInt64 = 0
  /// CPU time outside of the kernel.
  public var user: UInt64 = 0
  /// How many periods of the quota have passed.
  public var periods: UInt64 = 0
  /// In how many of them the quota was used up.
  public var throttledPeriods: UInt64 = 0
  /// How long tasks had to wait for that.
  public var throttledTime: UInt64 = 0
  /// How long tasks waited for a CPU; nil where the kernel does not tell.
  public var pressure: PressureStatistics?

  public init() {}
}

/// Pressure stall information (the kernel's psi.rst).
public struct PressureStatistics: Equatable, Sendable {
  /// The share of time in the last seconds, in hundredths of a percent.
  public struct Line: Equatable, Sendable {
    /// Of the last 10 seconds.
    public var average10: UInt64 = 0
    /// Of the last 60 seconds.
    public var average60: UInt64 = 0
    /// Of the last 300 seconds.
    public var average300: UInt64 = 0
    /// All of it, in microseconds.
    public var total: UInt64 = 0

    public init() {}

    /// The four numbers in the order of the file.
    package init(_ values: [UInt64]) {
      average10 = values[0]
      average60 = values[1]
      average300 = values[2]
      total = values[3]
    }
  }

  /// Some task waited.
  public var some = Line()
  /// All tasks waited.
  public var full = Line()

  public init() {}
}

/// The files of the v1 controller `cpuset`; nothing on v2.
public struct CpusetStatistics: Equatable, Sendable {
  /// The settings that are numbers. Each is the name of a file behind `cpuset.`.
  public static var settingNames: [StaticString] {
    [
      "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
      "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
    ]
  }

  /// The CPUs.
  public var cpus: [UInt16] = []
  /// The memory nodes.
  public var mems: [UInt16] = []
  /// The values in the order of ``settingNames``; empty where there are none.
  public var settings: [Int64] = []

  public init() {}
}

/// One kind of memory, in bytes.
public struct MemoryUsage: Equatable, Sendable {
  /// The limit; the largest number for none.
  public var limit: UInt64 = 0
  /// What is in use.
  public var usage: UInt64 = 0
  /// The most that was in use.
  public var peak: UInt64 = 0
  /// How often the limit was met, of cgroup v1.
  public var failures: UInt64 = 0

  public init() {}
}

/// Memory, in bytes.
public struct MemoryStatistics: Equatable, Sendable {
  /// Pages of files.
  public var cache: UInt64 = 0
  /// All memory.
  public var usage = MemoryUsage()
  /// Memory and swap together.
  public var swap = MemoryUsage()
  /// Memory of the kernel, of cgroup v1.
  public var kernel = MemoryUsage()
  /// Buffers of TCP, of cgroup v1.
  public var kernelTCP = MemoryUsage()
  /// The lines of `memory.stat`.
  public var raw: [NamedValue<UInt64>] = []
  /// How long tasks waited for memory; nil where the kernel does not tell.
  public var pressure: PressureStatistics?

  public init() {}
}

/// The number of tasks.
public struct PidsStatistics: Equatable, Sendable {
  /// How many there are.
  public var current: UInt64 = 0
  /// How many there may be; 0 for no limit.
  public var limit: UInt64 = 0

  public init() {}
}

/// One number about one block device.
public struct BlockIOEntry: Equatable, Sendable {
  /// The major number of the device.
  public var major: UInt64
  /// Its minor number.
  public var minor: UInt64
  /// `Read`, `Write`, …; may be empty.
  public var operation: String
  /// The number.
  public var value: UInt64

  public init(major: UInt64, minor: UInt64, operation: String, value: UInt64) {
    self.major = major
    self.minor = minor
    self.operation = operation
    self.value = value
  }
}

/// Block devices.
public struct BlockIOStatistics: Equatable, Sendable {
  /// By the name that they have in the event: `ioServiceBytesRecursive` in bytes, `ioServicedRecursive` in operations. Those
  /// that the kernel does not keep are missing.
  public var tables: [NamedValue<[BlockIOEntry]>] = []
  /// How long tasks waited for a device; nil where the kernel does not tell.
  public var pressure: PressureStatistics?

  public init() {}
}

/// Huge pages of one size, in bytes.
public struct HugePageStatistics: Equatable, Sendable {
  /// What is in use.
  public var usage: UInt64 = 0
  /// The most that was in use, of cgroup v1.
  public var peak: UInt64 = 0
  /// How often the limit was met.
  public var failures: UInt64 = 0

  public init() {}
}

/// The class of service of a container in resctrl.
public struct IntelRdtStatistics: Equatable, Sendable {
  /// A resource of the processor, from `info`.
  public struct Resource: Equatable, Sendable {
    /// The mask of the whole cache; empty for the memory bandwidth.
    public var mask = ""
    /// The numbers, each under its name in the event.
    public var numbers: [NamedValue<UInt64>] = []

    public init() {}
  }

  /// The L3 cache; nil where it cannot be divided.
  public var cache: Resource?
  /// The memory bandwidth; nil where it cannot be divided.
  public var bandwidth: Resource?
  /// Lines of `schemata`, each under its name in the event.
  public var schemas: [NamedValue<String>] = []
  /// Bytes that went to and from memory, one for each L3 cache: `mbm_total_bytes`, `mbm_local_bytes`.
  public var bandwidthUse: [[NamedValue<UInt64>]] = []
  /// Bytes in the cache, one for each L3 cache: `llc_occupancy`.
  public var cacheUse: [[NamedValue<UInt64>]] = []

  public init() {}
}

/// What `events` tells.
public enum ContainerEvent: Equatable, Sendable {
  /// The numbers of this moment.
  case statistics(ContainerStatistics)
  /// The container met its memory limit, and the kernel has ended a process for it (v2) or is about to (v1).
  case outOfMemory
}

/// How a process ended.
public enum ContainerExit: Equatable, Sendable {
  /// With this exit status.
  case status(Int32)
  /// By this signal.
  case signal(Int32)
}

/// How often a container met its limits.
public struct LimitEvents: Equatable, Sendable {
  /// Processes that the kernel has ended for want of memory; nil where it does not tell.
  public var oomKills: UInt64?
  /// Whether the container's own memory limit was met, or one below it; if not, a process was ended for want of memory
  /// elsewhere. Nil where the kernel does not tell, as on v1.
  public var isMemoryLimitMet: Bool?
  /// How often the container got no new task because of the limit of tasks; nil where the kernel does not tell.
  public var pidsLimitHits: UInt64?

  public init(oomKills: UInt64? = nil, isMemoryLimitMet: Bool? = nil, pidsLimitHits: UInt64? = nil) {
    self.oomKills = oomKills
    self.isMemoryLimitMet = isMemoryLimitMet
    self.pidsLimitHits = pidsLimitHits
  }
}
