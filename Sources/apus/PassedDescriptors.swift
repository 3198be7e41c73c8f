import ContainerRuntime
import Diagnostics
import Linux

/// The descriptors of the caller that the process of a container gets: the sockets of a manager that listens for it,
/// sd_listen_fds(3), and behind them those of `--preserve-fds`.
struct PassedDescriptors {
  static var limit: UInt32 { CreateOptions.passedLimit }

  /// The number behind `--preserve-fds`; 0 without.
  static func preserved(_ scanned: ScannedArguments) throws(RuntimeError) -> UInt32 {
    guard let text = scanned.text(.preserveFds) else { return 0 }
    guard let count = UInt32(text), count <= limit else {
      throw RuntimeError(
        .usage, "invalid value `\(text)`, expected a number of descriptors, at most \(limit)",
        field: "--preserve-fds")
    }
    return count
  }

  /// What LISTEN_FDS says; 0 where it is not meant for this process.
  private let listening: UInt32
  private let preserved: UInt32

  /// `open` is how many descriptors from 3 on were there before this program opened any.
  init(preserved: UInt32, open: UInt32) throws(RuntimeError) {
    self.preserved = preserved
    listening = PassedDescriptors.listeningCount()
    let total = UInt64(preserved) + UInt64(listening)
    guard total <= PassedDescriptors.limit else {
      throw RuntimeError(
        .usage, "\(total) descriptors are too many to pass on, expected at most \(PassedDescriptors.limit)",
        field: "--preserve-fds")
    }
    guard total <= open else {
      throw RuntimeError(
        .usage, "descriptor \(3 + open) is not open, expected 3 to \(2 + total) to pass on",
        field: listening > open ? "LISTEN_FDS" : "--preserve-fds")
    }
  }

  func add(to options: inout ExecOptions) {
    options.passedDescriptors = listening + preserved
    options.listeningDescriptors = listening
    if listening > 0 { options.listeningNames = Environment.value("LISTEN_FDNAMES") }
  }

  func add(to options: inout CreateOptions) {
    options.passedDescriptors = listening + preserved
    options.listeningDescriptors = listening
    if listening > 0 { options.listeningNames = Environment.value("LISTEN_FDNAMES") }
  }

  private static func listeningCount() -> UInt32 {
    guard let count = Environment.value("LISTEN_FDS"), let number = UInt32(count),
      let pid = Environment.value("LISTEN_PID"), Int32(pid) == Processes.ownPid()
    else { return 0 }
    return number
  }
}

extension Environment {
  /// The socket of a manager that waits for sd_notify(3); nil for none.
  static var notifySocket: String? {
    guard let path = value("NOTIFY_SOCKET"), !path.isEmpty else { return nil }
    return path
  }
}
