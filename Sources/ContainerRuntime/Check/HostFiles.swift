import Linux
import LinuxABI

/// The files by which a host tells what it has. Tests give another folder in the place of `/`.
struct HostFiles: Sendable {
  /// Put in front of every path; empty for the host itself.
  var prefix = ""

  func exists(_ path: String) -> Bool {
    do {
      _ = try FileDescriptor.open(prefix + path, .path)
      return true
    } catch {
      // Whatever the reason, it cannot be used.
      return false
    }
  }

  /// What is in the file, without white space at its end; nil where there is none that can be read.
  func text(_ path: String, limit: Int = 1 << 20) -> String? {
    do {
      var bytes = try FileDescriptor.open(prefix + path, [.readOnly, .nonBlocking]).readAll(limit: limit)
      while let last = bytes.last, last <= 0x20 { bytes.removeLast() }
      return String(decoding: bytes, as: UTF8.self)
    } catch {
      return nil
    }
  }

  func number(_ path: String) -> UInt64? {
    text(path).flatMap { UInt64($0) }
  }

  /// The lines of the file as words; none where it cannot be read.
  func table(_ path: String) -> [[String]] {
    guard let text = text(path) else { return [] }
    return text.utf8.split(separator: 0x0A).map { line in
      line.split { $0 == 0x20 || $0 == 0x09 }.map { String(Substring($0)) }
    }
  }

  /// The rest of the line that begins with this word: `CapBnd:` of /proc/PID/status.
  func value(_ name: String, in path: String) -> String? {
    for line in table(path) where line.first == name { return line.dropFirst().first }
    return nil
  }
}
