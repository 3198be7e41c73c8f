import Diagnostics
import OCISpec

/// Rules about the labels of security modules.
enum LabelRules {
  private static let noAppArmor = "AppArmor is not enabled on this host"
  private static let noSELinux = "SELinux is not enabled on this host"

  static func appArmorProfile(_ planner: inout Planner) throws(RuntimeError) {
    if (planner.config.process?.apparmorProfile ?? "").isEmpty || planner.input.facts.hasAppArmor { return }
    try planner.report(noAppArmor, "/process/apparmorProfile", code: .configUnsupported)
  }

  static func selinuxLabel(_ planner: inout Planner) throws(RuntimeError) {
    if (planner.config.process?.selinuxLabel ?? "").isEmpty || planner.input.facts.hasSELinux { return }
    try planner.report(noSELinux, "/process/selinuxLabel", code: .configUnsupported)
  }

  static func mountLabel(_ planner: inout Planner) throws(RuntimeError) {
    if (planner.linux.mountLabel ?? "").isEmpty || planner.input.facts.hasSELinux { return }
    try planner.report(noSELinux, "/linux/mountLabel", code: .configUnsupported)
  }

  /// In the options of mount(2) it would end the label, and what follows would be options. No context has one.
  static func mountLabelText(_ planner: inout Planner) throws(RuntimeError) {
    guard (planner.linux.mountLabel ?? "").utf8.contains(0x22) else { return }
    try planner.report("a label cannot hold a quotation mark", "/linux/mountLabel")
  }

  /// Those of a command line, by the names of its flags.
  static func check(
    _ labels: ProcessLabels, _ profileFlag: String, _ labelFlag: String, _ facts: HostFacts
  ) throws(RuntimeError) {
    if !labels.appArmorProfile.isEmpty && !facts.hasAppArmor {
      throw RuntimeError(.configUnsupported, noAppArmor, field: profileFlag)
    }
    if !labels.selinuxLabel.isEmpty && !facts.hasSELinux {
      throw RuntimeError(.configUnsupported, noSELinux, field: labelFlag)
    }
  }
}
