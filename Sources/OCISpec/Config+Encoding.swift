package import JSON

extension Config: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("ociVersion", ociVersion)
    writer.member("process", process)
    writer.member("root", root)
    writer.member("hostname", hostname)
    writer.member("domainname", domainname)
    writer.member("mounts", mounts)
    writer.member("hooks", hooks)
    writer.members("annotations", annotations)
    writer.member("linux", linux)
    writer.endObject()
  }
}

extension Root: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("path", path)
    writer.member("readonly", readonly)
    writer.endObject()
  }
}

extension Mount: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("destination", destination)
    writer.member("type", type)
    writer.member("source", source)
    writer.member("options", options)
    writer.member("uidMappings", uidMappings)
    writer.member("gidMappings", gidMappings)
    writer.endObject()
  }
}

extension Hooks: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("prestart", prestart)
    writer.member("createRuntime", createRuntime)
    writer.member("createContainer", createContainer)
    writer.member("startContainer", startContainer)
    writer.member("poststart", poststart)
    writer.member("poststop", poststop)
    writer.endObject()
  }
}

extension Hook: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("path", path)
    writer.member("args", args)
    writer.member("env", env)
    writer.member("timeout", timeout)
    writer.endObject()
  }
}

extension Process: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("terminal", terminal)
    writer.member("consoleSize", consoleSize)
    writer.member("user", user)
    writer.member("args", args)
    writer.member("env", env)
    writer.member("cwd", cwd)
    writer.member("capabilities", capabilities)
    writer.member("rlimits", rlimits)
    writer.member("noNewPrivileges", noNewPrivileges)
    writer.member("apparmorProfile", apparmorProfile)
    writer.member("oomScoreAdj", oomScoreAdj)
    writer.member("scheduler", scheduler)
    writer.member("selinuxLabel", selinuxLabel)
    writer.member("ioPriority", ioPriority)
    writer.member("execCPUAffinity", execCPUAffinity)
    writer.endObject()
  }
}

extension ConsoleSize: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("height", height)
    writer.member("width", width)
    writer.endObject()
  }
}

extension User: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("uid", uid)
    writer.member("gid", gid)
    writer.member("umask", umask)
    writer.member("additionalGids", additionalGids)
    writer.endObject()
  }
}

extension Capabilities: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("bounding", bounding)
    writer.member("effective", effective)
    writer.member("inheritable", inheritable)
    writer.member("permitted", permitted)
    writer.member("ambient", ambient)
    writer.endObject()
  }
}

extension ResourceLimit: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("type", type)
    writer.member("hard", hard)
    writer.member("soft", soft)
    writer.endObject()
  }
}

extension Scheduler: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("policy", policy)
    writer.member("nice", nice)
    writer.member("priority", priority)
    writer.member("flags", flags)
    writer.member("runtime", runtime)
    writer.member("deadline", deadline)
    writer.member("period", period)
    writer.endObject()
  }
}

extension IOPriority: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("class", `class`)
    writer.member("priority", priority)
    writer.endObject()
  }
}

extension ExecCPUAffinity: JSONEncodable {
  package func encode(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.member("initial", initial)
    writer.member("final", final)
    writer.endObject()
  }
}
