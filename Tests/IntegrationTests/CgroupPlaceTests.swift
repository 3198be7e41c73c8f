import Foundation
import Testing

extension Integration {
  /// Where a container's cgroup may be: `linux.cgroupsPath`.
  @Suite struct CgroupPlaceTests {
    private func container(_ path: String) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["cgroupsPath"] = .string(path)
      return container
    }

    /// The hierarchy in which frozen and occupied cgroups are looked for.
    private static let freezer = CgroupView.current == .v2 ? "" : "freezer"

    /// A cgroup of the test's own in that hierarchy, below another one; both go at the end.
    private func withCgroup(_ body: (_ path: String, _ folder: String) throws -> Void) throws {
      let root = try #require(Cgroups.root(of: Self.freezer))
      let path = "/\(TestRun.tag)/outer/inner"
      try FileManager.default.createDirectory(atPath: root + path, withIntermediateDirectories: true)
      defer {
        #expect(rmdir(root + path) == 0 && rmdir(root + "/\(TestRun.tag)/outer") == 0)
      }
      try body(path, root + path)
    }

    private func freeze(_ folder: String, _ isFrozen: Bool) throws {
      if CgroupView.current == .v2 {
        try Files.write(isFrozen ? "1" : "0", to: folder + "/cgroup.freeze")
      } else {
        try Files.write(isFrozen ? "FROZEN" : "THAWED", to: folder + "/freezer.state")
      }
    }

    @Test func nestedCgroupIsMadeAndRemovedWithAllAbove() throws {
      let container = try container("/\(TestRun.tag)/a/b c/d")
      try container.create()
      let pid = try container.pid()
      #expect(try Files.read("/proc/\(pid)/cgroup").contains(":/\(TestRun.tag)/a/b c/d\n"))
      try container.delete()
      #expect(Cgroups.leftovers() == [])
    }

    @Test func neighboursBelowOneCgroupDoNotDisturbEachOther() throws {
      let first = try container("/\(TestRun.tag)/a/one")
      try first.create()
      let second = try container("/\(TestRun.tag)/a/two")
      try second.create()
      try first.delete()
      #expect(try second.status() == "created")
      try second.delete()
      // What the first has made above is in no list of the second's.
      for folder in Cgroups.leftovers() { #expect(folder.hasSuffix("/a") && rmdir(folder) == 0) }
    }

    @Test(
      .apusOnly("the peers clean the path"),
      arguments: ["/../x", "a/../b", "..", "/a/..", "/a/./b", "/", "///", "a\nb"])
    func pathOutOfItsPlaceIsRefused(_ path: String) throws {
      let container = try container(path)
      expectError(try container.attempt("create"), detail: "/linux/cgroupsPath")
      try expectNothingLeft()
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "warns only"), .peerDiffers("crun", "1.8.1", "takes it"))
    func cgroupThatHoldsAProcessIsRefused() throws {
      try withCgroup { path, folder in
        let sleeper = try Subprocess("/bin/sleep", ["1000"])
        try Files.write("\(sleeper.process)", to: folder + "/cgroup.procs")
        let outcome = try container(path).attempt("create")
        expectError(outcome, detail: "holds 1 processes already, such as \(sleeper.process)")
        // It is not ours, so it stays, and its process lives.
        #expect(Files.exists(folder) && Processes.entry(Int(sleeper.process))?.state == "S")
        sleeper.signal(SIGKILL)
        _ = try sleeper.wait()
      }
    }

    @Test(.apusOnly("runc of Debian looks at no cgroup above"), arguments: ["inner", "outer"])
    func frozenCgroupIsRefused(_ which: String) throws {
      try withCgroup { path, folder in
        let frozen = which == "inner" ? folder : String(folder.dropLast("/inner".count))
        try freeze(frozen, true)
        let container = try container(path)
        let outcome = try container.attempt("create")
        try freeze(frozen, false)
        expectError(outcome, detail: "`\(folder)` is frozen")
        try container.create()
        try container.delete()
        #expect(Files.exists(folder), "it was there before")
      }
    }

    @Test func cgroupThatWasThereBeforeIsUsedAndStays() throws {
      try withCgroup { path, folder in
        let container = try container(path)
        try container.create()
        #expect(try Files.read(folder + "/cgroup.procs") == "\(container.pid())\n")
        try container.delete()
        #expect(Files.exists(folder))
      }
    }

    @Test(.apusOnly("crun ends the first process alone"))
    func withoutCgroupAndPidNamespaceAWarningSaysWhoIsEnded() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.globalFlags = ["--cgroup-manager=disabled"]
      container.bundle.removeNamespace("pid")
      let outcome = try container.attempt("create")
      outcome.expectSuccess()
      #expect(outcome.stderr.contains("`kill` and `delete` end the first one"), "\(outcome)")
      try container.delete()
      try expectNothingLeft()
    }
  }
}
