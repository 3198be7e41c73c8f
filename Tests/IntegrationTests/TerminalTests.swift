import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `process.terminal` with `--console-socket`.
  @Suite struct TerminalTests {
    /// A container with a terminal that reports it.
    private func reporter(_ sections: String...) throws -> Container {
      let container = try Container(args: ["/bin/agent", "report"] + sections)
      container.bundle.config["process"]["terminal"] = true
      return container
    }

    private func create(_ container: Container) throws -> Terminal {
      let socket = try DescriptorSocket()
      try container.create("--console-socket", socket.path)
      return try socket.receiveTerminal()
    }

    /// What the agent wrote to its terminal, up to its end.
    private func report(_ container: Container) throws -> JSONValue {
      let terminal = try create(container)
      try container.start()
      return try JSONValue(parsing: terminal.readToEnd())
    }

    @Test func standardStreamsAreTheTerminal() throws {
      let report = try report(try reporter("terminal", "process", "descriptors"))
      let terminal = report["terminal"]
      for stream in ["stdin", "stdout", "stderr"] {
        #expect(terminal[stream]["isTerminal"].bool == true, "\(stream)")
        #expect(terminal[stream]["major"].int == 136)
        #expect(terminal[stream]["magic"].int == 0x1cd1)
        #expect(terminal[stream]["minor"].int == 0, "the first of the container's own devpts")
      }
      #expect(report["descriptors"].members.keys.sorted() == ["0", "1", "2"])
    }

    @Test func terminalControlsTheSession() throws {
      let report = try report(try reporter("terminal", "process"))
      #expect(report["sid"].int == 1)
      #expect(report["terminal"]["session"].int == 1)
      #expect(report["terminal"]["foregroundGroup"].int == 1)
      #expect(report["terminal"]["controls"].bool == true)
    }

    @Test func consoleIsTheTerminal() throws {
      let terminal = try report(try reporter("terminal"))["terminal"]
      #expect(terminal["consoleErrno"].int == 0)
      for key in ["inode", "major", "minor", "magic", "uid", "mode"] {
        #expect(terminal["console"][key] == terminal["stdin"][key], "\(key)")
      }
    }

    @Test func consoleIsNotMadeWithoutATerminal() throws {
      let container = try reporter("devices")
      container.bundle.config["process"]["terminal"] = false
      let report = try container.run().json
      #expect(report["dev"]["null"]["type"].string == "char")
      #expect(report["dev"]["console"] == .null)
    }

    /// Whoever gets the terminal decides how new lines are written; runc and crun leave it as the kernel has it.
    @Test func settingsOfTheTerminalAreTheKernels() throws {
      let stdin = try report(try reporter("terminal"))["terminal"]["stdin"]
      #expect(stdin["mapsNewLine"].bool == true)
      #expect(stdin["echoes"].bool == true)
    }

    @Test(.peerDiffers("crun", "1.8.1", "sends another text"))
    func nameThatComesWithTheTerminalIsThatOfRunc() throws {
      let container = try reporter()
      #expect(try create(container).name == "/dev/ptmx")
    }

    @Test func terminalHasTheSizeOfTheConfiguration() throws {
      let container = try reporter("terminal")
      container.bundle.config["process"]["consoleSize"] = ["height": 31, "width": 117]
      let terminal = try report(container)["terminal"]
      #expect(terminal["rows"].int == 31)
      #expect(terminal["columns"].int == 117)
    }

    @Test func sizeWithoutATerminalIsIgnored() throws {
      let container = try reporter("terminal")
      container.bundle.config["process"]["terminal"] = false
      container.bundle.config["process"]["consoleSize"] = ["height": 31, "width": 117]
      #expect(try container.run().json["terminal"]["rows"].int == 0)
    }

    @Test(.apusOnly("the peers cut the number to 16 bits"))
    func sizeThatNoTerminalCanHaveIsRefused() throws {
      let container = try reporter()
      container.bundle.config["process"]["consoleSize"] = ["height": 24, "width": 65536]
      let socket = try DescriptorSocket()
      expectError(try container.attempt("create", "--console-socket", socket.path), says: "/process/consoleSize")
    }

    @Test func terminalBelongsToTheUserOfTheProcess() throws {
      let container = try reporter("terminal")
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let terminal = try report(container)["terminal"]
      for file in ["stdin", "console"] {
        #expect(terminal[file]["uid"].int == 1000)
        #expect(terminal[file]["gid"].int == 5, "the group that the mount options name")
        #expect(terminal[file]["mode"].int == 0o620)
      }
    }

    @Test func terminalInAUserNamespace() throws {
      let container = try reporter("terminal")
      try container.bundle.mapUsers()
      container.bundle.config["process"]["user"] = ["uid": 7, "gid": 7]
      let terminal = try report(container)["terminal"]
      #expect(terminal["stdin"]["uid"].int == 7)
      #expect(terminal["console"]["inode"] == terminal["stdin"]["inode"])
      #expect(terminal["controls"].bool == true)
    }

    @Test func inputReachesTheProcessAndItsSignalsToo() throws {
      let container = try Container(args: ["/bin/sh", "-c", "read line; echo \"got $line\"; exec sleep 1000"])
      container.bundle.config["process"]["terminal"] = true
      let socket = try DescriptorSocket()
      try container.runDetached("--console-socket", socket.path)
      let terminal = try socket.receiveTerminal()
      try terminal.write("word\n")
      try terminal.waitFor("got word")
      // ^\ makes SIGQUIT for the foreground, which has no handler and is process 1: only the kernel's own rule for it
      // keeps it alive.
      try terminal.write("\u{1c}")
      #expect(try container.status() == "running")
      try container.end()
      try terminal.readToEnd()
    }

    @Test func closedTerminalIsAHangUp() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      container.bundle.config["process"]["terminal"] = true
      do {
        let terminal = try create(container)
        try container.start()
        try terminal.waitFor("ready")
      }
      // SIGHUP goes to the leader of the session; the agent takes any signal as its end.
      var isStopped = false
      let deadline = Deadline(Limits.call)
      while !isStopped && !deadline.hasPassed {
        isStopped = try container.status() == "stopped"
        if !isStopped { usleep(20_000) }
      }
      #expect(isStopped)
    }

    @Test(.peerDiffers("runc", "1.1.5", "empties the file of the image"))
    func consoleOfAReadOnlyImage() throws {
      let container = try reporter("terminal")
      // /dev and the devpts in it are the image's own folders.
      container.bundle.removeMount("/dev")
      for name in ["/dev/shm", "/dev/mqueue"] { container.bundle.removeMount(name) }
      mkdir(container.bundle.rootfs + "/dev/pts", 0o755)
      try Files.write("left by the image", to: container.bundle.rootfs + "/dev/console")
      let terminal = try report(container)["terminal"]
      #expect(terminal["console"]["inode"] == terminal["stdin"]["inode"])
      try container.delete("--force")
      #expect(try Files.read(container.bundle.rootfs + "/dev/console") == "left by the image")
    }

    @Test func consoleInAReadOnlyDev() throws {
      let container = try reporter("terminal")
      container.bundle.removeMount("/dev")
      var mount = Bundle.defaultConfig["mounts"][1]
      mount["options"].append("ro")
      container.bundle.config["mounts"] = .array([mount] + container.bundle.config["mounts"].elements)
      let terminal = try report(container)["terminal"]
      #expect(terminal["console"]["inode"] == terminal["stdin"]["inode"])
    }

    // MARK: Bad input

    @Test func terminalWithoutAConsoleSocketIsRefused() throws {
      for verb in [["create"], ["run", "--detach"]] {
        let container = try reporter()
        let outcome = try container.spawn(verb[0], Array(verb.dropFirst())).wait()
        expectError(outcome, says: Runtime.current.name == "crun" ? "console-socket" : "console socket")
        try expectNothingLeft()
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "ignores it"))
    func consoleSocketWithoutATerminalIsRefused() throws {
      let container = try reporter()
      container.bundle.config["process"]["terminal"] = false
      let socket = try DescriptorSocket()
      let outcome = try container.attempt("create", "--console-socket", socket.path)
      expectError(outcome, says: "cannot use console socket", detail: "`--console-socket`")
      try expectNothingLeft()
    }

    @Test func consoleSocketThatIsNotThereIsRefused() throws {
      let container = try reporter()
      let path = try Workspace.active().directory + "/nowhere"
      let outcome = try container.attempt("create", "--console-socket", path)
      expectError(outcome, says: "no such file or directory", detail: "`--console-socket`")
      try expectNothingLeft()
    }

    @Test func consoleSocketThatNobodyListensOnIsRefused() throws {
      let container = try reporter()
      let path = try Workspace.active().directory + "/dead"
      close(support_unix_socket(path, Int32(SOCK_STREAM.rawValue), 1))
      chmod(path, 0o777)
      let outcome = try container.attempt("create", "--console-socket", path)
      expectError(outcome, detail: "nobody listens there")
      try expectNothingLeft()
    }

    @Test func consoleSocketThatIsNoSocketIsRefused() throws {
      let container = try reporter()
      let path = try Workspace.active().directory + "/file"
      try Files.write("", to: path)
      expectError(
        try container.attempt("create", "--console-socket", path), detail: "socket operation on non-socket")
      expectError(
        try container.attempt("create", "--console-socket", "/"), detail: "socket operation on non-socket")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers wait for ever"))
    func consoleSocketThatNeverAcceptsIsGivenUp() throws {
      let container = try reporter()
      let socket = try DescriptorSocket(backlog: 0)
      // One that waits fills the queue.
      let first = support_unix_connect(socket.path)
      defer { close(first) }
      expectError(
        try container.attempt("create", "--console-socket", socket.path), detail: "does not accept")
      try expectNothingLeft()
    }

    @Test func consoleSocketThatIsNeverReadHoldsNobodyUp() throws {
      let container = try reporter()
      let socket = try DescriptorSocket()
      try container.create("--console-socket", socket.path)
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("runc", "1.1.5", "connects by the name as it is"))
    func consoleSocketMayHaveALongName() throws {
      let container = try reporter("terminal")
      let folder = try Workspace.active().directory + "/" + String(repeating: "long", count: 30)
      mkdir(folder, 0o755)
      let socket = try DescriptorSocket(name: "s")
      #expect(rename(socket.path, folder + "/s") == 0)
      try container.create("--console-socket", folder + "/s")
      let terminal = try socket.receiveTerminal()
      try container.start()
      #expect(try JSONValue(parsing: terminal.readToEnd())["terminal"]["controls"].bool == true)
    }
  }
}
