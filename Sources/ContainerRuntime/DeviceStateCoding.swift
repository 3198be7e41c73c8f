import Cgroups
import InitChannel

extension DeviceState {
  func encode(to writer: inout WireWriter) {
    writer.put(force.rawValue)
    writer.put(list: permissions.rules) {
      $0.put($1.allow)
      $0.put($1.kind?.rawValue ?? 0)
      $0.put($1.major.map { Int64($0) } ?? -1)
      $0.put($1.minor.map { Int64($0) } ?? -1)
      $0.put($1.access.rawValue)
    }
  }

  init(from reader: inout WireReader) throws(WireError) {
    guard let force = Force(rawValue: try reader.byte()) else { throw .malformed }
    self.init(
      force,
      DevicePermissions(
        checked: try reader.list { (reader) throws(WireError) in
          let allow = try reader.bool()
          let kind = try reader.byte()
          guard kind <= DeviceKind.character.rawValue else { throw .malformed }
          let major = try DeviceState.number(try reader.int64())
          let minor = try DeviceState.number(try reader.int64())
          return DevicePermission(
            allow: allow, kind: DeviceKind(rawValue: kind), major: major, minor: minor,
            access: DeviceAccess(rawValue: try reader.byte()))
        }))
  }

  private static func number(_ value: Int64) throws(WireError) -> UInt32? {
    if value == -1 { return nil }
    guard let number = UInt32(exactly: value) else { throw .malformed }
    return number
  }
}
