import Diagnostics
import LinuxABI
import OCISpec

extension Planner {
  /// oomScoreAdj, scheduler and ioPriority of the process, personality and memoryPolicy of `linux`.
  func planAttributes() throws(RuntimeError) -> ProcessAttributes {
    ProcessAttributes(
      oomScoreAdjustment: try planOOMScoreAdjustment(), scheduler: try planScheduler(),
      ioPriority: try planIOPriority(), personality: try planPersonality(), memoryPolicy: try planMemoryPolicy())
  }

  private func planOOMScoreAdjustment() throws(RuntimeError) -> Int32? {
    guard let value = config.process?.oomScoreAdj else { return nil }
    guard value >= -1000 && value <= 1000 else {
      throw RuntimeError(
        .configInvalid, "\(value) is not between -1000 and 1000", field: "/process/oomScoreAdj")
    }
    return Int32(value)
  }

  /// The rules are those of sched_setattr(2), whose EINVAL would not say which of them is broken.
  private func planScheduler() throws(RuntimeError) -> SchedulerPlan? {
    guard let scheduler = config.process?.scheduler else { return nil }
    let field = "/process/scheduler"
    guard let policy = SchedulingPolicy(name: scheduler.policy) else {
      throw RuntimeError(
        .configInvalid, "unknown scheduling policy `\(scheduler.policy)`", field: "\(field)/policy")
    }
    var flags: SchedulingFlags = []
    for (index, name) in (scheduler.flags ?? []).enumerated() {
      guard let flag = SchedulingFlags(name: name) else {
        throw RuntimeError(.configInvalid, "unknown scheduling flag `\(name)`", field: "\(field)/flags/\(index)")
      }
      flags.formUnion(flag)
    }
    let nice = scheduler.nice ?? 0
    guard nice >= -20 && nice <= 19 else {
      throw RuntimeError(
        .configInvalid, "the nice value \(nice) is not between -20 and 19", field: "\(field)/nice")
    }
    // With one of these flags the kernel takes the rest from what the process has.
    let isKept = !flags.isDisjoint(with: [.keepPolicy, .keepParameters])
    let priority = try planPriority(scheduler, policy, isKept)
    try checkDeadline(scheduler, policy, isKept)
    return SchedulerPlan(
      policy: policy.rawValue, flags: flags.rawValue, nice: nice, priority: priority,
      runtime: scheduler.runtime ?? 0, deadline: scheduler.deadline ?? 0, period: scheduler.period ?? 0)
  }

  private func planPriority(
    _ scheduler: Scheduler, _ policy: SchedulingPolicy, _ isKept: Bool
  ) throws(RuntimeError) -> UInt32 {
    let field = "/process/scheduler/priority"
    let priority = scheduler.priority ?? 0
    if !policy.hasPriority && priority != 0 {
      throw RuntimeError(
        .configInvalid, "a priority is only for SCHED_FIFO and SCHED_RR, not for \(policy.name)", field: field)
    }
    if policy.hasPriority && !isKept && !(1...99 ~= priority) {
      throw RuntimeError(
        .configInvalid, "\(policy.name) needs a priority from 1 to 99, not \(priority)", field: field)
    }
    return UInt32(bitPattern: priority)
  }

  private func checkDeadline(
    _ scheduler: Scheduler, _ policy: SchedulingPolicy, _ isKept: Bool
  ) throws(RuntimeError) {
    let values = [
      (scheduler.runtime ?? 0, "runtime"), (scheduler.deadline ?? 0, "deadline"),
      (scheduler.period ?? 0, "period"),
    ]
    func refuse(_ name: String, _ message: String) -> RuntimeError {
      RuntimeError(.configInvalid, message, field: "/process/scheduler/\(name)")
    }
    if policy != .deadline {
      for (value, name) in values where value != 0 {
        throw refuse(name, "a \(name) is only for SCHED_DEADLINE, not for \(policy.name)")
      }
      return
    }
    if isKept { return }
    let (runtime, deadline, period) = (values[0].0, values[1].0, values[2].0)
    for (value, name) in values where value >> 63 != 0 {
      throw refuse(name, "\(value) nanoseconds are more than the kernel takes")
    }
    if runtime < 1024 { throw refuse("runtime", "SCHED_DEADLINE needs a runtime of at least 1024 nanoseconds") }
    if deadline < runtime {
      throw refuse("deadline", "the deadline \(deadline) is below the runtime \(runtime)")
    }
    if period != 0 && period < deadline {
      throw refuse("period", "the period \(period) is below the deadline \(deadline)")
    }
  }

  private func planIOPriority() throws(RuntimeError) -> UInt32? {
    guard let wanted = config.process?.ioPriority else { return nil }
    guard let kind = IOPriorityClass(name: wanted.class) else {
      throw RuntimeError(
        .configInvalid, "unknown I/O priority class `\(wanted.class)`", field: "/process/ioPriority/class",
        hint: "expected IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE")
    }
    guard 0...7 ~= wanted.priority else {
      throw RuntimeError(
        .configInvalid, "\(wanted.priority) is not between 0 and 7", field: "/process/ioPriority/priority")
    }
    return kind.value(priority: UInt32(wanted.priority))
  }

  private func planPersonality() throws(RuntimeError) -> UInt32? {
    guard let personality = linux.personality else { return nil }
    guard let domain = ExecutionDomain(name: personality.domain) else {
      throw RuntimeError(
        .configInvalid, "unknown execution domain `\(personality.domain)`", field: "/linux/personality/domain",
        hint: "expected LINUX or LINUX32")
    }
    if let flags = personality.flags, !flags.isEmpty {
      throw RuntimeError(
        .configInvalid, "no flag of an execution domain is defined", field: "/linux/personality/flags/0")
    }
    return domain.rawValue
  }

  /// The rules are those of set_mempolicy(2), whose EINVAL would not say which of them is broken.
  private func planMemoryPolicy() throws(RuntimeError) -> MemoryPolicyPlan? {
    guard let policy = linux.memoryPolicy else { return nil }
    let field = "/linux/memoryPolicy"
    guard let mode = MemoryPolicyMode(name: policy.mode) else {
      throw RuntimeError(
        .configInvalid, "unknown memory policy mode `\(policy.mode)`", field: "\(field)/mode")
    }
    let nodes = try numberList(policy.nodes ?? "", "\(field)/nodes")
    switch mode {
    case .default, .local:
      if !nodes.isEmpty {
        throw RuntimeError(.configInvalid, "\(mode.name) takes no nodes", field: "\(field)/nodes")
      }
    case .preferred: break
    default:
      if nodes.isEmpty {
        throw RuntimeError(.configInvalid, "\(mode.name) needs at least one node", field: "\(field)/nodes")
      }
    }
    var flags: UInt32 = 0
    for (index, name) in (policy.flags ?? []).enumerated() {
      let place = "\(field)/flags/\(index)"
      guard let flag = MemoryPolicyFlag(name: name) else {
        throw RuntimeError(.configInvalid, "unknown memory policy flag `\(name)`", field: place)
      }
      flags |= flag.rawValue
      let isAboutNodes = flag != .numaBalancing
      let fits = isAboutNodes ? !nodes.isEmpty : mode == .bind || mode == .preferredMany
      if !fits {
        throw RuntimeError(
          .configInvalid, "\(name) does not go with \(mode.name)\(isAboutNodes ? " without nodes" : "")",
          field: place)
      }
      if flags & 0xC000 == 0xC000 {
        throw RuntimeError(
          .configInvalid, "MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other", field: place)
      }
    }
    return MemoryPolicyPlan(mode: mode.rawValue | flags, nodes: nodes)
  }

  /// `process.execCPUAffinity` is about the processes of `exec` only; it is checked here and kept for them. An empty text
  /// counts as none.
  func planExecAffinity() throws(RuntimeError) -> ExecCPUAffinity? {
    guard let affinity = config.process?.execCPUAffinity else { return nil }
    let field = "/process/execCPUAffinity"
    _ = try numberList(affinity.initial ?? "", "\(field)/initial")
    _ = try numberList(affinity.final ?? "", "\(field)/final")
    return affinity
  }

  /// The numbers of a list as in cpuset(7), `0-3,7`, in order, each once; none for an empty text.
  func numberList(_ text: String, _ field: String) throws(RuntimeError) -> [UInt32] {
    if text.isEmpty { return [] }
    var numbers: Set<UInt32> = []
    for part in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let ends = part.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
      let first = ends.first.flatMap { listNumber($0) }
      let last = ends.count == 2 ? listNumber(ends[1]) : first
      guard let first, let last, ends.count <= 2, first <= last else {
        throw RuntimeError(
          .configInvalid, "`\(String(part) ?? "")` in `\(text)` is no number or range of numbers", field: field,
          hint: "expected a list such as 0-3,7")
      }
      for number in first...last { numbers.insert(number) }
    }
    return numbers.sorted()
  }

  /// At most 4095: more CPUs or nodes than any kernel is built for, and little enough for a mask.
  private func listNumber(_ digits: Substring.UTF8View) -> UInt32? {
    // Spaces around a number are common where people write such lists.
    var digits = digits.drop { $0 == 0x20 }
    while digits.last == 0x20 { digits.removeLast() }
    guard !digits.isEmpty, digits.count <= 4 else { return nil }
    var value: UInt32 = 0
    for digit in digits {
      guard digit >= 0x30 && digit <= 0x39 else { return nil }
      value = value * 10 + UInt32(digit - 0x30)
    }
    return value < 4096 ? value : nil
  }
}
