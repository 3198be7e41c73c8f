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
  func planIntelRdt() -> IntelRdtPlan? {
    guard let rdt = linux.intelRdt else { return nil }
    let memory = rdt.memBwSchema ?? ""
    // A line of memory bandwidth in the schema of the cache gives way to memBwSchema.
    var schemas = (rdt.l3CacheSchema ?? "").utf8.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
    if !memory.isEmpty {
      schemas.removeAll { $0.utf8.starts(with: "MB:".utf8) }
      schemas.append(memory)
    }
    let closID = rdt.closID ?? ""
    return IntelRdtPlan(
      closID: closID.isEmpty ? nil : closID == "/" ? "" : closID, schemas: schemas,
      schemata: (rdt.schemata ?? []).filter { !$0.isEmpty }, isMonitored: rdt.enableMonitoring ?? false)
  }
}
