import Diagnostics
import InitChannel
import Linux

/// Lets the runtime into the network namespace of the container, so that it can bring network devices there: it gets a
/// socket that was opened in it. Only the runtime has rights over the devices of the host.
enum NetworkHandover {
  static func run(_ reporter: borrowing InitReporter) throws(RuntimeError) {
    let order = try describe(.network, "cannot hand the network namespace over", field: "/linux/netDevices") {
      () throws(SystemError) -> RuntimeOrder? in
      let socket = try NetlinkSocket.open()
      try reporter.send(.networkReady, passing: socket.descriptor.number)
      return try reporter.receive()
    }
    guard order == .devicesMoved else {
      throw RuntimeError(.initProtocol, "the runtime ended before it had moved the network devices")
    }
  }
}
