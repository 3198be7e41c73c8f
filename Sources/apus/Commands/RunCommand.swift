import ContainerRuntime
import Diagnostics

/// `run`: create, start, wait and delete.
struct RunCommand: Equatable, Sendable {
  var id: String
  var container: ContainerFlags
  var detach: Bool
  var keep: Bool
  var noSubreaper: Bool

  static var specification: CommandSpecification {
    CommandSpecification(
      "run", "create and start a container, and wait for it",
      operands: "<new-container-id>", operandCount: 1...1,
      flags: ContainerFlags.flags + [
        FlagSpecification(.detach, "detach", short: "d", "do not wait"),
        FlagSpecification(.keep, "keep", "do not delete the container when it has ended"),
        FlagSpecification(.noSubreaper, "no-subreaper", "do not collect orphans of the container"),
      ],
      description: """
        The exit status is that of the command, or 128 and the number of the signal that ended it. Signals
        sent to this process are handed on to the container.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    container = try ContainerFlags(scanned)
    detach = scanned.isOn(.detach)
    keep = scanned.isOn(.keep)
    noSubreaper = scanned.isOn(.noSubreaper)
  }

  func run(_ session: Session) throws(RuntimeError) -> Int32 {
    try session.runtime().run(
      id, try container.options(session), detach: detach, keep: keep, subreaper: !noSubreaper)
  }
}
