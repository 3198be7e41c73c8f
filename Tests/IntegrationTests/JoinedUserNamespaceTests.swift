import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// A user namespace that somebody else has made, by its path.
  @Suite struct JoinedUserNamespaceTests {
    private static let map = "0 100000 65536"

    /// A namespace of one user, in which nobody may set groups: what `unshare --map-root-user` makes.
    private func single() throws -> NamespaceHolder { try NamespaceHolder("--user", "--map-root-user") }

    /// As its root, the host's user 0; the terminal group 5 is not there.
    private func joinSingle(_ holder: NamespaceHolder, _ container: Container) throws {
      try container.bundle.joinUsers(holder.path("user"), host: 0, size: 1)
      container.bundle.removeMount("/dev/pts")
    }

    @Test(arguments: [false, true])
    func joinedUserNamespaceMakesTheRestInside(hasTime: Bool) throws {
      try allowing(hasTime ? ["runc": "no time namespace", "crun": "no time namespace"] : [:], in: "time \(hasTime)") {
        let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
        let container = try Container(args: ["/bin/agent", "wait"])
        try container.bundle.joinUsers(holder.path("user"))
        container.bundle.addNamespace("cgroup")
        if hasTime {
          container.bundle.addNamespace("time")
          container.bundle.config["linux"]["timeOffsets"] = ["boottime": ["secs": 86400]]
        }
        try container.create()
        let folder = "/proc/\(try container.pid())"
        #expect(Files.inode("\(folder)/ns/user") == holder.inode("user"))
        for file in ["pid", "net", "ipc", "uts", "mnt", "cgroup"] {
          #expect(Files.inode("\(folder)/ns/\(file)") != Files.inode("/proc/self/ns/\(file)"), "\(file)")
          #expect(try Files.owner(ofNamespace: "\(folder)/ns/\(file)") == holder.inode("user"), "\(file)")
        }
        if hasTime {
          #expect(Files.inode("\(folder)/ns/time") != Files.inode("/proc/self/ns/time"))
          #expect(try Files.read("\(folder)/timens_offsets").contains("86400"))
        }
        let status = try Files.read("\(folder)/status")
        #expect(status.contains("\nUid:\t100000\t100000\t100000\t100000\n"))
        #expect(status.contains("\nGid:\t100000\t100000\t100000\t100000\n"))
        try container.start()
        try container.stdout.waitFor("ready")
        try container.delete("--force")
        try expectNothingLeft(but: holder)
      }
    }

    @Test func rootInsideOwnsWhatIsMadeForIt() throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let container = try Container()
      try container.bundle.joinUsers(holder.path("user"))
      let outcome = try container.shell(
        "cat /proc/self/uid_map; stat -c %u:%g / /dev /dev/shm /dev/pts /dev/ptmx; mount -t tmpfs none /mnt 2>&1; echo > /dev/null"
      )
      #expect(outcome.stdout.contains("100000"))
      #expect(outcome.stdout.split(separator: "\n").filter { $0 == "0:0" }.count == 5, "\(outcome)")
      #expect(outcome.stderr.isEmpty, "\(outcome)")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "wants mappings, which it does not use"))
    func mappingsNeedNotBeGiven() throws {
      let holder = try NamespaceHolder("--user", map: "0 100000 1000\n1000 300000 10")
      let container = try Container()
      try container.bundle.joinUsers(holder.path("user"))
      container.bundle.config["linux"]["uidMappings"] = nil
      container.bundle.config["linux"]["gidMappings"] = nil
      container.bundle.config["process"]["user"] = ["uid": 1005, "gid": 1006, "additionalGids": [7, 1009]]
      let report = try container.report("user", "namespaces")
      #expect(report["uids"].ints == [1005, 1005, 1005])
      #expect(report["gids"].ints == [1006, 1006, 1006])
      #expect(report["groups"].ints == [7, 1009])
      #expect(report["namespaces"]["user"].int == holder.inode("user"))
    }

    /// What Podman up to 5.6 writes next to a path.
    @Test func mappingOfOnlyRootToRootMeansNone() throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let container = try Container()
      try container.bundle.joinUsers(holder.path("user"))
      let mapping: JSONValue = [["containerID": 0, "hostID": 0, "size": 1]]
      container.bundle.config["linux"]["uidMappings"] = mapping
      container.bundle.config["linux"]["gidMappings"] = mapping
      let report = try container.report("user", "host")
      #expect(report["uids"].ints == [0, 0, 0])
      #expect(report["uidMap"].string?.contains("100000") == true)
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "does not compare them"), .peerDiffers("crun", "1.8.1", "does not compare them"),
      arguments: ["uidMappings", "gidMappings"])
    func mappingsThatAreNotThoseOfTheNamespaceAreRefused(property: String) throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.joinUsers(holder.path("user"))
      container.bundle.config["linux"][property] = [["containerID": 0, "hostID": 100_000, "size": 65_535]]
      expectError(try container.attempt("create"), detail: "/linux/\(property)")
      try expectNothingLeft(but: holder)
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "keeps the groups of the caller"),
      .peerDiffers("crun", "1.8.1", "keeps the groups of the caller"))
    func namespaceOfOneUserWithoutGroups() throws {
      let holder = try single()
      let container = try Container()
      try joinSingle(holder, container)
      container.bundle.args = ["/bin/agent", "report", "user", "host"]
      try container.bundle.write()
      let words =
        ["--groups=1234,5678", Runtime.current.path] + container.root + ["run", "-b", container.bundle.path]
      let outcome = try Subprocess("/usr/bin/setpriv", words + [container.id]).wait()
      try #require(outcome.code == 0, "\(outcome)")
      let report = try outcome.json
      #expect(report["uids"].ints == [0, 0, 0])
      #expect(report["groups"].ints == [])
      #expect(report["setgroups"].string == "deny\n")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "leaves them out"), .peerDiffers("crun", "1.8.1", "leaves them out"))
    func groupsWhereNobodyMaySetThemAreRefused() throws {
      let holder = try single()
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try joinSingle(holder, container)
      container.bundle.config["process"]["user"]["additionalGids"] = [0]
      expectError(try container.attempt("create"), detail: "/process/user/additionalGids")
      try expectNothingLeft(but: holder)
    }

    @Test(arguments: ["uid", "gid"])
    func userWithoutAMappingIsRefused(property: String) throws {
      let holder = try NamespaceHolder("--user", map: "0 100000 1000")
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.joinUsers(holder.path("user"), size: 1000)
      container.bundle.config["process"]["user"][property] = 1000
      expectError(try container.attempt("create"), detail: "/process/user/\(property)")
      try expectNothingLeft(but: holder)
    }

    @Test(arguments: ["", "1 100000 1000"])
    func namespaceWithoutRootIsRefused(map: String) throws {
      let holder = try NamespaceHolder("--user", map: map)
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.joinUsers(holder.path("user"))
      container.bundle.config["linux"]["uidMappings"] = nil
      container.bundle.config["linux"]["gidMappings"] = nil
      expectError(try container.attempt("create"), detail: "has no user 0 (at `/linux/namespaces/5/path`)")
      try expectNothingLeft(but: holder)
    }

    @Test func ownUserNamespaceIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.joinUsers("/proc/self/ns/user")
      expectError(try container.attempt("create"), detail: "is the user namespace of the runtime")
      try expectNothingLeft()
    }

    // MARK: Together with other namespaces

    /// The containers of a pod: every namespace but that of the mounts is the first one's, and belongs to its users.
    @Test func namespacesOfTheSameUsersAreJoined() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.bundle.mapUsers()
      try first.create()
      let folder = "/proc/\(try first.pid())/ns"
      let second = try Container()
      second.bundle.config["hostname"] = nil
      try second.bundle.joinUsers("\(folder)/user")
      for (type, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        second.bundle.join(type, "\(folder)/\(file)")
      }
      let report = try second.report("namespaces", "host", "user", "mounts")
      for file in ["user", "net", "ipc", "uts", "pid"] {
        #expect(report["namespaces"][file].int == Files.inode("\(folder)/\(file)"), "\(file)")
      }
      #expect(report["namespaces"]["mnt"].int != Files.inode("\(folder)/mnt"))
      #expect(report["uids"].ints == [0, 0, 0])
      #expect(report["hostname"].string == "testhost")
      let sys = try #require(report["mounts"].elements.first { $0["destination"].string == "/sys" })
      #expect(sys["root"].string ?? "/" == "/")
    }

    /// It belongs to the host: inside of the user namespace nobody may join it any more.
    @Test(.peerDiffers("runc", "1.1.5", "joins the user namespace first"))
    func networkOfTheHostsUsersIsJoined() throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let network = try NamespaceHolder("--net", "--ipc", "--uts")
      let container = try Container()
      try container.bundle.joinUsers(holder.path("user"))
      container.bundle.config["hostname"] = nil
      for (type, file) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
        container.bundle.join(type, network.path(file))
      }
      // Of a message queue namespace that the users inside do not own nothing can be mounted.
      container.bundle.removeMount("/dev/mqueue")
      let namespaces = try container.report("namespaces")["namespaces"]
      #expect(namespaces["user"].int == holder.inode("user"))
      for file in ["net", "ipc", "uts"] { #expect(namespaces[file].int == network.inode(file), "\(file)") }
    }

    /// The entry of the mount namespace stands in front: the other path is still the runtime's.
    @Test func mountNamespaceOfTheSameUsersIsJoined() throws {
      let holder = try NamespaceHolder(
        "--user", "--mount", "--propagation", "private", map: JoinedUserNamespaceTests.map)
      let container = try Container()
      container.bundle.join("mount", holder.path("mnt"))
      try container.bundle.joinUsers(holder.path("user"))
      let report = try container.report("namespaces", "mounts")
      #expect(report["namespaces"]["mnt"].int == holder.inode("mnt"))
      #expect(report["namespaces"]["user"].int == holder.inode("user"))
      #expect(report["mounts"].elements.contains { $0["destination"].string == "/dev/shm" })
    }

    // MARK: What the root inside cannot do by itself

    @Test func sourceThatTheRootInsideCannotReachIsBound() throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let folder = try Workspace.active().directory + "/private"
      mkdir(folder, 0o700)
      mkdir(folder + "/source", 0o755)
      try Files.write("of the host", to: folder + "/source/file")
      let container = try Container()
      try container.bundle.joinUsers(holder.path("user"))
      container.bundle.addMount("/tmp", type: "bind", source: folder + "/source", options: ["rbind"])
      #expect(try container.shell("cat /tmp/file").stdout == "of the host")
    }

    @Test(.peerDiffers("runc", "1.1.5", "no id-mapped mounts yet"))
    func mountIsMappedAsTheJoinedNamespaceIs() throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let source = try Workspace.active().directory + "/source"
      mkdir(source, 0o755)
      try Files.write("", to: source + "/file")
      chown(source + "/file", 7, 8)
      let container = try Container()
      try container.bundle.joinUsers(holder.path("user"))
      container.bundle.addMount("/tmp", type: "bind", source: source, options: ["bind", "idmap"])
      #expect(try container.shell("stat -c %u:%g /tmp/file").stdout == "7:8\n")
    }

    /// The pipes of the harness are root's, who is nobody inside. A standard input that is a device of the host stays.
    @Test(arguments: [0, 5], [true, false])
    func standardStreamsBelongToTheUserInside(user: Int, isJoined: Bool) throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let container = try Container()
      if isJoined { try container.bundle.joinUsers(holder.path("user")) } else { try container.bundle.mapUsers() }
      container.bundle.config["process"]["user"] = ["uid": .number(user), "gid": 6]
      let outcome = try container.shell("stat -L -c %u /proc/self/fd/1; echo seen > /dev/stderr")
      #expect(outcome.stdout == "\(user)\n", "\(outcome)")
      #expect(outcome.stderr == "seen\n")
    }

    @Test(.apusOnly("crun 1.8.1 gives the device to the container's user"))
    func deviceOfTheHostAsStandardInputKeepsItsOwner() throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      for isJoined in [true, false] {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        if isJoined { try container.bundle.joinUsers(holder.path("user")) }
        container.bundle.config["process"]["user"] = ["uid": 5, "gid": 6]
        let zero = open("/dev/zero", O_RDONLY | O_CLOEXEC)
        defer { close(zero) }
        let outcome = try container.attempt("run", options: Subprocess.Options(stdin: zero))
        #expect(outcome.code == 0, "\(outcome)")
        #expect(Files.status("/dev/zero")?.st_uid == 0)
      }
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "does not show what a hook says"), arguments: ["createContainer", "startContainer"])
    func hooksOfTheContainerRunInTheJoinedNamespace(kind: String) throws {
      let holder = try NamespaceHolder("--user", map: JoinedUserNamespaceTests.map)
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.joinUsers(holder.path("user"))
      let script: JSONValue = ["sh", "-c", "readlink /proc/self/ns/user >&2; exit 7"]
      container.bundle.config["hooks"][kind].append(["path": "/bin/sh", "args": script])
      let outcome = try container.run()
      #expect(outcome.code != 0)
      #expect(outcome.stderr.contains("user:[\(holder.inode("user"))]"), "\(outcome)")
    }
  }
}
