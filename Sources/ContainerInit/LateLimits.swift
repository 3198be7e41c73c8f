import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// The limits of setrlimit(2). Those of descriptors, memory and time bind this process too, which still waits for `start`, accepts
/// a connection and runs hooks: with a very low one it could do none of that. They are set when only execve(2) is left.
struct LateLimits {
  private var limits: [(limit: LimitPlan, index: Int)] = []

  /// Sets the others now, while this process may still raise a hard limit; for the late ones it is raised now as well.
  init(_ plans: [LimitPlan]) throws(RuntimeError) {
    for (index, plan) in plans.enumerated() {
      if !LateLimits.bindsWaiting(plan.resource) {
        try LateLimits.set(plan, index)
        continue
      }
      let current = try LateLimits.describe(plan, index) { () throws(SystemError) in
        try Credentials.limit(plan.resource)
      }
      if plan.hard > current.hard {
        try LateLimits.set(LimitPlan(resource: plan.resource, soft: current.soft, hard: plan.hard), index)
      }
      limits.append((plan, index))
    }
  }

  /// Raises the hard limits that are too low, for a process that is about to enter a user namespace: in there nobody has
  /// CAP_SYS_RESOURCE of the host, which prlimit(2) wants. The soft ones stay, so that the set-up goes on as before. Those
  /// that were there are answered.
  static func raiseHard(_ plans: [LimitPlan]) throws(RuntimeError) -> [LimitPlan] {
    var old: [LimitPlan] = []
    for (index, plan) in plans.enumerated() {
      let current = try describe(plan, index) { () throws(SystemError) in try Credentials.limit(plan.resource) }
      if plan.hard <= current.hard { continue }
      try set(LimitPlan(resource: plan.resource, soft: current.soft, hard: plan.hard), index)
      old.append(LimitPlan(resource: plan.resource, soft: current.soft, hard: current.hard))
    }
    return old
  }

  func set() throws(RuntimeError) {
    for (limit, index) in limits { try LateLimits.set(limit, index) }
  }

  private static func bindsWaiting(_ resource: Int32) -> Bool {
    switch Resource(rawValue: UInt8(truncatingIfNeeded: resource)) {
    case .openFiles, .data, .stack, .addressSpace, .cpuTime: true
    default: false
    }
  }

  private static func set(_ plan: LimitPlan, _ index: Int) throws(RuntimeError) {
    try describe(plan, index) { () throws(SystemError) in
      try Credentials.setLimit(plan.resource, soft: plan.soft, hard: plan.hard)
    }
  }

  private static func describe<T>(
    _ plan: LimitPlan, _ index: Int, _ body: () throws(SystemError) -> T
  ) throws(RuntimeError) -> T {
    let name = Resource(rawValue: UInt8(truncatingIfNeeded: plan.resource))?.name ?? "\(plan.resource)"
    return try Diagnostics.describe(.rlimit, "cannot set `\(name)`", field: "/process/rlimits/\(index)", body)
  }
}
