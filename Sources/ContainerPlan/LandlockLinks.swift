/// Symbolic links on the way to the path of a Landlock rule. The image makes them, and the rule is the operator's: a link to
/// `/` would give the whole container, with all that is mounted in it, the rights that were meant for one directory.
public enum LandlockLinks {
  /// Whether it is one of those that distributions have instead of a directory, and whose target is the same by another
  /// name: `/bin`, `/lib` and the like to one of their kind in `/usr` (or the other way round), `/var/run` and `/var/lock`.
  ///
  /// - Parameters:
  ///   - link: where it stands, from the root on and without other links.
  ///   - target: where it leads, from the root on and without `..`.
  public static func isUsual(_ link: String, target: String) -> Bool {
    switch (link, target) {
    case ("/var/run", "/run"), ("/var/lock", "/run/lock"): return true
    default: break
    }
    guard let kind = kind(of: link) else { return false }
    return kind == self.kind(of: target)
  }

  /// 1 for a directory of programs, 2 for one of libraries, both of file-hierarchy(7); nil for another.
  private static func kind(of path: String) -> Int? {
    switch path {
    case "/bin", "/sbin", "/usr/bin", "/usr/sbin": 1
    case "/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32": 2
    default: nil
    }
  }
}

/// What other rules allow where a path leads to.
public struct LandlockGrants {
  private var list: [(path: String, access: UInt64)] = []

  public init() {}

  /// - Parameter path: without symbolic links.
  public mutating func add(_ path: String, _ access: UInt64) {
    list.append((LandlockGrants.normal(path), access))
  }

  /// Whether they allow all of this already, for the path itself or directories above it: then a link adds nothing.
  public func cover(_ path: String, _ access: UInt64) -> Bool {
    var allowed: UInt64 = 0
    for (place, rights) in list where LandlockGrants.isAbove(place, path) { allowed |= rights }
    return access & ~allowed == 0
  }

  private static func isAbove(_ place: String, _ path: String) -> Bool {
    if place == "/" || place == path { return true }
    guard path.utf8.starts(with: place.utf8) else { return false }
    return path.utf8.dropFirst(place.utf8.count).first == 0x2F
  }

  /// Without `.`, `..` and slashes that mean nothing: what stands there is no link.
  private static func normal(_ path: String) -> String {
    var names: [String.UTF8View.SubSequence] = []
    for name in path.utf8.split(separator: 0x2F) {
      if name.elementsEqual("..".utf8) {
        _ = names.popLast()
      } else if !name.elementsEqual(".".utf8) {
        names.append(name)
      }
    }
    if names.isEmpty { return "/" }
    var text = ""
    for name in names {
      text += "/"
      text += String(decoding: name, as: UTF8.self)
    }
    return text
  }
}
