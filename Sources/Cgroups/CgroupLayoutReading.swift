package import Diagnostics
import Linux
import LinuxABI

extension CgroupLayout {
  /// The layout that this process sees.
  ///
  /// mountinfo holds every mount of the machine, which may have thousands: some for each container. So the directory that
  /// everybody mounts cgroups at is looked at by itself, and mountinfo only where that does not tell everything.
  package static func read() throws(RuntimeError) -> CgroupLayout {
    let own: [UInt8]
    do throws(SystemError) {
      own = try FileDescriptor.open("/proc/self/cgroup", .readOnly).readAll(limit: 1 << 20)
    } catch {
      throw unreadable(error)
    }
    let entries = try OwnCgroup.entries(own)
    if let layout = readUsualPlace(entries) { return layout }
    return try readMountinfo(entries)
  }

  /// The cgroup that systemd has put process `pid` into, which must be that of `unit`. What systemd says of a unit is how it
  /// sees the machine; this is where the process is.
  package func path(ofProcess pid: Int32, in unit: SystemdUnit) throws(RuntimeError) -> CgroupPath {
    // Where there is a hierarchy of systemd's own, it is the one that it is right about.
    let name = kind == .v2 ? "" : "name=systemd"
    var path = ""
    for entry in try OwnCgroup.entries(try OwnCgroup.text(ofProcess: pid)) where entry.controllers.first ?? "" == name {
      for var hierarchy in joined where hierarchy.controllers.first ?? "" == name {
        hierarchy.ownPath = entry.path
        path = hierarchy.ownRelativePath
      }
    }
    let found = path.isEmpty ? CgroupPath(components: []) : try CgroupPath("/" + path, id: "")
    // A name that could be a file of the kernel's is written with `_` in front.
    let last = found.components.last ?? ""
    if last == unit.name || last == "_" + unit.name { return found }
    throw RuntimeError(
      .systemd, "systemd has made `" + unit.name + "`, but its process is in `/" + path + "`",
      hint: "the caller has another pid namespace than that systemd, or sees other cgroups")
  }

  /// From the mounts wherever they are.
  static func readMountinfo(_ own: [OwnCgroup]) throws(RuntimeError) -> CgroupLayout {
    let mounts: [UInt8]
    do throws(SystemError) {
      mounts = try FileDescriptor.open("/proc/self/mountinfo", .readOnly).readAll(limit: 64 << 20)
    } catch {
      throw unreadable(error)
    }
    return try CgroupLayout(mountinfo: mounts, own: own)
  }

  /// From /sys/fs/cgroup alone: the v2 tree itself, or each hierarchy in the directory of its name. Nil where something
  /// else is there too, and where the kernel tells too little about a single mount.
  static func readUsualPlace(_ own: [OwnCgroup]) -> CgroupLayout? {
    do throws(SystemError) {
      let top = try FileDescriptor.open("/sys/fs/cgroup", [.path, .directory])
      if try top.fileSystemType() == FileSystemMagic.cgroup2.rawValue {
        guard let entry = own.first(where: { $0.controllers.isEmpty }), let root = try unifiedRoot(top) else {
          return nil
        }
        return CgroupLayout(hierarchies: [], unified: entry.hierarchy("/sys/fs/cgroup", root: root))
      }
      return try readDirectories(top, own)
    } catch {
      // No such directory, a filter that refuses statmount, …: mountinfo says what is the matter, if anything.
      return nil
    }
  }

  /// The cgroup that is the root of the v2 mount `top`.
  private static func unifiedRoot(_ top: borrowing FileDescriptor) throws(SystemError) -> String? {
    if let mount = try top.mountStatus("") { return mount.root }
    return try unifiedRootByInode(top)
  }

  /// The same on a kernel without statmount(2), where it can be known: the root of the whole tree has inode 1, and its
  /// name is `/` outside of any cgroup namespace, which the first one with its fixed number stands for.
  static func unifiedRootByInode(_ top: borrowing FileDescriptor) throws(SystemError) -> String? {
    let namespace = try FileDescriptor.open("/proc/self/ns", [.path, .directory]).readLink("cgroup")
    return try top.status().inode == 1 && namespace == "cgroup:[4026531835]" ? "/" : nil
  }

  /// The hierarchies in directories of `top`: `memory`, `cpu,cpuacct`, `systemd` of `name=systemd`, `unified`.
  private static func readDirectories(
    _ top: borrowing FileDescriptor, _ own: [OwnCgroup]
  ) throws(SystemError) -> CgroupLayout? {
    var layout = CgroupLayout(hierarchies: [], unified: nil)
    var found: [String] = []
    for entry in own {
      let name = entry.directoryName
      guard let mount = try mount(name, in: top) else { return nil }
      if mount.magic == 0 { continue }
      let isUnified = mount.magic == FileSystemMagic.cgroup2.rawValue
      guard isUnified || mount.magic == FileSystemMagic.cgroup.rawValue,
        entry.isShown(onV2: isUnified, options: [UInt8](mount.options.utf8)[...])
      else { return nil }
      let hierarchy = entry.hierarchy("/sys/fs/cgroup/\(name)", root: mount.root)
      if hierarchy.version == .v2 { layout.unified = hierarchy } else { layout.hierarchies.append(hierarchy) }
      found.append(name)
    }
    // What has no directory of its name may have another one.
    if found.count < own.count {
      for entry in try top.entries() where entry.isDirectory && !found.contains(entry.name) { return nil }
    }
    return layout.joined.isEmpty ? nil : layout
  }

  /// The mount at a name; of magic 0 where the name does not exist.
  private static func mount(
    _ name: String, in top: borrowing FileDescriptor
  ) throws(SystemError) -> MountStatus? {
    do {
      return try top.mountStatus(name)
    } catch {
      if error.errno == .noEntry { return MountStatus(magic: 0, root: "", options: "") }
      throw error
    }
  }

  private static func unreadable(_ error: SystemError) -> RuntimeError {
    error.because(.cgroup, "cannot find out how cgroups are mounted")
  }
}

extension OwnCgroup {
  /// The file of any process.
  static func text(ofProcess pid: Int32) throws(RuntimeError) -> [UInt8] {
    do {
      return try FileDescriptor.open("/proc/\(pid)/cgroup", .readOnly).readAll(limit: 1 << 20)
    } catch {
      throw error.because(.cgroup, "cannot read the cgroup of process \(pid)")
    }
  }
}
