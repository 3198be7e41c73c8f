import ContainerRuntime
import Diagnostics

enum LogFormat: Sendable, Equatable {
  case text
  case json
}

/// What the global flags say.
struct GlobalOptions: Equatable, Sendable {
  /// As given: it may be relative to the working directory. Nil for the one of the user.
  var root: String?
  /// Nil for `auto`.
  var isRootless: Bool?
  /// The log file; nil for none.
  var log: String?
  var logFormat = LogFormat.text
  var debug = false
  var cgroupDriver = CgroupDriver.cgroupfs

  static let flags: [FlagSpecification] = [
    FlagSpecification(
      .root, "root", value: "DIR",
      "where the state of containers is kept (default /run/apus; without root $XDG_RUNTIME_DIR/apus)"),
    FlagSpecification(.log, "log", value: "FILE", "append errors to this file; they go to stderr too"),
    FlagSpecification(.logFormat, "log-format", value: "text|json", "the form of what is logged (default text)"),
    FlagSpecification(.debug, "debug", "log every step"),
    FlagSpecification(.systemdCgroup, "systemd-cgroup", "have systemd make the cgroups of new containers"),
    FlagSpecification(
      .cgroupManager, "cgroup-manager", value: "cgroupfs|systemd|disabled",
      "who makes the cgroups of new containers (default cgroupfs); `disabled` is for none at all"),
    FlagSpecification(
      .rootless, "rootless", value: "true|false|auto",
      "do without cgroups that the caller may not make (default auto: where it is not root)"),
    FlagSpecification(.version, "version", short: "v", "print the version"),
    .help,
  ]

  init() {}

  /// Reads as much as is needed to log an error about the rest; what is wrong is left for ``check(_:)``.
  init(log scanned: ScannedArguments) {
    log = scanned.text(.log)
    logFormat = scanned.text(.logFormat) == "json" ? .json : .text
    debug = scanned.isOn(.debug)
  }

  mutating func check(_ scanned: ScannedArguments) throws(RuntimeError) {
    if let format = scanned.text(.logFormat), format != "text", format != "json" {
      throw RuntimeError(
        .usage, "invalid log format `\(format)`, expected `text` or `json`", field: "--log-format")
    }
    try checkCgroupManager(scanned)
    try checkRootless(scanned)
    if let given = scanned.text(.root) {
      // Nothing but slashes and dots is the root of the host, where an id could be the name of any folder.
      guard !given.utf8.allSatisfy({ $0 == 0x2F || $0 == 0x2E }) || given.utf8.first != 0x2F else {
        throw RuntimeError(.usage, "the state directory must not be `/`", field: "--root")
      }
      root = given
    }
  }

  private mutating func checkCgroupManager(_ scanned: ScannedArguments) throws(RuntimeError) {
    let isSystemd = scanned.isOn(.systemdCgroup)
    if isSystemd { cgroupDriver = .systemd }
    guard let name = scanned.text(.cgroupManager) else { return }
    switch name {
    case "cgroupfs": cgroupDriver = .cgroupfs
    case "systemd": cgroupDriver = .systemd
    case "disabled": cgroupDriver = .disabled
    default:
      throw RuntimeError(
        .usage, "unknown cgroup manager `\(name)`, expected `cgroupfs`, `systemd` or `disabled`",
        field: "--cgroup-manager")
    }
    if isSystemd && cgroupDriver != .systemd {
      throw RuntimeError(.usage, "`\(name)` contradicts `--systemd-cgroup`", field: "--cgroup-manager")
    }
  }

  private mutating func checkRootless(_ scanned: ScannedArguments) throws(RuntimeError) {
    guard let text = scanned.text(.rootless), text != "auto" else { return }
    isRootless = Boolean.parse(text)
    if isRootless == nil {
      throw RuntimeError(
        .usage, "invalid value `\(text)`, expected `true`, `false` or `auto`", field: "--rootless")
    }
  }
}
