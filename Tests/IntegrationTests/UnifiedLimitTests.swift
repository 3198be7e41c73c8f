import Foundation
import Testing

extension Integration {
  /// Each property of `linux.resources` on v2, by what the kernel's file says afterwards. Those of v1 are in ``LegacyLimitTests``.
  @Suite(.views(.v2), .needs(.controllers), .bothDrivers) struct UnifiedLimitTests {
    private func created(_ resources: JSONValue) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      for (name, value) in resources.members { container.bundle.config["linux"]["resources"][name] = value }
      try container.create()
      return container
    }

    private func value(_ container: Container, _ file: String) throws -> String {
      try Files.read(container.cgroup("") + "/" + file).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static let older = ["runc": "does not know it yet", "crun": "does not know it yet"]

    static let rows: [LimitRow] = [
      LimitRow(["memory": ["limit": 67_108_864]], ["memory.max": "67108864", "memory.swap.max": "max"]),
      LimitRow(["memory": ["limit": -1]], ["memory.max": "max", "memory.swap.max": "max"]),
      LimitRow(["memory": ["reservation": 33_554_432]], ["memory.low": "33554432"]),
      LimitRow(["memory": ["reservation": -1]], ["memory.low": "0"], ["runc": "writes max", "crun": "writes max"]),
      // Memory and swap together are the document's, swap alone is the file's.
      LimitRow(
        ["memory": ["limit": 67_108_864, "swap": 134_217_728]],
        ["memory.max": "67108864", "memory.swap.max": "67108864"]),
      LimitRow(["memory": ["limit": 67_108_864, "swap": 67_108_864]], ["memory.swap.max": "0"]),
      LimitRow(["memory": ["limit": 67_108_864, "swap": -1]], ["memory.max": "67108864", "memory.swap.max": "max"]),
      LimitRow(
        ["memory": ["limit": 0, "swap": 0, "reservation": 0, "disableOOMKiller": false]],
        ["memory.max": "max", "memory.swap.max": "max", "memory.low": "0"]),
      LimitRow(["cpu": ["shares": 512]], ["cpu.weight": "59"], ["runc": "linear", "crun": "linear"]),
      LimitRow(["cpu": ["shares": 2]], ["cpu.weight": "1"]),
      LimitRow(["cpu": ["shares": 1024]], ["cpu.weight": "100"], ["runc": "linear", "crun": "linear"]),
      LimitRow(["cpu": ["shares": 262_144]], ["cpu.weight": "10000"]),
      LimitRow(["cpu": ["shares": 0]], ["cpu.weight": "100"]),
      LimitRow(["cpu": ["quota": 50_000, "period": 80_000]], ["cpu.max": "50000 80000"]),
      LimitRow(["cpu": ["quota": 50_000]], ["cpu.max": "50000 100000"]),
      LimitRow(["cpu": ["quota": -1, "period": 50_000]], ["cpu.max": "max 50000"]),
      LimitRow(["cpu": ["period": 40_000]], ["cpu.max": "max 40000"]),
      LimitRow(["cpu": ["quota": 0, "period": 0]], ["cpu.max": "max 100000"]),
      LimitRow(
        ["cpu": ["quota": 50_000, "period": 100_000, "burst": 20_000]],
        ["cpu.max": "50000 100000", "cpu.max.burst": "20000"], older),
      LimitRow(["cpu": ["idle": 1]], ["cpu.idle": "1"], ["runc": "does not know it yet"]),
      LimitRow(["cpu": ["idle": 0]], ["cpu.idle": "0", "cpu.weight": "100"]),
      LimitRow(
        ["cpu": ["cpus": "1", "mems": "0"]], ["cpuset.cpus": "1", "cpuset.mems": "0", "cpuset.cpus.effective": "1"]),
      LimitRow(["cpu": ["realtimeRuntime": 0, "realtimePeriod": 0]], ["cpu.max": "max 100000"]),
      LimitRow(["pids": ["limit": 42]], ["pids.max": "42"]),
      LimitRow(["pids": ["limit": -1]], ["pids.max": "max"]),
      LimitRow(["pids": ["limit": 0]], ["pids.max": "0"], ["runc": "takes it for none", "crun": "takes it for none"]),
      LimitRow(
        ["hugepageLimits": [["pageSize": "2MB", "limit": 4_194_304]]],
        ["hugetlb.2MB.max": "4194304", "hugetlb.2MB.rsvd.max": "4194304"], ["crun": "does not limit reservations"]),
      LimitRow(["network": ["priorities": []], "rdma": [:]], ["memory.max": "max"]),
      LimitRow(
        ["unified": ["memory.high": "50331648", "memory.oom.group": "1", "pids.max": "77", "cpu.weight.nice": "3"]],
        ["memory.high": "50331648", "memory.oom.group": "1", "pids.max": "77", "cpu.weight.nice": "3"]),
      // The file wins over the property.
      LimitRow(["memory": ["limit": 67_108_864], "unified": ["memory.max": "50331648"]], ["memory.max": "50331648"]),
    ]

    @Test(arguments: rows) func limitIsInTheFileOfV2(_ row: LimitRow) throws {
      try allowing(row.reasons, in: "limitIsInTheFileOfV2") {
        let container = try created(row.resources)
        for (file, expected) in row.files { #expect(try value(container, file) == expected, "\(file)") }
      }
    }

    /// All at once, and none of it hurts another.
    @Test(.apusOnly("the peers of Debian do not know all")) func limitsOfAllKindsStandTogether() throws {
      let container = try created([
        "memory": ["limit": 67_108_864, "swap": 134_217_728, "reservation": 33_554_432],
        "cpu": ["shares": 300, "quota": 40_000, "period": 80_000, "burst": 10_000, "cpus": "0-1", "mems": "0"],
        "pids": ["limit": 50], "hugepageLimits": [["pageSize": "2MB", "limit": 2_097_152]],
        "unified": ["memory.high": "60000000"],
      ])
      let files = [
        "memory.max": "67108864", "memory.swap.max": "67108864", "memory.low": "33554432", "cpu.max": "40000 80000",
        "cpu.max.burst": "10000", "cpuset.cpus": "0-1", "pids.max": "50", "hugetlb.2MB.max": "2097152",
        "memory.high": "59998208",
      ]
      for (file, expected) in files { #expect(try value(container, file) == expected, "\(file)") }
      try container.start()
      #expect(try container.exec(["/bin/sh", "-c", "echo here"]).stdout == "here\n")
    }

    @Test func bandwidthOfDisksIsInIoMax() throws {
      let disk = try #require(try Disk.first())
      func device(_ rate: Int) -> JSONValue { disk.entry("rate", rate) }
      let container = try created([
        "blockIO": [
          "throttleReadBpsDevice": device(1_000_001), "throttleWriteBpsDevice": device(1_000_002),
          "throttleReadIOPSDevice": device(1003), "throttleWriteIOPSDevice": device(1004),
        ]
      ])
      #expect(
        try value(container, "io.max")
          == "\(disk.major):\(disk.minor) rbps=1000001 wbps=1000002 riops=1003 wiops=1004")
    }

    /// Runs the commands, in which `$0` is the number of a disk, and looks at the files of a container with a weight for it.
    private func expectWeights(
      _ files: [String: String], after commands: [String], undone: [String],
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let disk = try #require(try Disk.first())
      let number = "\(disk.major):\(disk.minor)"
      func run(_ command: String) throws {
        let outcome = try Subprocess("/bin/sh", ["-c", command, number]).wait()
        if outcome.code != 0 { throw HarnessError("\(outcome)") }
      }
      defer { for command in undone { cleanUp { try run(command) } } }
      for command in commands { try run(command) }
      let container = try created(["blockIO": ["weight": 321, "weightDevice": disk.entry("weight", 1000)]])
      for (file, text) in files {
        let expected = text.replacingOccurrences(of: "$0", with: number)
        #expect(try value(container, file) == expected, "\(file)", sourceLocation: sourceLocation)
      }
      try container.delete("--force")
    }

    /// The weight of the cost model is on a scale of its own.
    @Test(.peerDiffers("crun", "1.8.1", "knows BFQ only"), .peerDiffers("runc", "1.1.5", "knows BFQ only"))
    func weightOfDisksIsWrittenWithoutBFQ() throws {
      let container = try created(["blockIO": ["weight": 321]])
      #expect(try value(container, "io.weight") == "default 3142")
    }

    @Test(.apusOnly("the peers of Debian do not know weights of disks on v2"))
    func weightOfOneDiskIsWrittenWithoutBFQ() throws {
      let file = "/sys/fs/cgroup/io.cost.qos"
      try expectWeights(
        ["io.weight": "default 3142\n$0 10000"], after: ["echo $0 enable=1 > \(file)"],
        undone: ["echo $0 enable=0 > \(file)"])
    }

    /// BFQ has the scale of the document.
    @Test(.apusOnly("the peers of Debian do not know weights of disks on v2"))
    func weightOfOneDiskIsWrittenWithBFQ() throws {
      let scheduler = "/sys/dev/block/$0/queue/scheduler"
      var files = ["io.bfq.weight": "default 321\n$0 1000"]
      // systemd writes both.
      if CgroupDriver.current == .cgroupfs { files["io.weight"] = "default 100" }
      try expectWeights(
        files, after: ["/sbin/modprobe bfq", "echo bfq > \(scheduler)"],
        undone: ["echo none > \(scheduler)", "/sbin/modprobe -r bfq"])
    }

    static let refused: [(resources: JSONValue, pointer: String)] = [
      (["memory": ["swappiness": 17]], "/memory/swappiness"),
      (["memory": ["disableOOMKiller": true]], "/memory/disableOOMKiller"),
      (["cpu": ["realtimeRuntime": 1000]], "/cpu/realtimeRuntime"),
      (["cpu": ["realtimePeriod": 1000]], "/cpu/realtimePeriod"),
      (["network": ["classID": 5]], "/network/classID"),
      (["network": ["priorities": [["name": "lo", "priority": 1]]]], "/network/priorities"),
      (["blockIO": ["leafWeight": 100]], "/blockIO/leafWeight"),
      (["unified": ["memory/high": "1"]], "/unified/memory~1high"),
      (["unified": ["../memory.high": "1"]], "/unified/..~1memory.high"),
      (["unified": ["cgroup.procs": "1"]], "/unified/cgroup.procs"),
      (["unified": ["memory.nothing": "1"]], "/unified/memory.nothing"),
      (["unified": ["nothing.max": "1"]], "/unified/nothing.max"),
      (["unified": ["memory.high": "word"]], "/unified/memory.high"),
      (["rdma": ["none0": ["hcaHandles": 1]]], "/rdma/none0"),
      (["hugepageLimits": [["pageSize": "3MB", "limit": 1]]], "/hugepageLimits/0/pageSize"),
      (["cpu": ["cpus": "9999"]], "/cpu/cpus"), (["cpu": ["mems": "63"]], "/cpu/mems"),
      (["memory": ["limit": 67_108_864, "swap": 1000]], "/memory/swap"),
      (["cpu": ["quota": 1000, "burst": 2000]], "/cpu/burst"), (["pids": ["limit": -2]], "/pids/limit"),
    ]

    @Test(.apusOnly("the peers ignore much of it"), arguments: refused)
    func whatV2DoesNotHaveIsRefusedByName(_ row: (resources: JSONValue, pointer: String)) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      for (name, value) in row.resources.members { container.bundle.config["linux"]["resources"][name] = value }
      expectError(try container.attempt("create"), detail: "/linux/resources\(row.pointer)")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers say nothing")) func kernelMemoryIsIgnoredWithAWord() throws {
      let container = try Container(args: ["/bin/true"])
      container.bundle.config["linux"]["resources"]["memory"] = ["kernel": 1_000_000, "kernelTCP": 1_000_000]
      let outcome = try container.run()
      #expect(outcome.code == 0)
      #expect(outcome.stderr.contains("/memory/kernel`") && outcome.stderr.contains("/memory/kernelTCP`"), "\(outcome)")
    }

    /// Written when all processes of the set-up have been started.
    @Test(.apusOnly("the peers take 0 for no limit")) func limitOfNoProcessesLetsTheFirstOneRun() throws {
      let container = try Container(args: ["/bin/agent", "fork-limit", "100"])
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 0]
      let outcome = try container.run()
      #expect(try outcome.json["made"].int == 0, "\(outcome)")
      try expectNothingLeft()
    }

    /// Controllers that the cgroups above do not hand down yet.
    @Test(.cgroupfsOnly("its form of `cgroupsPath`")) func controllersAreHandedDownToTheCgroup() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["cgroupsPath"] = .string("/\(TestRun.tag)/a/b/c")
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 10]
      container.bundle.config["linux"]["resources"]["unified"] = ["hugetlb.2MB.max": "2097152"]
      try container.create()
      let present = Set(try value(container, "cgroup.controllers").split(separator: " "))
      #expect(present.isSuperset(of: ["cpu", "cpuset", "io", "memory", "pids", "hugetlb"]), "\(present)")
      #expect(try value(container, "pids.max") == "10")
      try container.delete()
      #expect(Cgroups.leftovers() == [])
    }

    /// One that holds processes can give no limits to those below it (cgroups(7), "no internal processes").
    @Test(.apusOnly("in our words"), .cgroupfsOnly("a scope has none below it"))
    func limitBelowACgroupWithProcessesIsAnErrorThatNamesIt() throws {
      let outer = try Container(args: ["/bin/agent", "pause"])
      try outer.create()
      let inner = try Container(args: ["/bin/agent", "pause"])
      let path = try #require(outer.bundle.config["linux"]["cgroupsPath"].string)
      inner.bundle.config["linux"]["cgroupsPath"] = .string(path + "/inner")
      inner.bundle.config["linux"]["resources"]["memory"] = ["limit": 67_108_864]
      expectError(try inner.attempt("create"), detail: "/linux/resources/memory/limit")
      #expect(!Files.exists(try inner.cgroup("")))
    }
  }
}
