/// The stable codes of errors. The number goes over the wire, the name into the JSON log as `code`.
/// Every code has a row in `spec/errors.md`.
public enum ErrorCode: UInt16, Sendable, CaseIterable {
  // Input
  case usage = 1
  case configMissing = 2
  case configSyntax = 3
  case configInvalid = 4
  case configUnsupported = 5
  case bundleInvalid = 6
  case rootfsInvalid = 7
  case versionUnsupported = 8
  // Identity and lifecycle
  case idInvalid = 20
  case idTaken = 21
  case containerNotFound = 22
  case containerNotRunning = 23
  case wrongStatus = 24
  case signalInvalid = 25
  // State
  case stateUnreadable = 40
  case stateUnwritable = 41
  case pidFile = 42
  case logFile = 43
  // Set-up
  case kernelTooOld = 60
  case spawn = 61
  case initDied = 62
  case initProtocol = 63
  case namespace = 64
  case idMapping = 65
  case cgroup = 66
  case cgroupLimit = 67
  case mount = 68
  case device = 69
  case mask = 70
  case rootSwitch = 71
  case seccomp = 72
  case capabilities = 73
  case credentials = 74
  case rlimit = 75
  case sysctl = 76
  case hostname = 77
  case network = 78
  case workingDirectory = 79
  case processAttribute = 80
  case intelRdt = 81
  case listener = 82
  case securityLabel = 84
  case systemd = 85
  case landlock = 86
  // The agent command
  case executableNotFound = 90
  case executableDenied = 91
  case execFailed = 92
  // Ending
  case signalling = 100
  case processesRemain = 101
  case cleanup = 102
  case hook = 103
  case terminal = 104
  case output = 105
  case notify = 106
  // Checkpoints
  case criu = 110
  case checkpointImage = 111
  case checkpointUnsupported = 112

  /// `E_CONFIG_SYNTAX`: the name as the log and the documentation give it.
  public var name: String {
    switch self {
    case .usage: "E_USAGE"
    case .configMissing: "E_CONFIG_MISSING"
    case .configSyntax: "E_CONFIG_SYNTAX"
    case .configInvalid: "E_CONFIG_INVALID"
    case .configUnsupported: "E_CONFIG_UNSUPPORTED"
    case .bundleInvalid: "E_BUNDLE_INVALID"
    case .rootfsInvalid: "E_ROOTFS_INVALID"
    case .versionUnsupported: "E_VERSION_UNSUPPORTED"
    case .idInvalid: "E_ID_INVALID"
    case .idTaken: "E_ID_TAKEN"
    case .containerNotFound: "E_CONTAINER_NOT_FOUND"
    case .containerNotRunning: "E_CONTAINER_NOT_RUNNING"
    case .wrongStatus: "E_WRONG_STATUS"
    case .signalInvalid: "E_SIGNAL_INVALID"
    case .stateUnreadable: "E_STATE_UNREADABLE"
    case .stateUnwritable: "E_STATE_UNWRITABLE"
    case .pidFile: "E_PID_FILE"
    case .logFile: "E_LOG_FILE"
    case .kernelTooOld: "E_KERNEL_TOO_OLD"
    case .spawn: "E_SPAWN"
    case .initDied: "E_INIT_DIED"
    case .initProtocol: "E_INIT_PROTOCOL"
    case .namespace: "E_NAMESPACE"
    case .idMapping: "E_ID_MAPPING"
    case .cgroup: "E_CGROUP"
    case .cgroupLimit: "E_CGROUP_LIMIT"
    case .mount: "E_MOUNT"
    case .device: "E_DEVICE"
    case .mask: "E_MASK"
    case .rootSwitch: "E_ROOT_SWITCH"
    case .seccomp: "E_SECCOMP"
    case .capabilities: "E_CAPABILITIES"
    case .credentials: "E_CREDENTIALS"
    case .rlimit: "E_RLIMIT"
    case .sysctl: "E_SYSCTL"
    case .hostname: "E_HOSTNAME"
    case .network: "E_NETWORK"
    case .workingDirectory: "E_WORKING_DIRECTORY"
    case .processAttribute: "E_PROCESS_ATTRIBUTE"
    case .intelRdt: "E_INTEL_RDT"
    case .listener: "E_SECCOMP_LISTENER"
    case .securityLabel: "E_SECURITY_LABEL"
    case .systemd: "E_SYSTEMD"
    case .landlock: "E_LANDLOCK"
    case .executableNotFound: "E_EXECUTABLE_NOT_FOUND"
    case .executableDenied: "E_EXECUTABLE_DENIED"
    case .execFailed: "E_EXEC_FAILED"
    case .signalling: "E_SIGNALLING"
    case .processesRemain: "E_PROCESSES_REMAIN"
    case .cleanup: "E_CLEANUP"
    case .hook: "E_HOOK"
    case .terminal: "E_TERMINAL"
    case .output: "E_OUTPUT"
    case .notify: "E_NOTIFY"
    case .criu: "E_CRIU"
    case .checkpointImage: "E_CHECKPOINT_IMAGE"
    case .checkpointUnsupported: "E_CHECKPOINT_UNSUPPORTED"
    }
  }
}
