public import Diagnostics
import Linux

/// How the runtime is set up: what the global flags say.
public struct RuntimeOptions: Sendable {
  /// The state directory, absolute.
  public var root: String
  /// Where warnings and the steps of `--debug` go.
  public var log: LogSink
  /// The program that is started as init stage; nil is the running program itself. A program that embeds the library
  /// names an `apus` here.
  public var initExecutable: String?

  /// Whether a cgroup that the caller may not make is done without (spec/architecture.md, "Without root"); nil to find out
  /// whether the caller is root of the host.
  public var isRootless: Bool?

  /// Who makes the cgroups of new containers. Later commands go by what a container was made with.
  public var cgroupDriver = CgroupDriver.cgroupfs

  public init(root: String, log: LogSink) {
    self.root = root
    self.log = log
  }

  /// Whether the caller is taken for somebody without the rights of the host's root.
  var lacksRoot: Bool { isRootless ?? UserNamespace.lacksRootOfHost() }
}

/// Who makes the cgroups of containers, and looks after them.
public enum CgroupDriver: Sendable {
  /// The runtime, in the file system of the kernel.
  case cgroupfs
  /// systemd: each container is a scope of its own. That of the system, or without root that of the user.
  case systemd
  /// Nobody: a container stays in the cgroup of its creator.
  case disabled
}

/// The lifecycle of containers (runtime.md, "Operations"): one method for each command.
public struct ContainerRuntime: Sendable {
  let options: RuntimeOptions
  var store: StateStore { StateStore(root: options.root) }

  public init(_ options: RuntimeOptions) {
    self.options = options
  }
}

/// Where a container stands in its life (runtime.md, "State").
public enum ContainerStatus: Sendable {
  case creating
  case created
  case running
  case paused
  case stopped

  /// As `state` prints it.
  public var name: String {
    switch self {
    case .creating: "creating"
    case .created: "created"
    case .running: "running"
    case .paused: "paused"
    case .stopped: "stopped"
    }
  }
}

func isValidID(_ id: String) -> Bool {
  do {
    try checkID(id)
    return true
  } catch {
    return false
  }
}

/// The id rules of runc: letters, digits, `_`, `+`, `-` and `.`, but neither `.` nor `..`.
func checkID(_ id: String) throws(RuntimeError) {
  let isValid = id.utf8.allSatisfy { byte in
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2B, 0x2D, 0x2E: true
    default: false
    }
  }
  if id.isEmpty {
    throw RuntimeError(.idInvalid, "invalid container ID format: the id is empty")
  }
  // NAME_MAX: the id is the name of a folder.
  guard isValid, id != ".", id != "..", id.utf8.count <= 255 else {
    throw RuntimeError(
      .idInvalid, "invalid container ID format: `\(id.prefix(80))`",
      hint: "an id has at most 255 letters, digits and `_+-.`, and is neither `.` nor `..`")
  }
}
