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
    try collectProcesses(&found)
    return found
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
    guard let text else { return }
    for line in CgroupText.lines(text) {
      if let pid = CgroupText.number(line), pid > 0, let pid = Int32(exactly: pid) { found.append(pid) }
    }
    for name in try childCgroups() {
      guard let child = try openChild(name) else { continue }
      try child.descriptor.collectProcesses(&found)
    }
  }

  func childCgroups() throws(SystemError) -> [String] {
    try entries().filter { $0.isDirectory }.map { $0.name }
  }

  /// A child cgroup; nil where it has been removed meanwhile.
  func openChild(_ name: String) throws(SystemError) -> CgroupDirectory? {
    do {
      return CgroupDirectory(try open(name, [.readOnly, .directory, .noFollow]))
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
