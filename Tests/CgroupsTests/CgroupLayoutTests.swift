import Diagnostics
import Testing

@testable import Cgroups

@Suite struct CgroupLayoutTests {
  /// What other software has mounted for itself holds no container.
  @Test func hierarchiesOfOthersAloneAreNone() {
    let mounts = Layouts.root + "40 23 0:30 / /sys/fs/cgroup/openrc rw - cgroup openrc rw,name=openrc\n"
    let error = #expect(throws: RuntimeError.self) { try Layouts.layout(mounts, "1:name=openrc:/\n") }
    #expect(error?.code == .cgroup)
  }

  @Test func hybridMachineHasBoth() throws {
    let layout = try Layouts.layout(Layouts.hybridMounts, Layouts.hybridOwn)
    #expect(layout.kind == .hybrid)
    #expect(layout.unified?.mountPoint == "/sys/fs/cgroup/unified")
    #expect(layout.hierarchies.count == 9)
    let memory = layout.hierarchies.first { $0.controllers == ["memory"] }
    #expect(memory?.mountPoint == "/sys/fs/cgroup/memory")
    #expect(memory?.ownPath == "/services/one")
    #expect(layout.version(of: "cpuacct") == .v1)
    #expect(layout.version(of: "hugetlb") == .v2)
  }

  @Test func hierarchiesNamedByOtherSoftwareAreNotJoined() throws {
    let layout = try Layouts.layout(Layouts.hybridMounts, Layouts.hybridOwn)
    #expect(layout.joined.count == 9)
    #expect(!layout.joined.contains { $0.controllers == ["name=openrc"] })
    #expect(layout.joined.contains { $0.controllers == ["name=systemd"] })
    #expect(layout.joined.last?.version == .v2)
  }

  @Test func pureV1HasNoUnifiedTree() throws {
    let mounts = Layouts.hybridMounts.split(separator: "\n").filter { !$0.contains("cgroup2") }
    let layout = try Layouts.layout(mounts.joined(separator: "\n"), Layouts.hybridOwn)
    #expect(layout.kind == .v1)
    #expect(layout.version(of: "hugetlb") == nil)
  }

  @Test func pureV2HasOneTree() throws {
    let layout = try Layouts.layout(Layouts.unifiedMounts, "0::/user.slice/session\n")
    #expect(layout.kind == .v2)
    #expect(layout.unified?.ownPath == "/user.slice/session")
    #expect(layout.version(of: "memory") == .v2)
  }

  @Test func coveredMountsAreNotUsed() throws {
    // A tmpfs over the hybrid tree, and in it a view of v1 only: what lies below cannot be reached any more.
    let mounts =
      Layouts.hybridMounts + """
        60 31 0:50 / /sys/fs/cgroup rw - tmpfs none rw
        61 60 0:32 / /sys/fs/cgroup/memory rw - cgroup none rw,memory
        62 60 0:51 / /sys/fs/cgroup/pids\\040two rw - cgroup none rw,pids

        """
    let layout = try Layouts.layout(mounts, Layouts.hybridOwn)
    #expect(layout.kind == .v1)
    #expect(layout.hierarchies.map { $0.controllers } == [["pids"], ["memory"]])
    #expect(layout.hierarchies[0].mountPoint == "/sys/fs/cgroup/pids two")
  }

  @Test func v2OverAHybridTreeIsPureV2() throws {
    let mounts = Layouts.hybridMounts + "60 31 0:38 / /sys/fs/cgroup rw - cgroup2 none rw\n"
    #expect(try Layouts.layout(mounts, Layouts.hybridOwn).kind == .v2)
  }

  @Test func mountThatShowsTheOwnCgroupWins() throws {
    let mounts =
      Layouts.root + """
        30 23 0:26 /other /srv/root/cgroup rw - cgroup2 cgroup2 rw
        31 23 0:26 /mine /sys/fs/cgroup rw - cgroup2 cgroup2 rw

        """
    let layout = try Layouts.layout(mounts, "0::/mine/below\n")
    #expect(layout.unified?.mountPoint == "/sys/fs/cgroup")
    #expect(layout.unified?.ownRelativePath == "below")
  }

  @Test func noCgroupMountIsAnError() {
    #expect(throws: RuntimeError.self) { try Layouts.layout(Layouts.root, "0::/\n") }
  }

  @Test func brokenOwnCgroupLineIsAnError() {
    #expect(throws: RuntimeError.self) { try Layouts.layout(Layouts.unifiedMounts, "0:\n") }
    #expect(throws: RuntimeError.self) { try Layouts.layout(Layouts.unifiedMounts, "0::relative\n") }
  }

  @Test(arguments: [
    ("a\\040b", "a b"), ("\\134", "\\"), ("a\\011\\012", "a\t\n"), ("a\\9", "a\\9"), ("\\04", "\\04"),
  ])
  func octalEscapesAreTakenOut(_ escaped: String, _ plain: String) {
    #expect(CgroupText.unescaped([UInt8](escaped.utf8)[...]) == plain)
  }
}

@Suite struct CgroupPathTests {
  private func below(_ path: String?, own: String, root: String = "/", _ kind: CgroupLayout.Kind) throws
    -> String
  {
    let hierarchy = CgroupHierarchy(
      version: kind == .v2 ? .v2 : .v1, mountPoint: "/m", mountRoot: root, ownPath: own)
    return try CgroupPath(path, id: "box").below(hierarchy, kind: kind).joined(separator: "/")
  }

  @Test func absolutePathStartsAtTheMount() throws {
    #expect(try below("/a/b", own: "/x/y", .v1) == "a/b")
    #expect(try below("/a/b", own: "/x/y", .v2) == "a/b")
  }

  @Test func relativePathStartsAtTheOwnCgroupOnV1() throws {
    #expect(try below("a/b", own: "/x/y", .v1) == "x/y/a/b")
    #expect(try below("a/b", own: "/x/y", .hybrid) == "x/y/a/b")
    #expect(try below("a", own: "/", .v1) == "a")
  }

  @Test func relativePathStartsAtTheParentOnV2() throws {
    #expect(try below("a/b", own: "/x/y", .v2) == "x/a/b")
    #expect(try below("a", own: "/x", .v2) == "a")
    #expect(try below("a", own: "/", .v2) == "a")
  }

  @Test func emptyComponentsDoNotCount() throws {
    #expect(try below("//a//b/", own: "/x", .v1) == "a/b")
  }

  @Test func absentPathIsTheName() throws {
    #expect(try below(nil, own: "/x/y", .v1) == "x/y/box")
    #expect(try below("", own: "/x/y", .v2) == "x/box")
  }

  @Test func rootOfTheMountIsTakenOff() throws {
    #expect(try below("a", own: "/docker/1/x", root: "/docker/1", .v1) == "x/a")
    #expect(try below("a", own: "/docker/12", root: "/docker/1", .v1) == "a")
    #expect(try below("a", own: "/../other", .v1) == "a")
  }

  @Test(arguments: ["..", "/..", "/a/../b", "/", "//", "a/.", "a\nb", "a\0b"])
  func badPathIsRefused(_ path: String) {
    let error = #expect(throws: RuntimeError.self) { try CgroupPath(path, id: "box") }
    #expect(error?.code == .configInvalid)
    #expect(error?.field == "/linux/cgroupsPath")
  }

  /// What a container says of itself: only what is below its own cgroup counts.
  @Test(
    arguments: [
      ("/", "/box/in", "in"), ("/", "/box/in/most", "in/most"), ("/", "/box", nil), ("/", "/box/", nil),
      ("/", "/", nil), ("/", "/boxes/in", nil), ("/", "/other/box/in", nil), ("/", "/box/../other", nil),
      ("/", "/box/in/..", nil), ("/", "/box//in", nil), ("/", "/../box/in", nil), ("/outer", "/outer/box/in", "in"),
      ("/outer", "/box/in", nil),
    ] as [(String, String, String?)])
  func cgroupBelowAnotherHasAPathFromThere(root: String, cgroup: String, path: String?) {
    let hierarchy = CgroupHierarchy(version: .v2, mountPoint: "/sys/fs/cgroup", mountRoot: root)
    #expect(hierarchy.path(of: cgroup, below: "/sys/fs/cgroup/box") == path)
  }
}
