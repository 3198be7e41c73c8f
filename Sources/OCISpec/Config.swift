/// The configuration of a container: `config.json` of a bundle, field for field (runtime-spec 1.3, config.md).
///
/// Property names are those of the document. An absent property is `nil`, and is not the same as an empty one; `null`
/// counts as absent. Enumerated texts stay texts, so that validation can refuse them with the place where they stand.
/// The objects of other platforms (`windows`, `solaris`, `vm`, `zos`, `freebsd`) are checked for syntax and dropped.
public struct Config: Equatable, Sendable {
  /// The version of the specification that the bundle follows, in SemVer 2.0 form.
  public var ociVersion: String
  /// The root filesystem; required on Linux.
  public var root: Root
  /// Mounts on top of the root filesystem, in the order in which they are made.
  public var mounts: [Mount]?
  /// The container process. May be absent at `create`, must be there at `start`.
  public var process: Process?
  /// The host name inside the container; needs a `uts` namespace.
  public var hostname: String?
  /// The NIS domain name inside the container; needs a `uts` namespace.
  public var domainname: String?
  /// Commands to run at points of the lifecycle.
  public var hooks: Hooks?
  /// Free metadata.
  public var annotations: [NamedValue<String>]?
  /// The part for Linux (config-linux.md).
  public var linux: LinuxConfig?

  public init(
    ociVersion: String, root: Root, mounts: [Mount]? = nil, process: Process? = nil,
    hostname: String? = nil, domainname: String? = nil, hooks: Hooks? = nil,
    annotations: [NamedValue<String>]? = nil, linux: LinuxConfig? = nil
  ) {
    self.ociVersion = ociVersion
    self.root = root
    self.mounts = mounts
    self.process = process
    self.hostname = hostname
    self.domainname = domainname
    self.hooks = hooks
    self.annotations = annotations
    self.linux = linux
  }
}

/// The root filesystem of the container (config.md, "Root").
public struct Root: Equatable, Sendable {
  /// The path to it on the host, absolute or relative to the bundle.
  public var path: String
  /// Whether it is read-only inside the container.
  public var readonly: Bool?

  public init(path: String, readonly: Bool? = nil) {
    self.path = path
    self.readonly = readonly
  }
}

/// One entry of `mounts` (config.md, "Mounts").
public struct Mount: Equatable, Sendable {
  /// The path inside the container. A relative one is deprecated and taken from `/`.
  public var destination: String
  /// The filesystem type; ignored for a bind mount.
  public var type: String?
  /// A device, a path on the host (relative to the bundle) or a word for the filesystem.
  public var source: String?
  /// Options as in fstab(5); what is not known goes to the filesystem as data.
  public var options: [String]?
  /// The user ids of an id-mapped mount, mount_setattr(2).
  public var uidMappings: [IDMapping]?
  /// The group ids of an id-mapped mount.
  public var gidMappings: [IDMapping]?

  public init(
    destination: String, type: String? = nil, source: String? = nil, options: [String]? = nil,
    uidMappings: [IDMapping]? = nil, gidMappings: [IDMapping]? = nil
  ) {
    self.destination = destination
    self.type = type
    self.source = source
    self.options = options
    self.uidMappings = uidMappings
    self.gidMappings = gidMappings
  }
}

/// The lifecycle hooks (config.md, "POSIX-platform Hooks").
public struct Hooks: Equatable, Sendable {
  /// Deprecated: as `createRuntime`, and before it.
  public var prestart: [Hook]?
  /// In the runtime's namespaces, after the namespaces are made and before pivot_root.
  public var createRuntime: [Hook]?
  /// In the container's namespaces, before pivot_root; the path is the runtime's.
  public var createContainer: [Hook]?
  /// In the container's namespaces, just before the container process starts.
  public var startContainer: [Hook]?
  /// In the runtime's namespaces, after the container process started.
  public var poststart: [Hook]?
  /// In the runtime's namespaces, after the container was deleted.
  public var poststop: [Hook]?

  public init(
    prestart: [Hook]? = nil, createRuntime: [Hook]? = nil, createContainer: [Hook]? = nil,
    startContainer: [Hook]? = nil, poststart: [Hook]? = nil, poststop: [Hook]? = nil
  ) {
    self.prestart = prestart
    self.createRuntime = createRuntime
    self.createContainer = createContainer
    self.startContainer = startContainer
    self.poststart = poststart
    self.poststop = poststop
  }
}

/// One hook. It gets the state of the container on its standard input.
public struct Hook: Equatable, Sendable {
  /// An absolute path.
  public var path: String
  /// The argument vector, with the name of the program first, as for execv(3).
  public var args: [String]?
  /// The environment, `NAME=value`.
  public var env: [String]?
  /// Seconds until the hook is ended; must be above zero.
  public var timeout: Int?

  public init(path: String, args: [String]? = nil, env: [String]? = nil, timeout: Int? = nil) {
    self.path = path
    self.args = args
    self.env = env
    self.timeout = timeout
  }
}
