import Diagnostics
import Foundation
import Linux
import LinuxABI
import OCISpec
import Testing

@testable import Cgroups

/// A folder that looks like a mounted hierarchy.
private final class Folder: TemporaryFolder {
  func layout(_ controllers: [String] = ["memory"]) -> CgroupLayout {
    CgroupLayout(
      hierarchies: [CgroupHierarchy(version: .v1, controllers: controllers, mountPoint: path)], unified: nil)
  }
}

@Suite struct CgroupEffectTests {
  @Test func parentsAreMadeAndRemovedAgain() throws {
    let folder = try Folder()
    let manager = try CgroupManager.create(CgroupPath("/a/b/c", id: "x"), layout: folder.layout(), writes: [])
    #expect(folder.has("a/b/c"))
    let made = ["a", "a/b", "a/b/c"].map { "\(folder.path)/\($0)" }
    #expect(manager.record.directories.map { $0.made } == [made])
    try CgroupManager(record: manager.record).remove()
    #expect(!folder.has("a"))
    #expect(folder.has("."))
  }

  @Test func whatWasThereBeforeStays() throws {
    let folder = try Folder()
    try folder.make("a/b")
    let manager = try CgroupManager.create(CgroupPath("/a/b", id: "x"), layout: folder.layout(), writes: [])
    #expect(manager.record.directories[0].made.isEmpty)
    try manager.remove()
    #expect(folder.has("a/b"))
  }

  @Test func parentInUseByOthersStays() throws {
    let folder = try Folder()
    let one = try CgroupManager.create(CgroupPath("/a/one", id: "x"), layout: folder.layout(), writes: [])
    let two = try CgroupManager.create(CgroupPath("/a/two", id: "x"), layout: folder.layout(), writes: [])
    try one.remove()
    #expect(folder.has("a/two"))
    try two.remove()
    #expect(folder.has("a"), "the second container did not make it")
  }

  @Test func groupsBelowAreRemovedFirst() throws {
    let folder = try Folder()
    let manager = try CgroupManager.create(CgroupPath("/a", id: "x"), layout: folder.layout(), writes: [])
    try folder.make("a/below/deeper")
    try folder.make("a/other")
    try manager.remove()
    #expect(!folder.has("a"))
  }

  @Test func removalTwiceIsNoError() throws {
    let folder = try Folder()
    let manager = try CgroupManager.create(CgroupPath("/a", id: "x"), layout: folder.layout(), writes: [])
    try manager.remove()
    try manager.remove()
  }

  @Test func occupiedGroupIsRefusedAndNothingStays() throws {
    let free = try Folder()
    let taken = try Folder()
    try taken.make("a")
    try taken.write("a/cgroup.procs", "1\n")
    var layout = free.layout(["cpu"])
    layout.hierarchies += taken.layout().hierarchies
    let error = #expect(throws: RuntimeError.self) {
      try CgroupManager.create(CgroupPath("/a", id: "x"), layout: layout, writes: [])
    }
    #expect(error?.code == .cgroup)
    #expect(error?.field == "/linux/cgroupsPath")
    #expect(error?.message.contains("holds 1 processes already") == true)
    #expect(!free.has("a"))
    #expect(taken.has("a"))
  }

  @Test(arguments: ["FROZEN\n", "FREEZING\n"]) func frozenGroupIsRefused(_ state: String) throws {
    let folder = try Folder()
    try folder.make("a")
    try folder.write("a/freezer.state", state)
    let error = #expect(throws: RuntimeError.self) {
      try CgroupManager.create(CgroupPath("/a", id: "x"), layout: folder.layout(["freezer"]), writes: [])
    }
    #expect(error?.message.contains("is frozen") == true)
  }

  @Test func missingMountIsAnErrorWithItsCause() throws {
    let layout = CgroupLayout(
      hierarchies: [CgroupHierarchy(version: .v1, controllers: ["cpu"], mountPoint: "/nonexistent/x")],
      unified: nil)
    let error = #expect(throws: RuntimeError.self) {
      try CgroupManager.create(CgroupPath("/a", id: "x"), layout: layout, writes: [])
    }
    #expect(error?.cause?.errno == .noEntry)
  }

  private func write(
    _ file: String, _ text: String, missing: CgroupWrite.Missing = .fails, isDefault: Bool = false
  ) -> CgroupWrite {
    CgroupWrite(
      controller: "memory", version: .v1, file: file, text: text, pointer: "/p", isDefault: isDefault,
      missing: missing)
  }

  @Test func writerGoesBelowItsDirectoryInOrder() throws {
    let folder = try Folder()
    for name in ["one", "two", "other"] { try folder.write(name, "") }
    let directory = try FileDescriptor.open(folder.path, [.readOnly, .directory])
    try CgroupWriter.write(
      [
        write("one", "1"), write("two", "a"), write("two", "b"), write("absent", "2", missing: .ignored),
        write("absent", "3", missing: .alternative(file: "other", text: "4")),
      ], to: directory, path: folder.path)
    #expect(try folder.read("one") == "1")
    #expect(try folder.read("two") == "ab")
    #expect(try folder.read("other") == "4")
    #expect(!folder.has("absent"))
  }

  @Test func failedWriteNamesFileValueAndPointer() throws {
    let folder = try Folder()
    let directory = try FileDescriptor.open(folder.path, [.readOnly, .directory])
    let error = #expect(throws: RuntimeError.self) {
      try CgroupWriter.write([write("absent", "12")], to: directory, path: "/sys/x")
    }
    #expect(error?.code == .cgroupLimit)
    #expect(error?.message == "cannot write `12` to `/sys/x/absent`")
    #expect(error?.field == "/p")
    #expect(error?.cause?.errno == .noEntry)
  }

  @Test func valuesOfAFreshGroupAreNotWritten() throws {
    let folder = try Folder()
    try folder.make("old")
    try folder.write("old/memory.limit_in_bytes", "4096")
    let writes = [write("memory.limit_in_bytes", "-1", isDefault: true)]
    // The new one has no such file: a write would fail.
    let new = try CgroupManager.create(CgroupPath("/new", id: "x"), layout: folder.layout(), writes: writes)
    try new.apply(writes, phase: .beforeJoin)
    let old = try CgroupManager.create(CgroupPath("/old", id: "x"), layout: folder.layout(), writes: writes)
    try old.apply(writes, phase: .beforeJoin)
    #expect(try folder.read("old/memory.limit_in_bytes").hasPrefix("-1"))
  }

  @Test func lastWritesAreMadeInTheirPhaseOnly() throws {
    let folder = try Folder()
    try folder.make("a")
    for name in ["pids.max", "memory.x"] { try folder.write("a/\(name)", "") }
    var writes = [write("memory.x", "1")]
    writes.append(
      CgroupWrite(controller: "pids", version: .v1, file: "pids.max", text: "0", pointer: "/p", phase: .last))
    let manager = try CgroupManager.create(
      CgroupPath("/a", id: "x"), layout: folder.layout(["memory", "pids"]), writes: writes)
    try manager.apply(writes, phase: .beforeJoin)
    #expect(try folder.read("a/memory.x") == "1")
    #expect(try folder.read("a/pids.max") == "")
    try manager.apply(writes, phase: .last)
    #expect(try folder.read("a/pids.max") == "0")
  }

  @Test func cpusetTakesTheNearestValuesAbove() throws {
    let folder = try Folder()
    for name in ["", "a/", "a/b/"] {
      if !name.isEmpty { try folder.make(name) }
      try folder.write(name + "cpuset.cpus", name.isEmpty ? "0-3\n" : "\n")
      try folder.write(name + "cpuset.mems", name == "a/" ? "1\n" : "")
    }
    let manager = try CgroupManager.create(
      CgroupPath("/a/b", id: "x"), layout: folder.layout(["cpuset"]),
      writes: [
        CgroupWrite(controller: "cpuset", version: .v1, file: "cpuset.mems", text: "1", pointer: "/p")
      ])
    #expect(try folder.read("a/cpuset.cpus").hasPrefix("0-3"))
    #expect(try folder.read("a/b/cpuset.cpus").hasPrefix("0-3"))
    #expect(try folder.read("a/b/cpuset.mems") == "", "it is about to be written")
    #expect(
      manager.record.directories[0].mountName == folder.path.split(separator: "/").last.map(String.init))
  }
}
