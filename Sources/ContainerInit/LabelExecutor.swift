import ContainerPlan
import Diagnostics
import InitChannel
import Linux

/// Tells the security modules what the agent command is confined by. They take it on at execve(2), so what this process still
/// does goes by its own rights; the hooks of `start`, which it executes before, are confined already, as in runc.
///
/// Before no_new_privs, behind which a runtime that is confined itself may not change its profile, and before the seccomp
/// filter, which need not let it write.
enum LabelExecutor {
  static func apply(_ labels: ProcessLabels, _ proc: borrowing ProcFileSystem) throws(RuntimeError) {
    let profile = labels.appArmorProfile
    if !profile.isEmpty {
      do {
        try SecurityAttributes(of: proc).setProfile(profile)
      } catch {
        throw explain(error, profile: profile)
      }
    }
    let label = labels.selinuxLabel
    if label.isEmpty { return }
    do {
      try SecurityAttributes(of: proc).setLabel(label)
    } catch {
      throw explain(error, label: label)
    }
  }

  /// The keyring of the session is the command's own, and so is its label. execve(2) takes it back.
  static func applyToKeys(_ labels: ProcessLabels?, _ proc: borrowing ProcFileSystem) throws(RuntimeError) {
    guard let label = labels?.selinuxLabel, !label.isEmpty else { return }
    do {
      try SecurityAttributes(of: proc).setKeyLabel(label)
    } catch {
      throw explain(error, label: label)
    }
  }

  private static func explain(_ error: SystemError, profile: String) -> RuntimeError {
    let field = "/process/apparmorProfile"
    if error.call == "write" {
      switch error.errno {
      case .noEntry:
        return error.because(
          .securityLabel, "the AppArmor profile `\(profile)` is not loaded", field: field,
          hint: "load it with apparmor_parser(8)")
      case .accessDenied, .notPermitted:
        return error.because(
          .securityLabel, "the AppArmor profile `\(profile)` cannot be changed to", field: field,
          hint: "the runtime is confined itself, and its own profile has to allow it")
      default: break
      }
    }
    return error.because(.securityLabel, "cannot set the AppArmor profile `\(profile)`", field: field)
  }

  private static func explain(_ error: SystemError, label: String) -> RuntimeError {
    let isUnknown = error.call == "write" && error.errno == .invalid
    return error.because(
      .securityLabel, "cannot set the SELinux label `\(label)`", field: "/process/selinuxLabel",
      hint: isUnknown ? "the loaded policy does not know it" : "")
  }
}
