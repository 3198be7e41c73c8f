import ContainerRuntime
import Diagnostics
import LinuxABI

/// `kill`: a signal for a container.
struct KillCommand: Equatable, Sendable {
  var id: String
  var signal: Int32
  var all: Bool

  static var specification: CommandSpecification {
    CommandSpecification(
      "kill", "send a signal to a container",
      operands: "<container-id> [signal]", operandCount: 1...2,
      flags: [
        FlagSpecification(.all, "all", short: "a", "send it to every process of the container")
      ],
      description: """
        The signal goes to the first process of the container. It is a number or a name with or without
        SIG: `9`, `KILL`, `SIGKILL`, `RTMIN+3`. Without one it is SIGTERM.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    all = scanned.isOn(.all)
    let name = scanned.operands.count > 1 ? scanned.operands[1] : ""
    guard let number = name.isEmpty ? Signal.terminate : SignalName.parse(name) else {
      throw RuntimeError(.signalInvalid, "unknown signal \"\(name)\"")
    }
    signal = number
  }

  func run(_ session: Session) throws(RuntimeError) {
    try session.runtime().kill(id, signal: signal, all: all)
  }
}
