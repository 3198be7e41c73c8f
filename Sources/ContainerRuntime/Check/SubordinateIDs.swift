import ContainerPlan

/// The ids that a user may map besides his own, subuid(5) and subgid(5).
struct SubordinateIDs {
  /// What he may map, as first id and count; overlapping and in any order.
  private(set) var ranges: [(first: UInt64, count: UInt64)] = []

  /// Lines `name:first:count`, with the number of the user in the place of the name too.
  init(_ text: String, user: String?, id: UInt32) {
    for line in text.utf8.split(separator: 0x0A) {
      let fields = line.split(separator: 0x3A, omittingEmptySubsequences: false).map { String(Substring($0)) }
      guard fields.count == 3, fields[0] == user || fields[0] == "\(id)", let first = UInt64(fields[1]),
        let count = UInt64(fields[2])
      else { continue }
      ranges.append((first, count))
    }
  }

  /// The map of a user namespace: what is inside of it.
  init(map: [[String]]) {
    for line in map where line.count == 3 {
      if let first = UInt64(line[0]), let count = UInt64(line[2]) { ranges.append((first, count)) }
    }
  }

  /// Whether all of these ids are in the ranges, in one or in several that join.
  func contain(_ first: UInt32, _ count: UInt32) -> Bool {
    var next = UInt64(first)
    let end = next + UInt64(count)
    while next < end {
      guard let range = ranges.first(where: { next >= $0.first && next - $0.first < $0.count }) else { return false }
      next = range.first + range.count
    }
    return true
  }
}
