import Foundation
import Testing

extension Integration {
  /// Containers that share namespaces, as those of a pod do: the first one, the sandbox, makes them, and the others join.
  @Suite struct PodTests {
    private static let kinds = [("network", "net"), ("ipc", "ipc"), ("uts", "uts")]

    /// What else of the sandbox is shared.
    private struct Pod {
      let sandbox: Container
      /// By /proc/PID/ns.
      let first: Container
      /// By a path that the namespaces are bound to.
      let second: Container
      /// Like the first, and in the sandbox's pid namespace.
      let third: Container

      var others: [Container] { [first, second, third] }
      var all: [Container] { [sandbox] + others }
    }

    /// Binds a file to a path of the test for as long as `body` runs: with it, the name is gone.
    private func bound<Result>(
      _ files: [(name: String, file: String)], _ body: (_ folder: String) throws -> Result
    ) throws -> Result {
      let folder = try Workspace.active().directory + "/bound-\(UUID().uuidString)"
      mkdir(folder, 0o755)
      var made: [String] = []
      defer {
        for path in made {
          umount2(path, Int32(MNT_DETACH))
          unlink(path)
        }
        rmdir(folder)
      }
      for (name, file) in files {
        let path = "\(folder)/\(name)"
        try Files.write("", to: path)
        made.append(path)
        guard mount(file, path, nil, UInt(MS_BIND), nil) == 0 else { throw HarnessError(errno: errno, "mount \(path)") }
      }
      return try body(folder)
    }

    /// All four run; what each of them is, is said by `change`.
    private func pod(
      users: Bool = false, _ change: (Container) throws -> Void = { _ in }
    ) throws -> Pod {
      let sandbox = try Container(args: ["/bin/agent", "pause"])
      sandbox.bundle.config["hostname"] = "pod"
      if users { try sandbox.bundle.mapUsers() }
      try change(sandbox)
      try sandbox.runDetached()
      let folder = "/proc/\(try sandbox.pid())/ns"
      func member(_ folder: String, pid: Bool = false) throws -> Container {
        let container = try Container(args: ["/bin/agent", "pause"])
        container.bundle.config["hostname"] = nil
        if users { try container.bundle.joinUsers("\(folder)/user") }
        for (type, file) in PodTests.kinds { container.bundle.join(type, "\(folder)/\(file)") }
        if pid { container.bundle.join("pid", "\(folder)/pid") }
        try change(container)
        try container.runDetached()
        return container
      }
      let first = try member(folder)
      let names = PodTests.kinds.map(\.1) + (users ? ["user"] : [])
      let second = try bound(names.map { ($0, "\(folder)/\($0)") }) { try member($0) }
      return Pod(sandbox: sandbox, first: first, second: second, third: try member(folder, pid: true))
    }

    // MARK: Checks

    private func namespaces(of container: Container) throws -> JSONValue {
      try container.execReport("namespaces")["namespaces"]
    }

    private func expectOneHostname(_ containers: [Container]) throws {
      for container in containers {
        #expect(try container.execReport("host")["hostname"].string == "pod", "\(container.id)")
      }
    }

    /// One makes a shared memory, a semaphore and a message queue, and the others find what is in them.
    private func expectOneIPC(_ containers: [Container]) throws {
      try containers[0].exec(["/bin/agent", "ipc", "make"]).expectSuccess()
      for container in containers {
        let found = try container.exec(["/bin/agent", "ipc", "find"]).json
        #expect(found["memory"].string == "of the pod", "\(found.text)")
        #expect(found["semaphore"].int == 42, "\(found.text)")
        #expect(found["message"].string == "from the pod", "\(found.text)")
      }
    }

    /// One listens on a port of localhost, and the others reach it; the host does not.
    private func expectOneNetwork(_ containers: [Container]) throws {
      let port = "\(20_000 + Int(getpid()) % 10_000)"
      let server = try containers[0].spawn("exec", rest: ["/bin/agent", "port", "answer", port, "well met"])
      try server.stdout.waitFor("ready")
      for container in containers {
        let outcome = try container.exec(["/bin/agent", "port", "ask", port])
        #expect(outcome.stdout == "well met\n", "\(outcome)")
        #expect(try container.execReport("interfaces")["interfaces"].members.keys.sorted() == ["lo"])
      }
      let agent = containers[0].bundle.rootfs + "/bin/agent"
      #expect(try Subprocess(agent, ["port", "ask", port]).wait().code != 0, "the host's")
      // The runtime hands it on.
      server.signal(SIGTERM)
      #expect(try server.wait().code == 143)
    }

    private func expectRunning(_ containers: [Container]) throws {
      for (number, container) in containers.enumerated() {
        #expect(try container.status() == "running")
        #expect(try container.exec(["/bin/agent", "exit", "\(number + 1)"]).code == Int32(number + 1))
      }
    }

    private func processes(of container: Container) throws -> [Int] {
      try container.spawn("ps", ["--format", "json"]).wait().json.ints
    }

    // MARK: What is shared

    @Test(arguments: [false, true])
    func containersOfAPodShareWhatTheyJoinAndNothingElse(users: Bool) throws {
      let pod = try pod(users: users)
      let own = try namespaces(of: pod.sandbox)
      for container in pod.others {
        let namespaces = try namespaces(of: container)
        for file in PodTests.kinds.map(\.1) + ["user"] { #expect(namespaces[file] == own[file], "\(file)") }
        #expect(namespaces["mnt"] != own["mnt"])
        #expect((namespaces["pid"] == own["pid"]) == (container === pod.third))
        #expect(try processes(of: container).count == 1, "of a shared namespace those of the container only")
      }
      #expect((own["user"].int == Files.inode("/proc/self/ns/user")) == !users)
      try expectOneHostname(pod.all)
      try expectOneIPC(pod.all)
      try expectOneNetwork(pod.all)
      try expectRunning(pod.all)
    }

    @Test func processesOfASharedPidNamespaceSeeEachOther() throws {
      let pod = try pod()
      for container in [pod.sandbox, pod.third] {
        let outcome = try container.exec(["/bin/busybox", "ps", "-o", "pid,args"])
        let lines = outcome.stdout.split(separator: "\n").dropFirst().map { $0.split(separator: " ") }
        let agents = lines.filter { $0.dropFirst() == ["/bin/agent", "pause"] }
        #expect(agents.count == 2 && agents.contains { $0.first == "1" }, "\(outcome)")
      }
      #expect(try pod.third.execReport("process")["ppid"].int == 0)
      for container in [pod.first, pod.second] {
        let outcome = try container.exec(["/bin/busybox", "ps", "-o", "pid,args"])
        #expect(outcome.stdout.components(separatedBy: "/bin/agent pause").count == 2, "\(outcome)")
      }
      // A signal for a member is not one for the sandbox.
      let pid = try pod.third.pid()
      try pod.third.kill("KILL")
      #expect(waitForEnd(of: pid))
      #expect(try pod.sandbox.status() == "running")
    }

    /// `ip netns` binds the namespace to a name, which may go when the containers are there.
    @Test func networkOfIpNetnsIsJoined() throws {
      let name = TestRun.tag
      try Subprocess("/sbin/ip", ["netns", "add", name]).wait().expectSuccess()
      defer {
        // Where the test has not come so far.
        if Files.exists("/run/netns/\(name)") {
          cleanUp { try Subprocess("/sbin/ip", ["netns", "delete", name]).wait().expectSuccess() }
        }
        umount2("/run/netns", Int32(MNT_DETACH))
        rmdir("/run/netns")
      }
      try Subprocess("/sbin/ip", ["-n", name, "link", "set", "lo", "up"]).wait().expectSuccess()
      let inode = Files.inode("/run/netns/\(name)")
      let containers = try (0..<2).map { _ in
        let container = try Container(args: ["/bin/agent", "pause"])
        container.bundle.join("network", "/run/netns/\(name)")
        try container.runDetached()
        return container
      }
      try Subprocess("/sbin/ip", ["netns", "delete", name]).wait().expectSuccess()
      for container in containers { #expect(try namespaces(of: container)["net"].int == inode) }
      try expectOneNetwork(containers)
      try expectRunning(containers)
      for container in containers {
        try container.end()
        try container.delete()
      }
    }

    // MARK: The end

    /// Ends the sandbox. Its pid namespace, and with it its first process, ends when the others in it are collected.
    private func endSandbox(_ pod: Pod) throws {
      let (sandbox, third) = (try pod.sandbox.pid(), try pod.third.pid())
      try pod.sandbox.kill("KILL")
      #expect(waitForEnd(of: third), "the kernel ends whoever is in the pid namespace")
      #expect(try pod.third.status() == "stopped")
      waitpid(pid_t(third), nil, 0)
      #expect(waitForEnd(of: sandbox))
      #expect(try pod.sandbox.status() == "stopped")
    }

    private func expectStopped(_ container: Container) throws {
      #expect(try container.status() == "stopped")
      expectError(try container.exec(["/bin/agent", "exit", "0"]), detail: "stopped container")
      expectError(try container.attempt("kill", rest: ["KILL"]), says: "container not running")
      // crun 1.8.1 crashes on an empty list.
      if Runtime.current.name != "crun" { #expect(try processes(of: container).isEmpty) }
    }

    @Test(arguments: [false, true])
    func othersLiveOnWhenTheSandboxDiesFirst(users: Bool) throws {
      let pod = try pod(users: users)
      try endSandbox(pod)
      try expectStopped(pod.third)
      try expectStopped(pod.sandbox)
      try pod.sandbox.delete()
      expectError(try pod.sandbox.attempt("state"), says: "does not exist")
      try pod.third.delete()
      let left = [pod.first, pod.second]
      try expectRunning(left)
      try expectOneHostname(left)
      try expectOneIPC(left)
      try expectOneNetwork(left)
      for container in left {
        try container.end()
        try expectStopped(container)
        try container.delete()
      }
      try expectNothingLeft()
    }

    @Test(arguments: [false, true])
    func sandboxMayDieLast(users: Bool) throws {
      let pod = try pod(users: users)
      for (number, container) in pod.others.enumerated() {
        if number == 0 {
          try container.delete("--force")
        } else {
          try container.end()
          try expectStopped(container)
          try container.delete()
        }
        #expect(try pod.sandbox.status() == "running")
        Processes.reap()
      }
      try expectOneHostname([pod.sandbox])
      try expectRunning([pod.sandbox])
      try pod.sandbox.end()
      try expectStopped(pod.sandbox)
      try pod.sandbox.delete()
      try expectNothingLeft()
    }

    /// It ends what is in its pid namespace, and waits until that is collected.
    @Test func sandboxIsDeletedByForceWhileAnotherIsInItsPidNamespace() throws {
      let pod = try pod()
      let third = try pod.third.pid()
      let deletion = try pod.sandbox.spawn("delete", ["--force"])
      #expect(waitForEnd(of: third))
      waitpid(pid_t(third), nil, 0)
      try deletion.wait().expectSuccess()
      expectError(try pod.sandbox.attempt("state"), says: "does not exist")
      try expectStopped(pod.third)
      try pod.third.delete()
      try expectRunning([pod.first, pod.second])
      for container in [pod.first, pod.second] { try container.delete("--force") }
      try expectNothingLeft()
    }

    /// The name of a pid namespace may live longer than the namespace: nobody can be born in it any more.
    @Test func pidNamespaceWhoseSandboxIsDeadCannotBeJoined() throws {
      let sandbox = try Container(args: ["/bin/agent", "pause"])
      try sandbox.runDetached()
      try bound([("pid", "/proc/\(try sandbox.pid())/ns/pid")]) { folder in
        try sandbox.end()
        Processes.reap()
        let late = try Container(args: ["/bin/agent", "pause"])
        late.bundle.join("pid", "\(folder)/pid")
        expectError(try late.attempt("create"), detail: "/linux/namespaces/")
        expectError(try late.attempt("state"), says: "does not exist")
      }
      try sandbox.delete()
      try expectNothingLeft()
    }
  }
}
