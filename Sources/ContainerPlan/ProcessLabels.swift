/// What the security modules of the kernel confine the process by; an empty text asks for nothing.
public struct ProcessLabels: Sendable, Equatable {
  /// The name of an AppArmor profile, `unconfined` for none.
  public var appArmorProfile: String
  /// An SELinux context.
  public var selinuxLabel: String

  public init(appArmorProfile: String = "", selinuxLabel: String = "") {
    self.appArmorProfile = appArmorProfile
    self.selinuxLabel = selinuxLabel
  }

  public var isEmpty: Bool { appArmorProfile.isEmpty && selinuxLabel.isEmpty }
}

extension ProcessLabels {
  /// What is empty here is that of the other one.
  func filled(from other: ProcessLabels) -> ProcessLabels {
    ProcessLabels(
      appArmorProfile: appArmorProfile.isEmpty ? other.appArmorProfile : appArmorProfile,
      selinuxLabel: selinuxLabel.isEmpty ? other.selinuxLabel : selinuxLabel)
  }
}
