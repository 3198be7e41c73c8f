import Diagnostics
import OCISpec

/// The rules of user_namespaces(7) for a map of ids. The kernel's own answer is EINVAL for the map as a whole.
enum IDMappingCheck {
  /// More lines than this no map has (UID_GID_MAP_MAX_EXTENTS).
  private static var lineLimit: Int { 340 }

  /// `field` is the place of the list in the configuration.
  static func ranges(_ mappings: [IDMapping], _ field: String) throws(RuntimeError) -> [IDRange] {
    if mappings.count > lineLimit {
      throw RuntimeError(
        .configInvalid, "\(mappings.count) mappings are more than the \(lineLimit) that the kernel takes", field: field,
        hint: "join ranges that follow each other")
    }
    var ranges: [IDRange] = []
    for (index, mapping) in mappings.enumerated() {
      let range = IDRange(inside: mapping.containerID, outside: mapping.hostID, count: mapping.size)
      let place = "\(field)/\(index)"
      if range.count == 0 { throw RuntimeError(.configInvalid, "a mapping of no ids", field: "\(place)/size") }
      try checkEnd(range.inside, range.count, "\(place)/containerID")
      try checkEnd(range.outside, range.count, "\(place)/hostID")
      for (number, other) in ranges.enumerated() {
        if overlap(range.inside, range.count, other.inside, other.count) {
          throw refuse(range.inside, range.count, number, "\(place)/containerID")
        }
        if overlap(range.outside, range.count, other.outside, other.count) {
          throw refuse(range.outside, range.count, number, "\(place)/hostID")
        }
      }
      ranges.append(range)
    }
    return ranges
  }

  /// 4294967295 is no id: as (uid_t)-1 it says "none" to many system calls.
  private static func checkEnd(_ first: UInt32, _ count: UInt32, _ field: String) throws(RuntimeError) {
    if first.addingReportingOverflow(count).overflow {
      throw RuntimeError(
        .configInvalid, "\(count) ids from \(first) on go beyond 4294967294, the last one there is", field: field)
    }
  }

  private static func overlap(_ first: UInt32, _ count: UInt32, _ other: UInt32, _ otherCount: UInt32) -> Bool {
    // No sum overflows: that was checked for both.
    first < other + otherCount && other < first + count
  }

  private static func refuse(_ first: UInt32, _ count: UInt32, _ other: Int, _ field: String) -> RuntimeError {
    RuntimeError(
      .configInvalid, "the ids \(first) to \(first + (count - 1)) overlap those of mapping \(other)", field: field)
  }
}
