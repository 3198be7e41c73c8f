import ContainerRuntime
import Diagnostics

/// `delete`: nothing is left of a container.
struct DeleteCommand: Equatable, Sendable {
  var id: String
  var force: Bool

  static var specification: CommandSpecification {
    CommandSpecification(
      "delete", "remove a container that has stopped",
      operands: "<container-id>", operandCount: 1...1,
      flags: [
        FlagSpecification(
          .force, "force", short: "f", "end it first if it runs; no error if there is no such container")
      ],
      description: """
        Removes the cgroup and the state of the container. A created one that was never started is ended and
        removed; a running one is refused without --force. The bundle stays as it is.
        """)
  }

  init(_ scanned: ScannedArguments) {
    id = scanned.operands[0]
    force = scanned.isOn(.force)
  }

  func run(_ session: Session) throws(RuntimeError) {
    try session.runtime().delete(id, force: force)
  }
}
