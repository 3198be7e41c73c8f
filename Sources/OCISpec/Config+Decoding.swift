package import Diagnostics
package import JSON

extension Config: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var ociVersion: String?
    var root: Root?
    self.init(ociVersion: "", root: Root(path: ""))
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "ociVersion": ociVersion = try reader.version()
      case "root": root = try reader.value()
      case "mounts": mounts = try reader.value()
      case "process": process = try reader.value()
      case "hostname": hostname = try reader.value()
      case "domainname": domainname = try reader.value()
      case "hooks": hooks = try reader.value()
      case "annotations": annotations = try reader.namedValues()
      case "linux": linux = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.ociVersion = try reader.required(ociVersion, "ociVersion")
    self.root = try reader.required(root, "root")
  }
}

extension JSONReader {
  /// The version of the document. It is checked as soon as it is read: in a document of another major version
  /// everything else may look wrong.
  fileprivate mutating func version() throws(RuntimeError) -> String {
    let start = position
    let version = try string()
    guard OCIVersion.isSupported(version) else {
      var error = failure(
        "expected a version 1 of the specification such as `1.3.0`, found `\(version)`", at: start)
      error.code = .versionUnsupported
      throw error
    }
    return version
  }
}

extension Root: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var path: String?
    self.init(path: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "path": path = try reader.value()
      case "readonly": readonly = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.path = try reader.required(path, "path")
  }
}

extension Mount: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var destination: String?
    self.init(destination: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "destination": destination = try reader.value()
      case "type": type = try reader.value()
      case "source": source = try reader.value()
      case "options": options = try reader.value()
      case "uidMappings": uidMappings = try reader.value()
      case "gidMappings": gidMappings = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.destination = try reader.required(destination, "destination")
  }
}

extension Hooks: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "prestart": prestart = try reader.value()
      case "createRuntime": createRuntime = try reader.value()
      case "createContainer": createContainer = try reader.value()
      case "startContainer": startContainer = try reader.value()
      case "poststart": poststart = try reader.value()
      case "poststop": poststop = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension Hook: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var path: String?
    self.init(path: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "path": path = try reader.value()
      case "args": args = try reader.value()
      case "env": env = try reader.value()
      case "timeout": timeout = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.path = try reader.required(path, "path")
  }
}

extension Process: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var cwd: String?
    self.init(cwd: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "terminal": terminal = try reader.value()
      case "consoleSize": consoleSize = try reader.value()
      case "user": user = try reader.value()
      case "args": args = try reader.value()
      case "env": env = try reader.value()
      case "cwd": cwd = try reader.value()
      case "capabilities": capabilities = try reader.value()
      case "rlimits": rlimits = try reader.value()
      case "noNewPrivileges": noNewPrivileges = try reader.value()
      case "apparmorProfile": apparmorProfile = try reader.value()
      case "oomScoreAdj": oomScoreAdj = try reader.value()
      case "scheduler": scheduler = try reader.value()
      case "selinuxLabel": selinuxLabel = try reader.value()
      case "ioPriority": ioPriority = try reader.value()
      case "execCPUAffinity": execCPUAffinity = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.cwd = try reader.required(cwd, "cwd")
  }
}

extension ConsoleSize: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var height: UInt?
    var width: UInt?
    self.init(height: 0, width: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "height": height = try reader.value()
      case "width": width = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.height = try reader.required(height, "height")
    self.width = try reader.required(width, "width")
  }
}

extension User: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var uid: UInt32?
    var gid: UInt32?
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "uid": uid = try reader.value()
      case "gid": gid = try reader.value()
      case "umask": umask = try reader.value()
      case "additionalGids": additionalGids = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.uid = try reader.required(uid, "uid")
    self.gid = try reader.required(gid, "gid")
  }
}

extension Capabilities: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "bounding": bounding = try reader.value()
      case "effective": effective = try reader.value()
      case "inheritable": inheritable = try reader.value()
      case "permitted": permitted = try reader.value()
      case "ambient": ambient = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}

extension ResourceLimit: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var type: String?
    var soft: UInt64?
    var hard: UInt64?
    self.init(type: "", soft: 0, hard: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "type": type = try reader.value()
      case "soft": soft = try reader.value()
      case "hard": hard = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.type = try reader.required(type, "type")
    self.soft = try reader.required(soft, "soft")
    self.hard = try reader.required(hard, "hard")
  }
}

extension Scheduler: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var policy: String?
    self.init(policy: "")
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "policy": policy = try reader.value()
      case "nice": nice = try reader.value()
      case "priority": priority = try reader.value()
      case "flags": flags = try reader.value()
      case "runtime": runtime = try reader.value()
      case "deadline": deadline = try reader.value()
      case "period": period = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.policy = try reader.required(policy, "policy")
  }
}

extension IOPriority: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    var `class`: String?
    var priority: Int?
    self.init(class: "", priority: 0)
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "class": `class` = try reader.value()
      case "priority": priority = try reader.value()
      default: try reader.skipValue()
      }
    }
    self.`class` = try reader.required(`class`, "class")
    self.priority = try reader.required(priority, "priority")
  }
}

extension ExecCPUAffinity: JSONDecodable {
  package init(from reader: inout JSONReader) throws(RuntimeError) {
    self.init()
    try reader.beginObject()
    while let key = try reader.nextProperty() {
      switch key {
      case "initial": initial = try reader.value()
      case "final": final = try reader.value()
      default: try reader.skipValue()
      }
    }
  }
}
