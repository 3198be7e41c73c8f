/// The type of a file system as statfs(2) reports it.
public struct FileSystemMagic: Sendable, Hashable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  /// PROC_SUPER_MAGIC
  public static var proc: FileSystemMagic { FileSystemMagic(rawValue: 0x9FA0) }
  /// SYSFS_MAGIC
  public static var sysfs: FileSystemMagic { FileSystemMagic(rawValue: 0x6265_6572) }
  /// CGROUP_SUPER_MAGIC, version 1
  public static var cgroup: FileSystemMagic { FileSystemMagic(rawValue: 0x27E0EB) }
  /// CGROUP2_SUPER_MAGIC
  public static var cgroup2: FileSystemMagic { FileSystemMagic(rawValue: 0x6367_7270) }
  /// TMPFS_MAGIC
  public static var tmpfs: FileSystemMagic { FileSystemMagic(rawValue: 0x0102_1994) }
  /// DEVPTS_SUPER_MAGIC
  public static var devpts: FileSystemMagic { FileSystemMagic(rawValue: 0x1CD1) }
  /// RAMFS_MAGIC
  public static var ramfs: FileSystemMagic { FileSystemMagic(rawValue: 0x8584_58F6) }
  /// OVERLAYFS_SUPER_MAGIC
  public static var overlay: FileSystemMagic { FileSystemMagic(rawValue: 0x794C_7630) }
  /// NSFS_MAGIC: the files of /proc/PID/ns
  public static var nsfs: FileSystemMagic { FileSystemMagic(rawValue: 0x6E73_6673) }
  /// MQUEUE_MAGIC
  public static var mqueue: FileSystemMagic { FileSystemMagic(rawValue: 0x1980_0202) }
  /// BPF_FS_MAGIC
  public static var bpf: FileSystemMagic { FileSystemMagic(rawValue: 0xCAFE_4A11) }
  /// SECURITYFS_MAGIC
  public static var securityfs: FileSystemMagic { FileSystemMagic(rawValue: 0x7363_6673) }
  /// SELINUX_MAGIC
  public static var selinuxfs: FileSystemMagic { FileSystemMagic(rawValue: 0xF97C_FF8C) }
  /// EXT4_SUPER_MAGIC
  public static var ext4: FileSystemMagic { FileSystemMagic(rawValue: 0xEF53) }
  /// XFS_SUPER_MAGIC
  public static var xfs: FileSystemMagic { FileSystemMagic(rawValue: 0x5846_5342) }
  /// BTRFS_SUPER_MAGIC
  public static var btrfs: FileSystemMagic { FileSystemMagic(rawValue: 0x9123_683E) }
  /// FUSE_SUPER_MAGIC
  public static var fuse: FileSystemMagic { FileSystemMagic(rawValue: 0x6573_5546) }
  /// NFS_SUPER_MAGIC
  public static var nfs: FileSystemMagic { FileSystemMagic(rawValue: 0x6969) }
}
