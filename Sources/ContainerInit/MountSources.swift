import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The sources of bind mounts, as detached copies. What this process cannot reach or may not do, because it is in a user
/// namespace, the mount helper does for it with the rights of the runtime.
enum MountSources {
  static func tree(
    _ mount: MountStep, _ path: String, recursive: Bool, _ hasUserNamespace: Bool,
    _ reporter: borrowing InitReporter
  ) throws(RuntimeError) -> FileDescriptor {
    // Id-mapping a mount needs rights over the file system, which is the host's.
    if mount.idMap != nil && hasUserNamespace { return try reporter.ask(for: .tree, mount.index) }
    let flags: OpenFlags = mount.traits.contains(.sourceNoFollow) ? [.path, .noFollow] : .path
    let tree: FileDescriptor
    do {
      tree = try Mounts.clone(try FileDescriptor.open(path, flags), recursive: recursive)
    } catch {
      // EINVAL: mounts below are locked to it there, and a copy without them starts on the host's side only.
      let isLocked = error.errno == .invalid && !recursive
      if (error.errno == .accessDenied || isLocked) && hasUserNamespace {
        return try reporter.ask(for: .tree, mount.index, refused: error.errno)
      }
      throw error.because(.mount, "cannot bind `\(path)`", field: "/mounts/\(mount.index)/source")
    }
    if let idMap = mount.idMap { try mapIDs(mount, idMap, tree, reporter) }
    return tree
  }

  /// Maps the ids of a mount that this process has the rights over. Only the user namespace comes from the helper: to
  /// make one takes a process on the host's side of /proc.
  static func mapIDs(
    _ mount: MountStep, _ idMap: MountIDMap, _ tree: borrowing FileDescriptor, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    let namespace = try reporter.ask(for: .userNamespace, mount.index)
    do {
      try Mounts.mapIDs(tree, by: namespace, recursive: idMap.recursive)
    } catch {
      throw error.cannotMapIDs(field: "/mounts/\(mount.index)/options")
    }
  }
}

extension SystemError {
  func cannotMapIDs(field: String) -> RuntimeError {
    let hint =
      switch errno {
      case .invalid: "the kernel has no id-mapped mounts of this file system"
      case .notPermitted:
        "a mount that is id-mapped already, or a file system of this user namespace, cannot be mapped again"
      default: ""
      }
    return because(.idMapping, "cannot id-map the mount", field: field, hint: hint)
  }
}
