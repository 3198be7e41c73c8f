/// The log that CRIU writes while it works.
package enum CriuLog {
  private static var mark: [UInt8] { [UInt8]("Error (".utf8) }

  /// What CRIU tells of and goes on with.
  private static var harmless: [UInt8] { [UInt8]("rlimit: Can't setup RLIMIT_NOFILE for self".utf8) }

  /// The first line that tells of an error, without its time and place in the sources; empty where there is none.
  package static func firstError(_ bytes: [UInt8]) -> String {
    for line in bytes.split(separator: 0x0A) {
      guard let start = find(mark, in: line), find(harmless, in: line) == nil else { continue }
      var text = line[start...]
      // `Error (criu/mount.c:1088): mnt: …`
      if let end = find([UInt8]("): ".utf8), in: text) { text = text[(end + 3)...] }
      return String(decoding: text.prefix(400), as: UTF8.self)
    }
    return ""
  }

  private static func find(_ mark: [UInt8], in line: ArraySlice<UInt8>) -> Int? {
    guard line.count >= mark.count else { return nil }
    for start in line.startIndex...(line.endIndex - mark.count)
    where line[start..<start + mark.count].elementsEqual(mark) {
      return start
    }
    return nil
  }
}
