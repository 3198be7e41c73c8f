package import JSON

extension State: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("ociVersion", ociVersion)
    writer.member("id", id)
    writer.member("status", status)
    writer.member("pid", pid)
    writer.member("bundle", bundle)
    writer.members("annotations", annotations)
    writer.endObject()
  }
}

extension ContainerProcessState: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("ociVersion", ociVersion)
    writer.member("fds", fds)
    writer.member("pid", pid)
    writer.member("metadata", metadata)
    writer.member("state", state)
    writer.endObject()
  }
}

extension ContainerState: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("ociVersion", ociVersion)
    writer.member("id", id)
    writer.member("pid", pid)
    writer.member("status", status)
    writer.member("bundle", bundle)
    writer.member("rootfs", rootfs)
    writer.member("created", created)
    writer.members("annotations", annotations)
    writer.member("owner", owner)
    writer.member("systemd-scope", systemdScope)
    writer.member("exit", exit)
    writer.member("limitEvents", limitEvents)
    writer.member("landlock", landlock)
    writer.endObject()
  }
}

extension LandlockState: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("abi", abi)
    writer.member("leftOut", leftOut)
    writer.endObject()
  }
}

extension Features: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("ociVersionMin", ociVersionMin)
    writer.member("ociVersionMax", ociVersionMax)
    writer.member("hooks", hooks)
    writer.member("mountOptions", mountOptions)
    writer.member("linux", linux)
    writer.members("annotations", annotations)
    writer.member("potentiallyUnsafeConfigAnnotations", potentiallyUnsafeConfigAnnotations)
    writer.endObject()
  }
}

extension LinuxFeatures: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("namespaces", namespaces)
    writer.member("capabilities", capabilities)
    writer.member("cgroup", cgroup)
    writer.member("seccomp", seccomp)
    writer.member("apparmor", apparmor)
    writer.member("selinux", selinux)
    writer.member("intelRdt", intelRdt)
    writer.member("memoryPolicy", memoryPolicy)
    writer.member("mountExtensions", mountExtensions)
    writer.member("netDevices", netDevices)
    writer.endObject()
  }
}

extension EnabledFeature: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("enabled", enabled)
    writer.endObject()
  }
}

extension CgroupFeatures: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("v1", v1)
    writer.member("v2", v2)
    writer.member("systemd", systemd)
    writer.member("systemdUser", systemdUser)
    writer.member("rdma", rdma)
    writer.endObject()
  }
}

extension SeccompFeatures: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("enabled", enabled)
    writer.member("actions", actions)
    writer.member("operators", operators)
    writer.member("archs", archs)
    writer.member("knownFlags", knownFlags)
    writer.member("supportedFlags", supportedFlags)
    writer.endObject()
  }
}

extension IntelRDTFeatures: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("enabled", enabled)
    writer.member("schemata", schemata)
    writer.member("monitoring", monitoring)
    writer.endObject()
  }
}

extension MemoryPolicyFeatures: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("modes", modes)
    writer.member("flags", flags)
    writer.endObject()
  }
}

extension MountExtensionFeatures: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("idmap", idmap)
    writer.endObject()
  }
}
