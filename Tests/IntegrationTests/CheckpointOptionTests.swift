import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What the flags of `checkpoint` and `restore` do, and containers that are not only running. The CRIU is that of Debian 12, 3.17.
  @Suite(.needs(.criu)) struct CheckpointOptionTests {
    /// One over loopback in the container's network namespace, both ends in the container: what one end sends comes back.
    @Test func connectionGoesOnWhereThatIsAllowed() throws {
      let container = try Container(args: [
        "/bin/sh", "-c",
        """
        /bin/busybox nc -l -p 7000 -e /bin/cat &
        until i=0; while echo n $((i=i+1)); do sleep 0.1; done | /bin/busybox nc 127.0.0.1 7000; do :; done
        """,
      ])
      let last = try Checkpointed.start(container)
      let call = try Checkpointed.expectNeeded("--tcp-established", container, says: "tcp-established")
      try Checkpointed.expectGoingOn(call.stdout, from: max(last, Checkpointed.last(container)))
    }

    @Test func lockIsHeldAgain() throws {
      let container = try Container(args: ["/bin/agent", "lock", "/tmp/lock"])
      container.bundle.config["root"]["readonly"] = false
      try container.runDetached()
      try container.stdout.waitFor("locked")
      try Checkpointed.expectNeeded("--file-locks", container, says: "file-locks")
      let file = open(container.bundle.rootfs + "/tmp/lock", O_RDWR | O_CLOEXEC)
      defer { close(file) }
      #expect(flock(file, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "by the container")
      try container.end()
      #expect(flock(file, LOCK_EX | LOCK_NB) == 0)
    }

    /// The memory goes to another process, and so into another folder.
    @Test func memoryGoesToThePageServer() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let pages = container.bundle.path + "/pages"
      mkdir(pages, 0o755)
      let server = try Checkpointed.serve(pages)
      let folder = try Checkpointed.save(container, "--page-server", "127.0.0.1:\(server.port)")
      let last = Checkpointed.last(container)
      #expect(try server.call.wait().code == 0)
      #expect(!Files.names(in: folder).contains { $0.hasPrefix("pages-") })
      let names = Files.names(in: pages)
      #expect(names.contains { $0.hasPrefix("pages-") }, "\(names)")
      for name in names { rename("\(pages)/\(name)", "\(folder)/\(name)") }
      let call = try Checkpointed.restore(container, folder, "--detach")
      #expect(try call.wait().code == 0)
      try Checkpointed.expectGoingOn(call.stdout, from: last)
    }

    /// The container that is saved stands still until the other one has all of its memory.
    @Test func memoryComesWhenItIsUsed() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let other = try Checkpointed.counting()
      let images = container.bundle.path + "/images"
      let port = Checkpointed.port()
      let (saving, told) = try Checkpointed.spawnTold {
        try container.spawn(
          "checkpoint",
          ["--lazy-pages", "--page-server", "127.0.0.1:\(port)", "--status-fd", "3", "--image-path", images],
          options: .init(descriptors: [$0]))
      }
      // Its end comes because nobody else has the descriptor, CRIU neither.
      #expect(try told.readToEnd(timeout: Checkpointed.patience) == "\0")
      #expect(saving.isStillRunning(after: 0))
      let last = Checkpointed.last(container)
      let work = container.bundle.path + "/work"
      mkdir(work, 0o755)
      let server = try Subprocess(
        Checkpointed.criu,
        ["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", "\(port)", "-D", images, "-W", work])
      try waitUntil("the socket of `criu lazy-pages`") { Files.exists(work + "/lazy-pages.socket") }
      let call = try Checkpointed.restore(other, images, "--detach", "--lazy-pages", "--work-path", work)
      let outcome = try call.wait(timeout: Checkpointed.patience)
      #expect(outcome.code == 0, "\(outcome)")
      try Checkpointed.expectGoingOn(call.stdout, from: last)
      let saved = try saving.wait(timeout: Checkpointed.patience)
      #expect(saved.code == 0, "\(saved)")
      #expect(try server.wait().code == 0)
      expectError(try container.attempt("state"), says: "does not exist")
      #expect(try other.status() == "running")
    }

    /// Nobody waits for a byte that never comes, in a file of ours by chance.
    @Test func statusDescriptorThatIsOursIsRefused() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let log = container.bundle.path + "/log"
      container.globalFlags = ["--log", log]
      let flags = ["--image-path", container.bundle.path + "/images", "--status-fd", "3"]
      var outcome = try container.spawn("checkpoint", flags + ["--lazy-pages"]).wait()
      expectError(outcome, detail: "cannot use descriptor 3: fcntl descriptor 3: bad file descriptor")
      let file = open("/dev/null", O_WRONLY | O_CLOEXEC)
      defer { close(file) }
      outcome = try container.spawn("checkpoint", flags, options: .init(descriptors: [file])).wait()
      expectError(outcome, detail: "nothing is written to descriptor 3 without `--lazy-pages`")
      #expect(try Files.read(log).contains("--lazy-pages"), "the log has it too")
      #expect(!Files.exists(container.bundle.path + "/images"))
      #expect(try container.status() == "running")
    }

    /// Memory that a later image has, or that is in use again, takes no room on disk any more.
    @Test func memoryThatIsKnownElsewhereTakesNoRoom() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let folder = container.bundle.path + "/images"
      let first = try container.attempt("checkpoint", "--pre-dump", "--image-path", folder + "/1")
      try #require(first.code == 0, "\(first)")
      let before = Checkpointed.room(folder + "/1/pages-1.img")
      let flags = ["--image-path", folder + "/2", "--auto-dedup"]
      let second = try container.spawn("checkpoint", flags + ["--parent-path", "../1"]).wait()
      try #require(second.code == 0, "\(second)")
      let last = Checkpointed.last(container)
      let between = Checkpointed.room(folder + "/1/pages-1.img")
      #expect(between < before && between > 0, "\(between) of \(before)")
      let call = try Checkpointed.restore(container, folder + "/2", "--detach", "--auto-dedup")
      #expect(try call.wait().code == 0)
      try Checkpointed.expectGoingOn(call.stdout, from: last)
      let after = Checkpointed.room(folder + "/1/pages-1.img")
      #expect(after < between, "\(after) of \(between)")
    }

    // MARK: Other states

    @Test func pausedContainerStaysPausedOrComesBackRunning() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      #expect(try container.attempt("pause").code == 0)
      let last = Checkpointed.last(container)
      _ = try Checkpointed.save(container, "--leave-running")
      #expect(try container.status() == "paused")
      #expect(try Files.read(container.cgroup("") + "/cgroup.events").contains("frozen 1"))
      #expect(Checkpointed.last(container) == last)
      #expect(try container.attempt("resume").code == 0)
      try container.stdout.waitFor(" \(last + 3)\n", timeout: Checkpointed.patience)
      #expect(try container.attempt("pause").code == 0)
      let second = Checkpointed.last(container)
      let folder = try Checkpointed.save(container)
      expectError(try container.attempt("state"), says: "does not exist")
      let call = try Checkpointed.restore(container, folder, "--detach")
      #expect(try call.wait().code == 0)
      #expect(try container.status() == "running")
      #expect(try Files.read(container.cgroup("") + "/cgroup.events").contains("frozen 0"))
      try Checkpointed.expectGoingOn(call.stdout, from: second)
    }

    @Test(.needs(.systemd), .views(.v2)) func scopeIsMadeAnew() throws {
      let container = try Checkpointed.counting()
      container.globalFlags = ["--systemd-cgroup"]
      container.bundle.config["linux"]["cgroupsPath"] = .string("system.slice:apustest:\(container.id)")
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 77]
      let unit = "apustest-\(container.id).scope"
      try Checkpointed.start(container)
      let first = try Unit.show(unit, "InvocationID")
      let folder = try Checkpointed.save(container)
      let last = Checkpointed.last(container)
      #expect(try Unit.show(unit, "LoadState") == "not-found")
      let call = try Checkpointed.restore(container, folder, "--detach")
      #expect(try call.wait(timeout: Checkpointed.patience).code == 0)
      try Checkpointed.expectGoingOn(call.stdout, from: last)
      #expect(try Unit.show(unit, "ActiveState") == "active")
      #expect(try Unit.show(unit, "InvocationID") != first)
      #expect(try Unit.show(unit, "TasksMax") == "77")
      let members = try Files.read("/sys/fs/cgroup/system.slice/\(unit)/cgroup.procs").split(separator: "\n")
      #expect(members.contains("\(try container.pid())"), "\(members)")
      try container.delete("--force")
      #expect(try Unit.show(unit, "LoadState") == "not-found")
    }
  }
}
