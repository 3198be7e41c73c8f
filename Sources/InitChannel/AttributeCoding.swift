import ContainerPlan

extension ProcessAttributes {
  func encode(to writer: inout WireWriter) {
    // An absent value is an empty list, a present one a list of one.
    writer.put(list: oomScoreAdjustment.map { [$0] } ?? []) { $0.put($1) }
    writer.put(list: scheduler.map { [$0] } ?? []) {
      $0.put($1.policy)
      $0.put($1.flags)
      $0.put($1.nice)
      $0.put($1.priority)
      for value in [$1.runtime, $1.deadline, $1.period] { $0.put(value) }
    }
    writer.put(ioPriority.map { [$0] } ?? [])
    writer.put(personality.map { [$0] } ?? [])
    // Only the mode is always there: the nodes follow it.
    writer.put(memoryPolicy.map { [$0.mode] + $0.nodes } ?? [])
  }

  init(from reader: inout WireReader) throws(WireError) {
    let adjustment = try reader.list { (reader) throws(WireError) in try reader.int32() }
    let scheduler = try reader.list { (reader) throws(WireError) in try SchedulerPlan(from: &reader) }
    let ioPriority = try reader.numbers()
    let personality = try reader.numbers()
    let policy = try reader.numbers()
    guard
      adjustment.count <= 1 && scheduler.count <= 1 && ioPriority.count <= 1 && personality.count <= 1
    else { throw .malformed }
    self.init(
      oomScoreAdjustment: adjustment.first, scheduler: scheduler.first, ioPriority: ioPriority.first,
      personality: personality.first,
      memoryPolicy: policy.first.map { MemoryPolicyPlan(mode: $0, nodes: [UInt32](policy.dropFirst())) })
  }
}

extension SchedulerPlan {
  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let policy = try reader.uint32()
    let flags = try reader.uint64()
    let nice = try reader.int32()
    let priority = try reader.uint32()
    let runtime = try reader.uint64()
    let deadline = try reader.uint64()
    self.init(
      policy: policy, flags: flags, nice: nice, priority: priority, runtime: runtime, deadline: deadline,
      period: try reader.uint64())
  }
}
