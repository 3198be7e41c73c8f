package import Diagnostics
package import JSON

extension LinuxConfig: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "namespaces": namespaces = try reader.value()
      case "uidMappings": uidMappings = try reader.value()
      case "gidMappings": gidMappings = try reader.value()
      case "timeOffsets": timeOffsets = try reader.namedValues()
      case "devices": devices = try reader.value()
      case "netDevices": netDevices = try reader.namedValues()
      case "cgroupsPath": cgroupsPath = try reader.value()
      case "resources": resources = try reader.value()
      case "intelRdt": intelRdt = try reader.value()
      case "memoryPolicy": memoryPolicy = try reader.value()
      case "sysctl": sysctl = try reader.namedValues()
      case "seccomp": seccomp = try reader.value()
      case "rootfsPropagation": rootfsPropagation = try reader.value()
      case "maskedPaths": maskedPaths = try reader.value()
      case "readonlyPaths": readonlyPaths = try reader.value()
      case "mountLabel": mountLabel = try reader.value()
      case "personality": personality = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension Namespace: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var type: String?
    self.init(type: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "type": type = try reader.value()
      case "path": path = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.type = try reader.required(type, "type")
  }
}

extension IDMapping: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var containerID: UInt32?
    var hostID: UInt32?
    var size: UInt32?
    self.init(containerID: 0, hostID: 0, size: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "containerID": containerID = try reader.value()
      case "hostID": hostID = try reader.value()
      case "size": size = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.containerID = try reader.required(containerID, "containerID")
    self.hostID = try reader.required(hostID, "hostID")
    self.size = try reader.required(size, "size")
  }
}

extension TimeOffset: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "secs": secs = try reader.value()
      case "nanosecs": nanosecs = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension Device: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var type: String?
    var path: String?
    self.init(type: "", path: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "type": type = try reader.value()
      case "path": path = try reader.value()
      case "major": major = try reader.value()
      case "minor": minor = try reader.value()
      case "fileMode": fileMode = try reader.value()
      case "uid": uid = try reader.value()
      case "gid": gid = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.type = try reader.required(type, "type")
    self.path = try reader.required(path, "path")
    if type != "p" {
      _ = try reader.required(major, "major")
      _ = try reader.required(minor, "minor")
    }
  }
}

extension NetDevice: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "name": name = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension IntelRDT: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "closID": closID = try reader.value()
      case "schemata": schemata = try reader.value()
      case "l3CacheSchema": l3CacheSchema = try reader.value()
      case "memBwSchema": memBwSchema = try reader.value()
      case "enableMonitoring": enableMonitoring = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension MemoryPolicy: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var mode: String?
    self.init(mode: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "mode": mode = try reader.value()
      case "nodes": nodes = try reader.value()
      case "flags": flags = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.mode = try reader.required(mode, "mode")
  }
}

extension Personality: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var domain: String?
    self.init(domain: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "domain": domain = try reader.value()
      case "flags": flags = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.domain = try reader.required(domain, "domain")
  }
}

extension SeccompProfile: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var defaultAction: String?
    self.init(defaultAction: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "defaultAction": defaultAction = try reader.value()
      case "defaultErrnoRet": defaultErrnoRet = try reader.value()
      case "architectures": architectures = try reader.value()
      case "flags": flags = try reader.value()
      case "listenerPath": listenerPath = try reader.value()
      case "listenerMetadata": listenerMetadata = try reader.value()
      case "syscalls": syscalls = try reader.value()
      default: try reader.skipValue()
      }
    }
    // Without rules either, it is a profile that says nothing: none, as in runc.
    if defaultAction == nil && (syscalls ?? []).isEmpty { return }
    self.defaultAction = try reader.required(defaultAction, "defaultAction")
  }
}

extension SeccompRule: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var names: [String]?
    var action: String?
    self.init(names: [], action: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "names": names = try reader.value()
      case "action": action = try reader.value()
      case "errnoRet": errnoRet = try reader.value()
      case "args": args = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.names = try reader.required(names, "names")
    self.action = try reader.required(action, "action")
  }
}

extension SeccompArgument: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var index: UInt?
    var value: UInt64?
    var op: String?
    self.init(index: 0, value: 0, op: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "index": index = try reader.value()
      case "value": value = try reader.value()
      case "valueTwo": valueTwo = try reader.value()
      case "op": op = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.index = try reader.required(index, "index")
    self.value = try reader.required(value, "value")
    self.op = try reader.required(op, "op")
  }
}
