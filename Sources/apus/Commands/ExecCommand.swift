import ContainerPlan
import ContainerRuntime
import Diagnostics

/// `exec`: runs a command in a container that is there.
struct ExecCommand: Equatable, Sendable {
  var id: String
  var process: String?
  var overrides: ExecOverrides
  var detach: Bool
  var pidFile: String?
  var consoleSocket: String?
  var pidfdSocket: String?
  var preservedDescriptors: UInt32
  var ignorePaused: Bool
  var cgroups: [String]

  static var specification: CommandSpecification {
    CommandSpecification(
      "exec", "run a command in a container",
      operands: "<container-id> <command> [argument...]", operandCount: 1...Int.max,
      // What stands behind the id belongs to the command.
      placement: .beforeOperand(1),
      flags: [
        FlagSpecification(
          .process, "process", short: "p", value: "FILE", "the process as a document, instead of a command"),
        FlagSpecification(.environment, "env", short: "e", value: "NAME=VALUE", "set a variable (repeatable)"),
        FlagSpecification(.workingDirectory, "cwd", value: "DIR", "the working directory in the container"),
        FlagSpecification(.terminal, "tty", short: "t", "give the command a terminal"),
        FlagSpecification(.user, "user", short: "u", value: "UID[:GID]", "run as this user and group"),
        FlagSpecification(
          .additionalGroups, "additional-gids", short: "g", value: "GID", "one more group (repeatable)"),
        FlagSpecification(
          .capability, "cap", short: "c", value: "CAPABILITY",
          "add a capability, but not to the inheritable set (repeatable)"
        ),
        FlagSpecification(.noNewPrivileges, "no-new-privs", "set no_new_privs for the command"),
        FlagSpecification(.processLabel, "process-label", value: "LABEL", "the SELinux label of the command"),
        FlagSpecification(.appArmor, "apparmor", value: "PROFILE", "the AppArmor profile of the command"),
        FlagSpecification(
          .cgroup, "cgroup", value: "[CONTROLLER:]PATH", "a cgroup below the container's (repeatable)"),
        FlagSpecification(
          .ignorePaused, "ignore-paused", "accept a paused container; the command starts when it is resumed"),
        FlagSpecification(.detach, "detach", short: "d", "do not wait"),
        FlagSpecification(.pidFile, "pid-file", value: "FILE", "write the process id of the command to this file"),
        FlagSpecification(
          .consoleSocket, "console-socket", value: "SOCKET", "send the terminal of the command to this socket"),
        FlagSpecification(
          .pidfdSocket, "pidfd-socket", value: "SOCKET", "send a pidfd of the command to this socket"),
        FlagSpecification(
          .preserveFds, "preserve-fds", value: "N", "pass N more descriptors to the command, from 3 on"),
        FlagSpecification(.noSubreaper, "no-subreaper", "accepted and without effect"),
      ],
      description: """
        The command has the user, environment, limits, capabilities and seccomp filter of the container's own
        process, unless flags or the document say otherwise. The exit status is that of the command, or 128 and
        the number of the signal that ended it, or 255 if it could not be started.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    process = scanned.text(.process)
    overrides = try ExecCommand.overrides(scanned)
    if process == nil && overrides.arguments.isEmpty {
      throw RuntimeError(
        .usage, "`exec` needs a command behind the container id, or a document with `--process`")
    }
    if process != nil && !overrides.arguments.isEmpty {
      throw RuntimeError(
        .usage, "the command `\(overrides.arguments[0])` cannot stand beside a document, which has one",
        field: "--process")
    }
    detach = scanned.isOn(.detach)
    pidFile = scanned.text(.pidFile)
    consoleSocket = scanned.text(.consoleSocket)
    pidfdSocket = scanned.text(.pidfdSocket)
    preservedDescriptors = try PassedDescriptors.preserved(scanned)
    ignorePaused = scanned.isOn(.ignorePaused)
    cgroups = scanned.texts(.cgroup)
  }

  private static func overrides(_ scanned: ScannedArguments) throws(RuntimeError) -> ExecOverrides {
    var overrides = ExecOverrides()
    overrides.arguments = [String](scanned.operands.dropFirst())
    overrides.environment = scanned.texts(.environment)
    overrides.workingDirectory = scanned.text(.workingDirectory)
    // An empty one is none, so the command has the user of the container: never root by mistake.
    if let text = scanned.text(.user) {
      let user = try ExecUser(text)
      (overrides.uid, overrides.gid) = (user.uid, user.gid)
    }
    for text in scanned.texts(.additionalGroups) {
      guard let gid = ExecUser.number(text.utf8[...]) else {
        throw RuntimeError(.usage, "`\(text)` is no group id, expected a number", field: "--additional-gids")
      }
      overrides.additionalGids.append(gid)
    }
    overrides.capabilities = scanned.texts(.capability)
    if scanned.has(.noNewPrivileges) { overrides.noNewPrivileges = scanned.isOn(.noNewPrivileges) }
    overrides.labels = ProcessLabels(
      appArmorProfile: scanned.text(.appArmor) ?? "", selinuxLabel: scanned.text(.processLabel) ?? "")
    if scanned.has(.terminal) { overrides.terminal = scanned.isOn(.terminal) }
    return overrides
  }

  func run(_ session: Session) throws(RuntimeError) -> Int32 {
    var options = ExecOptions()
    options.processFile = process
    options.overrides = overrides
    options.pidFile = pidFile
    options.consoleSocket = consoleSocket
    options.pidfdSocket = pidfdSocket
    options.ignorePaused = ignorePaused
    options.cgroups = cgroups
    try PassedDescriptors(preserved: preservedDescriptors, open: session.openDescriptors).add(to: &options)
    do {
      return try session.runtime().exec(id, options, detach: detach)
    } catch {
      throw error.during("exec failed")
    }
  }
}

/// The value of `--user`: whole decimal numbers and nothing else, or the command would run as somebody else than was meant
/// (CVE-2026-30892).
struct ExecUser: Equatable, Sendable {
  var uid: UInt32
  var gid: UInt32?

  init(_ text: String) throws(RuntimeError) {
    let parts = text.utf8.split(separator: 0x3A, maxSplits: 1, omittingEmptySubsequences: false)
    let uid = parts.first.flatMap { ExecUser.number($0) }
    let gid = parts.count == 2 ? ExecUser.number(parts[1]) : nil
    guard let uid, parts.count == 1 || gid != nil else {
      throw RuntimeError(.usage, "`\(text)` is no user, expected UID or UID:GID as numbers", field: "--user")
    }
    self.uid = uid
    self.gid = gid
  }

  /// The highest number means "leave as it is" to the kernel, and is no id.
  static func number(_ digits: Substring.UTF8View) -> UInt32? {
    if digits.isEmpty || digits.count > 10 { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard digit >= 0x30 && digit <= 0x39 else { return nil }
      value = value * 10 + UInt64(digit - 0x30)
    }
    return value < 0xFFFF_FFFF ? UInt32(value) : nil
  }
}
