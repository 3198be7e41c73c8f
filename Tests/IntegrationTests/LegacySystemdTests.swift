import Foundation
import Testing

extension Integration {
  /// `--systemd-cgroup` where systemd has cgroups of v1: `CGROUP_VIEW=v1 hack/test --vm`, and `hybrid`.
  @Suite(.needs(.systemd), .views(.v1, .hybrid)) struct LegacySystemdTests {
    private static let limits: JSONValue = [
      "memory": ["limit": 67_108_864, "reservation": 33_554_432],
      "cpu": ["shares": 512, "quota": 25_500, "period": 100_000, "cpus": "0", "mems": "0"], "pids": ["limit": 77],
    ]
    private static let files = [
      "memory/memory.limit_in_bytes": "67108864", "memory/memory.soft_limit_in_bytes": "33554432",
      "cpu/cpu.shares": "512", "cpu/cpu.cfs_quota_us": "25500", "cpu/cpu.cfs_period_us": "100000",
      "cpuset/cpuset.cpus": "0", "cpuset/cpuset.mems": "0", "pids/pids.max": "77",
    ]

    private func container(
      _ slice: String = "system.slice", resources: JSONValue = limits
    ) throws -> (container: Container, unit: String) {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.globalFlags = ["--systemd-cgroup"]
      container.bundle.config["linux"]["cgroupsPath"] = .string("\(slice):apustest:\(container.id)")
      for (name, value) in resources.members { container.bundle.config["linux"]["resources"][name] = value }
      return (container, "apustest-\(container.id).scope")
    }

    /// Of the container, by hierarchy and name.
    private func value(_ unit: String, _ file: String) throws -> String {
      let parts = file.split(separator: "/")
      return try Files.read("/sys/fs/cgroup/\(parts[0])/system.slice/\(unit)/\(parts[1])")
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// systemd keeps a slice that it has made until it is told to stop it, in those hierarchies that it looks after.
    private func expectSliceGoes(_ place: String) throws {
      func left() -> Set<String> {
        Set(Files.names(in: "/sys/fs/cgroup").filter { Files.exists("/sys/fs/cgroup/\($0)/apustest.slice") })
      }
      let ofSystemd: Set = [
        "blkio", "cpu", "cpu,cpuacct", "cpuacct", "devices", "memory", "pids", "systemd", "unified",
      ]
      #expect(left().subtracting(ofSystemd) == [], "\(place)")
      try systemctl("stop", "apustest.slice")
      try waitUntil("\(place): the slice is gone") { left().isEmpty }
    }

    private func systemctl(_ command: String...) throws {
      #expect(try Subprocess("/usr/bin/systemctl", command).wait().code == 0)
    }

    @Test(.apusOnly("runc does not know the configuration, crun has a cgroup below"))
    func containerIsInTheScopeInEveryHierarchy() throws {
      let (container, unit) = try container()
      try container.create()
      let places = try Files.read("/proc/\(container.pid())/cgroup").split(separator: "\n")
      for place in places { #expect(place.hasSuffix(":/system.slice/\(unit)"), "\(place)") }
      #expect(places.count == (try Files.read("/proc/self/cgroup").split(separator: "\n").count))
      for (file, expected) in Self.files { #expect(try value(unit, file) == expected, "\(file)") }
      for (name, expected) in [
        "ControlGroup": "/system.slice/\(unit)", "MemoryLimit": "67108864", "CPUShares": "512", "TasksMax": "77",
        "CPUQuotaPerSecUSec": "260ms", "DevicePolicy": "strict", "Delegate": "yes", "BlockIOAccounting": "yes",
      ] {
        #expect(try Unit.show(unit, name) == expected, "\(name)")
      }
      try container.start()
      container.globalFlags = []
      let own = try container.attempt("exec", rest: ["/bin/cat", "/proc/self/cgroup"]).stdout
      for place in own.split(separator: "\n") { #expect(place.hasSuffix(":/") || place.hasSuffix(unit), "\(place)") }
      try container.attempt("pause").expectSuccess()
      #expect(try value(unit, "freezer/freezer.state") == "FROZEN")
      try container.attempt("resume").expectSuccess()
      try container.delete("--force")
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      try expectNothingLeft()
    }

    /// The directories that systemd makes only in some hierarchies are ours in the others, those above too.
    @Test(.apusOnly("the peers leave them")) func sliceOfItsOwnLeavesNoDirectory() throws {
      let (container, unit) = try container("apustest-a-b.slice")
      try container.create()
      let above = "apustest.slice/apustest-a.slice/apustest-a-b.slice"
      for name in ["memory", "cpuset", "freezer", "systemd"] {
        let processes = try Files.read("/sys/fs/cgroup/\(name)/\(above)/\(unit)/cgroup.procs")
        #expect(processes == "\(try container.pid())\n", "\(name)")
      }
      try container.delete("--force")
      try expectSliceGoes("")
    }

    @Test(.apusOnly("about what is written")) func limitsAndDevicesSurviveADaemonReload() throws {
      let (container, unit) = try container()
      container.bundle.config["linux"]["resources"]["devices"] = [
        ["allow": false, "access": "rwm"],
        ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"],
      ]
      try container.runDetached()
      func devices() throws -> [String] {
        try value(unit, "devices/devices.list").split(separator: "\n").map(String.init).sorted()
      }
      let before = try devices()
      #expect(before.contains { $0.hasPrefix("c 10:229 rw") } && before.contains("c 1:3 rwm"))
      #expect(!before.contains("a *:* rwm"))
      for verb in ["daemon-reload", "daemon-reexec"] {
        try systemctl(verb)
        for (file, expected) in Self.files where file != "cpu/cpu.cfs_quota_us" {
          #expect(try value(unit, file) == expected, "\(file)")
        }
        // systemd keeps whole percents.
        #expect(["25500", "26000"].contains(try value(unit, "cpu/cpu.cfs_quota_us")))
        #expect(try devices() == before)
      }
    }

    @Test(.apusOnly("about what is written")) func updateIsKnownToSystemd() throws {
      let (container, unit) = try container()
      try container.runDetached()
      let document: JSONValue = [
        "devices": [
          ["allow": false, "access": "rwm"],
          ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"],
        ]
      ]
      for flags in [["--memory", "80m"], ["--cpu-share", "2048"], ["--cpu-period", "50000"], ["--pids-limit", "5"]] {
        try container.spawn("update", flags).wait().expectSuccess()
      }
      try container.spawn("update", ["--resources", "-"], options: .init(input: document.text)).wait().expectSuccess()
      #expect(try container.status() == "running")
      let changed = [
        "memory/memory.limit_in_bytes": "83886080", "cpu/cpu.shares": "2048", "cpu/cpu.cfs_period_us": "50000",
        "pids/pids.max": "5",
      ]
      for (file, expected) in Self.files.merging(changed, uniquingKeysWith: { $1 }) {
        #expect(try value(unit, file) == expected, "\(file)")
      }
      let devices = try value(unit, "devices/devices.list").split(separator: "\n").sorted()
      #expect(devices.contains { $0.hasPrefix("c 10:229 rw") } && devices.contains("c 1:3 rwm"))
      #expect(try Unit.show(unit, "MemoryLimit") == "83886080")
      // A period alone takes no quota away.
      #expect(try Unit.show(unit, "CPUQuotaPerSecUSec") == "510ms")
      #expect(try Unit.show(unit, "CPUQuotaPeriodUSec") == "50ms")
      try systemctl("daemon-reload")
      for (file, expected) in Self.files.merging(changed, uniquingKeysWith: { $1 }) {
        #expect(try value(unit, file) == expected, "\(file)")
      }
      #expect(try value(unit, "devices/devices.list").split(separator: "\n").sorted() == devices)
    }

    @Test(.apusOnly("about our own steps")) func runtimeThatIsKilledLeavesNothingBehindDelete() throws {
      for delay in [0.05, 0.2, 0.5, 1] {
        let (container, unit) = try container("apustest-c.slice")
        let creation = try container.spawn("create")
        Thread.sleep(forTimeInterval: delay)
        creation.signal(SIGKILL)
        _ = try creation.wait()
        _ = try container.attempt("delete", "--force")
        try waitUntil { try Unit.show(unit, "LoadState") == "not-found" }
        try expectSliceGoes("after \(delay) s")
      }
    }
  }
}
