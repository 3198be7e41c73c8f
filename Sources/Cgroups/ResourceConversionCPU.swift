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

  mutating func addShares(_ cpu: CPUResources) throws(RuntimeError) {
    if let shares = cpu.shares, shares != 0 {
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
  }

  /// After the weight, which an idle cgroup refuses.
  mutating func addIdle(_ cpu: CPUResources) throws(RuntimeError) {
    if let idle = cpu.idle {
      guard idle == 0 || idle == 1 else {
        throw invalid("`\(idle)` is out of range: expected 0 or 1", "/cpu/idle")
      }
      try add("cpu", v1: "cpu.idle", v2: "cpu.idle", "\(idle)", "/cpu/idle", isDefault: idle == 0)
    }
  }

  mutating func addBandwidth(_ cpu: CPUResources) throws(RuntimeError) {
    let quota = cpu.quota ?? 0
    let period = cpu.period ?? 0
    if quota < -1 {
      throw invalid("`\(quota)` is out of range: expected microseconds, or -1 for no limit", "/cpu/quota")
    }
    if layout.version(of: "cpu") == .v2 {
      if quota != 0 || period != 0 {
        let text = "\(quota > 0 ? "\(quota)" : "max") \(period == 0 ? 100_000 : period)"
        try add(
          "cpu", v1: "", v2: "cpu.max", text, quota != 0 ? "/cpu/quota" : "/cpu/period",
          isDefault: quota <= 0 && (period == 0 || period == 100_000))
      }
    } else {
      if period != 0 {
        try add(
          "cpu", v1: "cpu.cfs_period_us", v2: "", "\(period)", "/cpu/period", isDefault: period == 100_000)
      }
      if quota != 0 {
        try add("cpu", v1: "cpu.cfs_quota_us", v2: "", "\(quota)", "/cpu/quota", isDefault: quota == -1)
      }
    }
    // After the quota, which the kernel holds it against.
    if let burst = cpu.burst {
      try add(
        "cpu", v1: "cpu.cfs_burst_us", v2: "cpu.max.burst", "\(burst)", "/cpu/burst", isDefault: burst == 0,
        missing: burst == 0 ? .ignored : .fails)
    }
  }

  mutating func addRealtime(_ cpu: CPUResources) throws(RuntimeError) {
    if let period = cpu.realtimePeriod, period != 0 {
      try add("cpu", v1: "cpu.rt_period_us", v2: "", "\(period)", "/cpu/realtimePeriod")
    }
    if let runtime = cpu.realtimeRuntime, runtime > 0 {
      try add("cpu", v1: "cpu.rt_runtime_us", v2: "", "\(runtime)", "/cpu/realtimeRuntime")
    }
  }
}
