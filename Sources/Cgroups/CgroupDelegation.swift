package import Diagnostics
import Linux
import LinuxABI

extension CgroupManager {
  /// Gives the container's cgroup of v2 to a user of the host: the directory, and of its files those by which it is divided.
  /// The limits stay the runtime's (config-linux.md, "Cgroup ownership"; cgroups(7), "Cgroups v2 delegation").
  package func delegate(to user: UInt32) throws(RuntimeError) {
    guard let index = record.directories.firstIndex(where: { $0.version == .v2 }) else { return }
    let files = try CgroupDelegation.files()
    let directory = try opened(index)
    let path = record.directories[index].path
    for name in [""] + files {
      do {
        if name.isEmpty {
          try directory.descriptor.changeOwner(uid: user, gid: UInt32.max)
        } else {
          // Never through a link, and never out of the directory.
          try directory.descriptor.changeOwner(name, uid: user, gid: UInt32.max)
        }
      } catch {
        if error.errno == .noEntry && !name.isEmpty { continue }
        throw error.because(
          .cgroup, "cannot give the cgroup `\(path)` to user \(user)", field: "/process/user/uid")
      }
    }
  }
}

enum CgroupDelegation {
  /// The files that the kernel hands down, by its own list; before Linux 4.15 it has none.
  static func files(_ list: String = "/sys/kernel/cgroup/delegate") throws(RuntimeError) -> [String] {
    let text: [UInt8]
    do {
      text = try FileDescriptor.open(list, .readOnly).readAll(limit: 65536)
    } catch {
      if error.errno == .noEntry { return ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] }
      throw error.because(.cgroup, "cannot read `\(list)`")
    }
    return CgroupText.lines(text).map { CgroupText.string($0) }.filter {
      !$0.isEmpty && !$0.utf8.contains(0x2F) && $0 != ".."
    }
  }
}
