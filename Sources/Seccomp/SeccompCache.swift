internal import Diagnostics
internal import Linux
internal import LinuxABI

/// Programs made before, in `<root>/@cache/seccomp`. For a manager's profile this saves little: making its program takes
/// 0.26 ms, and the key and reading it 0.13 ms. The cost of making one grows with the profile.
///
/// A file is named by ``SeccompFilter/key``. It is used only if it belongs to the user that the runtime runs as, nobody
/// else can write it or the directories, it says which key it is for, and its hash is right. Whatever is wrong with the
/// cache, the container starts with a program that is made anew.
struct SeccompCache: ~Copyable {
  private let directory: FileDescriptor
  private let owner: UInt32

  /// More programs than these are not kept: nobody else would ever throw one away.
  static var capacity: Int { 64 }

  /// The cache of the state directory `root`, made if it is not there.
  ///
  /// Throws `stateUnreadable` if it is not ours alone, else `stateUnwritable`.
  init(root: String) throws(RuntimeError) {
    let owner = Processes.effectiveUser()
    var path = root
    do throws(SystemError) {
      var directory = try FileDescriptor.open(root, [.readOnly, .directory])
      for name in ["@cache", "seccomp"] {
        path += "/\(name)"
        do {
          directory = try directory.open(name, [.readOnly, .directory, .noFollow])
        } catch {
          if error.errno != .noEntry { throw error }
          try SeccompCache.make(name, in: directory)
          directory = try directory.open(name, [.readOnly, .directory, .noFollow])
        }
        guard SeccompCache.isOurs(try directory.status(), owner) else {
          throw SystemError("fstat", .accessDenied, path)
        }
      }
      self.directory = directory
      self.owner = owner
    } catch {
      if error.errno == .accessDenied {
        throw error.because(
          .stateUnreadable, "the seccomp cache `\(path)` must be writable by its owner only")
      }
      throw error.because(.stateUnwritable, "cannot open the seccomp cache `\(path)`")
    }
  }

  private static func make(_ name: String, in directory: borrowing FileDescriptor) throws(SystemError) {
    do {
      try directory.makeDirectory(name, mode: 0o700)
    } catch {
      // Another runtime was faster; whose directory it is is looked at next.
      if error.errno != .exists { throw error }
    }
  }

  private static func isOurs(_ status: FileStatus, _ owner: UInt32) -> Bool {
    status.uid == owner && status.mode & 0o022 == 0
  }

  /// The instructions kept for `key`; nil if there are none.
  ///
  /// Throws `stateUnreadable` for a file that is there and wrong.
  func read(_ key: SeccompKey) throws(RuntimeError) -> [UInt8]? {
    let bytes: [UInt8]
    do throws(SystemError) {
      // Not blocking, in case it is a fifo.
      let file = try directory.open(key.name, [.readOnly, .noFollow, .nonBlocking])
      let status = try file.status()
      guard status.isRegularFile && SeccompCache.isOurs(status, owner) else {
        throw SystemError("fstat", .accessDenied, key.name)
      }
      bytes = try file.readAll(limit: SeccompRecord.maximumSize)
    } catch {
      if error.errno == .noEntry { return nil }
      throw error.because(.stateUnreadable, "cannot use the cached seccomp program `\(key.name)`")
    }
    guard let instructions = SeccompRecord.decode(bytes, key) else {
      throw RuntimeError(.stateUnreadable, "the cached seccomp program `\(key.name)` is damaged")
    }
    return instructions
  }

  /// Keeps `instructions` for `key`. The file appears as a whole or not at all.
  func write(_ instructions: [UInt8], _ key: SeccompKey) throws(RuntimeError) {
    let temporary = "new.\(Processes.ownPid())"
    do throws(SystemError) {
      try makeRoom()
      try remove(temporary)
      let file = try directory.open(temporary, [.writeOnly, .create, .exclusive, .noFollow], mode: 0o600)
      do throws(SystemError) {
        try file.write(SeccompRecord.encode(instructions, key))
        try directory.rename(temporary, to: key.name)
      } catch {
        try remove(temporary)
        throw error
      }
    } catch {
      throw error.because(.stateUnwritable, "cannot keep the seccomp program `\(key.name)`")
    }
  }

  /// Throws everything away once there is too much: which programs are still wanted is not known, and one that is gets
  /// made again.
  private func makeRoom() throws(SystemError) {
    let entries = try directory.entries()
    if entries.count < SeccompCache.capacity { return }
    for entry in entries {
      try remove(entry.name)
    }
  }

  private func remove(_ name: String) throws(SystemError) {
    do {
      try directory.unlink(name)
    } catch {
      if error.errno != .noEntry { throw error }
    }
  }
}

/// What the file of a cached program holds: magic, key, instructions, and the SHA-256 of it all.
enum SeccompRecord {
  private static var magic: [UInt8] { [0x61, 0x70, 0x75, 0x73, 0x42, 0x50, 0x46, 0x31] }  // apusBPF1
  private static var hashSize: Int { 32 }
  private static var overhead: Int { magic.count + 2 * hashSize }
  static var maximumSize: Int { overhead + 8 * SeccompCompiler.maximumInstructionCount }

  static func encode(_ instructions: [UInt8], _ key: SeccompKey) -> [UInt8] {
    let content = magic + key.digest + instructions
    return content + SHA256.digest(content)
  }

  /// The instructions; nil if anything is not as ``encode(_:_:)`` writes it.
  static func decode(_ bytes: [UInt8], _ key: SeccompKey) -> [UInt8]? {
    guard bytes.count > overhead && bytes.count <= maximumSize && (bytes.count - overhead) % 8 == 0 else {
      return nil
    }
    let content = [UInt8](bytes[..<(bytes.count - hashSize)])
    guard content.starts(with: magic), content[magic.count...].starts(with: key.digest) else { return nil }
    guard bytes[content.count...].elementsEqual(SHA256.digest(content)) else { return nil }
    return [UInt8](content[(magic.count + hashSize)...])
  }
}
