import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Which processes are those of a container without a cgroup.
  @Suite(.apusOnly("the peers need a cgroup for that")) struct RootlessMemberTests {
    /// Without pid namespaces nothing tells the processes of the two apart.
    @Test(arguments: [false, true])
    func containerThatJoinedTheUserNamespaceOutlivesItsMaker(makerHasEnded: Bool) throws {
      let maker = try Container(args: ["/bin/agent", "pause"])
      maker.bundle.removeNamespace("pid")
      #expect(try maker.asUser("run", ["--detach"]).code == 0)
      guard let pid = try maker.asUser("state").json["pid"].int else { throw HarnessError("no pid") }
      let joined = try Container(args: ["/bin/agent", "pause"])
      joined.bundle.removeNamespace("pid")
      joined.bundle.removeNamespace("user")
      joined.bundle.config["linux"]["namespaces"].append(["type": "user", "path": .string("/proc/\(pid)/ns/user")])
      #expect(try joined.asUser("run", ["--detach"]).code == 0)
      if makerHasEnded {
        Glibc.kill(pid_t(pid), SIGKILL)
        #expect(waitForEnd(of: pid))
      }
      #expect(try maker.asUser("kill", ["--all"], rest: ["KILL"]).code == 0)
      #expect(waitForEnd(of: pid))
      #expect(try maker.asUser("delete").code == 0)
      #expect(try joined.asUser("state").json["status"].string == "running")
      #expect(try joined.asUser("delete", ["--force"]).code == 0)
    }

    /// The process that waits for `start` lets nobody look into it.
    @Test(arguments: [false, true], ["kill", "delete", "delete --force"])
    func createdContainerCanBeEnded(hasPidNamespace: Bool, by call: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      if !hasPidNamespace { container.bundle.removeNamespace("pid") }
      #expect(try container.asUser("create").code == 0)
      guard let pid = try container.asUser("state").json["pid"].int else { throw HarnessError("no pid") }
      #expect(try container.asUser("ps", rest: ["-o", "pid"]).stdout.contains("\(pid)"))
      if call == "kill" {
        let outcome = try container.asUser("kill", ["--all"], rest: ["KILL"])
        #expect(outcome.code == 0 && waitForEnd(of: pid), "\(outcome)")
      }
      let outcome = try container.asUser("delete", call == "delete --force" ? ["--force"] : [])
      #expect(outcome.code == 0, "\(outcome)")
      try expectNothingLeft()
    }

    @Test func recordThatCannotBeReadIsInNobodysWay() throws {
      let container = try Container(args: ["/bin/sh", "-c", "sleep 100 & wait"])
      container.bundle.removeNamespace("pid")
      #expect(try container.asUser("run", ["--detach"]).code == 0)
      guard let pid = try container.asUser("state").json["pid"].int else { throw HarnessError("no pid") }
      let folder = URL(fileURLWithPath: container.bundle.path).deletingLastPathComponent().path + "/apus/other"
      mkdir(folder, 0o755)
      try Files.write("garbage", to: folder + "/record")
      let outcome = try container.asUser("kill", ["--all"], rest: ["KILL"])
      #expect(outcome.code == 0 && outcome.stderr.contains("`other` is passed over"), "\(outcome)")
      #expect(waitForEnd(of: pid))
      #expect(try container.asUser("delete").code == 0)
      try FileManager.default.removeItem(atPath: folder)
      try expectNothingLeft()
    }

    @Test func processInAPidNamespaceBelowIsOneOfThem() throws {
      let container = try Container(args: ["/bin/sh", "-c", "unshare -U -p -f sleep 1000 & echo ready; wait"])
      container.bundle.removeNamespace("pid")
      container.bundle.config["root"]["readonly"] = false
      let run = try container.spawnAsUser("run")
      try run.stdout.waitFor("ready")
      let deadline = Deadline(5)
      while !Processes.descendants().contains(where: { $0.command == "(sleep)" }), !deadline.hasPassed { usleep(5000) }
      let killed = try container.asUser("kill", ["--all"], rest: ["KILL"])
      #expect(killed.code == 0, "\(killed)")
      // The shell may see the end of its child before its own comes.
      #expect([0, 137].contains(try run.wait().code))
      try expectNothingLeft()
    }
  }
}
