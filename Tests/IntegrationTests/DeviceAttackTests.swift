import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What an image tries with its own /dev: there the runtime makes and opens files itself, for masks and for standard
  /// streams.
  @Suite struct DeviceAttackTests {
    /// A container that uses the /dev of its image, with the null device there, or `link` in its place.
    private func container(null link: String?) throws -> Container {
      let container = try Container(args: ["/bin/agent", "stat", "/etc/hidden"])
      for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      let null = container.bundle.rootfs + "/dev/null"
      if let link {
        symlink(link, null)
      } else {
        mknod(null, S_IFCHR | 0o666, dev_t(1 << 8 | 3))
        chmod(null, 0o666)
      }
      try Files.write("hidden", to: container.bundle.rootfs + "/etc/hidden")
      container.bundle.config["linux"]["maskedPaths"] = ["/etc/hidden"]
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      // Read-only, the root would protect what a runtime opens to write.
      container.bundle.config["root"]["readonly"] = false
      return container
    }

    /// Rules are a list of what is allowed, not of exceptions: what none of them names stays closed, in a new container, for
    /// `exec`, and after an update.
    @Test(
      .attack("GO-2022-0396"), .peerDiffers("crun", "1.8.1", "GO-2022-0396: denies what rules name, in v1"))
    func deviceThatNoRuleNamesCannotBeOpened() throws {
      // FUSE, the first loop device, and what makes others of these.
      let nodes = ["c10:229", "b7:0", "c10:237"]
      let closed = nodes.map { "\($0) m" }
      func container(_ resources: JSONValue, _ args: [String]) throws -> Container {
        let container = try Container(args: args)
        container.bundle.setCapabilities(["CAP_MKNOD", "CAP_DAC_OVERRIDE"])
        container.bundle.config["root"]["readonly"] = false
        container.bundle.config["linux"]["resources"] = resources
        return container
      }
      func lines(_ outcome: Outcome) -> [String] { outcome.stdout.split(separator: "\n").map(String.init) }
      let everything: JSONValue = ["devices": [["allow": true, "access": "rwm"]]]
      let benign = try container(everything, ["/bin/agent", "devices"] + nodes).run()
      #expect(lines(benign) == nodes.map { "\($0) mrwb" }, "\(benign)")
      let other: JSONValue = ["allow": true, "type": "c", "major": 10, "minor": 200, "access": "rwm"]
      let notAnother: JSONValue = ["allow": false, "type": "c", "major": 5, "minor": 1, "access": "rwm"]
      for resources in [.null, [:], ["devices": []], ["devices": [other]], ["devices": [notAnother]]] as [JSONValue] {
        let outcome = try container(resources, ["/bin/agent", "devices"] + nodes).run()
        #expect(lines(outcome) == closed, "\(resources.text): \(outcome)")
        let standing = try container(resources, ["/bin/agent", "pause"])
        try standing.runDetached()
        let inside = try standing.spawn("exec", rest: ["/bin/agent", "devices"] + nodes).wait()
        #expect(lines(inside) == closed, "\(resources.text): \(inside)")
        for rules in Runtime.current.isPeer ? [] : [[other], [notAnother]] as [JSONValue] {
          let text = JSONValue.object(["devices": rules]).text
          try standing.spawn("update", ["-r", "-"], options: .init(input: text)).wait().expectSuccess()
          let inside = try standing.spawn("exec", rest: ["/bin/agent", "devices"] + nodes).wait()
          #expect(lines(inside) == closed, "\(text): \(inside)")
        }
        try standing.delete("--force")
      }
      try expectNothingLeft()
    }

    /// The link leads out of the root, and where it is followed inside of it, to a second canary.
    @Test(
      .attack("CVE-2025-31133", "CVE-2026-88265"),
      .peerDiffers("runc", "1.1.5", "CVE-2025-31133: masks with what the image has at /dev/null"),
      .peerDiffers("crun", "1.8.1", "CVE-2026-88265: gives the null device of the host away"))
    func nullDeviceThatIsALinkIsNotFollowed() throws {
      let canary = try Canary()
      for link in [nil, canary.climbing + "/secret", canary.path + "/file", "/etc/passwd"] {
        let container = try container(null: link)
        let inside = try Canary(container.bundle.rootfs + canary.path)
        let stdin = open(canary.null, O_RDWR | O_CLOEXEC)
        defer { close(stdin) }
        let outcome = try container.spawn("run", options: .init(stdin: stdin)).wait()
        if link == nil { try expectBenign(outcome) }
        expectUntouched(canary, "\(link ?? "no link"): \(outcome)")
        expectUntouched(inside, "the file inside, \(link ?? "no link")")
        if outcome.code != 0 { continue }
        let mask = try outcome.json
        #expect(mask["type"].string == "char", "\(link ?? "no link"): \(outcome)")
        #expect([mask["major"].int, mask["minor"].int] == [1, 3], "\(link ?? "no link"): \(outcome)")
      }
    }

    /// Nothing but the device itself will do for a default device that the image has.
    @Test(
      .attack("CVE-2025-31133"),
      .peerDiffers("runc", "1.1.5", "CVE-2025-31133: takes whatever is there for the device"),
      .peerDiffers("crun", "1.8.1", "CVE-2025-31133: takes whatever is there for the device"))
    func defaultDeviceThatIsSomethingElseIsNotTaken() throws {
      for kind in ["device", "file", "folder", "zero", "link"] {
        let container = try container(null: nil)
        let null = container.bundle.rootfs + "/dev/null"
        if kind != "device" { unlink(null) }
        switch kind {
        case "file": try Files.write("", to: null)
        case "folder": mkdir(null, 0o755)
        case "zero": mknod(null, S_IFCHR | 0o666, dev_t(1 << 8 | 5))
        case "link": symlink("zero", null)
        default: break
        }
        container.bundle.args = ["/bin/agent", "stat", "/dev/null"]
        let outcome = try container.run()
        if kind == "device" { try expectBenign(outcome) }
        if outcome.code != 0 { continue }
        #expect([try outcome.json["major"].int, try outcome.json["minor"].int] == [1, 3], "\(kind): \(outcome)")
      }
    }

    /// What the runtime takes for the host's null device is looked at too. Only in a mount namespace of the tests' own.
    @Test(
      .attack("CVE-2025-31133"), .enabled("needs a mount namespace of its own") { TestRun.isPrivate },
      .peerDiffers("crun", "1.8.1", "masks with what the host has at /dev/null"))
    func nullDeviceOfTheHostThatIsAFileIsNotTaken() throws {
      let canary = try Canary()
      let container = try container(null: nil)
      try expectBenign(container.run())
      let outcome = try withNullDevice(canary.secret) { try container.run() }
      expectUntouched(canary, "\(outcome)")
      if outcome.code == 0 { #expect(try outcome.json["type"].string == "char", "\(outcome)") }
      try expectNothingLeft()
    }

    @Test func maskThatIsALinkDoesNotReachTheHost() throws {
      let canary = try Canary()
      for link in [nil, canary.climbing, canary.path] {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        if let link { symlink(link, container.bundle.rootfs + "/place") }
        container.bundle.config["linux"]["maskedPaths"] = ["/place", "/place/file", "/place/folder"]
        container.bundle.config["linux"]["readonlyPaths"] = ["/place", "/place/folder/below"]
        let outcome = try container.run()
        if link == nil { try expectBenign(outcome) }
        expectUntouched(canary, "\(outcome)")
        try Files.write("still writable", to: canary.path + "/file")
        canary.remember()
      }
    }

    /// Only what is not there may stay uncovered: any other answer can be the work of the image.
    @Test(.attack("CVE-2025-31133"))
    func maskThatCannotBeFoundForAnotherReasonIsAnError() throws {
      for name in ["maskedPaths", "readonlyPaths"] {
        for path in ["/no/such/file", "/loop/file"] {
          let container = try Container(args: ["/bin/agent", "exit", "0"])
          symlink("loop", container.bundle.rootfs + "/loop")
          container.bundle.config["linux"][name] = [.string(path)]
          let outcome = try container.run()
          if path == "/no/such/file" { try expectBenign(outcome) } else { expectError(outcome) }
        }
      }
      try expectNothingLeft()
    }

    @Test(
      .attack("CVE-2026-41579"),
      .peerDiffers("runc", "1.1.5", "CVE-2026-41579: makes the links of /dev by their path"),
      .peerDiffers("crun", "1.8.1", "CVE-2026-41579: makes the devices on the host"))
    func devThatIsALinkLeavesTheHostAlone() throws {
      let canary = try Canary()
      for isMounted in [true, false] {
        for link in [nil, canary.climbing, canary.path] {
          let container = try Container(args: ["/bin/agent", "exit", "0"])
          if !isMounted {
            for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
          }
          if let link {
            rmdir(container.bundle.rootfs + "/dev")
            symlink(link, container.bundle.rootfs + "/dev")
          }
          container.bundle.config["linux"]["devices"] = [
            ["path": "/dev/made", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600, "uid": 77, "gid": 77]
          ]
          let outcome = try container.run()
          if link == nil { try expectBenign(outcome) }
          expectUntouched(canary, "\(link ?? "no link"), mounted: \(isMounted), \(outcome)")
        }
      }
    }

    /// The stream is a node of our own with the numbers of /dev/null, so that no attack reaches the machine's.
    @Test(
      .attack("null-device"),
      .peerDiffers("crun", "1.8.1", "CVE-2026-88265: gives the host's device to the user of the container, root here"))
    func nullDeviceOfTheHostKeepsItsModeAndOwner() throws {
      let canary = try Canary()
      let stream = open(canary.null, O_RDWR | O_CLOEXEC)
      defer { close(stream) }
      let container = try Container(privileged: ["/bin/agent", "change", "/proc/self/fd/0"])
      let outcome = try container.spawn("run", options: .init(stdin: stream)).wait()
      #expect(outcome.stdout.contains("chmod"), "\(outcome)")
      expectUntouched(canary, "\(outcome)")
    }

    /// Where the container has no null device that could take its place.
    @Test(
      .attack("null-device"),
      .peerDiffers("runc", "1.1.5", "hands the host's device on"),
      .peerDiffers("crun", "1.8.1", "hands the host's device on"))
    func nullDeviceOfTheHostIsShieldedInAContainerWithoutOne() throws {
      let canary = try Canary()
      let stream = open(canary.null, O_RDWR | O_CLOEXEC)
      defer { close(stream) }
      let container = try Container(privileged: ["/bin/agent", "change", "/proc/self/fd/0"])
      let devices = try Workspace.active().directory + "/dev"
      mkdir(devices, 0o755)
      for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      container.bundle.addMount("/dev", type: "bind", source: devices, options: ["bind"])
      let outcome = try container.spawn("run", options: .init(stdin: stream)).wait()
      #expect(outcome.stdout.contains("chmod"), "\(outcome)")
      expectUntouched(canary, "\(outcome)")
    }

    /// A node of our own lies on the machine's /dev/null meanwhile, so that it is this one that an attack reaches.
    @Test(.attack("null-device"), .enabled("needs a mount namespace of its own") { TestRun.isPrivate })
    func maskedFileCannotBeChanged() throws {
      let canary = try Canary()
      let container = try Container(privileged: ["/bin/agent", "change", "/etc/secret"])
      try Files.write("secret", to: container.bundle.rootfs + "/etc/secret")
      container.bundle.config["linux"]["maskedPaths"] = ["/etc/secret"]
      let outcome = try withNullDevice(canary.null) { try container.run() }
      #expect(outcome.stdout.split(separator: "\n").count == 3, "\(outcome)")
      expectUntouched(canary, "\(outcome)")
      #expect(try Files.read(container.bundle.rootfs + "/etc/secret") == "secret")
    }

    /// Another file in the place of the machine's /dev/null, in the mount namespace of the tests.
    private func withNullDevice(_ file: String, _ body: () throws -> Outcome) throws -> Outcome {
      guard support_mount(file, "/dev/null", "", 4096 /* MS_BIND */, nil) == 0 else {
        throw HarnessError(errno: errno, "mount /dev/null")
      }
      defer { _ = support_unmount("/dev/null") }
      return try body()
    }
  }
}
