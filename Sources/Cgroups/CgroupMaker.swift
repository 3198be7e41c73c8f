import Diagnostics
import Linux
import LinuxABI

/// Makes the container's directory in one hierarchy, and makes it fit to be joined.
struct CgroupMaker {
  let hierarchy: CgroupHierarchy
  let components: [String]
  /// The directory is the container's already, and so is whatever is in it: systemd has made it, with a process of ours.
  let isAdopted: Bool
  /// The directories made so far, as numbers of components.
  private(set) var made: [Int] = []

  init(hierarchy: CgroupHierarchy, components: [String], isAdopted: Bool = false) {
    self.hierarchy = hierarchy
    self.components = components
    self.isAdopted = isAdopted
  }

  /// What was made, for the record.
  var directory: CgroupRecord.Directory {
    let name = CgroupText.split([UInt8](hierarchy.mountPoint.utf8)[...], on: 0x2F).last ?? []
    return CgroupRecord.Directory(
      version: hierarchy.version, controllers: hierarchy.controllers, path: absolute(components.count),
      mountName: CgroupText.string(name), made: made.sorted().map { absolute($0) })
  }

  /// What will have been made, as far as it can be told before: everything that is not there yet.
  func planned() -> CgroupRecord.Directory {
    var directory = directory
    // Above it systemd makes what is missing; on v1 not in every hierarchy.
    if isAdopted && hierarchy.version == .v2 {
      directory.made = [directory.path]
      return directory
    }
    for depth in components.indices.map({ $0 + 1 }) {
      do {
        _ = try FileDescriptor.open(absolute(depth), [.path, .directory])
      } catch {
        // Whatever the reason: a directory that cannot be opened is none that could hold somebody else's children.
        directory.made = (depth...components.count).map { absolute($0) }
        break
      }
    }
    return directory
  }

  private func relative(_ depth: Int) -> String {
    depth == 0 ? "." : components.prefix(depth).joined(separator: "/")
  }

  private func absolute(_ depth: Int) -> String {
    let mount = hierarchy.mountPoint == "/" ? "" : hierarchy.mountPoint
    return depth == 0 ? mount : mount + "/" + relative(depth)
  }

  mutating func make(_ writes: [CgroupWrite], layout: CgroupLayout) throws(RuntimeError) -> CgroupDirectory {
    let path = absolute(components.count)
    do throws(SystemError) {
      let root = try FileDescriptor.open(hierarchy.mountPoint, [.readOnly, .directory])
      try makeDirectories(root)
      // Another file system in the place of a cgroup could have links.
      let leaf = CgroupDirectory(
        try RootDirectory.openEntry(in: root, relative(components.count), [.readOnly, .directory, .noFollow]))
      let isNew = made.contains(components.count) || isAdopted
      // Of the directories above only those are ours that systemd does not make.
      if isAdopted && !made.contains(components.count) { made.append(components.count) }
      if !isNew { try refuseOccupied(leaf.descriptor, path) }
      // Held until the first process is in it: two containers that are created at once find the same cgroup empty.
      if try !leaf.descriptor.tryLock() {
        try refuse("the cgroup `\(path)` is being taken by another container")
      }
      // Again behind the lock: whoever held it may have put its process in.
      if !isNew { try refuseOccupied(leaf.descriptor, path) }
      if made.count < components.count || isAdopted { try refuseFrozen(leaf.descriptor, path, layout) }
      if hierarchy.controllers.contains("cpuset") {
        try inheritCPUSet(root, "cpuset.cpus", writes)
        try inheritCPUSet(root, "cpuset.mems", writes)
      }
      if hierarchy.version == .v2 { try enableControllers(root, leaf.descriptor, writes, layout) }
      return leaf
    } catch {
      if let refusal { throw refusal }
      throw error.because(.cgroup, "cannot make the cgroup `\(path)`", field: CgroupPath.pointer)
    }
  }

  /// Why an existing cgroup is not taken. Kept aside, so that the body above throws one type.
  private var refusal: RuntimeError?

  private mutating func refuse(_ message: String, hint: String = "") throws(SystemError) {
    refusal = RuntimeError(.cgroup, message, field: CgroupPath.pointer, hint: hint)
    throw SystemError("cgroup", .busy)
  }

  /// Makes the leaf, and where its parent is missing the parents too. Another container's end may remove a parent that
  /// it had made itself between two of our calls; then this starts again.
  private mutating func makeDirectories(_ root: borrowing FileDescriptor) throws(SystemError) {
    var attempts = 0
    while true {
      do {
        try makeOne(root, components.count)
        return
      } catch {
        attempts += 1
        guard error.errno == .noEntry, components.count > 1, attempts < 20 else { throw error }
      }
      for depth in 1..<components.count {
        do {
          try makeOne(root, depth)
        } catch {
          if error.errno == .noEntry { break }
          throw error
        }
      }
    }
  }

  private mutating func makeOne(_ root: borrowing FileDescriptor, _ depth: Int) throws(SystemError) {
    do {
      try root.makeDirectory(relative(depth), mode: 0o755)
      if !made.contains(depth) { made.append(depth) }
    } catch {
      if error.errno != .exists { throw error }
    }
  }

  private mutating func refuseOccupied(
    _ leaf: borrowing FileDescriptor, _ path: String
  ) throws(SystemError) {
    if hierarchy.version == .v2, try !leaf.isPopulated() { return }
    let processes = try leaf.cgroupProcesses()
    if let first = processes.first {
      try refuse(
        "the cgroup `\(path)` holds \(processes.count) processes already, such as \(first)",
        hint: "give the container a cgroup of its own")
    }
    if hierarchy.version == .v2 { try refuse("the cgroup `\(path)` holds processes already") }
  }

  /// A process that joins a frozen cgroup stops at once; on v1 it cannot even be killed. A new cgroup is as frozen as
  /// its parent.
  private mutating func refuseFrozen(
    _ leaf: borrowing FileDescriptor, _ path: String, _ layout: CgroupLayout
  ) throws(SystemError) {
    var isFrozen = false
    if hierarchy.version == .v2 {
      guard let events = try leaf.cgroupFile("cgroup.events") else { return }
      isFrozen = CgroupText.value(of: "frozen", in: events) == "1"
    } else if hierarchy.controllers.contains("freezer") {
      guard let state = try leaf.cgroupFile("freezer.state") else { return }
      isFrozen = CgroupText.trimmed(state) != "THAWED"
    }
    if isFrozen { try refuse("the cgroup `\(path)` is frozen", hint: "thaw it, or the one above it") }
  }

  /// A cpuset of v1 starts empty and takes no process before it has CPUs and memory nodes: they are those of the
  /// nearest cgroup above that has some.
  private func inheritCPUSet(
    _ root: borrowing FileDescriptor, _ file: String, _ writes: [CgroupWrite]
  ) throws(SystemError) {
    var depth = components.count
    if writes.contains(where: { $0.version == .v1 && $0.file == file }) { depth -= 1 }
    var empty: [Int] = []
    var value = ""
    while depth >= 0 {
      if !made.contains(depth) {
        value = CgroupText.trimmed(try root.readFile("\(relative(depth))/\(file)", limit: 65536))
        if !value.isEmpty { break }
      }
      empty.append(depth)
      depth -= 1
    }
    if value.isEmpty { return }
    for depth in empty.reversed() { try root.writeFile("\(relative(depth))/\(file)", value) }
  }

  /// Gives the cgroup its controllers. Those that limits need, and on pure v2 also those by which managers measure.
  /// What cannot be given is no error here: the write that needs it names the file.
  private func enableControllers(
    _ root: borrowing FileDescriptor, _ leaf: borrowing FileDescriptor, _ writes: [CgroupWrite],
    _ layout: CgroupLayout
  ) throws(SystemError) {
    var wanted: [String] = layout.kind == .v2 ? ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"] : []
    for write in writes where write.version == .v2 && write.controller != "cgroup" {
      let name = write.controller == "blkio" ? "io" : write.controller
      if !wanted.contains(name) { wanted.append(name) }
    }
    if wanted.isEmpty { return }
    let present = CgroupText.words(try leaf.readFile("cgroup.controllers", limit: 65536))
    wanted.removeAll { present.contains($0) }
    if wanted.isEmpty { return }
    let possible = CgroupText.words(try root.readFile("cgroup.controllers", limit: 65536))
    wanted.removeAll { !possible.contains($0) }
    if wanted.isEmpty { return }
    for depth in 0..<components.count {
      let file = "\(relative(depth))/cgroup.subtree_control"
      do {
        try root.writeFile(file, wanted.map { "+" + $0 }.joined(separator: " "))
      } catch {
        // All or nothing: a single one that is refused (processes inside, not delegated) must not cost the others.
        for name in wanted {
          do {
            try root.writeFile(file, "+" + name)
          } catch {
            continue
          }
        }
      }
    }
  }
}
