import Diagnostics
import Linux
import LinuxABI

/// The files of a directory in which the kernel tells numbers, opened once and read relative to it. What cannot be
/// understood is an error that names the file.
struct CgroupFiles {
  let directory: CgroupDirectory
  /// For messages.
  let path: String

  /// Nil where the directory is gone.
  init?(_ path: String) throws(RuntimeError) {
    try self.init(path) { () throws(SystemError) in
      CgroupDirectory(try FileDescriptor.open(path, [.readOnly, .directory, .noFollow]))
    }
  }

  /// A directory that has to be there.
  init(existing path: String) throws(RuntimeError) {
    directory = try CgroupManager.open(path)
    self.path = path
  }

  /// A directory below; nil where there is none.
  func below(_ name: String) throws(RuntimeError) -> CgroupFiles? {
    try CgroupFiles(phrase(path, "/", name)) { () throws(SystemError) in
      CgroupDirectory(try directory.descriptor.open(name, [.readOnly, .directory, .noFollow]))
    }
  }

  private init?(_ path: String, _ open: () throws(SystemError) -> CgroupDirectory) throws(RuntimeError) {
    do {
      directory = try open()
    } catch {
      if error.isGone { return nil }
      throw error.because(.cgroup, phrase("cannot open the cgroup `", path, "`"))
    }
    self.path = path
  }

  /// Nil where there is no such file, the cgroup was removed, or the kernel has the file and not the feature.
  func bytes(_ name: String) throws(RuntimeError) -> [UInt8]? {
    do {
      return try directory.descriptor.cgroupFile(name)
    } catch {
      if error.errno == .notSupported { return nil }
      throw error.because(.cgroup, phrase("cannot read `", path, "/", name, "`"))
    }
  }

  /// The lines of a file; none where there is no such file.
  func lines(_ name: String) throws(RuntimeError) -> [ArraySlice<UInt8>] {
    CgroupText.lines(try bytes(name) ?? [])
  }

  func names() throws(RuntimeError) -> [String] {
    do {
      return try directory.descriptor.entries().map { $0.name }.sorted()
    } catch {
      if error.isGone { return [] }
      throw error.because(.cgroup, phrase("cannot list `", path, "`"))
    }
  }

  @inline(never)
  func malformed(_ name: String, _ text: ArraySlice<UInt8>) -> RuntimeError {
    let start = String(decoding: text.prefix(80), as: UTF8.self)
    return RuntimeError(.cgroup, phrase("cannot understand `", start, "` in `", path, "/", name, "`"))
  }

  /// A file that holds one number; the largest one for `max`.
  func number(_ name: String) throws(RuntimeError) -> UInt64? {
    guard let bytes = try bytes(name) else { return nil }
    let text = CgroupText.line(bytes)
    if text.elementsEqual("max".utf8) { return .max }
    return try number(text, of: name)
  }

  @inline(never)
  func number(_ text: ArraySlice<UInt8>, of name: String) throws(RuntimeError) -> UInt64 {
    // What was counted from several places at once may be below 0 for a moment.
    let isNegative = text.first == 0x2D
    guard let number = CgroupText.unsigned(isNegative ? text.dropFirst() : text) else { throw malformed(name, text) }
    return isNegative ? 0 : number
  }

  /// A file of lines `key value`; none where there is no such file.
  func pairs(_ name: String) throws(RuntimeError) -> [(key: String, value: UInt64)] {
    var pairs: [(key: String, value: UInt64)] = []
    for line in try lines(name) {
      guard let blank = line.firstIndex(of: 0x20) else { throw malformed(name, line) }
      pairs.append((CgroupText.string(line[..<blank]), try number(line[(blank + 1)...], of: name)))
    }
    return pairs
  }

  /// One of them; nil where there is none.
  func value(_ name: String, of key: String) throws(RuntimeError) -> UInt64? {
    for pair in try pairs(name) where pair.key == key { return pair.value }
    return nil
  }
}

extension SystemError {
  /// Whether a file or a directory of cgroupfs is not there, or not any more.
  var isGone: Bool { errno == .noEntry || errno == .noDevice }
}
