import CLinux
public import Diagnostics
import LinuxABI

/// A change of the attributes of a mount, mount_setattr(2). The numbers are MOUNT_ATTR_* and, for the propagation,
/// MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0 leaves the propagation as it is.
public struct MountChange: Sendable, Equatable {
  public var set: UInt64
  public var clear: UInt64
  public var propagation: UInt64

  public init(set: UInt64 = 0, clear: UInt64 = 0, propagation: UInt64 = 0) {
    self.set = set
    self.clear = clear
    self.propagation = propagation
  }

  public var changesNothing: Bool {
    (self.set | self.clear | self.propagation) == 0
  }
}

/// Mounts by descriptor only. A mount is made detached, changed while nobody can see it, and then attached to a
/// directory that was resolved before.
public enum Mounts {
  /// A detached copy of the mount that holds `file` (of the file or directory itself), open_tree(2).
  public static func clone(
    _ file: borrowing FileDescriptor, recursive: Bool
  ) throws(SystemError) -> FileDescriptor {
    // OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE
    let flags: UInt32 = 1 | 0o2000000 | 0x1000 | (recursive ? 0x8000 : 0)
    return FileDescriptor(owning: Int32(try check("open_tree", sys_open_tree(file.number, "", flags))))
  }

  /// The same of the mount that holds the working directory, without a search for it.
  public static func cloneWorkingDirectory() throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: Int32(try check("open_tree", sys_open_tree(-100, "", 1 | 0o2000000 | 0x1000))))
  }

  /// Makes the directory that `tree` is open on the working directory.
  public static func enter(_ tree: borrowing FileDescriptor) throws(SystemError) {
    try check("fchdir", sys_fchdir(tree.number))
  }

  /// Attaches the detached mount `tree` on top of `target`.
  public static func attach(
    _ tree: borrowing FileDescriptor, to target: borrowing FileDescriptor
  ) throws(SystemError) {
    // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    try check("move_mount", sys_move_mount(tree.number, "", target.number, "", 0x4 | 0x40))
  }

  /// Changes the mount whose root `tree` is open on; with `recursive` also every mount below it.
  public static func change(
    _ tree: borrowing FileDescriptor, _ change: MountChange, recursive: Bool
  ) throws(SystemError) {
    var attributes = apus_mount_attr(
      attr_set: change.set, attr_clr: change.clear, propagation: change.propagation, userns_fd: 0)
    let flags: UInt32 = 0x1000 | (recursive ? 0x8000 : 0)
    try check("mount_setattr", sys_mount_setattr(tree.number, "", flags, &attributes))
  }

  /// Maps the ids of the detached mount `tree` by the user namespace behind `namespace` (MOUNT_ATTR_IDMAP).
  public static func mapIDs(
    _ tree: borrowing FileDescriptor, by namespace: borrowing FileDescriptor, recursive: Bool
  ) throws(SystemError) {
    var attributes = apus_mount_attr(
      attr_set: 0x10_0000, attr_clr: 0, propagation: 0, userns_fd: UInt64(UInt32(bitPattern: namespace.number)))
    let flags: UInt32 = 0x1000 | (recursive ? 0x8000 : 0)
    try check("mount_setattr", sys_mount_setattr(tree.number, "", flags, &attributes), "MOUNT_ATTR_IDMAP")
  }

  /// mount(2) onto an open directory. For what fsconfig(2) cannot be told; the mount is visible at once.
  public static func mountLegacy(
    _ type: String, source: String, on target: borrowing FileDescriptor, flags: UInt64, data: String
  ) throws(SystemError) {
    // By way of the working directory: a path could lead elsewhere by now.
    try check("fchdir", sys_fchdir(target.number))
    try check("mount", sys_mount(source, ".", type, flags, data), type)
    try check("chdir", sys_chdir("/"))
  }

  /// Takes a mount away with all below it, by the descriptor of its root.
  public static func detach(_ root: borrowing FileDescriptor) throws(SystemError) {
    try check("fchdir", sys_fchdir(root.number))
    try check("umount2", sys_umount2(".", 2 /* MNT_DETACH */))
  }

  /// Takes the mount at a path of the host away, with all below it, for this mount namespace.
  public static func detach(_ path: String) throws(SystemError) {
    try check("umount2", sys_umount2(path, 2 | 8 /* MNT_DETACH | UMOUNT_NOFOLLOW */), path)
  }

  /// Moves the mount at `root` onto `/` and makes it the root directory by chroot(2).
  public static func moveRoot(_ root: borrowing FileDescriptor) throws(SystemError) {
    try check("fchdir", sys_fchdir(root.number))
    try check("move_mount", sys_move_mount(root.number, "", -100, "/", 0x4 /* F_EMPTY_PATH */), "/")
    try check("chroot", sys_chroot("."))
    try check("chdir", sys_chdir("/"))
  }

  /// Sets the propagation of every mount from `/` on.
  public static func setPropagationOfRoot(_ propagation: UInt64, recursive: Bool) throws(SystemError) {
    // mount(2) and not mount_setattr(2), which goes over all mounts of the host twice. MS_REC is 1 << 14.
    try check("mount", sys_mount("", "/", "", propagation | (recursive ? 1 << 14 : 0), ""), "/")
  }

  /// Makes the mount at `root` the root of this mount namespace and lets go of the old one, pivot_root(2) with both
  /// arguments `.`. The working directory is the new root afterwards. `isIsolated` says that no mount of the old root has
  /// peers any more.
  public static func pivot(to root: borrowing FileDescriptor, isIsolated: Bool) throws(SystemError) {
    let old = try FileDescriptor.open("/", [.path, .directory])
    try check("fchdir", sys_fchdir(root.number))
    try check("pivot_root", sys_pivot_root(".", "."))
    // The old root now lies on top of the new one. What happens to it must not reach the host's mounts: they may be
    // shared with it.
    try check("fchdir", sys_fchdir(old.number))
    if !isIsolated {
      try check("mount", sys_mount("", ".", "", 1 << 19 | 1 << 14 /* MS_SLAVE | MS_REC */, ""), "old root")
    }
    try check("umount2", sys_umount2(".", 2 /* MNT_DETACH */), "old root")
    try check("chdir", sys_chdir("/"))
  }

  /// Makes `root` the root directory of this process without a mount namespace of its own, chroot(2).
  public static func changeRoot(to root: borrowing FileDescriptor) throws(SystemError) {
    try check("fchdir", sys_fchdir(root.number))
    try check("chroot", sys_chroot("."))
    try check("chdir", sys_chdir("/"))
  }
}

/// The ST_* flags of statfs(2) that stand for attributes of a mount.
public enum MountState {
  /// Whether the mount behind `tree` has each of the MOUNT_ATTR_* of `wanted` that statfs(2) shows: ro, nosuid, nodev and
  /// noexec, which have the same numbers there.
  public static func has(_ wanted: UInt64, _ tree: borrowing FileDescriptor) throws(SystemError) -> Bool {
    let visible = wanted & 0xF
    if visible == 0 { return true }
    return try tree.fileSystem().flags & visible == visible
  }
}

/// A file system that is being configured, fsopen(2) and fsconfig(2).
@frozen public struct FileSystemContext: ~Copyable {
  public var descriptor: FileDescriptor
  public var type: String

  public init(_ type: String) throws(SystemError) {
    self.type = type
    descriptor = FileDescriptor(
      owning: Int32(try check("fsopen", sys_fsopen(type, 1 /* FSOPEN_CLOEXEC */), type)))
  }
}

extension FileSystemContext {
  /// The file system behind a mount, to be configured anew, fspick(2).
  public init(picking mount: borrowing FileDescriptor) throws(SystemError) {
    type = ""
    // FSPICK_CLOEXEC | FSPICK_EMPTY_PATH
    descriptor = FileDescriptor(owning: Int32(try check("fspick", sys_fspick(mount.number, 1 | 8))))
  }

  /// Makes what was set take effect on a file system that is mounted already.
  public func reconfigure() throws(SystemError) {
    try check("fsconfig", sys_fsconfig(descriptor.number, 7 /* FSCONFIG_CMD_RECONFIGURE */, nil, nil, 0))
  }

  /// Sets a parameter that has a value: `size=64k`.
  public func set(_ key: String, _ value: String) throws(SystemError) {
    let number = descriptor.number
    let result = value.withCString { sys_fsconfig(number, 1 /* FSCONFIG_SET_STRING */, key, $0, 0) }
    try check("fsconfig", result, "\(key)=\(value)")
  }

  /// Sets a parameter that is there or not: `newinstance`.
  public func setFlag(_ key: String) throws(SystemError) {
    try check("fsconfig", sys_fsconfig(descriptor.number, 0 /* FSCONFIG_SET_FLAG */, key, nil, 0), key)
  }

  /// Makes the superblock and a detached mount of it with the MOUNT_ATTR_* `attributes`.
  public func mount(attributes: UInt64) throws(SystemError) -> FileDescriptor {
    try check(
      "fsconfig", sys_fsconfig(descriptor.number, 6 /* FSCONFIG_CMD_CREATE */, nil, nil, 0), type)
    let result = sys_fsmount(
      descriptor.number, 1 /* FSMOUNT_CLOEXEC */, UInt32(truncatingIfNeeded: attributes))
    return FileDescriptor(owning: Int32(try check("fsmount", result, type)))
  }

  /// What the kernel wrote about the last failure, one message after the other; empty if nothing.
  public func messages() -> String {
    var text = ""
    while true {
      let line: [UInt8]
      do {
        line = try descriptor.read(upTo: 1024)
      } catch {
        // ENODATA: there are no more messages. They only explain an error that is reported anyway.
        return text
      }
      if line.isEmpty { return text }
      if !text.isEmpty { text += ", " }
      // `e message`: the first letter is the level.
      let body = line.count > 2 && line[1] == 0x20 ? line[2...] : line[...]
      var trimmed = body
      while trimmed.last == 0x0A { trimmed.removeLast() }
      text += String(decoding: trimmed, as: UTF8.self)
    }
  }
}
