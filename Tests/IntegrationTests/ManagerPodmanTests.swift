import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// podman and conmon.
  @Suite struct ManagerPodmanTests {
    private func container(_ change: (Container) -> Void = { _ in }) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      change(container)
      try container.bundle.write()
      return container
    }

    /// conmon's vector, without a log: it passes standard error on.
    private func create(_ container: Container, _ flags: [String] = []) throws -> Outcome {
      let file = container.bundle.path + "/pidfile"
      let words = ["create", "--bundle", container.bundle.path, "--pid-file", file] + flags + [container.id]
      return try Subprocess(container.executable, container.root + words).wait()
    }

    private func exec(_ container: Container, _ process: JSONValue, _ flags: [String] = []) throws -> Outcome {
      let (file, document) = (container.bundle.path + "/exec_pid", container.bundle.path + "/exec-process")
      try Files.write(process.text, to: document)
      let words = ["exec", "--pid-file", file, "--process", document, "--detach"] + flags + [container.id]
      return try Subprocess(container.executable, container.root + words).wait()
    }

    /// podman's own calls have a log.
    private func podman(_ container: Container, _ words: String...) throws -> (outcome: Outcome, log: String) {
      let log = container.bundle.path + "/oci-log"
      unlink(log)
      let flags = container.root + ["--log-format=json", "--log", log]
      return (try Subprocess(container.executable, flags + words).wait(), log)
    }

    @Test func conmonMakesAContainerWithATerminal() throws {
      let container = try container { $0.bundle.config["process"]["terminal"] = true }
      let socket = try DescriptorSocket()
      let outcome = try create(container, ["--no-new-keyring", "--console-socket", socket.path])
      #expect(outcome.code == 0 && outcome.stdout.isEmpty && outcome.stderr.isEmpty, "\(outcome)")
      let terminal = try socket.receiveTerminal()
      defer { withExtendedLifetime(terminal) {} }
      #expect(try GoRunc.readPidFile(container.bundle.path + "/pidfile") == container.pid())
      let started = try podman(container, "start", container.id).outcome
      #expect(started.code == 0 && started.stdout.isEmpty && started.stderr.isEmpty, "\(started)")
    }

    @Test(arguments: [false, true]) func conmonExecutes(terminal: Bool) throws {
      let container = try container()
      #expect(try create(container).code == 0)
      #expect(try podman(container, "start", container.id).outcome.code == 0)
      let socket = try DescriptorSocket()
      let process: JSONValue = [
        "terminal": .bool(terminal), "user": ["uid": 0, "gid": 0], "args": ["/bin/agent", "pause"], "cwd": "/",
      ]
      let outcome = try exec(container, process, terminal ? ["--console-socket", socket.path, "--tty"] : [])
      #expect(outcome.code == 0, "\(outcome)")
      let pid = try GoRunc.readPidFile(container.bundle.path + "/exec_pid")
      kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      Processes.reap()
    }

    /// conmon tells a command that could not run by the pid file that is not there, and podman by the text.
    @Test func conmonFindsNoPidFileOfACommandThatCannotRun() throws {
      let container = try container()
      #expect(try create(container).code == 0)
      #expect(try podman(container, "start", container.id).outcome.code == 0)
      for (command, code) in [("no-such-command", 127), ("/no/such", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let process: JSONValue = [
          "user": ["uid": 0, "gid": 0], "args": [.string(command)], "env": ["PATH=/bin"], "cwd": "/",
        ]
        let outcome = try exec(container, process)
        #expect(outcome.code != 0 && !Files.exists(container.bundle.path + "/exec_pid"), "\(outcome)")
        #expect(Podman.status(outcome.stderr) == code, "\(outcome)")
        #expect(!Podman.isAboutLabels(outcome.stderr))
      }
    }

    @Test(arguments: [
      ("no-such-command", 127), ("/no/such", 127), ("/etc/passwd", 126), ("/etc", 126),
    ])
    func podmanGivesTheErrorOfCreateItsExitStatus(_ command: String, _ code: Int) throws {
      let container = try container { $0.bundle.args = [command] }
      let outcome = try create(container)
      #expect(outcome.code != 0 && !Files.exists(container.bundle.path + "/pidfile"), "\(outcome)")
      #expect(Podman.status(outcome.stderr) == code && Podman.statusOfRun(outcome.stderr) == code, "\(outcome)")
    }

    /// Also where there was a warning before the error, and whatever the command.
    @Test(.peerDiffers("crun", "1.8.1", "takes a word for a signal that is none"))
    func podmanReadsTheLogFileAsOneObject() throws {
      let container = try container()
      #expect(try create(container).code == 0)
      let id = container.id
      for words in [
        ["kill", id, "NOSUCH"], ["state", "nobody"], ["resume", id], ["start", "nobody"], ["delete", "nobody"],
      ] {
        let log = container.bundle.path + "/oci-log"
        unlink(log)
        let flags = container.root + ["--log-format=json", "--log", log]
        let outcome = try Subprocess(container.executable, flags + words).wait()
        #expect(outcome.code != 0)
        let message = try Podman.message(log: log)
        #expect(outcome.stderr.contains(message), "\(words): \(outcome)")
      }
    }

    @Test(.apusOnly("the peers warn in the log file too")) func warningsKeepOutOfPodmansLogFile() throws {
      let container = try container {
        $0.bundle.args = ["no-such-command"]
        $0.bundle.config["process"]["capabilities"]["bounding"].append("CAP_NO_SUCH")
      }
      let (outcome, log) = try podman(container, "create", "--bundle", container.bundle.path, container.id)
      #expect(outcome.code != 0 && outcome.stderr.contains("CAP_NO_SUCH"), "\(outcome)")
      #expect(try Podman.message(log: log).contains("executable file not found in $PATH"))
    }

    @Test(.needs(.controllers)) func podmanLeadsAContainerToItsEnd() throws {
      let container = try container()
      let id = container.id
      #expect(try create(container).code == 0)
      #expect(try podman(container, "start", id).outcome.code == 0)
      #expect(try podman(container, "state", id).outcome.json["status"].string == "running")
      #expect(try podman(container, "pause", id).outcome.code == 0)
      #expect(try podman(container, "resume", id).outcome.code == 0)
      let file = container.bundle.path + "/resources"
      try Files.write(#"{"pids":{"limit":77}}"#, to: file)
      #expect(try podman(container, "update", "--resources=\(file)", id).outcome.code == 0)
      #expect(try Files.read(container.cgroup(CgroupView.current == .v2 ? "" : "pids") + "/pids.max") == "77\n")
      let pid = try container.pid()
      #expect(try podman(container, "kill", "--all", id, "15").outcome.code == 0)
      #expect(try podman(container, "kill", id, "9").outcome.code == 0)
      #expect(waitForEnd(of: pid))
      #expect(try podman(container, "delete", "--force", id).outcome.code == 0)
      try expectNothingLeft()
    }

    /// By these two calls podman finds out whether containers can be checkpointed, and pods: the second one by its text alone.
    @Test func podmanFindsOutAboutCheckpoints() throws {
      let help = try runtime(bare: ["checkpoint", "--help"])
      let probe = try runtime(bare: ["restore", "--lsm-mount-context"])
      let text = probe.stdout + probe.stderr
      let hasFlag = text.contains("flag needs an argument") || text.contains("requires an argument")
      #expect(probe.code != 0)
      #expect(hasFlag, "\(probe)")
      #expect((help.code == 0) == Files.exists("/usr/sbin/criu"), "\(help)")
      var options = Subprocess.Options()
      options.environment = ["PATH": "/nowhere"]
      let without = try runtime(bare: ["checkpoint", "--help"], options: options)
      expectError(without, detail: "checkpoints need CRIU, and there is no `criu` in PATH")
      #expect(without.stdout.isEmpty)
      #expect(try runtime(bare: ["help", "checkpoint"], options: options).code == 0)
    }

    /// The flag of crun for containers that stay in the cgroup of their caller.
    @Test(.peerDiffers("runc", "", "has no such flag"))
    func podmanDoesWithoutCgroups() throws {
      let container = try container { $0.bundle.config["linux"]["cgroupsPath"] = "" }
      container.globalFlags = ["--cgroup-manager", "disabled"]
      let outcome = try create(container)
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try podman(container, "start", container.id).outcome.code == 0)
    }
  }

  /// CRI-O and BuildKit.
  @Suite struct ManagerOthersTests {
    @Test(.peerDiffers("crun", "1.8.1", "says other words")) func criOStopsAContainer() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let id = container.id
      let root = container.root
      func call(_ words: String..., input: String = "") throws -> Outcome {
        try Subprocess(container.executable, root + words, .init(input: input)).wait()
      }
      // The state comes with the members of the specification, and when it was made.
      let state = try call("state", id).json
      #expect(state["ociVersion"].string?.hasPrefix("1.") == true && state["id"].string == id)
      #expect(state["status"].string == "created" && state["pid"].int != nil)
      #expect(state["bundle"].string == container.bundle.path)
      _ = try dateOfRFC3339(state["created"].string ?? "")
      try call("start", id).expectSuccess()
      try call("update", "--resources", "-", id, input: "{}").expectSuccess()
      try call("pause", id).expectSuccess()
      try call("resume", id).expectSuccess()
      let pid = try container.pid()
      try call("kill", "-a", id, "KILL").expectSuccess()
      #expect(waitForEnd(of: pid))
      Processes.reap()
      let late = try call("kill", id, "TERM")
      #expect(late.code != 0 && CRIO.isNotFound(late.stderr), "\(late)")
      try call("delete", "--force", id).expectSuccess()
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "has no such command yet")) func criOReadsTheVersionsOfTheFeatures() throws {
      let features = try runtime(bare: ["features"]).json
      for name in ["ociVersionMin", "ociVersionMax"] { #expect(features[name].string?.isEmpty == false, "\(name)") }
    }

    /// conmon-rs writes every value behind an equals sign.
    @Test func conmonInRustExecutes() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      let socket = try DescriptorSocket()
      let (file, document) = (container.bundle.path + "/pid", container.bundle.path + "/process.json")
      let process: JSONValue = [
        "terminal": true, "user": ["uid": 0, "gid": 0], "args": ["/bin/agent", "pause"], "cwd": "/",
      ]
      try Files.write(process.text, to: document)
      let words = [
        "exec", "-d", "--console-socket=\(socket.path)", "--tty", "--process", document, "--pid-file=\(file)",
        container.id,
      ]
      let outcome = try Subprocess(container.executable, container.root + words).wait()
      #expect(outcome.code == 0, "\(outcome)")
      let pid = try GoRunc.readPidFile(file)
      kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      Processes.reap()
    }

    /// In a process group of its own, whose leader gets the signals that are meant for the container.
    private func foreground(_ client: GoRunc, _ words: [String]) throws -> (shell: Subprocess, runtime: Int) {
      let file = client.container.bundle.path + "/runtime.pid"
      unlink(file)
      let line = "set -m; \"$0\" \"$@\" & echo $! >\(file).new; mv \(file).new \(file); wait $!"
      let flags = client.container.root + ["--log", client.log, "--log-format", "json"]
      let shell = try Subprocess("/bin/bash", ["-c", line, client.container.executable] + flags + words)
      try waitUntil("the runtime runs") { Files.exists(file) }
      let number = try Files.read(file).trimmingCharacters(in: .whitespacesAndNewlines)
      return (shell, try #require(Int(number)))
    }

    @Test(.peerDiffers("crun", "1.8.1", "hands no signals on"))
    func buildKitRunsInTheForeground() throws {
      let client = try GoRunc(Container(args: ["/bin/agent", "wait"]))
      let id = client.container.id
      let (shell, runtime) = try foreground(
        client, ["run", "--bundle", client.container.bundle.path, "--keep", id])
      try shell.stdout.waitFor("ready")
      #expect(getpgid(pid_t(runtime)) == pid_t(runtime) && getpgrp() != pid_t(runtime))
      kill(pid_t(runtime), SIGUSR1)
      #expect(try shell.stdout.readToEnd() == "ready\nsignal 10\n")
      #expect(try shell.wait().code == 0)
      #expect(try client.state().status == "stopped")
      try client.succeed("delete", id)
      try expectNothingLeft()
    }

    /// Where it takes too long, with the name of the signal.
    @Test func buildKitEndsAContainer() throws {
      let client = try GoRunc(Container(args: ["/bin/agent", "wait"]))
      let (shell, _) = try foreground(
        client, ["run", "--bundle", client.container.bundle.path, client.container.id])
      try shell.stdout.waitFor("ready")
      try client.succeed("kill", client.container.id, "KILL")
      #expect(try shell.wait().code == 137)
      try expectNothingLeft()
    }

    @Test func buildKitExecutesInTheForeground() throws {
      let client = try GoRunc(Container(args: ["/bin/agent", "pause"]))
      try client.create()
      try client.succeed("start", client.container.id)
      let (file, document) = (client.container.bundle.path + "/pid", client.container.bundle.path + "/process.json")
      for (command, code) in [("exit 3", 3), ("kill -9 $$", 137)] {
        let process: JSONValue = [
          "user": ["uid": 0, "gid": 0], "args": ["/bin/sh", "-c", .string(command)], "cwd": "/", "env": ["PATH=/bin"],
        ]
        try Files.write(process.text, to: document)
        let (shell, _) = try foreground(
          client, ["exec", "--process", document, "--pid-file", file, client.container.id])
        #expect(try shell.wait().code == code)
        #expect(try GoRunc.readPidFile(file) > 0)
      }
    }
  }
}
