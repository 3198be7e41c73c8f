package import Diagnostics

/// One property of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)).
package struct UnitProperty: Equatable, Sendable {
  package var name: String
  package var value: DBusValue
  /// A systemd that does not know it can do without: what it says is written to a file of the cgroup too.
  package var isOptional: Bool

  package init(_ name: String, _ value: DBusValue, isOptional: Bool = false) {
    self.name = name
    self.value = value
    self.isOptional = isOptional
  }
}

package enum UnitProperties {
  /// What every scope of a container has. `pid` is its first process: systemd makes no scope without one.
  package static func scope(_ name: UnitName, id: String, pid: Int32, isUnified: Bool) -> [UnitProperty] {
    var list = [
      UnitProperty("Description", .string("apus container " + id)),
      UnitProperty("Slice", .string(name.slice)),
      UnitProperty("Delegate", .bool(true)),
      UnitProperty("PIDs", .processes(pid)),
      UnitProperty("DefaultDependencies", .bool(false)),
      // One that has failed goes by itself too: a runtime that is killed does not come back for it.
      UnitProperty("CollectMode", .string("inactive-or-failed"), isOptional: true),
    ]
    for kind in ["CPU", "Memory", "Tasks", isUnified ? "IO" : "BlockIO"] {
      list.append(UnitProperty(kind + "Accounting", .bool(true), isOptional: true))
    }
    return list
  }

  /// The limits as properties, so that systemd keeps them when it writes its own again, as at `systemctl daemon-reload`. Values
  /// that it has no property for are not among them; all are written to the files of the cgroup as well.
  ///
  /// - Parameter isUnified: whether cgroups are v2 alone. Elsewhere systemd has no controller of v2.
  package static func limits(_ writes: [CgroupWrite], isUnified: Bool) -> [UnitProperty] {
    var list = UnitPropertyList()
    for write in writes {
      if write.version == .v2 && isUnified { list.addV2(write) }
      if write.version == .v1 { list.addV1(write) }
    }
    list.addBandwidth()
    return list.properties
  }

  /// A limit of so few tasks holds only when the container is set up: see ``CgroupWrite/Phase/last``. What sets it up is four
  /// processes at most, and those of hooks.
  package static func isLate(_ property: UnitProperty) -> Bool {
    guard property.name == "TasksMax", case .number(_, let limit) = property.value else { return false }
    return limit < 64
  }

  /// Whether systemd can say the rules: it knows lists of what is allowed, and everything.
  package static func canSay(_ permissions: DevicePermissions) -> Bool { canSay(permissions.list()) }

  private static func canSay(_ list: DeviceList?) -> Bool {
    guard let list else { return false }
    return list.allowsByDefault ? list.exceptions.isEmpty : list.exceptions.allSatisfy(isSayable)
  }

  /// On v1 systemd writes the one list there is, with every limit that it is told, and would have the last word about what it
  /// cannot say.
  package static func check(
    _ permissions: DevicePermissions, bus: SystemdBus, isUnified: Bool
  ) throws(RuntimeError) {
    if bus == .user || isUnified || canSay(permissions) { return }
    throw RuntimeError(
      .configUnsupported, "on cgroup v1 systemd knows no rules of devices but lists of what is allowed, and everything",
      field: DevicePermissions.pointer, hint: "deny all first, then allow; or use the `cgroupfs` driver")
  }

  private static func isSayable(_ rule: DevicePermission) -> Bool { rule.major != nil || rule.minor == nil }

  /// The device rules. What systemd cannot say is left to our own filter on v2, where both have to allow. On v1 there is one
  /// list, which systemd may write again: then too little is allowed, and never too much.
  package static func devices(_ permissions: DevicePermissions, isUnified: Bool) -> [UnitProperty] {
    let type: [UInt8] = [0x28, 0x73, 0x73, 0x29]  // (ss)
    let none = UnitProperty("DeviceAllow", .array(type, []))
    let list = permissions.list()
    let isSaid = canSay(list)
    let allowsByDefault = list?.allowsByDefault ?? true
    if isSaid ? allowsByDefault : isUnified { return [UnitProperty("DevicePolicy", .string("auto")), none] }
    let entries = (allowsByDefault ? [] : list?.exceptions ?? []).filter(isSayable).map { rule -> DBusValue in
      let kind = rule.kind == .block ? "block" : "char"
      let major = rule.major.map { String($0) } ?? "*"
      var device = kind + "-" + major
      if let minor = rule.minor { device = "/dev/" + kind + "/" + major + ":" + String(minor) }
      return .structure([.string(device), .string(rule.access.letters)])
    }
    // An empty list takes away what was there before.
    return [
      UnitProperty("DevicePolicy", .string("strict")), none, UnitProperty("DeviceAllow", .array(type, entries)),
    ]
  }
}

/// Collects properties; the last value of one holds.
private struct UnitPropertyList {
  var properties: [UnitProperty] = []
  private var quota: Int64?
  private var period: UInt64?

  private mutating func set(_ name: String, _ value: DBusValue) {
    properties.removeAll { $0.name == name }
    properties.append(UnitProperty(name, value, isOptional: true))
  }

  /// A text that is no number is left to the kernel, which refuses it with the file.
  private mutating func set(_ name: String, _ text: String, least: UInt64 = 0) {
    if let value = UnitPropertyList.number(text) { set(name, .uint64(max(value, least))) }
  }

  private static func number(_ text: String) -> UInt64? {
    let text = CgroupText.trimmed([UInt8](text.utf8))
    return text == "max" || text == "-1" ? .max : UInt64(text)
  }

  mutating func addV2(_ write: CgroupWrite) {
    switch write.file {
    case "memory.max": set("MemoryMax", write.text)
    case "memory.high": set("MemoryHigh", write.text)
    case "memory.low": set("MemoryLow", write.text)
    case "memory.min": set("MemoryMin", write.text)
    case "memory.swap.max": set("MemorySwapMax", write.text)
    case "memory.zswap.max": set("MemoryZSwapMax", write.text)
    case "memory.oom.group": set("OOMPolicy", .string(UnitPropertyList.number(write.text) == 1 ? "kill" : "continue"))
    case "cpu.weight": set("CPUWeight", write.text)
    case "cpu.idle": setIdle(UnitPropertyList.number(write.text) == 1)
    case "cpu.max": addBandwidth(write.text)
    case "cpuset.cpus": set("AllowedCPUs", list: write.text)
    case "cpuset.mems": set("AllowedMemoryNodes", list: write.text)
    // 0 is none that systemd takes; the file says it.
    case "pids.max": set("TasksMax", write.text, least: 1)
    case "io.bfq.weight": setIOWeight(write.text)
    case "io.weight": set("IOWeight", write.text)
    default: break
    }
  }

  mutating func addV1(_ write: CgroupWrite) {
    switch write.file {
    case "memory.limit_in_bytes": set("MemoryLimit", write.text)
    case "cpu.shares": set("CPUShares", write.text)
    case "cpu.cfs_quota_us": quota = Int64(write.text)
    case "cpu.cfs_period_us": period = UInt64(write.text)
    case "blkio.weight": set("BlockIOWeight", write.text)
    case "pids.max": set("TasksMax", write.text, least: 1)
    default: break
    }
  }

  /// Idle is a weight of 0; all ones is no weight of its own.
  private mutating func setIdle(_ isIdle: Bool) {
    if isIdle { return set("CPUWeight", .uint64(0)) }
    if !properties.contains(where: { $0.name == "CPUWeight" }) { set("CPUWeight", .uint64(.max)) }
  }

  private mutating func addBandwidth(_ text: String) {
    let words = CgroupText.words([UInt8](text.utf8))
    guard let first = words.first else { return }
    quota = first == "max" ? -1 : Int64(first)
    period = words.count > 1 ? UInt64(words[1]) : period
  }

  /// systemd keeps a share of one second in whole percent: rounded up, so that it is never below what the file says.
  mutating func addBandwidth() {
    if quota == nil && period == nil { return }
    var share = UInt64.max
    if let quota, quota > 0 {
      let (product, overflow) = UInt64(quota).multipliedReportingOverflow(by: 1_000_000)
      let used = period ?? 100_000
      if overflow || used == 0 { return }
      share = (product / used + 9999) / 10_000 * 10_000
    }
    if let period, period != 0 { set("CPUQuotaPeriodUSec", .uint64(period)) }
    set("CPUQuotaPerSecUSec", .uint64(share))
  }

  /// The weight from which systemd works out this one for BFQ.
  private mutating func setIOWeight(_ text: String) {
    // That of one device has its number in front.
    guard let weight = UInt64(text) else { return }
    set("IOWeight", .uint64(weight <= 100 ? weight : 100 + (weight - 100) * 11))
  }

  /// A list such as `0-3,7` as one bit for each, the first byte first.
  private mutating func set(_ name: String, list text: String) {
    var bits: [UInt8] = []
    for part in CgroupText.split([UInt8](CgroupText.trimmed([UInt8](text.utf8)).utf8)[...], on: 0x2C) {
      let ends = CgroupText.split(part, on: 0x2D).map { CgroupText.number($0) }
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last, last < 8192 else {
        return
      }
      while bits.count <= last / 8 { bits.append(0) }
      for number in first...last { bits[number / 8] |= 1 << UInt8(number % 8) }
    }
    set(name, .bytes(bits))
  }
}
