import Diagnostics
import OCISpec

/// What a container gets of resctrl (config-linux.md, "IntelRdt").
public struct IntelRdtPlan: Sendable, Equatable {
  /// The class of service; nil is one of the container's own, named by its id; empty is the default class.
  public var closID: String?
  /// The lines of l3CacheSchema and memBwSchema, written together and first.
  public var schemas: [String]
  /// The lines of schemata, written last.
  public var schemata: [String]
  public var isMonitored: Bool

  public init(closID: String?, schemas: [String] = [], schemata: [String] = [], isMonitored: Bool = false) {
    self.closID = closID
    self.schemas = schemas
    self.schemata = schemata
    self.isMonitored = isMonitored
  }
}

extension Planner {
  /// An empty text counts as none, as with runc.
  mutating func planIntelRdt() throws(RuntimeError) -> IntelRdtPlan? {
    guard let rdt = linux.intelRdt else { return nil }
    let field = "/linux/intelRdt"
    let memory = rdt.memBwSchema ?? ""
    var schemas = planL3Schema(rdt.l3CacheSchema ?? "", hasMemorySchema: !memory.isEmpty)
    if !memory.isEmpty {
      guard memory.utf8.starts(with: "MB:".utf8) else {
        throw RuntimeError(
          .configInvalid, "`\(memory)` does not begin with `MB:`", field: "\(field)/memBwSchema")
      }
      try refuseBreaks(memory, "\(field)/memBwSchema")
      schemas.append(memory)
    }
    for (index, line) in (rdt.schemata ?? []).enumerated() {
      try refuseBreaks(line, "\(field)/schemata/\(index)")
    }
    try refuseNul(rdt.l3CacheSchema ?? "", "\(field)/l3CacheSchema")
    return IntelRdtPlan(
      closID: try planClass(rdt.closID ?? "", "\(field)/closID"), schemas: schemas,
      schemata: (rdt.schemata ?? []).filter { !$0.isEmpty }, isMonitored: rdt.enableMonitoring ?? false)
  }

  /// Names that resctrl has itself are no classes.
  private func planClass(_ closID: String, _ field: String) throws(RuntimeError) -> String? {
    if closID.isEmpty { return nil }
    if closID == "/" { return "" }
    let isName = !closID.utf8.contains { $0 == 0x2F || $0 == 0x0A || $0 == 0 }
    guard isName, ![".", "..", "info", "mon_groups", "mon_data"].contains(closID) else {
      throw RuntimeError(
        .configInvalid, "`\(closID)` is no name of a class of service", field: field,
        hint: "expected the name of a folder, or `/` for the default class")
    }
    return closID
  }

  /// The text wants one line that begins with `L3:`, and not more than wants it. A line of memory bandwidth in it gives way
  /// to memBwSchema.
  private mutating func planL3Schema(_ schema: String, hasMemorySchema: Bool) -> [String] {
    if schema.isEmpty { return [] }
    let lines = schema.utf8.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
    if lines.count > 1 || !schema.utf8.starts(with: "L3:".utf8) {
      warnings.append("l3CacheSchema should be one line that begins with `L3:` (at `/linux/intelRdt/l3CacheSchema`)")
    }
    return lines.filter { !(hasMemorySchema && $0.utf8.starts(with: "MB:".utf8)) }
  }

  private func refuseBreaks(_ line: String, _ field: String) throws(RuntimeError) {
    try refuseNul(line, field)
    if line.utf8.contains(0x0A) {
      throw RuntimeError(.configInvalid, "a line break is not allowed here", field: field)
    }
  }
}
