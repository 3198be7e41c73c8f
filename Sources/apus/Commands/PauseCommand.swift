import ContainerRuntime
import Diagnostics

/// `pause`: every process of a container stands still.
struct PauseCommand: Equatable, Sendable {
  var id: String

  static var specification: CommandSpecification {
    CommandSpecification(
      "pause", "stop all processes of a container for a while",
      operands: "<container-id>", operandCount: 1...1, flags: [],
      description: """
        The container is created or running, and has a cgroup: its freezer stops the processes. When the
        command returns all of them stand still; if one does not within 10 seconds, all go on.
        """)
  }

  init(_ scanned: ScannedArguments) {
    id = scanned.operands[0]
  }

  func run(_ session: Session) throws(RuntimeError) {
    try session.runtime().pause(id)
  }
}

/// `resume`: the processes of a paused container go on.
struct ResumeCommand: Equatable, Sendable {
  var id: String

  static var specification: CommandSpecification {
    CommandSpecification(
      "resume", "let the processes of a paused container go on",
      operands: "<container-id>", operandCount: 1...1, flags: [],
      description: """
        The container is as it was before `pause`: created or running.
        """)
  }

  init(_ scanned: ScannedArguments) {
    id = scanned.operands[0]
  }

  func run(_ session: Session) throws(RuntimeError) {
    try session.runtime().resume(id)
  }
}
