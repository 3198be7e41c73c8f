import Diagnostics
import OCISpec

extension WriteList {
  mutating func addMemory(_ memory: MemoryResources, _ current: CurrentLimits?) throws(RuntimeError) {
    // 0 means unset in memory limits, as in runc: managers write it for every limit they do not use.
    let limit = try memoryValue(memory.limit, "/memory/limit")
    let swap = try memoryValue(memory.swap, "/memory/swap")
    if limit != nil || swap != nil {
      try checkTogether(limit, swap, current)
      if layout.version(of: "memory") == .v2 {
        try addMemoryV2(limit, swap, current)
      } else {
        try addMemoryV1(limit, swap, current)
      }
    }
    if let reservation = try memoryValue(memory.reservation, "/memory/reservation") {
      if let limit, limit > 0, reservation > limit {
        throw invalid("the reservation `\(reservation)` is above the memory limit `\(limit)`", "/memory/reservation")
      }
      let isV1 = layout.version(of: "memory") != .v2
      // No reservation is an endless soft limit in v1, and no protection at all in v2.
      try add(
        "memory", v1: "memory.soft_limit_in_bytes", v2: "memory.low",
        reservation == -1 && !isV1 ? "0" : "\(reservation)", "/memory/reservation",
        isDefault: reservation == -1)
    }
    if let swappiness = memory.swappiness, layout.version(of: "memory") == .v1 {
      guard swappiness <= 100 else {
        throw invalid("`\(swappiness)` is out of range: expected 0 to 100", "/memory/swappiness")
      }
      try add("memory", v1: "memory.swappiness", v2: "", "\(swappiness)", "/memory/swappiness")
    }
    if memory.disableOOMKiller == true {
      try add("memory", v1: "memory.oom_control", v2: "", "1", "/memory/disableOOMKiller")
    } else if memory.disableOOMKiller == false && current != nil && layout.version(of: "memory") == .v1 {
      try add("memory", v1: "memory.oom_control", v2: "", "0", "/memory/disableOOMKiller", isDefault: true)
    }
  }

  private func pages(_ bytes: UInt64, _ current: CurrentLimits) -> UInt64 { bytes / current.pageSize }

  /// Whether the two limits, given or in force, fit together. What is in force has been cut down to whole pages.
  private func checkTogether(
    _ limit: Int64?, _ swap: Int64?, _ current: CurrentLimits?
  ) throws(RuntimeError) {
    // As in runc: v2, which limits swap alone, takes it as that where there is no limit of memory.
    let isV2 = layout.version(of: "memory") == .v2
    let isAlone = limit == -1 && isV2
    // The sum of v2 is one of two limits that were cut down.
    let lost: UInt64 = isV2 ? 1 : 0
    if let swap, swap > 0, !isAlone {
      guard let other = limit ?? current?.memory.flatMap({ Int64(exactly: $0) }), other != -1 else {
        throw invalid("a limit of swap needs a memory limit too", "/memory/swap")
      }
      if other > swap {
        throw invalid(
          "the limit of memory and swap together, `\(swap)`, is below the memory limit `\(other)`", "/memory/swap")
      }
    }
    if let limit, limit > 0, swap == nil, let current, let together = current.memoryAndSwap,
      pages(UInt64(limit), current) > pages(together, current) + lost
    {
      throw invalid(
        "`\(limit)` is above the limit of memory and swap together that holds, `\(together)`: set both",
        "/memory/limit")
    }
  }

  private func memoryValue(_ value: Int64?, _ property: String) throws(RuntimeError) -> Int64? {
    guard let value, value != 0 else { return nil }
    if value < -1 {
      throw invalid("`\(value)` is out of range: expected bytes, or -1 for no limit", property)
    }
    return value
  }

  private mutating func addMemoryV1(
    _ limit: Int64?, _ swap: Int64?, _ current: CurrentLimits?
  ) throws(RuntimeError) {
    func text(_ value: Int64) -> String { "\(value)" }
    let swapFile = "memory.memsw.limit_in_bytes"
    let limitFile = "memory.limit_in_bytes"
    let unlimited = limit == -1 && swap == nil
    let swapFirst: Bool
    if let swap, limit != nil {
      // The kernel wants limit <= memory and swap at every moment.
      swapFirst = swap == -1 || (current?.memory.map { $0 < UInt64(swap) } ?? false)
    } else {
      swapFirst = unlimited
    }
    if swapFirst {
      try add(
        "memory", v1: swapFile, v2: "", text(swap ?? -1), unlimited ? "/memory/limit" : "/memory/swap",
        isDefault: (swap ?? -1) == -1, missing: (swap ?? -1) == -1 ? .ignored : .fails)
    }
    if let limit {
      try add("memory", v1: limitFile, v2: "", text(limit), "/memory/limit", isDefault: limit == -1)
    }
    if let swap, !swapFirst {
      try add(
        "memory", v1: swapFile, v2: "", text(swap), "/memory/swap", isDefault: swap == -1,
        missing: swap == -1 ? .ignored : .fails)
    }
  }

  private mutating func addMemoryV2(
    _ limit: Int64?, _ swap: Int64?, _ current: CurrentLimits?
  ) throws(RuntimeError) {
    func text(_ value: Int64) -> String { value == -1 ? "max" : "\(value)" }
    // v2 limits swap alone. Without a memory limit the value is taken as it is.
    var swapOnly = swap
    if limit == -1 && swap == nil { swapOnly = -1 }
    if let limit, limit > 0, swap == nil, let together = current?.memoryAndSwap.flatMap({ Int64(exactly: $0) }) {
      // What is not given stays as it is, and that is the limit of both together.
      swapOnly = max(0, together - limit)
    }
    if let swap, swap > 0 {
      if let limit, limit > 0 {
        swapOnly = swap - limit
      } else if limit == nil, let known = current?.memory.flatMap({ Int64(exactly: $0) }) {
        swapOnly = swap - known
      }
    }
    if let swapOnly {
      // A kernel without swap accounting has no such file, and nothing to limit or to free.
      let harmless = swapOnly == -1 || swapOnly == 0
      try add(
        "memory", v1: "", v2: "memory.swap.max", text(swapOnly),
        swap == nil ? "/memory/limit" : "/memory/swap",
        isDefault: swapOnly == -1, missing: harmless ? .ignored : .fails)
    }
    if let limit {
      try add("memory", v1: "", v2: "memory.max", text(limit), "/memory/limit", isDefault: limit == -1)
    }
  }
}
