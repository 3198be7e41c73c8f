import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `--systemd-cgroup` where there is no systemd to be had, and `--cgroup-manager`.
  @Suite struct CgroupDriverTests {
    private func options(_ address: String) -> Subprocess.Options {
      var options = Subprocess.Options()
      options.environment = ["PATH": "/usr/bin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": address]
      return options
    }

    private func container(_ path: String? = nil) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.globalFlags = ["--systemd-cgroup"]
      container.bundle.config["linux"]["cgroupsPath"] = .string(path ?? "system.slice:apustest:\(container.id)")
      return container
    }

    @Test(.apusOnly("in our words")) func absentBusIsAnError() throws {
      let container = try container()
      let outcome = try container.attempt("create", options: options("unix:path=/nowhere/bus"))
      expectError(outcome, detail: "cannot reach the system bus at `unix:path=/nowhere/bus`")
      #expect(outcome.stderr.contains("leave out `--systemd-cgroup`"))
      expectError(
        try container.attempt("create", options: options("tcp:host=localhost")),
        detail: "is no address of the system bus")
      try expectNothingLeft()
    }

    /// Somebody listens, and says nothing.
    @Test(.apusOnly("the peers wait for ever")) func lateBusIsAnErrorWithinItsBound() throws {
      let container = try container()
      let path = try Workspace.active().directory + "/bus"
      let bus = try Listener(path) { _ in Thread.sleep(forTimeInterval: 30) }
      let start = Date()
      let outcome = try container.attempt("create", options: options("unix:path=\(path)"), timeout: 40)
      expectError(outcome, detail: "no answer from the system bus at `unix:path=\(path)` within 10 seconds")
      #expect(Date().timeIntervalSince(start) < 25)
      bus.close()
      unlink(path)
      try expectNothingLeft()
    }

    /// A number is another process there.
    @Test(.apusOnly("the peers have it moved")) func busOfAnotherPidNamespaceIsAnError() throws {
      let container = try container()
      let path = try Workspace.active().directory + "/bus"
      let bus = try Listener(path) { connection in
        var buffer = [UInt8](repeating: 0, count: 16384)
        while read(connection, &buffer, buffer.count) > 0 {}
      }
      let script = "\(container.bundle.path)/below"
      try Files.write(
        "#!/bin/sh\nexec unshare --pid --fork --mount-proc \(container.executable) \"$@\"\n", to: script)
      try #require(chmod(script, 0o755) == 0)
      container.executable = script
      expectError(
        try container.attempt("create", options: options("unix:path=\(path)")), detail: "is in another pid namespace")
      bus.close()
      unlink(path)
      try expectNothingLeft()
    }

    /// Before it lets us in, behind that, within an answer, and when the job has been given.
    @Test(.apusOnly("in our words")) func busThatDiesHalfWayIsAnError() throws {
      let letsIn = Array("DATA\r\nOK 1234\r\n".utf8)
      let answers = [
        [], letsIn, letsIn + [0x6C, 2, 0, 1], letsIn + Self.reply(to: 3, "/org/freedesktop/systemd1/job/7"),
      ]
      for answer in answers {
        let container = try container()
        let path = try Workspace.active().directory + "/bus"
        let bus = try Listener(path) { connection in
          var buffer = [UInt8](repeating: 0, count: 16384)
          _ = read(connection, &buffer, buffer.count)
          _ = answer.withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
        }
        let outcome = try container.attempt("create", options: options("unix:path=\(path)"))
        expectError(
          outcome,
          detail:
            "cannot start the unit `apustest-\(container.id).scope`: the system bus at `unix:path=\(path)` has closed")
        bus.close()
        unlink(path)
        try expectNothingLeft()
      }
    }

    /// A method return of D-Bus with one object path in it.
    private static func reply(to serial: UInt8, _ path: String) -> [UInt8] {
      let text = Array(path.utf8)
      let body = [UInt8(text.count), 0, 0, 0] + text + [0]
      return [0x6C, 2, 0, 1, UInt8(body.count), 0, 0, 0, 9, 0, 0, 0, 15, 0, 0, 0]
        + [5, 1, 0x75, 0, serial, 0, 0, 0] + [8, 1, 0x67, 0, 1, 0x6F, 0, 0] + body
    }

    @Test(.apusOnly("in our words")) func pathThatNamesNoScopeIsRefusedBeforeAnythingIsAsked() throws {
      for path in ["/a/b", "a:b", "a.slice:b:c.slice", "a/b.slice:c:d"] {
        let container = try container(path)
        expectError(
          try container.attempt("create", options: options("unix:path=/nowhere")), detail: "(at `/linux/cgroupsPath`)")
      }
    }

    /// It has no controller to give there.
    @Test(.apusOnly("in our words"), .views(.v1, .hybrid)) func systemdOfAUserIsRefusedOnV1() throws {
      let container = try container()
      container.globalFlags.append("--rootless=true")
      expectError(
        try container.attempt("create", options: options("unix:path=/nowhere")),
        detail: "the systemd of a user has cgroups for containers only where cgroups are of version 2 alone")
      try expectNothingLeft()
    }

    /// systemd writes the one list of v1, and would have the last word.
    @Test(.apusOnly("runc has it closed for good"), .views(.v1, .hybrid))
    func deviceRulesThatSystemdCannotSayAreRefusedOnV1() throws {
      let container = try container()
      container.bundle.config["linux"]["resources"]["devices"] = [
        ["allow": true, "access": "rwm"], ["allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"],
      ]
      expectError(
        try container.attempt("create", options: options("unix:path=/nowhere")),
        detail: "(at `/linux/resources/devices`)")
      try expectNothingLeft()
    }

    @Test(.apusOnly("in our words")) func malformedAnnotationIsNamed() throws {
      let container = try container()
      container.bundle.config["annotations"] = ["org.systemd.property.MemoryMax": "uint64"]
      expectError(
        try container.attempt("create", options: options("unix:path=/nowhere")),
        detail: "(at `/annotations/org.systemd.property.MemoryMax`)")
    }

    @Test(.apusOnly("they have one flag, or the last one holds")) func flagsThatContradictEachOtherAreRefused() throws {
      for name in ["cgroupfs", "disabled"] {
        expectError(
          try runtime("--systemd-cgroup", "--cgroup-manager", name, "list"), detail: "contradicts `--systemd-cgroup`")
      }
      try runtime("--systemd-cgroup", "--cgroup-manager=systemd", "list").expectSuccess()
    }

    // Without any cgroup

    @Test(.peerDiffers("runc", "", "has no such flag"), .peerDiffers("crun", "1.8.1", "wants v2 alone"))
    func containerWithoutCgroupsStaysInThatOfItsCreator() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.globalFlags = ["--cgroup-manager=disabled"]
      try container.runDetached()
      #expect(try Files.read("/proc/\(container.pid())/cgroup") == Files.read("/proc/self/cgroup"))
      let command = try container.attempt("exec", rest: ["/bin/agent", "exit", "7"])
      #expect(command.code == 7, "\(command)")
      try container.kill("KILL")
      try waitUntil { try container.status() == "stopped" }
      try container.delete()
    }

    @Test(.apusOnly("crun says nothing")) func limitWithoutCgroupsIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.globalFlags = ["--cgroup-manager=disabled"]
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 5]
      expectError(try container.attempt("create"), detail: "cgroups are disabled (at `/linux/resources/pids/limit`)")
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": -1]
      try container.create()
      expectError(try container.attempt("update", "--pids-limit", "5"), detail: "has no cgroup that could have limits")
      expectError(try container.attempt("pause"), detail: "has no cgroup by which it could be paused")
    }
  }
}

/// A socket at a path that does one thing with each connection.
private final class Listener: @unchecked Sendable {
  private let descriptor: Int32

  init(_ path: String, _ body: @escaping @Sendable (Int32) -> Void) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, listen(descriptor, 4) == 0 else { throw HarnessError(errno: errno, path) }
    let listener = descriptor
    Thread {
      while true {
        let connection = accept(listener, nil, nil)
        if connection < 0 { return }
        body(connection)
        Glibc.close(connection)
      }
    }.start()
  }

  func close() {
    shutdown(descriptor, Int32(SHUT_RDWR))
    Glibc.close(descriptor)
  }
}
