/// One value for one file of the container's cgroup.
package struct CgroupWrite: Equatable, Sendable {
  package enum Phase: Equatable, Sendable {
    /// Before any process is in the cgroup.
    case beforeJoin
    /// When every process that sets the container up has been started: a limit of the number of tasks would stop it.
    case last
  }

  /// What else to try where the kernel has no such file.
  package enum Missing: Equatable, Sendable {
    case fails
    /// There is no file because the kernel lacks what the value turns off.
    case ignored
    /// The same by another name and in other units.
    case alternative(file: String, text: String)
  }

  /// The controller under its name in v1 (`blkio`, not `io`).
  package var controller: String
  package var version: CgroupVersion
  package var file: String
  package var text: String
  /// The property of the configuration, as a JSON pointer.
  package var pointer: String
  /// A cgroup just made has this value already.
  package var isDefault: Bool
  package var phase: Phase
  package var missing: Missing

  package init(
    controller: String, version: CgroupVersion, file: String, text: String, pointer: String,
    isDefault: Bool = false, phase: Phase = .beforeJoin, missing: Missing = .fails
  ) {
    self.controller = controller
    self.version = version
    self.file = file
    self.text = text
    self.pointer = pointer
    self.isDefault = isDefault
    self.phase = phase
    self.missing = missing
  }
}
