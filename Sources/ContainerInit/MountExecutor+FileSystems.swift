import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

extension MountExecutor {
  mutating func mountFileSystem(
    _ mount: MountStep, _ type: String, _ source: String, _ parameters: [MountParameter],
    in root: borrowing RootDirectory, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    // A tmpfs has the mode of the directory that it covers, where there was one, as with runc; else the kernel's 1777.
    let takesMode =
      type == "tmpfs" && !parameters.contains { $0.key == "mode" } ? try isDirectoryThere(mount, in: root) : false
    let target = try directoryTarget(mount, in: root)
    if type == "proc" || type == "sysfs" {
      try refuseRedirected(mount, type, target, in: root)
    }
    var parameters = parameters
    if takesMode { try addMode(of: target, to: &parameters) }
    guard let tree = try makeFileSystem(mount, type, source, parameters) else {
      // Whatever is mounted below the host's comes along, and must be as strict.
      var all = mount
      all.setRecursively |= mount.set
      try bind(all, type == "proc" ? "/proc" : "/sys", recursive: true, in: root, reporter)
      return
    }
    try label(mount, tree)
    if mount.traits.contains(.copiesUp) { try CopyUp.copy(from: target, to: tree, mount) }
    if let idMap = mount.idMap {
      try MountSources.mapIDs(mount, idMap, tree, reporter)
    }
    var later = mount
    later.set &= MountAttribute.readonly
    later.clear = 0
    later.clearByName = 0
    try changeAttributes(later, tree)
    try remember(tree)
    try attach(mount, tree, to: target)
  }

  private func label(_ mount: MountStep, _ tree: borrowing FileDescriptor) throws(RuntimeError) {
    if mount.label.isEmpty { return }
    try describe(.mount, "cannot label the new mount", field: "/linux/mountLabel") { () throws(SystemError) in
      try tree.open(".", [.readOnly, .directory]).setLabel(mount.label)
    }
  }

  private mutating func remember(_ tree: borrowing FileDescriptor) throws(RuntimeError) {
    let device = try describe(.mount, "cannot look at the new mount") { () throws(SystemError) in
      try tree.status().device
    }
    if !made.contains(device) { made.append(device) }
  }

  /// A detached mount of a new file system. Nil where the kernel does not let this user namespace have a sysfs, because
  /// the network namespace belongs to another one, or a procfs, because the pid namespace does: then the host's is bound.
  private func makeFileSystem(
    _ mount: MountStep, _ type: String, _ source: String, _ parameters: [MountParameter]
  ) throws(RuntimeError) -> FileDescriptor? {
    let context: FileSystemContext
    do {
      context = try FileSystemContext(type)
    } catch {
      if error.errno == .notPermitted && mayBindTheHosts(type) { return nil }
      let hint = error.errno == .noDevice ? "the kernel does not know this file system" : ""
      throw error.because(.mount, "cannot mount a `\(type)`", field: pointer(mount, "type"), hint: hint)
    }
    do {
      if !source.isEmpty { try context.set("source", source) }
      try set(parameters, context)
      // Read-only comes last: something may have to be copied into it first.
      return try context.mount(attributes: mount.set & ~MountAttribute.readonly)
    } catch {
      guard error.errno == .notPermitted else {
        throw explain(error, context, mount, "cannot mount a `\(type)`")
      }
      if mayBindTheHosts(type) { return nil }
      var failure = explain(error, context, mount, "cannot mount a `\(type)`")
      if type == "proc" && failure.hint.isEmpty { failure.hint = try whyNoProc() }
      throw failure
    }
  }

  /// A new procfs would show what is hidden in the one that is there: the kernel lets a user namespace have it only where
  /// that one is whole (mount_namespaces(7), "Restrictions on mount namespaces").
  private func whyNoProc() throws(RuntimeError) -> String {
    let mounts = try describe(.mount, "cannot read the mounts of /proc") { () throws(SystemError) in
      try MountTable.read()
    }
    let rule = "in a user namespace the kernel wants a /proc outside of which no part is covered"
    if !mounts.contains(where: { $0.type == "proc" && $0.root == "/" }) { return "\(rule), and there is none" }
    // That one covers a directory which is always empty.
    for mount in mounts where mount.path.utf8.starts(with: "/proc/".utf8) && mount.path != "/proc/sys/fs/binfmt_misc" {
      return "\(rule), and `\(mount.path)` is: uncover it, or bind /proc with `rbind`"
    }
    return rule
  }

  /// Only in a user namespace does the kernel refuse these two.
  private func mayBindTheHosts(_ type: String) -> Bool {
    hasUserNamespace && (type == "sysfs" || type == "proc" && sharesProcesses)
  }

  /// With what the kernel has written about it into the log of the context.
  private func explain(
    _ error: SystemError, _ context: borrowing FileSystemContext, _ mount: MountStep, _ what: String
  ) -> RuntimeError {
    let said = context.messages()
    return error.because(
      .mount, said.isEmpty ? what : "\(what): \(said)", field: pointer(mount, "options"))
  }

  private func set(
    _ parameters: [MountParameter], _ context: borrowing FileSystemContext
  ) throws(SystemError) {
    for parameter in parameters {
      if let value = parameter.value {
        try context.set(parameter.key, value)
        continue
      }
      do {
        try context.setFlag(parameter.key)
      } catch {
        guard parameter.mayBeUnknown && error.errno == .invalid else { throw error }
      }
    }
  }

  /// Gives the file system that is mounted at `place` other parameters. The read-only flag of `remount,ro` is, as with
  /// mount(2), that of the file system too.
  func reconfigure(
    _ mount: MountStep, _ place: borrowing FileDescriptor, _ parameters: [MountParameter]
  ) throws(RuntimeError) {
    let context = try describe(.mount, "cannot remount", field: pointer(mount, "destination")) {
      () throws(SystemError) in
      try FileSystemContext(picking: place)
    }
    do {
      try set(parameters, context)
      if mount.set & MountAttribute.readonly != 0 { try context.setFlag("ro") }
      if mount.clearByName & MountAttribute.readonly != 0 { try context.setFlag("rw") }
      try context.reconfigure()
    } catch {
      throw explain(error, context, mount, "cannot remount")
    }
  }

  /// By mount(2), for parameters that fsconfig(2) does not take because they are longer than 255 bytes (the layers of an
  /// overlay). The mount is in its place before it can be looked at, so what was opened there is verified.
  mutating func mountLegacy(
    _ mount: MountStep, _ type: String, _ source: String, _ data: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let target = try directoryTarget(mount, in: root)
    if type == "proc" || type == "sysfs" { try refuseRedirected(mount, type, target, in: root) }
    try refuseHidingProc(mount, target, target)
    let before = try describe(.mount, "cannot mount a `\(type)`", field: pointer(mount, "options")) {
      () throws(SystemError) in
      let before = try MountTable.read().map { $0.id }
      try Mounts.mountLegacy(
        type, source: source.isEmpty ? type : source, on: target, flags: mountFlags(mount.set), data: data)
      return before
    }
    let tree = try describe(.mount, "cannot open the new mount", field: pointer(mount, "destination")) {
      () throws(SystemError) -> FileDescriptor in
      let tree = try root.open(mount.destination, [.path, .directory])
      let status = try tree.status()
      // A link that takes the place of the destination now can lead to any mount but one that was not there before.
      guard status.isMountRoot && !before.contains(status.mountID) else {
        throw SystemError("openat2", .busy, mount.destination)
      }
      try places.add(mount.destination, tree)
      return tree
    }
    try label(mount, tree)
    if mount.traits.contains(.copiesUp) { try CopyUp.copy(from: target, to: tree, mount) }
    try changeAttributes(mount, tree)
    try remember(tree)
  }

  /// MOUNT_ATTR_* as the MS_* of mount(2).
  private func mountFlags(_ attributes: UInt64) -> UInt64 {
    let attributes = MountAttributes(rawValue: attributes)
    var flags: MountFlags = []
    for (attribute, flag) in [
      (MountAttributes.noSetUserID, MountFlags.noSetUserID), (.noDevices, .noDevices), (.noExecute, .noExecute),
      (.noAccessTime, .noAccessTime), (.strictAccessTime, .strictAccessTime),
      (.noDirectoryAccessTime, .noDirectoryAccessTime), (.noSymlinkFollow, .noSymlinkFollow),
    ] where attributes.contains(attribute) {
      flags.formUnion(flag)
    }
    return flags.rawValue
  }

  private func isDirectoryThere(
    _ mount: MountStep, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> Bool {
    do {
      _ = try root.open(mount.destination, [.path, .directory])
      return true
    } catch {
      if error.errno == .noEntry { return false }
      throw error.because(
        .mount, "cannot make the destination a directory", field: pointer(mount, "destination"))
    }
  }

  private func addMode(
    of target: borrowing FileDescriptor, to parameters: inout [MountParameter]
  ) throws(RuntimeError) {
    let mode = try describe(.mount, "cannot read the mode of the destination") { () throws(SystemError) in
      try target.status().mode & 0o7777
    }
    parameters.append(MountParameter(key: "mode", value: String(mode, radix: 8)))
  }

  /// The destination of proc and sysfs must be the directory of that name itself. Through a symbolic link they would
  /// land elsewhere, and what is masked in /proc would be open (CVE-2019-19921, CVE-2023-27561).
  private func refuseRedirected(
    _ mount: MountStep, _ type: String, _ target: borrowing FileDescriptor, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let message = "the destination of `\(type)` must be a directory and no symbolic link"
    let direct: FileStatus
    let resolved: FileStatus
    do {
      direct = try root.openWithoutLinks(mount.destination, [.path, .noFollow]).status()
      resolved = try target.status()
    } catch {
      throw error.because(.mount, message, field: pointer(mount, "destination"))
    }
    guard direct.inode == resolved.inode && direct.mountID == resolved.mountID else {
      throw RuntimeError(.mount, message, field: pointer(mount, "destination"))
    }
  }
}
