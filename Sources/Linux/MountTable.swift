public import Diagnostics
import LinuxABI

/// One line of /proc/self/mountinfo (proc(5)), as far as it is needed.
public struct MountTableEntry: Sendable, Equatable {
  /// The id, as statx(2) gives it for a file of the mount.
  public var id: UInt64
  /// The number of the file system's device, `MAJOR:MINOR`: the same for all mounts of it, whatever stat(2) says of their files.
  public var device: String
  /// The directory of the file system that is the root of the mount.
  public var root: String
  public var path: String
  public var type: String
}

/// The mounts of this mount namespace, in the order in which they were made.
public enum MountTable {
  public static func read() throws(SystemError) -> [MountTableEntry] {
    parse(try FileDescriptor.open("/proc/self/mountinfo", .readOnly).readAll(limit: 64 << 20))
  }

  /// The mounts of the namespace that a process is in, by their paths below its root.
  public static func read(of pid: Int32) throws(SystemError) -> [MountTableEntry] {
    parse(try FileDescriptor.open("/proc/\(pid)/mountinfo", .readOnly).readAll(limit: 64 << 20))
  }

  package static func parse(_ bytes: [UInt8]) -> [MountTableEntry] {
    var entries: [MountTableEntry] = []
    for line in bytes.split(separator: 0x0A) {
      let words = line.split(separator: 0x20)
      // Optional fields end at a lone dash; the type follows.
      guard words.count > 8, let dash = words.dropFirst(6).firstIndex(where: { $0.elementsEqual([0x2D]) }),
        dash + 1 < words.count
      else { continue }
      entries.append(
        MountTableEntry(
          id: number(words[0]), device: unescape(words[2]), root: unescape(words[3]), path: unescape(words[4]),
          type: unescape(words[dash + 1])))
    }
    return entries
  }

  private static func number(_ word: ArraySlice<UInt8>) -> UInt64 {
    word.reduce(0) { $0 &* 10 &+ UInt64($1 &- 0x30) }
  }

  /// Space, tab, newline and backslash stand as three octal digits behind a backslash.
  private static func unescape(_ word: ArraySlice<UInt8>) -> String {
    var text: [UInt8] = []
    var index = word.startIndex
    while index < word.endIndex {
      if word[index] == 0x5C && index + 3 < word.endIndex {
        let digits = word[(index + 1)...(index + 3)].map { $0 &- 0x30 }
        if digits.allSatisfy({ $0 < 8 }) {
          text.append(digits[0] &* 64 &+ digits[1] &* 8 &+ digits[2])
          index += 4
          continue
        }
      }
      text.append(word[index])
      index += 1
    }
    return String(decoding: text, as: UTF8.self)
  }
}
