import Diagnostics
import Foundation
import Linux
import Testing

@Suite struct FollowedPathTests {
  /// Each row: the path, where it ends, and the links that it leads over with where they lead.
  @Test func linksAreFollowedInsideOfTheRoot() throws {
    let folder = try RootFolder()
    for name in ["usr", "usr/bin", "a", "a/b", "run"] { mkdir("\(folder.path)/\(name)", 0o755) }
    for (link, target) in [
      ("bin", "usr/bin"), ("a/up", ".."), ("a/far", "/../../usr/./bin/"), ("a/two", "../bin/x"), ("a/out", "../../run"),
      ("a/none", "/nothing"),
    ] {
      symlink(target, "\(folder.path)/\(link)")
    }
    for (path, end, links) in [
      ("/usr/bin", "/usr/bin", []), ("//usr/../usr/./bin/", "/usr/bin", []), ("/", "/", []), ("/..", "/", []),
      ("/bin", "/usr/bin", ["/bin /usr/bin"]), ("/bin/..", "/usr", ["/bin /usr/bin"]), ("/a/up", "/", ["/a/up /"]),
      ("/a/up/a/b", "/a/b", ["/a/up /"]), ("/a/far", "/usr/bin", ["/a/far /usr/bin"]),
      ("/a/two", "/usr/bin/x", ["/a/two /bin/x", "/bin /usr/bin"]), ("/a/out", "/run", ["/a/out /run"]),
    ] as [(String, String, [String])] {
      if end.hasSuffix("/x") { try Data().write(to: URL(fileURLWithPath: folder.path + end)) }
      let found = try folder.root.follow(path)
      #expect(found.path == end && found.links.map { "\($0.path) \($0.target)" } == links, "\(path): \(found)")
    }
    #expect(throws: SystemError("statx", .noEntry, "/a/none")) { try folder.root.follow("/a/none") }
    #expect(throws: SystemError.self) { try folder.root.follow("/usr/bin/x/y") }
  }

  @Test func linkToItselfEnds() throws {
    let folder = try RootFolder()
    symlink("b", "\(folder.path)/a")
    symlink("a", "\(folder.path)/b")
    #expect(throws: SystemError("openat2", .symbolicLinkLoop, "/a/x")) { try folder.root.follow("/a/x") }
  }
}
