/// The flags of mount(2) and, for the propagation, of mount_setattr(2).
public struct MountFlags: OptionSet, Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// MS_RDONLY
  public static var readOnly: MountFlags { MountFlags(rawValue: 1 << 0) }
  /// MS_NOSUID
  public static var noSetUserID: MountFlags { MountFlags(rawValue: 1 << 1) }
  /// MS_NODEV
  public static var noDevices: MountFlags { MountFlags(rawValue: 1 << 2) }
  /// MS_NOEXEC
  public static var noExecute: MountFlags { MountFlags(rawValue: 1 << 3) }
  /// MS_SYNCHRONOUS
  public static var synchronous: MountFlags { MountFlags(rawValue: 1 << 4) }
  /// MS_REMOUNT
  public static var remount: MountFlags { MountFlags(rawValue: 1 << 5) }
  /// MS_MANDLOCK
  public static var mandatoryLocks: MountFlags { MountFlags(rawValue: 1 << 6) }
  /// MS_DIRSYNC
  public static var synchronousDirectories: MountFlags { MountFlags(rawValue: 1 << 7) }
  /// MS_NOSYMFOLLOW
  public static var noSymlinkFollow: MountFlags { MountFlags(rawValue: 1 << 8) }
  /// MS_NOATIME
  public static var noAccessTime: MountFlags { MountFlags(rawValue: 1 << 10) }
  /// MS_NODIRATIME
  public static var noDirectoryAccessTime: MountFlags { MountFlags(rawValue: 1 << 11) }
  /// MS_BIND
  public static var bind: MountFlags { MountFlags(rawValue: 1 << 12) }
  /// MS_MOVE
  public static var move: MountFlags { MountFlags(rawValue: 1 << 13) }
  /// MS_REC
  public static var recursive: MountFlags { MountFlags(rawValue: 1 << 14) }
  /// MS_SILENT
  public static var silent: MountFlags { MountFlags(rawValue: 1 << 15) }
  /// MS_POSIXACL
  public static var posixACL: MountFlags { MountFlags(rawValue: 1 << 16) }
  /// MS_UNBINDABLE
  public static var unbindable: MountFlags { MountFlags(rawValue: 1 << 17) }
  /// MS_PRIVATE
  public static var `private`: MountFlags { MountFlags(rawValue: 1 << 18) }
  /// MS_SLAVE
  public static var slave: MountFlags { MountFlags(rawValue: 1 << 19) }
  /// MS_SHARED
  public static var shared: MountFlags { MountFlags(rawValue: 1 << 20) }
  /// MS_RELATIME
  public static var relativeAccessTime: MountFlags { MountFlags(rawValue: 1 << 21) }
  /// MS_I_VERSION
  public static var inodeVersion: MountFlags { MountFlags(rawValue: 1 << 23) }
  /// MS_STRICTATIME
  public static var strictAccessTime: MountFlags { MountFlags(rawValue: 1 << 24) }
  /// MS_LAZYTIME
  public static var lazyTime: MountFlags { MountFlags(rawValue: 1 << 25) }
}

/// The attributes of one mount, as fsmount(2) and mount_setattr(2) take them.
public struct MountAttributes: OptionSet, Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// MOUNT_ATTR_RDONLY
  public static var readOnly: MountAttributes { MountAttributes(rawValue: 0x1) }
  /// MOUNT_ATTR_NOSUID
  public static var noSetUserID: MountAttributes { MountAttributes(rawValue: 0x2) }
  /// MOUNT_ATTR_NODEV
  public static var noDevices: MountAttributes { MountAttributes(rawValue: 0x4) }
  /// MOUNT_ATTR_NOEXEC
  public static var noExecute: MountAttributes { MountAttributes(rawValue: 0x8) }
  /// MOUNT_ATTR__ATIME: the whole field. It holds one of three values, of which relatime is the one without a bit.
  public static var accessTimeField: MountAttributes { MountAttributes(rawValue: 0x70) }
  /// MOUNT_ATTR_NOATIME
  public static var noAccessTime: MountAttributes { MountAttributes(rawValue: 0x10) }
  /// MOUNT_ATTR_STRICTATIME
  public static var strictAccessTime: MountAttributes { MountAttributes(rawValue: 0x20) }
  /// MOUNT_ATTR_NODIRATIME
  public static var noDirectoryAccessTime: MountAttributes { MountAttributes(rawValue: 0x80) }
  /// MOUNT_ATTR_IDMAP
  public static var idMapped: MountAttributes { MountAttributes(rawValue: 0x10_0000) }
  /// MOUNT_ATTR_NOSYMFOLLOW, since Linux 5.14
  public static var noSymlinkFollow: MountAttributes { MountAttributes(rawValue: 0x20_0000) }
}

/// A change of attributes in the form that mount_setattr(2) accepts: the access time field is cleared whole whenever
/// any value of it is set or taken away, for a part of it is EINVAL.
public struct MountAttributeChange: Sendable, Hashable {
  public private(set) var set: MountAttributes
  public private(set) var clear: MountAttributes

  /// No change.
  public init() {
    set = []
    clear = []
  }

  public var isEmpty: Bool {
    self.set.isEmpty && clear.isEmpty
  }

  /// Adds a later option. What it says wins over what was said before.
  public mutating func add(set added: MountAttributes, clear removed: MountAttributes) {
    let field = MountAttributes.accessTimeField
    let touchesField = !added.union(removed).isDisjoint(with: field)
    // `atime` takes back `noatime` only, and `nostrictatime` only `strictatime`: what else was asked for stays.
    set.subtract(removed)
    if !added.isDisjoint(with: field) { set.subtract(field) }
    set.formUnion(added)
    clear.formUnion(removed)
    clear.subtract(added)
    if touchesField || !clear.isDisjoint(with: field) { clear.formUnion(field) }
  }

  /// The attributes of a mount that has `current`, after this change.
  public func applied(to current: MountAttributes) -> MountAttributes {
    current.subtracting(clear).union(set)
  }
}

/// How mount events spread, mount_namespaces(7).
public enum Propagation: UInt8, Sendable, Hashable, CaseIterable {
  case shared = 0
  case slave = 1
  case `private` = 2
  case unbindable = 3

  /// The MS_* flag.
  public var flag: MountFlags {
    switch self {
    case .shared: .shared
    case .slave: .slave
    case .private: .private
    case .unbindable: .unbindable
    }
  }

  /// The name in `linux.rootfsPropagation` and among the mount options.
  public var ociName: String {
    switch self {
    case .shared: "shared"
    case .slave: "slave"
    case .private: "private"
    case .unbindable: "unbindable"
    }
  }

  /// One of the four names, or one with `r` in front of it, which means the mounts below too; nil for anything else.
  public static func parse(_ name: String) -> (propagation: Propagation, recursive: Bool)? {
    for kind in allCases {
      if name == kind.ociName { return (kind, false) }
      if name == "r" + kind.ociName { return (kind, true) }
    }
    return nil
  }
}

/// What belongs to a file system as a whole and not to one mount of it, and is told to it with fsconfig(2)
/// FSCONFIG_SET_FLAG. A bind mount has none of these of its own: mount(2) ignores them there.
public enum SuperblockFlag: UInt8, Sendable, Hashable, CaseIterable {
  /// No option alone means it: `ro` is an attribute of the mount. A block device that cannot be written, and a file
  /// system that must not be written through another mount either, want it too.
  case readOnly = 0
  case synchronous = 1
  case synchronousDirectories = 2
  case lazyTime = 3
  case mandatoryLocks = 4
  case inodeVersion = 5
  case silent = 6
  case posixACL = 7

  /// The word for FSCONFIG_SET_FLAG that turns it on or off; nil if there is none, and the flag then is nothing that a
  /// file system context has. `dirsync` has no opposite: a new superblock does not have it.
  public func parameter(isSet: Bool) -> String? {
    switch self {
    case .readOnly: isSet ? "ro" : "rw"
    case .synchronous: isSet ? "sync" : "async"
    case .synchronousDirectories: isSet ? "dirsync" : nil
    case .lazyTime: isSet ? "lazytime" : "nolazytime"
    case .mandatoryLocks: isSet ? "mand" : "nomand"
    case .inodeVersion: isSet ? "i_version" : nil
    case .silent: nil
    case .posixACL: isSet ? "acl" : "noacl"
    }
  }

  /// Whether EINVAL for ``parameter(isSet:)`` is no failure. mount(2) lets these pass for every file system, but
  /// fsconfig(2) hands the word to the file system, and most do not know it: inode versions and ACLs are always on
  /// where there are any.
  public var mayBeUnknown: Bool {
    switch self {
    case .inodeVersion, .posixACL: true
    default: false
    }
  }

  /// The flag of mount(2).
  public var mountFlag: MountFlags {
    switch self {
    case .readOnly: .readOnly
    case .synchronous: .synchronous
    case .synchronousDirectories: .synchronousDirectories
    case .lazyTime: .lazyTime
    case .mandatoryLocks: .mandatoryLocks
    case .inodeVersion: .inodeVersion
    case .silent: .silent
    case .posixACL: .posixACL
    }
  }
}
