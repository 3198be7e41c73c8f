import Foundation
import Testing

extension Integration {
  /// `update`: what the kernel's files say afterwards.
  @Suite(.bothDrivers) struct UpdateTests {
    private func running(_ resources: JSONValue? = nil) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      if let resources {
        for name in ["memory", "cpu", "pids", "blockIO", "unified"] where resources[name] != .null {
          container.bundle.config["linux"]["resources"][name] = resources[name]
        }
      }
      try container.runDetached()
      return container
    }

    private func value(_ container: Container, _ name: String) throws -> String {
      let parts = name.split(separator: "/").map(String.init)
      if CgroupView.current == .v2 { return try LimitFiles.value(parts[1], in: container.cgroup("")) }
      let folder = try container.cgroup(parts[0])
      return try Files.read("\(folder)/\(parts[1])").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func update(
      _ container: Container, _ flags: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try container.spawn("update", flags).wait()
      #expect(outcome.code == 0, "\(outcome)", sourceLocation: sourceLocation)
    }

    private func update(_ container: Container, document: JSONValue) throws -> Outcome {
      try container.spawn("update", ["--resources", "-"], options: .init(input: document.text)).wait()
    }

    static let flags: [(flags: [String], file: String, value: String)] = [
      (["--memory", "33554432"], "memory/memory.limit_in_bytes", "33554432"),
      (["--memory-reservation=16777216"], "memory/memory.soft_limit_in_bytes", "16777216"),
      (["--memory=33554432", "--memory-swap=67108864"], "memory/memory.memsw.limit_in_bytes", "67108864"),
      (["--cpu-share", "512"], "cpu/cpu.shares", "512"),
      (["--cpu-quota", "50000"], "cpu/cpu.cfs_quota_us", "50000"),
      (["--cpu-period", "50000"], "cpu/cpu.cfs_period_us", "50000"),
      (["--cpuset-cpus", "1"], "cpuset/cpuset.cpus", "1"), (["--cpuset-mems", "0"], "cpuset/cpuset.mems", "0"),
      (["--pids-limit", "17"], "pids/pids.max", "17"),
    ]

    @Test(.needs(.controllers), arguments: flags)
    func limitOfAFlagIsWritten(_ row: (flags: [String], file: String, value: String)) throws {
      let container = try running()
      if row.value != "0" { #expect(try value(container, row.file) != row.value) }
      let outcome = try container.spawn("update", row.flags).wait()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try value(container, row.file) == row.value)
    }

    @Test(
      .needs(.controllers), .apusOnly("newer than the peers of Debian"),
      arguments: [
        (["--cpu-shares", "700"], "cpu/cpu.shares", "700"), (["--cpu-idle", "1"], "cpu/cpu.idle", "1"),
        (["--cpu-quota=20000", "--cpu-burst=10000"], "cpu/cpu.cfs_burst_us", "10000"),
        (["--pids-limit", "-1"], "pids/pids.max", "max"), (["--pids-limit", "0"], "pids/pids.max", "0"),
        (["--blkio-weight", "321"], "blkio/blkio.bfq.weight", "321"),
        (["--memory-swap=-1", "--memory", "10m"], "memory/memory.limit_in_bytes", "10485760"),
      ])
    func limitOfANewerFlagIsWritten(_ flags: [String], _ file: String, _ expected: String) throws {
      let container = try running(["pids": ["limit": 100]])
      #expect(try value(container, file) != expected)
      let outcome = try container.spawn("update", flags).wait()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try value(container, file) == expected)
    }

    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "takes plain numbers only"))
    func bytesMayHaveAUnit() throws {
      let container = try running()
      try update(container, "--memory=48m", "--memory-reservation", "16MiB", "--memory-swap", "0.5 GB")
      #expect(try value(container, "memory/memory.limit_in_bytes") == "50331648")
      #expect(try value(container, "memory/memory.soft_limit_in_bytes") == "16777216")
      #expect(try value(container, "memory/memory.memsw.limit_in_bytes") == "536870912")
    }

    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "wants them in front of it"))
    func flagsMayStandBehindTheId() throws {
      let container = try running()
      let outcome = try container.spawn("update", rest: ["--pids-limit", "18"]).wait()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try value(container, "pids/pids.max") == "18")
    }

    @Test(.needs(.controllers)) func whatIsNotGivenStays() throws {
      let container = try running([
        "memory": ["limit": 67_108_864], "cpu": ["shares": 300, "quota": 40_000, "period": 80_000],
        "pids": ["limit": 40],
      ])
      var before = try container.limitFiles()
      try update(container, "--cpu-share", "512")
      #expect(try value(container, "cpu/cpu.shares") == "512")
      let now = try container.limitFiles()
      for name in ["cpu/cpu.shares", "/cpu.weight", "/cpu.weight.nice"] { before[name] = now[name] }
      #expect(try container.changedLimits(since: before) == [])
    }

    /// The kernel compares both limits at each write, so the order is another one upwards and downwards.
    @Test(.needs(.controllers)) func memoryAndSwapAreRaisedAndLoweredTogether() throws {
      let container = try running(["memory": ["limit": 33_554_432, "swap": 33_554_432]])
      for megabytes in [64, 16, 128, 24] {
        let bytes = "\(megabytes << 20)"
        try update(container, "--memory", bytes, "--memory-swap", bytes)
        #expect(try value(container, "memory/memory.limit_in_bytes") == bytes)
        #expect(try value(container, "memory/memory.memsw.limit_in_bytes") == bytes)
      }
      try update(container, "--memory", "-1", "--memory-swap", "-1")
      #expect(try value(container, "memory/memory.limit_in_bytes").count > 15)
      #expect(try value(container, "memory/memory.memsw.limit_in_bytes").count > 15)
    }

    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "does not take -1"))
    func periodAndQuotaKeepEachOther() throws {
      let container = try running(["cpu": ["quota": 40_000, "period": 80_000]])
      try update(container, "--cpu-period", "50000")
      #expect(try value(container, "cpu/cpu.cfs_quota_us") == "40000")
      try update(container, "--cpu-quota", "10000")
      #expect(try value(container, "cpu/cpu.cfs_period_us") == "50000")
      try update(container, "--cpu-quota", "5000", "--cpu-period", "10000")
      #expect(try value(container, "cpu/cpu.cfs_quota_us") == "5000")
      #expect(try value(container, "cpu/cpu.cfs_period_us") == "10000")
      try update(container, "--cpu-quota", "-1")
      #expect(try value(container, "cpu/cpu.cfs_quota_us") == "-1")
    }

    /// Between the writes of period and quota the share must fit in between those of the cgroups above and below.
    @Test(.views(.hybrid, .v1), .apusOnly("the peers try one order"))
    func shareOfTheProcessorFitsBetweenItsNeighboursAllTheTime() throws {
      let root = try #require(Cgroups.root(of: "cpu"))
      let above = "\(root)/\(TestRun.tag)-above"
      mkdir(above, 0o755)
      defer { rmdir(above) }
      for isBelow in [false, true] {
        let container = try Container(args: ["/bin/agent", "pause"])
        container.bundle.config["linux"]["resources"]["cpu"] = ["quota": 50_000, "period": 100_000]
        let path = isBelow ? "/\(TestRun.tag)/below" : "/\(TestRun.tag)-above/one"
        container.bundle.config["linux"]["cgroupsPath"] = .string(path)
        if !isBelow { try Files.put("50000", into: above + "/cpu.cfs_quota_us") }
        try container.runDetached()
        let folder = try container.cgroup("cpu")
        if isBelow {
          mkdir(folder + "/inner", 0o755)
          try Files.put("50000", into: folder + "/inner/cpu.cfs_quota_us")
        }
        for period in [50_000, 10_000, 200_000, 100_000] {
          try update(container, "--cpu-period", "\(period)", "--cpu-quota", "\(period / 2)")
          #expect(try value(container, "cpu/cpu.cfs_period_us") == "\(period)")
          #expect(try value(container, "cpu/cpu.cfs_quota_us") == "\(period / 2)")
        }
        let before = try container.limitFiles()
        let share = isBelow ? "40000" : "60000"
        expectError(
          try container.attempt("update", "--cpu-period", "100000", "--cpu-quota", share),
          detail: "it must fit into what the cgroup above has")
        #expect(try container.changedLimits(since: before) == [])
        try container.delete("--force")
      }
    }

    /// Whatever the kernel asks of one write after the other.
    @Test(.needs(.controllers), .apusOnly("the peers write in one order"))
    func valuesThatDependOnEachOtherAreWrittenInTheRightOrder() throws {
      let container = try running(["cpu": ["quota": 20_000, "burst": 20_000, "shares": 300]])
      try update(container, "--cpu-quota", "10000", "--cpu-burst", "5000")
      try update(container, "--cpu-quota", "50000", "--cpu-burst", "40000")
      expectError(
        try container.attempt("update", "--cpu-quota", "10000"),
        detail: "`10000` is below the burst that holds, `40000`")
      try update(container, "--cpu-idle", "1")
      expectError(try container.attempt("update", "--cpu-share", "10"), detail: "(at `--cpu-share`)")
      try update(container, "--cpu-idle", "0", "--cpu-share", "10")
      #expect(try value(container, "cpu/cpu.shares") == "10")
      try update(container, "--cpu-idle", "1", "--cpu-quota", "-1")
      #expect(try value(container, "cpu/cpu.idle") == "1")
    }

    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "takes `-` for the name of a file"))
    func documentIsReadFromAFileOrStandardInput() throws {
      let container = try running()
      let document: JSONValue = [
        "memory": ["limit": 50_331_648, "reservation": 0, "swap": 0], "pids": ["limit": 33],
        "cpu": ["shares": 400, "quota": 0, "period": 0, "cpus": "", "mems": "0"], "blockIO": ["weight": 0],
      ]
      let outcome = try update(container, document: document)
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try value(container, "memory/memory.limit_in_bytes") == "50331648")
      #expect(try value(container, "cpu/cpu.shares") == "400")
      #expect(try value(container, "cpuset/cpuset.cpus") == "0-1")
      let file = container.bundle.path + "/resources.json"
      try Files.write("{\"pids\": {\"limit\": 44}}\n", to: file)
      // Flags beside a document are ignored.
      try update(container, "-r", file, "--pids-limit", "55")
      #expect(try value(container, "pids/pids.max") == "44")
    }

    @Test(
      .apusOnly("in our words"),
      arguments: [
        ("{\"memory\": {\"limit\": \"x\"}}", "/memory/limit"), ("{\"memory\": ", "resources.json"),
        ("[]", "resources.json"), ("{\"cpu\": {\"quota\": -7}}", "(at `/cpu/quota`)"),
        ("{\"pids\": {\"limit\": -5}}", "(at `/pids/limit`)"),
        ("{\"devices\": [{\"allow\": true, \"type\": \"x\"}]}", "(at `/devices/0/type`)"),
        ("{\"unified\": {\"cgroup.procs\": \"1\"}}", "/unified"), ("", "resources.json"),
        ("{\"memory\": {\"limit\": 1000000, \"swap\": 10}}", "(at `/memory/swap`)"),
      ])
    func badDocumentIsNamedWithItsFileAndPointer(_ text: String, _ detail: String) throws {
      let container = try running()
      let before = try container.limitFiles()
      let file = container.bundle.path + "/resources.json"
      try Files.write(text, to: file)
      let outcome = try container.attempt("update", "-r", file)
      expectError(outcome, detail: detail)
      #expect(outcome.stderr.contains("resources.json"), "\(outcome)")
      #expect(try container.changedLimits(since: before) == [])
    }

    @Test func documentThatIsNotThereIsAnError() throws {
      let container = try running()
      expectError(
        try container.attempt("update", "-r", container.bundle.path + "/none.json"), says: "no such file or directory",
        detail: "--resources")
    }

    @Test(
      .apusOnly("in our words"),
      arguments: [
        ("--memory=x", "--memory"), ("--memory=-2", "--memory"), ("--memory=1.k", "--memory"),
        ("--memory-swap=99999999999g", "--memory-swap"), ("--cpu-share=-1", "--cpu-share"),
        ("--cpu-quota=1x", "--cpu-quota"), ("--pids-limit=ten", "--pids-limit"), ("--pids-limit=-5", "--pids-limit"),
        ("--blkio-weight=70000", "--blkio-weight"), ("--blkio-weight=9", "--blkio-weight"),
        ("--cpu-idle=2", "--cpu-idle"), ("--cpu-quota=-3", "--cpu-quota"),
      ])
    func badValueIsNamedWithItsFlag(_ flag: String, _ name: String) throws {
      let container = try running()
      let before = try container.limitFiles()
      expectError(try container.attempt("update", flag), detail: "(at `\(name)`)")
      #expect(try container.changedLimits(since: before) == [])
    }

    /// The last value is refused by the kernel; all that were set before it are put back.
    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "keeps what it set before"))
    func refusedValueUndoesTheOthers() throws {
      let container = try running([
        "memory": ["limit": 67_108_864, "swap": 134_217_728, "reservation": 33_554_432],
        "cpu": ["shares": 300, "quota": 40_000, "period": 80_000], "pids": ["limit": 40],
      ])
      let before = try container.limitFiles()
      expectError(
        try container.attempt(
          "update", "--memory", "16777216", "--memory-swap", "16777216", "--memory-reservation", "8388608",
          "--cpu-share", "10",
          "--cpu-quota", "5000", "--cpu-period", "10000", "--pids-limit", "3", "--cpuset-cpus", "9999"),
        detail: "(at `--cpuset-cpus`)")
      #expect(try container.changedLimits(since: before) == [])
    }

    @Test(.needs(.controllers), .apusOnly("the peers do not put back"))
    func refusedValueUndoesDocumentsOfEveryKind() throws {
      let disk = try #require(try Disk.first())
      let container = try running([
        "cpu": ["shares": 300],
        "blockIO": ["weight": 200, "throttleReadBpsDevice": disk.entry("rate", 1_000_000)],
      ])
      let before = try container.limitFiles()
      let rate = disk.entry("rate", 5_000_000)
      let isV1 = CgroupView.current != .v2
      let outcome = try update(
        container,
        document: [
          "cpu": ["idle": 1], "pids": ["limit": 5], "memory": ["limit": 33_554_432, "disableOOMKiller": .bool(isV1)],
          "blockIO": [
            "weight": 400, "throttleReadBpsDevice": rate, "throttleWriteBpsDevice": rate,
            "throttleReadIOPSDevice": [["major": 251, "minor": 99, "rate": 10]],
          ],
          "devices": [["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"]],
        ])
      expectError(outcome, detail: "(at `/blockIO/throttleReadIOPSDevice/0/rate`)")
      #expect(try container.changedLimits(since: before) == [])
    }

    @Test(.views(.hybrid, .v1), .apusOnly("in our words")) func limitOfTasksStopsExec() throws {
      let container = try running()
      for limit in ["0", "1", "2"] {
        try update(container, "--pids-limit", limit)
        let before = try value(container, "pids/pids.current")
        let outcome = try container.exec(["/bin/true"])
        expectError(outcome, says: "resource temporarily unavailable", detail: "`pids.max`, is \(limit), and it has 1")
        #expect(try value(container, "pids/pids.current") == before)
      }
      try update(container, "--pids-limit", "3")
      #expect(try container.exec(["/bin/true"]).code == 0)
    }

    @Test(.views(.hybrid, .v1), .peerDiffers("crun", "1.8.1", "does not take an empty value"))
    func emptyValueOfAFlagIsNone() throws {
      let container = try running(["pids": ["limit": 40]])
      let before = try container.limitFiles()
      try update(container, "--memory=", "--cpu-quota", "", "--cpuset-cpus", "", "--memory-swap", "")
      #expect(try container.changedLimits(since: before) == [])
    }

    @Test(.views(.hybrid, .v1)) func limitBelowWhatIsInUseIsRefused() throws {
      let line = "x=$(head -c 8000000 /dev/urandom | base64); echo ready; while :; do sleep 1; done"
      let container = try Container(args: ["/bin/sh", "-c", line])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      try update(container, "--pids-limit", "20")
      let before = try container.limitFiles()
      expectError(
        try container.attempt("update", "--pids-limit", "30", "--memory", "2097152"),
        detail: "uses more than that already")
      #expect(try container.changedLimits(since: before).isEmpty || Runtime.current.isPeer)
      #expect(try container.status() == "running")
    }

    @Test(.needs(.controllers), .apusOnly("crun has no such check, and runc only on v2"))
    func limitIsHeldAgainstWhatIsInUseIfAskedFor() throws {
      let container = try running()
      let outcome = try update(container, document: ["memory": ["limit": 4096, "checkBeforeUpdate": true]])
      expectError(outcome, detail: "is not above what is in use")
    }

    @Test(.needs(.controllers), .peerDiffers("crun", "1.8.1", "writes to cgroups that hold nothing"))
    func stoppedContainerIsAnError() throws {
      let container = try running()
      try container.end()
      expectError(try container.attempt("update", "--pids-limit", "5"), says: "container not running")
      expectError(try Container().attempt("update", "--pids-limit", "5"), says: "does not exist")
    }

    @Test(.needs(.controllers)) func createdAndPausedContainersAreUpdated() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      try update(container, "--pids-limit", "21")
      #expect(try value(container, "pids/pids.max") == "21")
      try container.start()
      #expect(try container.attempt("pause").code == 0)
      try update(container, "--pids-limit", "22", "--memory", "67108864")
      #expect(try value(container, "pids/pids.max") == "22")
      #expect(try container.status() == "paused")
      #expect(try container.attempt("resume").code == 0)
    }

    @Test(.apusOnly("runc says it otherwise, crun sets it"))
    func kernelMemoryIsIgnoredWithAWarning() throws {
      let container = try running()
      let outcome = try container.attempt("update", "--kernel-memory", "1m", "--kernel-memory-tcp=2m")
      #expect(outcome.code == 0)
      #expect(outcome.stderr.contains("`--kernel-memory` is ignored"), "\(outcome)")
      #expect(outcome.stderr.contains("`--kernel-memory-tcp` is ignored"), "\(outcome)")
    }

    @Test func cacheOfAContainerWithoutAClassIsAnError() throws {
      let container = try running()
      expectError(try container.attempt("update", "--l3-cache-schema", "L3:0=f"), detail: "--l3-cache-schema")
      expectError(try container.attempt("update", "--mem-bw-schema", "MB:0=20"), detail: "--mem-bw-schema")
    }

    @Test(
      .views(.v2), .disabled("nothing is missing") { MachineFeature.controllers.isHere },
      .apusOnly("the peers say it otherwise"))
    func controllerThatIsNotThereIsNamed() throws {
      let container = try running()
      expectError(
        try container.attempt("update", "--memory", "64m"), detail: "the controller `memory` with cgroup v1, which")
      expectError(
        try update(container, document: ["unified": ["memory.high": "1"]]),
        detail: "the controller `memory` with cgroup v1, which")
      expectError(try container.attempt("update", "--cpu-rt-runtime", "5"), detail: "(at `--cpu-rt-runtime`)")
    }

    /// The controller is not among those that the cgroup was made with.
    @Test(.views(.hybrid, .v2), .apusOnly("runc has no such controller in hybrid")) func hugePagesAreLimitedOnV2()
      throws
    {
      let container = try running()
      let outcome = try update(
        container, document: ["hugepageLimits": [["pageSize": "2MB", "limit": 4_194_304]]])
      #expect(outcome.code == 0, "\(outcome)")
      let file = try container.cgroup("") + "/hugetlb.2MB.max"
      #expect(try Files.read(file) == "4194304\n")
      let other = try update(
        container, document: ["unified": ["hugetlb.2MB.max": "2097152", "hugetlb.3MB.max": "1"]])
      expectError(other, detail: "/unified/hugetlb.3MB.max")
      #expect(try Files.read(file) == "4194304\n")
    }

    @Test(.views(.v1), .apusOnly("the peers ignore it")) func unifiedNeedsV2() throws {
      let container = try running()
      expectError(try update(container, document: ["unified": ["memory.high": "1"]]), detail: "(at `/unified`)")
    }

    /// A pipe is as good as a file, and its writer may come late.
    @Test(.peerMayDiffer("crun", "1.8.1", "reads it otherwise")) func documentComesThroughAPipe() throws {
      let container = try running()
      let pipe = container.bundle.path + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      for (text, isGood) in [("{}", true), ("{", false)] {
        let line = "exec 3>\(pipe); sleep 0.2; echo '\(text)' >&3"
        let writer = try Subprocess("/bin/sh", ["-c", line])
        // Nobody else would read.
        defer { writer.signal(SIGKILL) }
        let outcome = try container.spawn("update", ["--resources", pipe]).wait()
        #expect((outcome.code == 0) == isGood, "\(outcome)")
        #expect(try writer.wait().code == 0)
      }
    }

    /// Managers send everything again, also what is not there to be limited.
    @Test(.apusOnly("the peers want the files"), .cgroupfsOnly("a scope has a limit of tasks of its own"))
    func valuesThatHoldAnywayAreTaken() throws {
      let container = try running()
      let before = try container.limitFiles()
      let outcome = try update(
        container,
        document: [
          "memory": ["limit": -1, "reservation": -1], "cpu": ["shares": 1024, "quota": -1, "period": 100_000],
          "pids": ["limit": -1], "blockIO": ["weight": 0],
        ])
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try container.changedLimits(since: before) == [])
    }

    /// 200M as Kubernetes writes it is no number of whole pages.
    @Test(
      .needs(.controllers), .apusOnly("newer than the peers of Debian"))
    func limitInForceCanBeGivenAgainWhateverItsPages() throws {
      let container = try running(["memory": ["limit": 100_000_000, "swap": 200_000_000]])
      try update(container, "--memory", "200000000")
      #expect(try value(container, "memory/memory.limit_in_bytes") == "199999488")
      try update(container, "--memory", "200000000", "--memory-swap", "200000000")
      let outcome = try container.attempt("update", "--memory", "200010000")
      if CgroupView.current != .v2 {
        expectError(outcome, detail: "(at `--memory`)")
        return
      }
      // No swap stays no swap.
      outcome.expectSuccess()
      #expect(try value(container, "memory/memory.limit_in_bytes") == "200007680")
    }

    @Test(.apusOnly("the peers take no lock"), arguments: ["update", "pause"])
    func hookThatAsksForItsOwnContainerIsNotWaitedFor(verb: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      let call = ([Runtime.current.path] + container.root).joined(separator: " ")
      hooks.add(
        "createRuntime", "log \"$(\(call) \(verb) \(container.id) 2>&1 | grep -o 'is being created')\"", timeout: 20)
      try container.create()
      try hooks.expect(["is being created"])
      try container.start()
      try container.end()
    }

    @Test(.apusOnly("the peers take no lock"), arguments: ["update", "pause"])
    func startThatWaitsForAHookIsNotWaitedForForEver(verb: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log began; while [ ! -e go ]; do /bin/sleep 0.05; done")
      try container.create()
      let start = try container.spawn("start")
      let deadline = Deadline(Limits.call)
      while try hooks.log.isEmpty, !deadline.hasPassed { usleep(10_000) }
      expectError(try container.attempt(verb, timeout: 10), detail: "is being started")
      try Files.write("", to: hooks.path + "/go")
      #expect(try start.wait().code == 0)
      #expect(try container.attempt(verb).code == 0)
      try container.delete("--force")
    }
  }
}
