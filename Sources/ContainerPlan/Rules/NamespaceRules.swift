import Diagnostics
import JSON
import LinuxABI
import OCISpec

/// Rules about `linux.namespaces` and what belongs to one namespace.
enum NamespaceRules {
  static func types(_ planner: inout Planner) throws(RuntimeError) {
    for (index, namespace) in (planner.linux.namespaces ?? []).enumerated()
    where NamespaceKind(ociName: namespace.type) == nil {
      try planner.report(
        "unknown namespace type `\(namespace.type)`", "/linux/namespaces/\(index)/type",
        hint: "expected pid, network, mount, ipc, uts, user, cgroup or time")
    }
  }

  static func once(_ planner: inout Planner) throws(RuntimeError) {
    var seen: CloneFlags = []
    for (index, namespace) in (planner.linux.namespaces ?? []).enumerated() {
      guard let kind = NamespaceKind(ociName: namespace.type) else { continue }
      if seen.contains(kind.cloneFlag) {
        try planner.report(
          "malformed spec file: duplicated ns `\(namespace.type)`", "/linux/namespaces/\(index)")
      }
      seen.formUnion(kind.cloneFlag)
    }
  }

  static func paths(_ planner: inout Planner) throws(RuntimeError) {
    for (index, namespace) in (planner.linux.namespaces ?? []).enumerated() {
      guard let path = namespace.path, !path.isEmpty, path.utf8.first != 0x2F else { continue }
      try planner.report("`\(path)` must be an absolute path", "/linux/namespaces/\(index)/path")
    }
  }

  // MARK: User namespaces

  static func mappingsNeedNamespace(_ planner: inout Planner) throws(RuntimeError) {
    if planner.hasNamespace(.user) || planner.hasPlaceholderMappings { return }
    for (mappings, field) in [
      (planner.linux.uidMappings, "/linux/uidMappings"), (planner.linux.gidMappings, "/linux/gidMappings"),
    ] where !(mappings ?? []).isEmpty {
      try planner.report("id mappings need a user namespace in `linux.namespaces`", field)
    }
  }

  static func namespaceNeedsMappings(_ planner: inout Planner) throws(RuntimeError) {
    guard planner.createsNamespace(.user) else { return }
    let hasUsers = !(planner.linux.uidMappings ?? []).isEmpty
    if hasUsers && !(planner.linux.gidMappings ?? []).isEmpty { return }
    try planner.report(
      "a new user namespace needs uidMappings and gidMappings",
      hasUsers ? "/linux/gidMappings" : "/linux/uidMappings")
  }

  static func mappings(_ planner: inout Planner) throws(RuntimeError) {
    if planner.hasPlaceholderMappings { return }
    planner.uidMap = try planner.ranges(planner.linux.uidMappings, "/linux/uidMappings")
    planner.gidMap = try planner.ranges(planner.linux.gidMappings, "/linux/gidMappings")
  }

  /// Nothing that a container needs may be made without one.
  static func withoutRoot(_ planner: inout Planner) throws(RuntimeError) {
    if planner.input.facts.effectiveUser == 0 || planner.hasNamespace(.user) { return }
    try planner.report(
      "without root a container needs a user namespace", "/linux/namespaces",
      hint: "add {\"type\": \"user\"} with uidMappings and gidMappings, as `spec --rootless` does")
  }

  // MARK: Time namespaces

  static func offsetsNeedNamespace(_ planner: inout Planner) throws(RuntimeError) {
    if (planner.linux.timeOffsets ?? []).isEmpty || planner.createsNamespace(.time) { return }
    try planner.report("time offsets need a time namespace in `linux.namespaces`", "/linux/timeOffsets")
  }

  static func clocks(_ planner: inout Planner) throws(RuntimeError) {
    for offset in planner.linux.timeOffsets ?? [] where offset.name != "monotonic" && offset.name != "boottime" {
      try planner.report(
        "unknown clock `\(offset.name)`", "/linux/timeOffsets/\(escapeForPointer(offset.name))",
        hint: "expected monotonic or boottime")
    }
  }

  static func nanoseconds(_ planner: inout Planner) throws(RuntimeError) {
    for offset in planner.linux.timeOffsets ?? [] {
      guard let nanoseconds = offset.value.nanosecs, nanoseconds >= 1_000_000_000 else { continue }
      try planner.report(
        "\(nanoseconds) nanoseconds are a second or more",
        "/linux/timeOffsets/\(escapeForPointer(offset.name))/nanosecs")
    }
  }

  // MARK: Settings that would change the host where the container shares its namespace

  static func hostname(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.uts, !(planner.config.hostname ?? "").isEmpty, "/hostname")
  }

  static func domainname(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.uts, !(planner.config.domainname ?? "").isEmpty, "/domainname")
  }

  static func mounts(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.mount, !(planner.config.mounts ?? []).isEmpty, "/mounts")
  }

  static func maskedPaths(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.mount, !(planner.linux.maskedPaths ?? []).isEmpty, "/linux/maskedPaths")
  }

  static func readonlyPaths(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.mount, !(planner.linux.readonlyPaths ?? []).isEmpty, "/linux/readonlyPaths")
  }

  static func rootfsPropagation(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.mount, !(planner.linux.rootfsPropagation ?? "").isEmpty, "/linux/rootfsPropagation")
  }

  static func devices(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.mount, !(planner.linux.devices ?? []).isEmpty, "/linux/devices")
  }

  static func readonlyRoot(_ planner: inout Planner) throws(RuntimeError) {
    try planner.needs(.mount, planner.config.root.readonly == true, "/root/readonly")
  }
}

extension Planner {
  func hasNamespace(_ kind: NamespaceKind) -> Bool {
    (linux.namespaces ?? []).contains { $0.type == kind.ociName }
  }

  func createsNamespace(_ kind: NamespaceKind) -> Bool {
    (linux.namespaces ?? []).contains { $0.type == kind.ociName && ($0.path ?? "").isEmpty }
  }

  fileprivate mutating func needs(
    _ kind: NamespaceKind, _ isUsed: Bool, _ field: String
  ) throws(RuntimeError) {
    if !isUsed || hasNamespace(kind) { return }
    try report(
      "this needs a \(kind.ociName) namespace of the container's own", field,
      hint: "add {\"type\": \"\(kind.ociName)\"} to `linux.namespaces`")
  }

  fileprivate mutating func ranges(
    _ mappings: [IDMapping]?, _ field: String
  ) throws(RuntimeError) -> [IDRange] {
    do {
      return try IDMappingCheck.ranges(mappings ?? [], field)
    } catch {
      try report(error)
      return []
    }
  }

  /// What Podman up to 5.6 writes next to a path, because old versions of runc wanted some mapping: it means none.
  var hasPlaceholderMappings: Bool {
    !createsNamespace(.user) && isPlaceholder(linux.uidMappings) && isPlaceholder(linux.gidMappings)
  }

  private func isPlaceholder(_ mappings: [IDMapping]?) -> Bool {
    guard let mappings, mappings.count == 1 else { return false }
    return mappings[0].containerID == 0 && mappings[0].hostID == 0 && mappings[0].size == 1
  }
}
