/// The capabilities of capabilities(7). The number is the bit in a set.
public enum Capability: UInt8, Sendable, Hashable, CaseIterable {
  case changeOwner = 0
  case dacOverride = 1
  case dacReadSearch = 2
  case fileOwner = 3
  case fileSetID = 4
  case kill = 5
  case setGroupID = 6
  case setUserID = 7
  case setCapabilities = 8
  case linuxImmutable = 9
  case networkBindService = 10
  case networkBroadcast = 11
  case networkAdmin = 12
  case networkRaw = 13
  case ipcLock = 14
  case ipcOwner = 15
  case systemModule = 16
  case systemRawInputOutput = 17
  case systemChangeRoot = 18
  case systemTrace = 19
  case systemAccounting = 20
  case systemAdmin = 21
  case systemBoot = 22
  case systemNice = 23
  case systemResource = 24
  case systemTime = 25
  case systemTTYConfig = 26
  case makeNode = 27
  case lease = 28
  case auditWrite = 29
  case auditControl = 30
  case setFileCapabilities = 31
  case macOverride = 32
  case macAdmin = 33
  case systemLog = 34
  case wakeAlarm = 35
  case blockSuspend = 36
  case auditRead = 37
  case performanceMonitoring = 38
  case bpf = 39
  case checkpointRestore = 40

  /// The capability of that name, exactly as the kernel headers spell it: `CAP_CHOWN`; nil if there is none.
  public init?(name: String) {
    // A name that is not a capability costs 41 comparisons of lengths.
    let length = name.utf8.count
    for capability in Capability.allCases {
      let candidate = capability.name
      if candidate.utf8.count == length && candidate == name {
        self = capability
        return
      }
    }
    return nil
  }

  /// The capability of that number; nil if this table has none.
  public init?(number: Int) {
    guard let small = UInt8(exactly: number) else { return nil }
    self.init(rawValue: small)
  }

  /// `CAP_CHOWN`
  public var name: String {
    switch self {
    case .changeOwner: "CAP_CHOWN"
    case .dacOverride: "CAP_DAC_OVERRIDE"
    case .dacReadSearch: "CAP_DAC_READ_SEARCH"
    case .fileOwner: "CAP_FOWNER"
    case .fileSetID: "CAP_FSETID"
    case .kill: "CAP_KILL"
    case .setGroupID: "CAP_SETGID"
    case .setUserID: "CAP_SETUID"
    case .setCapabilities: "CAP_SETPCAP"
    case .linuxImmutable: "CAP_LINUX_IMMUTABLE"
    case .networkBindService: "CAP_NET_BIND_SERVICE"
    case .networkBroadcast: "CAP_NET_BROADCAST"
    case .networkAdmin: "CAP_NET_ADMIN"
    case .networkRaw: "CAP_NET_RAW"
    case .ipcLock: "CAP_IPC_LOCK"
    case .ipcOwner: "CAP_IPC_OWNER"
    case .systemModule: "CAP_SYS_MODULE"
    case .systemRawInputOutput: "CAP_SYS_RAWIO"
    case .systemChangeRoot: "CAP_SYS_CHROOT"
    case .systemTrace: "CAP_SYS_PTRACE"
    case .systemAccounting: "CAP_SYS_PACCT"
    case .systemAdmin: "CAP_SYS_ADMIN"
    case .systemBoot: "CAP_SYS_BOOT"
    case .systemNice: "CAP_SYS_NICE"
    case .systemResource: "CAP_SYS_RESOURCE"
    case .systemTime: "CAP_SYS_TIME"
    case .systemTTYConfig: "CAP_SYS_TTY_CONFIG"
    case .makeNode: "CAP_MKNOD"
    case .lease: "CAP_LEASE"
    case .auditWrite: "CAP_AUDIT_WRITE"
    case .auditControl: "CAP_AUDIT_CONTROL"
    case .setFileCapabilities: "CAP_SETFCAP"
    case .macOverride: "CAP_MAC_OVERRIDE"
    case .macAdmin: "CAP_MAC_ADMIN"
    case .systemLog: "CAP_SYSLOG"
    case .wakeAlarm: "CAP_WAKE_ALARM"
    case .blockSuspend: "CAP_BLOCK_SUSPEND"
    case .auditRead: "CAP_AUDIT_READ"
    case .performanceMonitoring: "CAP_PERFMON"
    case .bpf: "CAP_BPF"
    case .checkpointRestore: "CAP_CHECKPOINT_RESTORE"
    }
  }

  /// The highest number in this table, CAP_LAST_CAP. A newer kernel can have more: /proc/sys/kernel/cap_last_cap.
  public static var last: Capability { .checkpointRestore }
}

/// A set of capabilities as the kernel keeps it: one bit for each number.
public struct CapabilitySet: OptionSet, Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public init(_ capability: Capability) {
    rawValue = 1 << UInt64(capability.rawValue)
  }

  public init(_ capabilities: [Capability]) {
    rawValue = 0
    for capability in capabilities {
      rawValue |= 1 << UInt64(capability.rawValue)
    }
  }

  public func contains(_ capability: Capability) -> Bool {
    rawValue & (1 << UInt64(capability.rawValue)) != 0
  }

  public mutating func insert(_ capability: Capability) {
    rawValue |= 1 << UInt64(capability.rawValue)
  }

  public mutating func remove(_ capability: Capability) {
    rawValue &= ~(1 << UInt64(capability.rawValue))
  }

  /// Every capability of this table.
  public static var all: CapabilitySet {
    CapabilitySet(rawValue: (1 << (UInt64(Capability.last.rawValue) + 1)) - 1)
  }

  /// The members in the order of their numbers; bits without a name are left out.
  public var capabilities: [Capability] {
    var members: [Capability] = []
    for capability in Capability.allCases where contains(capability) {
      members.append(capability)
    }
    return members
  }
}
