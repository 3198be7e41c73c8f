import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// Carries out the steps that build the root file system. It holds the root by descriptor; no step goes back to a path
/// of the host below it.
struct RootFileSystem: ~Copyable {
  private let payload: InitPayload
  private let consoleSocket: Int32
  /// Number -1 until the root is opened.
  private var root: RootDirectory
  /// An empty read-only tmpfs, attached over the first masked directory and copied from there: one superblock for all.
  /// Number -1 until then.
  private var mask: FileDescriptor
  private var mounts: MountExecutor
  private var isSwitched = false

  init(payload: InitPayload, consoleSocket: Int32) {
    self.payload = payload
    mounts = MountExecutor(payload)
    self.consoleSocket = consoleSocket
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

  /// Takes the root and everything that was mounted on it away again. What cannot be undone is told with the error.
  mutating func undo(_ error: RuntimeError) -> RuntimeError {
    // Behind the switch it is the root of the namespace, and there is no other one to go back to.
    if root.descriptor.number < 0 || isSwitched { return error }
    do {
      try Mounts.detach(root.descriptor)
      return error
    } catch let failure {
      var both = error
      both.hint = "the mounts in the joined namespace could not be undone: \(failure.text)"
      return both
    }
  }

  mutating func execute(
    _ step: InitStep, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    if case .openRoot(let path, let privateParent) = step {
      root = try openRoot(path, privateParent: privateParent, reporter)
      return
    }
    guard root.descriptor.number >= 0 else {
      throw RuntimeError(.initProtocol, "the plan uses the root file system before it is opened")
    }
    switch step {
    case .mount(let mount):
      try mounts.execute(mount, in: root, reporter)
      if let above = mounts.takeNewRoot() { root = RootDirectory(above) }
    case .devices(let nodes):
      for node in nodes { try DeviceExecutor.make(node, in: root) }
    case .deviceLinks:
      try DeviceExecutor.makeLinks(in: root)
    case .console(let console):
      try Console.setUp(console, in: root, sendingTo: FileDescriptor(owning: consoleSocket))
    case .workingDirectory(let path):
      try makeWorkingDirectory(path, in: root)
    case .maskPaths(let paths, let label):
      try maskAll(paths, label)
    case .readonlyPaths(let paths):
      for (index, path) in paths.enumerated() {
        try during("read-only path `/\(path)`") { () throws(RuntimeError) in
          try makeReadonly(path, field: "/linux/readonlyPaths/\(index)", in: root)
        }
      }
    case .readonlyRoot:
      // By the descriptor, and looked at afterwards: a path could have led to another mount by now (CVE-2026-115521).
      try describe(.mount, "cannot make the root file system read-only", field: "/root/readonly") {
        () throws(SystemError) in
        try Mounts.change(root.descriptor, MountChange(set: MountAttribute.readonly), recursive: false)
        guard try MountState.has(MountAttribute.readonly, root.descriptor) else {
          throw SystemError("fstatfs", .busy, "the mount is still writable")
        }
      }
    case .readonlyMount(let path):
      try describe(.mask, "cannot make `/\(path)` read-only", field: "/mounts") { () throws(SystemError) in
        let tree = try mounts.places.open(path, in: root)
        try Mounts.change(tree, MountChange(set: MountAttribute.readonly), recursive: false)
      }
    case .pivotRoot:
      isSwitched = true
      try describe(.rootSwitch, "cannot switch to the root file system") { () throws(SystemError) in
        try Mounts.pivot(to: root.descriptor, isIsolated: hasIsolatedMounts)
      }
    case .moveRoot:
      isSwitched = true
      try moveRoot()
    case .changeRoot:
      try describe(.rootSwitch, "cannot change the root directory") { () throws(SystemError) in
        try Mounts.changeRoot(to: root.descriptor)
      }
    default:
      throw RuntimeError(.initProtocol, "the plan holds a step that stage 2 does not know")
    }
  }

  /// Whether the plan has cut all mounts off from the host's at the beginning.
  private var hasIsolatedMounts: Bool {
    payload.steps.contains { step in
      if case .propagation(let change) = step { return change.recursive && !change.isShared }
      return false
    }
  }

  /// The root as a mount of its own. The plan has no such mount where the container has no mount namespace: then the
  /// directory itself is the root.
  private func openRoot(
    _ path: String, privateParent: Bool, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) -> RootDirectory {
    guard let directory = try openReachable(path) else { return try openRootByHelper(reporter) }
    guard payload.namespaces.hasMountNamespace else { return RootDirectory(directory) }
    if privateParent { try makeParentPrivate(directory) }
    let tree = try describe(.mount, "cannot make the root file system a mount", field: "/root/path") {
      () throws(SystemError) -> FileDescriptor in
      let tree = try Mounts.clone(directory, recursive: true)
      try Mounts.attach(tree, to: directory)
      return tree
    }
    return RootDirectory(tree)
  }

  /// Nil where only the helper can reach it.
  private func openReachable(_ path: String) throws(RuntimeError) -> FileDescriptor? {
    do {
      return try FileDescriptor.open(path, [.path, .directory, .noFollow])
    } catch {
      let namespaces = payload.namespaces
      if error.errno == .accessDenied && namespaces.hasUserNamespace && namespaces.hasMountNamespace { return nil }
      throw error.because(.rootfsInvalid, "cannot open the root file system", field: "/root/path")
    }
  }

  /// A root file system below a directory that the root of the user namespace may not search. Its copy has no place of its
  /// own that could be opened, so it goes onto `/`, where paths of the host do not meet it: they start below.
  private func openRootByHelper(_ reporter: borrowing InitReporter) throws(RuntimeError) -> RootDirectory {
    let tree = try reporter.ask(for: .tree, MountHelp.rootIndex, refused: .accessDenied)
    try describe(.mount, "cannot make the root file system a mount", field: "/root/path") {
      () throws(SystemError) in
      try Mounts.attach(tree, to: try FileDescriptor.open("/", [.path, .directory]))
    }
    return RootDirectory(tree)
  }

  /// `--no-pivot`. The old root stays in the mount namespace, below the new one, and a process that may call chroot(2)
  /// could come to it; the host's proc and sysfs at least must not be there then.
  private func moveRoot() throws(RuntimeError) {
    if !hasIsolatedMounts {
      // What is taken away here must stay where it is on the host.
      try describe(.rootSwitch, "cannot cut the mounts off from the host's") { () throws(SystemError) in
        try Mounts.setPropagationOfRoot(1 << 19 /* MS_SLAVE */, recursive: true)
      }
    }
    let paths = try describe(.rootSwitch, "cannot read the mounts of the host") {
      () throws(SystemError) -> [String] in
      let rootPath = try root.descriptor.hostPath()
      return try MountTable.read().filter { mount in
        (mount.type == "proc" || mount.type == "sysfs") && mount.root == "/"
          && !mount.path.utf8.starts(with: "\(rootPath)/".utf8)
      }.map { $0.path }
    }
    // Those made last lie on top.
    for path in paths.reversed() {
      do throws(SystemError) {
        do throws(SystemError) {
          try Mounts.detach(path)
        } catch {
          // Locked in a user namespace, or not a mount of its own any more: then it is covered.
          guard error.errno == .invalid || error.errno == .notPermitted || error.errno == .noEntry else { throw error }
          if error.errno == .noEntry { continue }
          let cover = try FileSystemContext("tmpfs").mount(attributes: MountAttribute.readonly)
          try Mounts.attach(cover, to: try FileDescriptor.open(path, [.path, .noFollow]))
        }
      } catch {
        throw error.because(.rootSwitch, "cannot take `\(path)` of the host away", hint: "do without --no-pivot")
      }
    }
    try describe(.rootSwitch, "cannot move the root file system onto `/`") { () throws(SystemError) in
      try Mounts.moveRoot(root.descriptor)
    }
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

  private mutating func maskAll(_ paths: [String], _ label: String) throws(RuntimeError) {
    for (index, path) in paths.enumerated() {
      let field = "/linux/maskedPaths/\(index)"
      do {
        try maskOne(path, label, field: field)
      } catch {
        throw error.during("masked path `/\(path)`")
      }
    }
  }

  private mutating func maskOne(_ path: String, _ label: String, field: String) throws(RuntimeError) {
    guard let target = try mounts.places.openCovered(path, field: field, in: root) else { return }
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
        try RootFileSystem.cover(path, target, with: copy, in: root)
      }
      return
    }
    if mask.number >= 0 {
      try describe(.mask, "cannot cover the directory", field: field) { () throws(SystemError) in
        try RootFileSystem.cover(path, target, with: try Mounts.clone(mask, recursive: false), in: root)
      }
      return
    }
    mask = try describe(.mask, "cannot cover the directory", field: field) {
      () throws(SystemError) -> FileDescriptor in
      let context = try FileSystemContext("tmpfs")
      try context.set("nr_blocks", "1")
      try context.set("nr_inodes", "1")
      if !label.isEmpty { try context.set("context", label) }
      let tree = try context.mount(
        attributes: MountAttribute.readonly | MountAttribute.noSetuid | MountAttribute.noDevices
          | MountAttribute.noExecution)
      try RootFileSystem.cover(path, target, with: tree, in: root)
      return tree
    }
  }

  /// Attaches the mount and looks at what the path leads to now: had somebody put another file in its place meanwhile, that
  /// one would be open, and the cover would lie where nobody looks.
  private static func cover(
    _ path: String, _ target: borrowing FileDescriptor, with tree: borrowing FileDescriptor,
    in root: borrowing RootDirectory
  ) throws(SystemError) {
    try Mounts.attach(tree, to: target)
    guard try root.open(path, .path).status().mountID == tree.status().mountID else {
      throw SystemError("move_mount", .busy, "another file took the place of `/\(path)` meanwhile")
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

  private func makeReadonly(
    _ path: String, field: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    guard let target = try mounts.places.openCovered(path, field: field, in: root) else { return }
    try describe(.mask, "cannot make it read-only", field: field) { () throws(SystemError) in
      let tree = try Mounts.clone(target, recursive: true)
      let change = MountChange(set: MountAttribute.readonly, propagation: MountAttribute.isolated)
      try Mounts.change(tree, change, recursive: true)
      try RootFileSystem.cover(path, target, with: tree, in: root)
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
