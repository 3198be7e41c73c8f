import Foundation
import IntegrationSupport
import Testing

extension Integration {
  @Suite(.bothDrivers) struct KillTests {
    @Test(.peerDiffers("crun", "1.8.1", "the waiting process takes no signal but KILL"))
    func termEndsAContainerThatWaitsForStart() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let pid = try container.pid()
      try container.kill("TERM")
      #expect(waitForEnd(of: pid))
      #expect(try container.status() == "stopped")
      try container.delete()
    }

    @Test(.apusOnly("the peers let two containers that are created at once share a cgroup"))
    func oneCgroupIsNotGivenToTwoContainers() throws {
      for _ in 0..<5 {
        let first = try Container(args: ["/bin/agent", "pause"])
        let second = try Container(args: ["/bin/agent", "pause"])
        second.bundle.config["linux"]["cgroupsPath"] = first.bundle.config["linux"]["cgroupsPath"]
        let calls = [try first.spawn("create"), try second.spawn("create")]
        let codes = try calls.map { try $0.wait().code }
        #expect(codes.filter { $0 == 0 }.count <= 1, "both were created in one cgroup")
        try first.delete("--force")
        try second.delete("--force")
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "knows signals by capital letters only"))
    func signalNameMayBeInSmallLetters() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      try container.kill("term")
      #expect(try container.stdout.readToEnd(timeout: 3) == "ready\nsignal 15\n")
    }

    @Test(arguments: ["TERM", "SIGTERM", "15"])
    func signalIsSentByNameOrNumber(signal: String) throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      try container.kill(signal)
      #expect(try container.stdout.readToEnd() == "ready\nsignal 15\n")
    }

    @Test func signalIsTermWhenNoneIsGiven() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      #expect(try container.attempt("kill").code == 0)
      #expect(try container.stdout.readToEnd() == "ready\nsignal 15\n")
    }

    @Test(arguments: [("USR2", 12), ("SIGHUP", 1), ("WINCH", 28), ("36", 36)])
    func otherSignalsArrive(signal: String, number: Int) throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      try container.kill(signal)
      let output = try container.stdout.readToEnd()
      #expect(output == "ready\nsignal \(number)\n")
    }

    @Test(
      .peerDiffers(
        "crun", "1.8.1", "takes the digits of a word it does not know, none being 0, and succeeds"),
      arguments: ["NOSUCH", "SIGNOSUCH", "9x"])
    func unknownSignalNameIsRefused(signal: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      expectError(try container.attempt("kill", rest: [signal]))
      #expect(try container.status() == "running")
    }

    @Test(arguments: ["99999", "-1", "65"])
    func signalNumberOutOfRangeIsRefused(signal: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      expectError(try container.attempt("kill", rest: [signal]))
      #expect(try container.status() == "running")
    }

    @Test func killOfStoppedContainerIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      try container.end()
      expectError(try container.attempt("kill", rest: ["KILL"]), says: "container not running")
    }

    @Test func createdContainerCanBeKilled() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      try container.end()
      #expect(try container.status() == "stopped")
    }

    @Test func killAllReachesEveryProcessWithoutAPidNamespace() throws {
      let container = try Container(args: ["/bin/agent", "children", "3"])
      container.bundle.removeNamespace("pid")
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let pid = try container.pid()
      let outcome = try container.attempt("kill", "--all", rest: ["KILL"])
      #expect(outcome.code == 0, "\(outcome)")
      try container.stdout.readToEnd()
      #expect(waitForEnd(of: pid))
      #expect(try container.status() == "stopped")
    }

    // MARK: Names and numbers

    /// RTMIN is 34, as programs see it.
    @Test(arguments: [
      ("sigterm", 15), ("Usr1", 10), ("RTMIN", 34), ("RTMIN+3", 37), ("SIGRTMIN+3", 37), ("rtmin+30", 64),
      ("RTMAX", 64),
      ("SIGRTMAX-1", 63), ("RTMAX-30", 34), ("64", 64),
    ])
    func everySpellingOfASignalArrives(signal: String, number: Int) throws {
      var peers: [String: String] = [:]
      if signal.uppercased().contains("RT") { peers["runc"] = "knows no real-time signals by name" }
      if signal.contains(where: \.isLowercase) || signal == "RTMAX-30" {
        peers["crun"] = "knows signals by capital letters only, and counts half of the real-time ones from each end"
      }
      try allowing(peers, in: "kill \(signal)") {
        let container = try Container(args: ["/bin/agent", "wait"])
        try container.runDetached()
        try container.stdout.waitFor("ready")
        try container.kill(signal)
        #expect(try container.stdout.readToEnd(timeout: 3) == "ready\nsignal \(number)\n")
      }
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "takes a word it does not know for 0"),
      arguments: ["RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMAX+1", "RTMIN+", "SIG", "SIGSIGTERM", "TERM ", "RTMIN+-1"])
    func nameThatIsNearlyASignalIsRefused(signal: String) throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      expectError(try container.attempt("kill", rest: [signal]), detail: "unknown signal")
      #expect(try container.status() == "running")
    }

    /// kill(2) with it only asks.
    @Test(arguments: [false, true])
    func signalZeroSendsNothing(all: Bool) throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let flags = all ? ["--all"] : []
      try container.spawn("kill", flags, rest: ["0"]).wait().expectSuccess()
      #expect(try container.status() == "running")
      try container.kill("USR1")
      #expect(try container.stdout.readToEnd() == "ready\nsignal 10\n")
      if !all { expectError(try container.attempt("kill", rest: ["0"]), says: "container not running") }
    }

    // MARK: All of a container

    /// Where the pid namespace of a container is from.
    enum PidNamespace: CaseIterable {
      case own, joined, host
    }

    /// A container with this command, and whose pid namespace it joins.
    private func container(
      _ kind: PidNamespace, _ args: [String]
    ) throws -> (container: Container, other: Container?) {
      var other: Container?
      if kind == .joined {
        let first = try Container(args: ["/bin/agent", "children", "2"])
        try first.runDetached()
        try first.stdout.waitFor("ready")
        other = first
      }
      let container = try Container(args: args)
      if kind != .own { container.bundle.removeNamespace("pid") }
      if let other { container.bundle.join("pid", "/proc/\(try other.pid())/ns/pid") }
      try container.runDetached()
      try container.stdout.waitFor("ready")
      return (container, other)
    }

    private func processes(of container: Container) throws -> [Int] {
      try container.spawn("ps", ["--format", "json"]).wait().json.ints
    }

    /// The signal reaches them all, and nobody else. Process 1 of a pid namespace has no default action for it.
    @Test(arguments: PidNamespace.allCases, ["TERM", "KILL"])
    func killAllReachesAllOfTheContainerAndNobodyElse(kind: PidNamespace, signal: String) throws {
      let (container, other) = try container(kind, ["/bin/agent", "children", "3"])
      let pid = try container.pid()
      let inside = try processes(of: container)
      #expect(inside.count == 4)
      try container.spawn("kill", ["--all"], rest: [signal]).wait().expectSuccess()
      for process in inside where process != pid { #expect(waitForEnd(of: process, timeout: 3), "\(process)") }
      if kind == .own && signal == "TERM" {
        #expect(try container.status() == "running")
      } else {
        #expect(waitForEnd(of: pid, timeout: 3))
        #expect(try container.status() == "stopped")
      }
      if let other {
        #expect(try processes(of: other).count == 3)
        #expect(try other.status() == "running")
      }
      // The first process of a pid namespace can end only when all others are collected.
      Processes.reap()
      try container.delete("--force")
      try other?.delete("--force")
      try expectNothingLeft()
    }

    /// Without `--all` it goes to the first process, but SIGKILL where that one does not take the others along.
    @Test(
      .peerDiffers("runc", "1.1.5", "only the first process"), .peerDiffers("crun", "1.8.1", "only the first process"))
    func killWithoutAPidNamespaceOfItsOwnEndsAll() throws {
      for kind in [PidNamespace.host, .joined] {
        let (container, other) = try container(kind, ["/bin/agent", "children", "3"])
        let inside = try processes(of: container)
        try container.kill("KILL")
        for process in inside { #expect(waitForEnd(of: process, timeout: 3), "\(process)") }
        if let other { #expect(try processes(of: other).count == 3) }
      }
    }

    @Test(arguments: PidNamespace.allCases)
    func killAllReachesCgroupsBelow(kind: PidNamespace) throws {
      let (container, _) = try container(kind, ["/bin/agent", "children", "2"])
      let pid = try container.pid()
      let child = try #require(try processes(of: container).last { $0 != pid })
      let path = try container.cgroupPath
      for hierarchy in Cgroups.hierarchies() where Files.exists(hierarchy.path + path + "/cgroup.procs") {
        let below = hierarchy.path + path + "/below"
        mkdir(below, 0o755)
        if hierarchy.options.contains("cpuset") {
          for file in ["cpuset.cpus", "cpuset.mems"] {
            try Files.write(try Files.read("\(hierarchy.path)\(path)/\(file)"), to: "\(below)/\(file)")
          }
        }
        try Files.write("\(child)", to: below + "/cgroup.procs")
      }
      #expect(try processes(of: container).count == 3)
      try container.spawn("kill", ["--all"], rest: ["KILL"]).wait().expectSuccess()
      #expect(waitForEnd(of: child, timeout: 3))
      #expect(waitForEnd(of: pid, timeout: 3))
    }

    /// What managers do when the first process has ended.
    @Test func killAllOfAStoppedContainerReachesWhatIsLeftAndIsNoErrorWithoutIt() throws {
      let (container, _) = try container(.host, ["/bin/agent", "children", "3"])
      let pid = try container.pid()
      let inside = try processes(of: container)
      Glibc.kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      #expect(try container.status() == "stopped")
      try container.spawn("kill", ["--all"], rest: ["KILL"]).wait().expectSuccess()
      for process in inside { #expect(waitForEnd(of: process, timeout: 3), "\(process)") }
      Processes.reap()
      for signal in ["KILL", "TERM"] {
        try container.spawn("kill", ["--all"], rest: [signal]).wait().expectSuccess()
      }
      expectError(try container.attempt("kill", rest: ["KILL"]), says: "container not running")
      try container.delete()
      expectError(try container.attempt("kill", "--all", rest: ["KILL"]), says: "does not exist")
      try expectNothingLeft()
    }

    @Test(arguments: PidNamespace.allCases, [true, false])
    func pausedContainerTakesSignals(kind: PidNamespace, all: Bool) throws {
      let flags = all ? ["--all"] : []
      let (container, _) = try container(kind, ["/bin/agent", "wait"])
      try Freezer(container).whileFrozen {
        try container.spawn("kill", flags, rest: ["USR1"]).wait().expectSuccess()
        // The peers freeze and thaw for `--all`, and so resume it.
        if !(Runtime.current.isPeer && all) { #expect(try container.status() == "paused") }
      }
      #expect(try container.stdout.readToEnd() == "ready\nsignal 10\n")
    }

    @Test(arguments: PidNamespace.allCases, [true, false])
    func pausedContainerCanBeKilled(kind: PidNamespace, all: Bool) throws {
      try allowing(all ? [:] : ["crun": "it stays frozen, with v1"], in: "kill of a paused container") {
        let (container, _) = try container(kind, ["/bin/agent", "wait"])
        let pid = try container.pid()
        try Freezer(container).whileFrozen {
          try container.spawn("kill", all ? ["--all"] : [], rest: ["KILL"]).wait().expectSuccess()
          #expect(waitForEnd(of: pid, timeout: 3))
        }
      }
    }

    /// Each of its processes is another one by the time that it is found.
    @Test(
      .peerMayDiffer("crun", "1.8.1", "lists them once"), .peerMayDiffer("runc", "1.1.5", "lists them once"))
    func killAllEndsProcessesThatForkMeanwhile() throws {
      for _ in 0..<3 {
        let (container, _) = try container(.host, ["/bin/agent", "run-away", "8"])
        try container.spawn("kill", ["--all"], rest: ["KILL"]).wait().expectSuccess()
        let deadline = Deadline(3)
        while try !processes(of: container).isEmpty, !deadline.hasPassed { Processes.reap() }
        #expect(try processes(of: container).isEmpty)
        #expect(try container.status() == "stopped")
        try container.delete()
      }
      try expectNothingLeft()
    }
  }
}
