import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// Carries out the steps that build the root file system. It holds the root by descriptor; no step goes back to a path
/// of the host below it.
struct RootFileSystem: ~Copyable {
  private let payload: InitPayload
  /// Number -1 until the root is opened.
  private var root: RootDirectory
  /// An empty read-only tmpfs, attached over the first masked directory and copied from there: one superblock for all.
  /// Number -1 until then.
  private var mask: FileDescriptor

  init(payload: InitPayload) {
    self.payload = payload
    root = RootDirectory(FileDescriptor(owning: -1))
    mask = FileDescriptor(owning: -1)
  }

  /// The number of the root's descriptor, as the working directory of hooks.
  var directory: Int32 { root.descriptor.number }

  /// Lets go of the descriptors before the container's own privileges are taken on.
  mutating func close() {
    root = RootDirectory(FileDescriptor(owning: -1))
    mask = FileDescriptor(owning: -1)
  }

  mutating func execute(
    _ step: InitStep, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    if case .openRoot(let path, let privateParent) = step {
      root = try openRoot(path, privateParent: privateParent)
      return
    }
    guard root.descriptor.number >= 0 else {
      throw RuntimeError(.initProtocol, "the plan uses the root file system before it is opened")
    }
    switch step {
    case .mount(let mount):
      try MountExecutor.execute(mount, in: root, payload.cgroupMounts)
    case .devices(let nodes):
      for node in nodes { try DeviceExecutor.make(node, in: root) }
    case .deviceLinks:
      try DeviceExecutor.makeLinks(in: root)
    case .workingDirectory(let path):
      try makeWorkingDirectory(path, in: root)
    case .maskPaths(let paths):
      try maskAll(paths)
    case .readonlyPaths(let paths):
      for (index, path) in paths.enumerated() {
        try during("read-only path `/\(path)`") { () throws(RuntimeError) in
          try makeReadonly(path, field: "/linux/readonlyPaths/\(index)", in: root)
        }
      }
    case .readonlyRoot:
      try describe(.mount, "cannot make the root file system read-only", field: "/root/readonly") {
        () throws(SystemError) in
        try Mounts.change(root.descriptor, MountChange(set: MountAttribute.readonly), recursive: false)
      }
    case .readonlyMount(let path):
      try describe(.mask, "cannot make `/\(path)` read-only", field: "/mounts") { () throws(SystemError) in
        let tree = try root.open(path, [.path, .directory])
        try Mounts.change(tree, MountChange(set: MountAttribute.readonly), recursive: false)
      }
    case .pivotRoot:
      try describe(.rootSwitch, "cannot switch to the root file system") { () throws(SystemError) in
        try Mounts.pivot(to: root.descriptor)
      }
    case .changeRoot:
      try describe(.rootSwitch, "cannot change the root directory") { () throws(SystemError) in
        try Mounts.changeRoot(to: root.descriptor)
      }
    default:
      throw RuntimeError(.initProtocol, "the plan holds a step that stage 2 does not know")
    }
  }

  /// The root as a mount of its own. The plan has no such mount where the container has no mount namespace: then the
  /// directory itself is the root.
  private func openRoot(_ path: String, privateParent: Bool) throws(RuntimeError) -> RootDirectory {
    let directory = try describe(.rootfsInvalid, "cannot open the root file system", field: "/root/path") {
      () throws(SystemError) in
      try FileDescriptor.open(path, [.path, .directory, .noFollow])
    }
    guard payload.namespaces.created.contains(.newMount) else { return RootDirectory(directory) }
    if privateParent { try makeParentPrivate(directory) }
    let tree = try describe(.mount, "cannot make the root file system a mount", field: "/root/path") {
      () throws(SystemError) -> FileDescriptor in
      let tree = try Mounts.clone(directory, recursive: true)
      try Mounts.attach(tree, to: directory)
      return tree
    }
    return RootDirectory(tree)
  }

  /// Finds the root of the mount that holds `directory` by going up, and makes that mount private.
  private func makeParentPrivate(_ directory: borrowing FileDescriptor) throws(RuntimeError) {
    try describe(.mount, "cannot make the mount around the root file system private") {
      () throws(SystemError) in
      var current = try directory.open(".", [.path, .directory])
      var status = try current.status()
      while !status.isMountRoot {
        current = try current.open("..", [.path, .directory])
        let above = try current.status()
        // `..` of the root is the root: in a chroot that is no mount there is nothing to find.
        if above.inode == status.inode && above.mountID == status.mountID {
          throw SystemError("statx", .invalid, "the root is no mount")
        }
        status = above
      }
      try Mounts.change(current, MountChange(propagation: 1 << 18), recursive: false)
    }
  }

  private func makeWorkingDirectory(
    _ path: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    do {
      _ = try root.makeDirectories(path, mode: 0o755)
    } catch {
      // A read-only file system, or a name that is no directory: what is wrong is said when it is entered.
      if error.errno == .readOnlyFileSystem || error.errno == .notDirectory { return }
      throw error.because(.workingDirectory, "cannot make the working directory", field: "/process/cwd")
    }
  }

  private mutating func maskAll(_ paths: [String]) throws(RuntimeError) {
    for (index, path) in paths.enumerated() {
      let field = "/linux/maskedPaths/\(index)"
      do {
        try maskOne(path, field: field)
      } catch {
        throw error.during("masked path `/\(path)`")
      }
    }
  }

  private mutating func maskOne(_ path: String, field: String) throws(RuntimeError) {
    guard let target = try openIfThere(path, field: field, in: root) else { return }
    let isDirectory = try describe(.mask, "cannot look at it", field: field) { () throws(SystemError) in
      try target.status().isDirectory
    }
    if !isDirectory {
      let null = try openNull()
      try describe(.mask, "cannot cover the file", field: field) { () throws(SystemError) in
        let copy = try Mounts.clone(null, recursive: false)
        // It is the node of the host: read-only, or chmod(2) inside would change it for everybody. Writing to the
        // device itself is not a write to the file system.
        let change = MountChange(
          set: MountAttribute.readonly | MountAttribute.noSetuid | MountAttribute.noExecution,
          propagation: MountAttribute.isolated)
        try Mounts.change(copy, change, recursive: false)
        try Mounts.attach(copy, to: target)
      }
      return
    }
    if mask.number >= 0 {
      try describe(.mask, "cannot cover the directory", field: field) { () throws(SystemError) in
        try Mounts.attach(try Mounts.clone(mask, recursive: false), to: target)
      }
      return
    }
    mask = try describe(.mask, "cannot cover the directory", field: field) {
      () throws(SystemError) -> FileDescriptor in
      let context = try FileSystemContext("tmpfs")
      try context.set("nr_blocks", "1")
      try context.set("nr_inodes", "1")
      let tree = try context.mount(attributes: MountAttribute.readonly)
      try Mounts.attach(tree, to: target)
      return tree
    }
  }

  /// The null device of the host, verified: a file that only bears its name would cover the masked path with something
  /// that the container chose (CVE-2025-31133).
  private func openNull() throws(RuntimeError) -> FileDescriptor {
    try describe(.mask, "cannot open the null device") { () throws(SystemError) -> FileDescriptor in
      let null = try FileDescriptor.open("/dev/null", [.path, .noFollow])
      let status = try null.status()
      guard status.isCharacterDevice, status.specialMajor == 1, status.specialMinor == 3 else {
        throw SystemError("statx", .noDevice, "/dev/null")
      }
      return null
    }
  }

  /// Only ENOENT means that there is nothing to cover; any other answer could be the work of an attacker.
  private func openIfThere(
    _ path: String, field: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor? {
    do {
      return try root.open(path, .path)
    } catch {
      if error.errno == .noEntry { return nil }
      throw error.because(.mask, "cannot find it in the root file system", field: field)
    }
  }

  private func makeReadonly(
    _ path: String, field: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    guard let target = try openIfThere(path, field: field, in: root) else { return }
    try describe(.mask, "cannot make it read-only", field: field) { () throws(SystemError) in
      let tree = try Mounts.clone(target, recursive: true)
      let change = MountChange(set: MountAttribute.readonly, propagation: MountAttribute.isolated)
      try Mounts.change(tree, change, recursive: true)
      try Mounts.attach(tree, to: target)
    }
  }
}

/// MOUNT_ATTR_* of mount_setattr(2) that this module sets by itself.
enum MountAttribute {
  static var readonly: UInt64 { 0x1 }
  /// MS_PRIVATE: a copy of a mount of the host is a peer of it until it is told otherwise, and what is mounted below it
  /// would appear there.
  static var isolated: UInt64 { 1 << 18 }
  static var noSetuid: UInt64 { 0x2 }
  static var noDevices: UInt64 { 0x4 }
  static var noExecution: UInt64 { 0x8 }
}
