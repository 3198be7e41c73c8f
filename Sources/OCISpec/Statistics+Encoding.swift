package import JSON

// As Go's encoding/json writes runc's structures: some numbers are left out where they are 0, objects never.

extension JSONWriter {
  /// A number that is left out where it is 0.
  fileprivate mutating func count(_ name: StaticString, _ value: UInt64) {
    if value != 0 { member(name, value) }
  }

  /// A list that is left out where it is empty.
  fileprivate mutating func list<Value: JSONEncodable>(_ name: StaticString, _ values: [Value]) {
    if !values.isEmpty { member(name, values) }
  }

  fileprivate mutating func numbers(_ values: [NamedValue<UInt64>]) {
    for number in values {
      name(number.name)
      integer(number.value)
    }
  }

  fileprivate mutating func objects(_ name: StaticString, _ values: [[NamedValue<UInt64>]]) {
    if values.isEmpty { return }
    self.name(name.description)
    beginArray()
    for value in values {
      beginObject()
      numbers(value)
      endObject()
    }
    endArray()
  }
}

extension ContainerStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("cpu", cpu)
    writer.member("cpuset", cpuset)
    writer.member("memory", memory)
    writer.member("pids", pids)
    writer.member("blkio", blockIO)
    writer.members("hugetlb", hugePages)
    writer.member("intel_rdt", intelRdt)
    // runc has it for networks that it makes itself, which no configuration of the specification asks for.
    writer.name("network_interfaces")
    writer.null()
    writer.endObject()
  }
}

extension CPUStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.name("usage")
    writer.beginObject()
    writer.count("total", total)
    writer.list("percpu", perCPU)
    writer.list("percpu_kernel", perCPUKernel)
    writer.list("percpu_user", perCPUUser)
    writer.member("kernel", kernel)
    writer.member("user", user)
    writer.endObject()
    writer.name("throttling")
    writer.beginObject()
    writer.count("periods", periods)
    writer.count("throttledPeriods", throttledPeriods)
    writer.count("throttledTime", throttledTime)
    writer.endObject()
    writer.member("psi", pressure)
    writer.endObject()
  }
}

extension PressureStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("some", some)
    writer.member("full", full)
    writer.endObject()
  }
}

extension PressureStatistics.Line: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.name("avg10")
    writer.hundredths(average10)
    writer.name("avg60")
    writer.hundredths(average60)
    writer.name("avg300")
    writer.hundredths(average300)
    writer.member("total", total)
    writer.endObject()
  }
}

extension CpusetStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.list("cpus", cpus)
    writer.list("mems", mems)
    for (index, name) in CpusetStatistics.settingNames.enumerated() {
      writer.member(name, index < settings.count ? settings[index] : 0)
    }
    writer.endObject()
  }
}

extension MemoryUsage: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("limit", limit)
    writer.count("usage", usage)
    writer.count("max", peak)
    writer.member("failcnt", failures)
    writer.endObject()
  }
}

extension MemoryStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.count("cache", cache)
    writer.member("usage", usage)
    writer.member("swap", swap)
    writer.member("kernel", kernel)
    writer.member("kernelTCP", kernelTCP)
    if !raw.isEmpty {
      writer.name("raw")
      writer.beginObject()
      writer.numbers(raw)
      writer.endObject()
    }
    writer.member("psi", pressure)
    writer.endObject()
  }
}

extension PidsStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.count("current", current)
    writer.count("limit", limit)
    writer.endObject()
  }
}

extension BlockIOEntry: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.count("major", major)
    writer.count("minor", minor)
    writer.member("op", operation.isEmpty ? nil : operation)
    writer.count("value", value)
    writer.endObject()
  }
}

extension BlockIOStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    for table in tables {
      writer.name(table.name)
      table.value.encode(to: &writer)
    }
    writer.member("psi", pressure)
    writer.endObject()
  }
}

extension HugePageStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.count("usage", usage)
    writer.count("max", peak)
    writer.member("failcnt", failures)
    writer.endObject()
  }
}

extension IntelRdtStatistics.Resource: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("cbm_mask", mask.isEmpty ? nil : mask)
    writer.numbers(numbers)
    writer.endObject()
  }
}

extension IntelRdtStatistics: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("l3_cache_info", cache)
    writer.member("mem_bw_info", bandwidth)
    for schema in schemas {
      writer.name(schema.name)
      writer.string(schema.value)
    }
    writer.objects("mbm_stats", bandwidthUse)
    writer.objects("cmt_stats", cacheUse)
    writer.endObject()
  }
}

extension ContainerEvent {
  /// The line that `events` prints, without the line break behind it.
  public func document(id: String) -> [UInt8] {
    var writer = JSONWriter(.compact)
    writer.beginObject()
    switch self {
    case .statistics(let statistics):
      writer.member("type", "stats")
      writer.member("id", id)
      writer.member("data", statistics)
    case .outOfMemory:
      writer.member("type", "oom")
      writer.member("id", id)
    }
    writer.endObject()
    return writer.bytes
  }
}

extension ContainerExit: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    switch self {
    case .status(let status): writer.member("status", status)
    case .signal(let signal): writer.member("signal", signal)
    }
    writer.endObject()
  }
}

extension LimitEvents: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("oomKills", oomKills)
    writer.member("memoryLimitMet", isMemoryLimitMet)
    writer.member("pidsLimitHits", pidsLimitHits)
    writer.endObject()
  }
}
