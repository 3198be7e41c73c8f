public import Diagnostics
public import LinuxABI

/// The proc file system, verified. What is written to a file of it acts on kernel and processes, so a file that only
/// looks like one must never be written: a mount laid over /proc, or over something below it, would catch the value or
/// lead it to another file (CVE-2019-16884, CVE-2025-52881). Nothing is opened here by a path from `/`.
@frozen public struct ProcFileSystem: ~Copyable {
  /// The root directory of it; number -1 while nothing is open.
  public let root: FileDescriptor

  /// Stands for none until it is opened.
  public init() {
    root = FileDescriptor(owning: -1)
  }

  private init(verifying directory: consuming FileDescriptor) throws(SystemError) {
    try ProcFileSystem.check(directory, "/proc")
    // The root of procfs is inode 1; a directory of it that was bound on /proc is not.
    guard try directory.status().inode == 1 else { throw SystemError("statx", .crossDevice, "/proc") }
    root = directory
  }
}

extension ProcFileSystem {
  /// A procfs that nobody else has: a new one, detached, so that nothing can lie over its files. Where this is not allowed
  /// (a user namespace that does not own the pid namespace, or whose /proc is masked) the one that is mounted.
  public static func own() throws(SystemError) -> ProcFileSystem {
    do {
      // nosuid, nodev, noexec
      return try ProcFileSystem(verifying: FileSystemContext("proc").mount(attributes: 0x2 | 0x4 | 0x8))
    } catch {
      guard error.errno == .notPermitted || error.errno == .accessDenied else { throw error }
    }
    let mounted = try FileDescriptor.open("/proc", [.path, .directory, .noFollow])
    do {
      // A copy of this mount alone: what was mounted over its files stays behind.
      return try ProcFileSystem(verifying: Mounts.clone(mounted, recursive: false))
    } catch {
      // EINVAL: mounts below are locked together with it. A file that one of them covers is refused when it is opened.
      guard [.notPermitted, .accessDenied, .invalid].contains(error.errno) else { throw error }
    }
    return try ProcFileSystem(verifying: mounted)
  }

  /// The procfs mounted at /proc, for the host's side, where a new one would only cost time.
  public static func mounted() throws(SystemError) -> ProcFileSystem {
    try ProcFileSystem(verifying: FileDescriptor.open("/proc", [.path, .directory, .noFollow]))
  }

  /// Opens a file by its path from the root of procfs. No link of any kind is followed and no mount point crossed.
  public func open(_ path: String, _ flags: OpenFlags) throws(SystemError) -> FileDescriptor {
    // RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
    let file = try RootDirectory.resolve(root.number, path, flags, mode: 0, 0x01 | 0x02 | 0x04 | 0x08)
    try ProcFileSystem.check(file, path)
    return file
  }

  /// Writes `text` to an existing file with one write(2): files of procfs take a value whole or not at all.
  public func write(_ path: String, _ text: String) throws(SystemError) {
    try open(path, .writeOnly).writeOnce(text, path)
  }

  /// The whole of a file by its path from the root of procfs; more than a megabyte is EFBIG.
  public func read(_ path: String) throws(SystemError) -> [UInt8] {
    try open(path, .readOnly).readAll(limit: 1 << 20)
  }

  /// The directory of this process, relative to the root. Its number is the one that this procfs gives: getpid(2) is
  /// about the pid namespace of the process, which may be another.
  public func ownDirectory() throws(SystemError) -> String {
    let name = try FileDescriptor.readLink(at: root.number, "self")
    guard !name.isEmpty && name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      throw SystemError("readlinkat", .invalid, "self")
    }
    return name
  }

  /// Writes to a file in the directory of this process.
  public func writeOwn(_ name: String, _ text: String) throws(SystemError) {
    try write("\(ownDirectory())/\(name)", text)
  }

  /// Opens what a magic link of this process leads to, such as `fd/3` or `ns/net`. The folder is verified; the link itself
  /// goes to a file and not along a path.
  public func openOwnLink(
    _ directory: String, _ name: String, _ flags: OpenFlags
  ) throws(SystemError) -> FileDescriptor {
    try open("\(ownDirectory())/\(directory)", [.path, .directory]).open(name, flags)
  }

  private static func check(_ file: borrowing FileDescriptor, _ path: String) throws(SystemError) {
    guard try file.fileSystemType() == FileSystemMagic.proc.rawValue else {
      throw SystemError("fstatfs", .crossDevice, path)
    }
  }
}
