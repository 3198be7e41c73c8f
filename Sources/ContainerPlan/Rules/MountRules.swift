import Diagnostics
import LinuxABI
import OCISpec

/// Rules about `mounts`.
enum MountRules {
  static func destinations(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where entry.mount.destination.isEmpty {
      try planner.report("the destination is empty", "\(entry.field)/destination")
    }
  }

  static func relativeDestinations(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts {
      let destination = entry.mount.destination
      if destination.isEmpty || destination.utf8.first == 0x2F { continue }
      try planner.report(
        "mount destination `\(destination)` is not absolute, which is deprecated: taken from `/`",
        "\(entry.field)/destination")
    }
  }

  static func types(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts {
      guard case .fileSystem(let type) = entry.kind, type.isEmpty else { continue }
      try planner.report("a mount needs a type, or the option `bind` or `rbind`", "\(entry.field)/type")
    }
  }

  static func bindSources(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where entry.isBind && (entry.mount.source ?? "").isEmpty {
      try planner.report("a bind mount needs a source", "\(entry.field)/source")
    }
  }

  /// runc's rule: what a bind mount shows is mounted already, so there is nobody to give the data to.
  static func bindData(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where entry.isBind {
      guard let parameter = entry.options.parameters.first else { continue }
      try planner.report(
        "bind mounts cannot have any filesystem-specific options applied: `\(parameter.text)`",
        "\(entry.field)/options")
    }
  }

  static func copyUp(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where entry.options.traits.contains(.copiesUp) {
      if case .fileSystem("tmpfs") = entry.kind { continue }
      try planner.report("`tmpcopyup` is for tmpfs only", "\(entry.field)/options")
    }
  }

  static func sourceLinks(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where !entry.isBind {
      if entry.options.traits.isDisjoint(with: [.copiesSymlink, .sourceNoFollow]) { continue }
      try planner.report(
        "`copy-symlink` and `src-nofollow` are for bind mounts only", "\(entry.field)/options")
    }
  }

  // MARK: Id-mapped mounts

  static func idMapSides(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where entry.hasUIDs != entry.hasGIDs {
      try planner.report(
        "an id-mapped mount needs both uidMappings and gidMappings",
        "\(entry.field)/\(entry.hasUIDs ? "gidMappings" : "uidMappings")")
    }
  }

  /// The kernel has no id-mapped mounts of these file systems; of most others it has, and answers itself.
  static func idMapTypes(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts where entry.options.idMap != nil || entry.hasUIDs || entry.hasGIDs {
      var hint = "id-map the bind mounts instead"
      switch entry.kind {
      case .bind: continue
      case .fileSystem("overlay"): hint = "id-map the mounts that the layers lie on, before the overlay is made"
      case .fileSystem("proc"), .fileSystem("sysfs"), .fileSystem("devpts"):
        hint = "its ids are those of the container's user namespace already"
      case .fileSystem: continue
      case .cgroup, .remount: break
      }
      let type = entry.mount.type ?? ""
      try planner.report(
        "a mount of type `\(type.isEmpty ? "remount" : type)` cannot be id-mapped", "\(entry.field)/options",
        hint: hint)
    }
  }

  static func idMapOnce(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.mounts {
      if let index = entry.options.repeatedIDMap {
        try planner.report("the mappings of `idmap` stand twice", "\(entry.field)/options/\(index)")
      }
      if entry.hasUIDs, let option = entry.options.idMap, !option.mapping.isEmpty {
        try planner.report(
          "the mappings stand in the option and in uidMappings", "\(entry.field)/options")
      }
    }
  }

  static func idMapMappings(_ planner: inout Planner) throws(RuntimeError) {
    if planner.hasNamespace(.user) { return }
    for entry in planner.mounts {
      guard let option = entry.options.idMap, option.mapping.isEmpty, !entry.hasUIDs, !entry.hasGIDs else { continue }
      try planner.report(
        "an id-mapped mount needs mappings, and the container has no user namespace to take them from",
        "\(entry.field)/options", hint: "add uidMappings and gidMappings to the mount")
    }
  }
}

/// What an entry of `mounts` asks for, told by its type and its options.
enum MountKind: Equatable {
  case remount(attributesOnly: Bool)
  case bind(recursive: Bool)
  case cgroup
  case fileSystem(String)
}

/// An entry of `mounts` whose options are read.
struct MountEntry {
  let index: Int
  let mount: Mount
  let options: MountOptions
  let kind: MountKind

  init(_ index: Int, _ mount: Mount) {
    self.index = index
    self.mount = mount
    options = MountOptions(mount.options ?? [])
    let type = mount.type ?? ""
    if options.remounts {
      kind = .remount(attributesOnly: options.bindRecursively != nil || type == "bind")
    } else if let recursive = options.bindRecursively ?? (type == "bind" ? false : nil) {
      kind = .bind(recursive: recursive)
    } else {
      kind = type == "cgroup" || type == "cgroup2" ? .cgroup : .fileSystem(type)
    }
  }

  var field: String { "/mounts/\(index)" }

  var isBind: Bool {
    if case .bind = kind { true } else { false }
  }

  var hasUIDs: Bool { !(mount.uidMappings ?? []).isEmpty }
  var hasGIDs: Bool { !(mount.gidMappings ?? []).isEmpty }
}
