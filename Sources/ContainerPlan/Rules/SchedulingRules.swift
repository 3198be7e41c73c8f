import Diagnostics
import LinuxABI
import OCISpec

/// Rules about what the kernel schedules the process by. Those of `scheduler` are those of sched_setattr(2), whose EINVAL
/// would not say which of them is broken.
enum SchedulingRules {
  static func oomScoreAdjustment(_ planner: inout Planner) throws(RuntimeError) {
    guard let value = planner.config.process?.oomScoreAdj, !(-1000...1000 ~= value) else { return }
    try planner.report("\(value) is not between -1000 and 1000", "/process/oomScoreAdj")
  }

  static func policy(_ planner: inout Planner) throws(RuntimeError) {
    guard let scheduler = planner.config.process?.scheduler, SchedulingPolicy(name: scheduler.policy) == nil else {
      return
    }
    try planner.report("unknown scheduling policy `\(scheduler.policy)`", "/process/scheduler/policy")
  }

  static func flags(_ planner: inout Planner) throws(RuntimeError) {
    for (index, name) in (planner.config.process?.scheduler?.flags ?? []).enumerated()
    where SchedulingFlags(name: name) == nil {
      try planner.report("unknown scheduling flag `\(name)`", "/process/scheduler/flags/\(index)")
    }
  }

  static func nice(_ planner: inout Planner) throws(RuntimeError) {
    guard let nice = planner.config.process?.scheduler?.nice, !(-20...19 ~= nice) else { return }
    try planner.report("the nice value \(nice) is not between -20 and 19", "/process/scheduler/nice")
  }

  static func priority(_ planner: inout Planner) throws(RuntimeError) {
    guard let scheduler = planner.config.process?.scheduler,
      let policy = SchedulingPolicy(name: scheduler.policy)
    else { return }
    let priority = scheduler.priority ?? 0
    if !policy.hasPriority && priority != 0 {
      try planner.report(
        "a priority is only for SCHED_FIFO and SCHED_RR, not for \(policy.name)", "/process/scheduler/priority")
    }
    if policy.hasPriority && !scheduler.keepsParameters && !(1...99 ~= priority) {
      try planner.report(
        "\(policy.name) needs a priority from 1 to 99, not \(priority)", "/process/scheduler/priority")
    }
  }

  static func deadline(_ planner: inout Planner) throws(RuntimeError) {
    guard let scheduler = planner.config.process?.scheduler,
      let policy = SchedulingPolicy(name: scheduler.policy)
    else { return }
    let (runtime, deadline) = (scheduler.runtime ?? 0, scheduler.deadline ?? 0)
    let period = scheduler.period ?? 0
    let values = [(runtime, "runtime"), (deadline, "deadline"), (period, "period")]
    if policy != .deadline {
      for (value, name) in values where value != 0 {
        try planner.report(
          "a \(name) is only for SCHED_DEADLINE, not for \(policy.name)", "/process/scheduler/\(name)")
      }
      return
    }
    if scheduler.keepsParameters { return }
    for (value, name) in values where value >> 63 != 0 {
      try planner.report(
        "\(value) nanoseconds are more than the kernel takes", "/process/scheduler/\(name)")
    }
    if runtime < 1024 {
      try planner.report(
        "SCHED_DEADLINE needs a runtime of at least 1024 nanoseconds", "/process/scheduler/runtime")
    }
    if deadline < runtime {
      try planner.report(
        "the deadline \(deadline) is below the runtime \(runtime)", "/process/scheduler/deadline")
    }
    if period != 0 && period < deadline {
      try planner.report("the period \(period) is below the deadline \(deadline)", "/process/scheduler/period")
    }
  }

  static func ioClass(_ planner: inout Planner) throws(RuntimeError) {
    guard let wanted = planner.config.process?.ioPriority, IOPriorityClass(name: wanted.class) == nil else { return }
    try planner.report(
      "unknown I/O priority class `\(wanted.class)`", "/process/ioPriority/class",
      hint: "expected IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")
  }

  static func ioPriority(_ planner: inout Planner) throws(RuntimeError) {
    guard let priority = planner.config.process?.ioPriority?.priority, !(0...7 ~= priority) else { return }
    try planner.report("\(priority) is not between 0 and 7", "/process/ioPriority/priority")
  }

  /// `process.execCPUAffinity` is about the processes of `exec` only, and is kept for them.
  static func execAffinity(_ planner: inout Planner) throws(RuntimeError) {
    guard let affinity = planner.config.process?.execCPUAffinity else { return }
    _ = try planner.numbers(affinity.initial, "/process/execCPUAffinity/initial")
    _ = try planner.numbers(affinity.final, "/process/execCPUAffinity/final")
  }

  // MARK: linux.personality

  static func domain(_ planner: inout Planner) throws(RuntimeError) {
    guard let personality = planner.linux.personality, ExecutionDomain(name: personality.domain) == nil else { return }
    try planner.report(
      "unknown execution domain `\(personality.domain)`", "/linux/personality/domain",
      hint: "expected LINUX or LINUX32")
  }

  static func domainFlags(_ planner: inout Planner) throws(RuntimeError) {
    guard let flags = planner.linux.personality?.flags, !flags.isEmpty else { return }
    try planner.report("no flag of an execution domain is defined", "/linux/personality/flags/0")
  }
}

/// Rules about `linux.memoryPolicy`: those of set_mempolicy(2), whose EINVAL would not say which of them is broken.
enum MemoryPolicyRules {
  static func mode(_ planner: inout Planner) throws(RuntimeError) {
    guard let policy = planner.linux.memoryPolicy, MemoryPolicyMode(name: policy.mode) == nil else { return }
    try planner.report("unknown memory policy mode `\(policy.mode)`", "/linux/memoryPolicy/mode")
  }

  static func nodeList(_ planner: inout Planner) throws(RuntimeError) {
    guard let policy = planner.linux.memoryPolicy else { return }
    planner.memoryNodes = try planner.numbers(policy.nodes, "/linux/memoryPolicy/nodes")
  }

  static func nodeCount(_ planner: inout Planner) throws(RuntimeError) {
    guard let policy = planner.linux.memoryPolicy, let mode = MemoryPolicyMode(name: policy.mode) else { return }
    let hasNodes = !(policy.nodes ?? "").isEmpty
    switch mode {
    case .default, .local:
      if hasNodes { try planner.report("\(mode.name) takes no nodes", "/linux/memoryPolicy/nodes") }
    case .preferred: break
    default:
      if !hasNodes { try planner.report("\(mode.name) needs at least one node", "/linux/memoryPolicy/nodes") }
    }
  }

  static func flags(_ planner: inout Planner) throws(RuntimeError) {
    guard let policy = planner.linux.memoryPolicy else { return }
    let hasNodes = !(policy.nodes ?? "").isEmpty
    var flags: UInt32 = 0
    for (index, name) in (policy.flags ?? []).enumerated() {
      let field = "/linux/memoryPolicy/flags/\(index)"
      guard let flag = MemoryPolicyFlag(name: name) else {
        try planner.report("unknown memory policy flag `\(name)`", field)
        continue
      }
      flags |= flag.rawValue
      let isAboutNodes = flag != .numaBalancing
      if let mode = MemoryPolicyMode(name: policy.mode),
        !(isAboutNodes ? hasNodes : mode == .bind || mode == .preferredMany)
      {
        try planner.report(
          "\(name) does not go with \(mode.name)\(isAboutNodes ? " without nodes" : "")", field)
      }
      if flags & 0xC000 == 0xC000 {
        try planner.report("MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other", field)
      }
    }
  }
}

extension Scheduler {
  /// With one of these flags the kernel takes the rest from what the process has.
  var keepsParameters: Bool {
    (flags ?? []).contains { name in
      SchedulingFlags(name: name).map { !$0.isDisjoint(with: [.keepPolicy, .keepParameters]) } ?? false
    }
  }
}

extension Planner {
  fileprivate mutating func numbers(
    _ text: String?, _ field: String
  ) throws(RuntimeError) -> [UInt32] {
    do {
      return try numberList(text ?? "", field)
    } catch {
      try report(error)
      return []
    }
  }
}
