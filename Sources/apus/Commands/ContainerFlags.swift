import ContainerRuntime
import Diagnostics

/// The flags that `create` and `run` share.
struct ContainerFlags: Equatable, Sendable {
  var bundle: String
  var pidFile: String?
  var noNewKeyring: Bool
  var noPivot: Bool
  var consoleSocket: String?

  static let bundleFlag = FlagSpecification(
    .bundle, "bundle", short: "b", value: "DIR", "the bundle (default: the working directory)")

  static let flags: [FlagSpecification] = [
    bundleFlag,
    FlagSpecification(.pidFile, "pid-file", value: "FILE", "write the container's process id to this file"),
    FlagSpecification(.noNewKeyring, "no-new-keyring", "keep the session keyring of the caller"),
    FlagSpecification(
      .consoleSocket, "console-socket", value: "SOCKET", "send the terminal of the process to this socket"),
    FlagSpecification(
      .pidfdSocket, "pidfd-socket", value: "SOCKET", "send a pidfd of the process there (not supported yet)"),
    FlagSpecification(.noPivot, "no-pivot", "move the root instead of pivot_root, for a root on an initramfs"),
    FlagSpecification(
      .preserveFds, "preserve-fds", value: "N", "hand on N more descriptors (not supported yet, except 0)"),
  ]

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    bundle = scanned.text(.bundle) ?? "."
    pidFile = scanned.text(.pidFile)
    noNewKeyring = scanned.isOn(.noNewKeyring)
    noPivot = scanned.isOn(.noPivot)
    consoleSocket = scanned.text(.consoleSocket)
    if scanned.text(.pidfdSocket) != nil { throw ContainerFlags.unsupported("--pidfd-socket") }
    if let text = scanned.text(.preserveFds) {
      guard let count = Int32(text), count >= 0 else {
        throw RuntimeError(
          .usage, "invalid value `\(text)`, expected a number of descriptors", field: "--preserve-fds")
      }
      if count > 0 { throw ContainerFlags.unsupported("--preserve-fds") }
    }
  }

  var options: CreateOptions {
    var options = CreateOptions(bundle: bundle)
    options.pidFile = pidFile
    options.noNewKeyring = noNewKeyring
    options.noPivot = noPivot
    options.consoleSocket = consoleSocket
    return options
  }

  private static func unsupported(_ flag: String) -> RuntimeError {
    RuntimeError(.usage, "this flag is not supported yet", field: flag)
  }
}
