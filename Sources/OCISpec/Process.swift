/// The container process (config.md, "Process"), and the document that `exec --process` reads.
public struct Process: Equatable, Sendable {
  /// Whether the process gets a pseudoterminal of its own.
  public var terminal: Bool?
  /// The size of that terminal, in characters.
  public var consoleSize: ConsoleSize?
  /// Who the process runs as. 0:0 where the document has no `user`.
  public var user: User
  /// The argument vector. On Linux it is required by the time the process starts.
  public var args: [String]?
  /// The environment, `NAME=value`.
  public var env: [String]?
  /// The working directory, an absolute path in the container.
  public var cwd: String
  /// The capability sets. Absent: none is kept.
  public var capabilities: Capabilities?
  /// Limits of setrlimit(2).
  public var rlimits: [ResourceLimit]?
  /// Whether PR_SET_NO_NEW_PRIVS is set.
  public var noNewPrivileges: Bool?
  /// The name of the AppArmor profile.
  public var apparmorProfile: String?
  /// The value for `/proc/self/oom_score_adj`. Absent: left as it is, and not the same as 0.
  public var oomScoreAdj: Int?
  /// Attributes of sched_setattr(2).
  public var scheduler: Scheduler?
  /// The SELinux label.
  public var selinuxLabel: String?
  /// The priority for ioprio_set(2).
  public var ioPriority: IOPriority?
  /// The CPUs of processes that `exec` starts.
  public var execCPUAffinity: ExecCPUAffinity?

  public init(
    terminal: Bool? = nil, consoleSize: ConsoleSize? = nil, user: User = User(), args: [String]? = nil,
    env: [String]? = nil, cwd: String, capabilities: Capabilities? = nil, rlimits: [ResourceLimit]? = nil,
    noNewPrivileges: Bool? = nil, apparmorProfile: String? = nil, oomScoreAdj: Int? = nil,
    scheduler: Scheduler? = nil, selinuxLabel: String? = nil, ioPriority: IOPriority? = nil,
    execCPUAffinity: ExecCPUAffinity? = nil
  ) {
    self.terminal = terminal
    self.consoleSize = consoleSize
    self.user = user
    self.args = args
    self.env = env
    self.cwd = cwd
    self.capabilities = capabilities
    self.rlimits = rlimits
    self.noNewPrivileges = noNewPrivileges
    self.apparmorProfile = apparmorProfile
    self.oomScoreAdj = oomScoreAdj
    self.scheduler = scheduler
    self.selinuxLabel = selinuxLabel
    self.ioPriority = ioPriority
    self.execCPUAffinity = execCPUAffinity
  }
}

/// The size of a terminal, in characters.
public struct ConsoleSize: Equatable, Sendable {
  /// Rows.
  public var height: UInt
  /// Columns.
  public var width: UInt

  public init(height: UInt, width: UInt) {
    self.height = height
    self.width = width
  }
}

/// Who a process runs as (config.md, "POSIX-platform User"). Ids are those of the container's user namespace.
public struct User: Equatable, Sendable {
  /// The user id.
  public var uid: UInt32
  /// The group id.
  public var gid: UInt32
  /// The file mode creation mask, umask(2).
  public var umask: UInt32?
  /// Further groups of the process.
  public var additionalGids: [UInt32]?

  public init(uid: UInt32 = 0, gid: UInt32 = 0, umask: UInt32? = nil, additionalGids: [UInt32]? = nil) {
    self.uid = uid
    self.gid = gid
    self.umask = umask
    self.additionalGids = additionalGids
  }
}

/// The five capability sets of capabilities(7), as names such as `CAP_KILL`.
public struct Capabilities: Equatable, Sendable {
  /// The bounding set.
  public var bounding: [String]?
  /// The effective set.
  public var effective: [String]?
  /// The inheritable set.
  public var inheritable: [String]?
  /// The permitted set.
  public var permitted: [String]?
  /// The ambient set.
  public var ambient: [String]?

  public init(
    bounding: [String]? = nil, effective: [String]? = nil, inheritable: [String]? = nil,
    permitted: [String]? = nil, ambient: [String]? = nil
  ) {
    self.bounding = bounding
    self.effective = effective
    self.inheritable = inheritable
    self.permitted = permitted
    self.ambient = ambient
  }
}

/// One limit of setrlimit(2).
public struct ResourceLimit: Equatable, Sendable {
  /// The name of the limit, such as `RLIMIT_NOFILE`.
  public var type: String
  /// The limit that the kernel enforces.
  public var soft: UInt64
  /// The ceiling for the soft limit.
  public var hard: UInt64

  public init(type: String, soft: UInt64, hard: UInt64) {
    self.type = type
    self.soft = soft
    self.hard = hard
  }
}

/// Scheduling attributes of sched_setattr(2).
public struct Scheduler: Equatable, Sendable {
  /// `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_BATCH`, `SCHED_ISO`, `SCHED_IDLE` or `SCHED_DEADLINE`.
  public var policy: String
  /// The nice value.
  public var nice: Int32?
  /// The static priority, for the real-time policies.
  public var priority: Int32?
  /// Names such as `SCHED_FLAG_RESET_ON_FORK`.
  public var flags: [String]?
  /// Nanoseconds of work in one period, for `SCHED_DEADLINE`.
  public var runtime: UInt64?
  /// Nanoseconds until the work must be done, for `SCHED_DEADLINE`.
  public var deadline: UInt64?
  /// The length of a period in nanoseconds, for `SCHED_DEADLINE`.
  public var period: UInt64?

  public init(
    policy: String, nice: Int32? = nil, priority: Int32? = nil, flags: [String]? = nil,
    runtime: UInt64? = nil, deadline: UInt64? = nil, period: UInt64? = nil
  ) {
    self.policy = policy
    self.nice = nice
    self.priority = priority
    self.flags = flags
    self.runtime = runtime
    self.deadline = deadline
    self.period = period
  }
}

/// The I/O priority of ioprio_set(2).
public struct IOPriority: Equatable, Sendable {
  /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
  public var `class`: String
  /// 0 (highest) to 7, within the class.
  public var priority: Int

  public init(`class`: String, priority: Int) {
    self.`class` = `class`
    self.priority = priority
  }
}

/// On which CPUs a process of `exec` runs; lists as in cpuset(7), such as `0-3,7`.
public struct ExecCPUAffinity: Equatable, Sendable {
  /// While the process is moved into the cgroup of the container.
  public var initial: String?
  /// After that.
  public var final: String?

  public init(initial: String? = nil, final: String? = nil) {
    self.initial = initial
    self.final = final
  }
}
