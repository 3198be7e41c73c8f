import Diagnostics
import LinuxABI
import OCISpec

/// Rules about `process`, which are followed for the process document of `exec` too.
enum ProcessRules {
  static func arguments(_ planner: inout Planner) throws(RuntimeError) {
    guard let process = planner.config.process, (process.args ?? []).isEmpty else { return }
    try planner.report("args must not be empty", "/process/args")
  }

  static func workingDirectory(_ planner: inout Planner) throws(RuntimeError) {
    guard let cwd = planner.config.process?.cwd, cwd.utf8.first != 0x2F else { return }
    try planner.report("Cwd must be an absolute path: `\(cwd)`", "/process/cwd")
  }

  static func umask(_ planner: inout Planner) throws(RuntimeError) {
    guard let umask = planner.config.process?.user.umask, umask > 0o777 else { return }
    try planner.report(
      "a umask of \(umask): it must not be above 511, which is 0777", "/process/user/umask")
  }

  static func environment(_ planner: inout Planner) throws(RuntimeError) {
    for (index, entry) in (planner.config.process?.env ?? []).enumerated()
    where Planner.variableName(entry) == nil {
      try planner.report("`\(entry)` is not of the form NAME=value", "/process/env/\(index)")
    }
  }

  static func consoleSize(_ planner: inout Planner) throws(RuntimeError) {
    // Without a terminal its size is nothing to look at (config.md, "Process").
    guard let process = planner.config.process, process.terminal == true, let size = process.consoleSize else { return }
    if size.height <= UInt16.max && size.width <= UInt16.max { return }
    try planner.report("a terminal has at most \(UInt16.max) rows and columns", "/process/consoleSize")
  }

  /// Unknown names are left out.
  static func capabilities(_ planner: inout Planner) throws(RuntimeError) {
    guard let sets = planner.config.process?.capabilities else { return }
    var unknown: [String] = []
    for set in [sets.bounding, sets.effective, sets.permitted, sets.inheritable, sets.ambient] {
      for name in set ?? [] where Capability(name: name) == nil && !unknown.contains(name) {
        unknown.append(name)
        try planner.report("unknown capability `\(name)` is ignored", "/process/capabilities")
      }
    }
  }

  static func limitTypes(_ planner: inout Planner) throws(RuntimeError) {
    for (index, limit) in (planner.config.process?.rlimits ?? []).enumerated()
    where Resource(name: limit.type) == nil {
      try planner.report("unknown resource limit `\(limit.type)`", "/process/rlimits/\(index)/type")
    }
  }

  static func limitsOnce(_ planner: inout Planner) throws(RuntimeError) {
    var seen: Set<UInt32> = []
    for (index, limit) in (planner.config.process?.rlimits ?? []).enumerated() {
      guard let resource = Resource(name: limit.type) else { continue }
      if seen.insert(UInt32(resource.rawValue)).inserted { continue }
      try planner.report("`\(limit.type)` stands twice in rlimits", "/process/rlimits/\(index)/type")
    }
  }

  static func limitOrder(_ planner: inout Planner) throws(RuntimeError) {
    for (index, limit) in (planner.config.process?.rlimits ?? []).enumerated() where limit.soft > limit.hard {
      try planner.report(
        "the soft limit \(limit.soft) is above the hard limit \(limit.hard)",
        "/process/rlimits/\(index)/soft")
    }
  }

  /// The maps of a namespace that is joined are not known before it is open.
  /// 4294967295 means, as (uid_t)-1, "leave it" to setresuid(2): the process would stay root.
  static func ids(_ planner: inout Planner) throws(RuntimeError) {
    guard let user = planner.config.process?.user else { return }
    try planner.checkID(user.uid, "/process/user/uid")
    try planner.checkID(user.gid, "/process/user/gid")
    for (index, gid) in (user.additionalGids ?? []).enumerated() {
      try planner.checkID(gid, "/process/user/additionalGids/\(index)")
    }
  }

  static func mappedIDs(_ planner: inout Planner) throws(RuntimeError) {
    let namespaces = planner.namespaces
    guard let user = planner.config.process?.user, namespaces.created.contains(.newUser) else { return }
    try planner.checkMapped(user.uid, namespaces.uidMap, "/process/user/uid")
    try planner.checkMapped(user.gid, namespaces.gidMap, "/process/user/gid")
    for (index, gid) in (user.additionalGids ?? []).enumerated() {
      try planner.checkMapped(gid, namespaces.gidMap, "/process/user/additionalGids/\(index)")
    }
  }

  static func notify(_ planner: inout Planner) throws(RuntimeError) {
    guard planner.config.process != nil, planner.input.notifyFolder != nil,
      !planner.namespaces.created.contains(.newMount)
    else { return }
    try planner.report(
      "NOTIFY_SOCKET is not passed on: that takes a mount namespace of the container's own", "")
  }
}

extension Planner {
  fileprivate mutating func checkID(_ id: UInt32, _ field: String) throws(RuntimeError) {
    if id == UInt32.max { try report("4294967295 is no id, the highest is 4294967294", field) }
  }

  fileprivate mutating func checkMapped(
    _ id: UInt32, _ map: [IDRange], _ field: String
  ) throws(RuntimeError) {
    // A map that is wrong itself has been reported, and so has what is no id.
    if map.isEmpty || id == UInt32.max || map.outside(id) != nil { return }
    try report("id \(id) is not mapped into the user namespace", field)
  }
}
