import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

extension MountExecutor {
  /// The cgroup of the container only, by bind mounts: a new mount of cgroup2 would wait for a grace period of RCU, and
  /// a view of the whole hierarchy is nothing that a container needs.
  mutating func mountCgroups(_ mount: MountStep, in root: borrowing RootDirectory) throws(RuntimeError) {
    let target = try directoryTarget(mount, in: root)
    if let only = cgroups.first, only.name.isEmpty {
      let tree = try clone(only, mount)
      var whole = mount
      // The copy is a peer of the host's mount until it is told otherwise.
      whole.propagation.insert(PropagationChange(kind: MountAttribute.isolated, recursive: false), at: 0)
      try changeAttributes(whole, tree)
      try attach(mount, tree, to: target)
      return
    }
    let tree = try makeCgroupDirectory(mount)
    // Attached before it is filled: a mount below a detached one is not for every kernel.
    try attach(mount, tree, to: target)
    for source in cgroups where !source.isLink {
      let copy = try clone(source, mount)
      var part = mount
      part.propagation.insert(PropagationChange(kind: MountAttribute.isolated, recursive: false), at: 0)
      try changeAttributes(part, copy)
      try describe(.mount, "cannot bind the cgroup of `\(source.name)`", field: pointer(mount, "source")) {
        () throws(SystemError) in
        try Mounts.attach(
          copy, to: try RootDirectory.openEntry(in: tree, source.name, [.path, .directory]))
      }
    }
    var later = mount
    later.set &= MountAttribute.readonly
    later.clear = 0
    later.clearByName = 0
    try changeAttributes(later, tree)
  }

  private func clone(_ source: CgroupMountSource, _ mount: MountStep) throws(RuntimeError) -> FileDescriptor {
    try describe(.mount, "cannot bind the cgroup `\(source.path)`", field: pointer(mount, "source")) {
      () throws(SystemError) in
      try Mounts.clone(try FileDescriptor.open(source.path, .path), recursive: false)
    }
  }

  /// A tmpfs with a directory or a link for each controller of v1.
  private func makeCgroupDirectory(_ mount: MountStep) throws(RuntimeError) -> FileDescriptor {
    try describe(.mount, "cannot prepare the cgroup directory", field: pointer(mount, "type")) {
      () throws(SystemError) -> FileDescriptor in
      let context = try FileSystemContext("tmpfs")
      try context.set("mode", "755")
      if !mount.label.isEmpty { try context.set("context", mount.label) }
      let tree = try context.mount(attributes: mount.set & ~MountAttribute.readonly)
      for source in cgroups {
        if source.isLink {
          try tree.makeSymbolicLink(source.name, to: source.path)
        } else {
          try tree.makeDirectory(source.name, mode: 0o755)
        }
      }
      return tree
    }
  }
}
