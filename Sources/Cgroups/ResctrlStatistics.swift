package import Diagnostics
import Linux
package import OCISpec

extension ResctrlGroup {
  /// What resctrl tells of a container whose processes are in the groups ``joined``, the class first; nothing where it is in
  /// none.
  package static func statistics(_ joined: [String]) throws(RuntimeError) -> IntelRdtStatistics {
    var statistics = IntelRdtStatistics()
    guard let path = joined.first, let group = try CgroupFiles(path) else { return statistics }
    // The class is the root itself, or a directory in it.
    let (parent, _) = splitLast(path)
    let isRoot = try CgroupFiles("\(path)/info") != nil
    let rootPath = isRoot ? path : "/\(parent)"
    guard let root = try CgroupFiles(rootPath) else { return statistics }

    if let files = try CgroupFiles("\(rootPath)/info/L3"), let mask = try files.bytes("cbm_mask") {
      var cache = try files.resource(["min_cbm_bits", "num_closids"])
      cache.mask = CgroupText.trimmed(mask)
      statistics.cache = cache
      try statistics.add("l3_cache_schema_root", "L3", of: root)
      try statistics.add("l3_cache_schema", "L3", of: group)
    }
    if let files = try CgroupFiles("\(rootPath)/info/MB") {
      statistics.bandwidth = try files.resource(["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"])
      try statistics.add("mem_bw_schema_root", "MB", of: root)
      try statistics.add("mem_bw_schema", "MB", of: group)
    }
    guard let monitored = try CgroupFiles("\(joined.last ?? path)/mon_data") else { return statistics }
    for name in try monitored.names().sorted() where name.utf8.starts(with: "mon_L3_".utf8) {
      guard let files = try CgroupFiles("\(monitored.path)/\(name)") else { continue }
      let bandwidth = try files.monitored(["mbm_total_bytes", "mbm_local_bytes"])
      let cache = try files.monitored(["llc_occupancy"])
      if !bandwidth.isEmpty { statistics.bandwidthUse.append(bandwidth) }
      if !cache.isEmpty { statistics.cacheUse.append(cache) }
    }
    return statistics
  }
}

extension IntelRdtStatistics {
  /// The line of a resource in `schemata`, without the blanks before it.
  fileprivate mutating func add(
    _ name: String, _ resource: StaticString, of files: CgroupFiles
  ) throws(RuntimeError) {
    for line in CgroupText.lines(try files.bytes("schemata") ?? []) {
      let text = CgroupText.trimmed([UInt8](line))
      guard text.utf8.starts(with: resource.description.utf8) else { continue }
      schemas.append(NamedValue(name, text))
      // With code and data prioritization there are two for the cache.
      return
    }
  }
}

extension CgroupFiles {
  fileprivate func resource(_ names: [String]) throws(RuntimeError) -> IntelRdtStatistics.Resource {
    var resource = IntelRdtStatistics.Resource()
    for name in names {
      if let value = try number(name), value != 0 { resource.numbers.append(NamedValue(name, value)) }
    }
    return resource
  }

  /// Counters of a monitoring group. The hardware may have none for it at the moment, which the kernel says in a word.
  fileprivate func monitored(_ names: [String]) throws(RuntimeError) -> [NamedValue<UInt64>] {
    var values: [NamedValue<UInt64>] = []
    for name in names {
      guard let bytes = try bytes(name) else { continue }
      let text = CgroupText.line(bytes)
      if text.elementsEqual("Unavailable".utf8) || text.elementsEqual("Unassigned".utf8) { continue }
      values.append(NamedValue(name, try number(text, of: name)))
    }
    return values
  }
}
