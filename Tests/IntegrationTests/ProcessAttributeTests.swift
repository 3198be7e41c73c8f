import Foundation
import Testing

extension Integration {
  /// What the kernel schedules the agent command by, how it may be killed, where its memory comes from.
  @Suite struct ProcessAttributeTests {
    /// What the agent sees when the runtime is called through a line of shell, which says `exec "$@"` at its end.
    private func report(
      _ container: Container, through line: String, _ words: [String] = []
    ) throws -> Outcome {
      container.bundle.args = ["/bin/agent", "report", "attributes", "user"]
      try container.bundle.write()
      let call = [Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path]
      return try Subprocess("/bin/sh", ["-c", line, "sh"] + words + call + [container.id]).wait()
    }

    private var withoutResourceRight: [String] { ["/usr/bin/setpriv", "--bounding-set=-sys_resource"] }

    @Test(arguments: [1000, 500, 1, 0]) func oomScoreAdjIsTaken(value: Int) throws {
      let container = try Container()
      container.bundle.config["process"]["oomScoreAdj"] = .number(value)
      #expect(try container.report("attributes")["oomScoreAdj"].int == value)
    }

    @Test func absentOOMScoreAdjLeavesTheCallersValue() throws {
      let outcome = try report(Container(), through: "echo 321 >/proc/self/oom_score_adj; exec \"$@\"")
      #expect(try outcome.json["oomScoreAdj"].int == 321, "\(outcome)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes 0 for absent"))
    func oomScoreAdjReplacesTheCallersValue() throws {
      let container = try Container()
      container.bundle.config["process"]["oomScoreAdj"] = 0
      let outcome = try report(container, through: "echo 321 >/proc/self/oom_score_adj; exec \"$@\"")
      #expect(try outcome.json["oomScoreAdj"].int == 0, "\(outcome)")
    }

    @Test func oomScoreAdjThatMayNotBeLoweredIsAnError() throws {
      let container = try Container()
      container.bundle.config["process"]["oomScoreAdj"] = -500
      let outcome = try report(container, through: "exec \"$@\"", withoutResourceRight)
      expectError(outcome, says: "ermission denied", detail: "at `/process/oomScoreAdj`")
      try expectNothingLeft()
    }

    @Test(arguments: [1001, -1001]) func oomScoreAdjOutOfRangeIsAnError(value: Int) throws {
      let container = try Container()
      container.bundle.config["process"]["oomScoreAdj"] = .number(value)
      expectError(try container.run(), detail: "at `/process/oomScoreAdj`")
      try expectNothingLeft()
    }

    /// Only the host's side may change it.
    @Test func oomScoreAdjIsTakenInAUserNamespace() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.config["process"]["oomScoreAdj"] = 700
      #expect(try container.report("attributes")["oomScoreAdj"].int == 700)
    }

    /// As a user without rights: the policy is set while the process still has them.
    @Test(
      .apusOnly("newer than the peers here"),
      arguments: [("SCHED_OTHER", 0, -7), ("SCHED_BATCH", 3, 5), ("SCHED_IDLE", 5, 0), ("SCHED_OTHER", 0, 19)])
    func schedulingPolicyIsTaken(policy: String, number: Int, nice: Int) throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      container.bundle.config["process"]["scheduler"] = ["policy": .string(policy), "nice": .number(nice)]
      let scheduler = try container.report("attributes")["scheduler"]
      #expect(scheduler["policy"].int == number)
      #expect(scheduler["nice"].int == nice)
      #expect(scheduler["flags"].int == 0)
    }

    /// In cgroup v1 the controller `cpu` gives a new group no time for such policies.
    @Test(.apusOnly("newer than the peers here"), .views(.v2))
    func realtimeSchedulingPoliciesAreTaken() throws {
      for (policy, number, priority) in [("SCHED_FIFO", 1, 1), ("SCHED_RR", 2, 99)] {
        let container = try Container()
        container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
        container.bundle.config["process"]["scheduler"] = [
          "policy": .string(policy), "priority": .number(priority), "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        ]
        let scheduler = try container.report("attributes")["scheduler"]
        #expect(scheduler["policy"].int == number)
        #expect(scheduler["priority"].int == priority)
        #expect(scheduler["flags"].int == 1)
      }
      let container = try Container()
      container.bundle.config["process"]["scheduler"] = [
        "policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 10_000_000, "period": 20_000_000,
      ]
      let scheduler = try container.report("attributes")["scheduler"]
      #expect(scheduler["policy"].int == 6)
      #expect(scheduler["runtime"].int == 1_000_000)
      #expect(scheduler["deadline"].int == 10_000_000)
      #expect(scheduler["period"].int == 20_000_000)
    }

    @Test func absentSchedulerLeavesTheCallersPolicy() throws {
      let outcome = try report(Container(), through: "exec nice -n 4 \"$@\"")
      #expect(try outcome.json["scheduler"]["nice"].int == 4, "\(outcome)")
    }

    @Test(.apusOnly("newer than the peers here")) func schedulerThatTheKernelRefusesIsAnError() throws {
      let container = try Container()
      container.bundle.config["process"]["scheduler"] = ["policy": "SCHED_ISO"]
      expectError(try container.run(), says: "invalid argument (at `/process/scheduler`)")
      container.bundle.config["process"]["scheduler"] = ["policy": "SCHED_FIFO"]
      expectError(try container.run(), says: "at `/process/scheduler/priority`")
      try expectNothingLeft()
    }

    @Test(
      .apusOnly("newer than the peers here"),
      arguments: [("IOPRIO_CLASS_RT", 1, 0), ("IOPRIO_CLASS_BE", 2, 7), ("IOPRIO_CLASS_IDLE", 3, 3)])
    func ioPriorityIsTaken(name: String, number: Int, priority: Int) throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      container.bundle.config["process"]["ioPriority"] = ["class": .string(name), "priority": .number(priority)]
      #expect(try container.report("attributes")["ioPriority"].int == number << 13 | priority)
    }

    @Test(.apusOnly("newer than the peers here")) func wrongIOPriorityIsRefused() throws {
      let container = try Container()
      container.bundle.config["process"]["ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": 8]
      expectError(try container.run(), says: "at `/process/ioPriority/priority`")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("runc", "1.1.5", "does not know `personality` yet"))
    func executionDomainIsTaken() throws {
      for (domain, number, machine) in [("LINUX32", 8, "i686"), ("LINUX", 0, "x86_64")] {
        let container = try Container()
        container.bundle.config["linux"]["personality"] = ["domain": .string(domain), "flags": []]
        let report = try container.report("attributes")
        #expect(report["personality"].int == number)
        #expect(report["machine"].string == machine)
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", "does not know `personality` yet"))
    func wrongExecutionDomainIsRefused() throws {
      let container = try Container()
      container.bundle.config["linux"]["personality"] = ["domain": "MINIX"]
      expectError(try container.run(), detail: "at `/linux/personality/domain`")
      try expectNothingLeft()
    }

    @Test(
      .apusOnly("newer than the peers here"),
      arguments: [
        ("MPOL_BIND", 2, [0], [0]), ("MPOL_PREFERRED", 1, [0], [0]), ("MPOL_INTERLEAVE", 3, [0], [0]),
        ("MPOL_DEFAULT", 0, [], []), ("MPOL_LOCAL", 4, [], []),
      ])
    func memoryPolicyIsTaken(mode: String, number: Int, nodes: [Int], seen: [Int]) throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      container.bundle.config["linux"]["memoryPolicy"] = [
        "mode": .string(mode), "nodes": .string(nodes.map { "\($0)" }.joined(separator: ",")),
        "flags": nodes.isEmpty ? [] : ["MPOL_F_STATIC_NODES"],
      ]
      let policy = try container.report("attributes")["memoryPolicy"]
      #expect(policy["mode"].int == number | (nodes.isEmpty ? 0 : 0x8000))
      #expect(policy["nodes"].ints == seen)
    }

    @Test(.apusOnly("newer than the peers here")) func memoryNodeThatIsNotThereIsAnError() throws {
      let container = try Container()
      container.bundle.config["linux"]["memoryPolicy"] = ["mode": "MPOL_BIND", "nodes": "63"]
      expectError(try container.run(), says: "invalid argument (at `/linux/memoryPolicy`)")
      try expectNothingLeft()
    }

    /// No machine of the tests has resctrl; what is written there is tested against a folder (ResctrlTests).
    @Test(.apusOnly("the peers here take a container without a schema"))
    func intelRdtNeedsResctrl() throws {
      if Files.exists("/sys/fs/resctrl/schemata") { return }
      for rdt in [[:], ["closID": "gold"], ["enableMonitoring": true], ["l3CacheSchema": "L3:0=f"]] as [JSONValue] {
        let container = try Container()
        container.bundle.config["linux"]["intelRdt"] = rdt
        expectError(try container.run(), says: "no resctrl file system is mounted (at `/linux/intelRdt`)")
      }
      try expectNothingLeft()
    }

    @Test(.apusOnly("newer than the peers here")) func affinityOfExecIsNotThatOfTheContainer() throws {
      let status = try Files.read("/proc/self/status")
      let own = status.split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
      let container = try Container(args: ["/bin/busybox", "cat", "/proc/self/status"])
      container.bundle.config["process"]["execCPUAffinity"] = ["initial": "0", "final": "0"]
      #expect(try container.run().stdout.contains("\n\(try #require(own))\n"))
      container.bundle.config["process"]["execCPUAffinity"] = ["initial": "few"]
      expectError(try container.run(), says: "at `/process/execCPUAffinity/initial`")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "gives the keyring another name and no right to search"))
    func sessionKeyringIsTheContainersOwn() throws {
      let container = try Container()
      #expect(
        try container.report("attributes")["keyring"].string == "keyring;0;0;3f1b0000;_ses.\(container.id)")
      let mapped = try Container()
      try mapped.bundle.mapUsers()
      #expect(
        try mapped.report("attributes")["keyring"].string == "keyring;0;0;3f130008;_ses.\(mapped.id)")
    }

    @Test func sessionKeyringOfTheCallerStaysWithNoNewKeyring() throws {
      let container = try Container()
      container.bundle.args = ["/bin/agent", "report", "attributes"]
      let keyring = try #require(try container.run("--no-new-keyring").json["keyring"].string)
      #expect(!keyring.contains(container.id), "\(keyring)")
    }

    @Test func umaskOfZeroIsTaken() throws {
      let container = try Container()
      container.bundle.config["process"]["user"]["umask"] = 0
      #expect(try container.report("user")["umask"].int == 0)
    }

    @Test(.peerDiffers("crun", "1.8.1", "sets no HOME for a user without a line"))
    func homeIsTheRootForAUserWithoutALine() throws {
      for (uid, home) in [(0, "HOME=/root"), (4711, "HOME=/")] {
        let container = try Container()
        container.bundle.config["process"]["user"] = ["uid": .number(uid), "gid": 0]
        #expect(try container.report("command")["env"].strings.contains(home))
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves an empty HOME"))
    func emptyHomeIsLookedUpToo() throws {
      let container = try Container()
      container.bundle.config["process"]["env"] = ["PATH=/bin", "HOME="]
      #expect(try container.report("command")["env"].strings.filter { $0.hasPrefix("HOME=") } == ["HOME=/root"])
    }

    @Test func absentLimitsAreThoseOfTheCaller() throws {
      for limits in [nil, []] as [JSONValue] {
        let container = try Container()
        container.bundle.config["process"]["rlimits"] = limits
        container.bundle.args = ["/bin/agent", "report", "limits"]
        try container.bundle.write()
        let call = [Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path]
        let outcome = try Subprocess("/usr/bin/prlimit", ["--core=12345:23456"] + call + [container.id]).wait()
        let core = try outcome.json["rlimits"]["RLIMIT_CORE"]
        #expect([core["soft"].int, core["hard"].int] == [12345, 23456], "\(outcome)")
      }
    }

    @Test func softLimitAboveTheHardOneIsRefused() throws {
      let container = try Container()
      container.bundle.config["process"]["rlimits"] = [["type": "RLIMIT_CORE", "soft": 2, "hard": 1]]
      expectError(try container.run(), detail: "at `/process/rlimits/0/soft`")
      try expectNothingLeft()
    }

    /// The specification: a warning, and the container runs with what there is.
    @Test(
      .peerDiffers("runc", "1.1.5", "fails"), .peerDiffers("crun", "1.8.1", "fails, or says nothing"))
    func capabilityThatTheCallerLacksIsLeftOutWithAWarning() throws {
      let container = try Container()
      container.bundle.setCapabilities(
        ["CAP_KILL", "CAP_NET_RAW"], inheritable: ["CAP_NET_RAW"], ambient: ["CAP_NET_RAW"])
      container.bundle.args = ["/bin/agent", "report", "capabilities"]
      try container.bundle.write()
      let call = [Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path]
      let outcome = try Subprocess("/usr/bin/setpriv", ["--bounding-set=-net_raw"] + call + [container.id]).wait()
      #expect(outcome.code == 0, "\(outcome)")
      let sets = try outcome.json["capabilities"]
      #expect(sets["permitted"].strings == ["CAP_KILL"], "\(outcome)")
      #expect(sets["bounding"].strings == ["CAP_KILL"], "\(outcome)")
      for name in ["inheritable", "ambient"] { #expect(sets[name].strings == [], "\(name)") }
      #expect(outcome.stderr.contains("CAP_NET_RAW"), "\(outcome)")
    }
  }
}
