import Foundation
import Testing

extension Integration {
  /// Each property of `linux.resources` on v1, by what the kernel's file says afterwards. Those of v2 are in
  /// ``UnifiedLimitTests``, and those that need a disk in ``StepTests``.
  @Suite(.views(.hybrid, .v1), .bothDrivers) struct LegacyLimitTests {
    private func created(_ resources: JSONValue) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      for (name, value) in resources.members { container.bundle.config["linux"]["resources"][name] = value }
      try container.create()
      return container
    }

    private func lines(_ container: Container, _ file: String) throws -> [String] {
      let parts = file.split(separator: "/").map(String.init)
      return try Files.read(container.cgroup(parts[0]) + "/" + parts[1]).split(separator: "\n").map(String.init)
    }

    /// What the kernel says of a limit of memory that is none.
    private static let endless = "9223372036854771712"
    private static let older = ["runc": "does not know it yet", "crun": "does not know it yet"]

    static let memory: [LimitRow] = [
      LimitRow(
        ["memory": ["limit": 67_108_864]],
        ["memory/memory.limit_in_bytes": "67108864", "memory/memory.memsw.limit_in_bytes": endless]),
      LimitRow(["memory": ["limit": -1]], ["memory/memory.limit_in_bytes": endless]),
      LimitRow(["memory": ["reservation": 33_554_432]], ["memory/memory.soft_limit_in_bytes": "33554432"]),
      LimitRow(["memory": ["reservation": -1]], ["memory/memory.soft_limit_in_bytes": endless]),
      LimitRow(
        ["memory": ["limit": 67_108_864, "swap": 67_108_864]],
        ["memory/memory.limit_in_bytes": "67108864", "memory/memory.memsw.limit_in_bytes": "67108864"]),
      LimitRow(
        ["memory": ["limit": 67_108_864, "swap": -1]],
        ["memory/memory.limit_in_bytes": "67108864", "memory/memory.memsw.limit_in_bytes": endless]),
      LimitRow(
        ["memory": ["limit": 0, "swap": 0, "reservation": 0, "disableOOMKiller": false]],
        [
          "memory/memory.limit_in_bytes": endless, "memory/memory.memsw.limit_in_bytes": endless,
          "memory/memory.soft_limit_in_bytes": endless, "memory/memory.oom_control": "oom_kill_disable 0",
        ]),
      LimitRow(["memory": ["swappiness": 0]], ["memory/memory.swappiness": "0"]),
      LimitRow(["memory": ["swappiness": 100]], ["memory/memory.swappiness": "100"]),
      LimitRow(["memory": ["disableOOMKiller": true]], ["memory/memory.oom_control": "oom_kill_disable 1"]),
      LimitRow(["memory": ["useHierarchy": true]], ["memory/memory.use_hierarchy": "1"]),
    ]

    static let processors: [LimitRow] = [
      LimitRow(["cpu": ["shares": 2]], ["cpu/cpu.shares": "2"]),
      LimitRow(["cpu": ["shares": 262_144]], ["cpu/cpu.shares": "262144"]),
      LimitRow(["cpu": ["shares": 0]], ["cpu/cpu.shares": "1024"]),
      LimitRow(["cpu": ["quota": 50_000]], ["cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"]),
      LimitRow(
        ["cpu": ["quota": 50_000, "period": 80_000]],
        ["cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "80000"]),
      LimitRow(
        ["cpu": ["quota": -1, "period": 50_000]], ["cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "50000"]),
      LimitRow(
        ["cpu": ["quota": 0, "period": 0]], ["cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"]),
      LimitRow(
        ["cpu": ["quota": 50_000, "burst": 50_000]],
        ["cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_burst_us": "50000"], older),
      LimitRow(["cpu": ["idle": 1]], ["cpu/cpu.idle": "1"], ["runc": "does not know it yet"]),
      LimitRow(["cpu": ["idle": 0]], ["cpu/cpu.idle": "0", "cpu/cpu.shares": "1024"]),
      LimitRow(["cpu": ["realtimeRuntime": 0, "realtimePeriod": 0]], ["cpu/cpu.shares": "1024"]),
      LimitRow(
        ["cpu": ["cpus": "1", "mems": "0"]],
        ["cpuset/cpuset.cpus": "1", "cpuset/cpuset.mems": "0", "cpuset/cpuset.effective_cpus": "1"]),
    ]

    static let others: [LimitRow] = [
      LimitRow(["pids": ["limit": 42]], ["pids/pids.max": "42"]),
      LimitRow(
        ["pids": ["limit": -1]], ["pids/pids.max": "max"], ["crun": "writes -1, which the kernel refuses on v1"]),
      LimitRow(
        ["pids": ["limit": 0]], ["pids/pids.max": "0"], ["runc": "takes it for none", "crun": "takes it for none"]),
      LimitRow(["network": ["priorities": []], "rdma": [:], "blockIO": ["weight": 0]], ["cpu/cpu.shares": "1024"]),
    ]

    @Test(arguments: memory + processors + others) func limitIsInTheFileOfV1(_ row: LimitRow) throws {
      try allowing(row.reasons, in: "limitIsInTheFileOfV1") {
        let container = try created(row.resources)
        for (file, expected) in row.files {
          let lines = try lines(container, file)
          #expect(lines.contains(expected), "\(file): \(lines)")
        }
      }
    }

    @Test(.apusOnly("the peers say nothing")) func kernelMemoryIsIgnoredWithAWordOnV1Too() throws {
      let container = try Container(args: ["/bin/true"])
      container.bundle.config["linux"]["resources"]["memory"] = ["kernel": 1_000_000, "kernelTCP": 1_000_000]
      let outcome = try container.run()
      #expect(outcome.code == 0)
      #expect(outcome.stderr.contains("/memory/kernel`") && outcome.stderr.contains("/memory/kernelTCP`"), "\(outcome)")
    }

    /// The controllers of the network have no files on v2, and on few machines a hierarchy of v1.
    @Test(.needs(.networkControllers), .peerDiffers("crun", "1.8.1", "leaves the cgroups behind"))
    func classAndPrioritiesOfTheNetworkAreWritten() throws {
      let container = try created([
        "network": ["classID": 1_048_577, "priorities": [["name": "lo", "priority": 7]]]
      ])
      #expect(try lines(container, "net_cls/net_cls.classid") == ["1048577"])
      #expect(try lines(container, "net_prio/net_prio.ifpriomap").contains("lo 7"))
      #expect(try lines(container, "net_cls/cgroup.procs") == ["\(container.pid())"])
      let other = try Container(args: ["/bin/agent", "pause"])
      other.bundle.config["linux"]["resources"]["network"] = ["priorities": [["name": "none7", "priority": 1]]]
      expectError(try other.attempt("create"), detail: "/linux/resources/network/priorities")
    }

    @Test(.needs(.legacyHugePages), .peerDiffers("crun", "1.8.1", "limits no reservations"))
    func limitOfHugePagesIsInTheFilesOfV1() throws {
      for limit in [4_194_304, 0] {
        let container = try created(["hugepageLimits": [["pageSize": "2MB", "limit": .number(limit)]]])
        #expect(try lines(container, "hugetlb/hugetlb.2MB.limit_in_bytes") == ["\(limit)"])
        #expect(try lines(container, "hugetlb/hugetlb.2MB.rsvd.limit_in_bytes") == ["\(limit)"])
      }
    }
  }
}
