import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `mounts[].type`: every file system that containers get.
  @Suite struct FileSystemTests {
    private func mount(
      _ destination: String, in container: Container, sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> JSONValue {
      let mounts = try container.report("mounts")["mounts"].elements
      return try #require(
        mounts.last { $0["destination"].string == destination }, "\(destination)", sourceLocation: sourceLocation)
    }

    @Test func procTakesItsOptions() throws {
      let container = try Container()
      container.bundle.removeMount("/proc")
      container.bundle.addMount(
        "/proc", type: "proc", source: "proc", options: ["nosuid", "nodev", "noexec", "hidepid=2"])
      let mount = try mount("/proc", in: container)
      #expect(Set(mount.words("options")).isSuperset(of: ["nosuid", "nodev", "noexec"]), "\(mount.text)")
      #expect(mount.words("super").contains("hidepid=invisible"), "\(mount.text)")
    }

    @Test func sysfsShowsTheNetworkNamespace() throws {
      let own = try Container().shell("ls /sys/class/net")
      #expect(own.stdout == "lo\n", "\(own)")
      let host = try Container()
      host.bundle.removeNamespace("network")
      let names = Files.names(in: "/sys/class/net").joined(separator: "\n") + "\n"
      #expect(try host.shell("ls /sys/class/net").stdout == names)
    }

    @Test func sysfsOfAJoinedNetworkNamespace() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      let second = try Container()
      second.bundle.removeNamespace("network")
      second.bundle.config["linux"]["namespaces"].append([
        "type": "network", "path": .string("/proc/\(try first.pid())/ns/net"),
      ])
      #expect(try second.shell("ls /sys/class/net").stdout == "lo\n")
    }

    /// The kernel gives no sysfs to a user namespace that does not own the network namespace: the host's is bound, and is
    /// as strict as the options say, with everything below.
    @Test(
      .peerDiffers("runc", "1.1.5", "refuses it"), .peerDiffers("crun", "1.8.1", "loses the flags of the options"))
    func sysfsOfTheHostIsBoundWhereTheUserNamespaceMayHaveNone() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.removeNamespace("network")
      let mounts = try container.report("mounts")["mounts"].elements
      let below = mounts.filter {
        $0["destination"].string == "/sys" || $0["destination"].string?.hasPrefix("/sys/") == true
      }
      #expect(below.first?["type"].string == "sysfs", "\(below.first?.text ?? "no sysfs")")
      for mount in below {
        let options = Set(mount.words("options"))
        #expect(options.isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(mount.text)")
      }
    }

    @Test func devptsIsANewInstance() throws {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_DAC_OVERRIDE"])
      let outcome = try container.shell("agent open /dev/ptmx rw; ls /dev/pts; exec 3<>/dev/ptmx; ls /dev/pts")
      #expect(outcome.stdout.hasSuffix("ptmx\n0\nptmx\n"), "\(outcome)")
      #expect(outcome.stdout.contains("\"error\":\"\""), "\(outcome)")
    }

    @Test func mqueueIsThatOfTheIPCNamespace() throws {
      let container = try Container()
      container.allowProbing()
      let outcome = try container.shell("echo > /dev/mqueue/own; ls /dev/mqueue")
      #expect(outcome.stdout == "own\n", "\(outcome)")
      #expect(try Container().shell("ls /dev/mqueue; echo end").stdout == "end\n")
    }

    @Test(arguments: ["ramfs", "hugetlbfs"])
    func fileSystemWithoutASource(type: String) throws {
      let container = try Container()
      container.bundle.addMount("/new", type: type, source: type, options: ["nosuid", "nodev"])
      let mount = try mount("/new", in: container)
      #expect(mount["type"].string == type)
      #expect(Set(mount.words("options")).isSuperset(of: ["nosuid", "nodev"]), "\(mount.text)")
    }

    // MARK: tmpfs

    @Test func tmpfsOnAMissingFolderHasTheModeOfTheKernel() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/made/here"])
      container.bundle.addMount("/made/here", type: "tmpfs", source: "tmpfs")
      #expect(try container.run().json["mode"].int == 0o1777)
    }

    @Test(.peerDiffers("runc", "1.1.5", "gives it the mode of its folder all the same"))
    func tmpfsKeepsTheModeThatIsAskedFor() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/folder"])
      mkdir(container.bundle.rootfs + "/folder", 0o700)
      container.bundle.addMount("/folder", type: "tmpfs", source: "tmpfs", options: ["mode=1750", "uid=7", "gid=8"])
      let status = try container.run().json
      #expect([status["mode"].int, status["uid"].int, status["gid"].int] == [0o1750, 7, 8])
    }

    /// What lies below the mount point: set-id bits, another owner, links, a device, a fifo, folders closed to others.
    private func fill(_ folder: String) throws {
      mkdir(folder, 0o755)
      mkdir(folder + "/closed", 0o700)
      mkdir(folder + "/closed/deep", 0o711)
      try Files.write("text", to: folder + "/closed/deep/file")
      try Files.write(String(repeating: "x", count: 200_000), to: folder + "/large")
      try Files.write("", to: folder + "/empty")
      chmod(folder + "/large", 0o640)
      mkdir(folder + "/sticky", 0)
      chmod(folder + "/sticky", 0o1777)
      mkdir(folder + "/group", 0)
      chown(folder + "/group", 3, 4)
      chmod(folder + "/group", 0o2775)
      try Files.write("#!", to: folder + "/setuid")
      chown(folder + "/setuid", 1000, 1001)
      chmod(folder + "/setuid", 0o6755)
      symlink("closed/deep", folder + "/link")
      symlink("/no/such/file", folder + "/dangling")
      lchown(folder + "/dangling", 5, 6)
      mkfifo(folder + "/fifo", 0o622)
      mknod(folder + "/device", S_IFCHR | 0o600, dev_t(1 << 8 | 3))
    }

    /// `tree` without the sizes of folders, which are the file system's own.
    private func comparable(_ tree: JSONValue) -> [String: JSONValue] {
      tree.members.mapValues { entry in
        var entry = entry
        if entry["type"].string == "directory" { entry["size"] = nil }
        return entry
      }
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "does not copy devices and fifos, nor set-id bits"),
      .peerDiffers("crun", "1.8.1", "does not copy owners of links, nor set-id bits"))
    func tmpcopyupCopiesContentOwnersModesLinksAndDevices() throws {
      let container = try Container(args: ["/bin/agent", "tree", "/folder"])
      let folder = container.bundle.rootfs + "/folder"
      try fill(folder)
      let host = try Subprocess(RootTemplate.agent(), ["tree", folder]).wait().json
      container.bundle.addMount("/folder", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"])
      let inside = try container.run().json
      let (wanted, found) = (comparable(host), comparable(inside))
      for name in wanted.keys.sorted() {
        #expect(found[name] == wanted[name], "\(name)")
      }
      #expect(found.count == wanted.count)
    }

    @Test func tmpcopyupIsAppliedBeforeReadOnly() throws {
      let container = try Container()
      let folder = container.bundle.rootfs + "/folder"
      mkdir(folder, 0o755)
      try Files.write("kept", to: folder + "/file")
      container.bundle.addMount(
        "/folder", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "ro", "nosuid", "noexec"])
      let outcome = try container.shell("cat /folder/file; echo x > /folder/file || echo refused")
      #expect(outcome.stdout == "keptrefused\n", "\(outcome)")
      #expect(try Files.read(folder + "/file") == "kept")
    }

    @Test func tmpcopyupThatDoesNotFitIsAnError() throws {
      let container = try Container()
      let folder = container.bundle.rootfs + "/folder"
      mkdir(folder, 0o755)
      try Files.write(String(repeating: "x", count: 1 << 20), to: folder + "/file")
      container.bundle.addMount("/folder", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=64k"])
      expectError(try container.attempt("create"), detail: "/mounts/7")
      try expectNothingLeft()
    }

    // MARK: Other file systems

    private func overlay(_ container: Container, lower: [String]) throws {
      let base = try Workspace.active().directory
      for name in ["upper", "work"] { mkdir("\(base)/\(name)", 0o755) }
      container.bundle.addMount(
        "/data", type: "overlay", source: "overlay",
        options: ["lowerdir=" + lower.joined(separator: ":"), "upperdir=\(base)/upper", "workdir=\(base)/work"])
    }

    @Test func overlayShowsItsLayers() throws {
      let base = try Workspace.active().directory
      for name in ["one", "two"] {
        mkdir("\(base)/\(name)", 0o755)
        try Files.write(name, to: "\(base)/\(name)/\(name)")
      }
      let container = try Container()
      try overlay(container, lower: ["\(base)/one", "\(base)/two"])
      let outcome = try container.shell("cat /data/one /data/two; echo new > /data/three")
      #expect(outcome.stdout == "onetwo", "\(outcome)")
      #expect(try Files.read(base + "/upper/three") == "new\n")
      #expect(!Files.exists(base + "/one/three"))
    }

    /// fsconfig(2) takes values of 255 bytes.
    @Test func overlayWithALongListOfLayers() throws {
      let base = try Workspace.active().directory
      let layers = (0..<40).map { "\(base)/layer-\($0)" }
      for (number, layer) in layers.enumerated() {
        mkdir(layer, 0o755)
        try Files.write("\(number)", to: layer + "/file\(number)")
      }
      #expect(layers.joined(separator: ":").utf8.count > 1000)
      let container = try Container()
      try overlay(container, lower: layers)
      let outcome = try container.shell("cat /data/file0 /data/file39; ls /data | busybox wc -l")
      #expect(outcome.stdout == "03940\n", "\(outcome)")
    }

    @Test func overlayThatCannotBeMadeIsExplained() throws {
      let container = try Container()
      try overlay(container, lower: ["/no/such/layer"])
      expectError(try container.attempt("create"), says: "no such file or directory", detail: "/mounts/7")
      try expectNothingLeft()
    }

    /// A file system of blocks on a loop device, with the options that only such a one knows.
    @Test(.peerDiffers("crun", "1.8.1", "gives `iversion` and `silent` to the file system, which refuses it"))
    func ext4IsMountedFromALoopDevice() throws {
      try withLoopDevice { device in
        let container = try containerWithDisk(
          device, options: ["nosuid", "nodev", "lazytime", "noauto_da_alloc"])
        let outcome = try container.shell("echo kept > /disk/file; ls /disk; grep ' /disk ' /proc/self/mountinfo")
        #expect(outcome.stdout.hasPrefix("file\nlost+found\n"), "\(outcome)")
        for word in ["nosuid", "nodev", "lazytime", "noauto_da_alloc", " ext4 \(device) "] {
          #expect(outcome.stdout.contains(word), "\(word): \(outcome)")
        }
        let second = try containerWithDisk(device, options: ["ro", "iversion", "silent", "sync"])
        let again = try second.shell("cat /disk/file; grep ' /disk ' /proc/self/mountinfo")
        #expect(again.stdout.hasPrefix("kept\n"), "\(again)")
        #expect(again.stdout.contains("ro,relatime"), "\(again)")
      }
    }

    /// The file system itself has to be read-only too: the kernel refuses to mount a write-protected disk otherwise, and
    /// would note the mount on one that is not.
    @Test(
      .peerDiffers("crun", "1.8.1", "makes it read-only last"))
    func readOnlyDiskStaysAsItIs() throws {
      try withLoopDevice { device in
        let image = try Workspace.active().directory + "/image"
        let before = try Subprocess("/usr/bin/sha256sum", [image]).wait().stdout
        let container = try containerWithDisk(device, options: ["ro"])
        #expect(try container.shell("ls /disk").stdout == "lost+found\n")
        #expect(try Subprocess("/usr/bin/sha256sum", [image]).wait().stdout == before)
      }
      try withLoopDevice(["--read-only"]) { device in
        let container = try containerWithDisk(device, options: ["ro"])
        let outcome = try container.shell("ls /disk")
        #expect(outcome.stdout == "lost+found\n", "\(outcome)")
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "mounts when the device rules hold already"))
    func readOnlyDiskCannotBeWrittenTo() throws {
      try withLoopDevice { device in
        let container = try containerWithDisk(device, options: ["ro", "acl"])
        let outcome = try container.shell("echo x > /disk/file || echo refused")
        #expect(outcome.stdout == "refused\n", "\(outcome)")
      }
    }

    @Test func diskOfAnotherFileSystemIsRefused() throws {
      try withLoopDevice { device in
        let container = try containerWithDisk(device, type: "squashfs", options: ["ro"])
        expectError(try container.attempt("create"), detail: "/mounts/7")
        try expectNothingLeft()
      }
    }

    /// Without a rule that allows the device: who mounts it is the runtime, not the container.
    private func containerWithDisk(_ device: String, type: String = "ext4", options: [String]) throws -> Container {
      let container = try Container()
      container.allowProbing()
      container.bundle.addMount("/disk", type: type, source: device, options: options)
      return container
    }

    private func withLoopDevice(_ flags: [String] = [], _ body: (String) throws -> Void) throws {
      let image = try Workspace.active().directory + "/image"
      unlink(image)
      try Files.write("", to: image)
      truncate(image, 2 << 20)
      let environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
      try Subprocess("/sbin/mkfs.ext4", ["-q", "-O", "^has_journal", image], .init(environment: environment)).wait()
        .expectSuccess()
      let outcome = try Subprocess(
        "/sbin/losetup", ["--find", "--show"] + flags + [image], .init(environment: environment)
      ).wait()
      outcome.expectSuccess()
      let device = outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
      defer {
        cleanUp {
          try Subprocess("/sbin/losetup", ["--detach", device], .init(environment: environment)).wait().expectSuccess()
        }
      }
      try body(device)
    }
  }
}
