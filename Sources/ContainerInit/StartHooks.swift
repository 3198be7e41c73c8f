import ContainerPlan
import Diagnostics
import InitChannel
import Linux

/// The hooks between the order to start and the agent command.
struct StartHooks {
  private let hooks: [HookPlan]
  private let state: [UInt8]
  /// That of the agent command.
  private let environment: [String]

  init(_ hooks: InitHooks, environment: [String]) {
    self.hooks = hooks.startContainer
    state = hooks.createdState
    self.environment = hooks.startContainer.isEmpty ? [] : environment
  }

  func run() throws(RuntimeError) {
    if hooks.isEmpty { return }
    try HookRunner(
      environment: environment, state: InitHooks.document(state, pid: Processes.ownPid())
    ).run(hooks)
    try InitHookOrphans.reap()
  }
}

/// What hooks have left to process 1 of a pid namespace.
enum InitHookOrphans {
  /// Collects those that have ended: the agent command would find zombies that it does not know.
  static func reap() throws(RuntimeError) {
    try describe(.hook, "cannot collect what the hooks have left") { () throws(SystemError) in
      while try Processes.reapAny() != nil {}
    }
  }
}
