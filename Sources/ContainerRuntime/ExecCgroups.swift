import Cgroups
import Diagnostics
import Linux

/// The cgroups that a process of `exec` is born in: those of the container, or below them with `--cgroup`.
struct ExecCgroups {
  private var record: CgroupRecord

  /// `below` are values of `--cgroup`: `PATH`, or `CONTROLLER[,CONTROLLER]:PATH` for hierarchies of v1.
  init(_ record: CgroupRecord, _ below: [String]) throws(RuntimeError) {
    self.record = record
    for value in below {
      let parts = value.utf8.split(separator: 0x3A, maxSplits: 1, omittingEmptySubsequences: false)
      let path = try ExecCgroups.check(String(Substring(parts[parts.count - 1])), value)
      if parts.count == 1 && below.count > 1 {
        throw RuntimeError(
          .usage, "`\(value)` is about all hierarchies, so it cannot be one of several", field: "--cgroup",
          hint: "put the controller in front: `memory:\(value)`")
      }
      var isUsed = false
      let controllers = parts.count == 1 ? [] : parts[0].split(separator: 0x2C)
      for index in record.directories.indices {
        let directory = record.directories[index]
        let fits =
          parts.count == 1
          || controllers.contains { name in
            directory.controllers.contains { $0.utf8.elementsEqual(name) }
              || directory.mountName.utf8.elementsEqual(name)
          } || (controllers.isEmpty && directory.version == .v2)
        if !fits { continue }
        isUsed = true
        self.record.directories[index].path = "\(directory.path)/\(path)"
      }
      if !isUsed {
        throw RuntimeError(.usage, "the container has no cgroup for `\(value)`", field: "--cgroup")
      }
    }
  }

  /// It must not lead out of the container's cgroup.
  private static func check(_ path: String, _ value: String) throws(RuntimeError) -> String {
    var names: [String] = []
    for part in path.utf8.split(separator: 0x2F) where !part.elementsEqual(".".utf8) {
      if part.elementsEqual("..".utf8) || part.contains(0) {
        throw RuntimeError(
          .usage, "`\(value)` leads out of the container's cgroup, expected a path below it", field: "--cgroup")
      }
      names.append(String(Substring(part)))
    }
    var text = ""
    for name in names { text += text.isEmpty ? name : "/\(name)" }
    return text.isEmpty ? "." : text
  }

  func open() throws(RuntimeError) -> CgroupEntrance {
    try CgroupManager(record: record).openForJoining()
  }
}
