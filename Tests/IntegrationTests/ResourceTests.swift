import Foundation
import Testing

extension Integration {
  /// The container's own cgroup and its limits.
  @Suite struct ResourceTests {
    private func value(_ container: Container, _ controller: String, _ file: String) throws -> String {
      try Files.read(container.cgroup(controller) + "/" + file).trimmingCharacters(
        in: .whitespacesAndNewlines)
    }

    private func created(_ name: String, _ resources: JSONValue) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["resources"][name] = resources
      try container.create()
      return container
    }

    @Test(.views(.hybrid, .v1)) func containerIsInItsOwnCgroupOfEveryController() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let pid = try container.pid()
      let path = try #require(container.bundle.config["linux"]["cgroupsPath"].string)
      for controller in ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"] {
        #expect(try value(container, controller, "cgroup.procs") == "\(pid)", "\(controller)")
      }
      let lines = try Files.read("/proc/\(pid)/cgroup").split(separator: "\n")
      for line in lines where !line.hasPrefix("0:") { #expect(line.hasSuffix(":" + path), "\(line)") }
    }

    @Test(.views(.v2)) func containerIsInItsOwnCgroup() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      #expect(try value(container, "", "cgroup.procs") == "\(container.pid())")
    }

    @Test func deleteRemovesTheCgroup() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      #expect(Cgroups.leftovers() != [])
      try container.delete()
      #expect(Cgroups.leftovers() == [])
    }

    @Test func deleteRemovesCgroupsMadeBelow() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      for hierarchy in Cgroups.leftovers() { mkdir(hierarchy + "/inner", 0o755) }
      try container.delete()
      #expect(Cgroups.leftovers() == [])
    }

    @Test func childrenStartInTheSameCgroup() throws {
      let container = try Container(args: ["/bin/agent", "children", "2"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let controller = CgroupView.current == .v2 ? "" : "freezer"
      #expect(try value(container, controller, "cgroup.procs").split(separator: "\n").count == 3)
    }

    @Test(.views(.hybrid, .v1)) func limitOfMemoryIsWritten() throws {
      let container = try created("memory", ["limit": 67_108_864, "reservation": 33_554_432])
      #expect(try value(container, "memory", "memory.limit_in_bytes") == "67108864")
      #expect(try value(container, "memory", "memory.soft_limit_in_bytes") == "33554432")
    }

    @Test(.needs(.controllers)) func limitOfMemoryHolds() throws {
      let container = try Container(args: ["/bin/agent", "memory", "200"])
      container.bundle.config["linux"]["resources"]["memory"] = ["limit": 33_554_432]
      #expect(try container.run().code == 137)
      try expectNothingLeft()
    }

    @Test(.views(.hybrid, .v1)) func unlimitedMemoryIsMinusOne() throws {
      let container = try created("memory", ["limit": -1])
      #expect(try value(container, "memory", "memory.limit_in_bytes").count > 15)
    }

    @Test(.views(.hybrid, .v1)) func limitOfProcessesIsWritten() throws {
      let container = try created("pids", ["limit": 42])
      #expect(try value(container, "pids", "pids.max") == "42")
    }

    @Test(.views(.hybrid, .v1), .peerDiffers("crun", "1.8.1", "writes -1, which the kernel refuses on v1"))
    func unlimitedProcessesAreMax() throws {
      let container = try created("pids", ["limit": -1])
      #expect(try value(container, "pids", "pids.max") == "max")
    }

    @Test(.needs(.controllers)) func limitOfProcessesHolds() throws {
      let container = try Container(args: ["/bin/agent", "fork-limit", "100"])
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 10]
      let outcome = try container.run()
      #expect(try outcome.json["made"].int == 9, "\(outcome)")
      #expect(try outcome.json["error"].string == "EAGAIN")
      try expectNothingLeft()
    }

    @Test(.views(.hybrid, .v1)) func sharesAndQuotaOfTheProcessorAreWritten() throws {
      let container = try created("cpu", ["shares": 512, "quota": 50_000, "period": 100_000])
      #expect(try value(container, "cpu", "cpu.shares") == "512")
      #expect(try value(container, "cpu", "cpu.cfs_quota_us") == "50000")
      #expect(try value(container, "cpu", "cpu.cfs_period_us") == "100000")
    }

    @Test(.views(.hybrid, .v1)) func setOfProcessorsIsWritten() throws {
      let container = try created("cpu", ["cpus": "0", "mems": "0"])
      #expect(try value(container, "cpuset", "cpuset.cpus") == "0")
      #expect(try value(container, "cpuset", "cpuset.mems") == "0")
    }

    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "leaves the cgroups behind"))
    func limitThatTheKernelRefusesUndoesEverything() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["resources"]["cpu"] = ["cpus": "9999"]
      expectError(try container.attempt("create"))
      try expectNothingLeft()
    }

    @Test func deviceThatIsNotAllowedCannotBeOpened() throws {
      let answers = try deviceAnswers(rules: [])
      #expect(answers == ["open read": "EPERM", "open write": "EPERM", "mknod": ""])
    }

    @Test func allowedDeviceCanBeOpened() throws {
      let rule: JSONValue = ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"]
      let answers = try deviceAnswers(rules: [rule])
      #expect(answers["open read"] != "EPERM" && answers["open write"] != "EPERM", "\(answers)")
    }

    @Test func deviceAllowedForReadingOnly() throws {
      let rule: JSONValue = ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "r"]
      let answers = try deviceAnswers(rules: [rule])
      #expect(answers["open read"] != "EPERM", "\(answers)")
      #expect(answers["open write"] == "EPERM")
    }

    @Test func laterRuleOfDevicesWins() throws {
      let rules: [JSONValue] = [
        ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"],
        ["allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"],
      ]
      let answers = try deviceAnswers(rules: rules)
      #expect(answers["open read"] != "EPERM", "\(answers)")
      #expect(answers["open write"] == "EPERM")
    }

    @Test func defaultDevicesCanBeUsed() throws {
      let outcome = try Container().shell(
        "head -c 4 /dev/zero | wc -c; echo x > /dev/null && head -c 1 /dev/urandom | wc -c")
      #expect(
        outcome.stdout.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) } == ["4", "1"],
        "\(outcome)")
    }

    /// What happens to a node of 10:229 made inside, with these rules after `deny all`: the errors by attempt.
    private func deviceAnswers(rules: [JSONValue]) throws -> [String: String] {
      let container = try Container()
      container.bundle.setCapabilities(["CAP_MKNOD", "CAP_DAC_OVERRIDE"])
      container.bundle.config["root"]["readonly"] = false
      for rule in rules { container.bundle.config["linux"]["resources"]["devices"].append(rule) }
      let answers = try container.agent("device", "/tmp/node", "c", "10:229")
      return Dictionary(
        answers.map { ($0["did"].string ?? "", $0["error"].string ?? "") }, uniquingKeysWith: { $1 })
    }

    @Test(.views(.v2)) func limitOfHugePagesIsWritten() throws {
      let container = try created("hugepageLimits", [["pageSize": "2MB", "limit": 4_194_304]])
      #expect(try value(container, "", "hugetlb.2MB.max") == "4194304")
    }

    @Test func relativeCgroupsPathStandsBelowOneOfTheRuntimesChoice() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["cgroupsPath"] = .string("\(TestRun.tag)/inner")
      try container.create()
      let text = try Files.read("/proc/\(container.pid())/cgroup")
      #expect(text.contains("\(TestRun.tag)/inner"))
      try container.delete()
    }

    @Test func absentCgroupsPathIsTheRuntimesChoice() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["cgroupsPath"] = nil
      try container.create()
      #expect(try Files.read("/proc/\(container.pid())/cgroup").contains(container.id))
      try container.delete()
      try expectNothingLeft()
    }
  }
}
