public import Diagnostics
import LinuxABI

/// A symbolic link that stood on the way.
public struct FollowedLink: Sendable, Equatable {
  /// Where it stands, absolute in the root and without links.
  public var path: String
  /// Where it leads, absolute in the root, as it says: what it names may be links again. As it is written where a `..` in it is
  /// behind a name, which may be one too, so that the text does not say where it leads.
  public var target: String
}

/// Where a path leads to.
public struct FollowedPath: Sendable, Equatable {
  /// Absolute in the root, without links, `.` and `..`.
  public var path: String
  /// In the order in which they were met.
  public var links: [FollowedLink]
}

extension RootDirectory {
  /// Follows every link of a path, one by one, as the kernel would inside of this root (path_resolution(7)). For who has to
  /// know where something is, and not only to open it: that is done afterwards, by ``openWithoutLinks(_:_:)``, which
  /// refuses what somebody changes meanwhile. A link of procfs to an open file is followed by the text that it shows.
  public func follow(_ path: String) throws(SystemError) -> FollowedPath {
    var names: [String] = []
    var links: [FollowedLink] = []
    // The next one is the last.
    var rest = RootDirectory.names(path)
    while let name = rest.popLast() {
      if name == ".." {
        _ = names.popLast()
        continue
      }
      guard let target = try linkTarget(in: names, name, path) else {
        names.append(name)
        continue
      }
      if links.count == RootDirectory.linkLimit { throw SystemError("openat2", .symbolicLinkLoop, path) }
      let link = RootDirectory.absolute(names + [name])
      if target.utf8.first == 0x2F { names = [] }
      let next = RootDirectory.names(target)
      let isPlain = !next[..<(next.lastIndex { $0 != ".." } ?? 0)].contains("..")
      links.append(FollowedLink(path: link, target: isPlain ? RootDirectory.end(names, next) : target))
      rest += next
    }
    return FollowedPath(path: RootDirectory.absolute(names), links: links)
  }

  /// Nil where the name is that of something else than a link.
  private func linkTarget(in names: [String], _ name: String, _ path: String) throws(SystemError) -> String? {
    do throws(SystemError) {
      let directory = try openWithoutLinks(RootDirectory.absolute(names), [.path, .directory])
      guard try directory.status(name).isSymbolicLink else { return nil }
      let target = try directory.readLink(name)
      // A name that is no UTF-8 would come out repaired, and be another name.
      if target.unicodeScalars.contains("\u{FFFD}") { throw SystemError("readlinkat", Errno(84), path) }
      return target
    } catch {
      throw SystemError(error.call, error.errno, path)
    }
  }

  /// The names of a path, the last one first.
  private static func names(_ path: String) -> [String] {
    var names: [String] = []
    for name in path.utf8.split(separator: 0x2F).reversed() where !name.elementsEqual(".".utf8) {
      names.append(String(decoding: name, as: UTF8.self))
    }
    return names
  }

  /// Where names, the last one first, end by their text.
  private static func end(_ start: [String], _ rest: [String]) -> String {
    var names = start
    for name in rest.reversed() {
      if name == ".." { _ = names.popLast() } else { names.append(name) }
    }
    return absolute(names)
  }

  private static func absolute(_ names: [String]) -> String {
    names.isEmpty ? "/" : names.reduce("") { $0 + "/" + $1 }
  }
}
