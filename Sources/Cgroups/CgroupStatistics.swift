package import Diagnostics
package import OCISpec

extension CgroupManager {
  /// What the kernel has counted of the container, read in one pass. A cgroup that is gone, or goes meanwhile, is an error: a
  /// counter that is not there is not 0.
  package func statistics() throws(RuntimeError) -> ContainerStatistics {
    var statistics = ContainerStatistics()
    // That of v2 first: where both versions tell the same, in a hybrid layout, v1 has the controller.
    for directory in record.directories.reversed() {
      let files = try CgroupFiles(existing: directory.path)
      if directory.version == .v2 {
        try statistics.readV2(files)
      } else {
        for controller in directory.controllers { try statistics.readV1(controller, files) }
      }
    }
    for directory in record.directories { _ = try CgroupFiles(existing: directory.path) }
    return statistics
  }
}

extension ContainerStatistics {
  mutating func readV1(_ controller: String, _ files: CgroupFiles) throws(RuntimeError) {
    switch controller {
    case "cpu": try readThrottling(files)
    case "cpuacct": try readCPUAccounting(files)
    case "cpuset": try readCpuset(files)
    case "memory": try readMemoryV1(files)
    case "pids": try readPids(files)
    case "blkio": try readBlockIOV1(files)
    case "hugetlb": try readHugePages(files, isV1: true)
    default: break
    }
  }

  mutating func readV2(_ files: CgroupFiles) throws(RuntimeError) {
    try readThrottling(files)
    cpu.pressure = try files.pressure("cpu.pressure")
    try readMemoryV2(files)
    memory.pressure = try files.pressure("memory.pressure")
    try readPids(files)
    try readBlockIOV2(files)
    blockIO.pressure = try files.pressure("io.pressure")
    try readHugePages(files, isV1: false)
  }

  // ---- CPU

  /// `cpu.stat`: of v1 in nanoseconds, of v2 in microseconds and with the CPU time.
  private mutating func readThrottling(_ files: CgroupFiles) throws(RuntimeError) {
    for (key, value) in try files.pairs("cpu.stat") {
      switch key {
      case "usage_usec": cpu.total = value &* 1000
      case "user_usec": cpu.user = value &* 1000
      case "system_usec": cpu.kernel = value &* 1000
      case "nr_periods": cpu.periods = value
      case "nr_throttled": cpu.throttledPeriods = value
      case "throttled_usec": cpu.throttledTime = value &* 1000
      case "throttled_time": cpu.throttledTime = value
      default: break
      }
    }
  }

  private mutating func readCPUAccounting(_ files: CgroupFiles) throws(RuntimeError) {
    // In ticks, of which there are 100 in a second whatever the kernel's own are (time(7), "the software clock").
    if let user = try files.value("cpuacct.stat", of: "user") { cpu.user = user &* 10_000_000 }
    if let kernel = try files.value("cpuacct.stat", of: "system") { cpu.kernel = kernel &* 10_000_000 }
    if let total = try files.number("cpuacct.usage") { cpu.total = total }
    let perCPU = "cpuacct.usage_percpu"
    for line in try files.lines(perCPU) {
      for word in CgroupText.words(of: line) { cpu.perCPU.append(try files.number(word, of: perCPU)) }
    }
    // Behind a heading: CPU, user, system.
    let all = "cpuacct.usage_all"
    for line in try files.lines(all).dropFirst() {
      let words = CgroupText.words(of: line)
      guard words.count == 3 else { throw files.malformed(all, line) }
      cpu.perCPUUser.append(try files.number(words[1], of: all))
      cpu.perCPUKernel.append(try files.number(words[2], of: all))
    }
  }

  private mutating func readCpuset(_ files: CgroupFiles) throws(RuntimeError) {
    cpuset.cpus = try files.list("cpuset.cpus")
    cpuset.mems = try files.list("cpuset.mems")
    cpuset.settings = []
    for name in CpusetStatistics.settingNames {
      let file = "cpuset." + name.description
      var value: Int64 = 0
      if let bytes = try files.bytes(file) {
        // -1 is a value of sched_relax_domain_level.
        let text = CgroupText.line(bytes)
        let isNegative = text.first == 0x2D
        guard let number = CgroupText.unsigned(isNegative ? text.dropFirst() : text), number <= Int64.max else {
          throw files.malformed(file, text)
        }
        value = isNegative ? -Int64(number) : Int64(number)
      }
      cpuset.settings.append(value)
    }
  }

  // ---- Memory, tasks, huge pages

  private mutating func readMemoryV1(_ files: CgroupFiles) throws(RuntimeError) {
    try readMemoryLines(files, cache: "cache")
    memory.usage = try files.memory("memory", isV1: true)
    memory.swap = try files.memory("memory.memsw", isV1: true)
    memory.kernel = try files.memory("memory.kmem", isV1: true)
    memory.kernelTCP = try files.memory("memory.kmem.tcp", isV1: true)
  }

  /// v2 limits swap alone; here it is memory and swap together, as on v1.
  private mutating func readMemoryV2(_ files: CgroupFiles) throws(RuntimeError) {
    guard let current = try files.number("memory.current") else { return }
    try readMemoryLines(files, cache: "file")
    memory.usage = try files.memory("memory", isV1: false)
    memory.usage.usage = current
    memory.swap = try files.memory("memory.swap", isV1: false)
    memory.swap.usage &+= current
    if memory.swap.limit != .max {
      let (sum, overflow) = memory.swap.limit.addingReportingOverflow(memory.usage.limit)
      memory.swap.limit = overflow ? .max : sum
    }
    // The highest values of both need not have been at one time.
    memory.swap.peak = 0
  }

  private mutating func readMemoryLines(_ files: CgroupFiles, cache: String) throws(RuntimeError) {
    for (key, value) in try files.pairs("memory.stat") {
      memory.raw.append(NamedValue(key, value))
      if key == cache { memory.cache = value }
    }
  }

  private mutating func readPids(_ files: CgroupFiles) throws(RuntimeError) {
    if let current = try files.number("pids.current") {
      pids.current = current
      let limit = try files.number("pids.max") ?? 0
      pids.limit = limit == .max ? 0 : limit
      return
    }
    // Without the controller those in the cgroup itself; a threaded one has no list of processes (cgroups(7)).
    var processes = try files.bytes("cgroup.procs")
    if processes == nil { processes = try files.bytes("cgroup.threads") }
    if let processes { pids.current = UInt64(CgroupText.lines(processes).count) }
  }

  private mutating func readHugePages(_ files: CgroupFiles, isV1: Bool) throws(RuntimeError) {
    for name in try files.names() {
      // `hugetlb.2MB.current`; `hugetlb.2MB.rsvd.current` counts what is reserved.
      let parts = CgroupText.split([UInt8](name.utf8)[...], on: 0x2E)
      guard parts.count == 3, parts[0].elementsEqual("hugetlb".utf8),
        parts[2].elementsEqual((isV1 ? "usage_in_bytes" : "current").utf8)
      else { continue }
      let size = CgroupText.string(parts[1])
      var prefix = phrase("hugetlb.", size, ".")
      var page = HugePageStatistics()
      page.usage = try files.number(name) ?? 0
      if isV1 {
        // What is reserved is limited first, by mmap(2), and so is what is refused. As runc: it alone is told, Linux 5.7.
        if let reserved = try files.number(prefix + "rsvd.usage_in_bytes") {
          prefix += "rsvd."
          page.usage = reserved
        }
        page.peak = try files.number(prefix + "max_usage_in_bytes") ?? 0
        page.failures = try files.number(prefix + "failcnt") ?? 0
      } else {
        page.failures = try files.value(prefix + "events", of: "max") ?? 0
      }
      hugePages.append(NamedValue(size, page))
    }
  }
}

extension CgroupFiles {
  /// The files of one kind of memory: `memory`, `memory.swap`.
  fileprivate func memory(_ prefix: String, isV1: Bool) throws(RuntimeError) -> MemoryUsage {
    var memory = MemoryUsage()
    memory.usage = try number(prefix + (isV1 ? ".usage_in_bytes" : ".current")) ?? 0
    memory.limit = try number(prefix + (isV1 ? ".limit_in_bytes" : ".max")) ?? 0
    memory.peak = try number(prefix + (isV1 ? ".max_usage_in_bytes" : ".peak")) ?? 0
    if isV1 { memory.failures = try number(prefix + ".failcnt") ?? 0 }
    return memory
  }

  /// A list of numbers and ranges, cpuset(7), "List format".
  fileprivate func list(_ name: String) throws(RuntimeError) -> [UInt16] {
    let text = CgroupText.line(try bytes(name) ?? [])
    if text.isEmpty { return [] }
    var numbers: [UInt16] = []
    for part in CgroupText.split(text, on: 0x2C) {
      let ends = CgroupText.split(part, on: 0x2D).map { CgroupText.unsigned($0).flatMap { UInt16(exactly: $0) } }
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last else {
        throw malformed(name, text)
      }
      numbers += first...last
    }
    return numbers
  }

  /// A file of pressure stall information; nil where the kernel keeps none.
  fileprivate func pressure(_ name: String) throws(RuntimeError) -> PressureStatistics? {
    guard let bytes = try bytes(name) else { return nil }
    let keys = ["avg10", "avg60", "avg300", "total"]
    var pressure = PressureStatistics()
    for line in CgroupText.lines(bytes) {
      let words = CgroupText.words(of: line)
      guard let kind = words.first else { throw malformed(name, line) }
      var values: [UInt64] = [0, 0, 0, 0]
      for word in words.dropFirst() {
        guard let equals = word.firstIndex(of: 0x3D) else { throw malformed(name, line) }
        let text = word[(equals + 1)...]
        let key = CgroupText.string(word[..<equals])
        for index in 0..<4 where keys[index] == key {
          values[index] = index == 3 ? try number(text, of: name) : try hundredths(text, of: name)
        }
      }
      let averages = PressureStatistics.Line(values)
      if kind.elementsEqual("some".utf8) { pressure.some = averages } else { pressure.full = averages }
    }
    return pressure
  }

  /// `12.34`, as the kernel writes it: always two digits behind the point.
  private func hundredths(_ text: ArraySlice<UInt8>, of name: String) throws(RuntimeError) -> UInt64 {
    let parts = CgroupText.split(text, on: 0x2E)
    guard parts.count == 2, parts[1].count == 2, let whole = CgroupText.unsigned(parts[0]), whole <= 1 << 32,
      let rest = CgroupText.unsigned(parts[1])
    else { throw malformed(name, text) }
    return whole * 100 + rest
  }
}
