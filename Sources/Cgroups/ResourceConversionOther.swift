import Diagnostics
import OCISpec

extension WriteList {
  mutating func addBlockIO(_ blockIO: BlockIOResources) throws(RuntimeError) {
    if let weight = blockIO.weight, weight != 0 {
      try checkWeight(weight, "/blockIO/weight")
      // The file that a scheduler with weights has (BFQ); else the cost model's, which has a scale of its own.
      let isV1 = layout.version(of: "blkio") != .v2
      try add(
        "blkio", v1: "blkio.weight", v2: "io.bfq.weight", "\(weight)", "/blockIO/weight",
        missing: isV1
          ? .alternative(file: "blkio.bfq.weight", text: "\(weight)")
          : .alternative(file: "io.weight", text: "\(WriteList.ioWeight(weight))"))
    }
    for (index, device) in (blockIO.weightDevice ?? []).enumerated() {
      let property = "/blockIO/weightDevice/\(index)"
      if device.weight == nil && device.leafWeight == nil {
        throw invalid("one of weight and leafWeight must be given", property)
      }
      let number = try deviceNumber(device.major, device.minor, property)
      guard let weight = device.weight, weight != 0 else { continue }
      try checkWeight(weight, property + "/weight")
      let isV1 = layout.version(of: "blkio") != .v2
      try add(
        "blkio", v1: "blkio.weight_device", v2: "io.bfq.weight", "\(number) \(weight)", property + "/weight",
        missing: isV1
          ? .alternative(file: "blkio.bfq.weight_device", text: "\(number) \(weight)")
          : .alternative(file: "io.weight", text: "\(number) \(WriteList.ioWeight(weight))"))
    }
    try addThrottle(blockIO.throttleReadBpsDevice, "ReadBps", v1: "read_bps", v2: "rbps")
    try addThrottle(blockIO.throttleWriteBpsDevice, "WriteBps", v1: "write_bps", v2: "wbps")
    try addThrottle(blockIO.throttleReadIOPSDevice, "ReadIOPS", v1: "read_iops", v2: "riops")
    try addThrottle(blockIO.throttleWriteIOPSDevice, "WriteIOPS", v1: "write_iops", v2: "wiops")
  }

  private func checkWeight(_ weight: UInt16, _ property: String) throws(RuntimeError) {
    guard weight >= 10 && weight <= 1000 else {
      throw invalid("`\(weight)` is out of range: expected 10 to 1000", property)
    }
  }

  private func deviceNumber(_ major: Int64, _ minor: Int64, _ property: String) throws(RuntimeError) -> String {
    // As wide as a dev_t of the kernel.
    guard major >= 0 && major < 1 << 12 else { throw invalid("`\(major)` is no device number", property + "/major") }
    guard minor >= 0 && minor < 1 << 20 else { throw invalid("`\(minor)` is no device number", property + "/minor") }
    return "\(major):\(minor)"
  }

  /// 10 to 1000 of v1 as 1 to 10000 of `io.weight`.
  static func ioWeight(_ weight: UInt16) -> UInt64 {
    1 + (UInt64(weight) - 10) * 9999 / 990
  }

  private mutating func addThrottle(
    _ devices: [ThrottleDevice]?, _ name: String, v1: String, v2: String
  ) throws(RuntimeError) {
    let isV1 = layout.version(of: "blkio") != .v2
    for (index, device) in (devices ?? []).enumerated() {
      let property = "/blockIO/throttle\(name)Device/\(index)"
      let number = try deviceNumber(device.major, device.minor, property)
      // A rate of 0 takes the limit away; v2 has a word for that.
      let text =
        isV1 ? "\(number) \(device.rate)" : "\(number) \(v2)=\(device.rate == 0 ? "max" : "\(device.rate)")"
      try add(
        "blkio", v1: "blkio.throttle.\(v1)_device", v2: "io.max", text, property + "/rate",
        isDefault: device.rate == 0)
    }
  }

  mutating func addNetwork(_ network: NetworkResources) throws(RuntimeError) {
    if let classID = network.classID, classID != 0 {
      try add("net_cls", v1: "net_cls.classid", v2: "", "\(classID)", "/network/classID")
    }
    for (index, priority) in (network.priorities ?? []).enumerated() {
      try checkWord(priority.name, "an interface", "/network/priorities/\(index)/name")
      try add(
        "net_prio", v1: "net_prio.ifpriomap", v2: "", "\(priority.name) \(priority.priority)",
        "/network/priorities/\(index)")
    }
  }

  mutating func addRDMA(_ limits: [NamedValue<RDMALimit>]) throws(RuntimeError) {
    for limit in limits {
      let property = "/rdma/" + WriteList.escaped(limit.name)
      try checkWord(limit.name, "an RDMA device", property)
      var text = limit.name
      if let handles = limit.value.hcaHandles { text += " hca_handle=\(handles)" }
      if let objects = limit.value.hcaObjects { text += " hca_object=\(objects)" }
      if limit.value.hcaHandles == nil && limit.value.hcaObjects == nil {
        throw invalid("one of hcaHandles and hcaObjects must be given", property)
      }
      try add("rdma", v1: "rdma.max", v2: "rdma.max", text, property)
    }
  }

  /// A name that becomes one word of a line: a blank or a line end in it would make another line of it.
  private func checkWord(_ name: String, _ what: String, _ property: String) throws(RuntimeError) {
    guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
      throw invalid("`\(name)` is no name of \(what)", property)
    }
  }

  /// Files of v2 by name. They come last and win over the other properties, as in runc.
  mutating func addUnified(_ files: [NamedValue<String>]) throws(RuntimeError) {
    for file in files {
      let property = "/unified/" + WriteList.escaped(file.name)
      let name = [UInt8](file.name.utf8)
      guard !name.isEmpty, !name.contains(0x2F), !name.contains(0), let dot = name.firstIndex(of: 0x2E),
        dot > 0
      else {
        throw invalid(
          "`\(file.name)` is no file of a controller: expected a name such as `memory.high`", property)
      }
      let controller = CgroupText.string(name[..<dot])
      if controller == "cgroup" && !WriteList.isHarmlessCoreFile(file.name) {
        throw invalid("`\(file.name)` is the runtime's own to write", property)
      }
      let nameInV1 = controller == "io" ? "blkio" : controller
      for hierarchy in layout.hierarchies where hierarchy.controllers.contains(nameInV1) {
        throw RuntimeError(
          .configUnsupported,
          "`\(file.name)` is a file of cgroup v2, and the controller `\(nameInV1)` is with v1 here, in `\(hierarchy.mountPoint)`",
          field: base + property)
      }
      // The kernel takes one line at a time, of `io.max` for one device.
      for line in WriteList.lines(of: file.value) {
        writes.append(
          CgroupWrite(
            controller: nameInV1, version: .v2, file: file.name, text: line, pointer: base + property,
            phase: file.name == "pids.max" ? .last : .beforeJoin))
      }
    }
  }

  /// At least one: an empty value is a value, too.
  private static func lines(of value: String) -> [String] {
    let lines = CgroupText.lines([UInt8](value.utf8)).map { CgroupText.string($0) }
    return lines.isEmpty ? [value] : lines
  }

  /// The files of the core that set limits; the others move, freeze or kill processes or give controllers away.
  private static func isHarmlessCoreFile(_ name: String) -> Bool {
    name == "cgroup.max.depth" || name == "cgroup.max.descendants" || name == "cgroup.pressure"
  }

  /// A name as a part of a JSON pointer (RFC 6901).
  static func escaped(_ name: String) -> String {
    var bytes: [UInt8] = []
    for byte in name.utf8 {
      switch byte {
      case 0x7E: bytes += [0x7E, 0x30]
      case 0x2F: bytes += [0x7E, 0x31]
      default: bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension WriteList {
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
      if limits[..<index].contains(where: { $0.pageSize == limit.pageSize }) {
        throw invalid("`\(limit.pageSize)` has a limit already", property + "/pageSize")
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
