import Foundation
import Testing

extension Integration {
  /// What `state` and `run` tell of the end of a container and of the limits that it met.
  @Suite(.needs(.controllers), .apusOnly("the peers tell nothing"), .bothDrivers) struct ExitReportTests {
    /// systemd takes the cgroup of a scope away, and the counts in it, as soon as it is empty: who asks may come too late.
    private static let gone = "the cgroup of a scope goes with its last process"

    /// v1 does not tell whose memory was used up.
    private static let memoryLine =
      "killed for " + (CgroupView.current == .v2 ? "exceeding its memory limit" : "want of memory")

    /// What `state` tells of limits.
    private func events(_ kills: Int, _ refusals: Int) -> JSONValue {
      var events: [String: JSONValue] = ["oomKills": .number(kills), "pidsLimitHits": .number(refusals)]
      if CgroupView.current == .v2 { events["memoryLimitMet"] = .bool(kills > 0) }
      return .object(events)
    }

    private func container(_ args: String..., megabytes: Int = 32, pids: Int? = nil) throws -> Container {
      let container = try Container(args: args)
      container.bundle.config["process"]["env"] = ["PATH=/bin"]
      let bytes = JSONValue.number(megabytes << 20)
      container.bundle.config["linux"]["resources"]["memory"] = ["limit": bytes, "swap": bytes]
      if let pids { container.bundle.config["linux"]["resources"]["pids"] = ["limit": .number(pids)] }
      return container
    }

    /// Up to the end, whose zombie nobody collects.
    private func runToItsEnd(_ container: Container) throws {
      try container.create()
      let pid = try container.pid()
      try container.start()
      #expect(waitForEnd(of: pid))
    }

    @Test(.cgroupfsOnly(gone)) func containerThatExceedsItsMemoryLimitIsReportedAsKilled() throws {
      let container = try container("/bin/agent", "memory", "200")
      let outcome = try container.run()
      #expect(outcome.code == 137)
      #expect(outcome.stderr.contains("`\(container.id)`: 1 process \(Self.memoryLine)\""), "\(outcome)")
      #expect(outcome.stderr.split(separator: "\n").count == 1, "\(outcome)")
      try expectNothingLeft()
    }

    @Test(.cgroupfsOnly(gone)) func processBelowTheFirstThatIsKilledForMemoryIsReported() throws {
      let container = try container("/bin/sh", "-c", "agent memory 200; agent memory 200; exit 3")
      let outcome = try container.run()
      #expect(outcome.code == 3)
      #expect(outcome.stderr.contains("`\(container.id)`: 2 processes \(Self.memoryLine)"), "\(outcome)")
    }

    @Test(.cgroupfsOnly(gone)) func reportIsARecordOfTheLogToo() throws {
      let container = try container("/bin/agent", "memory", "200")
      try container.bundle.write()
      let words =
        container.root + ["--log-format", "json", "run", "--bundle", container.bundle.path, container.id]
      let outcome = try Subprocess(container.executable, words).wait()
      let record = try JSONValue(parsing: outcome.stderr)
      #expect(record["level"].string == "warning")
      #expect(record["msg"].string?.contains(Self.memoryLine) == true, "\(outcome)")
    }

    @Test func endThatHasNothingToDoWithLimitsIsNotExplained() throws {
      for line in ["exit 3", "agent memory 200; exit 0"] {
        let outcome = try container("/bin/sh", "-c", line).run()
        // sh says itself that its child was killed.
        #expect(!outcome.stderr.contains("level=warning"), "\(outcome)")
      }
      let container = try container("/bin/sh", "-c", "echo ready; exec sleep 100")
      let call = try container.spawn("run")
      try container.stdout.waitFor("ready")
      try container.kill("KILL")
      let outcome = try call.wait()
      #expect(outcome.code == 137 && outcome.stderr.isEmpty, "\(outcome)")
    }

    @Test(.cgroupfsOnly(gone)) func limitOfTasksThatWasMetIsReported() throws {
      let container = try container("/bin/sh", "-c", "agent fork-limit 100; exit 4", pids: 10)
      let outcome = try container.run()
      #expect(outcome.code == 4)
      #expect(outcome.stderr.contains("`\(container.id)` met its limit of tasks 1 time"), "\(outcome)")
    }

    @Test(.cgroupfsOnly(gone)) func stateCountsKillsAndRefusalsUntilDelete() throws {
      let container = try container(
        "/bin/sh", "-c", "agent memory 200; agent fork-limit 100; echo over; exec agent pause", pids: 10)
      try container.runDetached()
      try container.stdout.waitFor("over")
      let wanted = events(1, 1)
      var state = try container.state()
      #expect(state["status"].string == "running" && state["exit"] == .null)
      #expect(state["limitEvents"] == wanted, "\(state.text)")
      try container.end()
      state = try container.state()
      #expect(state["limitEvents"] == wanted, "\(state.text)")
      #expect(try runtime("list", "--format=json").json[0]["limitEvents"] == wanted)
    }

    @Test func limitsThatWereNotMetAreZero() throws {
      let container = try container("/bin/agent", "pause", pids: 10)
      try container.runDetached()
      #expect(try container.state()["limitEvents"] == events(0, 0))
    }

    /// A cgroup that was there before is used, with what its counters say already.
    @Test(.cgroupfsOnly("its form of `cgroupsPath`")) func whatACgroupHasCountedBeforeIsNotTheContainers() throws {
      let first = try container("/bin/sh", "-c", "agent memory 200; agent fork-limit 100; exit 3", pids: 10)
      let path = try #require(first.bundle.config["linux"]["cgroupsPath"].string)
      var folders: [String] = []
      defer { for folder in folders { #expect(rmdir(folder) == 0, "\(folder) \(errno)") } }
      for hierarchy in Cgroups.hierarchies() {
        let folder = hierarchy.path + path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        folders.append(folder)
      }
      let outcome = try first.run()
      #expect(outcome.code == 3 && outcome.stderr.contains(Self.memoryLine), "\(outcome)")

      let second = try container("/bin/sh", "-c", "exit 4", pids: 10)
      second.bundle.config["linux"]["cgroupsPath"] = .string(path)
      let other = try second.run()
      #expect(other.code == 4 && other.stderr.isEmpty, "\(other)")

      let third = try container("/bin/sh", "-c", "agent memory 200; echo over; exec agent pause", pids: 10)
      third.bundle.config["linux"]["cgroupsPath"] = .string(path)
      try third.create()
      #expect(try third.state()["limitEvents"] == events(0, 0))
      try third.start()
      try third.stdout.waitFor("over")
      #expect(try third.state()["limitEvents"] == events(1, 0))
      try third.delete("--force")
    }

    /// v1 counts in each cgroup by itself.
    @Test(.views(.hybrid, .v1)) func killInACgroupBelowCounts() throws {
      let container = try Container(args: ["/bin/sh", "-c", "agent memory 200; echo over; exec agent pause"])
      container.bundle.config["process"]["env"] = ["PATH=/bin"]
      try container.create()
      let folder = try container.cgroup("memory") + "/below"
      try #require(mkdir(folder, 0o755) == 0)
      try Files.write("33554432", to: folder + "/memory.limit_in_bytes")
      try Files.write("33554432", to: folder + "/memory.memsw.limit_in_bytes")
      try Files.write("\(try container.pid())", to: folder + "/cgroup.procs")
      try container.start()
      try container.stdout.waitFor("over")
      #expect(try container.state()["limitEvents"]["oomKills"].int == 1)
      try container.delete("--force")
    }

    @Test(.cgroupfsOnly(gone)) func killForMemoryIsInTheState() throws {
      let container = try container("/bin/agent", "memory", "200")
      try runToItsEnd(container)
      let state = try container.state()
      #expect(state["status"].string == "stopped" && state["exit"] == ["signal": 9], "\(state.text)")
      #expect(state["limitEvents"]["oomKills"].int == 1)
    }

    static let ends: [(line: String, exit: JSONValue)] = [
      ("exit 7", ["status": 7]), ("exit 0", ["status": 0]), ("kill -15 $$; sleep 9", ["status": 143]),
    ]

    @Test(arguments: ends)
    func endIsToldUntilTheProcessIsCollected(_ end: (line: String, exit: JSONValue)) throws {
      let container = try container("/bin/sh", "-c", "trap 'exit 143' TERM; \(end.line)")
      try runToItsEnd(container)
      #expect(try container.state()["exit"] == end.exit)
      Processes.reap()
      let state = try container.state()
      #expect(state["status"].string == "stopped" && state["exit"] == .null, "\(state.text)")
    }

    /// proc(5), stat: for others the kernel says 0, which is no exit status.
    @Test func endIsNotGuessedWhereTheKernelDoesNotTell() throws {
      let container = try container("/bin/sh", "-c", "exit 7")
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      try runToItsEnd(container)
      #expect(try container.state()["exit"] == ["status": 7])
      let script = "\(container.bundle.path)/weak"
      try Files.write(
        "#!/bin/sh\nexec setpriv --bounding-set=-sys_ptrace -- \(container.executable) \"$@\"\n", to: script)
      chmod(script, 0o755)
      container.executable = script
      let state = try container.state()
      #expect(state["status"].string == "stopped" && state["exit"] == .null, "\(state.text)")
    }

    /// Who owns the user namespace may look at its processes.
    @Test(.cgroupfsOnly("a user has another systemd")) func endOfAContainerOfTheUserIsTold() throws {
      let container = try Container(args: ["/bin/sh", "-c", "exit 7"])
      #expect(try container.asUser("create").code == 0)
      let pid = try #require(try container.asUser("state").json["pid"].int)
      #expect(try container.asUser("start").code == 0)
      #expect(waitForEnd(of: pid))
      let state = try container.asUser("state").json
      #expect(state["exit"] == ["status": 7] && state["limitEvents"] == .null, "\(state.text)")
      #expect(try container.asUser("delete").code == 0)
    }

    @Test func runThatKeepsTheContainerKeepsItsEnd() throws {
      let container = try container("/bin/sh", "-c", "exit 7")
      #expect(try container.run("--keep").code == 7)
      #expect(try container.state()["exit"] == ["status": 7])
      try container.delete()
      try expectNothingLeft()
    }

    @Test(.cgroupfsOnly(gone)) func keptEndMayBeASignal() throws {
      let container = try container("/bin/agent", "memory", "200")
      #expect(try container.run("--keep").code == 137)
      let state = try container.state()
      #expect(state["exit"] == ["signal": 9] && state["limitEvents"]["oomKills"].int == 1, "\(state.text)")
      try container.delete()
    }

    /// The cgroup of a container that cannot be made says why.
    @Test(.cgroupfsOnly(gone)) func initStageThatIsKilledForMemoryIsExplained() throws {
      let container = try container("/bin/agent", "pause", megabytes: 0)
      container.bundle.config["linux"]["resources"]["memory"] = ["limit": 8192, "swap": 8192]
      let outcome = try container.attempt("create")
      #expect(outcome.code != 0)
      expectError(outcome, detail: "the kernel killed it")
      try expectNothingLeft()
    }
  }
}
