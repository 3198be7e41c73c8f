import ContainerPlan
import Diagnostics
import Linux
import LinuxABI
import OCISpec

/// Which security modules the kernel runs.
enum SecurityModules {
  /// What the planner has to know of this host. The modules are asked for only where the answer matters.
  static func facts(
    for process: Process?, mountLabel: String = "", _ overrides: ProcessLabels = ProcessLabels()
  ) throws(RuntimeError) -> HostFacts {
    var facts = HostFacts(effectiveUser: Processes.effectiveUser())
    if !(process?.apparmorProfile ?? "").isEmpty || !overrides.appArmorProfile.isEmpty {
      facts.hasAppArmor = try describe(.securityLabel, "cannot find out whether AppArmor is on") {
        () throws(SystemError) in
        try hasAppArmor()
      }
    }
    if !mountLabel.isEmpty || !(process?.selinuxLabel ?? "").isEmpty || !overrides.selinuxLabel.isEmpty {
      facts.hasSELinux = try describe(.securityLabel, "cannot find out whether SELinux is on") {
        () throws(SystemError) in
        try hasSELinux()
      }
    }
    return facts
  }

  /// Told by the module's parameter alone: podman takes `/sys/kernel/security` out of the way before it makes a container with
  /// users of its own, and the profile can be set all the same.
  static func hasAppArmor(_ host: String = "") throws(SystemError) -> Bool {
    do {
      return try FileDescriptor.open("\(host)/sys/module/apparmor/parameters/enabled", .readOnly).read(upTo: 1)
        == [0x59 /* Y */]
    } catch {
      guard error.errno == .noEntry else { throw error }
      return false
    }
  }

  /// Its file system is there and can be written to (selinux(8)): a read-only one stands in containers for a module that is none
  /// of their business.
  static func hasSELinux() throws(SystemError) -> Bool {
    do {
      let (type, flags) = try FileDescriptor.open("/sys/fs/selinux", .path).fileSystem()
      return type == FileSystemMagic.selinuxfs.rawValue && flags & 1 /* ST_RDONLY */ == 0
    } catch {
      guard error.errno == .noEntry else { throw error }
      return false
    }
  }
}
