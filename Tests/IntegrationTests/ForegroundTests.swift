import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `run` in the foreground with a terminal.
  @Suite struct ForegroundTests {
    private func container(_ args: String...) throws -> Container {
      let container = try Container(args: args)
      container.bundle.config["process"]["terminal"] = true
      return container
    }

    private func run(_ container: Container, in terminal: CallersTerminal) throws -> Subprocess {
      try container.spawn("run", options: .init(terminal: terminal.slave))
    }

    /// As a shell does it: the runtime leads a session, and the terminal is its controlling one.
    private func runInSession(_ container: Container, in terminal: CallersTerminal) throws -> Subprocess {
      try container.bundle.write()
      let words =
        ["--ctty", "--wait", Runtime.current.path] + container.root
        + ["run", "--bundle", container.bundle.path, container.id]
      return try Subprocess("/usr/bin/setsid", words, .init(terminal: terminal.slave))
    }

    @Test func terminalIsCopiedBothWays() throws {
      let terminal = try CallersTerminal()
      let container = try container("/bin/sh", "-c", "read line; echo got $line; exit 7")
      let call = try runInSession(container, in: terminal)
      try terminal.screen.write("word\n")
      try terminal.screen.waitFor("got word\r\n")
      #expect(try call.wait().code == 7)
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "writes new lines itself"))
    func callersTerminalIsRawMeanwhileAndRestored() throws {
      let terminal = try CallersTerminal()
      let before = terminal.screen.settings
      let container = try container("/bin/sh", "-c", "echo ready; read line; exit 0")
      let call = try run(container, in: terminal)
      try terminal.screen.waitFor("ready\r\n")
      let during = terminal.screen.settings
      #expect(during[3] & UInt32(ICANON | ECHO | ISIG) == 0)
      #expect(during[1] & UInt32(OPOST) != 0, "new lines are still the caller's business")
      try terminal.screen.write("\r")
      #expect(try call.wait().code == 0)
      #expect(terminal.screen.settings == before)
    }

    @Test(.peerDiffers("crun", "1.8.1", "writes new lines itself"))
    func newLinesAreWrittenByTheCallersTerminal() throws {
      let terminal = try CallersTerminal()
      let call = try run(try container("/bin/agent", "report", "terminal"), in: terminal)
      #expect(try call.wait().code == 0)
      terminal.screen.drain()
      let report = try JSONValue(parsing: terminal.screen.text)["terminal"]
      #expect(report["stdin"]["mapsNewLine"].bool == false)
      #expect(report["controls"].bool == true)
      #expect(report["console"]["inode"] == report["stdin"]["inode"])
      #expect(terminal.screen.text.hasSuffix("}\r\n"))
    }

    @Test(.peerDiffers("crun", "1.8.1", "does not take the size over"))
    func terminalHasTheSizeOfTheCallersFromTheBeginning() throws {
      let terminal = try CallersTerminal(rows: 33, columns: 99)
      let container = try container("/bin/agent", "size")
      let call = try runInSession(container, in: terminal)
      try terminal.screen.waitFor("size 33 99")
      // The kernel sends SIGWINCH to the foreground: that is the runtime.
      terminal.screen.size = [40, 120]
      try terminal.screen.waitFor("size 40 120")
      try terminal.screen.write("\r")
      #expect(try call.wait().code == 0)
    }

    /// As BuildKit does it, which has the runtime in a process group of its own and no controlling terminal.
    @Test(.peerDiffers("crun", "1.8.1", "does not take the size over"))
    func sizeFollowsASignalToTheRuntime() throws {
      let terminal = try CallersTerminal(rows: 33, columns: 99)
      let container = try container("/bin/agent", "size")
      let call = try run(container, in: terminal)
      try terminal.screen.waitFor("size 33 99")
      terminal.screen.size = [10, 20]
      call.signal(SIGWINCH)
      try terminal.screen.waitFor("size 10 20")
      try terminal.screen.write("\r")
      #expect(try call.wait().code == 0)
    }

    @Test func keysThatMakeSignalsReachTheContainer() throws {
      let terminal = try CallersTerminal()
      let container = try container("/bin/sh", "-c", "trap 'echo interrupted; exit 9' INT; echo ready; read line")
      let call = try runInSession(container, in: terminal)
      try terminal.screen.waitFor("ready")
      try terminal.screen.write("\u{3}")
      try terminal.screen.waitFor("interrupted")
      #expect(try call.wait().code == 9)
    }

    @Test func signalsToTheRuntimeAreHandedOn() throws {
      let terminal = try CallersTerminal()
      let before = terminal.screen.settings
      let container = try container("/bin/sh", "-c", "trap 'echo ended; exit 3' TERM; echo ready; read line")
      let call = try run(container, in: terminal)
      try terminal.screen.waitFor("ready")
      call.signal(SIGTERM)
      try terminal.screen.waitFor("ended")
      #expect(try call.wait().code == 3)
      #expect(terminal.screen.settings == before)
    }

    @Test func terminalIsRestoredWhenTheProcessIsKilled() throws {
      let terminal = try CallersTerminal()
      let before = terminal.screen.settings
      let container = try container("/bin/sh", "-c", "echo ready; read line")
      let call = try run(container, in: terminal)
      try terminal.screen.waitFor("ready")
      try container.kill("KILL")
      #expect(try call.wait().code == 137)
      #expect(terminal.screen.settings == before)
      try expectNothingLeft()
    }

    @Test func terminalIsRestoredWhenTheCommandCannotBeExecuted() throws {
      let terminal = try CallersTerminal()
      let before = terminal.screen.settings
      let container = try container("/broken")
      try Files.write("no program", to: container.bundle.rootfs + "/broken")
      chmod(container.bundle.rootfs + "/broken", 0o755)
      let call = try run(container, in: terminal)
      #expect(try call.wait().code != 0)
      terminal.screen.drain()
      #expect(Words.has(terminal.screen.text, "exec format error"), "\(terminal.screen.text)")
      #expect(terminal.screen.settings == before)
      try expectNothingLeft()
    }

    @Test func longOutputArrivesWhole() throws {
      let terminal = try CallersTerminal()
      let call = try run(
        try container("/bin/sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done; echo end"),
        in: terminal)
      try terminal.screen.waitFor("end\r\n")
      #expect(try call.wait().code == 0)
      let lines = terminal.screen.text.split(separator: "\r\n")
      #expect(lines.count == 20001)
      #expect(lines.dropLast().enumerated().allSatisfy { $1 == "line \($0 + 1)" })
    }

    @Test(.peerDiffers("crun", "1.8.1", "loses the output"))
    func inputAndOutputMayBePipes() throws {
      let terminal = try CallersTerminal()
      let container = try container("/bin/sh", "-c", "read line; echo got $line")
      try container.bundle.write()
      // Standard error is the terminal that gets raw; the caller's own shell makes the pipes.
      let output = try Workspace.active().directory + "/output"
      let line =
        "echo word | \(Runtime.current.path) \(container.root.joined(separator: " ")) run"
        + " --bundle \(container.bundle.path) \(container.id) | cat >\(output)"
      #expect(try Subprocess("/bin/sh", ["-c", line], .init(terminal: terminal.slave)).wait().code == 0)
      #expect(try Files.read(output).contains("got word"))
    }

    @Test(.peerDiffers("crun", "1.8.1", "runs without one"))
    func noTerminalToCopyFromIsAnError() throws {
      let container = try container("/bin/agent", "report", "terminal")
      try container.bundle.write()
      let words = ["--wait", Runtime.current.path] + container.root
      let outcome = try Subprocess(
        "/usr/bin/setsid", words + ["run", "--bundle", container.bundle.path, container.id]
      ).wait()
      expectError(outcome, says: "/dev/tty", detail: "there is no terminal to copy from")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it and does not wait"))
    func consoleSocketInTheForegroundIsRefused() throws {
      let container = try container("/bin/agent", "report", "terminal")
      let socket = try DescriptorSocket()
      let outcome = try container.attempt("run", "--console-socket", socket.path)
      expectError(outcome, says: "cannot use console socket", detail: "`--console-socket`")
      try expectNothingLeft()
    }

    /// As BuildKit does it without a terminal: the streams of the caller are those of the container.
    @Test func streamsOfTheCallerAreInherited() throws {
      let container = try Container(args: ["/bin/sh", "-c", "cat; echo errors >&2; exit 4"])
      let outcome = try container.spawn("run", options: .init(input: "from the caller\n")).wait()
      #expect(outcome.code == 4)
      #expect(outcome.stdout == "from the caller\n")
      #expect(outcome.stderr == "errors\n")
    }
  }
}
