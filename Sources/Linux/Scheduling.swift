import CLinux
public import Diagnostics

/// How the kernel schedules this process and where it takes memory from. All of it stays over execve(2).
public enum Scheduling {
  /// sched_setattr(2) for the calling thread. The times are in nanoseconds.
  public static func set(
    policy: UInt32, flags: UInt64, nice: Int32, priority: UInt32, runtime: UInt64, deadline: UInt64,
    period: UInt64
  ) throws(SystemError) {
    var attributes = apus_sched_attr(
      size: UInt32(MemoryLayout<apus_sched_attr>.size), policy: policy, flags: flags, nice: nice,
      priority: priority, runtime: runtime, deadline: deadline, period: period, util_min: 0, util_max: 0)
    try check("sched_setattr", sys_sched_setattr(&attributes))
  }

  /// The CPUs that this process may run on, sched_setaffinity(2); what it was is answered, as a mask.
  @discardableResult
  public static func setAffinity(_ cpus: [UInt32]) throws(SystemError) -> [UInt64] {
    var old = [UInt64](repeating: 0, count: 64)
    let length = try check(
      "sched_getaffinity", old.withUnsafeMutableBufferPointer { sys_sched_getaffinity($0.count * 8, $0.baseAddress) })
    var mask = [UInt64](repeating: 0, count: 64)
    for cpu in cpus { mask[Int(cpu / 64) & 63] |= 1 << UInt64(cpu % 64) }
    try setAffinity(mask: mask)
    return [UInt64](old.prefix(Int(length) / 8))
  }

  /// The same with a mask that ``setAffinity(_:)`` answered.
  public static func setAffinity(mask: [UInt64]) throws(SystemError) {
    try check(
      "sched_setaffinity", mask.withUnsafeBufferPointer { sys_sched_setaffinity($0.count * 8, $0.baseAddress) })
  }

  /// ioprio_set(2): the class in the bits from 13 on, the priority below.
  public static func setIOPriority(_ value: UInt32) throws(SystemError) {
    try check("ioprio_set", sys_ioprio_set(1 /* IOPRIO_WHO_PROCESS */, 0, value))
  }

  public static func setPersonality(_ persona: UInt32) throws(SystemError) {
    try check("personality", sys_personality(UInt64(persona)))
  }

  /// set_mempolicy(2). `mode` holds the flags too.
  public static func setMemoryPolicy(mode: UInt32, nodes: [UInt32]) throws(SystemError) {
    var mask: [UInt64] = []
    for node in nodes {
      while mask.count <= Int(node / 64) { mask.append(0) }
      mask[Int(node / 64)] |= 1 << UInt64(node % 64)
    }
    // The kernel takes one bit less than it is told, and without a bit it wants no mask at all.
    let bits = UInt64(mask.count * 64 + 1)
    let result = mask.withUnsafeBufferPointer {
      sys_set_mempolicy(mode, $0.isEmpty ? nil : $0.baseAddress, bits)
    }
    try check("set_mempolicy", result)
  }
}
