import ContainerPlan

extension InitStep {
  func encode(to writer: inout WireWriter) {
    switch self {
    case .startSession: writer.put(UInt8(1))
    case .newCgroupNamespace: writer.put(UInt8(2))
    case .interfaceUp(let name): writer.put(tag: 3, name)
    case .hostname(let name): writer.put(tag: 4, name)
    case .domainname(let name): writer.put(tag: 5, name)
    case .keyring(let name): writer.put(tag: 6, name)
    case .propagation(let change):
      writer.put(UInt8(7))
      change.encode(to: &writer)
    case .openRoot(let path, let privateParent):
      writer.put(tag: 8, path)
      writer.put(privateParent)
    case .mount(let mount):
      writer.put(UInt8(9))
      mount.encode(to: &writer)
    case .devices(let nodes):
      writer.put(UInt8(10))
      writer.put(list: nodes) { $1.encode(to: &$0) }
    case .deviceLinks: writer.put(UInt8(11))
    case .workingDirectory(let path): writer.put(tag: 12, path)
    case .maskPaths(let paths, let label):
      writer.put(tag: 13, label)
      writer.put(paths)
    case .readonlyPaths(let paths):
      writer.put(UInt8(14))
      writer.put(paths)
    case .readonlyRoot: writer.put(UInt8(15))
    case .pivotRoot: writer.put(UInt8(16))
    case .changeRoot: writer.put(UInt8(17))
    case .moveRoot: writer.put(UInt8(20))
    case .readonlyMount(let path): writer.put(tag: 19, path)
    case .mountsMade: writer.put(UInt8(40))
    case .hooks(let hooks):
      writer.put(UInt8(41))
      writer.put(list: hooks) { $1.encode(to: &$0) }
    case .openProc: writer.put(UInt8(30))
    case .sysctl(let step):
      writer.put(tag: 31, step.path)
      writer.put(step.value)
      writer.put(step.field)
    case .processLabels: writer.put(UInt8(33))
    case .console(let console):
      writer.put(UInt8(32))
      writer.put(UInt32(console.rows))
      writer.put(UInt32(console.columns))
      writer.put(console.isMounted)
    case .rootPropagation(let change):
      writer.put(UInt8(18))
      change.encode(to: &writer)
    }
  }

  init(from reader: inout WireReader) throws(WireError) {
    switch try reader.byte() {
    case 1: self = .startSession
    case 2: self = .newCgroupNamespace
    case 3: self = .interfaceUp(try reader.string())
    case 4: self = .hostname(try reader.string())
    case 5: self = .domainname(try reader.string())
    case 6: self = .keyring(try reader.string())
    case 7: self = .propagation(try PropagationChange(from: &reader))
    case 8:
      let path = try reader.string()
      self = .openRoot(path: path, privateParent: try reader.bool())
    case 9: self = .mount(try MountStep(from: &reader))
    case 10:
      self = .devices(try reader.list { (reader) throws(WireError) in try DeviceNode(from: &reader) })
    case 11: self = .deviceLinks
    case 12: self = .workingDirectory(try reader.string())
    case 13:
      let label = try reader.string()
      self = .maskPaths(try reader.strings(), label: label)
    case 14: self = .readonlyPaths(try reader.strings())
    case 15: self = .readonlyRoot
    case 16: self = .pivotRoot
    case 17: self = .changeRoot
    case 20: self = .moveRoot
    case 19: self = .readonlyMount(try reader.string())
    case 40: self = .mountsMade
    case 41: self = .hooks(try reader.list { (reader) throws(WireError) in try HookPlan(from: &reader) })
    case 18: self = .rootPropagation(try PropagationChange(from: &reader))
    case 30: self = .openProc
    case 33: self = .processLabels
    case 31:
      let path = try reader.string()
      let value = try reader.string()
      self = .sysctl(SysctlStep(path: path, value: value, field: try reader.string()))
    case 32:
      guard let rows = UInt16(exactly: try reader.uint32()), let columns = UInt16(exactly: try reader.uint32())
      else { throw .malformed }
      self = .console(ConsoleStep(rows: rows, columns: columns, isMounted: try reader.bool()))
    default: throw .malformed
    }
  }
}

extension WireWriter {
  fileprivate mutating func put(tag: UInt8, _ value: String) {
    put(tag)
    put(value)
  }
}

extension PropagationChange {
  fileprivate func encode(to writer: inout WireWriter) {
    writer.put(kind)
    writer.put(recursive)
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let kind = try reader.uint64()
    self.init(kind: kind, recursive: try reader.bool())
  }
}

extension MountStep {
  fileprivate func encode(to writer: inout WireWriter) {
    writer.put(index)
    writer.put(destination)
    switch source {
    case .bind(let path, let recursive):
      writer.put(UInt8(1))
      writer.put(path)
      writer.put(recursive)
    case .fileSystem(let type, let source, let parameters):
      writer.put(UInt8(2))
      writer.put(type)
      writer.put(source)
      writer.put(list: parameters) { $1.encode(to: &$0) }
    case .cgroup: writer.put(UInt8(3))
    case .remount(let attributesOnly, let parameters):
      writer.put(UInt8(4))
      writer.put(attributesOnly)
      writer.put(list: parameters) { $1.encode(to: &$0) }
    case .legacyFileSystem(let type, let source, let data):
      writer.put(UInt8(5))
      for text in [type, source, data] { writer.put(text) }
    }
    for mask in [set, clear, clearByName, setRecursively, clearRecursively] { writer.put(mask) }
    writer.put(list: propagation) { $1.encode(to: &$0) }
    writer.put(traits.rawValue)
    writer.put(label)
    writer.put(idMap != nil)
    if let idMap {
      writer.put(idMap.recursive)
      writer.put(ranges: idMap.uids)
      writer.put(ranges: idMap.gids)
    }
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let index = try reader.uint32()
    let destination = try reader.string()
    let source: MountSource
    switch try reader.byte() {
    case 1:
      let path = try reader.string()
      source = .bind(path: path, recursive: try reader.bool())
    case 2:
      let type = try reader.string()
      let device = try reader.string()
      source = .fileSystem(type: type, source: device, parameters: try MountParameter.list(from: &reader))
    case 3: source = .cgroup
    case 4:
      let attributesOnly = try reader.bool()
      source = .remount(
        attributesOnly: attributesOnly, parameters: try MountParameter.list(from: &reader))
    case 5:
      let type = try reader.string()
      let device = try reader.string()
      source = .legacyFileSystem(type: type, source: device, data: try reader.string())
    default: throw .malformed
    }
    self.init(index: index, destination: destination, source: source)
    set = try reader.uint64()
    clear = try reader.uint64()
    clearByName = try reader.uint64()
    setRecursively = try reader.uint64()
    clearRecursively = try reader.uint64()
    propagation = try reader.list { (reader) throws(WireError) in try PropagationChange(from: &reader) }
    traits = MountTraits(rawValue: try reader.uint32())
    label = try reader.string()
    if try reader.bool() {
      let recursive = try reader.bool()
      let uids = try reader.ranges()
      idMap = MountIDMap(recursive: recursive, uids: uids, gids: try reader.ranges())
    }
  }
}

extension MountParameter {
  fileprivate func encode(to writer: inout WireWriter) {
    writer.put(key)
    writer.put(value != nil)
    writer.put(value ?? "")
    writer.put(mayBeUnknown)
  }

  fileprivate static func list(from reader: inout WireReader) throws(WireError) -> [MountParameter] {
    try reader.list { (reader) throws(WireError) in
      let key = try reader.string()
      let hasValue = try reader.bool()
      let value = try reader.string()
      return MountParameter(key: key, value: hasValue ? value : nil, mayBeUnknown: try reader.bool())
    }
  }
}

extension WireWriter {
  mutating func put(ranges: [IDRange]) {
    put(list: ranges) {
      $0.put($1.inside)
      $0.put($1.outside)
      $0.put($1.count)
    }
  }
}

extension WireReader {
  mutating func ranges() throws(WireError) -> [IDRange] {
    try list { (reader) throws(WireError) in
      let inside = try reader.uint32()
      let outside = try reader.uint32()
      return IDRange(inside: inside, outside: outside, count: try reader.uint32())
    }
  }
}

extension DeviceNode {
  fileprivate func encode(to writer: inout WireWriter) {
    writer.put(path)
    for number in [mode, major, minor, uid, gid, index ?? .max] { writer.put(number) }
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let path = try reader.string()
    var numbers: [UInt32] = []
    for _ in 0..<6 { numbers.append(try reader.uint32()) }
    self.init(
      path: path, mode: numbers[0], major: numbers[1], minor: numbers[2], uid: numbers[3], gid: numbers[4],
      index: numbers[5] == .max ? nil : numbers[5])
  }
}
