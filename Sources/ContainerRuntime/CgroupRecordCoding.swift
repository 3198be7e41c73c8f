import Cgroups
import InitChannel
import Linux

extension CgroupRecord {
  func encode(to writer: inout WireWriter) {
    writer.put(list: directories) {
      $0.put($1.version.rawValue)
      $0.put($1.controllers)
      $0.put($1.path)
      $0.put($1.mountName)
      $0.put($1.made)
    }
    for namespace in [userNamespace, pidNamespace] {
      writer.put(namespace.inode)
      writer.put(namespace.number)
    }
    for count in [countsBefore.oomKills, countsBefore.memoryLimitHits, countsBefore.pidsLimitHits] {
      writer.put(count ?? 0)
    }
    writer.put(unit?.bus.rawValue ?? 0)
    writer.put(unit?.name ?? "")
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      directories: try reader.list { (reader) throws(WireError) in
        guard let version = CgroupVersion(rawValue: try reader.byte()) else { throw WireError.malformed }
        let controllers = try reader.strings()
        let path = try reader.string()
        let mountName = try reader.string()
        return Directory(
          version: version, controllers: controllers, path: path, mountName: mountName,
          made: try reader.strings())
      },
      userNamespace: try NamespaceIdentity(from: &reader), pidNamespace: try NamespaceIdentity(from: &reader))
    countsBefore.oomKills = try reader.count()
    countsBefore.memoryLimitHits = try reader.count()
    countsBefore.pidsLimitHits = try reader.count()
    let bus = try reader.byte()
    let name = try reader.string()
    if bus == 0 { return }
    guard let bus = SystemdBus(rawValue: bus) else { throw WireError.malformed }
    unit = SystemdUnit(bus: bus, name: name)
  }
}

extension WireReader {
  fileprivate mutating func count() throws(WireError) -> UInt64? {
    let count = try uint64()
    return count == 0 ? nil : count
  }
}

extension NamespaceIdentity {
  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let inode = try reader.uint64()
    self.init(inode: inode, number: try reader.uint64())
  }
}
