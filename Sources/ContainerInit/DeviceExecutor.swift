import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// Makes device nodes and the links of /dev (config-linux.md, "Default Devices" and "Dev symbolic links").
enum DeviceExecutor {
  static func make(_ node: DeviceNode, in root: borrowing RootDirectory) throws(RuntimeError) {
    do {
      try makeNode(node, in: root)
    } catch {
      // The configuration of a default device is nowhere: the message says what it is.
      throw error.during("\(node.index == nil ? "default " : "")device `/\(node.path)`")
    }
  }

  private static func makeNode(_ node: DeviceNode, in root: borrowing RootDirectory) throws(RuntimeError) {
    let (parentPath, name) = splitLast(node.path)
    let parent: FileDescriptor
    do {
      parent = try root.makeDirectories(parentPath.isEmpty ? "." : parentPath, mode: 0o755)
    } catch {
      throw error.because(.device, "cannot make its directory", field: node.field)
    }
    do {
      try parent.makeNode(name, mode: node.mode, major: node.major, minor: node.minor)
      if node.uid != 0 || node.gid != 0 { try changeOwner(node, name, in: parent) }
    } catch {
      if error.errno == .exists {
        try verifyExisting(node, name, in: parent)
      } else if error.errno == .notPermitted {
        try bindHostDevice(node, name, in: parent)
      } else {
        throw error.because(.device, "cannot make it", field: node.field)
      }
    }
  }

  /// The owner of the very node that was made, not of what bears its name by now (CVE-2026-88265).
  private static func changeOwner(
    _ node: DeviceNode, _ name: String, in parent: borrowing FileDescriptor
  ) throws(SystemError) {
    let file = try RootDirectory.openEntry(in: parent, name, [.path, .noFollow])
    let status = try file.status()
    guard status.kind == node.mode & 0o170000, status.specialMajor == node.major,
      status.specialMinor == node.minor
    else { throw SystemError("statx", .exists, name) }
    try file.changeOwner(uid: node.uid, gid: node.gid)
  }

  /// A node that is there already must be the one that was asked for; a symbolic link or another device in its place is
  /// the attack of CVE-2025-31133.
  private static func verifyExisting(
    _ node: DeviceNode, _ name: String, in parent: borrowing FileDescriptor
  ) throws(RuntimeError) {
    let status: FileStatus
    do {
      status = try RootDirectory.openEntry(in: parent, name, [.path, .noFollow]).status()
    } catch {
      throw error.because(.device, "cannot look at what is there", field: node.field)
    }
    let kind = node.mode & 0o170000
    let isDevice = kind == 0o020000 || kind == 0o060000
    let sameNumber = status.specialMajor == node.major && status.specialMinor == node.minor
    guard status.kind == kind && (!isDevice || sameNumber) else {
      throw RuntimeError(
        .device, "there is another file already (expected \(describe(node)))", field: node.field)
    }
  }

  private static func describe(_ node: DeviceNode) -> String {
    switch node.mode & 0o170000 {
    case 0o020000: "character device \(node.major):\(node.minor)"
    case 0o060000: "block device \(node.major):\(node.minor)"
    default: "a fifo"
    }
  }

  /// In a user namespace mknod(2) is not allowed: the host's node is bound, if it is the same device.
  private static func bindHostDevice(
    _ node: DeviceNode, _ name: String, in parent: borrowing FileDescriptor
  ) throws(RuntimeError) {
    do throws(SystemError) {
      let source = try FileDescriptor.open("/\(node.path)", [.path, .noFollow])
      let status = try source.status()
      guard status.kind == node.mode & 0o170000, status.specialMajor == node.major,
        status.specialMinor == node.minor
      else {
        throw SystemError("statx", .noDevice, "/\(node.path)")
      }
      do {
        try parent.makeNode(name, mode: 0o100644)
      } catch {
        if error.errno != .exists { throw error }
      }
      let target = try RootDirectory.openEntry(in: parent, name, [.path, .noFollow])
      let copy = try Mounts.clone(source, recursive: false)
      // The node is the host's: nobody inside may change its mode or owner.
      try Mounts.change(
        copy, MountChange(set: MountAttribute.readonly, propagation: MountAttribute.isolated), recursive: false)
      try Mounts.attach(copy, to: target)
    } catch {
      throw error.because(
        .device, "cannot make it, and cannot bind the host's in its place", field: node.field)
    }
  }

  static func makeLinks(in root: borrowing RootDirectory) throws(RuntimeError) {
    let directory: FileDescriptor
    do {
      directory = try root.makeDirectories("dev", mode: 0o755)
    } catch {
      throw error.because(.device, "cannot open `/dev` of the container")
    }
    var links = [("ptmx", "pts/ptmx")]
    if try hasDescriptors(root) {
      links += [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
      ]
    }
    do {
      _ = try FileDescriptor.open("/proc/kcore", .path)
      links.append(("core", "/proc/kcore"))
    } catch {
      // A kernel without /proc/kcore has nothing to link to.
    }
    for (name, target) in links {
      do {
        try directory.makeSymbolicLink(name, to: target)
      } catch {
        if error.errno == .exists {
          try replaceIfDifferent(name, target, in: directory)
        } else {
          throw error.because(.device, "cannot make the link `/dev/\(name)`")
        }
      }
    }
  }

  /// Whether the container has /proc/self/fd (runtime-linux.md, "Dev symbolic links"). Without a procfs of its pid namespace
  /// it has not.
  private static func hasDescriptors(_ root: borrowing RootDirectory) throws(RuntimeError) -> Bool {
    do {
      _ = try root.open("proc/self/fd", .path)
      return true
    } catch {
      if [.noEntry, .notDirectory, .accessDenied, .symbolicLinkLoop].contains(error.errno) { return false }
      throw error.because(.device, "cannot look for `/proc/self/fd` of the container")
    }
  }

  /// /dev/ptmx of an image may be an old device node; the link must lead to the container's own devpts.
  private static func replaceIfDifferent(
    _ name: String, _ target: String, in directory: borrowing FileDescriptor
  ) throws(RuntimeError) {
    guard name == "ptmx" else { return }
    do {
      if try directory.status(name).isSymbolicLink, try directory.readLink(name) == target { return }
      try directory.unlink(name)
      try directory.makeSymbolicLink(name, to: target)
    } catch {
      throw error.because(.device, "cannot replace `/dev/\(name)`")
    }
  }
}
