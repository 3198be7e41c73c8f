package import Diagnostics
package import JSON

extension Resources: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "devices": devices = try reader.value()
      case "memory": memory = try reader.value()
      case "cpu": cpu = try reader.value()
      case "pids": pids = try reader.value()
      case "blockIO": blockIO = try reader.value()
      case "hugepageLimits": hugepageLimits = try reader.value()
      case "network": network = try reader.value()
      case "rdma": rdma = try reader.namedValues()
      case "unified": unified = try reader.namedValues()
      default: try reader.skipValue()
      }
    }
  }
}

extension DeviceRule: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var allow: Bool?
    self.init(allow: false)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "allow": allow = try reader.value()
      case "type": type = try reader.value()
      case "major": major = try reader.value()
      case "minor": minor = try reader.value()
      case "access": access = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.allow = try reader.required(allow, "allow")
  }
}

extension MemoryResources: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "limit": limit = try reader.value()
      case "reservation": reservation = try reader.value()
      case "swap": swap = try reader.value()
      case "kernel": kernel = try reader.value()
      case "kernelTCP": kernelTCP = try reader.value()
      case "swappiness": swappiness = try reader.value()
      case "disableOOMKiller": disableOOMKiller = try reader.value()
      case "useHierarchy": useHierarchy = try reader.value()
      case "checkBeforeUpdate": checkBeforeUpdate = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension CPUResources: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "shares": shares = try reader.value()
      case "quota": quota = try reader.value()
      case "burst": burst = try reader.value()
      case "period": period = try reader.value()
      case "realtimeRuntime": realtimeRuntime = try reader.value()
      case "realtimePeriod": realtimePeriod = try reader.value()
      case "cpus": cpus = try reader.value()
      case "mems": mems = try reader.value()
      case "idle": idle = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension PidsResources: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "limit": limit = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension BlockIOResources: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "weight": weight = try reader.value()
      case "leafWeight": leafWeight = try reader.value()
      case "weightDevice": weightDevice = try reader.value()
      case "throttleReadBpsDevice": throttleReadBpsDevice = try reader.value()
      case "throttleWriteBpsDevice": throttleWriteBpsDevice = try reader.value()
      case "throttleReadIOPSDevice": throttleReadIOPSDevice = try reader.value()
      case "throttleWriteIOPSDevice": throttleWriteIOPSDevice = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension WeightDevice: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var major: Int64?
    var minor: Int64?
    self.init(major: 0, minor: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "major": major = try reader.value()
      case "minor": minor = try reader.value()
      case "weight": weight = try reader.value()
      case "leafWeight": leafWeight = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.major = try reader.required(major, "major")
    self.minor = try reader.required(minor, "minor")
  }
}

extension ThrottleDevice: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var major: Int64?
    var minor: Int64?
    var rate: UInt64?
    self.init(major: 0, minor: 0, rate: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "major": major = try reader.value()
      case "minor": minor = try reader.value()
      case "rate": rate = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.major = try reader.required(major, "major")
    self.minor = try reader.required(minor, "minor")
    self.rate = try reader.required(rate, "rate")
  }
}

extension HugepageLimit: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var pageSize: String?
    var limit: UInt64?
    self.init(pageSize: "", limit: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "pageSize": pageSize = try reader.value()
      case "limit": limit = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.pageSize = try reader.required(pageSize, "pageSize")
    self.limit = try reader.required(limit, "limit")
  }
}

extension NetworkResources: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "classID": classID = try reader.value()
      case "priorities": priorities = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension InterfacePriority: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var name: String?
    var priority: UInt32?
    self.init(name: "", priority: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "name": name = try reader.value()
      case "priority": priority = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.name = try reader.required(name, "name")
    self.priority = try reader.required(priority, "priority")
  }
}

extension RDMALimit: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "hcaHandles": hcaHandles = try reader.value()
      case "hcaObjects": hcaObjects = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}
