import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What the root of a user namespace cannot reach, and the runtime opens for it.
  @Suite struct MountHelperTests {
    /// A folder of the host below one that only its root may search.
    private func hidden() throws -> String {
      let path = try Workspace.active().directory + "/private"
      mkdir(path, 0o700)
      mkdir(path + "/source", 0o755)
      try Files.write("of the host", to: path + "/source/file")
      return path
    }

    @Test func sourceBelowAPrivateFolderIsBound() throws {
      let source = try hidden() + "/source"
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.addMount("/tmp", type: "bind", source: source, options: ["rbind"])
      container.bundle.addMount("/var", type: "bind", source: source, options: ["bind", "ro", "nosuid"])
      #expect(try container.shell("cat /tmp/file /var/file").stdout == "of the hostof the host")
    }

    @Test(.apusOnly("the peers want to search the way to the root file system"))
    func rootFileSystemBelowAPrivateFolder() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      let path = try hidden() + "/rootfs"
      guard rename(container.bundle.rootfs, path) == 0 else { throw HarnessError(errno: errno, "rename") }
      container.bundle.config["root"]["path"] = .string(path)
      let report = try container.report("mounts", "user")
      #expect(report["uids"].ints == [0, 0, 0])
      let root = try #require(report["mounts"].elements.first)
      #expect(root["destination"].string == "/")
      #expect(root.words("options").contains("ro"))
      #expect(report["mounts"].elements.filter { $0["destination"].string == "/" }.count == 1)
    }

    @Test func missingSourceBelowAPrivateFolderIsNamed() throws {
      let source = try hidden() + "/nothing"
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.addMount("/tmp", type: "bind", source: source, options: ["rbind"])
      expectError(try container.run(), detail: "/mounts/7/source")
      try expectNothingLeft()
    }

    /// A copy that the helper had made in the host's mount namespace would come without the locks.
    @Test(.apusOnly("the peers cannot open the source at all"))
    func flagsOfTheHostStayLockedOnASourceThatTheHelperOpened() throws {
      let source = try hidden() + "/source"
      guard support_mount(source, source, "", UInt(MS_BIND), "") == 0 else {
        throw HarnessError(errno: errno, "mount")
      }
      defer { _ = support_unmount(source) }
      guard support_mount("", source, "", UInt(MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID), "") == 0 else {
        throw HarnessError(errno: errno, "remount")
      }
      let strict = try Container()
      try strict.bundle.mapUsers()
      strict.bundle.addMount("/tmp", type: "bind", source: source, options: ["bind", "nodev"])
      let mounts = try strict.report("mounts")["mounts"].elements
      let mount = try #require(mounts.first { $0["destination"].string == "/tmp" })
      #expect(Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev"]))
      let lax = try Container()
      try lax.bundle.mapUsers()
      lax.bundle.addMount("/tmp", type: "bind", source: source, options: ["bind", "rw"])
      expectError(try lax.run(), detail: "/mounts/7/options")
    }

    /// The mounts below stay away; what the host has locked stays locked, also for root inside.
    @Test(.apusOnly("the peers cannot bind it without those below"), arguments: [false, true])
    func sourceWithoutTheMountsBelowKeepsTheFlagsOfTheHost(isRequested: Bool) throws {
      let source = try hidden() + "/source"
      mkdir(source + "/below", 0o755)
      guard support_mount(source, source, "", UInt(MS_BIND), "") == 0,
        support_mount("tmpfs", source + "/below", "tmpfs", 0, "") == 0
      else { throw HarnessError(errno: errno, "mount") }
      defer { for path in [source + "/below", source] { _ = support_unmount(path) } }
      let flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
      guard support_mount("", source, "", UInt(flags), "") == 0 else { throw HarnessError(errno: errno, "remount") }
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.setCapabilities(["CAP_SYS_ADMIN"])
      let options = isRequested ? ["bind", "ro", "nosuid"] : ["bind"]
      container.bundle.addMount("/tmp", type: "bind", source: source, options: options)
      let outcome = try container.shell(
        """
        grep -c ' /tmp/below ' /proc/self/mountinfo; cut -d' ' -f5,6 /proc/self/mountinfo | grep '^/tmp '
        for option in rw suid dev exec; do
          mount -o remount,bind,ro,nosuid,nodev,noexec,$option /tmp 2>/dev/null && echo $option
        done
        """)
      let lines = outcome.stdout.split(separator: "\n").map(String.init)
      #expect(lines.count == 2 && lines.first == "0", "\(outcome)")
      let found = Set(lines.last?.split(separator: " ").last?.split(separator: ",").map(String.init) ?? [])
      #expect(found.isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(outcome)")
      let lax = try Container()
      try lax.bundle.mapUsers()
      lax.bundle.addMount("/tmp", type: "bind", source: source, options: ["bind", "rw"])
      expectError(try lax.run(), detail: "/mounts/7/options")
    }

    /// After a source that only the host's side can copy, and with a root that the helper has put on `/`.
    @Test(.apusOnly("the peers want to search the way to the root file system"))
    func sourcesOfEachKindInOneContainer() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      let hidden = try hidden()
      let path = hidden + "/rootfs"
      guard rename(container.bundle.rootfs, path) == 0 else { throw HarnessError(errno: errno, "rename") }
      container.bundle.config["root"]["path"] = .string(path)
      let below = hidden + "/source/below"
      mkdir(below, 0o755)
      guard support_mount("tmpfs", below, "tmpfs", 0, "") == 0 else { throw HarnessError(errno: errno, "mount") }
      defer { _ = support_unmount(below) }
      container.bundle.addMount("/tmp", type: "bind", source: hidden + "/source", options: ["bind"])
      container.bundle.addMount("/var", type: "bind", source: hidden + "/source", options: ["rbind"])
      container.bundle.addMount("/home", type: "bind", source: hidden + "/source", options: ["rbind", "idmap"])
      #expect(
        try container.shell("cat /tmp/file /var/file /home/file").stdout
          == "of the hostof the hostof the host")
    }

    @Test func mountBelowAReadOnlyTmpfs() throws {
      let container = try Container()
      container.bundle.addMount("/tmp", type: "tmpfs", source: "tmpfs", options: ["ro"])
      container.bundle.addMount("/tmp/a/b", type: "tmpfs", source: "tmpfs")
      let outcome = try container.shell("echo x > /tmp/a/b/file && echo x > /tmp/file || echo refused")
      #expect(outcome.stdout == "refused\n", "\(outcome)")
    }

    @Test(.peerDiffers("runc", "1.1.5", "makes what covers it read-only")) func readOnlyTmpfsThatIsCoveredAgain() throws
    {
      let container = try Container()
      container.bundle.addMount("/tmp", type: "tmpfs", source: "tmpfs", options: ["ro"])
      container.bundle.addMount("/tmp", type: "tmpfs", source: "tmpfs")
      #expect(try container.shell("echo x > /tmp/file && echo written").stdout == "written\n")
    }

    @Test(.peerDiffers("crun", "1.8.1", "binds anything on /proc"))
    func volumeOnTheProcOfAnImageWithoutOneIsRefused() throws {
      let container = try Container()
      rmdir(container.bundle.rootfs + "/proc")
      container.bundle.config["root"]["readonly"] = false
      container.bundle.config["mounts"] = []
      container.bundle.config["linux"]["maskedPaths"] = nil
      container.bundle.config["linux"]["readonlyPaths"] = nil
      container.bundle.addMount("/proc", type: "bind", source: try hidden() + "/source", options: ["bind"])
      expectError(try container.run(), detail: "/mounts/0/destination")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "makes a mount on / that is not the root"))
    func mountOnTheRootTakesItsPlace() throws {
      let container = try Container()
      let other = try Workspace.active().directory + "/other"
      try RootTemplate.place(at: other)
      try Files.write("other", to: other + "/etc/which")
      let mounts = container.bundle.config["mounts"].elements
      container.bundle.config["mounts"] = [
        ["destination": "/", "type": "bind", "source": .string(other), "options": ["rbind"]]
      ]
      for mount in mounts { container.bundle.config["mounts"].append(mount) }
      #expect(try container.shell("cat /etc/which; ls -d /proc/1").stdout == "other/proc/1\n")
    }
  }
}
