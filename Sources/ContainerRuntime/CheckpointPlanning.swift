import Checkpoint
import ContainerPlan
import Diagnostics
import Linux
import LinuxABI
import OCISpec

/// What of a container comes from outside, and has to be told to CRIU by name.
enum CheckpointPlanning {
  /// A bind mount of the configuration.
  struct Bind {
    /// Absolute in the container.
    var destination: String
    var source: String
    var index: UInt32
    /// A source that is a symbolic link is bound itself.
    var isLink: Bool

    func status() throws(SystemError) -> FileStatus {
      try FileDescriptor.open(source, isLink ? [.path, .noFollow] : .path).status()
    }
  }

  /// The bind mounts by their destinations; of several on one path the last one, which hides the others.
  static func binds(_ plan: ContainerPlan) -> [Bind] {
    var binds: [Bind] = []
    for step in plan.steps {
      guard case .mount(let mount) = step else { continue }
      let destination = mount.destination == "." ? "/" : "/\(mount.destination)"
      binds.removeAll { $0.destination == destination }
      guard case .bind(let source, _) = mount.source else { continue }
      binds.append(
        Bind(
          destination: destination, source: source, index: mount.index,
          isLink: mount.traits.contains(.sourceNoFollow)))
    }
    return binds
  }

  /// What cannot come back as it was.
  static func refuse(_ plan: ContainerPlan) throws(RuntimeError) {
    func unsupported(_ what: String, _ field: String) -> RuntimeError {
      RuntimeError(.checkpointUnsupported, "a container with \(what) cannot be checkpointed or restored", field: field)
    }
    guard plan.namespaces.created.contains(.newMount) else {
      throw unsupported("the mounts of somebody else", "/linux/namespaces")
    }
    for joined in plan.namespaces.joined where !joinable.contains(joined.kind) {
      throw unsupported("such a namespace that is joined by path", "/linux/namespaces/\(joined.index)/path")
    }
    if plan.namespaces.hasUserNamespace { throw unsupported("a user namespace", "/linux/namespaces") }
    if plan.landlock != nil { throw unsupported("a Landlock ruleset", "/annotations/\(LandlockConfig.annotation)") }
    if plan.seccomp?.listenerPath != nil { throw unsupported("a listener of seccomp", "/linux/seccomp/listenerPath") }
    if !plan.netDevices.isEmpty { throw unsupported("network devices of the host", "/linux/netDevices") }
    for step in plan.steps {
      guard case .mount(let mount) = step, mount.idMap != nil else { continue }
      throw unsupported("an id-mapped mount", "/mounts/\(mount.index)")
    }
  }

  private static var joinable: CloneFlags { [.newNetwork, .newPID, .newIPC, .newUTS] }

  /// What CRIU calls the kinds that it takes by path.
  static func name(_ kind: CloneFlags) -> String {
    switch kind {
    case .newNetwork: "net"
    case .newPID: "pid"
    case .newIPC: "ipc"
    default: "uts"
    }
  }

  /// What stands beside the images: found by what is mounted, not by what the configuration hoped for.
  static func describe(
    _ record: ContainerRecord, _ plan: ContainerPlan
  ) throws(RuntimeError) -> CheckpointDescription {
    let mounts: [MountTableEntry]
    var description = CheckpointDescription()
    let root = try Diagnostics.describe(.checkpointUnsupported, "cannot open the root of `\(record.id)`") {
      () throws(SystemError) -> RootDirectory in
      RootDirectory(try FileDescriptor.open("/proc/\(record.pid)/root", [.path, .directory]))
    }
    do {
      mounts = try MountTable.read(of: record.pid)
      for number in 0...2 {
        description.streams.append(try stream(number, of: record.pid, mounts))
      }
    } catch {
      throw error.because(.checkpointUnsupported, "cannot look at process \(record.pid) of `\(record.id)`")
    }
    // What the container has mounted itself is CRIU's to save; a name that could be read as two never comes to it.
    for mount in mounts where !MountName.isPlain(mount.path) {
      try MountName.check(mount.path, "a mount of `\(record.id)`")
    }
    let outside = try Diagnostics.describe(.checkpointUnsupported, "cannot read the mounts of the host") {
      () throws(SystemError) in try MountTable.read()
    }
    for bind in binds(plan) {
      guard let path = try place(bind.destination, root, mounts, "/mounts/\(bind.index)/destination") else { continue }
      try check(bind, at: path, root, mounts, outside)
      try MountName.check(bind.destination, "a mount of `\(record.id)`", field: "/mounts/\(bind.index)/destination")
      description.mounts.append(
        CheckpointDescription.Mount(
          key: CheckpointDescription.key(description.mounts.count), destination: bind.destination, path: path))
    }
    // With a cgroup namespace they begin at its root, and CRIU makes them itself.
    if !plan.namespaces.created.contains(.newCgroup) {
      for mount in mounts where mount.type == "cgroup" || mount.type == "cgroup2" {
        // One that the configuration binds there comes from its source.
        if description.mounts.contains(where: { $0.path == mount.path }) { continue }
        let name = mount.type == "cgroup2" ? "" : splitLast(mount.path).name
        description.cgroups.append(
          CheckpointDescription.Mount(
            key: CheckpointDescription.key(ofCgroup: description.cgroups.count), destination: "/\(name)",
            path: mount.path))
      }
    }
    for step in plan.steps {
      guard case .maskPaths(let paths, _) = step else { continue }
      for mask in paths {
        guard let path = try place(mask, root, mounts, "/linux/maskedPaths"), !description.masks.contains(path),
          try isNullDevice(path, root)
        else { continue }
        description.masks.append(path)
      }
    }
    description.joined = plan.namespaces.joined.map { name($0.kind) }
    return description
  }

  /// Whether what is mounted there is of its source still. CRIU goes by the place alone: what the container has mounted there
  /// itself would come back as the source. A file that was replaced on the host since is another one of the same file system.
  private static func check(
    _ bind: Bind, at path: String, _ root: borrowing RootDirectory, _ mounts: [MountTableEntry],
    _ outside: [MountTableEntry]
  ) throws(RuntimeError) {
    do {
      let source = try bind.status()
      let file = try root.openWithoutLinks(path, .path).status()
      let isSame = device(file, mounts) == device(source, outside)
      if isSame && (!source.isDirectory || source.inode == file.inode) { return }
    } catch {
      // Without its source it is not restored, which is told then.
      if error.errno == .noEntry { return }
      throw error.because(
        .checkpointUnsupported, "cannot look at the mount at `\(bind.destination)`", field: "/mounts/\(bind.index)")
    }
    throw RuntimeError(
      .checkpointUnsupported,
      "what is mounted at `\(bind.destination)` is not `\(bind.source)`, which CRIU would mount there",
      field: "/mounts/\(bind.index)", hint: "unmount it before the checkpoint")
  }

  private static func device(_ status: FileStatus, _ mounts: [MountTableEntry]) -> String? {
    mounts.first { $0.id == status.mountID }?.device
  }

  /// Whether the null device is mounted there, by whatever name it has on the host.
  private static func isNullDevice(
    _ path: String, _ root: borrowing RootDirectory
  ) throws(RuntimeError) -> Bool {
    let status = try Diagnostics.describe(.checkpointUnsupported, "cannot look at `\(path)` in the container") {
      () throws(SystemError) in try root.openWithoutLinks(path, .path).status()
    }
    return status.isMountRoot && status.isCharacterDevice && status.specialMajor == 1 && status.specialMinor == 3
  }

  /// Where a path leads to in the container, if something is mounted there.
  private static func place(
    _ path: String, _ root: borrowing RootDirectory, _ mounts: [MountTableEntry], _ field: String
  ) throws(RuntimeError) -> String? {
    do {
      let place = try root.follow(path).path
      return mounts.contains { $0.path == place } ? place : nil
    } catch {
      // Unmounted, and the place is gone.
      if error.errno == .noEntry || error.errno == .notDirectory { return nil }
      throw error.because(.checkpointUnsupported, "cannot find `\(path)` in the container", field: field)
    }
  }

  /// What a standard stream leads to: `pipe:[N]` and the like, and as CRIU calls it `file[MOUNT:INODE]` where that is a file of
  /// the host.
  private static func stream(
    _ number: Int, of pid: Int32, _ mounts: [MountTableEntry]
  ) throws(SystemError) -> String {
    do throws(SystemError) {
      let status = try FileDescriptor.open("/proc/\(pid)/fd/\(number)", .path).status()
      if status.isRegularFile, !mounts.contains(where: { $0.id == status.mountID }) {
        return "file[\(String(status.mountID, radix: 16)):\(String(status.inode, radix: 16))]"
      }
      return try FileDescriptor.open("/proc/\(pid)/fd", [.path, .directory]).readLink("\(number)")
    } catch {
      // Closed.
      if error.errno == .noEntry { return "" }
      throw error
    }
  }
}
