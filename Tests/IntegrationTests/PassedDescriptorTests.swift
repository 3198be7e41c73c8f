import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Descriptors that the agent command gets besides the standard streams, and those that managers get.
  @Suite struct PassedDescriptorTests {
    /// Opens one file for each name in the folder of the test.
    private func open(_ names: [String]) throws -> [Int32] {
      let folder = try Workspace.active().directory
      return try names.map { name in
        let descriptor = Glibc.open("\(folder)/\(name)", O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw HarnessError(errno: errno, "open \(name)") }
        return descriptor
      }
    }

    private func run(
      _ container: Container, _ flags: [String], _ descriptors: [Int32]
    ) throws -> Outcome {
      let outcome = try container.spawn("run", flags, options: .init(descriptors: descriptors)).wait()
      for descriptor in descriptors { close(descriptor) }
      return outcome
    }

    /// The names of the files behind the descriptors from 3 on, in order.
    private func names(_ report: JSONValue) -> [String] {
      let numbers = report["descriptors"].members.keys.compactMap { Int($0) }.filter { $0 > 2 }.sorted()
      #expect(numbers == Array(3..<(3 + numbers.count)), "a gap: \(numbers)")
      return numbers.map { report["descriptors"]["\($0)"].string?.split(separator: "/").last.map(String.init) ?? "" }
    }

    private func reporter() throws -> Container {
      try Container(args: ["/bin/agent", "report", "descriptors", "command"])
    }

    @Test(arguments: [1, 3, 60])
    func preservedDescriptorsKeepTheirNumbers(_ count: Int) throws {
      let wanted = (0..<count).map { "file\($0)" }
      // One more is open, and is not passed on.
      let outcome = try run(reporter(), ["--preserve-fds", "\(count)"], open(wanted + ["other"]))
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try names(outcome.json) == wanted)
    }

    @Test func preservedDescriptorsOutliveTheRuntime() throws {
      let container = try Container(args: ["/bin/sh", "-c", "echo from inside >&4"])
      let files = try open(["first", "second"])
      let made = try container.spawn("create", ["--preserve-fds=2"], options: .init(descriptors: files)).wait()
      #expect(made.code == 0, "\(made)")
      let pid = try container.pid()
      try container.start()
      _ = waitForEnd(of: pid)
      #expect(try Files.read(Workspace.active().directory + "/second") == "from inside\n")
      for file in files { close(file) }
    }

    @Test func preservedDescriptorsWithATerminalAndAUserNamespace() throws {
      let container = try reporter()
      try container.bundle.mapUsers()
      container.bundle.config["process"]["terminal"] = true
      let socket = try DescriptorSocket()
      let files = try open(["first", "second"])
      let flags = ["--preserve-fds", "2", "--console-socket", socket.path]
      let made = try container.spawn("create", flags, options: .init(descriptors: files)).wait()
      #expect(made.code == 0, "\(made)")
      let terminal = try socket.receiveTerminal()
      try container.start()
      #expect(try names(JSONValue(parsing: terminal.readToEnd())) == ["first", "second"])
      for file in files { close(file) }
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "passes one of its own in its place"),
      .peerDiffers("crun", "1.8.1", "passes what it has"))
    func descriptorThatIsNotOpenIsNamed() throws {
      let outcome = try run(reporter(), ["--preserve-fds", "3"], open(["first", "second"]))
      expectError(outcome, detail: "descriptor 5 is not open")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers pass their log file on"))
    func descriptorsOfTheRuntimeItselfAreNotPassedOn() throws {
      let container = try reporter()
      try container.bundle.write()
      let log = try Workspace.active().directory + "/log"
      let outcome = try runtime(
        bare: ["--log", log] + container.root
          + ["run", "--preserve-fds", "1", "--bundle", container.bundle.path, container.id])
      expectError(outcome, says: "descriptor 3 is not open")
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes what is a number of it"))
    func numberThatIsNoneIsRefused() throws {
      for number in ["x", "1x"] {
        expectError(try reporter().attempt("create", "--preserve-fds", number))
      }
      if !Runtime.current.isPeer {
        for number in ["-1", "1025", "4294967296"] {
          expectError(try reporter().attempt("create", "--preserve-fds", number), says: "`--preserve-fds`")
        }
      }
      try expectNothingLeft()
    }

    // MARK: Sockets that a manager listens on

    /// Calls the runtime as systemd would: LISTEN_PID is its own number.
    private func runListening(
      _ container: Container, _ variables: String, flags: String = "", _ descriptors: [Int32]
    ) throws -> Outcome {
      try container.bundle.write()
      let line =
        "\(variables) exec \(Runtime.current.path) \(container.root.joined(separator: " ")) run \(flags)"
        + " --bundle \(container.bundle.path) \(container.id)"
      let outcome = try Subprocess("/bin/sh", ["-c", line], .init(descriptors: descriptors)).wait()
      for descriptor in descriptors { close(descriptor) }
      return outcome
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves LISTEN_FDS out"))
    func socketsOfAManagerArePassedOn() throws {
      let outcome = try runListening(
        reporter(), "LISTEN_FDS=2 LISTEN_PID=$$", open(["first", "second", "third"]))
      let report = try outcome.json
      #expect(names(report) == ["first", "second"])
      let environment = report["env"].strings
      #expect(environment.contains("LISTEN_FDS=2"))
      #expect(environment.contains("LISTEN_PID=1"))
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "leaves the names out"),
      .peerDiffers("crun", "1.8.1", "leaves the names out"))
    func namesOfTheSocketsArePassedOn() throws {
      let container = try reporter()
      container.bundle.config["process"]["env"].append("LISTEN_FDNAMES=old")
      let outcome = try runListening(
        container, "LISTEN_FDS=2 LISTEN_PID=$$ LISTEN_FDNAMES=web:admin", open(["first", "second"]))
      let variables = try outcome.json["env"].strings.filter { $0.hasPrefix("LISTEN_FDNAMES=") }
      #expect(variables == ["LISTEN_FDNAMES=web:admin"])
    }

    @Test func preservedDescriptorsComeBehindTheSockets() throws {
      let outcome = try runListening(
        reporter(), "LISTEN_FDS=1 LISTEN_PID=$$", flags: "--preserve-fds 2",
        open(["first", "second", "third", "fourth"]))
      #expect(try names(outcome.json) == ["first", "second", "third"])
    }

    @Test(.peerDiffers("crun", "1.8.1", "does not look at LISTEN_PID"))
    func socketsForAnotherProcessAreNotPassedOn() throws {
      for variables in ["LISTEN_FDS=1 LISTEN_PID=1", "LISTEN_FDS=1", "LISTEN_FDS=x LISTEN_PID=$$"] {
        let report = try runListening(reporter(), variables, open(["first"])).json
        #expect(names(report) == [])
        #expect(!report["env"].strings.contains { $0.hasPrefix("LISTEN_") })
      }
    }

    // MARK: pidfd

    @Test(.apusOnly("the flag is newer than the peers here"))
    func pidfdIsSentToItsSocket() throws {
      for verb in [["create"], ["run", "--detach"]] {
        let container = try Container(args: ["/bin/agent", "pause"])
        let socket = try DescriptorSocket(name: "pidfd.sock")
        let flags = Array(verb.dropFirst()) + ["--pidfd-socket", socket.path]
        let outcome = try container.spawn(verb[0], flags).wait()
        #expect(outcome.code == 0, "\(outcome)")
        let (descriptor, text) = try socket.receive()
        defer { close(descriptor) }
        #expect(text == "standard")
        let information = try Files.read("/proc/self/fdinfo/\(descriptor)")
        #expect(information.contains("\nPid:\t\(try container.pid())\n"))
      }
    }

    @Test(.apusOnly("the flag is newer than the peers here"))
    func pidfdSocketThatIsNotThereIsRefused() throws {
      let container = try Container()
      let path = try Workspace.active().directory + "/nowhere"
      expectError(
        try container.attempt("create", "--pidfd-socket", path), says: "no such file or directory",
        detail: "`--pidfd-socket`")
      try expectNothingLeft()
    }
  }
}
