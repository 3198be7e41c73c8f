public import ContainerPlan
public import Diagnostics
import Linux
import LinuxABI

/// Runs hooks, for the runtime and for the init stage alike: in the namespaces and the cgroup of whoever calls it.
public struct HookRunner: ~Copyable {
  /// For hooks that name no environment.
  private let environment: [String]
  private let state: [UInt8]
  /// The number of the directory that they start in; -1 for that of the caller.
  private let directory: Int32
  /// -1 for that of the caller.
  private let umask: Int32
  /// Those that it does not have from the caller.
  private let limits: [LimitPlan]

  /// `state` is the document that each hook reads from its standard input.
  public init(
    environment: [String], state: [UInt8], directory: Int32 = -1, umask: Int32 = -1, limits: [LimitPlan] = []
  ) {
    self.environment = environment
    self.state = state
    self.directory = directory
    self.umask = umask
    self.limits = limits
  }

  /// Runs one after another; the first that fails is the error.
  public func run(_ hooks: [HookPlan]) throws(RuntimeError) {
    for hook in hooks { try run(hook) }
  }

  public func run(_ hook: HookPlan) throws(RuntimeError) {
    var program = ChildProgram(
      path: hook.path, arguments: hook.arguments,
      environment: hook.environment.isEmpty ? environment : hook.environment, input: state,
      directory: directory, umask: umask, timeout: hook.timeout == 0 ? nil : Int64(hook.timeout) * 1000)
    for limit in limits {
      program.limits.append(ChildLimit(resource: limit.resource, soft: limit.soft, hard: limit.hard))
    }
    let outcome: ChildOutcome
    do {
      outcome = try program.run()
    } catch {
      throw error.because(
        .hook, "cannot run the hook `\(hook.path)`", field: hook.field, hint: HookRunner.hint(error))
    }
    if outcome.status == .exited(0) { return }
    throw RuntimeError(
      .hook, "hook `\(hook.path)` \(HookRunner.text(outcome.status, hook))\(HookRunner.text(outcome))",
      field: hook.field)
  }

  private static func hint(_ error: SystemError) -> String {
    if error.call != "execve" { return "" }
    switch error.errno {
    case .noEntry: return "the program or its interpreter is not there, as seen from where the hook runs"
    case .accessDenied: return "it must be a regular file with execute permission, on a mount without `noexec`"
    case .execFormat: return "is it made for another architecture, or a script without `#!`?"
    case .tryAgain: return "the limit of processes leaves no room for it"
    default: return ""
    }
  }

  private static func text(_ status: ExitStatus?, _ hook: HookPlan) -> String {
    switch status {
    case .exited(let code): "ended with status \(code)"
    case .signaled(let signal):
      "was killed by signal \(signal) (\(SignalName.name(of: signal) ?? "?"))"
    case nil: "ran longer than its timeout of \(hook.timeout) s and was killed"
    }
  }

  private static func text(_ outcome: ChildOutcome) -> String {
    var output = outcome.output[...]
    while let last = output.last, last == 0x0A || last == 0x20 { output.removeLast() }
    if output.isEmpty { return ", without output" }
    let words = outcome.isOutputCut ? "with output that ends in" : "with output"
    return ", \(words) `\(String(decoding: output, as: UTF8.self))`"
  }
}
