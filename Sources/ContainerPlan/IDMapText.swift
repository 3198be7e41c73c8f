import Diagnostics
import LinuxABI

/// The mappings in the option `idmap=uids=0-1-10#10-11-10;gids=0-100-10` of crun: triples of the id in the file system, the id
/// that the host sees, and how many. With a `@` in front of the first triple the second number is an id of the
/// container's user namespace and is mapped through it.
struct IDMapText {
  private let namespaces: NamespacePlan

  init(_ namespaces: NamespacePlan) {
    self.namespaces = namespaces
  }

  func parse(_ text: String, recursive: Bool, _ field: String) throws(RuntimeError) -> MountIDMap {
    var map = MountIDMap(recursive: recursive)
    for part in text.utf8.split(separator: 0x3B) {
      let part = String(Substring(part))
      if let uids = after("uids=", part) {
        map.uids = try ranges(uids, namespaces.uidMap, field)
      } else if let gids = after("gids=", part) {
        map.gids = try ranges(gids, namespaces.gidMap, field)
      } else {
        throw malformed(part, field)
      }
    }
    if map.uids.isEmpty || map.gids.isEmpty {
      throw RuntimeError(
        .configInvalid, "an id-mapped mount needs both `uids=` and `gids=`, found `\(text)`", field: field)
    }
    return map
  }

  private func after(_ prefix: String, _ text: String) -> String? {
    guard text.utf8.starts(with: prefix.utf8) else { return nil }
    return String(Substring(text.utf8.dropFirst(prefix.utf8.count)))
  }

  private func malformed(_ text: String, _ field: String) -> RuntimeError {
    RuntimeError(
      .configInvalid, "cannot read the mapping `\(text)`", field: field,
      hint: "expected `idmap=uids=INSIDE-OUTSIDE-COUNT#…;gids=INSIDE-OUTSIDE-COUNT#…`")
  }

  private func ranges(_ text: String, _ container: [IDRange], _ field: String) throws(RuntimeError) -> [IDRange] {
    let isRelative = text.utf8.first == 0x40
    var ranges: [IDRange] = []
    for triple in text.utf8.dropFirst(isRelative ? 1 : 0).split(separator: 0x23) {
      let numbers = triple.split(separator: 0x2D, omittingEmptySubsequences: false).map {
        UInt32(String(Substring($0)))
      }
      guard numbers.count == 3, let inside = numbers[0], var outside = numbers[1], let count = numbers[2],
        count > 0
      else { throw malformed(text, field) }
      if isRelative { outside = try throughContainer(outside, count, container, text, field) }
      ranges.append(IDRange(inside: inside, outside: outside, count: count))
    }
    return ranges
  }

  private func throughContainer(
    _ id: UInt32, _ count: UInt32, _ container: [IDRange], _ text: String, _ field: String
  ) throws(RuntimeError) -> UInt32 {
    for range in container where id >= range.inside && id - range.inside < range.count {
      if count <= range.count - (id - range.inside) { return range.outside &+ (id - range.inside) }
    }
    throw RuntimeError(
      .configInvalid, "the user namespace of the container does not map all ids of the relative mapping `\(text)`",
      field: field,
      hint: namespaces.joins(.newUser)
        ? "give the mappings of the joined namespace in `linux.uidMappings` and `linux.gidMappings`" : "")
  }
}
