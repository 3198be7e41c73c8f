import LinuxABI

/// What the kernel schedules a process by and where it takes its memory from; nil leaves what the caller has.
public struct ProcessAttributes: Sendable, Equatable {
  /// /proc/PID/oom_score_adj, -1000 to 1000.
  public var oomScoreAdjustment: Int32?
  public var scheduler: SchedulerPlan?
  /// Class and priority as ioprio_set(2) takes them.
  public var ioPriority: UInt32?
  /// The execution domain of personality(2).
  public var personality: UInt32?
  public var memoryPolicy: MemoryPolicyPlan?

  public init(
    oomScoreAdjustment: Int32? = nil, scheduler: SchedulerPlan? = nil, ioPriority: UInt32? = nil,
    personality: UInt32? = nil, memoryPolicy: MemoryPolicyPlan? = nil
  ) {
    self.oomScoreAdjustment = oomScoreAdjustment
    self.scheduler = scheduler
    self.ioPriority = ioPriority
    self.personality = personality
    self.memoryPolicy = memoryPolicy
  }
}

/// The attributes of sched_setattr(2); what the configuration leaves out is 0.
public struct SchedulerPlan: Sendable, Equatable {
  /// SCHED_* as a number.
  public var policy: UInt32
  public var flags: UInt64
  public var nice: Int32
  public var priority: UInt32
  /// In nanoseconds, as the two below.
  public var runtime: UInt64
  public var deadline: UInt64
  public var period: UInt64

  public init(
    policy: UInt32, flags: UInt64 = 0, nice: Int32 = 0, priority: UInt32 = 0, runtime: UInt64 = 0,
    deadline: UInt64 = 0, period: UInt64 = 0
  ) {
    self.policy = policy
    self.flags = flags
    self.nice = nice
    self.priority = priority
    self.runtime = runtime
    self.deadline = deadline
    self.period = period
  }
}

/// The memory policy of set_mempolicy(2).
public struct MemoryPolicyPlan: Sendable, Equatable {
  /// The mode and its flags.
  public var mode: UInt32
  public var nodes: [UInt32]

  public init(mode: UInt32, nodes: [UInt32] = []) {
    self.mode = mode
    self.nodes = nodes
  }
}
