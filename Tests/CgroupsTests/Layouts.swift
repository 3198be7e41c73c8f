import Diagnostics

@testable import Cgroups

/// Layouts as machines have them.
enum Layouts {
  static let root = "23 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
  static let sys = "25 23 0:22 / /sys rw shared:2 - sysfs sysfs rw\n"

  static let hybridMounts =
    root + sys + """
      31 25 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
      34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:7 master:1 - cgroup cgroup rw,memory
      36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
      37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
      38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
      39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
      40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
      42 31 0:39 / /sys/fs/cgroup/openrc rw,relatime - cgroup openrc rw,name=openrc

      """
  static let hybridOwn = """
    10:name=openrc:/
    9:name=systemd:/
    8:pids:/
    7:blkio:/
    6:freezer:/
    5:devices:/
    4:memory:/services/one
    3:cpuset:/
    1:cpu,cpuacct:/
    0::/

    """
  static let unifiedMounts =
    root + sys + "30 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

  static func layout(_ mounts: String, _ own: String) throws(RuntimeError) -> CgroupLayout {
    try CgroupLayout(mountinfo: [UInt8](mounts.utf8), own: OwnCgroup.entries([UInt8](own.utf8)))
  }

  static let v1 = CgroupLayout(
    hierarchies: [
      ["cpu", "cpuacct"], ["cpuset"], ["memory"], ["devices"], ["freezer"], ["blkio"], ["pids"], ["hugetlb"],
      ["net_cls", "net_prio"], ["rdma"],
    ].map { CgroupHierarchy(version: .v1, controllers: $0, mountPoint: "/sys/fs/cgroup/\($0[0])") },
    unified: nil)
  static let v2 = CgroupLayout(
    hierarchies: [], unified: CgroupHierarchy(version: .v2, mountPoint: "/sys/fs/cgroup", ownPath: "/a/b"))
  /// Everything but hugetlb on v1.
  static let hybrid = CgroupLayout(
    hierarchies: v1.hierarchies.filter { $0.controllers != ["hugetlb"] },
    unified: CgroupHierarchy(version: .v2, mountPoint: "/sys/fs/cgroup/unified"))
}
