import Diagnostics
import OCISpec

extension ContainerStatistics {
  /// The names in the event, and what the files are called behind their prefix.
  private static var namesV1: [String] {
    [
      "ioServiceBytesRecursive", "ioServicedRecursive", "ioQueueRecursive", "ioServiceTimeRecursive",
      "ioWaitTimeRecursive", "ioMergedRecursive", "ioTimeRecursive", "sectorsRecursive",
    ]
  }
  private static var filesV1: [String] {
    ["io_service_bytes", "io_serviced", "io_queued", "io_service_time", "io_wait_time", "io_merged", "time", "sectors"]
  }
  private static var prefixesV1: [String] { ["blkio.bfq.", "blkio.", "blkio.throttle.", "blkio.throttle."] }

  /// Which files there are depends on the scheduler of the devices and on how the kernel was built; the first one with a
  /// line counts.
  mutating func readBlockIOV1(_ files: CgroupFiles) throws(RuntimeError) {
    blockIO.tables = []
    for (index, name) in ContainerStatistics.namesV1.enumerated() {
      for (number, prefix) in ContainerStatistics.prefixesV1.enumerated() {
        let end = number < 3 ? "_recursive" : ""
        let entries = try files.blockIO(phrase(prefix, ContainerStatistics.filesV1[index], end))
        if entries.isEmpty { continue }
        blockIO.tables.append(NamedValue(name, entries))
        break
      }
    }
  }

  /// Lines like `8:0 rbytes=1 wbytes=2 rios=3 wios=4`, of which what v1 has too is taken.
  mutating func readBlockIOV2(_ files: CgroupFiles) throws(RuntimeError) {
    let name = "io.stat"
    var bytes: [BlockIOEntry] = []
    var operations: [BlockIOEntry] = []
    for line in try files.lines(name) {
      var device: (major: UInt64, minor: UInt64)?
      for word in CgroupText.words(of: line) {
        guard let equals = word.firstIndex(of: 0x3D) else {
          // Some kernels leave out the line break behind a device without numbers: the next one begins.
          device = try files.device(word, of: name)
          continue
        }
        guard let device else { throw files.malformed(name, line) }
        // `dbytes` and `dios` are about what was discarded.
        let isRead = word.first == 0x72 /* r */
        guard isRead || word.first == 0x77 /* w */ else { continue }
        let kind = word[..<equals].dropFirst()
        let isBytes = kind.elementsEqual("bytes".utf8)
        guard isBytes || kind.elementsEqual("ios".utf8) else { continue }
        let entry = BlockIOEntry(
          major: device.major, minor: device.minor, operation: isRead ? "Read" : "Write",
          value: try files.number(word[(equals + 1)...], of: name))
        if isBytes { bytes.append(entry) } else { operations.append(entry) }
      }
    }
    blockIO.tables = []
    if !bytes.isEmpty { blockIO.tables.append(NamedValue("ioServiceBytesRecursive", bytes)) }
    if !operations.isEmpty { blockIO.tables.append(NamedValue("ioServicedRecursive", operations)) }
  }
}

extension CgroupFiles {
  /// `8:0 Read 1282048` or `8:0 6792`; the sum in the last line is left out.
  fileprivate func blockIO(_ name: String) throws(RuntimeError) -> [BlockIOEntry] {
    var entries: [BlockIOEntry] = []
    for line in try lines(name) {
      let words = CgroupText.words(of: line)
      if words.count == 2 && words[0].elementsEqual("Total".utf8) { continue }
      guard words.count == 2 || words.count == 3 else { throw malformed(name, line) }
      let device = try device(words[0], of: name)
      entries.append(
        BlockIOEntry(
          major: device.major, minor: device.minor, operation: words.count == 3 ? CgroupText.string(words[1]) : "",
          value: try number(words[words.count - 1], of: name)))
    }
    return entries
  }

  fileprivate func device(
    _ word: ArraySlice<UInt8>, of name: String
  ) throws(RuntimeError) -> (major: UInt64, minor: UInt64) {
    let parts = CgroupText.split(word, on: 0x3A)
    guard parts.count == 2, let major = CgroupText.unsigned(parts[0]), let minor = CgroupText.unsigned(parts[1])
    else { throw malformed(name, word) }
    return (major, minor)
  }
}
