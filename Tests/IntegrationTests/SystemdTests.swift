import Foundation
import Testing

extension Integration {
  /// `--systemd-cgroup`: what systemd says of the scope, and what the kernel's files say.
  @Suite(.needs(.systemd), .views(.v2)) struct SystemdTests {
    private func container(
      _ args: [String] = ["/bin/agent", "pause"], slice: String = "system.slice", resources: JSONValue? = nil
    ) throws -> (container: Container, unit: String, folder: String) {
      let container = try Container(args: args)
      container.globalFlags = ["--systemd-cgroup"]
      container.bundle.config["linux"]["cgroupsPath"] = .string("\(slice):apustest:\(container.id)")
      for (name, value) in resources?.members ?? [:] { container.bundle.config["linux"]["resources"][name] = value }
      let unit = "apustest-\(container.id).scope"
      return (container, unit, "/sys/fs/cgroup/\(slice)/\(unit)")
    }

    private func value(_ folder: String, _ file: String) throws -> String {
      try Files.read("\(folder)/\(file)").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func reload(_ verb: String = "daemon-reload") throws {
      #expect(try Subprocess("/usr/bin/systemctl", [verb]).wait().code == 0)
    }

    static let limits: JSONValue = [
      "memory": ["limit": 67_108_864, "reservation": 33_554_432, "swap": 134_217_728],
      "cpu": ["shares": 512, "quota": 25_500, "period": 100_000, "burst": 5000, "cpus": "0", "mems": "0"],
      "pids": ["limit": 77], "unified": ["memory.high": "60000000", "cgroup.max.depth": "7"],
    ]
    static let files = [
      "memory.max": "67108864", "memory.low": "33554432", "memory.swap.max": "67108864", "cpu.weight": "59",
      "cpu.max": "25500 100000", "cpu.max.burst": "5000", "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "77",
      "memory.high": "59998208", "cgroup.max.depth": "7",
    ]

    @Test(.peerDiffers("crun", "1.8.1", "has a cgroup below that of the scope"))
    func containerIsAScopeOfItsOwn() throws {
      let (container, unit, folder) = try container()
      try container.create()
      #expect(try Unit.show(unit, "ActiveState") == "active")
      #expect(try Unit.show(unit, "ControlGroup") == "/system.slice/\(unit)")
      #expect(try Unit.show(unit, "Slice") == "system.slice")
      #expect(try Unit.show(unit, "Delegate") == "yes")
      #expect(try Unit.show(unit, "DefaultDependencies") == "no")
      for name in ["CPU", "Memory", "IO", "Tasks"] { #expect(try Unit.show(unit, name + "Accounting") == "yes") }
      #expect(try value(folder, "cgroup.procs") == "\(container.pid())")
      #expect(try value(folder, "cgroup.controllers").split(separator: " ").contains("hugetlb"))
      if !Runtime.current.isPeer { #expect(try container.state()["systemd-scope"].string == unit) }
      try container.start()
      #expect(try container.status() == "running")
      try container.end()
      try container.delete()
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      #expect(!Files.exists(folder))
    }

    @Test(.apusOnly("the prefix is our name")) func absentPathIsAScopeNamedAfterTheContainer() throws {
      let (container, _, _) = try container()
      container.bundle.config["linux"]["cgroupsPath"] = ""
      try container.create()
      let unit = "apus-\(container.id).scope"
      #expect(try Unit.show(unit, "ControlGroup") == "/system.slice/\(unit)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "has a cgroup below that of the scope"))
    func sliceOfASliceIsMade() throws {
      let (container, unit, _) = try container(slice: "apustest-a-b.slice")
      try container.create()
      let path = "/apustest.slice/apustest-a.slice/apustest-a-b.slice/\(unit)"
      #expect(try Unit.show(unit, "ControlGroup") == path)
      #expect(try value("/sys/fs/cgroup" + path, "cgroup.procs") == "\(container.pid())")
      try container.delete()
      #expect(try Unit.show(unit, "LoadState") == "not-found")
    }

    @Test(.apusOnly("runc rounds, crun has a cgroup below that of the scope"))
    func limitsAreThoseOfTheKernelAndOfSystemd() throws {
      let (container, unit, folder) = try container(resources: Self.limits)
      try container.create()
      for (file, expected) in Self.files { #expect(try value(folder, file) == expected, "\(file)") }
      for (name, expected) in [
        "MemoryMax": "67108864", "MemoryLow": "33554432", "MemoryHigh": "60000000", "MemorySwapMax": "67108864",
        "CPUWeight": "59", "CPUQuotaPerSecUSec": "260ms", "CPUQuotaPeriodUSec": "100ms", "AllowedCPUs": "0",
        "AllowedMemoryNodes": "0", "TasksMax": "77",
      ] {
        #expect(try Unit.show(unit, name) == expected, "\(name)")
      }
    }

    @Test(.apusOnly("see limitsAreThoseOfTheKernelAndOfSystemd")) func limitsSurviveADaemonReload() throws {
      let (container, _, folder) = try container(resources: Self.limits)
      try container.runDetached()
      try reload()
      try reload("daemon-reexec")
      for (file, expected) in Self.files where file != "cpu.max" {
        #expect(try value(folder, file) == expected, "\(file)")
      }
      // systemd keeps whole percents.
      #expect(["25500 100000", "26000 100000"].contains(try value(folder, "cpu.max")))
    }

    @Test(.apusOnly("it is 1 there"), arguments: [0, 1, 3]) func lowLimitOfTasksHolds(_ limit: Int) throws {
      let (container, unit, folder) = try container(
        ["/bin/agent", "exit", "0"], resources: ["pids": ["limit": .number(limit)]])
      try container.create()
      #expect(try value(folder, "pids.max") == "\(limit)")
      #expect(try Unit.show(unit, "TasksMax") == "\(max(limit, 1))")
      try container.start()
    }

    @Test(.peerDiffers("crun", "1.8.1", "has a cgroup below that of the scope"))
    func noLimitOfTasksIsTakenFromSystemd() throws {
      let (container, unit, folder) = try container(resources: ["pids": ["limit": -1]])
      try container.create()
      #expect(try value(folder, "pids.max") == "max")
      #expect(try Unit.show(unit, "TasksMax") == "infinity")
    }

    /// What the container may do with devices, by trying.
    private func use(_ container: Container) throws -> [String] {
      let script = """
        cd /tmp; for n in '1 3' '1 11' '10 229'; do busybox rm -f n; busybox mknod n c $n; (: <n) 2>/dev/null && echo "$n"; done
        """
      let outcome = try container.spawn("exec", ["--cap", "CAP_MKNOD"], rest: ["/bin/sh", "-c", script]).wait()
      return outcome.stdout.split(separator: "\n").map(String.init)
    }

    /// And that systemd is started anew.
    @Test(arguments: ["daemon-reload", "daemon-reexec"]) func deviceRulesSurviveADaemonReload(_ verb: String) throws {
      let (container, unit, _) = try container()
      container.bundle.config["linux"]["resources"]["devices"] = [
        ["allow": false, "access": "rwm"],
        ["allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"],
      ]
      container.bundle.addMount("/tmp", type: "tmpfs", source: "tmpfs", options: ["dev"])
      let all = ["CAP_MKNOD", "CAP_KILL"]
      container.bundle.setCapabilities(all)
      try container.runDetached()
      try? Subprocess("/usr/sbin/modprobe", ["fuse"]).wait().expectSuccess()
      #expect(try use(container) == ["1 3", "10 229"])
      #expect(try Unit.show(unit, "DevicePolicy") == "strict")
      #expect(try Unit.show(unit, "DeviceAllow").contains("/dev/char/10:229 rw"))
      try reload(verb)
      #expect(try use(container) == ["1 3", "10 229"])
      if Runtime.current.isPeer { return }
      let document: JSONValue = ["devices": [["allow": false, "access": "rwm"]]]
      try container.spawn("update", ["--resources", "-"], options: .init(input: document.text)).wait().expectSuccess()
      #expect(try use(container) == ["1 3"])
      try reload(verb)
      #expect(try use(container) == ["1 3"])
    }

    @Test(.apusOnly("runc rounds, crun has a cgroup below that of the scope"))
    func updateChangesTheUnitAndLeavesTheRest() throws {
      let (container, unit, folder) = try container(resources: Self.limits)
      try container.runDetached()
      // The other limits of both controllers are written again by systemd.
      for flags in [["--memory", "80m"], ["--cpu-share", "2048"], ["--pids-limit", "5"]] {
        try container.spawn("update", flags).wait().expectSuccess()
      }
      // The sum of memory and swap stays what it is.
      let changed = [
        "memory.max": "83886080", "memory.swap.max": "50331648", "cpu.weight": "174", "pids.max": "5",
      ]
      for (file, expected) in Self.files.merging(changed, uniquingKeysWith: { $1 }) {
        #expect(try value(folder, file) == expected, "\(file)")
      }
      #expect(try Unit.show(unit, "MemoryMax") == "83886080")
      #expect(try Unit.show(unit, "MemorySwapMax") == "50331648")
      #expect(try Unit.show(unit, "CPUWeight") == "174")
      #expect(try Unit.show(unit, "TasksMax") == "5")
      try reload()
      for (file, expected) in changed { #expect(try value(folder, file) == expected, "\(file)") }
      // What is refused changes nothing.
      expectError(
        try container.attempt("update", "--memory", "90m", "--cpu-quota", "100"), detail: "(at `--cpu-quota`)")
      #expect(try value(folder, "memory.max") == "83886080")
      #expect(try Unit.show(unit, "MemoryMax") == "83886080")
    }

    @Test(.peerDiffers("crun", "1.8.1", "has a cgroup below that of the scope"))
    func commandsFindTheContainer() throws {
      let (container, unit, folder) = try container(["/bin/agent", "children", "2"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      // Those of the later commands are in the record.
      container.globalFlags = []
      #expect(try container.attempt("ps", "--format", "json").json.elements.count == 3)
      let own = try container.attempt("exec", rest: ["/bin/cat", "/proc/self/cgroup"]).stdout
      #expect(own == "0::/system.slice/\(unit)\n")
      try container.attempt("pause").expectSuccess()
      #expect(try container.status() == "paused")
      #expect(try value(folder, "cgroup.freeze") == "1")
      try container.attempt("resume").expectSuccess()
      #expect(try container.status() == "running")
      try container.delete("--force")
      #expect(try Unit.show(unit, "LoadState") == "not-found")
    }

    @Test func pausedContainerIsDeletedByForce() throws {
      let (container, unit, folder) = try container()
      try container.runDetached()
      try container.attempt("pause").expectSuccess()
      try container.delete("--force")
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      #expect(!Files.exists(folder))
    }

    /// systemd has taken the scope away before anybody asked for it.
    @Test func containerThatHasEndedLeavesNoUnit() throws {
      let (container, unit, folder) = try container(["/bin/agent", "exit", "3"])
      #expect(try container.run().code == 3)
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      let (second, other, _) = try self.container(["/bin/agent", "exit", "0"])
      try second.runDetached()
      waitUntil { (try? second.status()) == "stopped" }
      try second.delete()
      #expect(try Unit.show(other, "LoadState") == "not-found")
      #expect(!Files.exists(folder))
    }

    @Test(.apusOnly("about our own steps"))
    func createThatFailsLeavesNoUnit() throws {
      for (place, wrong) in [("hook", 0), ("executable", 1)] {
        let (container, unit, folder) = try container(wrong == 1 ? ["/no/such/program"] : ["/bin/agent", "pause"])
        if wrong == 0 {
          container.bundle.config["hooks"]["createRuntime"] = [["path": "/bin/false", "args": ["false"]]]
        }
        #expect(try container.attempt("create").code != 0, "\(place)")
        #expect(try Unit.show(unit, "LoadState") == "not-found", "\(place)")
        #expect(!Files.exists(folder))
      }
    }

    @Test func unitThatHasFailedBeforeIsReplaced() throws {
      let (container, unit, _) = try container()
      _ = try Subprocess(
        "/usr/bin/systemd-run",
        ["--quiet", "--scope", "--unit", unit, "-p", "RuntimeMaxSec=1", "-p", "KillSignal=SIGKILL", "/bin/sleep", "20"]
      ).wait()
      waitUntil { (try? Unit.show(unit, "ActiveState")) == "failed" }
      #expect(try Unit.show(unit, "ActiveState") == "failed")
      try container.create()
      #expect(try Unit.show(unit, "ActiveState") == "active")
      try container.delete()
      #expect(try Unit.show(unit, "LoadState") == "not-found")
    }

    @Test(.apusOnly("in our words")) func unitInUseIsLeftAlone() throws {
      let (container, unit, _) = try container()
      let other = try Subprocess("/usr/bin/systemd-run", ["--quiet", "--scope", "--unit", unit, "/bin/sleep", "60"])
      waitUntil { (try? Unit.show(unit, "ActiveState")) == "active" }
      #expect(other.isStillRunning(after: 0), "\(other.stderr.text)")
      try #require(try Unit.show(unit, "ActiveState") == "active")
      expectError(try container.attempt("create"), detail: "another unit of this name is in use")
      #expect(try Unit.show(unit, "ActiveState") == "active")
      other.signal(SIGKILL)
      _ = try other.wait()
      waitUntil { (try? Unit.show(unit, "LoadState")) == "not-found" }
      try container.create()
    }

    @Test func annotationIsAPropertyOfTheScope() throws {
      let (container, unit, _) = try container()
      container.bundle.config["annotations"] = [
        "org.systemd.property.TimeoutStopUSec": "uint64 7000000",
        "org.systemd.property.CollectMode": "'inactive'",
        "org.systemd.property.RuntimeMaxSec": "1000", "org.systemd.property.After": "['basic.target']",
      ]
      try container.create()
      #expect(try Unit.show(unit, "TimeoutStopUSec") == "7s")
      #expect(try Unit.show(unit, "CollectMode") == "inactive")
      #expect(try Unit.show(unit, "RuntimeMaxUSec") == "16min 40s")
      #expect(try Unit.show(unit, "After").contains("basic.target"))
    }

    /// Or the scope of a runtime that was killed would stay until somebody takes note of it.
    @Test(.apusOnly("the peers leave it to delete")) func scopeThatHasFailedGoesByItself() throws {
      let (container, unit, _) = try container()
      container.bundle.config["annotations"] = [
        "org.systemd.property.RuntimeMaxUSec": "uint64 1000000",
        "org.systemd.property.TimeoutStopUSec": "uint64 1000000",
      ]
      try container.runDetached()
      #expect(try Unit.show(unit, "CollectMode") == "inactive-or-failed")
      // Ended by systemd for its time is up, which is a failure.
      waitUntil { (try? Unit.show(unit, "LoadState")) == "not-found" }
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      waitUntil { (try? container.status()) == "stopped" }
      try container.delete()
    }

    /// Later commands too: an update that systemd does not hear of would be undone by it, and is taken back; a container that
    /// is deleted is gone, and its scope with it.
    @Test(.apusOnly("in our words")) func systemdThatIsOutOfReachLaterIsAnErrorOrAWarning() throws {
      let (container, unit, folder) = try container(resources: Self.limits)
      try container.runDetached()
      var options = Subprocess.Options()
      options.environment = ["PATH": "/usr/bin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere/bus"]
      let update = try container.attempt("update", "--memory", "80m", "--pids-limit", "50", options: options)
      expectError(
        update, detail: "cannot change the unit `\(unit)`: cannot reach the system bus at `unix:path=/nowhere/bus`")
      for (file, expected) in Self.files { #expect(try value(folder, file) == expected, "\(file)") }
      let deletion = try container.attempt("delete", "--force", options: options)
      deletion.expectSuccess()
      #expect(deletion.stderr.contains("cannot stop the unit `\(unit)`"))
      waitUntil { (try? Unit.show(unit, "LoadState")) == "not-found" }
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      #expect(!Files.exists(folder))
    }

    /// As where no bus is installed.
    @Test(.apusOnly("crun knows the bus alone")) func absentBusIsNotNeededByRoot() throws {
      let (container, unit, folder) = try container(resources: ["pids": ["limit": 77]])
      container.executable = try Workspace.active().directory + "/without-bus"
      try Files.write(
        "#!/bin/sh\nexec unshare --mount --propagation private sh -c 'mount -t tmpfs bus /run/dbus; exec \"$@\"' "
          + "sh \(Runtime.current.path) \"$@\"\n", to: container.executable)
      chmod(container.executable, 0o755)
      try container.runDetached()
      #expect(try Unit.show(unit, "ActiveState") == "active")
      #expect(try value(folder, "pids.max") == "77")
      try container.attempt("update", "--pids-limit", "66").expectSuccess()
      #expect(try Unit.show(unit, "TasksMax") == "66")
      try container.delete("--force")
      #expect(try Unit.show(unit, "LoadState") == "not-found")
    }

    @Test func annotationThatSystemdRefusesIsAnError() throws {
      let (container, unit, _) = try container()
      container.bundle.config["annotations"] = ["org.systemd.property.NoSuchThing": "true"]
      expectError(try container.attempt("create"), detail: "NoSuchThing")
      #expect(try Unit.show(unit, "LoadState") == "not-found")
    }

    /// Killed at any moment: the process that holds the scope ends with the runtime, and an empty scope is gone.
    @Test(.apusOnly("about our own steps")) func runtimeThatIsKilledLeavesNoUnitBehindDelete() throws {
      for delay in [0.002, 0.005, 0.01, 0.02, 0.05, 0.1] {
        let (container, unit, folder) = try container()
        let creation = try container.spawn("create")
        Thread.sleep(forTimeInterval: delay)
        creation.signal(SIGKILL)
        _ = try creation.wait()
        _ = try container.attempt("delete", "--force")
        waitUntil { (try? Unit.show(unit, "LoadState")) == "not-found" }
        #expect(try Unit.show(unit, "LoadState") == "not-found", "after \(delay) s")
        #expect(!Files.exists(folder))
      }
    }
  }
}

/// What systemd says of a unit.
enum Unit {
  static func show(_ unit: String, _ property: String) throws -> String {
    try Subprocess("/usr/bin/systemctl", ["show", "--property", property, "--value", unit]).wait().stdout
      .trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

/// Looks again and again for at most 15 seconds.
func waitUntil(_ isSo: () -> Bool) {
  let end = Date(timeIntervalSinceNow: 15)
  while !isSo() && Date() < end { Thread.sleep(forTimeInterval: 0.02) }
}
