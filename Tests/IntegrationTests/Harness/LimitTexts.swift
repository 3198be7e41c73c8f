import Foundation
import Testing

extension Container {
  /// The text of every file of the container's cgroups that one can write and that holds still, by controller and name.
  func limitFiles() throws -> [String: String] {
    var found: [String: String] = [:]
    let controllers = ["cpu", "cpuset", "memory", "devices", "blkio", "pids"]
    for controller in CgroupView.current == .v2 ? [""] : controllers {
      let folder = try cgroup(controller)
      for file in Files.names(in: folder) {
        let isMeasured = ["usage", "failcnt", "stat", "pressure", "procs", "tasks", "peak"].contains {
          file.contains($0)
        }
        let status = try #require(Files.status(folder + "/" + file), "\(folder)/\(file)")
        // Some take an order only, and are nothing to read.
        let (isRead, isWritten) = (status.st_mode & 0o444 != 0, status.st_mode & 0o222 != 0)
        let isFile = status.st_mode & S_IFMT == S_IFREG
        if !isFile || isMeasured || !isRead || !(isWritten || file == "devices.list") { continue }
        found[controller + "/" + file] = try Files.read(folder + "/" + file)
      }
    }
    return found
  }

  /// What is different in those files, as text.
  func changedLimits(since before: [String: String]) throws -> [String] {
    let now = try limitFiles()
    return Set(now.keys).union(before.keys).sorted().filter { now[$0] != before[$0] }.map {
      "\($0): \(before[$0] ?? "nothing"), now \(now[$0] ?? "nothing")"
    }
  }
}
