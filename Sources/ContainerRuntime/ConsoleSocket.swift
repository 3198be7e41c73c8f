import ContainerPlan
import Diagnostics
import InitChannel
import Linux

/// Who takes the terminal of a container over.
enum TerminalUse {
  /// Whoever listens on `--console-socket`: this program does not stay.
  case passed
  /// This program, which copies between it and the terminal of its caller.
  case copied(ForegroundTerminal)
}

/// The sockets of others that `create` speaks to. They are connected before anything has a side effect: a manager that
/// is not there is an error of the call, not of half a container.
struct CallerSockets: ~Copyable {
  /// What the init stage sends the master of the terminal to; number -1 without a terminal.
  var console = FileDescriptor(owning: -1)

  /// What gets the pidfd of the container's first process; number -1 for nobody.
  var pidfd = FileDescriptor(owning: -1)

  /// How long one who listens may take to accept, in milliseconds.
  private static var timeout: Int64 { 10_000 }

  init(
    hasTerminal: Bool, consoleSocket: String?, pidfdSocket: String?, _ use: TerminalUse
  ) throws(RuntimeError) {
    switch (hasTerminal, use, consoleSocket) {
    case (true, .passed, nil):
      throw RuntimeError(
        .usage, "cannot allocate tty if the runtime will detach without setting console socket",
        field: "/process/terminal", hint: "name one with `--console-socket`, or set `process.terminal` to false")
    case (false, _, .some), (true, .copied, .some):
      throw RuntimeError(
        .usage, "cannot use console socket if the runtime will not detach or allocate tty",
        field: "--console-socket")
    case (true, .passed, let path?):
      console = try CallerSockets.connect(path, flag: "--console-socket")
    case (true, .copied(let terminal), nil):
      console = try terminal.prepare()
    case (false, _, nil):
      break
    }
    if let path = pidfdSocket { pidfd = try CallerSockets.connect(path, flag: "--pidfd-socket") }
  }

  /// Sends the pidfd, with the text that runc sends.
  func send(pidfd process: borrowing FileDescriptor) throws(RuntimeError) {
    if pidfd.number < 0 { return }
    do {
      try pidfd.send([UInt8]("standard".utf8), passing: process.number)
    } catch {
      throw error.because(.terminal, "cannot send the pidfd", field: "--pidfd-socket")
    }
  }

  private static func connect(_ path: String, flag: String) throws(RuntimeError) -> FileDescriptor {
    do {
      return try Socket.connectStream(path, timeout: timeout)
    } catch {
      let hint =
        switch error.errno {
        case .connectionRefused: "nobody listens there"
        case .tryAgain: "somebody listens there and does not accept"
        default: ""
        }
      throw error.because(.terminal, "cannot connect to `\(path)`", field: flag, hint: hint)
    }
  }
}
