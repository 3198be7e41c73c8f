import ContainerRuntime
import Diagnostics
import OCISpec

/// `state`: where a container stands, as JSON.
struct StateCommand: Equatable, Sendable {
  var id: String

  static var specification: CommandSpecification {
    CommandSpecification(
      "state", "print the state of a container as JSON",
      operands: "<container-id>", operandCount: 1...1, flags: [],
      description: """
        The document of the runtime specification, with `rootfs`, `created` and `owner` besides. The status is
        `created`, `running`, `paused` or `stopped`.
        """)
  }

  init(_ scanned: ScannedArguments) {
    id = scanned.operands[0]
  }

  func run(_ session: Session) throws(RuntimeError) {
    try StandardStream.print(document: try session.runtime().state(id).document())
  }
}
