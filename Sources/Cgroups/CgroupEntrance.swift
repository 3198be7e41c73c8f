package import Diagnostics
import Linux
import LinuxABI

/// The descriptors with which a process joins the container's cgroup; they are closed with this object.
///
/// On v1 the process writes `0` to each `tasks` file: that moves the one writing thread, for which the kernel takes
/// neither its global lock nor an RCU grace period. On v2 it is born in the directory (CLONE_INTO_CGROUP).
package final class CgroupEntrance {
  private let taskFiles: [CgroupDirectory]
  private let unified: CgroupDirectory?

  /// Into none.
  package static var none: CgroupEntrance { CgroupEntrance(taskFiles: [], unified: nil) }

  init(taskFiles: [CgroupDirectory], unified: CgroupDirectory?) {
    self.taskFiles = taskFiles
    self.unified = unified
  }

  package var taskFileNumbers: [Int32] { taskFiles.map { $0.descriptor.number } }
  /// The v2 directory; nil on pure v1.
  package var directoryNumber: Int32? { unified?.descriptor.number }
}

extension CgroupManager {
  /// Opens what a process joins the cgroup with.
  package func openForJoining() throws(RuntimeError) -> CgroupEntrance {
    try openForJoining(below: "")
  }

  /// Opens what a process joins the cgroup with that its neighbour `pid`, a process of the container, is in. For a container
  /// that has divided its cgroup of v2: the kernel lets no process into one that hands controllers down, nor into one
  /// with threaded ones below (EBUSY, EOPNOTSUPP; cgroups(7), "no internal processes"). Nil where the neighbour is in the
  /// container's own cgroup, or in none below it.
  ///
  /// What is read is the choice of the container. The caller sees to it that the pid still is that of the neighbour.
  package func openForJoining(neighbour pid: Int32) throws(RuntimeError) -> CgroupEntrance? {
    guard let directory = record.unified, let hierarchy = try CgroupLayout.read().unified else { return nil }
    guard
      let entry = try OwnCgroup.entries(try OwnCgroup.text(ofProcess: pid)).first(where: { $0.controllers.isEmpty }),
      let below = hierarchy.path(of: entry.path, below: directory.path)
    else { return nil }
    return try openForJoining(below: below)
  }

  private func openForJoining(below: String) throws(RuntimeError) -> CgroupEntrance {
    var tasks: [CgroupDirectory] = []
    var unified: CgroupDirectory?
    for (index, directory) in record.directories.enumerated() {
      let opened = try opened(index)
      if directory.version == .v2 {
        unified = below.isEmpty ? opened : try CgroupManager.open(below, in: opened, directory.path)
        continue
      }
      do {
        let file = CgroupDirectory(try opened.descriptor.open("tasks", .writeOnly))
        // First, because a new container joins that one last.
        tasks.insert(file, at: directory.controllers.contains("memory") ? 0 : tasks.count)
      } catch {
        throw error.because(.cgroup, "cannot open `\(directory.path)/tasks`")
      }
    }
    return CgroupEntrance(taskFiles: tasks, unified: unified)
  }

  /// Never above the directory, and through no link.
  private static func open(
    _ path: String, in directory: CgroupDirectory, _ name: String
  ) throws(RuntimeError) -> CgroupDirectory {
    do {
      return CgroupDirectory(
        try RootDirectory.openEntry(in: directory.descriptor, path, [.readOnly, .directory, .noFollow]))
    } catch {
      throw error.because(.cgroup, "cannot open the cgroup `\(name)/\(path)`")
    }
  }
}

extension CgroupHierarchy {
  /// The path of a cgroup, given as in /proc/PID/cgroup, relative to the directory of another one that it is below; nil where
  /// it is not, and where it is that one.
  func path(of cgroup: String, below directory: String) -> String? {
    let mount = mountPoint.utf8
    guard directory.utf8.starts(with: mount) else { return nil }
    var upper = mountRoot == "/" ? [] : [UInt8](mountRoot.utf8)
    upper += [UInt8](directory.utf8.dropFirst(mount.count)) + [0x2F]
    guard cgroup.utf8.starts(with: upper) else { return nil }
    let below = [UInt8](cgroup.utf8.dropFirst(upper.count))
    let names = CgroupText.split(below[...], on: 0x2F)
    if names.contains(where: { $0.isEmpty || CgroupText.string($0) == ".." }) { return nil }
    return CgroupText.string(below[...])
  }
}
