import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// Carries out one entry of `mounts`: makes the mount detached, finds its place in the root, attaches it.
enum MountExecutor {
  static func execute(
    _ mount: MountStep, in root: borrowing RootDirectory, _ sources: [CgroupMountSource]
  ) throws(RuntimeError) {
    do {
      switch mount.source {
      case .bind(let path, let recursive):
        try bind(mount, path, recursive: recursive, in: root)
      case .fileSystem(let type, let source, let parameters):
        try mountFileSystem(mount, type, source, parameters, in: root)
      case .cgroup:
        try mountCgroups(mount, sources, in: root)
      }
    } catch {
      throw error.during("mount on `/\(mount.destination)`")
    }
  }

  private static func pointer(_ mount: MountStep, _ property: String) -> String {
    "/mounts/\(mount.index)/\(property)"
  }

  // MARK: Bind mounts

  private static func bind(
    _ mount: MountStep, _ path: String, recursive: Bool, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let tree: FileDescriptor
    let isDirectory: Bool
    do {
      let source = try FileDescriptor.open(path, .path)
      isDirectory = try source.status().isDirectory
      tree = try Mounts.clone(source, recursive: recursive)
    } catch {
      throw error.because(.mount, "cannot bind `\(path)`", field: pointer(mount, "source"))
    }
    let target =
      isDirectory ? try directoryTarget(mount, in: root) : try fileTarget(mount, in: root)
    try changeAttributes(mount, tree)
    try attach(mount, tree, to: target)
  }

  /// Applied while the mount is still detached, so that no process ever sees it without them.
  private static func changeAttributes(
    _ mount: MountStep, _ tree: borrowing FileDescriptor
  ) throws(RuntimeError) {
    let own = MountChange(set: mount.set, clear: mount.clear)
    let all = MountChange(set: mount.setRecursively, clear: mount.clearRecursively)
    do {
      if !own.changesNothing { try changeOrKeepLocked(tree, own) }
      if !all.changesNothing { try Mounts.change(tree, all, recursive: true) }
      for change in mount.propagation {
        try Mounts.change(tree, MountChange(propagation: change.kind), recursive: change.recursive)
      }
    } catch {
      throw error.because(.mount, "cannot set the mount options", field: pointer(mount, "options"))
    }
  }

  /// In a user namespace the flags that a mount had outside are locked (mount_namespaces(7)); what cannot be cleared
  /// stays, which only makes the mount stricter than asked.
  private static func changeOrKeepLocked(
    _ tree: borrowing FileDescriptor, _ change: MountChange
  ) throws(SystemError) {
    do {
      try Mounts.change(tree, change, recursive: false)
    } catch {
      guard error.errno == .notPermitted && change.clear != 0 else { throw error }
      try Mounts.change(tree, MountChange(set: change.set), recursive: false)
    }
  }

  // MARK: File systems

  private static func mountFileSystem(
    _ mount: MountStep, _ type: String, _ source: String, _ parameters: [MountParameter],
    in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let target = try directoryTarget(mount, in: root)
    let isKernelView = type == "proc" || type == "sysfs"
    if isKernelView {
      try refuseRedirected(mount, type, target, in: root)
    }
    var parameters = parameters
    if type == "tmpfs" && !parameters.contains(where: { $0.key == "mode" }) {
      try addMode(of: target, to: &parameters)
    }
    guard let tree = try makeFileSystem(mount, type, source, parameters) else {
      // Whatever is mounted below the host's /sys comes along, and must be as strict.
      var all = mount
      all.setRecursively |= mount.set
      try bind(all, "/sys", recursive: true, in: root)
      return
    }
    if mount.copiesUp { try CopyUp.copy(from: target, to: tree, mount) }
    var later = mount
    later.set &= MountAttribute.readonly
    later.clear = 0
    try changeAttributes(later, tree)
    try attach(mount, tree, to: target)
  }

  /// A detached mount of a new file system. Nil where the kernel does not let this user namespace have a sysfs,
  /// because the network namespace belongs to another one: then the host's is bound.
  private static func makeFileSystem(
    _ mount: MountStep, _ type: String, _ source: String, _ parameters: [MountParameter]
  ) throws(RuntimeError) -> FileDescriptor? {
    let context: FileSystemContext
    do {
      context = try FileSystemContext(type)
    } catch {
      let hint = error.errno == .noDevice ? "the kernel does not know this file system" : ""
      throw error.because(.mount, "cannot mount a `\(type)`", field: pointer(mount, "type"), hint: hint)
    }
    do {
      if !source.isEmpty { try context.set("source", source) }
      for parameter in parameters {
        if let value = parameter.value {
          try context.set(parameter.key, value)
        } else {
          try setFlag(parameter, context)
        }
      }
      // Read-only comes last: something may have to be copied into it first.
      return try context.mount(attributes: mount.set & ~MountAttribute.readonly)
    } catch {
      if type == "sysfs" && error.errno == .notPermitted { return nil }
      let said = context.messages()
      throw error.because(
        .mount, said.isEmpty ? "cannot mount a `\(type)`" : "cannot mount a `\(type)`: \(said)",
        field: pointer(mount, "options"))
    }
  }

  private static func setFlag(
    _ parameter: MountParameter, _ context: borrowing FileSystemContext
  ) throws(SystemError) {
    do {
      try context.setFlag(parameter.key)
    } catch {
      guard parameter.mayBeUnknown && error.errno == .invalid else { throw error }
    }
  }

  /// A tmpfs has the mode of the directory that it covers, as with runc and crun, not the kernel's 1777.
  private static func addMode(
    of target: borrowing FileDescriptor, to parameters: inout [MountParameter]
  ) throws(RuntimeError) {
    let mode = try describe(.mount, "cannot read the mode of the destination") { () throws(SystemError) in
      try target.status().mode & 0o7777
    }
    parameters.append(MountParameter(key: "mode", value: String(mode, radix: 8)))
  }

  /// The destination of proc and sysfs must be the directory of that name itself. Through a symbolic link they would
  /// land elsewhere, and what is masked in /proc would be open (CVE-2019-19921, CVE-2023-27561).
  private static func refuseRedirected(
    _ mount: MountStep, _ type: String, _ target: borrowing FileDescriptor, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let direct: FileStatus
    let resolved: FileStatus
    do {
      direct = try root.openWithoutLinks(mount.destination, [.path, .noFollow]).status()
      resolved = try target.status()
    } catch {
      throw error.because(
        .mount, "the destination of `\(type)` must be a directory and no symbolic link",
        field: pointer(mount, "destination"))
    }
    guard direct.inode == resolved.inode && direct.mountID == resolved.mountID else {
      throw RuntimeError(
        .mount, "the destination of `\(type)` must be a directory and no symbolic link",
        field: pointer(mount, "destination"))
    }
  }

  // MARK: Cgroups

  /// The cgroup of the container only, by bind mounts: a new mount of cgroup2 would wait for a grace period of RCU, and
  /// a view of the whole hierarchy is nothing that a container needs.
  private static func mountCgroups(
    _ mount: MountStep, _ sources: [CgroupMountSource], in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    if let only = sources.first, only.name.isEmpty {
      let whole = MountStep(
        index: mount.index, destination: mount.destination, source: .bind(path: only.path, recursive: false),
        set: mount.set,
        propagation: [PropagationChange(kind: MountAttribute.isolated, recursive: false)] + mount.propagation)
      try bind(whole, only.path, recursive: false, in: root)
      return
    }
    let target = try directoryTarget(mount, in: root)
    let tree = try makeCgroupDirectory(mount, sources)
    try attach(mount, tree, to: target)
    for source in sources where !source.isLink {
      do {
        let directory = try RootDirectory.openEntry(in: tree, source.name, [.path, .directory])
        let copy = try Mounts.clone(try FileDescriptor.open(source.path, .path), recursive: false)
        try Mounts.change(
          copy, MountChange(set: mount.set, propagation: MountAttribute.isolated), recursive: false)
        try Mounts.attach(copy, to: directory)
      } catch {
        throw error.because(
          .mount, "cannot bind the cgroup of `\(source.name)`", field: pointer(mount, "source"))
      }
    }
    if mount.set & MountAttribute.readonly != 0 {
      do {
        try Mounts.change(tree, MountChange(set: MountAttribute.readonly), recursive: false)
      } catch {
        throw error.because(
          .mount, "cannot make the cgroup directory read-only", field: pointer(mount, "options"))
      }
    }
  }

  /// A tmpfs with a directory or a link for each controller of v1.
  private static func makeCgroupDirectory(
    _ mount: MountStep, _ sources: [CgroupMountSource]
  ) throws(RuntimeError) -> FileDescriptor {
    do {
      let context = try FileSystemContext("tmpfs")
      try context.set("mode", "755")
      let tree = try context.mount(attributes: mount.set & ~MountAttribute.readonly)
      for source in sources {
        if source.isLink {
          try tree.makeSymbolicLink(source.name, to: source.path)
        } else {
          try tree.makeDirectory(source.name, mode: 0o755)
        }
      }
      return tree
    } catch {
      throw error.because(.mount, "cannot prepare the cgroup directory", field: pointer(mount, "type"))
    }
  }

  // MARK: Places

  private static func directoryTarget(
    _ mount: MountStep, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor {
    do {
      return try root.makeDirectories(mount.destination, mode: 0o755)
    } catch {
      throw error.because(
        .mount, "cannot make the destination a directory", field: pointer(mount, "destination"))
    }
  }

  private static func fileTarget(
    _ mount: MountStep, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor {
    do throws(SystemError) {
      let target = try root.makeFile(mount.destination, mode: 0o644, directoryMode: 0o755)
      if try target.status().isDirectory { throw SystemError("open", .isDirectory, mount.destination) }
      return target
    } catch {
      throw error.because(.mount, "cannot make the destination a file", field: pointer(mount, "destination"))
    }
  }

  /// Where a mount inside of /proc is harmless: the files that lxcfs and others replace, as in runc.
  private static let allowedInProc = [
    "proc/cpuinfo", "proc/diskstats", "proc/meminfo", "proc/stat", "proc/swaps", "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo", "proc/net/dev", "proc/sys/kernel/ns_last_pid", "proc/sys/crypto/fips_enabled",
  ]

  private static func attach(
    _ mount: MountStep, _ tree: borrowing FileDescriptor, to target: borrowing FileDescriptor
  ) throws(RuntimeError) {
    let isInProc = try describe(.mount, "cannot look at the destination") { () throws(SystemError) in
      if try target.fileSystemType() != 0x9FA0 /* PROC_SUPER_MAGIC */ { return false }
      return try !target.status().isMountRoot
    }
    if isInProc && !allowedInProc.contains(mount.destination) {
      // Over /proc/self/attr and the like it would take in whoever writes there (CVE-2019-16884).
      throw RuntimeError(
        .mount, "`/\(mount.destination)` cannot be mounted because it is inside /proc",
        field: pointer(mount, "destination"))
    }
    do {
      try Mounts.attach(tree, to: target)
    } catch {
      throw error.because(.mount, "cannot attach the mount", field: pointer(mount, "destination"))
    }
  }
}
