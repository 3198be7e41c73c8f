import Diagnostics
import Linux
import LinuxABI

/// Writes values into one cgroup directory.
enum CgroupWriter {
  /// Makes the writes in order. Neighbours that go to the same file share one open.
  static func write(
    _ writes: [CgroupWrite], to directory: borrowing FileDescriptor, path: String
  ) throws(RuntimeError) {
    var index = 0
    while index < writes.count {
      var end = index + 1
      while end < writes.count && writes[end].file == writes[index].file { end += 1 }
      if end - index == 1 {
        try write(writes[index], to: directory, path: path)
      } else {
        try write(run: writes[index..<end], to: directory, path: path)
      }
      index = end
    }
  }

  private static func write(
    run writes: ArraySlice<CgroupWrite>, to directory: borrowing FileDescriptor, path: String
  ) throws(RuntimeError) {
    let first = writes[writes.startIndex]
    if first.missing != .fails {
      for write in writes { try self.write(write, to: directory, path: path) }
      return
    }
    let file: FileDescriptor
    do {
      file = try directory.open(first.file, .writeOnly)
    } catch {
      throw failure(first, error, directory, path)
    }
    for write in writes {
      do {
        try file.write(write.text)
      } catch {
        throw failure(write, error, directory, path)
      }
    }
  }

  private static func write(
    _ write: CgroupWrite, to directory: borrowing FileDescriptor, path: String
  ) throws(RuntimeError) {
    do {
      try directory.writeFile(write.file, write.text)
    } catch {
      guard error.errno == .noEntry, error.call == "openat" else {
        throw failure(write, error, directory, path)
      }
      switch write.missing {
      case .fails: throw failure(write, error, directory, path)
      case .ignored: return
      case .alternative(let file, let text):
        var other = write
        other.file = file
        other.text = text
        other.missing = .fails
        try self.write(other, to: directory, path: path)
      }
    }
  }
}
