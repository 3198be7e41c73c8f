import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Another container of the same volume works against the runtime while it prepares this one. APUS_ROUNDS says how
  /// often each race is run. Refusing is no failure; the first time is without the race and has to work.
  @Suite struct RaceTests {
    /// What a created container looks like from outside, since the names go on changing their places under the mounts; nil
    /// where it was refused, which the control must not be.
    private func whenCreated<T>(
      _ container: Container, _ round: Int, _ tally: inout Tally, options: Subprocess.Options = Subprocess.Options(),
      _ look: (_ pid: Int) throws -> T
    ) throws -> T? {
      let outcome = try container.spawn("create", options: options).wait()
      if round < 0 { try expectBenign(outcome) } else { tally.count(made: outcome.code == 0) }
      guard outcome.code == 0 else { return nil }
      defer { cleanUp { try container.attempt("delete", "--force").expectSuccess() } }
      guard let pid = try container.state()["pid"].int, pid > 0 else {
        tally.fail("it ended at once")
        return nil
      }
      return try look(pid)
    }

    /// Bind mounts and tmpfs below a folder that is a link to the host every other moment. The names are other ones in each
    /// round, so that they have to be made.
    @Test(
      .attack("CVE-2021-30465", "CVE-2024-45310", "CVE-2026-115521"),
      .peerMayDiffer("runc", "1.1.5", "CVE-2024-45310: makes folders on the host"),
      .peerMayDiffer("crun", "1.8.1", "a race that it loses at times"))
    func exchangedFolderNeverLeadsToTheHost() throws {
      let canary = try Canary()
      let volume = try Workspace.active().directory + "/volume"
      for path in [volume, volume + "/folder"] { mkdir(path, 0o777) }
      symlink(canary.climbing, volume + "/link")
      let container = try Container(args: ["/bin/agent", "pause"])
      let mounts = container.bundle.config["mounts"]
      var tally = Tally()
      var control: [String] = []
      try Race.run([volume + "/folder", volume + "/link"]) { round in
        let name = "/volume/folder/\(round)"
        container.bundle.config["mounts"] = mounts
        container.bundle.addMount("/volume", type: "bind", source: volume, options: ["rbind"])
        container.bundle.addMount(name + "/made/tmpfs", type: "tmpfs", source: "tmpfs", options: ["ro", "nosuid"])
        container.bundle.addMount(
          name + "/bind", type: "bind", source: canary.path + "/folder",
          options: ["bind", "ro", "nosuid", "nodev", "noexec"])
        container.bundle.addMount(
          name + "/file", type: "bind", source: canary.path + "/file", options: ["bind", "ro"])
        let seen = try whenCreated(container, round, &tally) { try Mountinfo.lines(of: $0) }
        if round < 0 {
          control = seen ?? []
          #expect(control.contains { $0.contains("canary/folder, ro,nosuid,nodev,noexec,") }, "\(control)")
        }
        if let seen, seen != control { tally.fail(difference(seen, control)) }
      }
      expectUntouched(canary)
      tally.judge()
      try expectNothingLeft()
    }

    /// The destination of procfs, and of sysfs, is a link every other moment. The container must have what it has without
    /// the race: one procfs, on that folder, with all masks and read-only paths; and a root that is read-only.
    @Test(
      .attack("CVE-2019-19921", "CVE-2026-115521"),
      .peerMayDiffer("runc", "1.1.5", "CVE-2019-19921: covers what the link shows"),
      .peerMayDiffer("crun", "1.8.1", "CVE-2026-115521: a race that it loses at times"), arguments: ["/proc", "/sys"],
      [true, false])
    func exchangedProcIsNeverUsed(path: String, isMasked: Bool) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let rootfs = container.bundle.rootfs
      container.bundle.removeMount("/sys/fs/cgroup")
      if !isMasked {
        container.bundle.config["linux"]["maskedPaths"] = nil
        container.bundle.config["linux"]["readonlyPaths"] = nil
      }
      let inside = try Canary(rootfs + "/tmp/fake")
      symlink("tmp/fake", rootfs + "/link")
      var tally = Tally()
      var control: [String] = []
      try Race.run([rootfs + path, rootfs + "/link"]) { round in
        let seen = try whenCreated(container, round, &tally) { pid in
          let isCovered = Files.inode("/proc/\(pid)/root/tmp/fake") != Files.inode(inside.path)
          return try Mountinfo.lines(of: pid) + (isCovered ? ["mounted behind the link"] : [])
        }
        if round < 0 {
          control = seen ?? []
          #expect(control.contains { $0.hasPrefix("root /") && $0.contains("/rootfs, ro,") }, "\(control)")
        }
        if let seen, seen != control { tally.fail(difference(seen, control)) }
      }
      expectUntouched(inside)
      tally.judge()
      try expectNothingLeft()
    }

    /// What is mounted on a name that is a link to another mount every other moment: the options must not end up there,
    /// or the mount has none of them.
    @Test(
      .attack("CVE-2026-115521"),
      .peerMayDiffer("runc", "1.1.5", "a race that it loses at times"),
      .peerMayDiffer("crun", "1.8.1", "CVE-2026-115521: makes another mount read-only"),
      arguments: ["bind", "overlay", "dev"])
    func mountOnAnExchangedNameHasItsOptions(type: String) throws {
      let canary = try Canary()
      let volume = try Workspace.active().directory + "/volume"
      for path in [volume, volume + "/folder"] { mkdir(path, 0o777) }
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.addMount("/volume", type: "bind", source: volume, options: ["rbind"])
      // Nothing is made in it: options that end up there must not be a reason to refuse.
      container.bundle.addMount("/other", type: "tmpfs", source: "tmpfs", options: ["mode=755"])
      var names = [volume + "/folder", volume + "/link"]
      let options: JSONValue = ["ro", "nosuid", "nodev", "noexec"]
      var mount: JSONValue = ["destination": "/volume/folder", "type": .string(type), "options": options]
      switch type {
      case "dev":
        // Read-only only when the devices are there.
        for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
        mount = ["destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "nosuid", "mode=755"]]
        names = [container.bundle.rootfs + "/dev", container.bundle.rootfs + "/link"]
        symlink("volume", names[1])
      case "overlay":
        mount["source"] = "overlay"
        mount["options"].append(.string("lowerdir=" + (try layers()).joined(separator: ":")))
        symlink("../other", names[1])
      default:
        mount["source"] = .string(canary.path + "/folder")
        mount["options"].append("bind")
        symlink("../other", names[1])
      }
      container.bundle.config["mounts"].append(mount)
      var tally = Tally()
      var control: [String] = []
      try Race.run(names) { round in
        let seen = try whenCreated(container, round, &tally) { try Mountinfo.lines(of: $0) }
        if round < 0 { control = seen ?? [] }
        if let seen, seen != control { tally.fail(difference(seen, control)) }
      }
      expectUntouched(canary)
      tally.judge()
      try expectNothingLeft()
    }

    /// So many and with such names that the kernel takes them by mount(2) only.
    private func layers() throws -> [String] {
      let directory = try Workspace.active().directory
      return (0..<4).map { number in
        let layer = "\(directory)/layer\(number)-\(String(repeating: "x", count: 80))"
        mkdir(layer, 0o755)
        return layer
      }
    }

    /// A kernel parameter is set for the container while its /proc is a link to false files every other moment.
    @Test(
      .attack("CVE-2025-52881"), .peerMayDiffer("runc", "1.1.5", "CVE-2025-52881: writes to the file of the image"),
      .peerMayDiffer("crun", "1.8.1", "a race that it loses at times"))
    func exchangedProcCatchesNoKernelParameter() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let rootfs = container.bundle.rootfs
      let inside = try Canary(rootfs + "/tmp/fake")
      for folder in ["sys/net/core", "self/attr", "thread-self/attr"] {
        try FileManager.default.createDirectory(
          atPath: "\(inside.path)/\(folder)", withIntermediateDirectories: true)
      }
      for file in ["sys/net/core/somaxconn", "self/attr/exec", "thread-self/attr/exec", "sysrq-trigger"] {
        try Files.write("", to: "\(inside.path)/\(file)")
      }
      inside.remember()
      symlink("tmp/fake", rootfs + "/link")
      container.bundle.config["linux"]["sysctl"] = ["net.core.somaxconn": "66"]
      container.bundle.config["root"]["readonly"] = false
      var tally = Tally()
      try Race.run([rootfs + "/proc", rootfs + "/link"]) { round in
        _ = try whenCreated(container, round, &tally) { _ in true }
      }
      expectUntouched(inside)
      tally.judge()
      try expectNothingLeft()
    }

    /// What is copied into a tmpfs is a file when it is looked at, and a fifo, which waits for a writer, when it is opened.
    @Test(.apusOnly("a peer that loses waits for ever"))
    func exchangedFifoDoesNotHoldACopyUp() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let folder = container.bundle.rootfs + "/folder"
      mkdir(folder, 0o755)
      try Files.write("of the image", to: folder + "/file")
      mkfifo(folder + "/fifo", 0o644)
      container.bundle.addMount("/folder", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"])
      var tally = Tally()
      try Race.run([folder + "/file", folder + "/fifo"]) { round in
        _ = try whenCreated(container, round, &tally) { _ in true }
      }
      tally.judge()
      try expectNothingLeft()
    }

    private func difference(_ seen: [String], _ control: [String]) -> String {
      let missing = control.filter { !seen.contains($0) }
      let more = seen.filter { !control.contains($0) }
      if missing.isEmpty && more.isEmpty { return "one of the mounts is there twice" }
      return "missing \(missing), not in the control \(more)"
    }

    /// A null device that is a link every other moment: it must become neither a mask nor a standard stream, nor get
    /// another owner.
    @Test(
      .attack("CVE-2025-31133", "CVE-2026-88265"),
      .peerMayDiffer("runc", "1.1.5", "CVE-2025-31133: masks with what the image has at /dev/null"),
      .peerMayDiffer("crun", "1.8.1", "CVE-2026-88265: gives the null device of the host away"))
    func exchangedNullDeviceIsNeverUsed() throws {
      let canary = try Canary()
      let container = try Container(args: ["/bin/agent", "pause"])
      let rootfs = container.bundle.rootfs
      let inside = try Canary(rootfs + canary.path)
      for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      mknod(rootfs + "/dev/null", S_IFCHR | 0o666, dev_t(1 << 8 | 3))
      symlink(canary.climbing + "/secret", rootfs + "/dev/link")
      try Files.write("hidden", to: rootfs + "/etc/hidden")
      container.bundle.config["root"]["readonly"] = false
      container.bundle.config["linux"]["maskedPaths"] = ["/etc/hidden"]
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let stdin = open(canary.null, O_RDWR | O_CLOEXEC)
      defer { close(stdin) }
      var tally = Tally()
      try Race.run([rootfs + "/dev/null", rootfs + "/dev/link"]) { round in
        let seen = try whenCreated(container, round, &tally, options: .init(stdin: stdin)) { pid in
          ["root/etc/hidden", "fd/0"].filter { Files.status("/proc/\(pid)/\($0)")?.st_rdev != dev_t(1 << 8 | 3) }
        }
        if let seen, !seen.isEmpty { tally.fail("not the null device: \(seen)") }
      }
      expectUntouched(canary)
      expectUntouched(inside)
      tally.judge()
      try expectNothingLeft()
    }

    /// The /dev of an image is a link to the host every other moment.
    @Test(
      .attack("CVE-2026-41579"),
      .peerMayDiffer("runc", "1.1.5", "CVE-2026-41579: makes the links of /dev by their path"),
      .peerMayDiffer("crun", "1.8.1", "a race that it loses at times"))
    func exchangedDevLeavesTheHostAlone() throws {
      let canary = try Canary()
      let container = try Container(args: ["/bin/agent", "pause"])
      let rootfs = container.bundle.rootfs
      for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      symlink(canary.climbing, rootfs + "/link")
      var tally = Tally()
      try Race.run([rootfs + "/dev", rootfs + "/link"]) { round in
        container.bundle.config["linux"]["devices"] = [
          [
            "path": "/dev/\(round)/made", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 77,
            "gid": 77,
          ]
        ]
        _ = try whenCreated(container, round, &tally) { _ in true }
      }
      expectUntouched(canary)
      tally.judge()
      try expectNothingLeft()
    }

    /// A new device node and a file of the same volume change places the moment both are there: the owner is for the
    /// node only.
    @Test(
      .attack("CVE-2026-88265"),
      .peerMayDiffer("runc", "1.1.5", "gives the owner to whatever has the name"),
      .peerMayDiffer("crun", "1.8.1", "gives the owner to whatever has the name"))
    func exchangedDeviceGivesNoFileAway() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let folder = container.bundle.rootfs + "/dev"
      for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      container.bundle.config["linux"]["devices"] = [
        ["path": "/dev/made", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 1234, "gid": 77]
      ]
      var tally = Tally()
      try Race.run([folder + "/made", folder + "/file"]) { round in
        for name in ["made", "file"] { unlink("\(folder)/\(name)") }
        try Files.write("secret", to: folder + "/file")
        _ = try whenCreated(container, round, &tally) { _ in true }
        for name in ["made", "file"] {
          guard let status = Files.status("\(folder)/\(name)"), status.st_mode & S_IFMT == S_IFREG else { continue }
          if status.st_uid != 0 || status.st_gid != 0 { tally.fail("the file belongs to \(status.st_uid)") }
        }
      }
      tally.judge()
      try expectNothingLeft()
    }

    /// Whatever the moment, what is there afterwards can be deleted, and nothing remains of it.
    @Test(.apusOnly("the peers leave cgroups and processes behind"))
    func createThatIsKilledAtAnyMomentLeavesNothing() throws {
      var failures: [String] = []
      for moment in 0..<24 {
        let container = try Container(args: ["/bin/agent", "pause"])
        let call = try container.spawn("create")
        _ = waitForEnd(of: Int(call.process), timeout: Double(moment) / 2000)  // half a millisecond later each time
        call.signal(SIGKILL)
        _ = try call.wait()
        if try container.attempt("state").code == 0 {
          let status = try container.status()
          #expect(["creating", "created", "stopped"].contains(status), "\(status)")
        }
        try container.attempt("delete", "--force").expectSuccess()
        let left = try Workspace.active().differences()
        if let first = left.first {
          failures.append("after \(moment) half milliseconds: \(first) and \(left.count - 1) more")
        }
        Cgroups.removeAll()
      }
      #expect(failures.isEmpty, "\(failures.joined(separator: "\n"))")
    }
  }
}
