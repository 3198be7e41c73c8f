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
        // The plan has checked the ranges; the size of a page is the machine's.
        case .invalid:
          "the text of the map has \(text.utf8.count) bytes, and the kernel takes no more than fit into a page: join ranges"
        case .notPermitted: "the caller may not use these ids of the host"
        default: ""
        }
      throw error.because(.idMapping, "cannot write the id map", field: field, hint: hint)
    }
  }
}
