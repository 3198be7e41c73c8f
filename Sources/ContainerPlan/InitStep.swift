/// Who carries a step out.
public enum Runner: UInt8, Sendable {
  /// The process that the user called, in the host's namespaces.
  case runtime = 0
  /// The first half of the init stage: still on the host's side, where namespaces and cgroups are joined.
  case stage1 = 1
  /// The second half: process 1 of the container.
  case stage2 = 2

  public var name: String {
    switch self {
    case .runtime: "runtime"
    case .stage1: "init stage 1"
    case .stage2: "init stage 2"
    }
  }
}

/// One thing to do inside of the init stage. The list of them is made once by the planner, crosses to the init stage in
/// wire form, and is carried out in order; nothing is decided there that could be decided before.
public enum InitStep: Sendable, Equatable {
  // Stage 2, before the new root
  case startSession
  case newCgroupNamespace
  case interfaceUp(String)
  case hostname(String)
  case domainname(String)
  case keyring(String)
  /// Sets the propagation of all mounts from `/` on, so that nothing done here reaches the host.
  case propagation(PropagationChange)
  /// Makes the root file system a mount of its own at its place. With `privateParent` the mount around it is made
  /// private first, because pivot_root(2) refuses a shared one and the new mount would reach the host.
  case openRoot(path: String, privateParent: Bool)
  case mount(MountStep)
  case devices([DeviceNode])
  case deviceLinks
  case console(ConsoleStep)
  /// Tells the runtime that everything is mounted, and waits until it has run its hooks.
  case mountsMade
  /// The hooks of the container's namespaces, which find their programs in the host's tree.
  case hooks([HookPlan])
  /// The directory `process.cwd`, made if it is missing; relative to the root.
  case workingDirectory(String)
  /// Directories are covered by a tmpfs, which gets this SELinux context unless it is empty.
  case maskPaths([String], label: String)
  case readonlyPaths([String])
  case readonlyRoot
  /// Makes the mount on this directory read-only, after something had to be made in it.
  case readonlyMount(String)
  // The switch
  case pivotRoot
  /// `--no-pivot`, for a root that pivot_root(2) refuses (the ramfs of an initramfs): the root is moved onto `/` and entered
  /// by chroot(2).
  case moveRoot
  /// For a container without a mount namespace: chroot(2), no mount is touched.
  case changeRoot
  /// rootfsPropagation, applied to the new `/`.
  case rootPropagation(PropagationChange)
  /// A procfs for ``sysctl(_:)``, ``processLabels`` and the label of ``keyring(_:)``, opened while nothing of the container lies
  /// over /proc.
  case openProc
  case sysctl(SysctlStep)
  /// Those of the agent command, ``AgentPlan/labels``: the next program that this process executes gets them.
  case processLabels
}

/// One kernel parameter of a namespace that is not the host's.
public struct SysctlStep: Sendable, Equatable {
  /// Relative to /proc/sys; no component is empty, `.` or `..`.
  public var path: String
  public var value: String
  /// The JSON pointer of it.
  public var field: String

  public init(path: String, value: String, field: String) {
    self.path = path
    self.value = value
    self.field = field
  }
}

/// A propagation type of mount_namespaces(7), MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE.
public struct PropagationChange: Sendable, Equatable {
  public var kind: UInt64
  public var recursive: Bool

  public init(kind: UInt64, recursive: Bool) {
    self.kind = kind
    self.recursive = recursive
  }

  public static var slaves: PropagationChange { PropagationChange(kind: 1 << 19, recursive: true) }
  public var isShared: Bool { kind == 1 << 20 }

  public var text: String {
    let name =
      switch kind {
      case 1 << 20: "shared"
      case 1 << 19: "slave"
      case 1 << 18: "private"
      default: "unbindable"
      }
    return recursive ? "r\(name)" : name
  }
}

/// What is mounted.
public enum MountSource: Sendable, Equatable {
  /// A copy of a mount of the host, at an absolute path.
  case bind(path: String, recursive: Bool)
  /// A file system of its own; a parameter without a value is a flag.
  case fileSystem(type: String, source: String, parameters: [MountParameter])
  /// The cgroup of the container, found only when it has been made.
  case cgroup
  /// What is mounted at the destination is changed. With `attributesOnly` (`bind,remount`) only this mount, else also the
  /// file system behind it, which gets the parameters.
  case remount(attributesOnly: Bool, parameters: [MountParameter])
  /// A file system for mount(2), because a parameter is too long for fsconfig(2). `data` is the comma-separated list.
  case legacyFileSystem(type: String, source: String, data: String)
}

/// An id-mapped mount (mount_setattr(2), MOUNT_ATTR_IDMAP).
public struct MountIDMap: Sendable, Equatable {
  /// `ridmap`: also every mount below it.
  public var recursive: Bool
  /// Ids of the file system as `inside`, those that the host sees as `outside`. Both empty: the mappings of the
  /// container's own user namespace.
  public var uids: [IDRange]
  public var gids: [IDRange]

  public init(recursive: Bool, uids: [IDRange] = [], gids: [IDRange] = []) {
    self.recursive = recursive
    self.uids = uids
    self.gids = gids
  }
}

/// What the runtime itself does about a mount, beyond what the kernel is told.
public struct MountTraits: OptionSet, Sendable, Equatable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// `tmpcopyup`: what was in the directory before is copied into the new tmpfs.
  public static var copiesUp: MountTraits { MountTraits(rawValue: 1) }
  /// `copy-symlink`: a source that is a symbolic link is made again at the destination.
  public static var copiesSymlink: MountTraits { MountTraits(rawValue: 2) }
  /// `src-nofollow`: a source that is a symbolic link is bound itself.
  public static var sourceNoFollow: MountTraits { MountTraits(rawValue: 4) }
  /// `dest-nofollow`: a destination that is a symbolic link is covered itself.
  public static var destinationNoFollow: MountTraits { MountTraits(rawValue: 8) }
}

/// `key=value`, or `key` alone.
public struct MountParameter: Sendable, Equatable {
  public var key: String
  public var value: String?
  /// A file system that does not know it is none the worse, as with mount(2).
  public var mayBeUnknown: Bool

  public init(key: String, value: String?, mayBeUnknown: Bool = false) {
    self.key = key
    self.value = value
    self.mayBeUnknown = mayBeUnknown
  }
}

/// One entry of `mounts`.
public struct MountStep: Sendable, Equatable {
  /// The place in `mounts`, for the JSON pointer of an error.
  public var index: UInt32
  /// Relative to the root, cleaned: no leading slash, no `.`, no `..`.
  public var destination: String
  public var source: MountSource
  /// MOUNT_ATTR_* of this mount alone.
  public var set: UInt64
  public var clear: UInt64
  /// The part of `clear` that the configuration names. The rest is cleared because a bind mount has the flags that are
  /// asked for and no others; where the kernel has locked one of those it stays.
  public var clearByName: UInt64
  /// MOUNT_ATTR_* of this mount and all below it.
  public var setRecursively: UInt64
  public var clearRecursively: UInt64
  public var propagation: [PropagationChange]
  public var traits: MountTraits
  public var idMap: MountIDMap?
  /// The SELinux context for what the parameters cannot say: it is given to a directory of the cgroups that the runtime makes, and
  /// to a file system that has to be mounted before it is labelled. Empty for none.
  public var label: String

  public init(
    index: UInt32, destination: String, source: MountSource, set: UInt64 = 0, clear: UInt64 = 0,
    clearByName: UInt64 = 0, setRecursively: UInt64 = 0, clearRecursively: UInt64 = 0,
    propagation: [PropagationChange] = [], traits: MountTraits = [], idMap: MountIDMap? = nil,
    label: String = ""
  ) {
    self.index = index
    self.destination = destination
    self.source = source
    self.set = set
    self.clear = clear
    self.clearByName = clearByName
    self.setRecursively = setRecursively
    self.clearRecursively = clearRecursively
    self.propagation = propagation
    self.traits = traits
    self.idMap = idMap
    self.label = label
  }
}

/// The terminal of the process: made in the devpts of the root, sent to whoever asked for it, and standard input, output
/// and error from then on.
public struct ConsoleStep: Sendable, Equatable {
  /// The size in characters; with a 0 it stays as the kernel makes it.
  public var rows: UInt16
  public var columns: UInt16
  /// Whether it is mounted on /dev/console, which takes a mount namespace.
  public var isMounted: Bool

  public init(rows: UInt16, columns: UInt16, isMounted: Bool) {
    self.rows = rows
    self.columns = columns
    self.isMounted = isMounted
  }
}

/// A device node, fifo or socket to be made in the root.
public struct DeviceNode: Sendable, Equatable {
  /// Relative to the root.
  public var path: String
  /// Type and permission bits of mknod(2).
  public var mode: UInt32
  public var major: UInt32
  public var minor: UInt32
  public var uid: UInt32
  public var gid: UInt32
  /// The place in `linux.devices`; nil for a default device.
  public var index: UInt32?

  public init(
    path: String, mode: UInt32, major: UInt32, minor: UInt32, uid: UInt32 = 0, gid: UInt32 = 0, index: UInt32? = nil
  ) {
    self.path = path
    self.mode = mode
    self.major = major
    self.minor = minor
    self.uid = uid
    self.gid = gid
    self.index = index
  }

  /// Where it stands in the configuration; empty for a default device.
  public var field: String {
    guard let index else { return "" }
    return "/linux/devices/\(index)"
  }
}
