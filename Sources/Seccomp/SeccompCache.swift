internal import Diagnostics
internal import Linux
internal import LinuxABI

/// Programs made before, in `<root>/@cache/seccomp`. For a manager's profile this saves little: making its program takes
/// 0.26 ms. The cost of making one grows with the profile.
///
/// A file is named by ``SeccompKey/name``. It is used only if it belongs to the user that the runtime runs as, nobody
/// else can write it or the directories, it holds the whole key that it is for, and its checksum is right. Whatever is wrong
/// with the cache, the container starts with a program that is made anew.
struct SeccompCache {
  /// The state directory.
  private let root: String
  private let owner: UInt32

  /// More programs than these are not kept: nobody else would ever throw one away.
  static var capacity: Int { 64 }

  init(root: String) {
    self.root = root
    owner = Processes.effectiveUser()
  }

  private var path: String { "\(root)/@cache" }

  /// The program kept for `key`; nil if there is none.
  ///
  /// Throws `stateUnreadable` for what is there and wrong.
  func read(_ key: SeccompKey) throws(RuntimeError) -> SeccompProgram? {
    let name = "seccomp/\(key.name)"
    let bytes: [UInt8]
    do throws(SystemError) {
      let directory = try FileDescriptor.open(path, [.readOnly, .directory, .noFollow])
      try check(directory.status(), path)
      // What is looked at by its name is what is opened: nobody else can put another one in its place.
      try check(directory.status("seccomp"), "\(path)/seccomp")
      // Not blocking, in case it is a fifo.
      let file = try directory.open(name, [.readOnly, .noFollow, .nonBlocking])
      let status = try file.status()
      try check(status, "\(path)/\(name)", isFile: true)
      // What is larger is damaged.
      bytes = try file.read(upTo: min(Int(status.size), SeccompRecord.maximumSize(key)) + 1)
    } catch {
      if error.errno == .noEntry { return nil }
      throw error.because(
        .stateUnreadable, "cannot use the seccomp cache `\(path)`, which nobody but its owner may be able to write")
    }
    guard let program = SeccompRecord.decode(bytes, key) else {
      throw RuntimeError(.stateUnreadable, "the cached seccomp program `\(path)/\(name)` is damaged")
    }
    return program
  }

  /// Refuses what is of another kind, belongs to another user, or can be written by one.
  private func check(_ status: FileStatus, _ path: String, isFile: Bool = false) throws(SystemError) {
    let isRight = isFile ? status.isRegularFile : status.isDirectory
    if !isRight || status.uid != owner || status.mode & 0o022 != 0 { throw SystemError("statx", .accessDenied, path) }
  }

  /// Keeps `program` for `key`. The file appears as a whole or not at all.
  ///
  /// Throws `stateUnwritable`.
  func write(_ program: SeccompProgram, _ key: SeccompKey) throws(RuntimeError) {
    // A process id would not do: those who share the directory may be in different pid namespaces. What one that was killed
    // leaves goes with the rest.
    var random = SystemRandomNumberGenerator()
    let temporary = "new.\(random.next() as UInt64)"
    do throws(SystemError) {
      let directory = try openOrMake()
      try makeRoom(in: directory)
      let file = try directory.open(temporary, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
      do throws(SystemError) {
        try file.write(SeccompRecord.encode(program, key))
        try directory.rename(temporary, to: key.name)
      } catch {
        try remove(temporary, from: directory)
        throw error
      }
    } catch {
      throw error.because(.stateUnwritable, "cannot keep the seccomp program in `\(path)/seccomp`")
    }
  }

  private func openOrMake() throws(SystemError) -> FileDescriptor {
    var directory = try FileDescriptor.open(root, [.readOnly, .directory])
    var path = root
    for name in ["@cache", "seccomp"] {
      path += "/\(name)"
      do {
        try directory.makeDirectory(name, mode: 0o700)
      } catch {
        // It is there already, or another runtime was faster; whose directory it is is looked at next.
        if error.errno != .exists { throw error }
      }
      directory = try directory.open(name, [.readOnly, .directory, .noFollow])
      try check(directory.status(), path)
    }
    return directory
  }

  /// Throws everything away once there is too much: which programs are still wanted is not known, and one that is gets
  /// made again.
  private func makeRoom(in directory: borrowing FileDescriptor) throws(SystemError) {
    let entries = try directory.entries()
    if entries.count < SeccompCache.capacity { return }
    for entry in entries {
      try remove(entry.name, from: directory)
    }
  }

  private func remove(_ name: String, from directory: borrowing FileDescriptor) throws(SystemError) {
    do {
      try directory.unlink(name)
    } catch {
      if error.errno != .noEntry { throw error }
    }
  }
}
