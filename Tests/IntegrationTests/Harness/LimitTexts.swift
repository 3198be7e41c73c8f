import Foundation

extension Container {
  /// The text of every file of the container's cgroups that one can write and that holds still, by controller and name.
  func limitFiles() throws -> [String: String] {
    var found: [String: String] = [:]
    let controllers = ["cpu", "cpuset", "memory", "devices", "blkio", "pids"]
    for controller in CgroupView.current == .v2 ? [""] : controllers {
      let folder = try cgroup(controller)
      for file in Files.names(in: folder) {
        guard let status = try? FileManager.default.attributesOfItem(atPath: folder + "/" + file),
          (status[.posixPermissions] as? Int ?? 0) & 0o222 != 0 || file == "devices.list",
          let text = try? Files.read(folder + "/" + file)
        else { continue }
        let isMeasured = ["usage", "failcnt", "stat", "pressure", "procs", "tasks", "peak"].contains {
          file.contains($0)
        }
        if !isMeasured { found[controller + "/" + file] = text }
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
