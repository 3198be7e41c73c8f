import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// Looks at the maps of a user namespace that was joined, by stage 1 or by a container that runs. From outside: a process in it would read the ids of its
/// parent namespace, which need not be the runtime's.
enum IDMapReader {
  /// Throws for what the configuration wants and the namespace does not have; answers the map of the users.
  static func check(
    _ namespace: JoinedNamespace, _ plan: ContainerPlan, pid: Int32
  ) throws(RuntimeError) -> [IDRange] {
    let field = "/linux/namespaces/\(namespace.index)/path"
    let proc = try describe(.idMapping, "cannot open /proc") { () throws(SystemError) in
      try ProcFileSystem.mounted()
    }
    let (uidMap, gidMap) = try read(pid: pid, proc, field)
    // Stage 1 becomes root of it, as what is made during the set-up is root's.
    for (map, name) in [(uidMap, "user"), (gidMap, "group")] where map.outside(0) == nil {
      throw RuntimeError(
        .idMapping, "the user namespace `\(namespace.path)` has no \(name) 0", field: field,
        hint: "the root file system is set up by the root of the namespace; map one")
    }
    try compare(plan.namespaces.uidMap, uidMap, namespace, "/linux/uidMappings")
    try compare(plan.namespaces.gidMap, gidMap, namespace, "/linux/gidMappings")
    guard let agent = plan.agent else { return uidMap }
    try agent.checkMapped(uidMap: uidMap, gidMap: gidMap)
    if agent.additionalGids.isEmpty { return uidMap }
    let groups = try describe(.idMapping, "cannot read whether groups may be set", field: field) {
      () throws(SystemError) in
      try proc.read("\(pid)/setgroups")
    }
    if groups.starts(with: "deny".utf8) {
      throw RuntimeError(
        .configInvalid, "the user namespace `\(namespace.path)` allows no supplementary groups",
        field: "/process/user/additionalGids", hint: "setgroups(2) is denied in it, see user_namespaces(7)")
    }
    return uidMap
  }

  /// The maps of the users and of the groups in the user namespace of a process.
  static func read(pid: Int32, field: String) throws(RuntimeError) -> (uidMap: [IDRange], gidMap: [IDRange]) {
    let proc = try describe(.idMapping, "cannot open /proc") { () throws(SystemError) in
      try ProcFileSystem.mounted()
    }
    return try read(pid: pid, proc, field)
  }

  private static func read(
    pid: Int32, _ proc: borrowing ProcFileSystem, _ field: String
  ) throws(RuntimeError) -> (uidMap: [IDRange], gidMap: [IDRange]) {
    let uidMap = try read("uid_map", pid, proc, field)
    return (uidMap, try read("gid_map", pid, proc, field))
  }

  private static func read(
    _ file: String, _ pid: Int32, _ proc: borrowing ProcFileSystem, _ field: String
  ) throws(RuntimeError) -> [IDRange] {
    let text = try describe(.idMapping, "cannot read the id map of the user namespace", field: field) {
      () throws(SystemError) in
      try proc.read("\(pid)/\(file)")
    }
    return parse(text)
  }

  /// Lines of three numbers, as user_namespaces(7) has them.
  static func parse(_ text: [UInt8]) -> [IDRange] {
    var ranges: [IDRange] = []
    for line in text.split(separator: 0x0A) {
      let numbers = line.split(separator: 0x20).map { word in
        word.reduce(UInt32(0)) { $0 &* 10 &+ UInt32($1 &- 0x30) }
      }
      if numbers.count == 3 {
        ranges.append(IDRange(inside: numbers[0], outside: numbers[1], count: numbers[2]))
      }
    }
    return ranges
  }

  /// Managers write the mappings next to the path. They change nothing, so they must say what is there anyway.
  private static func compare(
    _ wanted: [IDRange], _ found: [IDRange], _ namespace: JoinedNamespace, _ field: String
  ) throws(RuntimeError) {
    // The kernel answers a long map in the order of the ids.
    func sorted(_ map: [IDRange]) -> [IDRange] { map.sorted { $0.inside < $1.inside } }
    if wanted.isEmpty || sorted(wanted) == sorted(found) { return }
    var text = ""
    for range in found.prefix(5) {
      text += "\(text.isEmpty ? "" : ", ")\(range.inside) \(range.outside) \(range.count)"
    }
    throw RuntimeError(
      .configInvalid, "the user namespace `\(namespace.path)` has other mappings: `\(text)`", field: field,
      hint: "leave the mappings out where the namespace is given by its path")
  }
}
