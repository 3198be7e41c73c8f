import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// Carries out the entries of `mounts`: makes each mount detached, finds its place in the root, attaches it.
struct MountExecutor: ~Copyable {
  let hasUserNamespace: Bool
  /// The container's processes are in the pid namespace of the host.
  let sharesProcesses: Bool
  let cgroups: [CgroupMountSource]
  /// The file systems that were made here, by device number: the only ones that `remount` may change.
  var made: [UInt64] = []
  /// What was attached, for the steps that come back to it.
  var places: MountPlaces
  /// The directory `/proc` of the root before anything was mounted on it; nil where there is none, or not looked for yet.
  private var procDirectory: (device: UInt64, inode: UInt64)?
  private var hasLookedForProc = false
  /// What was mounted on `/` and is the root from then on; number -1 for nothing.
  private var newRoot = FileDescriptor(owning: -1)

  init(_ payload: InitPayload) {
    hasUserNamespace = payload.namespaces.hasUserNamespace
    sharesProcesses = !payload.namespaces.created.contains(.newPID) && !payload.namespaces.joins(.newPID)
    cgroups = payload.cgroupMounts
    places = MountPlaces(payload.steps)
  }

  mutating func execute(
    _ mount: MountStep, in root: borrowing RootDirectory, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    do {
      if !hasLookedForProc { try lookForProc(in: root) }
      switch mount.source {
      case .bind(let path, let recursive):
        try bind(mount, path, recursive: recursive, in: root, reporter)
      case .fileSystem(let type, let source, let parameters):
        try mountFileSystem(mount, type, source, parameters, in: root, reporter)
      case .legacyFileSystem(let type, let source, let data):
        try mountLegacy(mount, type, source, data, in: root)
      case .remount(let attributesOnly, let parameters):
        try remount(mount, attributesOnly: attributesOnly, parameters, in: root)
      case .cgroup:
        try mountCgroups(mount, in: root)
      }
    } catch {
      throw error.during("mount on `/\(mount.destination)`")
    }
  }

  func pointer(_ mount: MountStep, _ property: String) -> String {
    "/mounts/\(mount.index)/\(property)"
  }

  // MARK: Bind mounts

  mutating func bind(
    _ mount: MountStep, _ path: String, recursive: Bool, in root: borrowing RootDirectory,
    _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    if mount.traits.contains(.copiesSymlink), try copySymlink(mount, path, in: root) { return }
    let tree = try MountSources.tree(mount, path, recursive: recursive, hasUserNamespace, reporter)
    let isDirectory = try describe(.mount, "cannot look at `\(path)`", field: pointer(mount, "source")) {
      () throws(SystemError) in
      try tree.status().isDirectory
    }
    let target = isDirectory ? try directoryTarget(mount, in: root) : try fileTarget(mount, in: root)
    try changeAttributes(mount, tree)
    try attach(mount, tree, to: target)
  }

  /// The option `copy-symlink`: whether the source is a symbolic link, which then was made again at the destination.
  private func copySymlink(
    _ mount: MountStep, _ path: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> Bool {
    let target = try describe(.mount, "cannot look at `\(path)`", field: pointer(mount, "source")) {
      () throws(SystemError) -> String? in
      let source = try FileDescriptor.open(path, [.path, .noFollow])
      return try source.status().isSymbolicLink ? try source.readLink("") : nil
    }
    guard let target else { return false }
    try describe(.mount, "cannot make the symbolic link", field: pointer(mount, "destination")) {
      () throws(SystemError) in
      try root.makeLink(mount.destination, to: target, directoryMode: 0o755)
    }
    return true
  }

  // MARK: Attributes

  /// Applied while the mount is still detached, so that no process ever sees it without them.
  func changeAttributes(_ mount: MountStep, _ tree: borrowing FileDescriptor) throws(RuntimeError) {
    let all = MountChange(set: mount.setRecursively, clear: mount.clearRecursively)
    do {
      try changeOrKeepLocked(mount, tree)
      if !all.changesNothing { try Mounts.change(tree, all, recursive: true) }
      for change in mount.propagation {
        try Mounts.change(tree, MountChange(propagation: change.kind), recursive: change.recursive)
      }
    } catch {
      let hint =
        error.errno == .notPermitted
        ? "an attribute that the mount has outside of the user namespace cannot be taken away inside" : ""
      throw error.because(.mount, "cannot set the mount options", field: pointer(mount, "options"), hint: hint)
    }
    // What the kernel answered is one thing, what the mount has another.
    let wanted = mount.set & ~mount.clearRecursively | mount.setRecursively
    let holds = try describe(.mount, "cannot verify the mount options", field: pointer(mount, "options")) {
      () throws(SystemError) in
      try MountState.has(wanted, tree)
    }
    guard holds else {
      throw RuntimeError(
        .mount, "the mount does not have the options that were set", field: pointer(mount, "options"))
    }
  }

  /// In a user namespace the flags that a mount had outside are locked (mount_namespaces(7)). One that only was not asked
  /// for stays, which makes the mount stricter; one that the configuration takes away by name is an error.
  private func changeOrKeepLocked(
    _ mount: MountStep, _ tree: borrowing FileDescriptor
  ) throws(SystemError) {
    let change = MountChange(set: mount.set, clear: mount.clear)
    if change.changesNothing { return }
    do {
      try Mounts.change(tree, change, recursive: false)
    } catch {
      guard error.errno == .notPermitted && mount.clear != mount.clearByName else { throw error }
      let named = MountChange(set: mount.set, clear: mount.clearByName)
      if !named.changesNothing { try Mounts.change(tree, named, recursive: false) }
    }
  }

  /// The option `remount`: what is mounted at the destination gets other attributes, and its file system other
  /// parameters. Only a file system that was made for this container: that of a bind mount is the host's.
  private func remount(
    _ mount: MountStep, attributesOnly: Bool, _ parameters: [MountParameter], in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let place = try describe(
      .mount, "cannot open the destination", field: pointer(mount, "destination")
    ) { () throws(SystemError) in
      try root.open(mount.destination, .path)
    }
    let status = try describe(.mount, "cannot look at the destination", field: pointer(mount, "destination")) {
      () throws(SystemError) in
      try place.status()
    }
    guard status.isMountRoot else {
      throw RuntimeError(
        .mount, "nothing is mounted there that could be remounted", field: pointer(mount, "destination"))
    }
    if !attributesOnly {
      guard made.contains(status.device) else {
        throw RuntimeError(
          .mount, "the file system there belongs to the host, and `remount` would change it for everybody",
          field: pointer(mount, "options"), hint: "add `bind` to change only this mount")
      }
      try reconfigure(mount, place, parameters)
    }
    try changeAttributes(mount, place)
  }

  // MARK: Places

  func directoryTarget(
    _ mount: MountStep, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor {
    do {
      if mount.traits.contains(.destinationNoFollow) {
        return try root.makeWithoutFollowing(
          mount.destination, isDirectory: true, mode: 0o755, directoryMode: 0o755)
      }
      return try root.makeDirectories(mount.destination, mode: 0o755)
    } catch {
      throw error.because(
        .mount, "cannot make the destination a directory", field: pointer(mount, "destination"))
    }
  }

  private func fileTarget(
    _ mount: MountStep, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor {
    do throws(SystemError) {
      if mount.traits.contains(.destinationNoFollow) {
        return try root.makeWithoutFollowing(
          mount.destination, isDirectory: false, mode: 0o644, directoryMode: 0o755)
      }
      let target = try root.makeFile(mount.destination, mode: 0o644, directoryMode: 0o755)
      if try target.status().isDirectory { throw SystemError("open", .isDirectory, mount.destination) }
      return target
    } catch {
      if error.errno == .isDirectory {
        // As mount(2) says it: dockerd has advice for that, and takes "is a directory" for a word about the command.
        throw SystemError("mount", .notDirectory, mount.destination).because(
          .mount, "a file cannot be mounted on a directory", field: pointer(mount, "destination"))
      }
      throw error.because(.mount, "cannot make the destination a file", field: pointer(mount, "destination"))
    }
  }

  mutating func attach(
    _ mount: MountStep, _ tree: borrowing FileDescriptor, to target: borrowing FileDescriptor
  ) throws(RuntimeError) {
    try refuseHidingProc(mount, tree, target)
    do {
      try Mounts.attach(tree, to: target)
      try places.add(mount.destination, tree)
      if mount.destination == "." {
        newRoot = try tree.duplicate()
        hasLookedForProc = false
      }
    } catch {
      throw error.because(.mount, "cannot attach the mount", field: pointer(mount, "destination"))
    }
  }

  /// The mount that now lies on the root, if the last entry was one on `/`.
  mutating func takeNewRoot() -> FileDescriptor? {
    if newRoot.number < 0 { return nil }
    var taken = FileDescriptor(owning: -1)
    swap(&taken, &newRoot)
    return taken
  }
}

// MARK: /proc

extension MountExecutor {
  /// Where a mount inside of /proc is harmless: the files that lxcfs and others replace, as in runc.
  private static let allowedInProc = [
    "proc/cpuinfo", "proc/diskstats", "proc/meminfo", "proc/stat", "proc/swaps", "proc/uptime",
    "proc/loadavg",
    "proc/slabinfo", "proc/net/dev", "proc/sys/kernel/ns_last_pid", "proc/sys/crypto/fips_enabled",
  ]

  /// PROC_ROOT_INO
  private static var procRootInode: UInt64 { 1 }

  private mutating func lookForProc(in root: borrowing RootDirectory) throws(RuntimeError) {
    hasLookedForProc = true
    do {
      let status = try root.open("proc", .path).status()
      procDirectory = (status.device, status.inode)
    } catch {
      if error.errno == .noEntry || error.errno == .symbolicLinkLoop { return }
      throw error.because(.mount, "cannot look at `/proc` of the root file system")
    }
  }

  /// What lies over /proc, or over a file in it, would take in whoever writes there: a false `self/attr/exec`
  /// (CVE-2019-16884). On `/proc` itself only a procfs may be mounted, and inside of it only on the files of the list.
  func refuseHidingProc(
    _ mount: MountStep, _ tree: borrowing FileDescriptor, _ target: borrowing FileDescriptor
  ) throws(RuntimeError) {
    let verdict = try describe(.mount, "cannot look at the destination") { () throws(SystemError) -> String? in
      let status = try target.status()
      let isInProc = try target.fileSystemType() == FileSystemMagic.proc.rawValue
      if isInProc && !status.isMountRoot {
        return MountExecutor.allowedInProc.contains(mount.destination) ? nil : "it is inside /proc"
      }
      // By its name as well: an image may have no /proc before it is made as a mount point.
      let isProc =
        mount.destination == "proc"
        || procDirectory.map { $0.device == status.device && $0.inode == status.inode } ?? false
      guard isInProc || isProc else { return nil }
      // The whole of a procfs, not a part of one.
      if try tree.fileSystemType() == FileSystemMagic.proc.rawValue,
        try tree.status().inode == MountExecutor.procRootInode
      {
        return nil
      }
      return "it is not of type proc"
    }
    if let verdict {
      throw RuntimeError(
        .mount, "`/\(mount.destination)` cannot be mounted because \(verdict)",
        field: pointer(mount, "destination"))
    }
  }
}
