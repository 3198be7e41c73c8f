import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// NOTIFY_SOCKET: a manager that waits for sd_notify(3).
  @Suite struct NotifyTests {
    /// The manager's end.
    private final class Manager {
      let address: String
      private let descriptor: Int32

      init(_ address: String? = nil) throws {
        self.address = try address ?? Workspace.active().directory + "/manager"
        descriptor = support_unix_socket(self.address, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { throw HarnessError(errno: errno, "bind \(self.address)") }
      }

      deinit {
        close(descriptor)
        unlink(address)
      }

      var options: Subprocess.Options {
        var options = Subprocess.Options()
        options.environment = ProcessInfo.processInfo.environment
        options.environment?["NOTIFY_SOCKET"] = address
        return options
      }

      /// The next message, and the descriptor that came along or -1; nil where none comes in time.
      func receive(timeout: Double = 10) -> (text: String, descriptor: Int32)? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, Deadline(timeout).milliseconds) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4096)
        var passed: Int32 = -1
        let count = support_receive(descriptor, &bytes, UInt(bytes.count), &passed)
        return (String(decoding: bytes[..<max(0, count)], as: UTF8.self), passed)
      }

      /// What comes for a container that is ready. The barrier, which runc sends from 1.2 on, is let go.
      func receiveAll() throws -> [String] {
        var texts: [String] = []
        while texts.count < 2 {
          guard let text = receive()?.text else { throw HarnessError("no more came than \(texts)") }
          texts.append(text)
        }
        if Runtime.current.isPeer { return texts }
        guard let barrier = receive(), barrier.text == "BARRIER=1", barrier.descriptor >= 0 else {
          throw HarnessError("no barrier came behind \(texts)")
        }
        close(barrier.descriptor)
        return texts
      }
    }

    private func container(_ texts: String...) throws -> Container {
      try Container(args: ["/bin/agent", "notify"] + texts)
    }

    private func create(_ container: Container, _ manager: Manager) throws {
      let outcome = try container.spawn("create", options: manager.options).wait()
      try #require(outcome.code == 0, "\(outcome)")
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "has its own way, without MAINPID and BARRIER"),
      .peerDiffers("runc", "1.1.5", "sends no BARRIER"))
    func startReturnsWhenTheContainerIsReady() throws {
      let manager = try Manager()
      let container = try container("STATUS=soon", "READY=1")
      try create(container, manager)
      let pid = try container.pid()
      let call = try container.spawn("start", options: manager.options)
      try container.stdout.waitFor("sent 0: ok")
      #expect(call.isStillRunning(after: 0.3))
      // The lock is not held meanwhile.
      #expect(try container.status() == "running")
      try container.kill("USR1")
      try container.stdout.waitFor("sent 1: ok")
      #expect(manager.receive()?.text == "READY=1\n", "and nothing of what is only for the manager of the inside")
      #expect(manager.receive()?.text == "MAINPID=\(pid)\n")
      let barrier = try #require(manager.receive())
      #expect(barrier.text == "BARRIER=1")
      #expect(barrier.descriptor >= 0)
      #expect(call.isStillRunning(after: 0.3))
      close(barrier.descriptor)
      #expect(try call.wait().code == 0)
    }

    @Test(.peerDiffers("crun", "1.8.1", "has its own way, without MAINPID and BARRIER"))
    func runWaitsForReadinessToo() throws {
      for flags in [["--detach"], []] {
        let manager = try Manager()
        let container = try container("READY=1")
        let call = try container.spawn("run", flags, options: manager.options)
        let texts = try manager.receiveAll()
        // In the foreground it is the runtime that the manager watches.
        let main = flags.isEmpty ? Int(call.process) : try container.pid()
        #expect(texts == ["READY=1\n", "MAINPID=\(main)\n"])
        if flags.isEmpty { try container.kill("USR1") }
        #expect(try call.wait().code == 0)
      }
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "takes the message only if it begins with it"),
      .peerDiffers("crun", "1.8.1", "has its own way"))
    func readinessBehindAnotherLineCounts() throws {
      let manager = try Manager()
      let container = try container("STATUS=here\nREADY=1\nWATCHDOG=1")
      let call = try container.spawn("run", options: manager.options)
      #expect(try manager.receiveAll().first == "READY=1\n")
      try container.kill("USR1")
      #expect(try call.wait().code == 0)
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "mounts the socket elsewhere"),
      .peerDiffers("runc", "1.1.5", "does not see that the container has ended"))
    func containerHasASocketOfItsOwn() throws {
      let manager = try Manager()
      let container = try Container(args: ["/bin/agent", "report", "command", "mounts"])
      container.bundle.config["process"]["env"].append("NOTIFY_SOCKET=/other")
      let report = try container.spawn("run", options: manager.options).wait().json
      let variables = report["env"].strings.filter { $0.hasPrefix("NOTIFY_SOCKET=") }
      #expect(variables == ["NOTIFY_SOCKET=/run/notify/notify.sock"])
      let mount = report["mounts"].elements.first { $0["destination"].string == "/run/notify" }
      let options = mount?["options"].string?.split(separator: ",") ?? []
      for option: Substring in ["ro", "nosuid", "nodev", "noexec"] { #expect(options.contains(option)) }
      #expect(mount?["propagation"].strings == [])
    }

    @Test(.peerDiffers("crun", "1.8.1", "has its own way"))
    func anyUserMaySayThatItIsReady() throws {
      let manager = try Manager()
      let container = try container("READY=1")
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let call = try container.spawn("run", options: manager.options)
      #expect(try manager.receiveAll().first == "READY=1\n")
      try container.kill("USR1")
      #expect(try call.wait().code == 0)
    }

    @Test(.peerDiffers("crun", "1.8.1", "has its own way"))
    func rootOfAUserNamespaceMaySayThatItIsReady() throws {
      let manager = try Manager()
      let container = try container("READY=1")
      try container.bundle.mapUsers()
      let call = try container.spawn("run", options: manager.options)
      #expect(try manager.receiveAll().first == "READY=1\n")
      try container.kill("USR1")
      #expect(try call.wait().code == 0)
    }

    @Test(.peerDiffers("crun", "1.8.1", "has its own way"))
    func messageTooLongIsNoHarm() throws {
      let manager = try Manager()
      let container = try container("100000", "READY=1")
      let call = try container.spawn("run", options: manager.options)
      try container.stdout.waitFor("sent 0: ok")
      try container.kill("USR1")
      #expect(try manager.receiveAll().first == "READY=1\n")
      try container.kill("USR1")
      #expect(try call.wait().code == 0)
    }

    @Test(.peerMayDiffer("crun", "1.8.1", "takes half a minute, or fails"))
    func managerMayHaveAnAbstractName() throws {
      let manager = try Manager("@\(TestRun.tag)")
      let container = try container("READY=1")
      let call = try container.spawn("run", options: manager.options)
      #expect(try manager.receiveAll().count == 2)
      try container.kill("USR1")
      #expect(try call.wait().code == 0)
    }

    @Test(.peerDiffers("runc", "1.1.5", "waits until somebody has collected the zombie"))
    func containerThatEndsIsNotWaitedFor() throws {
      let manager = try Manager()
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try create(container, manager)
      #expect(try container.attempt("start", options: manager.options).code == 0)
      #expect(manager.receive(timeout: 0.1)?.text != "READY=1\n")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "starts it, then fails"),
      .peerDiffers("crun", "1.8.1", "starts it, then fails"))
    func managerThatIsGoneIsAnErrorBeforeTheStart() throws {
      let manager = try Manager()
      let container = try container("READY=1")
      try create(container, manager)
      let gone = manager.options
      unlink(manager.address)
      expectError(
        try container.attempt("start", options: gone), says: "no such file or directory", detail: "NOTIFY_SOCKET")
      #expect(try container.status() == "created")
    }

    @Test(.peerDiffers("runc", "1.1.5", "fails"), .peerDiffers("crun", "1.8.1", "fails"))
    func managerThatComesOnlyWithStartIsNotServed() throws {
      let manager = try Manager()
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      #expect(try container.attempt("start", options: manager.options).code == 0)
    }
  }
}
