import Diagnostics
import OCISpec

extension WriteList {
  mutating func addCPUSet(_ cpu: CPUResources) throws(RuntimeError) {
    if let cpus = cpu.cpus, !cpus.isEmpty {
      try add("cpuset", v1: "cpuset.cpus", v2: "cpuset.cpus", cpus, "/cpu/cpus")
    }
    if let mems = cpu.mems, !mems.isEmpty {
      try add("cpuset", v1: "cpuset.mems", v2: "cpuset.mems", mems, "/cpu/mems")
    }
  }

  mutating func addShares(_ cpu: CPUResources, _ current: CurrentLimits?) throws(RuntimeError) {
    // An idle cgroup refuses a weight: it has to be none any more first, and is made one last.
    if current?.isIdle == true && cpu.idle == 0 { try addIdle(0) }
    guard let shares = cpu.shares, shares != 0 else { return }
    if current?.isIdle == true && cpu.idle != 0 {
      // Idle it is, and stays: the document that made it says the same.
      if cpu.idle == 1 { return }
      throw invalid("an idle cgroup has no shares: set idle to 0 too", "/cpu/shares")
    }
    if layout.version(of: "cpu") == .v2, let weight = CPUWeight.weight(shares: shares) {
      try add("cpu", v1: "", v2: "cpu.weight", "\(weight)", "/cpu/shares", isDefault: weight == 100)
    } else {
      // The kernel would cut such values to the next one that it has, without a word.
      if shares < 2 { throw invalid("the minimum allowed cpu-shares is 2, not `\(shares)`", "/cpu/shares") }
      if shares > 262_144 {
        throw invalid("the maximum allowed cpu-shares is 262144, not `\(shares)`", "/cpu/shares")
      }
      try add("cpu", v1: "cpu.shares", v2: "", "\(shares)", "/cpu/shares", isDefault: shares == 1024)
    }
  }

  mutating func addIdle(_ cpu: CPUResources, _ current: CurrentLimits?) throws(RuntimeError) {
    guard let idle = cpu.idle else { return }
    guard idle == 0 || idle == 1 else {
      throw invalid("`\(idle)` is out of range: expected 0 or 1", "/cpu/idle")
    }
    if current?.isIdle == true && idle == 0 { return }
    try addIdle(idle)
  }

  private mutating func addIdle(_ idle: Int64) throws(RuntimeError) {
    try add("cpu", v1: "cpu.idle", v2: "cpu.idle", "\(idle)", "/cpu/idle", isDefault: idle == 0)
  }

  mutating func addBandwidth(_ cpu: CPUResources, _ current: CurrentLimits?) throws(RuntimeError) {
    let quota = cpu.quota ?? 0
    if quota < -1 {
      throw invalid("`\(quota)` is out of range: expected microseconds, or -1 for no limit", "/cpu/quota")
    }
    // What the kernel takes (kernel/sched/core.c, tg_set_bandwidth).
    if quota > 0 && quota < 1000 {
      throw invalid("`\(quota)` is out of range: expected at least 1000 microseconds", "/cpu/quota")
    }
    if let period = cpu.period, period != 0, period < 1000 || period > 1_000_000 {
      throw invalid("`\(period)` is out of range: expected 1000 to 1000000 microseconds", "/cpu/period")
    }
    // The kernel wants burst <= quota at every write: a lower one goes first.
    let burstInForce = current?.burst ?? 0
    if let burst = cpu.burst, burst < burstInForce { try addBurst(burst) }
    if quota > 0 && cpu.burst == nil && burstInForce > UInt64(quota) {
      throw invalid("`\(quota)` is below the burst that holds, `\(burstInForce)`: set both", "/cpu/quota")
    }
    let limit = quota != 0 ? quota : current?.quota ?? 0
    if let burst = cpu.burst, limit > 0, burst > UInt64(limit) {
      throw invalid("`\(burst)` is above the quota, `\(limit)`", "/cpu/burst")
    }
    if layout.version(of: "cpu") == .v2 {
      try addBandwidthV2(quota, cpu.period ?? 0, current)
    } else {
      try addBandwidthV1(quota, cpu.period ?? 0, current)
    }
    if let burst = cpu.burst, burst >= burstInForce { try addBurst(burst) }
  }

  private mutating func addBurst(_ burst: UInt64) throws(RuntimeError) {
    try add(
      "cpu", v1: "cpu.cfs_burst_us", v2: "cpu.max.burst", "\(burst)", "/cpu/burst", isDefault: burst == 0,
      missing: burst == 0 ? .ignored : .fails)
  }

  /// One file for both: the one that is not given keeps the value that it has.
  private mutating func addBandwidthV2(
    _ quota: Int64, _ period: UInt64, _ current: CurrentLimits?
  ) throws(RuntimeError) {
    if quota == 0 && period == 0 { return }
    let kept = quota != 0 ? quota : current?.quota ?? -1
    let text = "\(kept > 0 ? "\(kept)" : "max") \(period != 0 ? period : current?.period ?? 100_000)"
    try add(
      "cpu", v1: "", v2: "cpu.max", text, quota != 0 ? "/cpu/quota" : "/cpu/period",
      isDefault: kept <= 0 && (period == 0 || period == 100_000))
  }

  private mutating func addBandwidthV1(
    _ quota: Int64, _ period: UInt64, _ current: CurrentLimits?
  ) throws(RuntimeError) {
    // Two files, and after each write the share of a processor must fit into that of the cgroup above: with a shorter
    // period the old quota could be too much for a moment.
    let quotaFirst = quota != 0 && period != 0 && period < current?.period ?? 0
    for isQuota in quotaFirst ? [true, false] : [false, true] {
      if isQuota && quota != 0 {
        try add("cpu", v1: "cpu.cfs_quota_us", v2: "", "\(quota)", "/cpu/quota", isDefault: quota == -1)
      }
      if !isQuota && period != 0 {
        try add(
          "cpu", v1: "cpu.cfs_period_us", v2: "", "\(period)", "/cpu/period", isDefault: period == 100_000)
      }
    }
  }

  mutating func addRealtime(_ cpu: CPUResources, _ current: CurrentLimits?) throws(RuntimeError) {
    let period = cpu.realtimePeriod ?? 0
    let runtime = cpu.realtimeRuntime ?? 0
    if runtime < -1 {
      throw invalid("`\(runtime)` is out of range: expected microseconds, or -1 for no limit", "/cpu/realtimeRuntime")
    }
    if period != 0 && runtime > Int64(clamping: period) {
      throw invalid("`\(runtime)` is above the period, `\(period)`", "/cpu/realtimeRuntime")
    }
    // What v2 lacks and a value asks for is refused before.
    if layout.version(of: "cpu") == .v2 { return }
    // The kernel wants runtime <= period at every write.
    let runtimeFirst = period != 0 && Int64(clamping: period) < current?.realtimeRuntime ?? 0
    for isRuntime in runtimeFirst ? [true, false] : [false, true] {
      if isRuntime && runtime != 0 {
        try add(
          "cpu", v1: "cpu.rt_runtime_us", v2: "", "\(runtime)", "/cpu/realtimeRuntime", isDefault: runtime == -1)
      }
      if !isRuntime && period != 0 {
        try add("cpu", v1: "cpu.rt_period_us", v2: "", "\(period)", "/cpu/realtimePeriod")
      }
    }
  }
}
