import ContainerRuntime
import Diagnostics
import Linux

/// `start`: the agent command of a created container begins.
struct StartCommand: Equatable, Sendable {
  var id: String

  static var specification: CommandSpecification {
    CommandSpecification(
      "start", "start the command of a created container",
      operands: "<container-id>", operandCount: 1...1, flags: [],
      description: """
        The command is `process.args` as it stood in `config.json` when the container was created.
        """)
  }

  init(_ scanned: ScannedArguments) {
    id = scanned.operands[0]
  }

  func run(_ session: Session) throws(RuntimeError) {
    try session.runtime().start(id, notifySocket: Environment.notifySocket)
  }
}
