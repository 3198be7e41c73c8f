import Foundation
import Testing

extension Integration {
  /// Kinds of steps that no other test would miss if they were left out of a plan (`hack/mutants --steps`).
  @Suite struct StepTests {
    /// What the test build of `hack/mutants --steps` does must never be in what users run.
    @Test(.apusOnly("the variable is our own")) func noStepIsLeftOutOfTheBinaryOfUsers() throws {
      let container = try Container(args: ["/bin/busybox", "hostname"])
      container.bundle.config["hostname"] = "still-there"
      var environment = ProcessInfo.processInfo.environment
      environment["APUS_LEAVE_OUT"] = "InitStep.hostname"
      let outcome = try container.attempt("run", options: Subprocess.Options(environment: environment))
      #expect(outcome.stdout == "still-there\n", "\(outcome)")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "does not know the time namespace yet"),
      .peerDiffers("crun", "1.8.1", "does not know the time namespace yet"))
    func cgroupAndTimeNamespacesOfAnotherContainerAreJoined() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      for type in ["cgroup", "time"] { first.bundle.addNamespace(type) }
      try first.create()
      let pid = try first.pid()
      let second = try Container()
      for type in ["cgroup", "time"] {
        second.bundle.config["linux"]["namespaces"].append([
          "type": .string(type), "path": .string("/proc/\(pid)/ns/\(type)"),
        ])
      }
      let namespaces = try second.report("namespaces")["namespaces"]
      for type in ["cgroup", "time"] {
        #expect(namespaces[type].int == Files.inode("/proc/\(pid)/ns/\(type)"), "\(type)")
      }
    }

    /// A propagation with `r` reaches the mounts below, one without does not.
    @Test(arguments: ["private", "rprivate", "unbindable", "runbindable"])
    func propagationReachesTheMountsBelowWhenItSaysSo(option: String) throws {
      let isRecursive = option.hasPrefix("r")
      let reason = isRecursive ? [:] : ["crun": "changes the mounts below too"]
      try allowing(reason, in: "mounts below one that is \(option)") {
        try HostMounts.withTree { source in
          let container = try Container(args: ["/bin/busybox", "cat", "/proc/self/mountinfo"])
          container.bundle.config["linux"]["rootfsPropagation"] = "rslave"
          container.bundle.addMount("/mount", type: "bind", source: source, options: ["rbind", option])
          let lines = try container.run().stdout.split(separator: "\n").map { $0.split(separator: " ") }
          for (path, receives) in [("/mount", false), ("/mount/below", !isRecursive)] {
            let line = try #require(lines.first { $0.count > 6 && $0[4] == path }, "\(lines)")
            #expect(line[6].hasPrefix("master:") == receives, "\(line)")
          }
        }
      }
    }

    /// Told apart from flags that only were not asked for, which stay without a word.
    @Test(
      .apusOnly("the peers bind on the side of the host, or refuse every locked flag"),
      arguments: ["rw", "suid", "dev"])
    func lockedFlagThatIsTakenAwayByNameIsAnError(option: String) throws {
      try HostMounts.withTree(MountState(configured: ["ro", "nosuid", "nodev"])) { source in
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        try container.bundle.mapUsers()
        container.bundle.addMount("/mount", type: "bind", source: source, options: ["rbind", option])
        expectError(try container.run(), says: "cannot be taken away inside")
      }
    }

    /// Before the command is executed, which changes them by the rules of execve(2): what can be seen of the process that
    /// waits, and what it could be made to use.
    @Test func waitingProcessHoldsTheCapabilitiesOfTheConfiguration() throws {
      for uid in [0, 1000] {
        let container = try Container(args: ["/bin/agent", "pause"])
        container.bundle.config["process"]["user"] = ["uid": .number(uid), "gid": 0]
        container.bundle.config["process"]["capabilities"] = [
          "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
          "effective": ["CAP_CHOWN"], "inheritable": [], "ambient": [],
        ]
        try container.create()
        let status = try Files.read("/proc/\(container.pid())/status")
        for (name, mask) in [("Bnd", 0xa1), ("Prm", 0x21), ("Eff", 0x1), ("Inh", 0)] {
          let text = String(mask, radix: 16)
          let line = "Cap\(name):\t" + String(repeating: "0", count: 16 - text.count) + text
          #expect(status.split(separator: "\n").contains(Substring(line)), "\(uid): no \(line) in \(status)")
        }
      }
    }

    @Test func hookHasTheVariablesThatItNames() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds { hooks.add(kind, "log \"\(kind) $X ${TERM-none}\"", env: ["X=y z"]) }
      try container.create()
      try container.start()
      try container.delete("--force")
      let lines = HookFolder.kinds.map { "\($0) y z none" }
      #expect(try hooks.log.sorted() == lines.sorted())
    }

    private func created(_ resources: JSONValue, cgroupsPath: String? = nil) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      if let cgroupsPath { container.bundle.config["linux"]["cgroupsPath"] = .string(cgroupsPath) }
      for (name, value) in resources.members { container.bundle.config["linux"]["resources"][name] = value }
      try container.create()
      return container
    }

    private func expect(
      _ file: String, _ controller: String, _ value: String, _ container: Container,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let text = try Files.read(container.cgroup(controller) + "/" + file)
      #expect(
        text.split(separator: "\n").contains(Substring(value)), "\(file): \(text)", sourceLocation: sourceLocation)
    }

    @Test(.views(.hybrid, .v1)) func limitOfSwapAndItsUseAreWritten() throws {
      let container = try created([
        "memory": ["limit": 67_108_864, "swap": 134_217_728, "swappiness": 17, "disableOOMKiller": true]
      ])
      try expect("memory.memsw.limit_in_bytes", "memory", "134217728", container)
      try expect("memory.swappiness", "memory", "17", container)
      try expect("memory.oom_control", "memory", "oom_kill_disable 1", container)
    }

    @Test(
      .views(.hybrid, .v1), .peerDiffers("runc", "1.1.5", "does not know burst and idle yet"),
      .peerDiffers("crun", "1.8.1", "does not know burst yet"))
    func burstPeriodAndIdlenessOfTheProcessorAreWritten() throws {
      let container = try created(["cpu": ["quota": 50_000, "period": 100_000, "burst": 20_000]])
      try expect("cpu.cfs_burst_us", "cpu", "20000", container)
      let short = try created(["cpu": ["period": 40_000]])
      try expect("cpu.cfs_period_us", "cpu", "40000", short)
      let idle = try created(["cpu": ["idle": 1]])
      try expect("cpu.idle", "cpu", "1", idle)
    }

    /// A cgroup that is told nothing has the nodes of the one above, and most machines have but one.
    @Test(.views(.hybrid, .v1), .peerDiffers("crun", "1.8.1", "leaves the cgroups behind"))
    func nodeOfTheMemoryThatIsNotThereIsAnError() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["resources"]["cpu"] = ["mems": "63"]
      expectError(try container.attempt("create"), detail: "at `/linux/resources/cpu/mems`")
      try expectNothingLeft()
    }

    /// Directly below the root, whose share of the time is there to be given.
    @Test(.views(.hybrid, .v1)) func realtimeOfTheProcessorIsWritten() throws {
      let container = try created(
        ["cpu": ["realtimePeriod": 500_000, "realtimeRuntime": 12_000]], cgroupsPath: "/\(TestRun.tag)-realtime")
      try expect("cpu.rt_period_us", "cpu", "500000", container)
      try expect("cpu.rt_runtime_us", "cpu", "12000", container)
    }

    @Test(.views(.hybrid, .v1), .peerDiffers("crun", "1.8.1", "does not know the file of BFQ"))
    func weightOfDisksIsWritten() throws {
      guard let root = Cgroups.root(of: "blkio"), Files.exists(root + "/blkio.bfq.io_serviced") else { return }
      let container = try created(["blockIO": ["weight": 321]])
      try expect("blkio.bfq.weight", "blkio", "321", container)
    }

    @Test(.views(.hybrid, .v1)) func bandwidthOfDisksIsWritten() throws {
      guard let disk = try Disk.first() else { return }
      func device(_ rate: Int) -> JSONValue { disk.entry("rate", rate) }
      let container = try created([
        "blockIO": [
          "throttleReadBpsDevice": device(1_000_001), "throttleWriteBpsDevice": device(1_000_002),
          "throttleReadIOPSDevice": device(1003), "throttleWriteIOPSDevice": device(1004),
        ]
      ])
      for (name, rate) in [
        ("read_bps", 1_000_001), ("write_bps", 1_000_002), ("read_iops", 1003), ("write_iops", 1004),
      ] {
        try expect("blkio.throttle.\(name)_device", "blkio", "\(disk.major):\(disk.minor) \(rate)", container)
      }
    }

    @Test(.views(.v2)) func filesOfTheUnifiedHierarchyAreWritten() throws {
      let container = try created(["unified": ["hugetlb.2MB.max": "6291456", "cgroup.max.depth": "7"]])
      try expect("hugetlb.2MB.max", "", "6291456", container)
      try expect("cgroup.max.depth", "", "7", container)
    }
  }
}
