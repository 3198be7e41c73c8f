import Diagnostics
import Linux
import LinuxABI

/// An open cgroup directory. A class, because an array cannot hold a descriptor.
final class CgroupDirectory {
  let descriptor: FileDescriptor

  init(_ descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }
}

extension FileDescriptor {
  /// A file of cgroupfs below this directory; nil where there is no such file, or the cgroup was removed.
  func cgroupFile(_ name: String) throws(SystemError) -> [UInt8]? {
    do {
      return try readFile(name, limit: 16 << 20)
    } catch {
      if error.isGone { return nil }
      throw error
    }
  }

  /// Whether processes are in the cgroup or below it; reads `cgroup.events` of v2.
  func isPopulated() throws(SystemError) -> Bool {
    guard let events = try cgroupFile("cgroup.events") else { return false }
    return CgroupText.value(of: "populated", in: events) == "1"
  }

  /// The processes in the cgroup and in all below it. Those outside of this pid namespace are shown as 0 and left out.
  func cgroupProcesses() throws(SystemError) -> [Int32] {
    var found: [Int32] = []
    try visitCgroups { (cgroup) throws(SystemError) in
      try cgroup.collectProcesses(&found)
      return true
    }
    return found
  }

  /// Calls `visit` for this cgroup and then for each below it, until it answers false.
  ///
  /// How deep the cgroups are, and what they are called, is the container's choice: the walk holds two descriptors at a time.
  func visitCgroups(_ visit: (borrowing FileDescriptor) throws(SystemError) -> Bool) throws(SystemError) {
    guard try visit(self) else { return }
    var levels = [try childCgroups()]
    if levels[0].isEmpty { return }
    var directory = CgroupDirectory(try openDirectory(.current))
    while true {
      guard let name = levels[levels.count - 1].popLast() else {
        levels.removeLast()
        if levels.isEmpty { return }
        directory = CgroupDirectory(try directory.descriptor.openDirectory(.parent))
        continue
      }
      guard let child = try directory.descriptor.openChild(name) else { continue }
      guard try visit(child.descriptor) else { return }
      let below = try child.descriptor.childCgroups()
      if below.isEmpty { continue }
      levels.append(below)
      directory = child
    }
  }

  private func collectProcesses(_ found: inout [Int32]) throws(SystemError) {
    let text: [UInt8]?
    do {
      text = try cgroupFile("cgroup.procs")
    } catch {
      // A threaded cgroup has no list of processes (cgroups(7)).
      guard error.errno == .notSupported else { throw error }
      text = try cgroupFile("cgroup.threads")
    }
    for line in CgroupText.lines(text ?? []) {
      if let pid = CgroupText.number(line), pid > 0, let pid = Int32(exactly: pid) { found.append(pid) }
    }
  }

  /// None where the cgroup has been removed.
  func childCgroups() throws(SystemError) -> [FileName] {
    do {
      return try directoryNames()
    } catch {
      if error.isGone { return [] }
      throw error
    }
  }

  /// A child cgroup; nil where it has been removed meanwhile.
  func openChild(_ name: FileName) throws(SystemError) -> CgroupDirectory? {
    do {
      return CgroupDirectory(try openDirectory(name))
    } catch {
      if error.isGone { return nil }
      throw error
    }
  }
}

enum Pause {
  /// Waits for some milliseconds.
  static func milliseconds(_ duration: Int64) throws(SystemError) {
    _ = try Poll.wait([], timeout: duration)
  }
}
