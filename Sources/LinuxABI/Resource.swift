/// The resources of getrlimit(2), as `process.rlimits[].type` names them (config.md, "POSIX process"). The numbers are
/// those of x86_64 and 64-bit Arm.
public enum Resource: UInt8, Sendable, Hashable, CaseIterable {
  case cpuTime = 0
  case fileSize = 1
  case data = 2
  case stack = 3
  case core = 4
  case residentSet = 5
  case processes = 6
  case openFiles = 7
  case lockedMemory = 8
  case addressSpace = 9
  case locks = 10
  case pendingSignals = 11
  case messageQueues = 12
  case nice = 13
  case realtimePriority = 14
  case realtimeTime = 15

  /// The resource of that name, `RLIMIT_NOFILE`; nil if there is none.
  public init?(name: String) {
    switch name {
    case "RLIMIT_CPU": self = .cpuTime
    case "RLIMIT_FSIZE": self = .fileSize
    case "RLIMIT_DATA": self = .data
    case "RLIMIT_STACK": self = .stack
    case "RLIMIT_CORE": self = .core
    case "RLIMIT_RSS": self = .residentSet
    case "RLIMIT_NPROC": self = .processes
    case "RLIMIT_NOFILE": self = .openFiles
    case "RLIMIT_MEMLOCK": self = .lockedMemory
    case "RLIMIT_AS": self = .addressSpace
    case "RLIMIT_LOCKS": self = .locks
    case "RLIMIT_SIGPENDING": self = .pendingSignals
    case "RLIMIT_MSGQUEUE": self = .messageQueues
    case "RLIMIT_NICE": self = .nice
    case "RLIMIT_RTPRIO": self = .realtimePriority
    case "RLIMIT_RTTIME": self = .realtimeTime
    default: return nil
    }
  }

  /// `RLIMIT_NOFILE`
  public var name: String {
    switch self {
    case .cpuTime: "RLIMIT_CPU"
    case .fileSize: "RLIMIT_FSIZE"
    case .data: "RLIMIT_DATA"
    case .stack: "RLIMIT_STACK"
    case .core: "RLIMIT_CORE"
    case .residentSet: "RLIMIT_RSS"
    case .processes: "RLIMIT_NPROC"
    case .openFiles: "RLIMIT_NOFILE"
    case .lockedMemory: "RLIMIT_MEMLOCK"
    case .addressSpace: "RLIMIT_AS"
    case .locks: "RLIMIT_LOCKS"
    case .pendingSignals: "RLIMIT_SIGPENDING"
    case .messageQueues: "RLIMIT_MSGQUEUE"
    case .nice: "RLIMIT_NICE"
    case .realtimePriority: "RLIMIT_RTPRIO"
    case .realtimeTime: "RLIMIT_RTTIME"
    }
  }

  /// RLIM_INFINITY: no limit.
  public static var unlimited: UInt64 { .max }
}
