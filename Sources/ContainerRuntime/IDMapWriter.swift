import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// Writes the maps of a new user namespace (user_namespaces(7)) from outside.
///
/// Root may map every id. Others may map their own user and group alone; for more there are newuidmap(1) and newgidmap(1),
/// which have the privilege and look into /etc/subuid and /etc/subgid.
enum IDMapWriter {
  static func write(_ plan: ContainerPlan, pid: Int32) throws(RuntimeError) {
    let namespaces = plan.namespaces
    let user = Processes.effectiveUser()
    let proc = try describe(.idMapping, "cannot open /proc") { () throws(SystemError) in
      try ProcFileSystem.mounted()
    }
    if user == 0 || namespaces.uidMap.isAlone(user) {
      try write(namespaces.uidMap, pid, .users, proc)
    } else {
      try runHelper(namespaces.uidMap, pid, .users, user)
    }
    if user == 0 {
      try write(namespaces.gidMap, pid, .groups, proc)
    } else if namespaces.gidMap.isAlone(Processes.effectiveGroup()) {
      try denyGroups(plan, pid, proc)
      try write(namespaces.gidMap, pid, .groups, proc)
    } else {
      try runHelper(namespaces.gidMap, pid, .groups, user)
    }
  }

  /// Which of the two maps.
  private enum Kind {
    case users
    case groups

    var file: String { self == .users ? "uid_map" : "gid_map" }
    var field: String { self == .users ? "/linux/uidMappings" : "/linux/gidMappings" }
    var program: String { self == .users ? "newuidmap" : "newgidmap" }
    var subordinates: String { self == .users ? "/etc/subuid" : "/etc/subgid" }
  }

  private static func write(
    _ map: [IDRange], _ pid: Int32, _ kind: Kind, _ proc: borrowing ProcFileSystem
  ) throws(RuntimeError) {
    var text = ""
    for range in map { text += "\(range.inside) \(range.outside) \(range.count)\n" }
    do {
      // One write(2): the kernel takes the whole map at once or not at all.
      try proc.write("\(pid)/\(kind.file)", text)
    } catch {
      let hint =
        switch error.errno {
        // The plan has checked the ranges; the size of a page is the machine's.
        case .invalid:
          "the text of the map has \(text.utf8.count) bytes, and the kernel takes no more than fit into a page: join ranges"
        case .notPermitted: "the caller may not use these ids of the host"
        default: ""
        }
      throw error.because(.idMapping, "cannot write the id map", field: kind.field, hint: hint)
    }
  }

  /// The kernel lets nobody without privilege map a group before setgroups(2) is denied: leaving a group could give access
  /// to what is closed to its members.
  private static func denyGroups(
    _ plan: ContainerPlan, _ pid: Int32, _ proc: borrowing ProcFileSystem
  ) throws(RuntimeError) {
    if let agent = plan.agent, !agent.additionalGids.isEmpty {
      throw RuntimeError(
        .configInvalid, "without root and with a single group there are no supplementary groups",
        field: "/process/user/additionalGids", hint: "map a range of /etc/subgid, or leave the groups out")
    }
    do {
      try proc.write("\(pid)/setgroups", "deny")
    } catch {
      throw error.because(.idMapping, "cannot deny setgroups(2)", field: Kind.groups.field)
    }
  }

  private static func runHelper(
    _ map: [IDRange], _ pid: Int32, _ kind: Kind, _ user: UInt32
  ) throws(RuntimeError) {
    guard let path = ChildProgram.find(kind.program) else {
      throw RuntimeError(
        .idMapping, "`\(kind.program)` is not in a folder of PATH, and only it may map these ids for user \(user)",
        field: kind.field,
        hint: "install it (package uidmap or shadow-utils), or map one id only, the caller's own")
    }
    var arguments = [kind.program, "\(pid)"]
    for range in map { arguments += ["\(range.inside)", "\(range.outside)", "\(range.count)"] }
    let outcome: ChildOutcome
    do {
      outcome = try ChildProgram(
        path: path, arguments: arguments, environment: Environment.all(), input: [], timeout: 10_000
      ).run()
    } catch {
      throw error.because(.idMapping, "cannot run `\(path)`", field: kind.field)
    }
    if outcome.status == .exited(0) { return }
    let said = outcome.output.split(separator: 0x0A).last.map { ": \(String(decoding: $0, as: UTF8.self))" } ?? ""
    throw RuntimeError(
      .idMapping, "`\(path)` did not write the id map\(said)", field: kind.field,
      hint: "`\(kind.subordinates)` must give user \(user) every id that is mapped and not his own, subuid(5)")
  }
}

extension [IDRange] {
  /// The one map that needs no privilege.
  fileprivate func isAlone(_ id: UInt32) -> Bool {
    count == 1 && self[0].count == 1 && self[0].outside == id
  }
}
