package import Diagnostics
package import OCISpec

/// `linux.resources` as writes to the files of a cgroup: a pure function of the document and the layout. The rules of
/// the device controller are not among them, see ``DevicePermissions``.
package enum ResourceConversion {
  /// The writes in the order in which they must be made.
  ///
  /// - Parameter current: what holds in a cgroup in use, nil for one that is being made. The kernel checks some values
  ///   against each other at each write, and takes some only together: order and texts depend on it.
  /// - Throws: `configInvalid` or `configUnsupported` with the pointer of the property.
  package static func writes(
    _ resources: Resources, layout: CgroupLayout, current: CurrentLimits? = nil,
    pointer: String = "/linux/resources"
  ) throws(RuntimeError) -> [CgroupWrite] {
    if let refused = unsupported(resources, layout: layout, pointer: pointer).first { throw refused }
    var list = WriteList(layout: layout, base: pointer)
    for part in ResourcePart.allCases { try list.add(part, of: resources, current) }
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
    warn(
      resources.memory?.useHierarchy == false ? 1 : 0, "/memory/useHierarchy",
      "this is ignored: the kernel always counts the memory of cgroups below")
    return warnings
  }
}

/// What is converted together, in the order of the writes.
private enum ResourcePart: CaseIterable {
  case memory, cpuShares, cpuIdle, cpuBandwidth, cpuRealtime, cpuset, blockIO, hugepages, network, rdma, pids, unified
}

extension WriteList {
  fileprivate mutating func add(
    _ part: ResourcePart, of resources: Resources, _ current: CurrentLimits?
  ) throws(RuntimeError) {
    switch part {
    case .memory: if let memory = resources.memory { try addMemory(memory, current) }
    case .cpuShares: if let cpu = resources.cpu { try addShares(cpu, current) }
    case .cpuIdle: if let cpu = resources.cpu { try addIdle(cpu, current) }
    case .cpuBandwidth: if let cpu = resources.cpu { try addBandwidth(cpu, current) }
    case .cpuRealtime: if let cpu = resources.cpu { try addRealtime(cpu, current) }
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
      .cgroupLimit, "the controller `\(controller)` is not \(layout.place)", field: base + property,
      hint: layout.kind == .v1 ? "cgroup v2, where the kernel may have it, is not mounted" : "")
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
