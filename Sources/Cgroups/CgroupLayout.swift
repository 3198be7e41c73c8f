/// The two interfaces of cgroups(7).
package enum CgroupVersion: UInt8, Equatable, Sendable {
  case v1 = 1
  case v2 = 2
}

/// One tree of cgroups: where it is mounted and where in it the asking process stands.
package struct CgroupHierarchy: Equatable, Sendable {
  package var version: CgroupVersion
  /// The controllers of a v1 hierarchy, `name=systemd` for one that has a name; empty for v2, whose controllers
  /// differ from cgroup to cgroup.
  package var controllers: [String]
  package var mountPoint: String
  /// The cgroup that is the root of the mount; `/` but in a container without a cgroup namespace.
  package var mountRoot: String
  /// The cgroup of the asking process, as /proc/self/cgroup gives it.
  package var ownPath: String

  package init(
    version: CgroupVersion, controllers: [String] = [], mountPoint: String, mountRoot: String = "/",
    ownPath: String = "/"
  ) {
    self.version = version
    self.controllers = controllers
    self.mountPoint = mountPoint
    self.mountRoot = mountRoot
    self.ownPath = ownPath
  }

  /// The own cgroup relative to the mount point, without a leading slash; empty at the root of the mount, and also
  /// where the own cgroup cannot be seen through this mount.
  var ownRelativePath: String {
    let own = ownPath.utf8
    let root = mountRoot == "/" ? "".utf8 : mountRoot.utf8
    guard own.starts(with: root) else { return "" }
    let rest = own.dropFirst(root.count)
    guard rest.isEmpty || rest.first == 0x2F else { return "" }
    let path = String(decoding: rest.dropFirst(), as: UTF8.self)
    // A process above the root of its cgroup namespace is shown at `/../…`.
    return path == ".." || path.utf8.starts(with: "../".utf8) ? "" : path
  }
}

/// How cgroups are mounted on this machine, as far as this process sees it. A plain value.
package struct CgroupLayout: Equatable, Sendable {
  package enum Kind: Equatable, Sendable {
    case v1
    /// Both: controllers on v1, and a v2 tree, with or without some controllers.
    case hybrid
    case v2
  }

  /// The hierarchies of v1 that are mounted.
  package var hierarchies: [CgroupHierarchy]
  /// The v2 tree, where it is mounted.
  package var unified: CgroupHierarchy?
  /// Where these are, for messages about what is not there.
  private(set) var place = "mounted on this machine"

  package init(hierarchies: [CgroupHierarchy], unified: CgroupHierarchy?) {
    self.hierarchies = hierarchies
    self.unified = unified
  }

  /// The hierarchies in which a container has a cgroup, as it was made.
  init(_ record: CgroupRecord) {
    hierarchies = []
    place = "among those of the container's cgroup"
    for directory in record.directories {
      let hierarchy = CgroupHierarchy(
        version: directory.version, controllers: directory.controllers, mountPoint: directory.path)
      if directory.version == .v2 { unified = hierarchy } else { hierarchies.append(hierarchy) }
    }
  }

  package var kind: Kind {
    if unified == nil { return .v1 }
    return hierarchies.isEmpty ? .v2 : .hybrid
  }

  /// The version through which a controller is used, by its name in v1; nil where there is no way to it.
  package func version(of controller: String) -> CgroupVersion? {
    for hierarchy in hierarchies where hierarchy.controllers.contains(controller) { return .v1 }
    return unified == nil ? nil : .v2
  }

  /// The hierarchies in which a container has a cgroup: all but those that other software has named for itself.
  package var joined: [CgroupHierarchy] {
    var joined = hierarchies.filter { hierarchy in
      hierarchy.controllers.contains { !$0.utf8.starts(with: "name=".utf8) || $0 == "name=systemd" }
    }
    if let unified { joined.append(unified) }
    return joined
  }
}
