import Foundation
import Testing

extension Integration {
  /// Requirements of the specification that belong to no larger subject.
  @Suite struct ConformanceGapTests {
    /// config.md, "Process"; runtime.md, "Start".
    @Test(
      .peerDiffers("runc", "1.1.5", "refuses the configuration in `create`"),
      .peerDiffers("crun", "1.8.1", "refuses the configuration in `create`"))
    func containerWithoutAProcessIsCreatedAndCannotBeStarted() throws {
      let container = try Container()
      container.bundle.config["process"] = nil
      try container.create()
      #expect(try container.status() == "created")
      expectError(try container.attempt("start"), detail: "(at `/process`)")
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }

    /// The one status of our own, and only for a state that has no name in the text (runtime.md, "State").
    @Test(.peerMayDiffer("crun", "1.8.1", "says `running` while a cgroup of v1 is being frozen"))
    func pausedIsTheStatusOfAFrozenContainer() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      // On v2 it takes the time that the process needs to get there.
      let freezer = try Freezer(container)
      #expect(try container.status() == "running")
      try freezer.whileFrozen {
        let status = try container.status()
        #expect(status == "paused")
      }
      #expect(try container.status() == "running")
      try container.end()
      #expect(try container.status() == "stopped")
    }

    /// config.md, "Annotations": nothing comes of those that nobody knows, and each is in the state.
    @Test func unknownAnnotationsAreKeptAndChangeNothing() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      let annotations: JSONValue = [
        "com.example.unknown": "{\"not\": \"read\"}", "plain": "1", "com.example.empty": "",
        "org.opencontainers.image.os": "plan9", "org.opencontainers.not-defined": "x",
      ]
      container.bundle.config["annotations"] = annotations
      let created = try container.create()
      #expect(created.stderr.isEmpty, "\(created)")
      try container.start()
      try container.stdout.waitFor("ready")
      let state = try container.state()
      #expect(state["status"].string == "running")
      #expect(state["annotations"] == annotations)
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes the empty name"), .peerDiffers("crun", "1.8.1", "takes the empty name"))
    func annotationWithoutANameIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["annotations"] = ["com.example.key": "1", "": "value"]
      expectError(try container.attempt("create"), detail: "(at `/annotations/`)")
      try expectNothingLeft()
    }

    /// config-linux.md, "User namespace mappings": files keep their owners, mapped or not.
    @Test func userNamespaceChangesNoOwnerOfAFile() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.mapUsers(host: 100_000, size: 65_536)
      let source = try Workspace.active().directory + "/source"
      mkdir(source, 0o755)
      for (name, user) in [("of-root", 0), ("mapped", 100_005), ("other", 500_000)] {
        try Files.write(name, to: "\(source)/\(name)")
        chown("\(source)/\(name)", uid_t(user), gid_t(user))
        try Files.write(name, to: "\(container.bundle.rootfs)/\(name)")
        chown("\(container.bundle.rootfs)/\(name)", uid_t(user), gid_t(user))
      }
      container.bundle.addMount("/tmp", type: "bind", source: source, options: ["rbind"])
      let before = owners(below: [container.bundle.rootfs, source])
      #expect(before.count > 20)
      let outcome = try container.run()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(owners(below: [container.bundle.rootfs, source]).filter { before[$0.key] != nil } == before)
    }

    private func owners(below folders: [String]) -> [String: [UInt32]] {
      var found: [String: [UInt32]] = [:]
      for folder in folders {
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        for name in [""] + names {
          var status = stat()
          if lstat("\(folder)/\(name)", &status) == 0 {
            found["\(folder)/\(name)"] = [status.st_uid, status.st_gid]
          }
        }
      }
      return found
    }

    /// config-linux.md, "Offset for Time Namespace".
    @Test(.apusOnly("the peers here do not know the time namespace"))
    func clocksOfATimeNamespaceAreShifted() throws {
      let container = try Container()
      container.bundle.addNamespace("time")
      container.bundle.config["linux"]["timeOffsets"] = [
        "monotonic": ["secs": 172_800, "nanosecs": 600_000_000], "boottime": ["secs": 604_800],
      ]
      let before = [seconds(CLOCK_MONOTONIC), seconds(CLOCK_BOOTTIME)]
      let host = try container.report("host")
      let after = [seconds(CLOCK_MONOTONIC), seconds(CLOCK_BOOTTIME)]
      let lines = host["timeOffsets"].string?.split(separator: "\n").map {
        $0.split(separator: " ").map(String.init)
      }
      #expect(lines == [["monotonic", "172800", "600000000"], ["boottime", "604800", "0"]])
      let monotonic = try #require(host["monotonic"].int)
      #expect((before[0] + 172_800...after[0] + 172_801).contains(monotonic))
      let boottime = try #require(host["boottime"].int)
      #expect((before[1] + 604_800...after[1] + 604_800).contains(boottime))
    }

    @Test func cgroupNamespaceOfAnotherContainerIsJoined() throws { try expectJoined("cgroup") }

    @Test(.apusOnly("the peers here do not know the time namespace"))
    func timeNamespaceOfAnotherContainerIsJoined() throws {
      let host = try expectJoined("time", offsets: ["boottime": ["secs": 604_800]])
      #expect(try #require(host["boottime"].int) >= seconds(CLOCK_BOOTTIME) + 604_700)
    }

    /// config-linux.md, "Namespaces": what the agent saw in the namespace of another container.
    @discardableResult
    private func expectJoined(_ type: String, offsets: JSONValue = .null) throws -> JSONValue {
      let first = try Container(args: ["/bin/agent", "pause"])
      first.bundle.addNamespace(type)
      first.bundle.config["linux"]["timeOffsets"] = offsets
      try first.runDetached()
      let path = "/proc/\(try first.pid())/ns/\(type)"
      #expect(Files.inode(path) != Files.inode("/proc/self/ns/\(type)"))
      let second = try Container()
      second.bundle.config["linux"]["namespaces"].append(["type": .string(type), "path": .string(path)])
      let report = try second.report("namespaces", "host")
      #expect(report["namespaces"][type].int == Files.inode(path))
      return report
    }

    @Test(arguments: ["pid", "network", "ipc", "uts", "user", "cgroup"])
    func pathThatIsNoNamespaceOfTheTypeIsRefused(type: String) throws {
      let other = type == "uts" ? "ipc" : "uts"
      for path in ["/proc/self/ns/\(other)", "/etc/hostname", "/no/such/path"] {
        try expectRefused(type, path)
      }
    }

    /// Opened like a file, it would wait for somebody who writes.
    @Test(.apusOnly("the peers wait"), arguments: ["network", "time"])
    func pathOfAFifoIsRefused(type: String) throws {
      let path = try Workspace.active().directory + "/fifo"
      mkfifo(path, 0o600)
      try expectRefused(type, path)
    }

    private func expectRefused(_ type: String, _ path: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.removeNamespace(type)
      container.bundle.config["hostname"] = nil
      let index = container.bundle.config["linux"]["namespaces"].elements.count
      container.bundle.config["linux"]["namespaces"].append(["type": .string(type), "path": .string(path)])
      expectError(try container.attempt("create"), detail: "(at `/linux/namespaces/\(index)/path`)")
      try expectNothingLeft()
    }

    private func seconds(_ clock: clockid_t) -> Int {
      var time = timespec()
      clock_gettime(clock, &time)
      return time.tv_sec
    }

    /// config-linux.md, "Cgroup ownership": neither on v1, nor without a cgroup namespace of the container's own, nor
    /// where the mount is read-only.
    @Test(arguments: ["v1", "no namespace", "read-only"]) func ownerOfTheCgroupStays(reason: String) throws {
      let isV2 = CgroupView.current == .v2
      guard isV2 != (reason == "v1") else { return }
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.mapUsers()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      if reason != "no namespace" || !isV2 { container.bundle.addNamespace("cgroup") }
      container.bundle.removeMount("/sys/fs/cgroup")
      let access = reason == "read-only" ? "ro" : "rw"
      container.bundle.addMount(
        "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", access])
      try container.create()
      let groups = Cgroups.leftovers()
      #expect(!groups.isEmpty)
      for group in groups {
        for name in [""] + Files.names(in: group) {
          #expect(Files.status("\(group)/\(name)")?.st_uid == 0, "\(group)/\(name)")
        }
      }
    }
  }
}
