import CLinux
public import Diagnostics
public import LinuxABI

/// The one way to a path inside a root file system. Every lookup starts at the descriptor of the root and cannot
/// leave it (openat2(2), RESOLVE_IN_ROOT): symbolic links and `..` are followed as the container would follow them.
/// What comes out is a descriptor, and nobody goes from it back to a path: that is the attack of CVE-2021-30465 and of
/// a dozen others.
@frozen public struct RootDirectory: ~Copyable {
  public var descriptor: FileDescriptor

  @inlinable public init(_ descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }
}

extension RootDirectory {
  /// How often a lookup is tried again when a rename or a mount elsewhere disturbed it (EAGAIN, openat2(2)).
  static var attempts: Int { 128 }

  /// RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
  static var inRoot: UInt64 { 0x10 | 0x02 }

  /// Opens what is at `path`. With O_NOFOLLOW in `flags` a last component that is a symbolic link is ELOOP, or the
  /// link itself with O_PATH.
  public func open(
    _ path: String, _ flags: OpenFlags, mode: UInt32 = 0
  ) throws(SystemError) -> FileDescriptor {
    try RootDirectory.resolve(descriptor.number, path, flags, mode: mode, RootDirectory.inRoot)
  }

  /// Opens what is at `path`, refusing any symbolic link on the way (ELOOP).
  public func openWithoutLinks(_ path: String, _ flags: OpenFlags) throws(SystemError) -> FileDescriptor {
    // RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    try RootDirectory.resolve(descriptor.number, path, flags, mode: 0, 0x10 | 0x04 | 0x02)
  }

  /// Opens one name in a directory that was resolved before; never through a symbolic link.
  public static func openEntry(
    in directory: borrowing FileDescriptor, _ name: String, _ flags: OpenFlags, mode: UInt32 = 0
  ) throws(SystemError) -> FileDescriptor {
    // RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    try resolve(directory.number, name, flags, mode: mode, 0x08 | 0x04 | 0x02)
  }

  static func resolve(
    _ directory: Int32, _ path: String, _ flags: OpenFlags, mode: UInt32, _ rules: UInt64
  ) throws(SystemError) -> FileDescriptor {
    var how = apus_open_how(
      flags: UInt64(flags.union(.closeOnExec).rawValue), mode: UInt64(mode), resolve: rules)
    var result: Int64 = 0
    for _ in 0..<attempts {
      result = sys_openat2(directory, path.isEmpty ? "." : path, &how)
      if result != -11 && result != -4 { break }
    }
    return FileDescriptor(owning: Int32(try check("openat2", result, path)))
  }

  /// How many symbolic links are followed when something is made behind them, as the kernel counts (path_resolution(7)).
  static var linkLimit: Int { 40 }

  /// Opens the directory at `path` and makes what is missing of it, each step relative to the descriptor of the step
  /// before (CVE-2024-45310). Behind a symbolic link to nothing its target is made, inside of the root.
  public func makeDirectories(_ path: String, mode: UInt32) throws(SystemError) -> FileDescriptor {
    try makeDirectories(path, mode: mode, links: RootDirectory.linkLimit)
  }

  private func makeDirectories(
    _ path: String, mode: UInt32, links: Int
  ) throws(SystemError) -> FileDescriptor {
    do {
      return try open(path, [.path, .directory])
    } catch {
      if error.errno != .noEntry { throw error }
    }
    let (parentPath, name) = splitLast(path)
    let parent = try openParent(parentPath, mode: mode, links: links)
    do {
      try parent.makeDirectory(name, mode: mode)
    } catch {
      if error.errno != .exists { throw error }
      if let target = try linkTarget(in: parent, name, parentPath, links) {
        return try makeDirectories(target, mode: mode, links: links - 1)
      }
    }
    do {
      return try RootDirectory.openEntry(in: parent, name, [.path, .directory, .noFollow])
    } catch {
      throw SystemError(error.call, error.errno, path)
    }
  }

  private func openParent(_ path: String, mode: UInt32, links: Int) throws(SystemError) -> FileDescriptor {
    if path.isEmpty { return try open(".", [.path, .directory]) }
    return try makeDirectories(path, mode: mode, links: links)
  }

  /// Where the link `name` leads, as a path from the root; nil if it is no link. The path is looked up from the root
  /// again, so a link that somebody exchanges meanwhile leads to another place inside, never outside.
  private func linkTarget(
    in parent: borrowing FileDescriptor, _ name: String, _ parentPath: String, _ links: Int
  ) throws(SystemError) -> String? {
    guard try parent.status(name).isSymbolicLink else { return nil }
    if links == 0 { throw SystemError("openat2", .symbolicLinkLoop, name) }
    let target = try parent.readLink(name)
    return target.utf8.first == 0x2F ? target : "\(parentPath)/\(target)"
  }

  /// Opens what is at `path` itself, also where it is a symbolic link, and makes a directory or an empty file where there
  /// is nothing. Links on the way there are followed.
  public func makeWithoutFollowing(
    _ path: String, isDirectory: Bool, mode: UInt32, directoryMode: UInt32
  ) throws(SystemError) -> FileDescriptor {
    let (parentPath, name) = splitLast(path)
    let parent = try openParent(parentPath, mode: directoryMode, links: RootDirectory.linkLimit)
    do {
      if isDirectory {
        try parent.makeDirectory(name, mode: mode)
      } else {
        try parent.makeNode(name, mode: 0o100000 | mode)
      }
    } catch {
      if error.errno != .exists { throw error }
    }
    // Without RESOLVE_NO_SYMLINKS, which refuses to open a link itself; O_NOFOLLOW does not follow it.
    return try RootDirectory.resolve(parent.number, name, [.path, .noFollow], mode: 0, RootDirectory.inRoot)
  }

  /// Makes the symbolic link `path` with this target; one that is there already and leads to the same is left alone.
  public func makeLink(_ path: String, to target: String, directoryMode: UInt32) throws(SystemError) {
    let (parentPath, name) = splitLast(path)
    let parent = try openParent(parentPath, mode: directoryMode, links: RootDirectory.linkLimit)
    do {
      try parent.makeSymbolicLink(name, to: target)
    } catch {
      guard error.errno == .exists, try parent.status(name).isSymbolicLink, try parent.readLink(name) == target
      else { throw error }
    }
  }

  /// Opens the file at `path` with O_PATH and makes an empty one, and its directories, where there is none.
  public func makeFile(_ path: String, mode: UInt32, directoryMode: UInt32) throws(SystemError)
    -> FileDescriptor
  {
    var path = path
    for links in stride(from: RootDirectory.linkLimit, through: 0, by: -1) {
      do {
        return try open(path, .path)
      } catch {
        if error.errno != .noEntry { throw error }
      }
      let (parentPath, name) = splitLast(path)
      let parent = try openParent(parentPath, mode: directoryMode, links: links)
      do {
        try parent.makeNode(name, mode: 0o100000 | mode)
      } catch {
        if error.errno != .exists { throw error }
        if let target = try linkTarget(in: parent, name, parentPath, links) {
          path = target
          continue
        }
      }
      return try RootDirectory.openEntry(in: parent, name, [.path, .noFollow])
    }
    throw SystemError("openat2", .symbolicLinkLoop, path)
  }
}

/// `a/b/c` as `a/b` and `c`; slashes at either end do not count.
public func splitLast(_ path: String) -> (parent: String, name: String) {
  var bytes = path.utf8[...]
  while bytes.last == 0x2F { bytes.removeLast() }
  while bytes.first == 0x2F { bytes.removeFirst() }
  guard let slash = bytes.lastIndex(of: 0x2F) else { return ("", String(decoding: bytes, as: UTF8.self)) }
  return (
    String(decoding: bytes[bytes.startIndex..<slash], as: UTF8.self),
    String(decoding: bytes[bytes.index(after: slash)...], as: UTF8.self)
  )
}
