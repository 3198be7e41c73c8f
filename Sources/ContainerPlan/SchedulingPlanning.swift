import Diagnostics
import LinuxABI
import OCISpec

extension Planner {
  /// oomScoreAdj, scheduler and ioPriority of the process, personality and memoryPolicy of `linux`.
  func planAttributes() -> ProcessAttributes {
    let process = config.process
    return ProcessAttributes(
      oomScoreAdjustment: process?.oomScoreAdj.map { Int32(clamping: $0) }, scheduler: planScheduler(),
      ioPriority: planIOPriority(),
      personality: linux.personality.flatMap { ExecutionDomain(name: $0.domain)?.rawValue },
      memoryPolicy: planMemoryPolicy())
  }

  private func planScheduler() -> SchedulerPlan? {
    guard let scheduler = config.process?.scheduler, let policy = SchedulingPolicy(name: scheduler.policy) else {
      return nil
    }
    var flags: SchedulingFlags = []
    for name in scheduler.flags ?? [] {
      if let flag = SchedulingFlags(name: name) { flags.formUnion(flag) }
    }
    return SchedulerPlan(
      policy: policy.rawValue, flags: flags.rawValue, nice: scheduler.nice ?? 0,
      priority: UInt32(bitPattern: scheduler.priority ?? 0), runtime: scheduler.runtime ?? 0,
      deadline: scheduler.deadline ?? 0, period: scheduler.period ?? 0)
  }

  private func planIOPriority() -> UInt32? {
    guard let wanted = config.process?.ioPriority, let kind = IOPriorityClass(name: wanted.class) else { return nil }
    return kind.value(priority: UInt32(clamping: wanted.priority))
  }

  private func planMemoryPolicy() -> MemoryPolicyPlan? {
    guard let policy = linux.memoryPolicy, let mode = MemoryPolicyMode(name: policy.mode) else { return nil }
    var flags: UInt32 = 0
    for name in policy.flags ?? [] { flags |= MemoryPolicyFlag(name: name)?.rawValue ?? 0 }
    return MemoryPolicyPlan(mode: mode.rawValue | flags, nodes: memoryNodes)
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
