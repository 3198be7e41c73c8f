/// The scheduling policies of sched(7), as `process.scheduler.policy` names them.
public enum SchedulingPolicy: UInt32, Sendable, Hashable, CaseIterable {
  case other = 0
  case fifo = 1
  case roundRobin = 2
  case batch = 3
  /// Reserved; no kernel has it yet.
  case iso = 4
  case idle = 5
  case deadline = 6

  public init?(name: String) {
    switch name {
    case "SCHED_OTHER": self = .other
    case "SCHED_FIFO": self = .fifo
    case "SCHED_RR": self = .roundRobin
    case "SCHED_BATCH": self = .batch
    case "SCHED_ISO": self = .iso
    case "SCHED_IDLE": self = .idle
    case "SCHED_DEADLINE": self = .deadline
    default: return nil
    }
  }

  public var name: String {
    switch self {
    case .other: "SCHED_OTHER"
    case .fifo: "SCHED_FIFO"
    case .roundRobin: "SCHED_RR"
    case .batch: "SCHED_BATCH"
    case .iso: "SCHED_ISO"
    case .idle: "SCHED_IDLE"
    case .deadline: "SCHED_DEADLINE"
    }
  }

  /// Whether the policy goes by a static priority from 1 to 99.
  public var hasPriority: Bool { self == .fifo || self == .roundRobin }
}

/// The flags of sched_setattr(2), as `process.scheduler.flags` names them.
public struct SchedulingFlags: OptionSet, Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static var keepPolicy: SchedulingFlags { SchedulingFlags(rawValue: 0x08) }
  public static var keepParameters: SchedulingFlags { SchedulingFlags(rawValue: 0x10) }

  /// The one flag of that name; nil if there is none.
  public init?(name: String) {
    switch name {
    case "SCHED_FLAG_RESET_ON_FORK": self.init(rawValue: 0x01)
    case "SCHED_FLAG_RECLAIM": self.init(rawValue: 0x02)
    case "SCHED_FLAG_DL_OVERRUN": self.init(rawValue: 0x04)
    case "SCHED_FLAG_KEEP_POLICY": self = .keepPolicy
    case "SCHED_FLAG_KEEP_PARAMS": self = .keepParameters
    case "SCHED_FLAG_UTIL_CLAMP_MIN": self.init(rawValue: 0x20)
    case "SCHED_FLAG_UTIL_CLAMP_MAX": self.init(rawValue: 0x40)
    default: return nil
    }
  }
}

/// The classes of ioprio_set(2), as `process.ioPriority.class` names them.
public enum IOPriorityClass: UInt32, Sendable, Hashable, CaseIterable {
  case realtime = 1
  case bestEffort = 2
  case idle = 3

  public init?(name: String) {
    switch name {
    case "IOPRIO_CLASS_RT": self = .realtime
    case "IOPRIO_CLASS_BE": self = .bestEffort
    case "IOPRIO_CLASS_IDLE": self = .idle
    default: return nil
    }
  }

  /// The number that ioprio_set(2) takes for this class and a priority in it, 0 (first) to 7.
  public func value(priority: UInt32) -> UInt32 { rawValue << 13 | priority }
}

/// The modes of set_mempolicy(2), as `linux.memoryPolicy.mode` names them.
public enum MemoryPolicyMode: UInt32, Sendable, Hashable, CaseIterable {
  case `default` = 0
  case preferred = 1
  case bind = 2
  case interleave = 3
  case local = 4
  case preferredMany = 5
  case weightedInterleave = 6

  public init?(name: String) {
    guard let mode = MemoryPolicyMode.allCases.first(where: { $0.name == name }) else { return nil }
    self = mode
  }

  public var name: String {
    switch self {
    case .default: "MPOL_DEFAULT"
    case .preferred: "MPOL_PREFERRED"
    case .bind: "MPOL_BIND"
    case .interleave: "MPOL_INTERLEAVE"
    case .local: "MPOL_LOCAL"
    case .preferredMany: "MPOL_PREFERRED_MANY"
    case .weightedInterleave: "MPOL_WEIGHTED_INTERLEAVE"
    }
  }
}

/// The flags of set_mempolicy(2), which it takes together with the mode.
public enum MemoryPolicyFlag: UInt32, Sendable, Hashable, CaseIterable {
  case numaBalancing = 0x2000
  case relativeNodes = 0x4000
  case staticNodes = 0x8000

  public init?(name: String) {
    guard let flag = MemoryPolicyFlag.allCases.first(where: { $0.name == name }) else { return nil }
    self = flag
  }

  public var name: String {
    switch self {
    case .numaBalancing: "MPOL_F_NUMA_BALANCING"
    case .relativeNodes: "MPOL_F_RELATIVE_NODES"
    case .staticNodes: "MPOL_F_STATIC_NODES"
    }
  }
}

/// The execution domains of personality(2), as `linux.personality.domain` names them.
public enum ExecutionDomain: UInt32, Sendable, Hashable, CaseIterable {
  /// PER_LINUX
  case linux = 0
  /// PER_LINUX32: uname(2) names a 32-bit machine.
  case linux32 = 8

  public init?(name: String) {
    switch name {
    case "LINUX": self = .linux
    case "LINUX32": self = .linux32
    default: return nil
    }
  }
}
