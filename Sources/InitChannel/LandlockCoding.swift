import ContainerPlan

extension WireWriter {
  mutating func put(_ places: [LandlockPlace]) {
    put(list: places) {
      $0.put($1.device)
      $0.put($1.inode)
      $0.put($1.path)
    }
  }

  /// An absent ruleset is an empty list, a present one a list of one.
  mutating func put(_ plan: LandlockPlan?) {
    put(list: plan.map { [$0] } ?? []) { (writer, plan) in
      for bits in [plan.files, plan.network, plan.scopes] { writer.put(bits) }
      writer.put(plan.flags)
      writer.put(list: plan.paths) {
        $0.put($1.path)
        $0.put($1.access)
        $0.put($1.ifExists)
        $0.put($1.followLinks)
        $0.put($1.rule)
        $0.put($1.index)
        $0.put($1.place.map { [$0] } ?? [])
      }
      writer.put(list: plan.ports) {
        $0.put(UInt32($1.port))
        $0.put($1.access)
      }
    }
  }
}

extension WireReader {
  mutating func landlockPlaces() throws(WireError) -> [LandlockPlace] {
    try list { (reader) throws(WireError) in
      let device = try reader.uint64()
      let inode = try reader.uint64()
      return LandlockPlace(device: device, inode: inode, path: try reader.string())
    }
  }

  mutating func landlock() throws(WireError) -> LandlockPlan? {
    let plans = try list { (reader) throws(WireError) in try LandlockPlan(from: &reader) }
    guard plans.count <= 1 else { throw .malformed }
    return plans.first
  }
}

extension LandlockPlan {
  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let files = try reader.uint64()
    let network = try reader.uint64()
    let scopes = try reader.uint64()
    let flags = try reader.uint32()
    let paths = try reader.list { (reader) throws(WireError) in
      let path = try reader.string()
      let access = try reader.uint64()
      let ifExists = try reader.bool()
      let followLinks = try reader.bool()
      let rule = try reader.uint32()
      let index = try reader.uint32()
      let places = try reader.landlockPlaces()
      guard places.count <= 1 else { throw .malformed }
      return LandlockPath(
        path: path, access: access, ifExists: ifExists, followLinks: followLinks, rule: rule, index: index,
        place: places.first)
    }
    let ports = try reader.list { (reader) throws(WireError) in
      guard let port = UInt16(exactly: try reader.uint32()) else { throw .malformed }
      return LandlockPort(port: port, access: try reader.uint64())
    }
    self.init(files: files, network: network, scopes: scopes, flags: flags, paths: paths, ports: ports)
  }
}
