import OCISpec

/// The six moments at which hooks run (config.md, "POSIX-platform Hooks"), in the order of a container's life.
public enum HookKind: UInt8, Sendable, CaseIterable {
  case prestart = 0
  case createRuntime = 1
  case createContainer = 2
  case startContainer = 3
  case poststart = 4
  case poststop = 5

  /// As the configuration has it.
  public var name: String {
    switch self {
    case .prestart: "prestart"
    case .createRuntime: "createRuntime"
    case .createContainer: "createContainer"
    case .startContainer: "startContainer"
    case .poststart: "poststart"
    case .poststop: "poststop"
    }
  }

  /// Who starts hooks of this kind: in its namespaces and cgroup they run.
  public var runner: Runner {
    switch self {
    case .createContainer, .startContainer: .stage2
    case .prestart, .createRuntime, .poststart, .poststop: .runtime
    }
  }
}

/// One hook.
public struct HookPlan: Sendable, Equatable {
  public var kind: HookKind
  /// The place in the list of its kind.
  public var index: UInt32
  /// Absolute, in the view of its runner.
  public var path: String
  public var arguments: [String]
  /// Empty for what hooks of this kind get by default (spec/deviations.md D3).
  public var environment: [String]
  /// Seconds; 0 for as long as it takes.
  public var timeout: UInt32

  public init(
    kind: HookKind, index: UInt32, path: String, arguments: [String], environment: [String] = [],
    timeout: UInt32 = 0
  ) {
    self.kind = kind
    self.index = index
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.timeout = timeout
  }

  /// Where it stands in the configuration.
  public var field: String { "/hooks/\(kind.name)/\(index)" }
}

/// The hooks of a container, each kind in the order of the configuration.
public struct HookPlans: Sendable, Equatable {
  public var prestart: [HookPlan] = []
  public var createRuntime: [HookPlan] = []
  public var createContainer: [HookPlan] = []
  public var startContainer: [HookPlan] = []
  public var poststart: [HookPlan] = []
  public var poststop: [HookPlan] = []

  public init() {}
}

extension Planner {
  func planHooks() -> HookPlans {
    var plans = HookPlans()
    guard let hooks = config.hooks else { return plans }
    plans.prestart = planHooks(hooks.prestart, .prestart)
    plans.createRuntime = planHooks(hooks.createRuntime, .createRuntime)
    plans.createContainer = planHooks(hooks.createContainer, .createContainer)
    plans.startContainer = planHooks(hooks.startContainer, .startContainer)
    plans.poststart = planHooks(hooks.poststart, .poststart)
    plans.poststop = planHooks(hooks.poststop, .poststop)
    return plans
  }

  private func planHooks(_ hooks: [Hook]?, _ kind: HookKind) -> [HookPlan] {
    var plans: [HookPlan] = []
    for (index, hook) in (hooks ?? []).enumerated() {
      var plan = HookPlan(kind: kind, index: UInt32(index), path: hook.path, arguments: [hook.path])
      // What is beyond is 136 years, which nobody sees the end of.
      plan.timeout = UInt32(clamping: hook.timeout ?? 0)
      if let args = hook.args, !args.isEmpty { plan.arguments = args }
      plan.environment = hook.env ?? []
      plans.append(plan)
    }
    return plans
  }

  /// The steps at which the hooks of `create` run. Behind the mounts and devices, so that hooks find them and can add to
  /// them; before anything becomes read-only or masked, which holds for what they add as well; and before the switch, so
  /// that the host's tree is there.
  func hookSteps(_ hooks: HookPlans) -> [InitStep] {
    if hooks.prestart.isEmpty && hooks.createRuntime.isEmpty && hooks.createContainer.isEmpty { return [] }
    // Also where the runtime has no hooks to run: it has to know whether hooks have run when the creation fails.
    var steps: [InitStep] = [.mountsMade]
    if !hooks.createContainer.isEmpty { steps.append(.hooks(hooks.createContainer)) }
    return steps
  }
}
