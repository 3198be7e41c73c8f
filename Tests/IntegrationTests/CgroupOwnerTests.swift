import Foundation
import Testing

extension Integration {
  /// A cgroup of v2 that the user of the process may divide (config-linux.md, "Cgroup ownership").
  @Suite(.views(.v2)) struct CgroupOwnerTests {
    /// With a cgroup namespace of its own and a mount that can be written to.
    private func container(args: [String] = ["/bin/agent", "pause"], uid: Int = 1000) throws -> Container {
      let container = try Container(args: args)
      container.bundle.config["process"]["user"] = ["uid": .number(uid), "gid": 1000]
      container.bundle.addNamespace("cgroup")
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.addMount(
        "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev"])
      return container
    }

    /// The owners of the files that the kernel hands down, and of all the others.
    private func expectOwner(_ container: Container, _ user: UInt32, sourceLocation: SourceLocation = #_sourceLocation)
      throws
    {
      let folder = try container.cgroup("")
      let listed = try Files.read("/sys/kernel/cgroup/delegate").split(separator: "\n").map(String.init)
      #expect(listed.contains("cgroup.procs"))
      let names = Files.names(in: folder)
      #expect(names.count > listed.count && names.contains("cgroup.procs"))
      for name in [""] + names {
        let status = try #require(Files.status("\(folder)/\(name)"))
        let isGiven = name.isEmpty || listed.contains(name)
        #expect(status.st_uid == (isGiven ? user : 0), "\(name)", sourceLocation: sourceLocation)
        #expect(status.st_gid == 0, "\(name)", sourceLocation: sourceLocation)
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", "only with its systemd driver"))
    func cgroupBelongsToTheUserOfTheProcess() throws {
      let container = try container()
      try container.bundle.mapUsers()
      try container.create()
      try expectOwner(container, 101_000)
    }

    @Test(.peerDiffers("runc", "1.1.5", "only with its systemd driver"))
    func cgroupBelongsToTheUserWithoutAUserNamespaceToo() throws {
      let container = try container()
      try container.create()
      try expectOwner(container, 1000)
    }

    @Test(.peerDiffers("runc", "1.1.5", "only with its systemd driver"))
    func cgroupBelongsToTheUserOfANamespaceThatIsJoined() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.bundle.mapUsers()
      try first.create()
      let container = try container()
      try container.bundle.mapUsers()
      for map in ["uidMappings", "gidMappings"] { container.bundle.config["linux"][map] = .null }
      container.bundle.removeNamespace("user")
      container.bundle.config["linux"]["namespaces"].append([
        "type": "user", "path": .string("/proc/\(try first.pid())/ns/user"),
      ])
      try container.create()
      try expectOwner(container, 101_000)
      try container.delete("--force")
    }

    @Test(.peerDiffers("runc", "1.1.5", "only with its systemd driver"))
    func userDividesTheCgroupAndNotTheLimits() throws {
      let line = """
        cd /sys/fs/cgroup && mkdir inner inner/most && echo 0 > inner/most/cgroup.procs && grep ^0: /proc/self/cgroup
        for file in cgroup.max.descendants cgroup.freeze inner/../hugetlb.2MB.max
        do (echo 1 > $file) 2>/dev/null && echo $file can be written
        done; echo ready; exec sleep 1000
        """
      let container = try container(args: ["/bin/sh", "-c", line])
      try container.bundle.mapUsers()
      try container.runDetached()
      try container.stdout.waitFor("ready")
      try container.kill("KILL")
      #expect(try container.stdout.readToEnd() == "0::/inner/most\nready\n")
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("runc", "1.1.5", "only with its systemd driver"))
    func commandIsExecutedInACgroupThatItsUserHasDivided() throws {
      let line = """
        cd /sys/fs/cgroup && mkdir inner && echo 0 > inner/cgroup.procs && for name in $(cat cgroup.controllers)
        do echo +$name > cgroup.subtree_control || exit 7
        done; echo ready; exec sleep 1000
        """
      let container = try container(args: ["/bin/sh", "-c", line])
      try container.bundle.mapUsers()
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let outcome = try container.exec(["/bin/sh", "-c", "grep ^0: /proc/self/cgroup"])
      #expect(outcome.stdout == "0::/inner\n", "\(outcome)")
    }
  }
}
