import ContainerRuntime
import Diagnostics

/// `create`: everything but the start of the agent command.
struct CreateCommand: Equatable, Sendable {
  var id: String
  var container: ContainerFlags

  static var specification: CommandSpecification {
    CommandSpecification(
      "create", "make a container from a bundle, up to its start",
      operands: "<new-container-id>", operandCount: 1...1,
      // Old versions of containerd send --detach, which says what happens anyway.
      flags: ContainerFlags.flags + [
        FlagSpecification(.detach, "detach", short: "d", "accepted and without effect")
      ],
      description: """
        Reads `config.json` of the bundle, makes the namespaces, the cgroup and the root file system, and
        leaves a process that waits for `start`. The id is chosen by the caller and names the container
        from then on.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    container = try ContainerFlags(scanned)
  }

  func run(_ session: Session) throws(RuntimeError) {
    try session.runtime().create(id, try container.options(session))
  }
}
