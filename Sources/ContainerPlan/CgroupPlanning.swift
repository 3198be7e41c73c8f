import LinuxABI
import OCISpec

extension Planner {
  /// Who gets the cgroup: the user of the process, if its cgroup namespace is new and it can write to its cgroups
  /// (config-linux.md, "Cgroup ownership"). Of several mounts at the place it sees the last one.
  func cgroupOwner(_ mounts: [MountStep]) -> UInt32? {
    guard let process = config.process, namespaces.created.contains(.newCgroup) else { return nil }
    guard let mount = mounts.last(where: { $0.destination == "sys/fs/cgroup" }), mount.source == .cgroup else {
      return nil
    }
    let set = MountAttributes(rawValue: mount.set | mount.setRecursively)
    return set.contains(.readOnly) ? nil : process.user.uid
  }
}
