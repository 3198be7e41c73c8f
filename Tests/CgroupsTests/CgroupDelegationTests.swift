import Diagnostics
import Foundation
import LinuxABI
import Testing

@testable import Cgroups

/// Who owns the files of a cgroup, on files that look like one. That the owner becomes another one needs root and is an
/// integration test.
@Suite struct CgroupDelegationTests {
  @Test func filesAreThoseOfTheKernelsList() throws {
    let folder = try TemporaryFolder([
      "delegate": "cgroup.procs\ncgroup.threads\n\nmemory.oom.group\n../cgroup.kill\n..\n"
    ])
    #expect(
      try CgroupDelegation.files(folder.path + "/delegate") == ["cgroup.procs", "cgroup.threads", "memory.oom.group"])
  }

  @Test func filesWithoutAListAreThoseOfTheSpecification() throws {
    #expect(
      try CgroupDelegation.files("/nonexistent/delegate") == [
        "cgroup.procs", "cgroup.subtree_control", "cgroup.threads",
      ])
  }

  /// None of the files is there; a directory that is not there is an error.
  @Test func missingFileIsNoError() throws {
    let folder = try TemporaryFolder(folders: ["delegated"])
    let path = folder.path + "/delegated"
    let manager = CgroupManager(
      record: CgroupRecord(directories: [
        CgroupRecord.Directory(version: .v2, controllers: [], path: path, mountName: "", made: [])
      ]))
    try manager.delegate(to: getuid())
    try folder.remove("delegated")
    #expect {
      try manager.delegate(to: getuid())
    } throws: { error in
      (error as? RuntimeError)?.text.contains(path) == true
    }
  }

  /// On v1 the owner stays (config-linux.md, "Cgroup ownership").
  @Test func cgroupOfV1IsNotGivenAway() throws {
    let manager = CgroupManager(
      record: CgroupRecord(directories: [
        CgroupRecord.Directory(
          version: .v1, controllers: ["memory"], path: "/nonexistent", mountName: "memory", made: [])
      ]))
    try manager.delegate(to: getuid())
  }
}
