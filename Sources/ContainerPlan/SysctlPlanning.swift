import Diagnostics
import JSON
import LinuxABI
import OCISpec

/// An entry of `linux.sysctl` whose name is read.
struct SysctlEntry {
  let name: String
  let value: String
  /// Relative to /proc/sys; empty where the name is none of a kernel parameter.
  let path: String
  /// The kind of namespace that has a value of its own; nil for what is the whole host's.
  let kind: NamespaceKind?

  static func read(_ sysctls: [NamedValue<String>]) -> [SysctlEntry] {
    sysctls.map { entry in
      let path = path(of: entry.name)
      return SysctlEntry(name: entry.name, value: entry.value, path: path, kind: namespace(of: path))
    }
  }

  var field: String { "/linux/sysctl/\(escapeForPointer(name))" }

  /// The path below /proc/sys, empty for a name that is none. As in sysctl.d(5) the first of `.` and `/` is what separates; the other one then stands for
  /// itself (`net.ipv4.conf.eno2/100.rp_filter` and `net/ipv4/conf/eno2.100/rp_filter` are the same).
  private static func path(of name: String) -> String {
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
    guard isClean && parts.count > 1 else { return "" }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The kind of namespace that has a value of its own for the parameter; nil for one that is the host's.
  private static func namespace(of path: String) -> NamespaceKind? {
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
}

extension Planner {
  /// `linux.sysctl`. Most of /proc/sys is about the whole host: only what a namespace has for itself may be set, and only
  /// where the container does not share that namespace with the host. What is not known to be so is refused.
  mutating func planSysctls() -> [InitStep] {
    var steps: [InitStep] = []
    for entry in sysctls {
      guard let kind = entry.kind else { continue }
      namespaces.willChange(kind, for: entry.field)
      steps.append(.sysctl(SysctlStep(path: entry.path, value: entry.value, field: entry.field)))
    }
    return steps
  }
}

extension NamespacePlan {
  /// Notes who changes a namespace that is joined: it must not turn out to be the host's.
  mutating func willChange(_ kind: NamespaceKind, for field: String) {
    for index in joined.indices where joined[index].kind == kind.cloneFlag && joined[index].changedBy.isEmpty {
      joined[index].changedBy = field
    }
  }
}
