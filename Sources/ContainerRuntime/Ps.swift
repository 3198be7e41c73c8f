import Cgroups
public import Diagnostics
import Linux

extension ContainerRuntime {
  /// The processes of a container as this program numbers them, in the order of their numbers: all that are in its cgroup
  /// and below it. None where it has ended.
  public func processes(_ id: String) throws(RuntimeError) -> [Int32] {
    try checkID(id)
    let entry = try store.open(id, locking: false)
    guard let record = try entry.read() else { return [] }
    if record.cgroup.directories.isEmpty && record.cgroup.userNamespace.inode == 0 {
      throw RuntimeError(
        .cgroup, "the processes of `\(id)` cannot be found: it was made without a cgroup",
        hint: "without root a container has one only where one is delegated, and it shares its user namespace")
    }
    return try members(record).sorted()
  }
}
