import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// containerd's shim through its client of runc: the calls as it makes them, the answers as it reads them.
  @Suite struct ManagerContainerdTests {
    private func client(_ args: String...) throws -> GoRunc {
      try GoRunc(Container(args: args.isEmpty ? ["/bin/agent", "pause"] : args))
    }

    /// The whole life of a container, but for the flags that need a partner.
    @Test(.peerDiffers("crun", "1.8.1", "has no `rootfs` in its state, and its `ps` no table"))
    func shimLeadsAContainerThroughItsLife() throws {
      let client = try client()
      client.container.bundle.config["annotations"] = ["io.kubernetes.cri.container-type": "sandbox"]
      try client.container.bundle.write()
      client.globals = ["--rootless=false"]
      let id = client.container.id
      let pid = try client.create("--no-new-keyring")
      let state = try client.state()
      #expect(state.id == id && state.pid == pid && state.status == "created")
      #expect(state.bundle == client.container.bundle.path && state.rootfs == client.container.bundle.rootfs)
      #expect(state.annotations?["io.kubernetes.cri.container-type"] == "sandbox")
      _ = try dateOfRFC3339(state.created)
      let list = try client.succeed("list", "--format=json").stdout
      let states = try JSONDecoder().decode([GoRunc.State].self, from: Data(list.utf8))
      #expect(states.map(\.id) == [id] && states[0].pid == pid)
      try client.succeed("start", id)
      #expect(try client.state().status == "running")
      try client.succeed("pause", id)
      #expect(try client.state().status == "paused")
      try client.succeed("resume", id)
      #expect(try client.succeed("ps", "--format", "json", id).json.ints == [pid])
      let table = try GoRunc.table(client.succeed("ps", "--format", "table", id, "-ef").stdout)
      #expect(table.rows.count == 1 && table.rows[0].last == "/bin/agent pause", "\(table)")
      try client.succeed("kill", id, "0")
      try client.succeed("kill", "--all", id, "9")
      #expect(waitForEnd(of: pid))
      Processes.reap()
      let stopped = try client.state()
      #expect(stopped.status == "stopped" && stopped.pid == 0)
      try client.succeed("delete", id)
      let again = try client.call("delete", id)
      #expect(again.code != 0 && (again.stdout + again.stderr).contains("does not exist"), "it is passed over then")
      try client.succeed("delete", "--force", id)
      try expectNothingLeft()
    }

    /// The bundle is the working directory of some callers.
    @Test func shimMayStandInTheBundle() throws {
      let client = try client()
      let pid = try client.create(options: .init(directory: client.container.bundle.path))
      #expect(try client.state().pid == pid)
    }

    /// Old shims send `--detach` too, and each flag stands for itself.
    @Test(.apusOnly("the peers here are older than `--pidfd-socket`, and refuse `--detach`"))
    func createTakesEveryFlagAtOnce() throws {
      let client = try client()
      client.container.bundle.config["process"]["terminal"] = true
      try client.container.bundle.write()
      client.globals = ["--systemd-cgroup=false", "--rootless=false", "--debug"]
      let (console, pidfd) = try (DescriptorSocket(), DescriptorSocket(name: "pidfd.sock"))
      let file = open(client.container.bundle.path + "/config.json", O_RDONLY | O_CLOEXEC)
      defer { close(file) }
      let pid = try client.create(
        "--console-socket", console.path, "--pidfd-socket", pidfd.path, "--no-pivot", "--no-new-keyring", "--detach",
        "--preserve-fds", "2", options: .init(descriptors: [file, file]))
      let terminal = try console.receiveTerminal()
      #expect(terminal.name == "/dev/ptmx")
      let (descriptor, _) = try pidfd.receive()
      defer { close(descriptor) }
      #expect(try Files.read("/proc/self/fdinfo/\(descriptor)").contains("\nPid:\t\(pid)\n"))
    }

    @Test func shimExecutesWithAndWithoutATerminal() throws {
      let client = try client()
      try client.create()
      let id = client.container.id
      try client.succeed("start", id)
      let (document, file) = (
        client.container.bundle.path + "/process.json", client.container.bundle.path + "/exec.pid"
      )
      for terminal in [false, true] {
        let process: JSONValue = [
          "terminal": .bool(terminal), "user": ["uid": 0, "gid": 0], "args": ["/bin/agent", "pause"],
          "env": ["PATH=/bin"], "cwd": "/",
        ]
        try Files.write(process.text, to: document)
        let socket = try DescriptorSocket()
        var words = ["exec", "--process", document]
        if terminal { words += ["--console-socket", socket.path] }
        let outcome = try client.spawn(words + ["--detach", "--pid-file", file, id]).wait()
        #expect(outcome.code == 0, "\(outcome)")
        let pid = try GoRunc.readPidFile(file)
        #expect(try client.succeed("ps", "--format", "json", id).json.ints.contains(pid))
        if terminal { #expect(try Files.read("/proc/\(pid)/stat").split(separator: " ")[6] != "0", "its terminal") }
        kill(pid_t(pid), SIGKILL)
        #expect(waitForEnd(of: pid))
        Processes.reap()
        unlink(file)
      }
    }

    @Test(.apusOnly("the flag is newer than the peers here")) func shimGetsAPidfdOfACommand() throws {
      let client = try client()
      try client.create()
      try client.succeed("start", client.container.id)
      let document = client.container.bundle.path + "/process.json"
      let process: JSONValue = ["user": ["uid": 0, "gid": 0], "args": ["/bin/agent", "pause"], "cwd": "/"]
      try Files.write(process.text, to: document)
      let socket = try DescriptorSocket(name: "pidfd.sock")
      let file = client.container.bundle.path + "/exec.pid"
      try client.succeed(
        "exec", "--process", document, "--pidfd-socket", socket.path, "--detach", "--pid-file", file,
        client.container.id)
      let (descriptor, _) = try socket.receive()
      defer { close(descriptor) }
      let pid = try GoRunc.readPidFile(file)
      #expect(try Files.read("/proc/self/fdinfo/\(descriptor)").contains("\nPid:\t\(pid)\n"))
      kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      Processes.reap()
    }

    // MARK: Texts

    /// The file is the same for all calls of one container; the shim shows the last error of it.
    @Test(arguments: [false, true]) func shimFindsTheLastErrorInTheLog(debug: Bool) throws {
      let client = try client()
      if debug { client.globals = ["--debug"] }
      try client.create()
      #expect(try client.call("start", "no-such-container").code != 0)
      #expect(Words.has(try client.lastError(), "does not exist"))
      client.container.bundle.args = ["no-such-command"]
      client.container.bundle.config["linux"]["cgroupsPath"] = .string("/\(TestRun.tag)/second")
      try client.container.bundle.write()
      let second = client.container.id + "-second"
      let outcome = try client.call(
        "create", "--bundle", client.container.bundle.path, "--pid-file", client.pidFile + "2", second)
      #expect(outcome.code != 0)
      let message = try client.lastError()
      #expect(Words.has(message, "executable file not found in $PATH"), "\(message)")
      #expect(outcome.stderr.contains(message), "the same on standard error: \(outcome)")
    }

    @Test func takenIdIsSaidToTheShim() throws {
      let client = try client()
      try client.create()
      let again = try client.call("create", "--bundle", client.container.bundle.path, client.container.id)
      #expect(again.code != 0)
      #expect(Words.has(try client.lastError(), "container with given ID already exists"))
    }

    /// `kill` that comes too late, and `kill` of nobody.
    @Test(.peerDiffers("crun", "1.8.1", "says it otherwise"))
    func shimUnderstandsErrorsOfKill() throws {
      let client = try client()
      let pid = try client.create()
      let id = client.container.id
      try client.succeed("start", id)
      try client.succeed("kill", id, "9")
      #expect(waitForEnd(of: pid))
      for signal in ["9", "15", "0"] {
        let late = try client.call("kill", id, signal)
        #expect(late.code != 0)
        #expect(GoRunc.killFailure(late.stderr) == .notFound, "\(late)")
        #expect(GoRunc.killFailure(try client.lastError()) == .notFound)
      }
      try client.succeed("kill", "--all", id, "9")
      try client.succeed("delete", id)
      for words in [["kill", id, "9"], ["kill", "--all", id, "9"]] {
        let nobody = try client.spawn(words).wait()
        #expect(nobody.code != 0)
        #expect(GoRunc.killFailure(nobody.stderr) == .noSuchContainer, "\(nobody)")
      }
      let unknown = try client.call("kill", id, "NOSUCH")
      #expect(unknown.code != 0)
    }

    /// The shim would take a container for ended that is not.
    @Test(.peerDiffers("crun", "1.8.1", "takes a word it does not know for 0"))
    func otherErrorsOfKillAreNotTakenForAnEnd() throws {
      let client = try client()
      try client.create()
      for signal in ["NOSUCH", "99999"] {
        let outcome = try client.call("kill", client.container.id, signal)
        #expect(outcome.code != 0)
        #expect(GoRunc.killFailure(outcome.stderr) == .other(outcome.stderr), "\(outcome)")
      }
    }

    @Test func versionIsReadByTheShim() throws {
      let link = try Workspace.active().directory + "/runc"
      symlink(Runtime.current.path, link)
      let text = try Subprocess(link, ["--version"]).wait().stdout
      try allowing(["crun": "knows its own name only"], in: "the version of a link") {
        let version = try #require(GoRunc.version(text), "\(text)")
        #expect(version.runc.hasPrefix("\(Runtime.current.version)") && !version.commit.isEmpty, "\(version)")
        #expect(version.spec.hasPrefix("1."), "\(version)")
      }
    }

    // MARK: Documents

    /// What the shim decodes of an event; the names are those of `types/events.go`.
    private struct Event: Decodable {
      struct Data: Decodable {
        struct CPU: Decodable {
          struct Usage: Decodable { let kernel, user: UInt64 }
          struct Throttling: Decodable { let periods, throttledPeriods, throttledTime: UInt64? }
          let usage: Usage
          let throttling: Throttling
        }
        struct Memory: Decodable {
          struct Entry: Decodable {
            let limit: UInt64
            let usage, max: UInt64?
            let failcnt: UInt64
          }
          let usage, swap, kernel, kernelTCP: Entry
          let raw: [String: UInt64]?
        }
        struct Pids: Decodable { let current, limit: UInt64? }
        struct Disks: Decodable {
          struct Entry: Decodable { let major, minor, value: UInt64? }
          let ioServiceBytesRecursive, ioServicedRecursive: [Entry]?
        }
        struct Pages: Decodable { let failcnt: UInt64 }
        let cpu: CPU
        let cpuset: [String: JSONValue]
        let memory: Memory
        let pids: Pids
        let blkio: Disks
        let hugetlb: [String: Pages]
        let intelRdt: [String: JSONValue]
        enum CodingKeys: String, CodingKey {
          case cpu, cpuset, memory, pids, blkio, hugetlb
          case intelRdt = "intel_rdt"
        }
      }
      let type, id: String
      let data: Data
    }

    @Test(.noEventsInCrun) func shimDecodesStatistics() throws {
      let client = try client()
      try client.create()
      let id = client.container.id
      try client.succeed("start", id)
      let text = try client.succeed("events", "--stats", id).stdout
      let event = try JSONDecoder().decode(Event.self, from: Data(text.utf8))
      #expect(event.type == "stats" && event.id == id)
    }

    /// The shim reads object by object and leaves.
    @Test(.noEventsInCrun, .needs(.controllers)) func shimDecodesAStreamOfStatistics() throws {
      let client = try client()
      try client.create()
      let id = client.container.id
      try client.succeed("start", id)
      let call = try client.spawn(["events", "--interval=1s", id])
      try call.stdout.waitFor("\n")
      let first = call.stdout.text.split(separator: "\n")[0]
      #expect(try JSONDecoder().decode(Event.self, from: Data(first.utf8)).id == id)
      call.end()
    }

    @Test(.needs(.controllers), arguments: [["--resources=-"], ["--resources", "-"]])
    func shimUpdatesThroughStandardInput(_ flags: [String]) throws {
      let client = try client()
      try client.create()
      let id = client.container.id
      try client.succeed("start", id)
      // As the shim encodes what it was given: with zeros that mean nothing, and without a device.
      let document: JSONValue = [
        "memory": ["limit": 71_303_168, "swap": 142_606_336], "cpu": ["shares": 0, "quota": 0, "period": 0],
      ]
      let outcome = try client.spawn(["update"] + flags + [id], .init(input: document.text + "\n")).wait()
      #expect(outcome.code == 0, "\(outcome)")
      let isV2 = CgroupView.current == .v2
      let file = try client.container.cgroup(isV2 ? "" : "memory") + (isV2 ? "/memory.max" : "/memory.limit_in_bytes")
      #expect(try Files.read(file) == "71303168\n")
    }

    /// What the CRI plugin looks at before it lets a pod have read-only volumes all the way down, or users of its own.
    @Test(.peerDiffers("runc", "1.1.5", "older"), .peerDiffers("crun", "1.8.1", "older"))
    func featuresOpenTheDoorsOfTheCRI() throws {
      let features = try runtime(bare: ["features"]).json
      #expect(features["mountOptions"].strings.contains("rro"))
      #expect(features["linux"]["namespaces"].strings.contains("user"))
      #expect(features["linux"]["mountExtensions"]["idmap"]["enabled"].bool == true)
    }

    // MARK: Checkpoints

    /// A checkpoint works where CRIU knows the kernel. Where it does not, the error says so, and nothing is done by halves.
    @Test(.peerDiffers("crun", "1.8.1", "features are newer, and it says other words"))
    func checkpointAndRestoreAreDoneOrRefused() throws {
      let client = try client()
      try client.create()
      let id = client.container.id
      try client.succeed("start", id)
      let folder = client.container.bundle.path + "/checkpoint"
      mkdir(folder, 0o755)
      let isThere = try runtime(bare: ["checkpoint", "--help"]).code == 0
      let features = try runtime(bare: ["features"]).json
      let announced = features["annotations"]["org.opencontainers.runc.checkpoint.enabled"].string
      #expect((announced == "true") == isThere, "\(announced ?? "nothing")")
      let isPossible = MachineFeature.criu.isHere
      // The shim's `soft` has CRIU mount v2 anew, and the whole machine loses the options of it.
      let flags = [
        "--image-path", folder, "--work-path", folder, "--tcp-established", "--ext-unix-sk", "--shell-job",
        "--file-locks", "--manage-cgroups-mode", isPossible ? "ignore" : "soft", "--empty-ns", "network",
      ]
      let calls = [
        ["checkpoint"] + flags + ["--leave-running", id],
        ["restore"] + flags + [
          "--detach", "--pid-file", client.pidFile + "2", "--no-pivot", "-no-subreaper", "--bundle",
          client.container.bundle.path, id + "-restored",
        ],
      ]
      // What comes back is held by `CheckpointTests`: beside the one that goes on, in its cgroup, nothing does.
      for words in isPossible ? Array(calls.prefix(1)) : calls {
        let outcome = try client.spawn(words).wait()
        #expect(outcome.code == (isPossible ? 0 : 1), "\(outcome)")
        #expect(try client.lastError().isEmpty == isPossible)
      }
      #expect(try client.state().status == "running")
      #expect(Files.exists(folder + "/apus.json") == isPossible)
      #expect(!Files.exists(client.pidFile + "2"))
    }
  }
}

extension Trait where Self == ConditionTrait {
  fileprivate static var noEventsInCrun: Self {
    .enabled("crun has no such command") { Runtime.current.name != "crun" }
  }
}
