import CLinux
public import Diagnostics

/// What statmount(2) tells of one mount, without a look at any other.
public struct MountStatus: Sendable, Equatable {
  /// The type of the file system, as fstatfs(2) gives it.
  public var magic: UInt64
  /// The directory of the file system that is the root of the mount, as mountinfo gives it.
  public var root: String
  /// The options of the file system (not of the mount), between commas.
  public var options: String

  public init(magic: UInt64, root: String, options: String) {
    self.magic = magic
    self.root = root
    self.options = options
  }
}

extension FileDescriptor {
  /// The mount whose root is at `path` in this directory; the directory's own where `path` is empty. A symbolic link
  /// is not followed.
  ///
  /// Nil where a mount has no root there, and where the kernel does not tell: the id came with Linux 6.8, the options
  /// with 6.11.
  public func mountStatus(_ path: String) throws(SystemError) -> MountStatus? {
    var status = apus_status()
    // AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH
    try check("statx", sys_statx_unique(number, path, 0x100 | 0x1000, &status), path)
    guard FileStatus(status).isMountRoot, status.mask & APUS_STATX_MNT_ID_UNIQUE != 0 else { return nil }
    return try MountStatus(status.mount_id)
  }
}

extension MountStatus {
  /// Nil where the kernel knows less than is asked for.
  init?(_ mount: UInt64) throws(SystemError) {
    // STATMOUNT_SB_BASIC | STATMOUNT_MNT_ROOT, and STATMOUNT_MNT_OPTS, which is not answered if there are none.
    let wanted: UInt64 = 0x1 | 0x8
    let size = 4096
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { buffer.deallocate() }
    try check("statmount", sys_statmount(mount, wanted | 0x80, buffer, size))
    let answered = buffer.load(fromByteOffset: 8, as: UInt64.self)
    guard answered & wanted == wanted else { return nil }
    magic = buffer.load(fromByteOffset: 24, as: UInt64.self)
    // The strings stand behind struct statmount, each at an offset from its end.
    func string(_ offset: Int) -> String {
      let start = 512 + Int(buffer.load(fromByteOffset: offset, as: UInt32.self))
      return String(cString: buffer.advanced(by: start).assumingMemoryBound(to: CChar.self))
    }
    root = string(104)
    options = answered & 0x80 != 0 ? string(4) : ""
  }
}
