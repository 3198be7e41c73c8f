import Diagnostics
import JSON
import LinuxABI
import OCISpec

/// Rules about `linux.sysctl`.
enum SysctlRules {
  static func names(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.sysctls where entry.path.isEmpty {
      try planner.report("`\(entry.name)` is no name of a kernel parameter", entry.field)
    }
  }

  static func once(_ planner: inout Planner) throws(RuntimeError) {
    var paths: Set<String> = []
    for entry in planner.sysctls where !entry.path.isEmpty && !paths.insert(entry.path).inserted {
      try planner.report("sysctl `\(entry.name)` stands there twice, in two forms", entry.field)
    }
  }

  static func namespaced(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.sysctls where !entry.path.isEmpty && entry.kind == nil {
      try planner.report(
        "sysctl `\(entry.name)` is not in a separate kernel namespace", entry.field,
        hint: "it would change the whole host; set it there")
    }
  }

  /// The two names of the host have properties of their own.
  static func conflicts(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.sysctls {
      if entry.path == "kernel/hostname" {
        try planner.report(
          "sysctl `\(entry.name)` conflicts with the property `hostname`", entry.field,
          hint: "set `hostname` instead")
      }
      if entry.path == "kernel/domainname", let name = planner.config.domainname, !name.isEmpty,
        name != entry.value
      {
        try planner.report(
          "sysctl `\(entry.name)` conflicts with the property `domainname`, which is `\(name)`", entry.field)
      }
    }
  }

  static func ownNamespace(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.sysctls {
      guard let kind = entry.kind, !planner.hasNamespace(kind) else { continue }
      try planner.reportHost(kind, "sysctl `\(entry.name)`", entry.field)
    }
  }
}

/// Rules about `linux.netDevices`.
enum NetDeviceRules {
  static func names(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.linux.netDevices ?? [] where !NetDevicePlan.isName(entry.name, mayBeTemplate: false) {
      try planner.report("`\(entry.name)` is no name of a network device", field(entry))
    }
  }

  static func newNames(_ planner: inout Planner) throws(RuntimeError) {
    for entry in planner.linux.netDevices ?? [] {
      guard let name = entry.value.name, !name.isEmpty, !NetDevicePlan.isName(name, mayBeTemplate: true) else {
        continue
      }
      try planner.report(
        "`\(name)` is no name of a network device", "\(field(entry))/name",
        hint: "a name has 1 to 15 bytes without spaces, `/` and `:`, and `%d` at most once")
    }
  }

  static func once(_ planner: inout Planner) throws(RuntimeError) {
    var names: [String] = []
    for entry in planner.linux.netDevices ?? [] {
      let name = NetDevicePlan.newName(entry)
      if name.utf8.contains(UInt8(ascii: "%")) { continue }
      if names.contains(name) {
        try planner.report("two network devices would be `\(name)` in the container", field(entry))
      }
      names.append(name)
    }
  }

  static func ownNamespace(_ planner: inout Planner) throws(RuntimeError) {
    guard let entry = planner.linux.netDevices?.first, !planner.hasNamespace(.network) else { return }
    try planner.reportHost(.network, "a network device", field(entry))
  }

  private static func field(_ entry: NamedValue<NetDevice>) -> String {
    "/linux/netDevices/\(escapeForPointer(entry.name))"
  }
}

extension Planner {
  /// Reports a change of a namespace that is the host's. One that is joined by path may still turn out to be it; the init
  /// stage, which opens it, then refuses.
  fileprivate mutating func reportHost(
    _ kind: NamespaceKind, _ what: String, _ field: String
  ) throws(RuntimeError) {
    try report(
      "\(what) is not allowed in the host's \(kind.ociName) namespace", field,
      hint: "add {\"type\": \"\(kind.ociName)\"} to `linux.namespaces`")
  }
}

/// Rules about `linux.devices`.
enum DeviceRules {
  static func paths(_ planner: inout Planner) throws(RuntimeError) {
    for (index, device) in (planner.linux.devices ?? []).enumerated() where device.path.utf8.first != 0x2F {
      try planner.report("`\(device.path)` must be an absolute path", "/linux/devices/\(index)/path")
    }
  }

  static func once(_ planner: inout Planner) throws(RuntimeError) {
    var paths: [String] = []
    for (index, device) in (planner.linux.devices ?? []).enumerated() {
      let path = planner.relative(device.path)
      if paths.contains(path) {
        try planner.report("`\(device.path)` stands twice in devices", "/linux/devices/\(index)/path")
      }
      paths.append(path)
    }
  }

  static func types(_ planner: inout Planner) throws(RuntimeError) {
    for (index, device) in (planner.linux.devices ?? []).enumerated()
    where DeviceNode.kind(device.type) == nil {
      try planner.report(
        "unknown device type `\(device.type)`", "/linux/devices/\(index)/type", hint: "expected c, b, u or p")
    }
  }

  /// The kernel has 12 bits for the major and 20 for the minor number; more would silently be another device.
  static func numbers(_ planner: inout Planner) throws(RuntimeError) {
    for (index, device) in (planner.linux.devices ?? []).enumerated() where device.type != "p" {
      for (number, limit, name) in [
        (device.major, DeviceNode.majorLimit, "major"), (device.minor, DeviceNode.minorLimit, "minor"),
      ] {
        if let number, number >= 0, number <= limit { continue }
        try planner.report(
          "a device needs a number from 0 to \(limit)", "/linux/devices/\(index)/\(name)")
      }
    }
  }
}

/// Rules about the paths and the propagation of the root file system.
enum RootRules {
  static func readonlyPaths(_ planner: inout Planner) throws(RuntimeError) {
    try planner.checkAbsolute(planner.linux.readonlyPaths, "/linux/readonlyPaths")
  }

  static func maskedPaths(_ planner: inout Planner) throws(RuntimeError) {
    try planner.checkAbsolute(planner.linux.maskedPaths, "/linux/maskedPaths")
  }

  static func propagation(_ planner: inout Planner) throws(RuntimeError) {
    guard let name = planner.linux.rootfsPropagation, !name.isEmpty, Propagation.parse(name) == nil else { return }
    try planner.report(
      "unknown propagation `\(name)`", "/linux/rootfsPropagation",
      hint: "expected shared, slave, private or unbindable, or one of them with an `r` in front")
  }
}

extension Planner {
  fileprivate mutating func checkAbsolute(
    _ paths: [String]?, _ field: String
  ) throws(RuntimeError) {
    for (index, path) in (paths ?? []).enumerated() where path.utf8.first != 0x2F {
      try report("`\(path)` must be an absolute path", "\(field)/\(index)")
    }
  }
}

/// Rules about `linux.intelRdt`. An empty text counts as none, as with runc.
enum IntelRdtRules {
  /// The text wants one line that begins with `L3:`, and not more than wants it.
  static func l3Schema(_ planner: inout Planner) throws(RuntimeError) {
    guard let schema = planner.linux.intelRdt?.l3CacheSchema, !schema.isEmpty else { return }
    if schema.utf8.starts(with: "L3:".utf8) && schema.utf8.split(separator: 0x0A).count <= 1 { return }
    try planner.report(
      "l3CacheSchema should be one line that begins with `L3:`", "/linux/intelRdt/l3CacheSchema")
  }

  static func memorySchema(_ planner: inout Planner) throws(RuntimeError) {
    guard let schema = planner.linux.intelRdt?.memBwSchema, !schema.isEmpty,
      !schema.utf8.starts(with: "MB:".utf8)
    else { return }
    try planner.report("`\(schema)` does not begin with `MB:`", "/linux/intelRdt/memBwSchema")
  }

  static func lines(_ planner: inout Planner) throws(RuntimeError) {
    guard let rdt = planner.linux.intelRdt else { return }
    let message = "a line break is not allowed here"
    if (rdt.memBwSchema ?? "").utf8.contains(0x0A) { try planner.report(message, "/linux/intelRdt/memBwSchema") }
    for (index, line) in (rdt.schemata ?? []).enumerated() where line.utf8.contains(0x0A) {
      try planner.report(message, "/linux/intelRdt/schemata/\(index)")
    }
  }

  /// Names that resctrl has itself are no classes.
  static func className(_ planner: inout Planner) throws(RuntimeError) {
    guard let closID = planner.linux.intelRdt?.closID, !closID.isEmpty, closID != "/" else { return }
    let isName = !closID.utf8.contains { $0 == 0x2F || $0 == 0x0A || $0 == 0 }
    if isName && ![".", "..", "info", "mon_groups", "mon_data"].contains(closID) { return }
    try planner.report(
      "`\(closID)` is no name of a class of service", "/linux/intelRdt/closID",
      hint: "expected the name of a folder, or `/` for the default class")
  }
}
