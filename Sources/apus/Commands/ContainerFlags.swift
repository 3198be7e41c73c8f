import ContainerRuntime
import Diagnostics
import Linux

/// The flags that `create` and `run` share.
struct ContainerFlags: Equatable, Sendable {
  var bundle: String
  var pidFile: String?
  var noNewKeyring: Bool
  var noPivot: Bool
  var consoleSocket: String?
  var pidfdSocket: String?
  var preservedDescriptors: UInt32 = 0

  static let bundleFlag = FlagSpecification(
    .bundle, "bundle", short: "b", value: "DIR", "the bundle (default: the working directory)")

  static let flags: [FlagSpecification] = [
    bundleFlag,
    FlagSpecification(.pidFile, "pid-file", value: "FILE", "write the container's process id to this file"),
    FlagSpecification(.noNewKeyring, "no-new-keyring", "keep the session keyring of the caller"),
    FlagSpecification(
      .consoleSocket, "console-socket", value: "SOCKET", "send the terminal of the process to this socket"),
    FlagSpecification(
      .pidfdSocket, "pidfd-socket", value: "SOCKET", "send a pidfd of the process to this socket"),
    FlagSpecification(.noPivot, "no-pivot", "move the root instead of pivot_root, for a root on an initramfs"),
    FlagSpecification(
      .preserveFds, "preserve-fds", value: "N", "pass N more descriptors to the process, from 3 on"),
  ]

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    bundle = scanned.text(.bundle) ?? "."
    pidFile = scanned.text(.pidFile)
    noNewKeyring = scanned.isOn(.noNewKeyring)
    noPivot = scanned.isOn(.noPivot)
    consoleSocket = scanned.text(.consoleSocket)
    pidfdSocket = scanned.text(.pidfdSocket)
    preservedDescriptors = try PassedDescriptors.preserved(scanned)
  }

  func options(_ session: Session) throws(RuntimeError) -> CreateOptions {
    var options = CreateOptions(bundle: bundle)
    options.pidFile = pidFile
    options.noNewKeyring = noNewKeyring
    options.noPivot = noPivot
    options.consoleSocket = consoleSocket
    options.pidfdSocket = pidfdSocket
    options.notifySocket = Environment.notifySocket
    try PassedDescriptors(preserved: preservedDescriptors, open: session.openDescriptors).add(to: &options)
    return options
  }
}
