/// The flags of seccomp(2) SECCOMP_SET_MODE_FILTER, as `linux.seccomp.flags` names them.
public struct SeccompFilterFlags: OptionSet, Sendable, Hashable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// SECCOMP_FILTER_FLAG_TSYNC
  public static var synchronizeThreads: SeccompFilterFlags { SeccompFilterFlags(rawValue: 1 << 0) }
  /// SECCOMP_FILTER_FLAG_LOG
  public static var log: SeccompFilterFlags { SeccompFilterFlags(rawValue: 1 << 1) }
  /// SECCOMP_FILTER_FLAG_SPEC_ALLOW
  public static var allowSpeculation: SeccompFilterFlags { SeccompFilterFlags(rawValue: 1 << 2) }
  /// SECCOMP_FILTER_FLAG_NEW_LISTENER
  public static var newListener: SeccompFilterFlags { SeccompFilterFlags(rawValue: 1 << 3) }
  /// SECCOMP_FILTER_FLAG_TSYNC_ESRCH
  public static var synchronizeThreadsESRCH: SeccompFilterFlags { SeccompFilterFlags(rawValue: 1 << 4) }
  /// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, since Linux 6.0; only together with a listener
  public static var waitKillable: SeccompFilterFlags { SeccompFilterFlags(rawValue: 1 << 5) }
}

/// What a filter answers: an action in the upper half, its data in the lower one, seccomp(2).
public enum SeccompReturn {
  /// SECCOMP_RET_KILL_PROCESS
  public static var killProcess: UInt32 { 0x8000_0000 }
  /// SECCOMP_RET_KILL_THREAD
  public static var killThread: UInt32 { 0 }
  /// SECCOMP_RET_TRAP
  public static var trap: UInt32 { 0x0003_0000 }
  /// SECCOMP_RET_ERRNO
  public static var errno: UInt32 { 0x0005_0000 }
  /// SECCOMP_RET_USER_NOTIF
  public static var userNotification: UInt32 { 0x7FC0_0000 }
  /// SECCOMP_RET_TRACE
  public static var trace: UInt32 { 0x7FF0_0000 }
  /// SECCOMP_RET_LOG
  public static var log: UInt32 { 0x7FFC_0000 }
  /// SECCOMP_RET_ALLOW
  public static var allow: UInt32 { 0x7FFF_0000 }
  /// SECCOMP_RET_DATA: the mask of the lower half
  public static var dataMask: UInt32 { 0xFFFF }
}

/// The operations of seccomp(2).
public enum SeccompOperation {
  /// SECCOMP_SET_MODE_FILTER
  public static var setModeFilter: UInt32 { 1 }
  /// SECCOMP_GET_ACTION_AVAIL
  public static var getActionAvailable: UInt32 { 2 }
  /// SECCOMP_GET_NOTIF_SIZES
  public static var getNotificationSizes: UInt32 { 3 }
}
