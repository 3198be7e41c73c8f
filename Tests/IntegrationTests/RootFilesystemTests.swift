import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// The mounts of the default configuration, devices, masked and read-only paths.
  @Suite struct RootFilesystemTests {
    static let defaultMounts: [(destination: String, type: String, options: Set<String>)] = [
      ("/proc", "proc", ["rw"]),
      ("/dev", "tmpfs", ["rw", "nosuid"]),
      ("/dev/pts", "devpts", ["rw", "nosuid", "noexec"]),
      ("/dev/shm", "tmpfs", ["rw", "nosuid", "nodev", "noexec"]),
      ("/dev/mqueue", "mqueue", ["rw", "nosuid", "nodev", "noexec"]),
      ("/sys", "sysfs", ["ro", "nosuid", "nodev", "noexec"]),
    ]

    @Test func mountsOfTheDefaultConfigurationHaveTheirOptions() throws {
      let mounts = try Container().report("mounts")["mounts"].elements
      for wanted in RootFilesystemTests.defaultMounts {
        let mount = try #require(mounts.last { $0["destination"].string == wanted.destination }, "\(wanted)")
        #expect(mount["type"].string == wanted.type)
        let options = Set(mount.words("options"))
        #expect(wanted.options.isSubset(of: options), "\(wanted): \(options)")
        if !wanted.options.contains("nodev") { #expect(!options.contains("nodev"), "\(wanted): \(options)") }
        if !wanted.options.contains("noexec") {
          #expect(!options.contains("noexec"), "\(wanted): \(options)")
        }
      }
      let dev = try #require(mounts.first { $0["destination"].string == "/dev" })
      #expect(Set(dev.words("super")).isSuperset(of: ["size=65536k", "mode=755"]))
      let pts = try #require(mounts.first { $0["destination"].string == "/dev/pts" })
      #expect(Set(pts.words("super")).isSuperset(of: ["gid=5", "mode=620", "ptmxmode=666"]))
    }

    @Test func mountOfCgroupIsReadOnly() throws {
      let mounts = try Container().report("mounts")["mounts"].elements
      let below = mounts.filter { $0["destination"].string?.hasPrefix("/sys/fs/cgroup") == true }
      #expect(!below.isEmpty)
      for mount in below where mount["type"].string?.hasPrefix("cgroup") == true {
        #expect(
          Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(mount.text)")
      }
    }

    @Test func onlyMountsOfTheContainerAreSeen() throws {
      let mounts = try Container().report("mounts")["mounts"].elements
      #expect(mounts.first?["destination"].string == "/")
      for mount in mounts {
        let destination = try #require(mount["destination"].string)
        #expect(
          destination == "/" || ["/proc", "/dev", "/sys"].contains { destination.hasPrefix($0) },
          "\(mount.text)")
      }
    }

    @Test func defaultDevicesAreThere() throws {
      let devices = try Container().report("devices")["dev"]
      for (name, numbers) in [
        ("null", [1, 3]), ("zero", [1, 5]), ("full", [1, 7]), ("random", [1, 8]), ("urandom", [1, 9]),
        ("tty", [5, 0]),
      ] {
        #expect(devices[name]["type"].string == "char", "\(name)")
        #expect([devices[name]["major"].int, devices[name]["minor"].int] == numbers, "\(name)")
        #expect(devices[name]["mode"].int == 0o666, "\(name)")
        #expect([devices[name]["uid"].int, devices[name]["gid"].int] == [0, 0], "\(name)")
      }
    }

    @Test func readOnlyDevStillHasItsDevices() throws {
      let container = try Container()
      let mounts = container.bundle.config["mounts"].elements
      let index = try #require(mounts.firstIndex { $0["destination"].string == "/dev" })
      container.bundle.config["mounts"][index]["options"].append("ro")
      let report = try container.report("devices", "mounts")
      #expect(report["dev"]["null"]["type"].string == "char")
      let dev = try #require(report["mounts"].elements.first { $0["destination"].string == "/dev" })
      #expect(dev.words("options").contains("ro"))
    }

    @Test func defaultLinksInDevAreThere() throws {
      let devices = try Container().report("devices")["dev"]
      #expect(devices["fd"]["target"].string == "/proc/self/fd")
      #expect(devices["stdin"]["target"].string == "/proc/self/fd/0")
      #expect(devices["stdout"]["target"].string == "/proc/self/fd/1")
      #expect(devices["stderr"]["target"].string == "/proc/self/fd/2")
      #expect(["pts/ptmx", "/dev/pts/ptmx"].contains(devices["ptmx"]["target"].string))
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "makes them all the same"), .peerDiffers("crun", "1.8.1", "makes them all the same")
    )
    func linksInDevThatWouldLeadNowhereAreNotMade() throws {
      let container = try Container()
      container.bundle.removeMount("/proc")
      container.bundle.config["linux"]["maskedPaths"] = nil
      container.bundle.config["linux"]["readonlyPaths"] = nil
      container.bundle.args = [
        "/bin/sh", "-c", "for n in fd stdin stdout stderr ptmx null; do [ -L /dev/$n ] && echo $n; done; true",
      ]
      #expect(try container.run().stdout == "ptmx\n")
    }

    @Test func nothingElseIsInDev() throws {
      let names = try Container().report("devices")["dev"].members.keys.sorted()
      let known = [
        "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
        "stdout",
        "tty", "urandom", "zero",
      ]
      #expect(Set(names).isSubset(of: known), "\(names)")
    }

    @Test func maskedFileIsEmptyAndMaskedFolderToo() throws {
      let container = try Container()
      let rootfs = container.bundle.rootfs
      mkdir(rootfs + "/hidden", 0o755)
      try Files.write("secret", to: rootfs + "/hidden/file")
      try Files.write("secret", to: rootfs + "/etc/secret")
      container.bundle.config["linux"]["maskedPaths"] = ["/hidden", "/etc/secret", "/no/such/path"]
      let outcome = try container.shell(
        "cat /etc/secret; ls -A /hidden; echo x > /hidden/new || echo refused")
      #expect(outcome.stdout == "refused\n", "\(outcome)")
      #expect(outcome.code == 0)
      #expect(try Files.read(rootfs + "/etc/secret") == "secret")
    }

    @Test func maskedPathsOfTheDefaultConfigurationAreEmpty() throws {
      let outcome = try Container().shell(
        "cat /proc/kcore /proc/timer_list /proc/keys; ls -A /sys/firmware; echo end")
      #expect(outcome.stdout == "end\n", "\(outcome)")
    }

    @Test func readOnlyPathIsReadOnlyBelowAWritableRoot() throws {
      let container = try Container()
      container.bundle.config["root"]["readonly"] = false
      mkdir(container.bundle.rootfs + "/fixed", 0o777)
      container.bundle.config["linux"]["readonlyPaths"] = ["/fixed", "/etc/passwd", "/no/such/path"]
      let outcome = try container.shell(
        "echo x > /fixed/file || echo one; echo x >> /etc/passwd || echo two; echo x > /free && echo three")
      #expect(outcome.stdout == "one\ntwo\nthree\n", "\(outcome)")
    }

    @Test func readOnlyPathsOfTheDefaultConfigurationAreReadOnly() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_DAC_OVERRIDE"])
      let answer = try container.agent("open", "/proc/sys/kernel/hostname", "w")
      #expect(answer.first?["error"].string == "EROFS")
    }

    @Test func readOnlyRootCannotBeWrittenTo() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_DAC_OVERRIDE"])
      let answer = try container.agent("open", "/file", "wc")
      #expect(answer.first?["error"].string == "EROFS")
      #expect(!Files.exists(container.bundle.rootfs + "/file"))
    }

    @Test func writableRootCanBeWrittenTo() throws {
      let container = try Container(args: ["/bin/agent", "write", "/file", "text"])
      container.bundle.config["root"]["readonly"] = false
      #expect(try container.run().code == 0)
      #expect(try Files.read(container.bundle.rootfs + "/file") == "text")
    }

    @Test func rootMayBeAnAbsolutePath() throws {
      let container = try Container(args: ["/bin/agent", "exit", "8"])
      container.bundle.config["root"]["path"] = .string(container.bundle.rootfs)
      #expect(try container.run().code == 8)
    }

    @Test func rootOfTheHostIsOutOfReach() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE"])
      let outcome = try container.shell("ls /../../..; ls /proc/1/root/; ls /proc/self/cwd/..")
      #expect(outcome.stdout.contains("bin\n"))
      #expect(!outcome.stdout.contains("boot"), "\(outcome)")
      #expect(!outcome.stdout.contains("lib64"), "\(outcome)")
    }
  }

  @Suite struct MountTests {
    /// A folder of the host with one file in it.
    private func source(_ name: String = "source") throws -> String {
      let path = try Workspace.active().directory + "/" + name
      mkdir(path, 0o777)
      chmod(path, 0o777)
      try Files.write("of the host", to: path + "/file")
      return path
    }

    @Test func folderOfTheHostIsBound() throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: source, options: ["rbind", "rw"])
      let outcome = try container.shell("cat /data/file; echo from inside > /data/new")
      #expect(outcome.stdout == "of the host")
      #expect(try Files.read(source + "/new") == "from inside\n")
    }

    @Test func fileOfTheHostIsBound() throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount("/etc/bound", type: "bind", source: source + "/file", options: ["bind"])
      #expect(try container.shell("cat /etc/bound").stdout == "of the host")
    }

    @Test func bindWithoutATypeIsKnownByItsOption() throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount("/data", source: source, options: ["bind"])
      #expect(try container.shell("cat /data/file").stdout == "of the host")
    }

    @Test(arguments: ["bind", "rbind"])
    func readOnlyBindCannotBeWrittenTo(option: String) throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: source, options: [option, "ro"])
      let outcome = try container.shell("cat /data/file; echo x > /data/new || echo refused")
      #expect(outcome.stdout == "of the hostrefused\n", "\(outcome)")
      #expect(!Files.exists(source + "/new"))
    }

    @Test func readOnlyBindKeepsNosuid() throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount(
        "/data", type: "bind", source: source, options: ["bind", "nosuid", "nodev", "noexec", "ro"])
      let mounts = try container.report("mounts")["mounts"].elements
      let mount = try #require(mounts.first { $0["destination"].string == "/data" })
      #expect(Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]))
    }

    @Test func relativeSourceStandsInTheBundle() throws {
      let container = try Container()
      mkdir(container.bundle.path + "/inside", 0o755)
      try Files.write("relative", to: container.bundle.path + "/inside/file")
      container.bundle.addMount("/data", type: "bind", source: "inside", options: ["bind"])
      #expect(try container.shell("cat /data/file").stdout == "relative")
    }

    @Test func missingDestinationIsCreated() throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount("/a/b/folder", type: "bind", source: source, options: ["bind"])
      container.bundle.addMount("/c/d/file", type: "bind", source: source + "/file", options: ["bind"])
      container.bundle.addMount("/e/f", type: "tmpfs", source: "tmpfs")
      #expect(
        try container.shell("cat /a/b/folder/file /c/d/file && ls -A /e/f").stdout == "of the hostof the host"
      )
    }

    @Test func danglingLinkInTheRootIsFollowedToItsTarget() throws {
      let source = try source()
      let container = try Container()
      symlink("../run/made/file", container.bundle.rootfs + "/etc/link")
      rmdir(container.bundle.rootfs + "/run")
      symlink("/run", container.bundle.rootfs + "/var/run")
      container.bundle.addMount("/etc/link", type: "bind", source: source + "/file", options: ["bind"])
      container.bundle.addMount("/var/run/secrets", type: "bind", source: source, options: ["bind"])
      let outcome = try container.shell("cat /etc/link /run/made/file /run/secrets/file")
      #expect(outcome.stdout == "of the hostof the hostof the host", "\(outcome)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "gives it 1777"))
    func tmpfsWithoutAModeHasTheOneOfItsFolder() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/folder"])
      mkdir(container.bundle.rootfs + "/folder", 0o700)
      chmod(container.bundle.rootfs + "/folder", 0o710)
      container.bundle.addMount("/folder", type: "tmpfs", source: "tmpfs")
      #expect(try container.run().json["mode"].int == 0o710)
    }

    @Test func missingSourceIsAnError() throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: "/no/such/source", options: ["bind"])
      expectError(try container.run(), says: "no such file or directory")
      try expectNothingLeft()
    }

    @Test func recursiveBindShowsMountsBelow() throws {
      let source = try source()
      mkdir(source + "/below", 0o755)
      try mounted(on: source + "/below") {
        try Files.write("below", to: source + "/below/file")
        let deep = try Container()
        deep.bundle.addMount("/data", type: "bind", source: source, options: ["rbind"])
        #expect(try deep.shell("ls /data/below").stdout == "file\n")
        let flat = try Container()
        flat.bundle.addMount("/data", type: "bind", source: source, options: ["bind"])
        #expect(try flat.shell("ls /data/below").stdout == "")
      }
    }

    @Test func tmpfsTakesItsOptions() throws {
      let container = try Container()
      container.bundle.addMount(
        "/scratch", type: "tmpfs", source: "scratch",
        options: ["nosuid", "nodev", "mode=1770", "size=1m", "gid=5"])
      let mounts = try container.report("mounts")["mounts"].elements
      let mount = try #require(mounts.first { $0["destination"].string == "/scratch" })
      #expect(mount["source"].string == "scratch")
      #expect(Set(mount.words("options")).isSuperset(of: ["nosuid", "nodev"]))
      #expect(Set(mount.words("super")).isSuperset(of: ["size=1024k", "mode=1770", "gid=5"]))
    }

    @Test func mountsAreMadeInTheirOrder() throws {
      let source = try source()
      let container = try Container()
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs")
      container.bundle.addMount("/data/inner", type: "bind", source: source, options: ["bind"])
      #expect(try container.shell("ls /data; cat /data/inner/file").stdout == "inner\nof the host")
    }

    @Test(arguments: [nil, "rprivate", "rslave"])
    func sharedMountOfTheHostIsNotChangedFromInside(propagation: String?) throws {
      let source = try source("shared")
      try mounted(on: source) {
        #expect(support_make_shared(source) == 0)
        mkdir(source + "/point", 0o777)
        let before = try Files.read("/proc/self/mountinfo")
        let container = try Container()
        container.bundle.config["linux"]["rootfsPropagation"] = propagation.map { .string($0) } ?? .null
        container.bundle.setCapabilities(["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"])
        container.bundle.config["process"]["noNewPrivileges"] = false
        container.bundle.addMount("/data", type: "bind", source: source, options: ["rbind"])
        let answer = try container.agent("mount", "/data/point")
        #expect(answer.first?["error"].string == "")
        let isSame = try Files.read("/proc/self/mountinfo") == before
        #expect(isSame)
      }
    }

    @Test(arguments: [nil, "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable"])
    func bundleOnASharedMountChangesNothingOnTheHost(propagation: String?) throws {
      try expectHostUnchanged(propagation)
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "cannot bind the root of a mount that is unbindable"),
      .peerDiffers("crun", "1.8.1", "cannot bind the root of a mount that is unbindable"))
    func bundleOnASharedMountMayBecomeUnbindable() throws {
      try expectHostUnchanged("runbindable")
    }

    /// Runs a container from a root file system that is on a shared mount of its own.
    private func expectHostUnchanged(_ propagation: String?) throws {
      let path = try Workspace.active().directory + "/shared"
      mkdir(path, 0o755)
      try mounted(on: path) {
        #expect(support_make_shared(path) == 0)
        try RootTemplate.place(at: path + "/rootfs", copying: true)
        let before = try Files.read("/proc/self/mountinfo")
        let container = try Container(args: ["/bin/agent", "exit", "3"])
        container.bundle.config["root"]["path"] = .string(path + "/rootfs")
        container.bundle.config["linux"]["rootfsPropagation"] = propagation.map { .string($0) } ?? .null
        #expect(try container.run().code == 3)
        let isSame = try Files.read("/proc/self/mountinfo") == before
        #expect(isSame)
      }
    }

    @Test func slaveBindSeesLaterMountsOfTheHost() throws {
      let source = try source("shared")
      try mounted(on: source) {
        #expect(support_make_shared(source) == 0)
        mkdir(source + "/point", 0o777)
        for (option, isSeen) in [("rslave", true), ("rprivate", false)] {
          let container = try Container(args: ["/bin/ls", "/data/point"])
          container.bundle.addMount("/data", type: "bind", source: source, options: ["rbind", option])
          container.bundle.config["linux"]["rootfsPropagation"] = "rslave"
          try container.create()
          try mounted(on: source + "/point") {
            try Files.write("", to: source + "/point/later")
            try container.start()
            #expect(try container.stdout.readToEnd() == (isSeen ? "later\n" : ""), "\(option)")
            try container.delete("--force")
          }
        }
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", "binds the root after its parent was made private, and it stays so"))
    func propagationOfTheRootIsApplied() throws {
      for (word, shared) in [("shared", true), ("private", false)] {
        let container = try Container()
        container.bundle.config["linux"]["rootfsPropagation"] = .string(word)
        let root = try container.report("mounts")["mounts"][0]
        #expect(
          root["propagation"].strings.contains { $0.hasPrefix("shared:") } == shared, "\(word): \(root.text)")
      }
    }

    /// A tmpfs on a folder of the host, for as long as `body` runs.
    private func mounted(on path: String, _ body: () throws -> Void) throws {
      guard support_mount("tmpfs", path, "tmpfs", 0, "mode=777") == 0 else {
        throw HarnessError(errno: errno, "mount \(path)")
      }
      defer { _ = support_unmount(path) }
      try body()
    }
  }
}

extension JSONValue {
  /// The words of a list of options, as in mountinfo.
  func words(_ name: String) -> [String] {
    self[name].string?.split(separator: ",").map(String.init) ?? []
  }
}
