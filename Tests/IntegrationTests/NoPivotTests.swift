import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `--no-pivot`: the root is moved onto `/` and entered by chroot(2).
  @Suite struct NoPivotTests {
    @Test func containerHasItsRootAndMounts() throws {
      let container = try Container(args: ["/bin/agent", "report", "mounts", "command"])
      let outcome = try container.run("--no-pivot")
      let report = try outcome.json
      #expect(report["cwd"].string == "/", "\(outcome)")
      let mounts = report["mounts"].elements
      for path in ["/", "/proc", "/dev", "/dev/shm", "/sys"] {
        #expect(mounts.contains { $0["destination"].string == path }, "\(path): \(outcome)")
      }
    }

    @Test func rootOfTheHostIsOutOfReach() throws {
      let container = try Container(args: ["/bin/sh", "-c", "ls /../../..; ls /proc/1/root/; ls /proc/self/cwd/.."])
      container.bundle.setCapabilities(["CAP_DAC_OVERRIDE"])
      let outcome = try container.run("--no-pivot")
      #expect(outcome.stdout.contains("bin\n"), "\(outcome)")
      #expect(!outcome.stdout.contains("boot") && !outcome.stdout.contains("lib64"), "\(outcome)")
    }

    /// What lies below the new root in the mount namespace can be reached by chroot(2) at most; the host's proc and sysfs
    /// must not be there, or the masks of the container's own would hide nothing.
    @Test func procAndSysfsOfTheHostAreNotInTheNamespace() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      container.bundle.removeMount("/sys")
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.config["linux"]["maskedPaths"] = nil
      container.bundle.config["linux"]["readonlyPaths"] = nil
      try container.create("--no-pivot")
      try container.start()
      try container.stdout.waitFor("ready")
      let lines = try Files.read("/proc/\(container.pid())/mountinfo").split(separator: "\n")
      #expect(!lines.contains { $0.contains(" - sysfs ") }, "\(lines)")
      #expect(lines.filter { $0.contains(" - proc ") }.count <= 1, "\(lines)")
      try container.delete("--force")
    }

    @Test(.peerDiffers("runc", "1.1.5", "cannot move a root that is shared"))
    func mountsOfTheHostAreAsBefore() throws {
      let before = try Files.read("/proc/self/mountinfo")
      for propagation: String? in [nil, "rprivate", "rslave", "rshared"] {
        let container = try Container(args: ["/bin/agent", "exit", "4"])
        container.bundle.config["linux"]["rootfsPropagation"] = propagation.map { .string($0) } ?? .null
        #expect(try container.run("--no-pivot").code == 4, "\(propagation ?? "not set")")
        #expect(try Files.read("/proc/self/mountinfo") == before)
      }
    }

    /// With a root of its own file system on a shared mount tree, everything that is taken away or moved could reach the host.
    @Test(.apusOnly("the peers lose the host's /proc"))
    func sharedPropagationDoesNotReachTheHost() throws {
      let container = try Container(args: ["/bin/true"])
      let rootfs = container.bundle.rootfs
      let aside = container.bundle.path + "/aside"
      guard rename(rootfs, aside) == 0, mkdir(rootfs, 0o755) == 0,
        support_mount(aside, rootfs, "", UInt(MS_BIND), "") == 0
      else { throw HarnessError(errno: errno, "mount") }
      defer { _ = support_unmount(rootfs) }
      // The harness has a mount namespace of its own, whose mounts are private again at the end.
      #expect(support_mount("", "/", "", UInt(MS_REC | MS_SHARED), "") == 0)
      defer { #expect(support_mount("", "/", "", UInt(MS_REC | MS_PRIVATE), "") == 0) }
      let before = try Files.read("/proc/self/mountinfo")
      container.bundle.config["linux"]["rootfsPropagation"] = "rshared"
      let outcome = try container.run("--no-pivot")
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try Files.read("/proc/self/mountinfo") == before)
    }

    @Test func readOnlyRootMasksAndDevicesAreThereToo() throws {
      let container = try Container(
        args: [
          "/bin/sh", "-c",
          "echo x > /file || echo one; cat /etc/secret; ls -A /proc/acpi; echo y > /dev/null && echo two",
        ])
      try Files.write("secret", to: container.bundle.rootfs + "/etc/secret")
      container.bundle.config["linux"]["maskedPaths"].append("/etc/secret")
      let outcome = try container.run("--no-pivot")
      #expect(outcome.stdout == "one\ntwo\n", "\(outcome)")
    }

    @Test func userNamespaceWithoutPivot() throws {
      let container = try Container(args: ["/bin/agent", "report", "user", "host"])
      try container.bundle.mapUsers()
      let outcome = try container.run("--no-pivot")
      #expect(try outcome.json["uids"].ints == [0, 0, 0], "\(outcome)")
    }

    @Test func execInAContainerWithoutPivotIsInItsRoot() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try Files.write("inside", to: container.bundle.rootfs + "/etc/marker")
      try container.create("--no-pivot")
      try container.start()
      try container.stdout.waitFor("ready")
      let root = "/proc/\(try container.pid())/root/etc/marker"
      #expect(try Files.read(root) == "inside")
      try container.delete("--force")
    }
  }
}
