package import JSON

extension Resources: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("devices", devices)
    writer.member("memory", memory)
    writer.member("cpu", cpu)
    writer.member("pids", pids)
    writer.member("blockIO", blockIO)
    writer.member("hugepageLimits", hugepageLimits)
    writer.member("network", network)
    writer.members("rdma", rdma)
    writer.members("unified", unified)
    writer.endObject()
  }
}

extension DeviceRule: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("allow", allow)
    writer.member("type", type)
    writer.member("major", major)
    writer.member("minor", minor)
    writer.member("access", access)
    writer.endObject()
  }
}

extension MemoryResources: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("limit", limit)
    writer.member("reservation", reservation)
    writer.member("swap", swap)
    writer.member("kernel", kernel)
    writer.member("kernelTCP", kernelTCP)
    writer.member("swappiness", swappiness)
    writer.member("disableOOMKiller", disableOOMKiller)
    writer.member("useHierarchy", useHierarchy)
    writer.member("checkBeforeUpdate", checkBeforeUpdate)
    writer.endObject()
  }
}

extension CPUResources: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("shares", shares)
    writer.member("quota", quota)
    writer.member("burst", burst)
    writer.member("period", period)
    writer.member("realtimeRuntime", realtimeRuntime)
    writer.member("realtimePeriod", realtimePeriod)
    writer.member("cpus", cpus)
    writer.member("mems", mems)
    writer.member("idle", idle)
    writer.endObject()
  }
}

extension PidsResources: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("limit", limit)
    writer.endObject()
  }
}

extension BlockIOResources: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("weight", weight)
    writer.member("leafWeight", leafWeight)
    writer.member("weightDevice", weightDevice)
    writer.member("throttleReadBpsDevice", throttleReadBpsDevice)
    writer.member("throttleWriteBpsDevice", throttleWriteBpsDevice)
    writer.member("throttleReadIOPSDevice", throttleReadIOPSDevice)
    writer.member("throttleWriteIOPSDevice", throttleWriteIOPSDevice)
    writer.endObject()
  }
}

extension WeightDevice: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("major", major)
    writer.member("minor", minor)
    writer.member("weight", weight)
    writer.member("leafWeight", leafWeight)
    writer.endObject()
  }
}

extension ThrottleDevice: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("major", major)
    writer.member("minor", minor)
    writer.member("rate", rate)
    writer.endObject()
  }
}

extension HugepageLimit: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("pageSize", pageSize)
    writer.member("limit", limit)
    writer.endObject()
  }
}

extension NetworkResources: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("classID", classID)
    writer.member("priorities", priorities)
    writer.endObject()
  }
}

extension InterfacePriority: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("name", name)
    writer.member("priority", priority)
    writer.endObject()
  }
}

extension RDMALimit: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("hcaHandles", hcaHandles)
    writer.member("hcaObjects", hcaObjects)
    writer.endObject()
  }
}
