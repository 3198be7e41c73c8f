import Diagnostics
import Linux

/// Values that hold in a cgroup in use, as far as the order or the text of new ones depends on them. Nil where there is no
/// limit, or no such file.
package struct CurrentLimits: Equatable, Sendable {
  /// The memory limit in bytes.
  package var memory: UInt64?
  /// The limit of memory and swap together, in bytes; nil also where v2 allows no swap at all, which is no sum that could
  /// be kept.
  package var memoryAndSwap: UInt64?
  /// Microseconds of CPU time in one period.
  package var quota: Int64?
  package var period: UInt64?
  package var burst: UInt64?
  package var isIdle: Bool?
  /// Microseconds for real-time policies, of v1.
  package var realtimeRuntime: Int64?
  /// Bytes: the kernel keeps limits of memory as whole pages.
  package var pageSize: UInt64 = 4096

  package init(
    memory: UInt64? = nil, memoryAndSwap: UInt64? = nil, quota: Int64? = nil, period: UInt64? = nil,
    burst: UInt64? = nil, isIdle: Bool? = nil, realtimeRuntime: Int64? = nil
  ) {
    self.memory = memory
    self.memoryAndSwap = memoryAndSwap
    self.quota = quota
    self.period = period
    self.burst = burst
    self.isIdle = isIdle
    self.realtimeRuntime = realtimeRuntime
  }

  /// Adds what one of the container's directories says.
  mutating func read(
    _ directory: CgroupRecord.Directory, _ open: borrowing FileDescriptor
  ) throws(SystemError) {
    func words(_ file: String) throws(SystemError) -> [String] {
      CgroupText.words(try open.cgroupFile(file) ?? [])
    }
    func number(_ file: String) throws(SystemError) -> UInt64? {
      try words(file).first.flatMap { UInt64($0) }
    }
    // v1 shows no limit as the largest number of bytes that is a number of pages.
    func limit(_ file: String) throws(SystemError) -> UInt64? {
      try number(file).flatMap { $0 >= 1 << 62 ? nil : $0 }
    }
    let isV1 = directory.version == .v1
    func has(_ controller: String) -> Bool { isV1 && directory.controllers.contains(controller) }
    if has("memory") {
      memory = try limit("memory.limit_in_bytes")
      memoryAndSwap = try limit("memory.memsw.limit_in_bytes")
    }
    if has("cpu") {
      quota = try words("cpu.cfs_quota_us").first.flatMap { Int64($0) }.flatMap { $0 > 0 ? $0 : nil }
      period = try number("cpu.cfs_period_us")
      burst = try number("cpu.cfs_burst_us")
      realtimeRuntime = try words("cpu.rt_runtime_us").first.flatMap { Int64($0) }
    }
    if !isV1 {
      if let bytes = try limit("memory.max") {
        memory = bytes
        if let swap = try limit("memory.swap.max"), swap > 0 { memoryAndSwap = bytes + swap }
      }
      let bandwidth = try words("cpu.max")
      if bandwidth.count == 2 {
        quota = Int64(bandwidth[0])
        period = UInt64(bandwidth[1])
        burst = try number("cpu.max.burst")
      }
    }
    if has("cpu") || !isV1, let idle = try number("cpu.idle") { isIdle = idle == 1 }
  }
}
