import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `linux.devices`, and /dev where it is not the container's own.
  @Suite struct DeviceTests {
    private func device(
      _ path: String, _ type: String, _ major: Int? = nil, _ minor: Int? = nil, mode: Int? = nil, owner: Int? = nil
    ) -> JSONValue {
      var device: JSONValue = ["path": .string(path), "type": .string(type)]
      device["major"] = major.map { .number($0) } ?? .null
      device["minor"] = minor.map { .number($0) } ?? .null
      device["fileMode"] = mode.map { .number($0) } ?? .null
      if let owner {
        device["uid"] = .number(owner)
        device["gid"] = .number(owner + 1)
      }
      return device
    }

    private func expect(
      _ status: JSONValue, type: String, _ numbers: [Int?], mode: Int, owner: Int = 0, group: Int = 0,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(status["type"].string == type, "\(status.text)", sourceLocation: sourceLocation)
      #expect([status["major"].int, status["minor"].int] == numbers, "\(status.text)", sourceLocation: sourceLocation)
      #expect(status["mode"].int == mode, "\(status.text)", sourceLocation: sourceLocation)
      #expect(
        [status["uid"].int, status["gid"].int] == [owner, group], "\(status.text)", sourceLocation: sourceLocation)
    }

    @Test func devicesOfEveryTypeHaveTheirModesAndOwners() throws {
      let container = try Container()
      container.bundle.config["linux"]["devices"] = [
        device("/dev/character", "c", 10, 229, mode: 0o640, owner: 5), device("/dev/block", "b", 7, 3, mode: 0o600),
        device("/dev/unbuffered", "u", 1, 9, mode: 0o444), device("/dev/fifo", "p", mode: 0o622, owner: 7),
        device("/dev/deep/down/full", "c", 1, 7), device("/dev/zero", "c", 1, 5, mode: 0o600),
      ]
      let dev = try container.report("devices")["dev"]
      expect(dev["character"], type: "char", [10, 229], mode: 0o640, owner: 5, group: 6)
      expect(dev["block"], type: "block", [7, 3], mode: 0o600)
      expect(dev["unbuffered"], type: "char", [1, 9], mode: 0o444)
      expect(dev["fifo"], type: "fifo", [nil, nil], mode: 0o622, owner: 7, group: 8)
      // An entry for a default device takes its place.
      expect(dev["zero"], type: "char", [1, 5], mode: 0o600)
      #expect(dev["deep"]["type"].string == "directory")
    }

    @Test func deviceMayLieOutsideOfDev() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/run/nodes/zero"])
      container.bundle.config["linux"]["devices"] = [device("/run/nodes/zero", "c", 1, 5, mode: 0o604, owner: 3)]
      expect(try container.run().json, type: "char", [1, 5], mode: 0o604, owner: 3, group: 4)
    }

    @Test func umaskOfTheCallerDoesNotCount() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/dev/open"])
      container.bundle.config["linux"]["devices"] = [device("/dev/open", "c", 1, 5, mode: 0o777)]
      try container.bundle.write()
      let words = ["-c", "umask 077; exec \"$@\"", "sh", Runtime.current.path] + container.root
      let outcome = try Subprocess("/bin/sh", words + ["run", "-b", container.bundle.path, container.id]).wait()
      expect(try outcome.json, type: "char", [1, 5], mode: 0o777)
    }

    @Test func deviceThatIsThereAlreadyIsTaken() throws {
      let container = try Container(args: ["/bin/agent", "stat", "/var/zero"])
      mknod(container.bundle.rootfs + "/var/zero", S_IFCHR | 0o640, dev_t(1 << 8 | 5))
      container.bundle.config["linux"]["devices"] = [device("/var/zero", "c", 1, 5)]
      let status = try container.run().json
      #expect(status["type"].string == "char" && status["minor"].int == 5, "\(status.text)")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes whatever is there"),
      .peerDiffers("crun", "1.8.1", "takes whatever is there"),
      arguments: ["file", "directory", "link", "dangling", "number", "kind", "fifo"])
    func anotherFileInTheDevicesPlaceIsAnError(what: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      let path = container.bundle.rootfs + "/var/node"
      switch what {
      case "file": try Files.write("", to: path)
      case "directory": mkdir(path, 0o755)
      case "link":
        mknod(container.bundle.rootfs + "/var/real", S_IFCHR | 0o666, dev_t(1 << 8 | 5))
        symlink("real", path)
      case "dangling": symlink("/no/such/file", path)
      case "number": mknod(path, S_IFCHR | 0o666, dev_t(1 << 8 | 7))
      case "kind": mknod(path, S_IFBLK | 0o666, dev_t(1 << 8 | 5))
      default: mkfifo(path, 0o666)
      }
      container.bundle.config["linux"]["devices"] = [device("/dev/other", "c", 1, 5), device("/var/node", "c", 1, 5)]
      expectError(try container.attempt("create"), detail: "(at `/linux/devices/1`)")
      try expectNothingLeft()
    }

    @Test func deviceIsBoundInAUserNamespace() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.config["linux"]["devices"] = [device("/dev/fuse", "c", 10, 229)]
      let report = try container.report("devices", "mounts")
      #expect(report["dev"]["fuse"]["major"].int == 10 && report["dev"]["fuse"]["minor"].int == 229)
      #expect(report["dev"]["null"]["major"].int == 1 && report["dev"]["null"]["minor"].int == 3)
      #expect(report["mounts"].elements.contains { $0["destination"].string == "/dev/fuse" })
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves it out"))
    func deviceThatTheHostLacksIsAnErrorInAUserNamespace() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.mapUsers()
      container.bundle.config["linux"]["devices"] = [device("/dev/no-such-device", "c", 10, 229)]
      expectError(try container.attempt("create"), detail: "(at `/linux/devices/0`)")
      try expectNothingLeft()
    }

    /// It stands nowhere in the configuration, so the message has to say what it is.
    @Test(
      .peerDiffers("runc", "1.1.5", "takes whatever is there"), .peerDiffers("crun", "1.8.1", "takes whatever is there")
    )
    func defaultDeviceThatCannotBeMadeIsNamed() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      for mount in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(mount) }
      try Files.write("", to: container.bundle.rootfs + "/dev/full")
      container.bundle.config["linux"]["devices"] = [device("/dev/other", "c", 1, 5)]
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "default device `/dev/full`")
      if !Runtime.current.isPeer { #expect(!outcome.stderr.contains("/linux/devices"), "\(outcome)") }
      try expectNothingLeft()
    }

    @Test func boundDevOfTheHostIsLeftAsItIs() throws {
      let dev = try Workspace.active().directory + "/dev"
      try HostMounts.with("tmpfs", on: dev, data: "mode=755") {
        mknod(dev + "/null", S_IFCHR | 0o666, dev_t(1 << 8 | 3))
        mkdir(dev + "/pts", 0o755)
        let before = Files.names(in: dev)
        let container = try Container()
        container.bundle.config["mounts"] = .array(
          container.bundle.config["mounts"].elements.filter { $0["destination"].string?.hasPrefix("/dev") == false })
        container.bundle.addMount("/dev", type: "bind", source: dev, options: ["rbind"])
        let names = try container.report("devices")["dev"].members.keys.sorted()
        #expect(names == before)
        #expect(Files.names(in: dev) == before)
      }
    }

    @Test func threeHundredDevices() throws {
      let container = try Container()
      container.bundle.config["linux"]["devices"] = .array(
        (0..<300).map { (number: Int) in device("/dev/many\(number)", "b", 7, number) })
      let outcome = try container.shell("ls /dev | grep -c many; busybox stat -c %t:%T /dev/many299")
      #expect(outcome.stdout == "300\n7:12b\n", "\(outcome)")
    }

    // MARK: Bad input

    private func expectRefused(
      _ devices: [JSONValue], at field: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["linux"]["devices"] = .array(devices)
      expectError(try container.attempt("create"), detail: field, sourceLocation: sourceLocation)
      try expectNothingLeft(sourceLocation: sourceLocation)
    }

    @Test(.peerDiffers("crun", "1.8.1", "makes a fifo or nothing of it"), arguments: ["x", "", "cc", "C"])
    func unknownTypeOfDeviceIsRefused(type: String) throws {
      try expectRefused(
        [device("/dev/good", "c", 1, 5), device("/dev/bad", type, 1, 5)], at: "/linux/devices/1/type")
    }

    @Test(arguments: [[-1, 5], [1, -1], [4096, 5], [1, 1 << 20], [1 << 40, 5]])
    func numberThatNoDeviceHasIsRefused(numbers: [Int]) throws {
      var reasons: [String: String] = [:]
      if numbers[0] >= 4096 || numbers[1] >= 1 << 20 { reasons["runc"] = "makes another device of it" }
      if numbers[0] == 1 << 40 { reasons["crun"] = "makes another device of it" }
      try allowing(reasons, in: "device \(numbers)") {
        try expectRefused([device("/dev/bad", "c", numbers[0], numbers[1])], at: "/linux/devices/0/m")
      }
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes them as 0"), .peerDiffers("crun", "1.8.1", "takes them as 0"))
    func missingNumberIsRefused() throws {
      try expectRefused([device("/dev/bad", "c")], at: "/linux/devices/0/major")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes it from the root"))
    func relativePathOfADeviceIsRefused() throws {
      try expectRefused([device("dev/relative", "c", 1, 5)], at: "/linux/devices/0/path")
    }
  }
}
