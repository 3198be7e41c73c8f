import Foundation
import Testing

extension Integration {
  /// `events`: the numbers of a container, and that it ran out of memory.
  @Suite(.bothDrivers, .enabled("crun has no such command") { Runtime.current.name != "crun" }) struct EventsTests {
    private func running(_ args: String..., resources: [String: JSONValue] = [:]) throws -> Container {
      let container = try Container(args: args)
      for (name, value) in resources { container.bundle.config["linux"]["resources"][name] = value }
      try container.runDetached()
      return container
    }

    private func lines(_ text: String) throws -> [JSONValue] {
      try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    }

    private func statistics(_ container: Container) throws -> JSONValue {
      let outcome = try container.attempt("events", "--stats")
      try #require(outcome.code == 0, "\(outcome)")
      let lines = try lines(outcome.stdout)
      #expect(lines.count == 1 && outcome.stdout.hasSuffix("}\n"), "\(outcome)")
      #expect(lines[0]["type"].string == "stats" && lines[0]["id"].string == container.id)
      return lines[0]["data"]
    }

    private func file(_ container: Container, _ controller: String, _ v1: String, _ v2: String) throws -> String {
      let isV2 = CgroupView.current == .v2
      return try Files.read(container.cgroup(isV2 ? "" : controller) + "/" + (isV2 ? v2 : v1))
    }

    /// The harness itself: kernels have limits and counts beyond those of `Int`.
    @Test func numbersOfAllSizesAreRead() throws {
      let value = try JSONValue(
        parsing: #"{"limit": 18446744073709551615, "half": 0.5, "list": [18446744073709551615, 7]}"#)
      #expect(value["limit"].int == .max && value["half"].int == 0 && value["list"].ints == [.max, 7])
      #expect(throws: DecodingError.self) { try JSONValue(parsing: #"{"list": [1, 2}"#) }
    }

    @Test(.needs(.controllers)) func numbersAreThoseOfTheCgroup() throws {
      let container = try running(
        "/bin/agent", "children", "2",
        resources: [
          "memory": ["limit": 67_108_864], "pids": ["limit": 40], "cpu": ["quota": 50_000, "period": 100_000],
        ])
      try container.stdout.waitFor("ready")
      let data = try statistics(container)
      #expect(data["pids"] == ["current": 3, "limit": 40])
      let memory = data["memory"]
      #expect(memory["usage"]["limit"].int == 67_108_864)
      let used = try file(container, "memory", "memory.usage_in_bytes", "memory.current")
      let usage = try #require(memory["usage"]["usage"].int)
      #expect(abs(usage - (Int(used.dropLast()) ?? 0)) < 1 << 20 && usage > 0)
      let stat = try file(container, "memory", "memory.stat", "memory.stat").split(separator: "\n")
      #expect(Set(memory["raw"].members.keys) == Set(stat.map { String($0.split(separator: " ")[0]) }))
      let cpu = data["cpu"]
      let total = try #require(cpu["usage"]["total"].int)
      let text = try file(container, "cpuacct", "cpuacct.usage", "cpu.stat")
      let now = Int(text.split(whereSeparator: \.isWhitespace).last { Int($0) != nil } ?? "") ?? 0
      if CgroupView.current != .v2 { #expect(total > 0 && total <= now) }
      #expect(cpu["usage"]["kernel"].int != nil && cpu["usage"]["user"].int != nil)
      #expect(data["blkio"] != .null && data["hugetlb"] != .null && data["intel_rdt"] == [:])
    }

    /// The same members as those of runc, whatever the layout.
    @Test func everythingThatManagersReadIsThere() throws {
      let data = try statistics(try running("/bin/agent", "pause"))
      for name in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"] {
        #expect(data[name] != .null, "\(name)")
      }
      for name in ["usage", "throttling"] { #expect(data["cpu"][name] != .null, "\(name)") }
      for name in ["usage", "swap", "kernel", "kernelTCP"] {
        #expect(data["memory"][name]["limit"].int != nil && data["memory"][name]["failcnt"].int != nil, "\(name)")
      }
      #expect(data["cpuset"]["sched_relax_domain_level"].int != nil)
    }

    @Test(.views(.hybrid, .v1)) func processorsAndTheirTimesAreListed() throws {
      let data = try statistics(try running("/bin/agent", "pause", resources: ["cpu": ["cpus": "1"]]))
      #expect(data["cpuset"]["cpus"].ints == [1])
      #expect(data["cpuset"]["mems"].ints == [0])
      let count = data["cpu"]["usage"]["percpu"].ints.count
      #expect(count > 0 && data["cpu"]["usage"]["percpu_user"].ints.count >= count)
    }

    @Test(.views(.v2)) func hugePagesAreCountedBySize() throws {
      let data = try statistics(try running("/bin/agent", "pause"))
      #expect(data["hugetlb"]["2MB"]["failcnt"].int == 0)
    }

    @Test(.views(.v2), .apusOnly("newer than the peers of Debian"), .pressure) func pressureIsTold() throws {
      let data = try statistics(try running("/bin/agent", "pause"))
      for name in ["cpu", "memory", "blkio"] {
        for kind in ["some", "full"] { #expect(data[name]["psi"][kind]["total"].int != nil, "\(name) \(kind)") }
      }
    }

    @Test(.streams) func numbersComeAtEachInterval() throws {
      let container = try running("/bin/agent", "pause")
      let start = Deadline.now
      let call = try container.spawn("events", ["--interval", "150ms"])
      while call.stdout.text.split(separator: "\n").count < 3 {
        try #require(Deadline.now - start < 20, "\(call.stdout.text)")
        call.stdout.drain()
        usleep(5000)
      }
      #expect(Deadline.now - start > 0.4)
      try container.delete("--force")
      let outcome = try call.wait()
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try lines(outcome.stdout).allSatisfy { $0["type"].string == "stats" })
    }

    @Test(.peerDiffers("runc", "1.1.5", "in v1 waits until the cgroup is gone, and in v2 for a file that is not there"))
    func eventsEndWithTheLastProcess() throws {
      let container = try running("/bin/agent", "children", "2")
      try container.stdout.waitFor("ready")
      let call = try container.spawn("events", ["--interval=1h"])
      #expect(call.isStillRunning(after: 0.3))
      try container.end()
      let outcome = try call.wait(timeout: 5)
      #expect(outcome.code == 0 && outcome.stdout.isEmpty && outcome.stderr.isEmpty, "\(outcome)")
    }

    /// Not with the first process, where others outlive it.
    @Test(.streams) func processesWithoutANamespaceAreWaitedForToo() throws {
      let container = try Container(args: ["/bin/sh", "-c", "sleep 100 & echo ready; wait"])
      container.bundle.removeNamespace("pid")
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let pid = try container.pid()
      let call = try container.spawn("events", ["--interval=1h"])
      #expect(call.isStillRunning(after: 0.3))
      kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      #expect(call.isStillRunning(after: 0.3))
      try container.delete()
      #expect(try call.wait(timeout: 5).code == 0)
    }

    private func waitUntilItWatches(_ call: Subprocess) throws {
      try waitUntil("`events` watches") {
        try Files.readIfThere("/proc/\(call.process)/wchan")?.contains("poll") ?? false
      }
    }

    @Test(.needs(.controllers)) func memoryThatRunsOutIsTold() throws {
      let container = try Container(args: ["/bin/sh", "-c", "read line; agent memory 200; echo over; exec sleep 100"])
      container.bundle.config["process"]["env"] = ["PATH=/bin"]
      container.bundle.config["linux"]["resources"]["memory"] = ["limit": 33_554_432, "swap": 33_554_432]
      var ends: [Int32] = [0, 0]
      try #require(pipe(&ends) == 0)
      defer { close(ends[1]) }
      let made = try container.spawn("run", ["--detach"], options: .init(stdin: ends[0])).wait()
      close(ends[0])
      try #require(made.code == 0, "\(made)")
      let call = try container.spawn("events", ["--interval=1h"])
      try waitUntilItWatches(call)
      write(ends[1], "\n", 1)
      try call.stdout.waitFor(#"{"type":"oom","id":"\#(container.id)"}"#)
      try container.stdout.waitFor("over")
      try container.delete("--force")
      #expect(try call.wait().code == 0)
    }

    /// What it died of is told before the end.
    @Test(.needs(.controllers), .cgroupfsOnly("the cgroup of a scope goes with its last process"))
    func deathOfWantOfMemoryIsTold() throws {
      let container = try Container(args: ["/bin/agent", "memory", "200"])
      container.bundle.config["linux"]["resources"]["memory"] = ["limit": 33_554_432, "swap": 33_554_432]
      try container.create()
      let pid = try container.pid()
      let call = try container.spawn("events", ["--interval=1h"])
      try waitUntilItWatches(call)
      try container.start()
      #expect(waitForEnd(of: pid))
      try container.delete()
      let outcome = try call.wait()
      #expect(outcome.code == 0)
      let events = try lines(outcome.stdout)
      #expect(
        !events.isEmpty && events.allSatisfy { $0 == ["type": "oom", "id": .string(container.id)] }, "\(outcome)")
    }

    @Test func createdAndPausedContainersHaveNumbersToo() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      // The threads of a runtime count too.
      #expect(try statistics(container)["pids"]["current"].int ?? 0 > 0)
      try container.start()
      try #require(try container.attempt("pause").code == 0)
      #expect(try statistics(container)["pids"]["current"].int == 1)
    }

    @Test func stoppedContainerHasNoEvents() throws {
      let container = try running("/bin/agent", "pause")
      try container.end()
      for flags in [["--stats"], []] {
        let outcome = try container.spawn("events", flags).wait()
        expectError(outcome, says: "container with id \(container.id) is not running")
      }
      let nobody = try Container()
      expectError(try nobody.attempt("events"), says: "does not exist")
    }

    @Test(.apusOnly("its texts"), .cgroupfsOnly("a user has another systemd")) func withoutACgroupThereAreNoNumbers()
      throws
    {
      let container = try Container(args: ["/bin/agent", "pause"])
      #expect(try container.asUser("run", ["--detach"]).code == 0)
      for flags in [["--stats"], []] {
        expectError(try container.asUser("events", flags), detail: "it was made without a cgroup")
      }
      #expect(try container.asUser("delete", ["--force"]).code == 0)
    }

    @Test(arguments: ["0", "-1s"]) func intervalHasToBeAboveZero(_ text: String) throws {
      let container = try running("/bin/agent", "pause")
      let outcome = try container.attempt("events", "--interval=\(text)")
      expectError(outcome, says: "duration interval must be greater than 0")
    }

    @Test(arguments: ["soon", "5", "1h1"]) func intervalIsATimeWithItsUnit(_ text: String) throws {
      let container = try running("/bin/agent", "pause")
      expectError(try container.attempt("events", "--interval", text), detail: "`\(text)`")
    }

    @Test(.streams) func signalsEndIt() throws {
      let container = try running("/bin/agent", "pause")
      for signal in [SIGINT, SIGTERM] {
        let call = try container.spawn("events", ["--interval=1h"])
        #expect(call.isStillRunning(after: 0.2))
        call.signal(signal)
        #expect(try call.wait(timeout: 5).code == 128 + signal)
      }
      #expect(try container.status() == "running")
    }

    @Test(.streams) func readerThatHasGoneEndsIt() throws {
      let container = try running("/bin/agent", "pause")
      let words = container.root + ["events", "--interval", "50ms", container.id]
      let line = "\(container.executable) \(words.joined(separator: " ")) | head -n 1"
      let outcome = try Subprocess("/bin/bash", ["-c", line + "; echo ${PIPESTATUS[0]}"]).wait(timeout: 10)
      let lines = outcome.stdout.split(separator: "\n")
      #expect(lines.count == 2 && lines[0].contains(#""type":"stats""#) && lines[1] != "0", "\(outcome)")
    }
  }
}

extension Trait where Self == ConditionTrait {
  fileprivate static var pressure: Self {
    .enabled("the kernel keeps no pressure stall information") { Files.exists("/proc/pressure") }
  }

  /// Without the memory controller runc tells its numbers only once.
  fileprivate static var streams: Self {
    .enabled("runc wants the memory controller for it") {
      !Runtime.current.isPeer || MachineFeature.controllers.isHere
    }
  }
}
