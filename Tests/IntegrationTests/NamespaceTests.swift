import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Each of the eight namespaces new, absent, or another container's.
  @Suite struct NamespaceTests {
    static let files = [
      "pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup",
      "user": "user",
      "time": "time",
    ]

    private func expectNew(_ type: String, in container: Container) throws {
      let file = try #require(NamespaceTests.files[type])
      let inside = try container.report("namespaces")["namespaces"][file].int
      #expect(inside != nil && inside != 0)
      #expect(inside != Files.inode("/proc/self/ns/\(file)"))
    }

    private func expectOfHost(_ type: String, in container: Container) throws {
      let file = try #require(NamespaceTests.files[type])
      #expect(
        try container.report("namespaces")["namespaces"][file].int == Files.inode("/proc/self/ns/\(file)"))
    }

    @Test(arguments: ["pid", "network", "ipc", "uts", "mount"])
    func namespaceOfTheDefaultConfigurationIsNew(type: String) throws {
      try expectNew(type, in: Container())
    }

    @Test func cgroupNamespaceIsNew() throws {
      let container = try Container()
      container.bundle.addNamespace("cgroup")
      try expectNew("cgroup", in: container)
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "does not know the time namespace yet"),
      .peerDiffers("crun", "1.8.1", "does not know the time namespace yet"))
    func timeNamespaceIsNew() throws {
      let container = try Container()
      container.bundle.addNamespace("time")
      try expectNew("time", in: container)
    }

    @Test func userNamespaceIsNew() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      try expectNew("user", in: container)
    }

    @Test(arguments: ["cgroup", "user", "time"])
    func namespaceThatIsNotAskedForIsTheHosts(type: String) throws {
      try expectOfHost(type, in: Container())
    }

    @Test func absentPidNamespaceIsTheHosts() throws {
      let container = try Container()
      container.bundle.removeNamespace("pid")
      try expectOfHost("pid", in: container)
    }

    @Test func absentNetworkNamespaceIsTheHosts() throws {
      let container = try Container()
      container.bundle.removeNamespace("network")
      try expectOfHost("network", in: container)
    }

    @Test func absentIPCNamespaceIsTheHosts() throws {
      let container = try Container()
      container.bundle.removeNamespace("ipc")
      container.bundle.removeMount("/dev/mqueue")
      try expectOfHost("ipc", in: container)
    }

    @Test func absentUTSNamespaceIsTheHosts() throws {
      let container = try Container()
      container.bundle.removeNamespace("uts")
      container.bundle.config["hostname"] = nil
      try expectOfHost("uts", in: container)
    }

    @Test func hostnameWithoutUTSNamespaceIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.removeNamespace("uts")
      expectError(try container.run())
      try expectNothingLeft()
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "fails, and leaves the bind mount of the root file system on the host"))
    func withoutMountNamespaceTheMountsOfTheHostStay() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      container.bundle.removeNamespace("mount")
      container.bundle.config["mounts"] = []
      container.bundle.config["linux"]["maskedPaths"] = nil
      container.bundle.config["linux"]["readonlyPaths"] = nil
      container.bundle.config["root"]["readonly"] = false
      let before = try Files.read("/proc/self/mountinfo")
      try container.create()
      let pid = try container.pid()
      #expect(Files.inode("/proc/\(pid)/ns/mnt") == Files.inode("/proc/self/ns/mnt"))
      try container.start()
      try container.stdout.waitFor("ready")
      let isSame = try Files.read("/proc/self/mountinfo") == before
      #expect(isSame)
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test func withoutPidNamespaceDeleteEndsEveryProcess() throws {
      let container = try Container(args: ["/bin/agent", "children", "3"])
      container.bundle.removeNamespace("pid")
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let pid = try container.pid()
      #expect(Processes.descendants().filter { $0.command == "(agent)" }.count == 4)
      Glibc.kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      try container.delete()
      try expectNothingLeft()
    }

    @Test func processSeesOnlyItsOwnPidNamespace() throws {
      let report = try Container().report("process", "processes")
      #expect(report["pid"].int == 1)
      #expect(report["ppid"].int == 0)
      #expect(report["processes"].ints == [1])
    }

    @Test func onlyLoopbackIsInANewNetworkNamespaceAndIsUp() throws {
      let interfaces = try Container().report("interfaces")["interfaces"]
      #expect(Array(interfaces.members.keys) == ["lo"])
      #expect(interfaces["lo"]["up"].bool == true)
      #expect(interfaces["lo"]["address"].string == "127.0.0.1")
    }

    @Test func hostnameIsTheContainersOwn() throws {
      let before = try Subprocess("/bin/hostname", []).wait().stdout
      let container = try Container()
      container.bundle.config["hostname"] = "a-name.of.its-own"
      #expect(try container.report("host")["hostname"].string == "a-name.of.its-own")
      #expect(try Subprocess("/bin/hostname", []).wait().stdout == before)
    }

    @Test(.peerDiffers("runc", "1.1.5", "does not know `domainname` yet"))
    func domainnameIsTheContainersOwn() throws {
      let container = try Container()
      container.bundle.config["domainname"] = "domain.example"
      #expect(try container.report("host")["domainname"].string == "domain.example")
    }

    @Test func sharedMemoryOfTheHostIsNotSeen() throws {
      let made = try Subprocess(container().path, ["shm"]).wait().json
      let id = try #require(made["result"].int)
      defer { shmctl(Int32(id), IPC_RMID, nil) }
      #expect(try Files.read("/proc/sysvipc/shm").split(separator: "\n").count > 1)
      let lines = try Container().report("sysv")["sysvipcShm"].string?.split(separator: "\n")
      #expect(lines?.count == 1)
    }

    private func container() throws -> (container: Container, path: String) {
      let container = try Container()
      return (container, container.bundle.rootfs + "/bin/agent")
    }

    @Test func cgroupNamespaceHidesThePath() throws {
      let container = try Container()
      container.bundle.addNamespace("cgroup")
      let text = try container.report("host")["cgroup"].string ?? ""
      for line in text.split(separator: "\n") { #expect(line.hasSuffix(":/"), "\(line)") }
    }

    @Test func rootOfAUserNamespaceIsAnotherUserOutside() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.bundle.mapUsers(host: 100_000, size: 65_536)
      try container.create()
      let status = try Files.read("/proc/\(container.pid())/status")
      #expect(status.contains("\nUid:\t100000\t100000\t100000\t100000\n"))
      #expect(status.contains("\nGid:\t100000\t100000\t100000\t100000\n"))
    }

    @Test func rootOfAUserNamespaceIsRootInside() throws {
      let container = try Container()
      try container.bundle.mapUsers(host: 100_000, size: 65_536)
      let report = try container.report("user", "host")
      #expect(report["uids"].ints == [0, 0, 0])
      #expect(report["gids"].ints == [0, 0, 0])
      let map = report["uidMap"].string?.split(whereSeparator: \.isWhitespace)
      #expect(map == ["0", "100000", "65536"])
    }

    @Test func userNamespaceWithSeveralRanges() throws {
      let container = try Container()
      try container.bundle.mapUsers(host: 100_000, size: 1000)
      for name in ["uidMappings", "gidMappings"] {
        container.bundle.config["linux"][name].append(["containerID": 1000, "hostID": 300_000, "size": 10])
      }
      container.bundle.config["process"]["user"] = ["uid": 1005, "gid": 1006]
      let report = try container.report("user", "host")
      #expect(report["uids"].ints == [1005, 1005, 1005])
      #expect(report["gids"].ints == [1006, 1006, 1006])
      #expect(report["gidMap"].string?.split(separator: "\n").count == 2)
    }

    @Test(.apusOnly("the peers here do not know the time namespace"))
    func timeOffsetsHoldInAUserNamespaceToo() throws {
      let container = try Container(args: ["/bin/busybox", "cat", "/proc/self/timens_offsets"])
      try container.bundle.mapUsers()
      container.bundle.addNamespace("time")
      container.bundle.config["linux"]["timeOffsets"] = ["boottime": ["secs": 86400]]
      let outcome = try container.run()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.stdout.contains("86400"))
    }

    @Test func namespacesOfAnotherContainerAreJoined() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      let pid = try first.pid()
      let second = try Container()
      second.bundle.config["hostname"] = nil
      for (type, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        second.bundle.removeNamespace(type)
        second.bundle.config["linux"]["namespaces"].append([
          "type": .string(type), "path": .string("/proc/\(pid)/ns/\(file)"),
        ])
      }
      let report = try second.report("namespaces", "host")
      for file in ["net", "ipc", "uts", "pid"] {
        #expect(report["namespaces"][file].int == Files.inode("/proc/\(pid)/ns/\(file)"), "\(file)")
      }
      #expect(report["hostname"].string == "testhost")
    }

    /// Each by itself; what the container does not join is new.
    @Test(arguments: ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"])
    func namespaceGivenByItsPathIsJoined(type: String) throws {
      try allowing(
        type == "time" ? ["runc": "does not know it", "crun": "does not know it"] : [:], in: "by its path: \(type)"
      ) {
        let file = try #require(NamespaceTests.files[type])
        let holder =
          switch type {
          case "user": try NamespaceHolder("--user", map: "0 100000 65536")
          case "pid": try NamespaceHolder("--pid", "--fork", "--kill-child")
          case "network": try NamespaceHolder("--net")
          default: try NamespaceHolder("--\(type)")
          }
        let container = try Container()
        if type == "user" {
          try container.bundle.joinUsers(holder.path(file))
        } else {
          container.bundle.join(type, holder.path(file))
        }
        let namespaces = try container.report("namespaces")["namespaces"]
        #expect(namespaces[file].int == holder.inode(file))
        #expect(holder.inode(file) != Files.inode("/proc/self/ns/\(file)"))
        for other in ["pid", "net", "ipc", "uts", "mnt"] where other != file {
          #expect(namespaces[other].int != Files.inode("/proc/self/ns/\(other)"), "\(other)")
          #expect(namespaces[other].int != holder.inode(other), "\(other)")
        }
      }
    }

    private enum Wrong: String, CaseIterable {
      case file, fifo, folder, gone, another, ended
    }

    /// What lies at the path of each type and is no namespace of it. A fifo must not keep anybody waiting.
    @Test(arguments: ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"])
    func pathThatIsNoNamespaceOfItsTypeIsRefused(type: String) throws {
      let folder = try Workspace.active().directory
      try Files.write("", to: folder + "/file")
      mkfifo(folder + "/fifo", 0o644)
      mkdir(folder + "/folder", 0o755)
      // Peers wait for a writer of the fifo for ever.
      for wrong in Wrong.allCases where wrong != .fifo || !Runtime.current.isPeer {
        let path =
          switch wrong {
          case .another: type == "ipc" ? "/proc/self/ns/uts" : "/proc/self/ns/ipc"
          case .ended: "/proc/4194304/ns/\(NamespaceTests.files[type] ?? "")"
          default: "\(folder)/\(wrong)"
          }
        // A joined user namespace has mappings for runc's sake, which must not be what is wrong.
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        container.bundle.config["hostname"] = nil
        if type == "user" { try container.bundle.mapUsers() }
        container.bundle.join(type, path)
        let index = container.bundle.config["linux"]["namespaces"].elements.count - 1
        expectError(try container.attempt("create", timeout: 5), detail: "/linux/namespaces/\(index)/path")
        try expectNothingLeft()
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes the last of two namespaces of one type"))
    func duplicateNamespaceIsRefused() throws {
      let container = try Container()
      container.bundle.addNamespace("pid")
      expectError(try container.run())
      try expectNothingLeft()
    }

    @Test func unknownNamespaceIsRefused() throws {
      let container = try Container()
      container.bundle.addNamespace("galaxy")
      expectError(try container.run())
      try expectNothingLeft()
    }

    @Test func userNamespaceWithoutMappingsIsRefused() throws {
      let container = try Container()
      container.bundle.addNamespace("user")
      expectError(try container.run())
      try expectNothingLeft()
    }
  }
}

extension Bundle {
  /// A new user namespace whose root is the host's user `host`, who gets the root file system too.
  func mapUsers(host: Int = 100_000, size: Int = 65_536) throws {
    addNamespace("user")
    let mapping: JSONValue = [["containerID": 0, "hostID": .number(host), "size": .number(size)]]
    config["linux"]["uidMappings"] = mapping
    config["linux"]["gidMappings"] = mapping
    for folder in [""] + Files.names(in: rootfs) {
      guard lchown("\(rootfs)/\(folder)", uid_t(host), gid_t(host)) == 0 else {
        throw HarnessError(errno: errno, "lchown")
      }
    }
  }
}
