package import Diagnostics
package import OCISpec

/// `linux.resources` as writes to the files of a cgroup: a pure function of the document and the layout. The rules of
/// the device controller are not among them, see ``DevicePermissions``.
package enum ResourceConversion {
  /// The writes in the order in which they must be made.
  ///
  /// - Parameter memoryLimit: the limit in force, in bytes, where the cgroup exists already: v1 checks each of the two
  ///   memory limits against the other, so their order depends on it.
  /// - Throws: `configInvalid` or `configUnsupported` with the pointer of the property.
  package static func writes(
    _ resources: Resources, layout: CgroupLayout, memoryLimit: UInt64? = nil,
    pointer: String = "/linux/resources"
  ) throws(RuntimeError) -> [CgroupWrite] {
    if let refused = unsupported(resources, layout: layout, pointer: pointer).first { throw refused }
    var list = WriteList(layout: layout, base: pointer)
    for part in ResourcePart.allCases { try list.add(part, of: resources, memoryLimit) }
    return list.writes
  }

  /// Everything that is wrong with the resources, and the writes of what is not: each part is converted by itself.
  package static func gather(
    _ resources: Resources, layout: CgroupLayout, pointer: String = "/linux/resources"
  ) -> (writes: [CgroupWrite], errors: [RuntimeError]) {
    var writes: [CgroupWrite] = []
    var errors = unsupported(resources, layout: layout, pointer: pointer)
    for part in ResourcePart.allCases {
      var list = WriteList(layout: layout, base: pointer)
      do {
        try list.add(part, of: resources, nil)
      } catch {
        errors.append(error)
      }
      // What the version does not have, and is refused above, has no file.
      writes += list.writes.filter { !$0.file.isEmpty }
    }
    return (writes, errors)
  }

  /// Every property that this layout cannot honour. A value that says what holds anyway (false, 0, -1) is no error.
  package static func unsupported(
    _ resources: Resources, layout: CgroupLayout, pointer: String = "/linux/resources"
  ) -> [RuntimeError] {
    var errors: [RuntimeError] = []
    func refuse(_ refused: Bool, _ property: String, _ reason: String) {
      if refused { errors.append(RuntimeError(.configUnsupported, reason, field: pointer + property)) }
    }
    let onlyV1 = "cgroup v2 has nothing like it"
    if let memory = resources.memory, layout.version(of: "memory") == .v2 {
      refuse(memory.disableOOMKiller == true, "/memory/disableOOMKiller", onlyV1)
      refuse((memory.swappiness ?? 0) != 0, "/memory/swappiness", onlyV1)
    }
    if let cpu = resources.cpu, layout.version(of: "cpu") == .v2 {
      refuse((cpu.realtimeRuntime ?? 0) > 0, "/cpu/realtimeRuntime", onlyV1)
      refuse((cpu.realtimePeriod ?? 0) != 0, "/cpu/realtimePeriod", onlyV1)
    }
    if let blockIO = resources.blockIO {
      let reason = "the kernel has no leaf weight since Linux 5.0"
      refuse((blockIO.leafWeight ?? 0) != 0, "/blockIO/leafWeight", reason)
      for (index, device) in (blockIO.weightDevice ?? []).enumerated() {
        refuse((device.leafWeight ?? 0) != 0, "/blockIO/weightDevice/\(index)/leafWeight", reason)
      }
    }
    if let network = resources.network {
      refuse(
        (network.classID ?? 0) != 0 && layout.version(of: "net_cls") == .v2, "/network/classID", onlyV1)
      refuse(
        !(network.priorities ?? []).isEmpty && layout.version(of: "net_prio") == .v2, "/network/priorities",
        onlyV1)
    }
    refuse(
      !(resources.unified ?? []).isEmpty && layout.unified == nil, "/unified",
      "there is no cgroup v2 on this machine: it is mounted as v1 only")
    return errors
  }

  /// What is accepted and has no effect, for the log.
  package static func warnings(_ resources: Resources, pointer: String = "/linux/resources") -> [RuntimeError] {
    var warnings: [RuntimeError] = []
    func warn(_ value: Int64?, _ property: String, _ message: String) {
      if (value ?? 0) > 0 { warnings.append(RuntimeError(.configUnsupported, message, field: pointer + property)) }
    }
    warn(
      resources.memory?.kernel, "/memory/kernel", "this is ignored: the kernel has no such limit any more")
    warn(
      resources.memory?.kernelTCP, "/memory/kernelTCP", "this is ignored: such memory counts towards the memory limit")
    return warnings
  }
}

/// What is converted together, in the order of the writes.
private enum ResourcePart: CaseIterable {
  case memory, cpuShares, cpuIdle, cpuBandwidth, cpuRealtime, cpuset, blockIO, hugepages, network, rdma, pids, unified
}

extension WriteList {
  fileprivate mutating func add(
    _ part: ResourcePart, of resources: Resources, _ memoryLimit: UInt64?
  ) throws(RuntimeError) {
    switch part {
    case .memory: if let memory = resources.memory { try addMemory(memory, current: memoryLimit) }
    case .cpuShares: if let cpu = resources.cpu { try addShares(cpu) }
    case .cpuIdle: if let cpu = resources.cpu { try addIdle(cpu) }
    case .cpuBandwidth: if let cpu = resources.cpu { try addBandwidth(cpu) }
    case .cpuRealtime: if let cpu = resources.cpu { try addRealtime(cpu) }
    case .cpuset: if let cpu = resources.cpu { try addCPUSet(cpu) }
    case .blockIO: if let blockIO = resources.blockIO { try addBlockIO(blockIO) }
    case .hugepages: if let limits = resources.hugepageLimits { try addHugepages(limits) }
    case .network: if let network = resources.network { try addNetwork(network) }
    case .rdma: if let rdma = resources.rdma { try addRDMA(rdma) }
    case .pids: if let pids = resources.pids { try addPids(pids) }
    case .unified: if let unified = resources.unified { try addUnified(unified) }
    }
  }
}

/// Collects writes and chooses the version of each.
struct WriteList {
  let layout: CgroupLayout
  /// The pointer of the resources object.
  let base: String
  var writes: [CgroupWrite] = []

  init(layout: CgroupLayout, base: String) {
    self.layout = layout
    self.base = base
  }

  /// The version through which `controller` is used; an error where the machine has no such controller and the value
  /// is not one that holds anyway.
  func version(of controller: String, _ property: String) throws(RuntimeError) -> CgroupVersion {
    if let version = layout.version(of: controller) { return version }
    throw RuntimeError(
      .cgroupLimit, "the controller `\(controller)` is not mounted on this machine", field: base + property)
  }

  /// Adds one write; the text is the same in both versions.
  mutating func add(
    _ controller: String, v1: String, v2: String, _ text: String, _ property: String, isDefault: Bool = false,
    phase: CgroupWrite.Phase = .beforeJoin, missing: CgroupWrite.Missing = .fails
  ) throws(RuntimeError) {
    if isDefault && layout.version(of: controller) == nil { return }
    let version = try version(of: controller, property)
    writes.append(
      CgroupWrite(
        controller: controller, version: version, file: version == .v1 ? v1 : v2, text: text,
        pointer: base + property, isDefault: isDefault, phase: phase, missing: missing))
  }

  func invalid(_ message: String, _ property: String) -> RuntimeError {
    RuntimeError(.configInvalid, message, field: base + property)
  }
}

extension WriteList {
  mutating func addMemory(_ memory: MemoryResources, current: UInt64?) throws(RuntimeError) {
    // 0 means unset in memory limits, as in runc: managers write it for every limit they do not use.
    let limit = try memoryValue(memory.limit, "/memory/limit")
    let swap = try memoryValue(memory.swap, "/memory/swap")
    if limit != nil || swap != nil {
      if let swap, swap > 0 {
        if let limit, limit > 0 && swap < limit {
          throw invalid(
            "the limit of memory and swap together, `\(swap)`, is below the memory limit `\(limit)`",
            "/memory/swap")
        }
        if limit == nil && current == nil {
          throw invalid("a limit of swap needs a memory limit too", "/memory/swap")
        }
      }
      if layout.version(of: "memory") == .v2 {
        try addMemoryV2(limit, swap, current)
      } else {
        try addMemoryV1(limit, swap, current)
      }
    }
    if let reservation = try memoryValue(memory.reservation, "/memory/reservation") {
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
    _ limit: Int64?, _ swap: Int64?, _ current: UInt64?
  ) throws(RuntimeError) {
    func text(_ value: Int64) -> String { "\(value)" }
    let swapFile = "memory.memsw.limit_in_bytes"
    let limitFile = "memory.limit_in_bytes"
    let unlimited = limit == -1 && swap == nil
    let swapFirst: Bool
    if let swap, limit != nil {
      // The kernel wants limit <= memory and swap at every moment.
      swapFirst = swap == -1 || (current.map { $0 < UInt64(swap) } ?? false)
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
    _ limit: Int64?, _ swap: Int64?, _ current: UInt64?
  ) throws(RuntimeError) {
    func text(_ value: Int64) -> String { value == -1 ? "max" : "\(value)" }
    // v2 limits swap alone. Without a memory limit the value is taken as it is.
    var swapOnly = swap
    if limit == -1 && swap == nil { swapOnly = -1 }
    if let swap, swap > 0 {
      if let limit, limit > 0 {
        swapOnly = swap - limit
      } else if limit == nil, let current, let known = Int64(exactly: current) {
        guard swap >= known else {
          throw invalid(
            "the limit of memory and swap together, `\(swap)`, is below the memory limit `\(known)`",
            "/memory/swap")
        }
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

  mutating func addPids(_ pids: PidsResources) throws(RuntimeError) {
    guard let limit = pids.limit else { return }
    if limit < -1 {
      throw invalid(
        "`\(limit)` is out of range: expected a number of tasks, or -1 for no limit", "/pids/limit")
    }
    try add(
      "pids", v1: "pids.max", v2: "pids.max", limit == -1 ? "max" : "\(limit)", "/pids/limit",
      isDefault: limit == -1, phase: .last)
  }

  mutating func addHugepages(_ limits: [HugepageLimit]) throws(RuntimeError) {
    for (index, limit) in limits.enumerated() {
      let property = "/hugepageLimits/\(index)"
      guard WriteList.isPageSize(limit.pageSize) else {
        throw invalid(
          "`\(limit.pageSize)` is no page size: expected a number and KB, MB or GB", property + "/pageSize")
      }
      let prefix = "hugetlb.\(limit.pageSize)."
      try add(
        "hugetlb", v1: prefix + "limit_in_bytes", v2: prefix + "max", "\(limit.limit)", property + "/limit")
      // Pages can be reserved by mmap(2) beyond a limit on their use only; older kernels have no such file.
      try add(
        "hugetlb", v1: prefix + "rsvd.limit_in_bytes", v2: prefix + "rsvd.max", "\(limit.limit)",
        property + "/limit", missing: .ignored)
    }
  }

  private static func isPageSize(_ text: String) -> Bool {
    let bytes = [UInt8](text.utf8)
    guard bytes.count > 2, bytes[bytes.count - 1] == 0x42 else { return false }
    let unit = bytes[bytes.count - 2]
    guard unit == 0x4B || unit == 0x4D || unit == 0x47 else { return false }
    return CgroupText.number(bytes[..<(bytes.count - 2)]) != nil
  }
}
