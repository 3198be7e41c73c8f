public import CLinux
public import Diagnostics
public import LinuxABI

/// An open file that closes itself. Every descriptor made here is close-on-exec; one that must outlive `execve` is
/// handed over by ``Spawn``. Lend it `borrowing`, give it away `consuming`.
@frozen public struct FileDescriptor: ~Copyable, Sendable {
  /// The number in the descriptor table of this process; -1 once it was given away.
  public private(set) var number: Int32

  /// Takes charge of an open descriptor.
  public init(owning number: Int32) {
    self.number = number
  }

  @inlinable deinit {
    // A failing close(2) has closed the descriptor all the same, and files written here are checked at write.
    if number >= 0 { _ = sys_close(number) }
  }

  /// Gives the number to somebody else, who closes it. Stands only next to a transfer to another process.
  public consuming func release() -> Int32 {
    let given = number
    number = -1
    return given
  }
}

extension FileDescriptor {
  /// openat(2) from the working directory; `path` is one of the host.
  public static func open(
    _ path: String, _ flags: OpenFlags, mode: UInt32 = 0
  ) throws(SystemError) -> FileDescriptor {
    try openAt(CurrentDirectory.number, path, flags, mode: mode)
  }

  /// openat(2) relative to this directory. Symbolic links are followed: only for directories that nobody but the
  /// runtime can write; inside a root file system use ``RootDirectory``.
  public func open(
    _ path: String, _ flags: OpenFlags, mode: UInt32 = 0
  ) throws(SystemError) -> FileDescriptor {
    try FileDescriptor.openAt(number, path, flags, mode: mode)
  }

  static func openAt(
    _ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32
  ) throws(SystemError) -> FileDescriptor {
    let all = Int32(truncatingIfNeeded: flags.union(.closeOnExec).rawValue)
    let number = try checkRetrying("openat", path) { sys_openat(directory, path, all, mode) }
    return FileDescriptor(owning: Int32(number))
  }

  /// Opens the file that this O_PATH descriptor stands for, by its name in procfs: a magic link, which leads to the
  /// file itself on its own mount and not to a path. Only on the host's side, where /proc is the host's; the folder of the
  /// link is verified, so that the name is none of anybody else.
  public func reopen(_ flags: OpenFlags) throws(SystemError) -> FileDescriptor {
    try ProcFileSystem.mounted().openOwnLink("fd", "\(number)", flags)
  }

  /// A second descriptor for the same open file.
  public func duplicate() throws(SystemError) -> FileDescriptor { try FileDescriptor.duplicate(of: number) }

  /// The same for one that is not ours.
  public static func duplicate(of number: Int32) throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: Int32(try check("fcntl", sys_fcntl(number, 1030 /* F_DUPFD_CLOEXEC */, 3))))
  }

  /// Whether one that is not ours can be written to, F_GETFL of fcntl(2); one with O_PATH says that it is only read.
  public static func isWritable(_ number: Int32) throws(SystemError) -> Bool {
    [1, 2].contains(try check("fcntl", sys_fcntl(number, 3 /* F_GETFL */, 0), "descriptor \(number)") & 3)
  }

  /// O_NONBLOCK, which holds for everybody who has this open file.
  public func setNonBlocking() throws(SystemError) {
    let flags = try check("fcntl", sys_fcntl(number, 3 /* F_GETFL */, 0))
    try check("fcntl", sys_fcntl(number, 4 /* F_SETFL */, UInt64(flags | 0o4000)))
  }

  /// Puts this open file in the place of `number`, dup3(2); the new one is not close-on-exec, as a standard stream.
  public func replace(_ number: Int32) throws(SystemError) {
    try check("dup3", sys_dup3(self.number, number, 0))
  }

  /// One read(2); an empty array at the end of the file.
  public func read(upTo limit: Int) throws(SystemError) -> [UInt8] {
    try FileDescriptor.readOnce(number, upTo: limit)
  }

  /// The same for a descriptor that is not ours.
  public static func readOnce(_ number: Int32, upTo limit: Int) throws(SystemError) -> [UInt8] {
    var failure: Int64 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      var result: Int64
      repeat {
        result = sys_read(number, buffer.baseAddress, limit)
      } while result == -4
      count = result < 0 ? 0 : Int(result)
      failure = result < 0 ? result : 0
    }
    try check("read", failure)
    return bytes
  }

  /// Everything up to the end of the file. A file longer than `limit` bytes is EFBIG.
  public func readAll(limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunkSize = min(limit + 1, 16384)
    while true {
      let chunk = try read(upTo: chunkSize)
      if chunk.isEmpty { return bytes }
      if bytes.isEmpty { bytes = chunk } else { bytes += chunk }
      if bytes.count > limit { throw SystemError("read", .fileTooLarge) }
      chunkSize = min(chunkSize * 2, limit + 1)
    }
  }

  /// One write(2) to a descriptor that is not ours, or does not wait; how many bytes it took.
  public static func writeOnce(_ number: Int32, _ bytes: ArraySlice<UInt8>) throws(SystemError) -> Int {
    let written = try checkRetrying("write") {
      bytes.withUnsafeBufferPointer { sys_write(number, $0.baseAddress, $0.count) }
    }
    return Int(written)
  }

  /// Writes all of it, however many calls it takes.
  public func write(_ bytes: [UInt8]) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      var result: Int64 = 0
      bytes.withUnsafeBufferPointer { buffer in
        guard let start = buffer.baseAddress else { return }
        result = sys_write(number, start + done, buffer.count - done)
      }
      if result == -4 { continue }
      done += Int(try check("write", result))
    }
  }

  public func write(_ text: String) throws(SystemError) {
    try write([UInt8](text.utf8))
  }

  /// The whole of a file relative to this directory.
  public func readFile(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    try open(path, .readOnly).readAll(limit: limit)
  }

  /// Opens an existing file relative to this directory and writes `text` with one write(2), as the files of procfs
  /// and cgroupfs want it.
  public func writeFile(_ path: String, _ text: String) throws(SystemError) {
    try open(path, .writeOnly).writeOnce(text, path)
  }

  /// One write(2) that has to take all of `text`; `name` is for the error.
  func writeOnce(_ text: String, _ name: String) throws(SystemError) {
    var text = text
    let number = number
    let length = text.utf8.count
    let written = try checkRetrying("write", name) {
      text.withUTF8 { sys_write(number, $0.baseAddress, $0.count) }
    }
    if written != length { throw SystemError("write", .inputOutput, name) }
  }
}
