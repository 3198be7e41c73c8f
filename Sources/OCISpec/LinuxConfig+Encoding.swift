package import JSON

extension LinuxConfig: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("uidMappings", uidMappings)
    writer.member("gidMappings", gidMappings)
    writer.members("sysctl", sysctl)
    writer.member("resources", resources)
    writer.member("cgroupsPath", cgroupsPath)
    writer.member("namespaces", namespaces)
    writer.member("devices", devices)
    writer.members("netDevices", netDevices)
    writer.member("seccomp", seccomp)
    writer.member("rootfsPropagation", rootfsPropagation)
    writer.member("maskedPaths", maskedPaths)
    writer.member("readonlyPaths", readonlyPaths)
    writer.member("mountLabel", mountLabel)
    writer.member("intelRdt", intelRdt)
    writer.member("memoryPolicy", memoryPolicy)
    writer.member("personality", personality)
    writer.members("timeOffsets", timeOffsets)
    writer.endObject()
  }
}

extension Namespace: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("type", type)
    writer.member("path", path)
    writer.endObject()
  }
}

extension IDMapping: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("containerID", containerID)
    writer.member("hostID", hostID)
    writer.member("size", size)
    writer.endObject()
  }
}

extension TimeOffset: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("secs", secs)
    writer.member("nanosecs", nanosecs)
    writer.endObject()
  }
}

extension Device: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("path", path)
    writer.member("type", type)
    writer.member("major", major)
    writer.member("minor", minor)
    writer.member("fileMode", fileMode)
    writer.member("uid", uid)
    writer.member("gid", gid)
    writer.endObject()
  }
}

extension NetDevice: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("name", name)
    writer.endObject()
  }
}

extension IntelRDT: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("closID", closID)
    writer.member("schemata", schemata)
    writer.member("l3CacheSchema", l3CacheSchema)
    writer.member("memBwSchema", memBwSchema)
    writer.member("enableMonitoring", enableMonitoring)
    writer.endObject()
  }
}

extension MemoryPolicy: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("mode", mode)
    writer.member("nodes", nodes)
    writer.member("flags", flags)
    writer.endObject()
  }
}

extension Personality: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("domain", domain)
    writer.member("flags", flags)
    writer.endObject()
  }
}

extension SeccompProfile: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("defaultAction", defaultAction)
    writer.member("defaultErrnoRet", defaultErrnoRet)
    writer.member("architectures", architectures)
    writer.member("flags", flags)
    writer.member("listenerPath", listenerPath)
    writer.member("listenerMetadata", listenerMetadata)
    writer.member("syscalls", syscalls)
    writer.endObject()
  }
}

extension SeccompRule: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("names", names)
    writer.member("action", action)
    writer.member("errnoRet", errnoRet)
    writer.member("args", args)
    writer.endObject()
  }
}

extension SeccompArgument: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("index", index)
    writer.member("value", value)
    writer.member("valueTwo", valueTwo)
    writer.member("op", op)
    writer.endObject()
  }
}
