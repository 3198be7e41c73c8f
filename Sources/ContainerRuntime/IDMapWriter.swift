import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// Writes the maps of a new user namespace (user_namespaces(7)) from outside.
enum IDMapWriter {
  static func write(_ plan: NamespacePlan, pid: Int32) throws(RuntimeError) {
    try write(plan.uidMap, pid, "uid_map", "/linux/uidMappings")
    try write(plan.gidMap, pid, "gid_map", "/linux/gidMappings")
  }

  private static func write(
    _ map: [IDRange], _ pid: Int32, _ file: String, _ field: String
  ) throws(RuntimeError) {
    var text = ""
    for range in map { text += "\(range.inside) \(range.outside) \(range.count)\n" }
    do {
      // One write(2): the kernel takes the whole map at once or not at all.
      try ProcFileSystem.mounted().write("\(pid)/\(file)", text)
    } catch {
      let hint =
        switch error.errno {
        case .invalid: "ranges must not overlap, must not be empty, and at most 340 are allowed"
        case .notPermitted: "the caller may not use these ids of the host"
        default: ""
        }
      throw error.because(.idMapping, "cannot write the id map", field: field, hint: hint)
    }
  }
}
