/// The flags of open(2) and openat2(2).
public struct OpenFlags: OptionSet, Sendable, Hashable {
  public var rawValue: Int32

  @inlinable public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// O_RDONLY
  public static var readOnly: OpenFlags { [] }
  /// O_WRONLY
  public static var writeOnly: OpenFlags { OpenFlags(rawValue: 1) }
  /// O_RDWR
  public static var readWrite: OpenFlags { OpenFlags(rawValue: 2) }
  /// O_CREAT
  public static var create: OpenFlags { OpenFlags(rawValue: 0o100) }
  /// O_EXCL
  public static var exclusive: OpenFlags { OpenFlags(rawValue: 0o200) }
  /// O_NOCTTY
  public static var noControllingTerminal: OpenFlags { OpenFlags(rawValue: 0o400) }
  /// O_TRUNC
  public static var truncate: OpenFlags { OpenFlags(rawValue: 0o1000) }
  /// O_APPEND
  public static var append: OpenFlags { OpenFlags(rawValue: 0o2000) }
  /// O_NONBLOCK
  public static var nonBlocking: OpenFlags { OpenFlags(rawValue: 0o4000) }
  /// O_CLOEXEC
  public static var closeOnExec: OpenFlags { OpenFlags(rawValue: 0o2000000) }
  /// O_PATH
  public static var path: OpenFlags { OpenFlags(rawValue: 0o10000000) }
  /// O_TMPFILE, without the O_DIRECTORY that belongs to it
  public static var temporary: OpenFlags { OpenFlags(rawValue: 0o20000000).union(.directory) }
  // The kernel's generic numbers and those of 64-bit Arm differ in these two.
  #if arch(arm64)
    /// O_DIRECTORY
    public static var directory: OpenFlags { OpenFlags(rawValue: 0o40000) }
    /// O_NOFOLLOW
    public static var noFollow: OpenFlags { OpenFlags(rawValue: 0o100000) }
  #else
    /// O_DIRECTORY
    public static var directory: OpenFlags { OpenFlags(rawValue: 0o200000) }
    /// O_NOFOLLOW
    public static var noFollow: OpenFlags { OpenFlags(rawValue: 0o400000) }
  #endif
}

/// The rules of a path lookup, `open_how.resolve` of openat2(2).
public struct ResolveFlags: OptionSet, Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// RESOLVE_NO_XDEV: no mount point is crossed.
  public static var noMountCrossing: ResolveFlags { ResolveFlags(rawValue: 0x01) }
  /// RESOLVE_NO_MAGICLINKS: no link of the kind /proc/PID/fd has.
  public static var noMagicLinks: ResolveFlags { ResolveFlags(rawValue: 0x02) }
  /// RESOLVE_NO_SYMLINKS: no symbolic link at all, not even on the way.
  public static var noSymbolicLinks: ResolveFlags { ResolveFlags(rawValue: 0x04) }
  /// RESOLVE_BENEATH: what leads out of the directory is an error.
  public static var beneath: ResolveFlags { ResolveFlags(rawValue: 0x08) }
  /// RESOLVE_IN_ROOT: the directory is the root for `/` and `..`, as after chroot(2).
  public static var inRoot: ResolveFlags { ResolveFlags(rawValue: 0x10) }
  /// RESOLVE_CACHED: only if nothing needs to be read for it.
  public static var cached: ResolveFlags { ResolveFlags(rawValue: 0x20) }
}

/// What an inode is: the S_IFMT part of `st_mode`, inode(7).
public enum FileKind: UInt32, Sendable, Hashable {
  /// S_IFIFO
  case fifo = 0o010000
  /// S_IFCHR
  case characterDevice = 0o020000
  /// S_IFDIR
  case directory = 0o040000
  /// S_IFBLK
  case blockDevice = 0o060000
  /// S_IFREG
  case regular = 0o100000
  /// S_IFLNK
  case symbolicLink = 0o120000
  /// S_IFSOCK
  case socket = 0o140000

  /// S_IFMT
  public static var mask: UInt32 { 0o170000 }

  /// The kind in `st_mode`; nil for a number that the kernel does not give.
  public init?(mode: UInt32) {
    self.init(rawValue: mode & FileKind.mask)
  }
}

/// The permission part of `st_mode`, inode(7).
public struct FileMode: OptionSet, Sendable, Hashable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// S_ISUID
  public static var setUserID: FileMode { FileMode(rawValue: 0o4000) }
  /// S_ISGID
  public static var setGroupID: FileMode { FileMode(rawValue: 0o2000) }
  /// S_ISVTX
  public static var sticky: FileMode { FileMode(rawValue: 0o1000) }
  /// S_IRWXU
  public static var ownerAll: FileMode { FileMode(rawValue: 0o700) }
  /// S_IRWXG
  public static var groupAll: FileMode { FileMode(rawValue: 0o070) }
  /// S_IRWXO
  public static var othersAll: FileMode { FileMode(rawValue: 0o007) }
  /// Every bit that chmod(2) takes.
  public static var all: FileMode { FileMode(rawValue: 0o7777) }
}

/// The argument of access(2).
public struct AccessMode: OptionSet, Sendable, Hashable {
  public var rawValue: Int32

  @inlinable public init(rawValue: Int32) {
    self.rawValue = rawValue
  }

  /// F_OK
  public static var exists: AccessMode { [] }
  /// X_OK
  public static var execute: AccessMode { AccessMode(rawValue: 1) }
  /// W_OK
  public static var write: AccessMode { AccessMode(rawValue: 2) }
  /// R_OK
  public static var read: AccessMode { AccessMode(rawValue: 4) }
}
