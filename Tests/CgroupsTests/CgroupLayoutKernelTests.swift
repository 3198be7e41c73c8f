import Diagnostics
import Foundation
import Linux
import LinuxABI
import Testing

@testable import Cgroups

/// How cgroups are really mounted, in whatever layout this process sees: `APUS_CGROUP_TESTS=1`, as root in
/// a mount namespace of its own (hack/in-view), because the tests mount.
@Suite(
  .enabled(if: ProcessInfo.processInfo.environment["APUS_CGROUP_TESTS"] == "1"), .serialized)
struct CgroupLayoutKernelTests {
  private let own: [OwnCgroup]
  /// Whether statmount(2) tells the options of a mount, as from Linux 6.11 on.
  private let kernelTells: Bool

  init() throws {
    own = try OwnCgroup.entries([UInt8](String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8).utf8))
    // hack/in-view mounts a tmpfs with a mode there.
    let run = try FileDescriptor.open("/run", [.path, .directory])
    kernelTells = try run.mountStatus("")?.options.isEmpty == false
  }

  private func run(_ command: String) throws {
    let process = Foundation.Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-ec", command]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(command)")
  }

  /// Mounts, runs the body, and takes away what was mounted, the last first.
  private func mounted(_ commands: [(mount: String, point: String)], _ body: () throws -> Void) throws {
    var points: [String] = []
    defer {
      for point in points.reversed() {
        do { try run("umount -R \(point)") } catch { Issue.record("\(point) stays mounted: \(error)") }
      }
    }
    for command in commands {
      try run("mount \(command.mount) \(command.point)")
      points.append(command.point)
    }
    try body()
  }

  @Test func usualPlaceTellsTheSameAsMountinfo() throws {
    let parsed = try CgroupLayout.readMountinfo(own)
    #expect(try CgroupLayout.read() == parsed)
    if kernelTells { #expect(CgroupLayout.readUsualPlace(own) == parsed) }
  }

  /// What kernels before statmount(2) go by.
  private func rootByInode(_ hierarchy: CgroupHierarchy) throws -> String? {
    try CgroupLayout.unifiedRootByInode(try FileDescriptor.open(hierarchy.mountPoint, [.path, .directory]))
  }

  @Test func partOfATreeIsSeenAsSuch() throws {
    let layout = try CgroupLayout.readMountinfo(own)
    // As a container without a cgroup namespace has it: the directory of its own cgroup where the tree was.
    let hierarchy = try #require(layout.unified ?? layout.hierarchies.first)
    #expect(try rootByInode(hierarchy) == "/")
    let part = hierarchy.mountPoint + "/apus-layout-test"
    try FileManager.default.createDirectory(atPath: part, withIntermediateDirectories: true)
    defer { rmdir(part) }
    try mounted([("--bind \(part)", hierarchy.mountPoint)]) {
      let parsed = try CgroupLayout.readMountinfo(own)
      #expect(try rootByInode(hierarchy) == nil)
      #expect((parsed.unified ?? parsed.hierarchies.first)?.mountRoot.hasSuffix("/apus-layout-test") == true)
      #expect(try CgroupLayout.read() == parsed)
      if kernelTells { #expect(CgroupLayout.readUsualPlace(own) == parsed) }
    }
  }

  @Test func hierarchyUnderAnotherNameIsFound() throws {
    let layout = try CgroupLayout.readMountinfo(own)
    let hierarchy = try #require(layout.unified ?? layout.hierarchies.first)
    // A tmpfs over everything, and in it one hierarchy where nobody looks for it.
    try mounted([
      ("--bind \(hierarchy.mountPoint)", "/mnt"), ("-t tmpfs none", "/sys/fs/cgroup"),
    ]) {
      try FileManager.default.createDirectory(
        atPath: "/sys/fs/cgroup/elsewhere", withIntermediateDirectories: false)
      try mounted([("--bind /mnt", "/sys/fs/cgroup/elsewhere")]) {
        #expect(CgroupLayout.readUsualPlace(own) == nil)
        let found = try CgroupLayout.read()
        #expect(found.joined.map { $0.mountPoint } == ["/sys/fs/cgroup/elsewhere"])
        #expect(found.joined.map { $0.controllers } == [hierarchy.controllers])
      }
      // With nothing but the mount at /mnt, that is the way.
      try FileManager.default.removeItem(atPath: "/sys/fs/cgroup/elsewhere")
      #expect(try CgroupLayout.read().joined.map { $0.mountPoint } == ["/mnt"])
    }
  }

  @Test func hierarchyUnderTheNameOfAnotherIsNotTaken() throws {
    let layout = try CgroupLayout.readMountinfo(own)
    guard layout.hierarchies.count > 1 else { return }
    let (one, other) = (layout.hierarchies[0], layout.hierarchies[1])
    try mounted([("--bind \(one.mountPoint)", other.mountPoint)]) {
      #expect(CgroupLayout.readUsualPlace(own) == nil)
      let parsed = try CgroupLayout.readMountinfo(own)
      #expect(try CgroupLayout.read() == parsed)
    }
  }

  @Test func moreMountsDoNotMakeReadingSlower() throws {
    guard kernelTells else { return }
    func fastest() throws -> Duration {
      try (0..<20).map { _ in try ContinuousClock().measure { _ = try CgroupLayout.read() } }.min() ?? .zero
    }
    let before = try fastest()
    try mounted([("-t tmpfs none", "/mnt")]) {
      try run("cd /mnt && for i in $(seq 500); do mkdir $i; mount --bind /run $i; done")
      let after = try fastest()
      // Through mountinfo it is twenty times as long.
      #expect(after < before * 3, "\(before), then \(after)")
    }
  }
}
