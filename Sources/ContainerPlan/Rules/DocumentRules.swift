import Diagnostics
import JSON
import OCISpec

/// Rules about the document as a whole.
enum DocumentRules {
  /// What annotations say is somebody else's business.
  static func annotationNames(_ planner: inout Planner) throws(RuntimeError) {
    for annotation in planner.config.annotations ?? [] where annotation.name.isEmpty {
      try planner.report("an annotation must have a name", "/annotations/")
    }
  }

  /// The kernel ends a string at a NUL: what stands behind it would silently be lost.
  static func nul(_ planner: inout Planner) throws(RuntimeError) {
    let config = planner.config
    try planner.checkNul(config.root.path, "/root/path")
    try planner.checkNul(config.hostname, "/hostname")
    try planner.checkNul(config.domainname, "/domainname")
    for (index, mount) in (config.mounts ?? []).enumerated() {
      try planner.checkNul(mount.destination, "/mounts/\(index)/destination")
      try planner.checkNul(mount.source, "/mounts/\(index)/source")
      try planner.checkNul(mount.type, "/mounts/\(index)/type")
      try planner.checkNul(list: mount.options, "/mounts/\(index)/options")
    }
    try planner.checkNul(list: config.process?.args, "/process/args")
    try planner.checkNul(list: config.process?.env, "/process/env")
    try planner.checkNul(config.process?.cwd, "/process/cwd")
    try planner.checkNul(config.process?.apparmorProfile, "/process/apparmorProfile")
    try planner.checkNul(config.process?.selinuxLabel, "/process/selinuxLabel")
    try hooks(&planner)
    try linux(&planner)
  }

  private static func hooks(_ planner: inout Planner) throws(RuntimeError) {
    for kind in HookKind.allCases {
      for (index, hook) in (planner.config.hooks?.list(kind) ?? []).enumerated() {
        let field = "/hooks/\(kind.name)/\(index)"
        try planner.checkNul(hook.path, "\(field)/path")
        try planner.checkNul(list: hook.args, "\(field)/args")
        try planner.checkNul(list: hook.env, "\(field)/env")
      }
    }
  }

  private static func linux(_ planner: inout Planner) throws(RuntimeError) {
    let linux = planner.linux
    for (index, namespace) in (linux.namespaces ?? []).enumerated() {
      try planner.checkNul(namespace.path, "/linux/namespaces/\(index)/path")
    }
    try planner.checkNul(list: linux.maskedPaths, "/linux/maskedPaths")
    try planner.checkNul(list: linux.readonlyPaths, "/linux/readonlyPaths")
    for (index, device) in (linux.devices ?? []).enumerated() {
      try planner.checkNul(device.path, "/linux/devices/\(index)/path")
    }
    try planner.checkNul(linux.cgroupsPath, "/linux/cgroupsPath")
    try planner.checkNul(linux.mountLabel, "/linux/mountLabel")
    for entry in linux.sysctl ?? [] {
      try planner.checkNul(entry.name, "/linux/sysctl/\(escapeForPointer(entry.name))")
      try planner.checkNul(entry.value, "/linux/sysctl/\(escapeForPointer(entry.name))")
    }
    guard let rdt = linux.intelRdt else { return }
    try planner.checkNul(rdt.l3CacheSchema, "/linux/intelRdt/l3CacheSchema")
    try planner.checkNul(rdt.memBwSchema, "/linux/intelRdt/memBwSchema")
    try planner.checkNul(list: rdt.schemata, "/linux/intelRdt/schemata")
  }
}

extension Planner {
  fileprivate mutating func checkNul(
    _ text: String?, _ field: @autoclosure () -> String
  ) throws(RuntimeError) {
    if let text, text.utf8.contains(0) { try report("the text holds a NUL character", field()) }
  }

  fileprivate mutating func checkNul(
    list: [String]?, _ field: @autoclosure () -> String
  ) throws(RuntimeError) {
    for (index, text) in (list ?? []).enumerated() { try checkNul(text, "\(field())/\(index)") }
  }
}
