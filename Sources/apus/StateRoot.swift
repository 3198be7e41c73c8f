import Diagnostics
import Linux

/// Where the state of containers is kept when no `--root` says so.
enum StateRoot {
  /// `/run/apus` for root of the host; for others a folder of the XDG base directory specification that ends with their
  /// session. As in runc, root of a user namespace counts as root if USER says so.
  static func standard() -> String {
    choose(
      user: Processes.effectiveUser(), runtimeDirectory: Environment.value("XDG_RUNTIME_DIR"),
      userName: Environment.value("USER")
    ) { UserNamespace.isInitial() }
  }

  /// The same as a function of what it depends on.
  static func choose(
    user: UInt32, runtimeDirectory: String?, userName: String?, isInitialNamespace: () -> Bool
  ) -> String {
    let directory = runtimeDirectory ?? ""
    if user != 0 { return "\(directory.isEmpty ? "/run/user/\(user)" : directory)/apus" }
    if directory.isEmpty || isInitialNamespace() || userName == "root" { return "/run/apus" }
    return "\(directory)/apus"
  }
}
