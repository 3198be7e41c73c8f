/// The state of a container as the specification has it (runtime.md, "State"): what hooks get on their standard input.
public struct State: Equatable, Sendable {
  /// The version of the specification.
  public var ociVersion: String
  /// The id of the container.
  public var id: String
  /// `creating`, `created`, `running` or `stopped`.
  public var status: String
  /// The process id of the container process on the host; absent while there is none.
  public var pid: Int32?
  /// The absolute path of the bundle.
  public var bundle: String
  /// The annotations of the configuration.
  public var annotations: [NamedValue<String>]?

  public init(
    ociVersion: String = OCIVersion.current, id: String, status: String, pid: Int32? = nil, bundle: String,
    annotations: [NamedValue<String>]? = nil
  ) {
    self.ociVersion = ociVersion
    self.id = id
    self.status = status
    self.pid = pid
    self.bundle = bundle
    self.annotations = annotations
  }
}

/// What the listener of a seccomp filter gets along with the descriptor (config-linux.md, "The Container Process State").
public struct ContainerProcessState: Equatable, Sendable {
  /// The version of the specification.
  public var ociVersion: String
  /// A name for each descriptor that is sent: `seccompFd`.
  public var fds: [String]
  /// The process that made the filter, as seen by the runtime.
  public var pid: Int32
  /// `listenerMetadata` of the configuration.
  public var metadata: String?
  /// The state of the container.
  public var state: State

  public init(
    ociVersion: String = OCIVersion.current, fds: [String], pid: Int32, metadata: String? = nil,
    state: State
  ) {
    self.ociVersion = ociVersion
    self.fds = fds
    self.pid = pid
    self.metadata = metadata
    self.state = state
  }
}

/// What `state` prints, and `list --format json` for each container. Fields and order are those of runc, because managers
/// read more than the specification has.
public struct ContainerState: Equatable, Sendable {
  /// The version of the specification.
  public var ociVersion: String
  /// The id of the container.
  public var id: String
  /// The process id of the container process on the host; 0 once it has stopped.
  public var pid: Int32
  /// `creating`, `created`, `running`, `paused` or `stopped`.
  public var status: String
  /// The absolute path of the bundle.
  public var bundle: String
  /// The absolute path of the root filesystem.
  public var rootfs: String
  /// When it was created, RFC 3339 in UTC.
  public var created: String
  /// The annotations of the configuration.
  public var annotations: [NamedValue<String>]?
  /// The name of the user who created it; may be empty.
  public var owner: String
  /// The scope that systemd has made for it, under the name that crun gives it; nil with another cgroup driver.
  public var systemdScope: String?
  /// How the first process ended; nil as long as it lives, and where nobody can tell any more.
  public var exit: ContainerExit?
  /// How often it met its limits; nil where no cgroup tells.
  public var limitEvents: LimitEvents?
  /// What the kernel does of its Landlock ruleset; nil without one.
  public var landlock: LandlockState?

  public init(
    ociVersion: String = OCIVersion.current, id: String, pid: Int32 = 0, status: String, bundle: String,
    rootfs: String, created: String, annotations: [NamedValue<String>]? = nil, owner: String,
    systemdScope: String? = nil
  ) {
    self.ociVersion = ociVersion
    self.id = id
    self.pid = pid
    self.status = status
    self.bundle = bundle
    self.rootfs = rootfs
    self.created = created
    self.annotations = annotations
    self.owner = owner
    self.systemdScope = systemdScope
  }
}

/// What became of a container's Landlock ruleset (spec/landlock.md).
public struct LandlockState: Equatable, Sendable {
  /// The version of Landlock's ABI that the kernel had when the container was created.
  public var abi: Int32
  /// The names of the ruleset that the kernel did not know, and that therefore restrict nothing.
  public var leftOut: [String]

  public init(abi: Int32, leftOut: [String] = []) {
    self.abi = abi
    self.leftOut = leftOut
  }
}
