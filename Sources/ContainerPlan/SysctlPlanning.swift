import Diagnostics
import JSON
import LinuxABI
import OCISpec

extension Planner {
  /// `linux.sysctl`. Most of /proc/sys is about the whole host: only what a namespace has for itself may be set, and only
  /// where the container does not share that namespace with the host. What is not known to be so is refused.
  func planSysctls(_ namespaces: inout NamespacePlan) throws(RuntimeError) -> [InitStep] {
    var steps: [InitStep] = []
    var paths: Set<String> = []
    for entry in linux.sysctl ?? [] {
      let field = "/linux/sysctl/\(escapeForPointer(entry.name))"
      try refuseNul(entry.name, field)
      try refuseNul(entry.value, field)
      let path = try sysctlPath(entry.name, field)
      guard paths.insert(path).inserted else {
        throw RuntimeError(.configInvalid, "sysctl `\(entry.name)` stands there twice, in two forms", field: field)
      }
      guard let kind = namespace(of: path) else {
        throw RuntimeError(
          .configInvalid, "sysctl `\(entry.name)` is not in a separate kernel namespace", field: field,
          hint: "it would change the whole host; set it there")
      }
      try refuseConflict(path, entry, field)
      try namespaces.mayChange(kind, for: field) { "sysctl `\(entry.name)`" }
      steps.append(.sysctl(SysctlStep(path: path, value: entry.value, field: field)))
    }
    return steps
  }

  /// The path below /proc/sys. As in sysctl.d(5) the first of `.` and `/` is what separates; the other one then stands for
  /// itself (`net.ipv4.conf.eno2/100.rp_filter` and `net/ipv4/conf/eno2.100/rp_filter` are the same).
  private func sysctlPath(_ name: String, _ field: String) throws(RuntimeError) -> String {
    let (dot, slash) = (UInt8(ascii: "."), UInt8(ascii: "/"))
    var bytes = [UInt8](name.utf8)
    if bytes.first(where: { $0 == dot || $0 == slash }) == dot {
      for index in bytes.indices {
        if bytes[index] == dot {
          bytes[index] = slash
        } else if bytes[index] == slash {
          bytes[index] = dot
        }
      }
    }
    let parts = bytes.split(separator: slash, omittingEmptySubsequences: false)
    // `net/../kernel/core_pattern` begins like a parameter of the network and is none.
    let isClean = parts.allSatisfy { part in
      !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
    }
    guard isClean && parts.count > 1 else {
      throw RuntimeError(.configInvalid, "`\(name)` is no name of a kernel parameter", field: field)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The kind of namespace that has a value of its own for the parameter; nil for one that is the host's.
  private func namespace(of path: String) -> NamespaceKind? {
    switch path {
    case "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem", "kernel/shmall", "kernel/shmmax",
      "kernel/shmmni", "kernel/shm_rmid_forced":
      return .ipc
    case "kernel/hostname", "kernel/domainname":
      return .uts
    default:
      let path = path.utf8
      if path.starts(with: "fs/mqueue/".utf8) { return .ipc }
      if path.starts(with: "net/".utf8) { return .network }
      return path.starts(with: "user/".utf8) ? .user : nil
    }
  }

  /// The two names of the host have properties of their own.
  private func refuseConflict(
    _ path: String, _ entry: NamedValue<String>, _ field: String
  ) throws(RuntimeError) {
    if path == "kernel/hostname" {
      throw RuntimeError(
        .configInvalid, "sysctl `\(entry.name)` conflicts with the property `hostname`", field: field,
        hint: "set `hostname` instead")
    }
    if path == "kernel/domainname", let name = config.domainname, !name.isEmpty, name != entry.value {
      throw RuntimeError(
        .configInvalid, "sysctl `\(entry.name)` conflicts with the property `domainname`, which is `\(name)`",
        field: field)
    }
  }
}

extension NamespacePlan {
  /// Refuses a change of a namespace that is the host's. One that is joined by path may still turn out to be it; the init
  /// stage, which opens it, then refuses.
  mutating func mayChange(
    _ kind: NamespaceKind, for field: String, _ what: () -> String
  ) throws(RuntimeError) {
    if created.contains(kind.cloneFlag) { return }
    guard let index = joined.firstIndex(where: { $0.kind == kind.cloneFlag }) else {
      throw RuntimeError(
        .configInvalid, "\(what()) is not allowed in the host's \(kind.ociName) namespace", field: field,
        hint: "add {\"type\": \"\(kind.ociName)\"} to `linux.namespaces`")
    }
    if joined[index].changedBy.isEmpty { joined[index].changedBy = field }
  }
}
