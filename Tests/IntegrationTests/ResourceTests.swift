import Foundation
import Testing

extension Integration {
  /// The container's own cgroup and its limits.
  @Suite(.bothDrivers) struct ResourceTests {
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
      for line in try Files.read("/proc/\(pid)/cgroup").split(separator: "\n") {
        // A hierarchy of the host that is mounted elsewhere is none of this machine's.
        let names = line.split(separator: ":", omittingEmptySubsequences: false)[1].split(separator: ",")
        let isMounted = names.contains { Cgroups.root(of: String($0)) != nil }
        if isMounted { #expect(line.hasSuffix(":" + path), "\(line)") }
      }
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

    /// Of their use, and of what mmap(2) reserves. 0 is a limit, too.
    @Test(
      .views(.hybrid, .v2), .peerMayDiffer("runc", "1.1.5", "has no v2 in hybrid"),
      .peerDiffers("crun", "1.8.1", "limits no reservations"))
    func limitOfHugePagesIsWritten() throws {
      for limit in [4_194_304, 0] {
        let container = try created("hugepageLimits", [["pageSize": "2MB", "limit": .number(limit)]])
        #expect(try value(container, "", "hugetlb.2MB.max") == "\(limit)")
        #expect(try value(container, "", "hugetlb.2MB.rsvd.max") == "\(limit)")
      }
    }

    /// Written when everything that sets the container up has started: its first process runs, and makes no other.
    @Test(.views(.hybrid, .v1), .apusOnly("newer than the peers of Debian: they take it for no limit"))
    func limitOfNoProcessesLetsTheFirstOneRun() throws {
      let container = try created("pids", ["limit": 0])
      #expect(try value(container, "pids", "pids.max") == "0")
      try container.start()
      #expect(try container.status() == "running")
      let other = try Container(args: ["/bin/agent", "fork-limit", "5"])
      other.bundle.config["linux"]["resources"]["pids"] = ["limit": 0]
      let outcome = try other.run()
      #expect(try outcome.json["made"].int == 0, "\(outcome)")
      #expect(try outcome.json["error"].string == "EAGAIN")
    }

    /// A cpuset that is made is empty, and takes no process.
    @Test(
      .views(.hybrid, .v1), .peerDiffers("runc", "1.1.5", "leaves the cgroup in between behind"),
      .peerDiffers("crun", "1.8.1", "leaves the cgroup in between behind"))
    func setsOfTheCgroupAboveAreInherited() throws {
      let root = try #require(Cgroups.root(of: "cpuset"))
      let above = "\(root)/\(TestRun.tag)-sets"
      mkdir(above, 0o755)
      defer { rmdir(above) }
      try Files.put("1", into: above + "/cpuset.cpus")
      try Files.put("0", into: above + "/cpuset.mems")
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["cgroupsPath"] = .string("/\(TestRun.tag)-sets/a/b")
      try container.create()
      #expect(try value(container, "cpuset", "cpuset.cpus") == "1")
      #expect(try value(container, "cpuset", "cpuset.mems") == "0")
      #expect(try value(container, "cpuset", "../cpuset.cpus") == "1")
      try container.delete()
    }

    /// On a loop device with the scheduler that knows weights.
    @Test(.views(.hybrid, .v1), .apusOnly("the peers of Debian do not know the file of BFQ"))
    func weightOfOneDiskIsWritten() throws {
      guard let root = Cgroups.root(of: "blkio"), Files.exists(root + "/blkio.bfq.io_serviced") else { return }
      let image = try Workspace.active().directory + "/image"
      try Files.write("", to: image)
      truncate(image, 1 << 20)
      let attached = try Subprocess("/usr/sbin/losetup", ["--find", "--show", image]).wait()
      let device = attached.stdout.trimmingCharacters(in: .whitespacesAndNewlines)
      let scheduler = "/sys/block/\(device.dropFirst(5))/queue/scheduler"
      defer {
        cleanUp { try Files.put("none", into: scheduler) }
        cleanUp { try Subprocess("/usr/sbin/losetup", ["--detach", device]).wait().expectSuccess() }
      }
      try Files.put("bfq", into: scheduler)
      let numbers = try Files.read("/sys/block/\(device.dropFirst(5))/dev").split { $0 == ":" || $0 == "\n" }
      func weight(_ weight: Int) -> JSONValue {
        let major: JSONValue = .number(Int(numbers[0]) ?? 0)
        let minor: JSONValue = .number(Int(numbers[1]) ?? 0)
        return ["weightDevice": [["major": major, "minor": minor, "weight": .number(weight)]]]
      }
      let number = "\(numbers[0]):\(numbers[1])"
      let container = try created("blockIO", weight(321))
      #expect(try value(container, "blkio", "blkio.bfq.weight_device").contains("\(number) 321"))
      let update: JSONValue = ["blockIO": weight(222), "pids": ["limit": 5], "cpu": ["cpus": "9999"]]
      let options = Subprocess.Options(input: JSONValue.object(["blockIO": weight(654)]).text)
      try container.spawn("update", ["-r", "-"], options: options).wait().expectSuccess()
      #expect(try value(container, "blkio", "blkio.bfq.weight_device").contains("\(number) 654"))
      var failing = update
      failing["unified"] = ["a/b": ""]
      expectError(try container.spawn("update", ["-r", "-"], options: .init(input: failing.text)).wait())
      expectError(try container.spawn("update", ["-r", "-"], options: .init(input: update.text)).wait())
      #expect(try value(container, "blkio", "blkio.bfq.weight_device").contains("\(number) 654"))
      try container.delete()
    }

    @Test(.views(.hybrid, .v1)) func listOfDevicesIsWritten() throws {
      let rule: JSONValue = ["allow": true, "type": "b", "major": 7, "minor": 3, "access": "r"]
      let container = try created("devices", [["allow": false, "access": "rwm"], rule])
      let list = try value(container, "devices", "devices.list").split(separator: "\n")
      #expect(list.contains { $0.hasPrefix("b 7:3 r") }, "\(list)")
      #expect(!list.contains("a *:* rwm"))
    }

    @Test(.cgroupfsOnly("its form of `cgroupsPath`")) func relativeCgroupsPathStandsBelowOneOfTheRuntimesChoice() throws
    {
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
