import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// The mount option tmpcopyup: what the directory held before is copied into the new tmpfs.
enum CopyUp {
  private static var depthLimit: Int { 64 }

  static func copy(
    from directory: borrowing FileDescriptor, to tree: borrowing FileDescriptor, _ mount: MountStep
  ) throws(RuntimeError) {
    do {
      try copyEntries(from: directory, to: tree, depth: 0)
    } catch {
      throw error.because(
        .mount, "cannot copy the directory into the tmpfs", field: "/mounts/\(mount.index)/options")
    }
  }

  /// The file that was looked at. Another container may have put a fifo in its place meanwhile, which must not keep this
  /// process waiting, or a file that it wants to have copied.
  private static func openSame(
    _ name: String, _ status: FileStatus, in directory: borrowing FileDescriptor
  ) throws(SystemError) -> FileDescriptor {
    let file = try RootDirectory.openEntry(
      in: directory, name, [.readOnly, .noFollow, .nonBlocking, .noControllingTerminal])
    let opened = try file.status()
    guard opened.kind == status.kind, opened.inode == status.inode, opened.device == status.device else {
      throw SystemError("openat2", .busy, name)
    }
    return file
  }

  private static func copyEntries(
    from source: borrowing FileDescriptor, to target: borrowing FileDescriptor, depth: Int
  ) throws(SystemError) {
    if depth > depthLimit { throw SystemError("tmpcopyup", .symbolicLinkLoop) }
    for entry in try source.entries() {
      let status = try source.status(entry.name)
      switch status.kind {
      case 0o040000:
        try target.makeDirectory(entry.name, mode: status.mode & 0o7777)
        let from = try RootDirectory.openEntry(in: source, entry.name, [.path, .directory, .noFollow])
        let to = try RootDirectory.openEntry(in: target, entry.name, [.readOnly, .directory, .noFollow])
        try copyEntries(from: from, to: to, depth: depth + 1)
      case 0o120000:
        try target.makeSymbolicLink(entry.name, to: try source.readLink(entry.name))
      case 0o100000:
        let from = try openSame(entry.name, status, in: source)
        let to = try RootDirectory.openEntry(
          in: target, entry.name, [.writeOnly, .create, .exclusive, .noFollow], mode: status.mode & 0o7777)
        while true {
          let chunk = try from.read(upTo: 65536)
          if chunk.isEmpty { break }
          try to.write(chunk)
        }
      default:
        try target.makeNode(
          entry.name, mode: status.mode, major: status.specialMajor, minor: status.specialMinor)
      }
      try target.changeOwner(entry.name, uid: status.uid, gid: status.gid)
      // A change of the owner takes the set-id bits away.
      if status.kind != 0o120000 && status.mode & 0o6000 != 0 {
        try target.changeMode(entry.name, status.mode & 0o7777)
      }
    }
  }
}
