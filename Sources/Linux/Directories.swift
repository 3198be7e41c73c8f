import CLinux
public import Diagnostics
import LinuxABI

/// The descriptor number that stands for the working directory in the `*at` calls, AT_FDCWD.
package enum CurrentDirectory {
  package static let number: Int32 = -100
}

/// What statx(2) tells of a file.
public struct FileStatus: Sendable {
  /// Type and permission bits, as `st_mode`.
  public var mode: UInt32
  public var uid: UInt32
  public var gid: UInt32
  public var links: UInt32
  public var size: UInt64
  public var inode: UInt64
  /// The device that holds the file.
  public var deviceMajor: UInt32
  public var deviceMinor: UInt32
  /// The device that a device node stands for.
  public var specialMajor: UInt32
  public var specialMinor: UInt32
  public var mountID: UInt64
  /// Whether the file is the root of a mount, STATX_ATTR_MOUNT_ROOT.
  public var isMountRoot: Bool

  init(_ status: apus_status) {
    mode = status.mode
    uid = status.uid
    gid = status.gid
    links = status.links
    size = status.size
    inode = status.inode
    deviceMajor = status.device_major
    deviceMinor = status.device_minor
    specialMajor = status.special_major
    specialMinor = status.special_minor
    mountID = status.mount_id
    isMountRoot = status.attributes & 0x2000 != 0
  }

  /// The device that holds the file as one number, to compare.
  public var device: UInt64 { UInt64(deviceMajor) << 32 | UInt64(deviceMinor) }

  public var kind: UInt32 { mode & 0o170000 }
  public var isDirectory: Bool { kind == 0o040000 }
  public var isRegularFile: Bool { kind == 0o100000 }
  public var isSymbolicLink: Bool { kind == 0o120000 }
  public var isCharacterDevice: Bool { kind == 0o020000 }
  public var isSocket: Bool { kind == 0o140000 }
}

/// One name in a directory, getdents64(2).
public struct DirectoryEntry: Sendable {
  public var name: String
  /// DT_DIR is 4, DT_REG 8, DT_LNK 10; 0 where the file system does not say.
  public var kind: UInt8

  public var isDirectory: Bool { kind == 4 }
}

extension FileDescriptor {
  /// statx(2) of the open file.
  public func status() throws(SystemError) -> FileStatus {
    var status = apus_status()
    try check("statx", sys_statx(number, "", 0x1000 /* AT_EMPTY_PATH */, &status))
    return FileStatus(status)
  }

  /// statx(2) of a name in this directory; a symbolic link is not followed.
  public func status(_ path: String) throws(SystemError) -> FileStatus {
    var status = apus_status()
    try check("statx", sys_statx(number, path, 0x100 /* AT_SYMLINK_NOFOLLOW */, &status), path)
    return FileStatus(status)
  }

  /// The magic number of the file system, fstatfs(2).
  public func fileSystemType() throws(SystemError) -> UInt64 {
    try fileSystem().type
  }

  /// The magic number of the file system and the ST_* flags of the mount that the file was opened through, fstatfs(2).
  public func fileSystem() throws(SystemError) -> (type: UInt64, flags: UInt64) {
    var type: UInt64 = 0
    var flags: UInt64 = 0
    try check("fstatfs", sys_fstatfs(number, &type, &flags))
    return (type, flags)
  }

  public func makeDirectory(_ path: String, mode: UInt32) throws(SystemError) {
    try check("mkdirat", sys_mkdirat(number, path, mode), path)
  }

  public func removeDirectory(_ path: String) throws(SystemError) {
    try check("rmdir", sys_unlinkat(number, path, 0x200 /* AT_REMOVEDIR */), path)
  }

  public func unlink(_ path: String) throws(SystemError) {
    try check("unlinkat", sys_unlinkat(number, path, 0), path)
  }

  public func rename(_ from: String, to: String) throws(SystemError) {
    try check("renameat2", sys_renameat2(number, from, number, to, 0), from)
  }

  public func makeSymbolicLink(_ path: String, to target: String) throws(SystemError) {
    try check("symlinkat", sys_symlinkat(target, number, path), path)
  }

  /// Makes a node; `mode` holds the type as well.
  public func makeNode(
    _ path: String, mode: UInt32, major: UInt32 = 0, minor: UInt32 = 0
  ) throws(SystemError) {
    try check("mknodat", sys_mknodat(number, path, mode, major, minor), path)
  }

  public func changeMode(_ mode: UInt32) throws(SystemError) {
    try check("fchmod", sys_fchmod(number, mode))
  }

  /// chmod(2) of a name in this directory that the caller has made itself.
  public func changeMode(_ path: String, _ mode: UInt32) throws(SystemError) {
    try check("fchmodat", sys_fchmodat(number, path, mode), path)
  }

  /// Changes the owner of the open file, which may be open with O_PATH.
  public func changeOwner(uid: UInt32, gid: UInt32) throws(SystemError) {
    try check("fchownat", sys_fchownat(number, "", uid, gid, 0x1000 /* AT_EMPTY_PATH */))
  }

  /// Changes the owner of a name in this directory; a symbolic link is not followed.
  public func changeOwner(_ path: String, uid: UInt32, gid: UInt32) throws(SystemError) {
    try check("fchownat", sys_fchownat(number, path, uid, gid, 0x100 /* AT_SYMLINK_NOFOLLOW */), path)
  }

  /// The target of a symbolic link in this directory, or of this descriptor if `path` is empty.
  public func readLink(_ path: String) throws(SystemError) -> String {
    try FileDescriptor.readLink(at: number, path)
  }

  /// The absolute path of this directory as the host sees it, from procfs. For what is stored and printed; nothing is
  /// opened by it where somebody else could have changed it.
  public func hostPath() throws(SystemError) -> String {
    let path = try FileDescriptor.readLink(at: CurrentDirectory.number, "/proc/self/fd/\(number)")
    // A name that is no UTF-8 would come out repaired, and be another name.
    if path.unicodeScalars.contains("\u{FFFD}") { throw SystemError("readlinkat", Errno(84), path) }
    return path
  }

  static func readLink(at directory: Int32, _ path: String) throws(SystemError) -> String {
    let size = 4096
    var result: Int64 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      buffer.withMemoryRebound(to: CChar.self) { characters in
        guard let start = characters.baseAddress else { return }
        result = sys_readlinkat(directory, path, start, size)
      }
      count = max(0, Int(result))
    }
    try check("readlinkat", result, path)
    if result == size { throw SystemError("readlinkat", .nameTooLong, path) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The names in this directory without `.` and `..`, in the order of the file system. What is no UTF-8 is repaired, and
  /// then names nothing: in a directory that a container could write see ``directoryNames()``.
  public func entries() throws(SystemError) -> [DirectoryEntry] {
    var found: [DirectoryEntry] = []
    try readEntries { found.append(DirectoryEntry(name: String(cString: $0), kind: $1)) }
    return found
  }

  func readEntries(_ body: (_ name: UnsafePointer<CChar>, _ kind: UInt8) -> Void) throws(SystemError) {
    // A description of its own: the position in the directory is shared between duplicates.
    let directory = try open(".", [.readOnly, .directory])
    let size = 32768
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    defer { buffer.deallocate() }
    while true {
      let filled = Int(try check("getdents64", sys_getdents64(directory.number, buffer, size)))
      if filled == 0 { return }
      var offset = 0
      while offset < filled {
        // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name.
        let length = Int(buffer.loadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        let name = buffer.advanced(by: offset + 19).assumingMemoryBound(to: CChar.self)
        let isDot = name[0] == 0x2E && (name[1] == 0 || (name[1] == 0x2E && name[2] == 0))
        if !isDot { body(name, buffer.load(fromByteOffset: offset + 18, as: UInt8.self)) }
        offset += length
      }
    }
  }

  /// flock(2), exclusive, without waiting: false when somebody else holds the lock.
  public func tryLock() throws(SystemError) -> Bool {
    let result = sys_flock(number, 2 | 4 /* LOCK_EX | LOCK_NB */)
    if result == -11 { return false }
    try check("flock", result)
    return true
  }

  /// flock(2), exclusive; waits for the holder.
  public func lock() throws(SystemError) {
    let number = number
    try checkRetrying("flock") { sys_flock(number, 2 /* LOCK_EX */) }
  }
}

/// The directory `path` of the host and whatever of it was missing, as mkdir -p makes it.
public func makeHostDirectories(_ path: String, mode: UInt32) throws(SystemError) -> FileDescriptor {
  do {
    return try FileDescriptor.open(path, [.readOnly, .directory])
  } catch {
    if error.errno != .noEntry { throw error }
  }
  var position = path.utf8.startIndex
  let bytes = path.utf8
  while position < bytes.endIndex {
    var end = bytes.index(after: position)
    while end < bytes.endIndex && bytes[end] != 0x2F { end = bytes.index(after: end) }
    let prefix = String(decoding: bytes[bytes.startIndex..<end], as: UTF8.self)
    let result = sys_mkdirat(CurrentDirectory.number, prefix, mode)
    if result != -17 { try check("mkdirat", result, prefix) }
    position = end
  }
  return try FileDescriptor.open(path, [.readOnly, .directory])
}
