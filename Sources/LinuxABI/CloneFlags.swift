/// The flags of clone3(2), unshare(2) and setns(2).
public struct CloneFlags: OptionSet, Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// CLONE_NEWTIME. In clone3(2) it leaves no moment to write the offsets: use unshare(2).
  public static var newTime: CloneFlags { CloneFlags(rawValue: 0x80) }
  /// CLONE_VM
  public static var virtualMemory: CloneFlags { CloneFlags(rawValue: 0x100) }
  /// CLONE_PIDFD
  public static var pidfd: CloneFlags { CloneFlags(rawValue: 0x1000) }
  /// CLONE_VFORK
  public static var vfork: CloneFlags { CloneFlags(rawValue: 0x4000) }
  /// CLONE_PARENT. The exit signal must be 0.
  public static var parent: CloneFlags { CloneFlags(rawValue: 0x8000) }
  /// CLONE_NEWNS
  public static var newMount: CloneFlags { CloneFlags(rawValue: 0x2_0000) }
  /// CLONE_NEWCGROUP
  public static var newCgroup: CloneFlags { CloneFlags(rawValue: 0x200_0000) }
  /// CLONE_NEWUTS
  public static var newUTS: CloneFlags { CloneFlags(rawValue: 0x400_0000) }
  /// CLONE_NEWIPC
  public static var newIPC: CloneFlags { CloneFlags(rawValue: 0x800_0000) }
  /// CLONE_NEWUSER
  public static var newUser: CloneFlags { CloneFlags(rawValue: 0x1000_0000) }
  /// CLONE_NEWPID
  public static var newPID: CloneFlags { CloneFlags(rawValue: 0x2000_0000) }
  /// CLONE_NEWNET
  public static var newNetwork: CloneFlags { CloneFlags(rawValue: 0x4000_0000) }
  /// CLONE_INTO_CGROUP, clone3(2) only
  public static var intoCgroup: CloneFlags { CloneFlags(rawValue: 0x2_0000_0000) }
}

/// The kinds of namespaces(7), as `linux.namespaces[].type` names them (config-linux.md, "Namespaces").
public enum NamespaceKind: UInt8, Sendable, Hashable, CaseIterable {
  case pid = 0
  case network = 1
  case mount = 2
  case ipc = 3
  case uts = 4
  case user = 5
  case cgroup = 6
  case time = 7

  /// The kind that a configuration calls by this name; nil if there is none.
  public init?(ociName: String) {
    for kind in NamespaceKind.allCases where kind.ociName == ociName {
      self = kind
      return
    }
    return nil
  }

  /// The name in config.json and in the features document.
  public var ociName: String {
    switch self {
    case .pid: "pid"
    case .network: "network"
    case .mount: "mount"
    case .ipc: "ipc"
    case .uts: "uts"
    case .user: "user"
    case .cgroup: "cgroup"
    case .time: "time"
    }
  }

  /// The file in /proc/PID/ns that stands for the namespace a process is in.
  public var procName: String {
    switch self {
    case .pid: "pid"
    case .network: "net"
    case .mount: "mnt"
    case .ipc: "ipc"
    case .uts: "uts"
    case .user: "user"
    case .cgroup: "cgroup"
    case .time: "time"
    }
  }

  /// The file in /proc/PID/ns that stands for the namespace which the children of a process are in. It differs from
  /// ``procName`` for the two kinds that a process cannot change for itself.
  public var procNameForChildren: String {
    switch self {
    case .pid: "pid_for_children"
    case .time: "time_for_children"
    default: procName
    }
  }

  /// The CLONE_NEW* flag.
  public var cloneFlag: CloneFlags {
    switch self {
    case .pid: .newPID
    case .network: .newNetwork
    case .mount: .newMount
    case .ipc: .newIPC
    case .uts: .newUTS
    case .user: .newUser
    case .cgroup: .newCgroup
    case .time: .newTime
    }
  }
}
