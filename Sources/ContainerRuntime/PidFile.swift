import Diagnostics
import Linux
import LinuxABI

/// The file that tells a manager the pid of the container's first process. It appears whole or not at all.
enum PidFile {
  static func write(_ pid: Int32, to path: String) throws(RuntimeError) {
    let (folder, name) = split(path)
    let hidden = ".\(name).\(pid)"
    do throws(SystemError) {
      let directory = try FileDescriptor.open(folder, [.path, .directory])
      do throws(SystemError) {
        let file = try directory.open(hidden, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o666)
        try file.write("\(pid)")
        try directory.rename(hidden, to: name)
      } catch {
        // The temporary name goes too; that it may not be there yet is no news.
        do { try directory.unlink(hidden) } catch {}
        throw error
      }
    } catch {
      throw error.because(.pidFile, "cannot write the pid file `\(path)`", field: "--pid-file")
    }
  }

  /// With `pid` only the file that still holds it: another container may have been given the same path meanwhile.
  static func remove(_ path: String, of pid: Int32? = nil) -> SystemError? {
    let (folder, name) = split(path)
    do throws(SystemError) {
      let directory = try FileDescriptor.open(folder, [.path, .directory])
      if let pid {
        // A symbolic link or a fifo in its place is not ours either.
        let file = try directory.open(name, [.readOnly, .noFollow, .nonBlocking])
        if try file.read(upTo: 16) != Array("\(pid)".utf8) { return nil }
      }
      try directory.unlink(name)
      return nil
    } catch {
      return error.errno == .noEntry || error.errno == .symbolicLinkLoop ? nil : error
    }
  }

  private static func split(_ path: String) -> (folder: String, name: String) {
    let bytes = path.utf8
    guard let slash = bytes.lastIndex(of: 0x2F) else { return (".", path) }
    let name = String(decoding: bytes[bytes.index(after: slash)...], as: UTF8.self)
    return (slash == bytes.startIndex ? "/" : String(decoding: bytes[..<slash], as: UTF8.self), name)
  }
}

/// Who owns a container, for `list` and `state`.
enum Owner {
  /// The name of a user in /etc/passwd, or the number. By hand: the C library would load modules.
  static func name(of uid: UInt32) -> String {
    if uid == 0 { return "root" }
    let bytes: [UInt8]
    do {
      bytes = try FileDescriptor.open("/etc/passwd", .readOnly).readAll(limit: 1 << 22)
    } catch {
      // Without the file the number has to do.
      return "\(uid)"
    }
    let wanted = "\(uid)"
    for line in bytes.split(separator: 0x0A) {
      let fields = line.split(separator: 0x3A, omittingEmptySubsequences: false)
      if fields.count > 2, fields[2].elementsEqual(wanted.utf8) {
        return String(decoding: fields[0], as: UTF8.self)
      }
    }
    return wanted
  }
}
