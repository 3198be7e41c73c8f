package import Diagnostics
import Linux
package import OCISpec

extension ResctrlGroup {
  /// What resctrl tells of a container whose processes are in the groups ``joined``, the class first; nothing where it is in
  /// none.
  package static func statistics(_ joined: [String]) throws(RuntimeError) -> IntelRdtStatistics {
    var statistics = IntelRdtStatistics()
    guard let path = joined.first, let last = joined.last, let group = try CgroupFiles(path) else { return statistics }
    // The class is the root itself, or a directory in it.
    var root = group
    if try group.below("info") == nil, let above = try CgroupFiles("/" + splitLast(path).parent) { root = above }
    statistics.cache = try resource(root, "info/L3", ["min_cbm_bits", "num_closids"])
    if statistics.cache != nil { try addSchemas("L3", "l3_cache_schema", root, group, to: &statistics) }
    statistics.bandwidth = try resource(
      root, "info/MB", ["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"])
    if statistics.bandwidth != nil { try addSchemas("MB", "mem_bw_schema", root, group, to: &statistics) }

    guard let monitored = try CgroupFiles(last)?.below("mon_data") else { return statistics }
    for name in try monitored.names() where name.utf8.starts(with: "mon_L3_".utf8) {
      guard let files = try monitored.below(name) else { continue }
      let bandwidth = try numbers(files, ["mbm_total_bytes", "mbm_local_bytes"])
      let cache = try numbers(files, ["llc_occupancy"])
      if !bandwidth.isEmpty { statistics.bandwidthUse.append(bandwidth) }
      if !cache.isEmpty { statistics.cacheUse.append(cache) }
    }
    return statistics
  }

  private static func resource(
    _ root: CgroupFiles, _ folder: String, _ names: [String]
  ) throws(RuntimeError) -> IntelRdtStatistics.Resource? {
    guard let files = try root.below(folder) else { return nil }
    var resource = IntelRdtStatistics.Resource()
    resource.mask = CgroupText.trimmed(try files.bytes("cbm_mask") ?? [])
    resource.numbers = try numbers(files, names)
    return resource
  }

  /// Each file holds one number. The hardware may have no counter for a group at the moment, which the kernel says in a word
  /// with a capital letter.
  private static func numbers(_ files: CgroupFiles, _ names: [String]) throws(RuntimeError) -> [NamedValue<UInt64>] {
    var values: [NamedValue<UInt64>] = []
    for name in names {
      guard let bytes = try files.bytes(name), bytes.first != 0x55 /* Unavailable, Unassigned */ else { continue }
      values.append(NamedValue(name, try files.number(CgroupText.line(bytes), of: name)))
    }
    return values
  }

  /// The line of a resource in `schemata` of the root and of the group, without the blanks before it.
  private static func addSchemas(
    _ resource: String, _ name: String, _ root: CgroupFiles, _ group: CgroupFiles,
    to statistics: inout IntelRdtStatistics
  ) throws(RuntimeError) {
    for (files, name) in [(root, name + "_root"), (group, name)] {
      for line in try files.lines("schemata") {
        let text = CgroupText.trimmed([UInt8](line))
        guard text.utf8.starts(with: resource.utf8) else { continue }
        statistics.schemas.append(NamedValue(name, text))
        // With code and data prioritization there are two for the cache.
        break
      }
    }
  }
}
