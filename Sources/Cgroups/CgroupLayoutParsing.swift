import Diagnostics

/// A line of proc(5) mountinfo, as far as cgroups need it.
private struct MountLine {
  var id: Int
  var parent: Int
  var root: ArraySlice<UInt8>
  var mountPoint: ArraySlice<UInt8>
  var isCgroup1 = false
  var isCgroup2 = false
  var superOptions: ArraySlice<UInt8>

  /// `36 35 98:0 /root /point rw,noatime shared:1 - type source rw,options`
  init?(_ line: ArraySlice<UInt8>) {
    let fields = CgroupText.split(line, on: 0x20)
    guard fields.count >= 9, let id = CgroupText.number(fields[0]), let parent = CgroupText.number(fields[1])
    else { return nil }
    // Any number of optional fields end with a hyphen on its own.
    guard let hyphen = fields[6...].firstIndex(where: { $0.count == 1 && $0.first == 0x2D }),
      hyphen + 3 < fields.count
    else { return nil }
    self.id = id
    self.parent = parent
    root = fields[3]
    mountPoint = fields[4]
    superOptions = fields[hyphen + 3]
    isCgroup1 = fields[hyphen + 1].elementsEqual("cgroup".utf8)
    isCgroup2 = fields[hyphen + 1].elementsEqual("cgroup2".utf8)
  }
}

extension CgroupLayout {
  /// Works out the layout from the texts of /proc/self/mountinfo and /proc/self/cgroup.
  init(mountinfo: [UInt8], own: [OwnCgroup]) throws(RuntimeError) {
    let mounts = CgroupText.lines(mountinfo).compactMap { MountLine($0) }
    var visible = mounts.filter {
      ($0.isCgroup1 || $0.isCgroup2) && CgroupLayout.isVisible($0, among: mounts)
    }
    // A second mount elsewhere is somebody's own: the root file system of a container, a network plugin's v2 tree.
    let usual = visible.filter { $0.mountPoint.starts(with: "/sys/fs/cgroup".utf8) }
    if !usual.isEmpty { visible = usual }
    self.init(hierarchies: [], unified: nil)
    for entry in own {
      guard let mount = CgroupLayout.mount(of: entry, among: visible) else { continue }
      let hierarchy = entry.hierarchy(
        CgroupText.unescaped(mount.mountPoint), root: CgroupText.unescaped(mount.root))
      if hierarchy.version == .v2 { unified = hierarchy } else { hierarchies.append(hierarchy) }
    }
    // What other software has mounted for itself holds no container.
    if joined.isEmpty {
      throw RuntimeError(
        .cgroup, "no cgroup file system is mounted", hint: "mount one at `/sys/fs/cgroup`")
    }
  }

  /// The mount through which a hierarchy is used: the one that shows the own cgroup, else the first.
  private static func mount(of entry: OwnCgroup, among mounts: [MountLine]) -> MountLine? {
    var first: MountLine?
    for mount in mounts {
      guard entry.isShown(onV2: mount.isCgroup2, options: mount.superOptions) else { continue }
      let root = CgroupText.unescaped(mount.root)
      if root == "/" || entry.path == root || entry.path.utf8.starts(with: (root + "/").utf8) { return mount }
      if first == nil { first = mount }
    }
    return first
  }

  /// Whether the mount point leads to this mount, or to another one that covers it: walks the path as the kernel does.
  private static func isVisible(_ mount: MountLine, among mounts: [MountLine]) -> Bool {
    let path = mount.mountPoint
    // The lowest mount at `/` is the one whose parent is not shown (a chroot or the root of the namespace).
    guard
      var current = mounts.first(where: { line in
        line.mountPoint.elementsEqual("/".utf8)
          && !mounts.contains { $0.id == line.parent && $0.id != line.id }
      })
    else { return true }
    var end = path.startIndex
    // In a tree nobody climbs more often than there are mounts.
    var steps = mounts.count
    while true {
      let prefix = end == path.startIndex ? path.prefix(1) : path[path.startIndex..<end]
      while let upper = mounts.first(where: {
        $0.parent == current.id && $0.id != current.id && $0.mountPoint.elementsEqual(prefix)
      }) {
        if steps == 0 { return true }
        steps -= 1
        current = upper
      }
      if end == path.endIndex { return current.id == mount.id }
      end += 1
      while end < path.endIndex && path[end] != 0x2F { end += 1 }
    }
  }
}

/// A line of /proc/PID/cgroup: `4:memory:/path`, `1:name=systemd:/path`, `0::/path`.
struct OwnCgroup {
  var controllers: [String]
  var path: String

  /// The lines of the whole file.
  static func entries(_ text: [UInt8]) throws(RuntimeError) -> [OwnCgroup] {
    var entries: [OwnCgroup] = []
    for line in CgroupText.lines(text) {
      guard let entry = OwnCgroup(line) else {
        throw RuntimeError(
          .cgroup, "cannot understand the line `\(CgroupText.string(line))` of `/proc/self/cgroup`")
      }
      entries.append(entry)
    }
    return entries
  }

  init?(_ line: ArraySlice<UInt8>) {
    guard let first = line.firstIndex(of: 0x3A), let second = line[(first + 1)...].firstIndex(of: 0x3A) else {
      return nil
    }
    let names = line[(first + 1)..<second]
    controllers = names.isEmpty ? [] : CgroupText.split(names, on: 0x2C).map { CgroupText.string($0) }
    path = CgroupText.string(line[(second + 1)...])
    if path.utf8.first != 0x2F { return nil }
  }

  /// The hierarchy of this line, mounted at `mountPoint`.
  func hierarchy(_ mountPoint: String, root: String) -> CgroupHierarchy {
    CgroupHierarchy(
      version: controllers.isEmpty ? .v2 : .v1, controllers: controllers, mountPoint: mountPoint, mountRoot: root,
      ownPath: path)
  }

  /// Whether a mount with these options of its file system shows this hierarchy.
  func isShown(onV2: Bool, options: ArraySlice<UInt8>) -> Bool {
    guard let controller = controllers.first else { return onV2 }
    return !onV2
      && CgroupText.split(options, on: 0x2C).contains { $0.elementsEqual(controller.utf8) }
  }

  /// The name of its directory in /sys/fs/cgroup, as everybody makes it.
  var directoryName: String {
    guard let first = controllers.first else { return "unified" }
    if first.utf8.starts(with: "name=".utf8) { return String(decoding: first.utf8.dropFirst(5), as: UTF8.self) }
    return controllers.dropFirst().reduce(first) { $0 + "," + $1 }
  }
}
