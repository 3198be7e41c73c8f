package import Diagnostics
internal import Linux
package import LinuxABI
package import OCISpec

/// SCMP_ACT_NOTIFY: somebody outside answers for the system call (seccomp_unotify(2)).
extension SeccompFilter {
  /// Whether a rule asks whoever listens.
  package var notifies: Bool { rules.contains { $0.action == SeccompReturn.userNotification } }

  /// What the filter is loaded with. Waiting for whoever listens means nothing without SCMP_ACT_NOTIFY, and the kernel refuses
  /// it there; and it answers either with the listener or with the thread that cannot be synchronized, so the latter has
  /// to become an errno.
  package var loadFlags: SeccompFilterFlags {
    guard notifies else { return flags.subtracting(.waitKillable) }
    return flags.contains(.synchronizeThreads)
      ? flags.union([.newListener, .synchronizeThreadsESRCH]) : flags.union(.newListener)
  }

  /// Between the filter and the moment at which whoever listens has the listener, the init stage calls write(2): it would be
  /// asked about that, and could never answer.
  static func checkNotifications(
    _ profile: SeccompProfile, _ report: (RuntimeError) throws(RuntimeError) -> Void
  ) throws(RuntimeError) {
    let action = SeccompAction.notify.name
    if profile.defaultAction == action {
      try report(
        invalid(
          "`\(action)` cannot be the default action: it would hold up the calls that hand the listener over",
          "defaultAction"))
    }
    if let notified = profile.notified(["write"]) {
      try report(
        invalid(
          "`\(action)` cannot be the action of `write`: it would hold up the call that hands the listener over",
          notified.pointer))
    }
    guard (profile.listenerPath ?? "").isEmpty, let rule = profile.syscalls?.firstIndex(where: { $0.action == action })
    else { return }
    try report(invalid("`\(action)` needs a `listenerPath`", "syscalls/\(rule)/action"))
  }
}

extension SeccompProfile {
  /// Whether the filter certainly lets this call pass, whatever its arguments, and asks nobody.
  package func passes(_ call: String) -> Bool {
    let passing = [SeccompAction.allow.name, SeccompAction.log.name]
    var passes = passing.contains(defaultAction)
    for rule in syscalls ?? [] where rule.names.contains(call) {
      guard passing.contains(rule.action) else { return false }
      if (rule.args ?? []).isEmpty { passes = true }
    }
    return passes
  }

  /// The first of these calls that whoever listens is asked about, and where it stands below `/linux/seccomp`; nil for none.
  package func notified(_ calls: [String]) -> (call: String, pointer: String)? {
    for (index, rule) in (syscalls ?? []).enumerated() where rule.action == SeccompAction.notify.name {
      for (position, name) in rule.names.enumerated() where calls.contains(name) {
        return (name, "syscalls/\(index)/names/\(position)")
      }
    }
    return nil
  }
}

extension SeccompFilterFlags {
  /// Whether the kernel takes a filter with this flag.
  package var isSupported: Bool {
    let needed: SeccompFilterFlags = contains(.waitKillable) ? union(.newListener) : self
    return KernelProbe.hasSeccompFlags(needed.rawValue)
  }
}
