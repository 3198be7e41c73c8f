package import Linux

/// A unit, and the systemd that looks after it.
package struct SystemdUnit: Equatable, Sendable {
  package var bus: SystemdBus
  package var name: String

  package init(bus: SystemdBus, name: String) {
    self.bus = bus
    self.name = name
  }
}

/// Where the cgroup of a container is: what the state file keeps, so that no later command works it out again.
package struct CgroupRecord: Equatable, Sendable {
  /// The container's directory in one hierarchy.
  package struct Directory: Equatable, Sendable {
    package var version: CgroupVersion
    /// As in ``CgroupHierarchy/controllers``: the controllers of v1, empty for v2.
    package var controllers: [String]
    /// Absolute, as seen by the runtime.
    package var path: String
    /// The name under which the hierarchy is mounted (`cpu,cpuacct`).
    package var mountName: String
    /// The directories that were made for the container, outermost first. Only these are ever removed; the last one
    /// is `path` unless that was there before.
    package var made: [String]

    package init(
      version: CgroupVersion, controllers: [String], path: String, mountName: String, made: [String]
    ) {
      self.version = version
      self.controllers = controllers
      self.path = path
      self.mountName = mountName
      self.made = made
    }

    package var isMade: Bool { made.last == path }
  }

  /// One for each hierarchy; that of v2 last.
  package var directories: [Directory]
  /// The user namespace that was made for the container, by which its processes are found where it has no directory. Only
  /// known where the caller is not root of the host.
  package var userNamespace: NamespaceIdentity
  /// The pid namespace of the caller, where the container has that one too and a user namespace of its own.
  package var pidNamespace: NamespaceIdentity

  /// The unit of systemd that the cgroup is of; nil with the cgroupfs driver.
  package var unit: SystemdUnit?
  /// What was counted before the container, in a cgroup that was there already.
  package var countsBefore = LimitCounts()

  package init(
    directories: [Directory], userNamespace: NamespaceIdentity = .init(), pidNamespace: NamespaceIdentity = .init(),
    unit: SystemdUnit? = nil
  ) {
    self.directories = directories
    self.userNamespace = userNamespace
    self.pidNamespace = pidNamespace
    self.unit = unit
  }

  /// The directory through which `controller` is used, by its name in v1.
  package func directory(of controller: String) -> Directory? {
    directories.first { $0.version == .v1 && $0.controllers.contains(controller) } ?? unified
  }

  package var unified: Directory? { directories.first { $0.version == .v2 } }

  /// The directory by which the processes are found: that of v2, which can also kill and wait, else one that every
  /// process is sure to be in.
  var primary: Directory? {
    unified ?? directories.first { $0.controllers.contains("freezer") }
      ?? directories.first { $0.controllers.contains("pids") } ?? directories.first
  }
}
