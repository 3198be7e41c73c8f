import Foundation
import Testing

extension Integration {
  /// Hooks that fail, hang, talk too much or are not there.
  @Suite struct HookFailureTests {
    private static let ofCreate = ["prestart", "createRuntime", "createContainer"]

    @Test(arguments: ofCreate) func failedHookOfCreateUndoesIt(kind: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in Self.ofCreate { hooks.add(kind, "log \(kind)") }
      hooks.add(kind, "log failed; echo on stdout; echo on stderr >&2; exit 3")
      hooks.add(kind, "log never")
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "`/hooks/\(kind)/1`")
      if !Runtime.current.isPeer {
        #expect(outcome.stderr.contains("ended with status 3, with output `on stdout\\non stderr`"), "\(outcome)")
      }
      let ran = Self.ofCreate.prefix(through: Self.ofCreate.firstIndex(of: kind) ?? 0)
      try hooks.expect(ran + ["failed"])
      #expect(try container.attempt("state").code != 0)
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "does not run poststop hooks then"), arguments: ofCreate)
    func poststopHooksRunAfterAFailedHookOfCreate(kind: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add(kind, "exit 1")
      hooks.add("poststop", "log \"$status\"")
      expectError(try container.attempt("create"))
      try hooks.expect(["stopped"])
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "does not run poststop hooks then"))
    func poststopHooksRunWhenCreateFailsBehindItsHooks() throws {
      let container = try Container(args: ["/no/such/command"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "log made")
      hooks.add("poststop", "log undone")
      expectError(try container.attempt("create"), says: "no such file or directory")
      try hooks.expect(["made", "undone"])
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers: start succeeds, and the container stays"), arguments: ["start", "run"])
    func failedStartContainerHookDestroysTheContainer(verb: String) throws {
      let container = try Container(args: ["/bin/sh", "-c", "echo command >> /hooks/log"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log \"$kind\"; echo reason; exit 4")
      hooks.add("startContainer", "log never")
      hooks.add("poststart", "log never")
      hooks.add("poststop", "log \"$kind\"")
      if verb == "start" { try container.create() }
      let outcome = try container.attempt(verb)
      expectError(outcome, detail: "`/hooks/startContainer/0`")
      #expect(outcome.stderr.contains("ended with status 4, with output `reason`"), "\(outcome)")
      try hooks.expect(["startContainer", "poststop"])
      expectError(try container.attempt("state"), says: "does not exist")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers: in `create`, or only a warning"), arguments: ["start", "run"])
    func failedPoststartHookDestroysTheContainer(verb: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("poststart", "log \"$kind\"; exit 5")
      hooks.add("poststart", "log never")
      hooks.add("poststop", "log \"$kind\"")
      if verb == "start" { try container.create() }
      expectError(try container.attempt(verb), detail: "`/hooks/poststart/0`")
      try hooks.expect(["poststart", "poststop"])
      expectError(try container.attempt("state"), says: "does not exist")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("runc", "1.1.5", "the first failure is the last hook"))
    func failedPoststopHookIsAWarning() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("poststop", "log first; exit 1")
      hooks.set("poststop", path: "/no/such/hook")
      hooks.add("poststop", "log third")
      try container.create()
      let outcome = try container.attempt("delete")
      #expect(outcome.code == 0, "\(outcome)")
      if !Runtime.current.isPeer {
        #expect(outcome.stderr.contains("/hooks/poststop/0") && outcome.stderr.contains("/hooks/poststop/1"))
      }
      try hooks.expect(["first", "third"])
      try expectNothingLeft()
    }

    @Test(arguments: ["missing", "folder", "denied", "format", "interpreter"])
    func hookThatCannotBeExecuted(what: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      let path = "\(hooks.path)/\(what)"
      switch what {
      case "missing": break
      case "folder": mkdir(path, 0o755)
      case "interpreter": try Files.write("#!/no/such/interpreter\n", to: path)
      default: try Files.write("no program", to: path)
      }
      chmod(path, what == "denied" ? 0o644 : 0o755)
      hooks.set("createRuntime", path: path)
      let words = [
        "missing": "no such file or directory", "interpreter": "no such file or directory",
        "format": "exec format error",
      ]
      let outcome = try container.attempt("create")
      // crun says only that a program ended.
      expectError(
        outcome, says: Runtime.current.name == "crun" ? nil : words[what] ?? "permission denied",
        detail: "`/hooks/createRuntime/0`")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers pass over some, and name none"), arguments: HookFolder.kinds)
    func hookThatIsNotThereIsNamed(kind: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.set(kind, path: "/no/such/hook")
      let outcomes =
        try ["create", "start"].map { try container.attempt($0) } + [container.attempt("delete", "--force")]
      let text = outcomes.map(\.stderr).joined()
      #expect(text.contains("cannot run the hook `/no/such/hook`") && text.contains("`/hooks/\(kind)/0`"), "\(text)")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it for success"))
    func hookThatDiesByASignal() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "kill -SEGV $$")
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "was killed by signal 11 (SIGSEGV)")
      try expectNothingLeft()
    }

    @Test(arguments: ["prestart", "createRuntime", "createContainer"])
    func hookIsKilledAtItsTimeout(kind: String) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add(kind, "exec sleep 100", timeout: 1)
      expectError(
        try container.attempt("create", timeout: 15), detail: "ran longer than its timeout of 1 s and was killed")
      try expectNothingLeft()
    }

    @Test(.apusOnly("runc waits for what the hook has started; crun's start succeeds"))
    func timeoutKillsWhatTheHookHasStarted() throws {
      for kind in HookFolder.kinds {
        let container = try Container(args: ["/bin/agent", "pause"])
        let hooks = try HookFolder(container)
        hooks.add(kind, "trap '' TERM; sleep 100 & echo noise; sleep 100; sleep 100", timeout: 1)
        let text =
          try ["create", "start"].map { try container.attempt($0).stderr }.joined()
          + container.attempt("delete", "--force").stderr
        #expect(text.contains("`/hooks/\(kind)/0`"), "\(text)")
        #expect(text.contains("ran longer than its timeout of 1 s and was killed, with output `noise`"), "\(text)")
        try expectNothingLeft()
      }
    }

    @Test(.apusOnly("the peers do not look at the time while there is output"))
    func timeoutHoldsForAHookThatNeverStopsTalking() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "exec yes", timeout: 1)
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "with output that ends in `")
      #expect(outcome.stderr.utf8.count < 10_000)
      try expectNothingLeft()
    }

    @Test func hookWithinItsTimeoutIsNotKilled() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "sleep 0.3; log done", timeout: 10)
      try container.create()
      try hooks.expect(["done"])
    }

    @Test func hookThatPrintsTenMegabytes() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2; log done")
      try container.create()
      try hooks.expect(["done"])
    }

    @Test(.apusOnly("the peers print everything or nothing"))
    func theEndOfALongOutputIsInTheError() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createContainer", "head -c 10485760 /dev/zero | tr '\\0' x; echo the end; exit 1")
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "xthe end`")
      #expect(outcome.stderr.utf8.count < 6000)
      try expectNothingLeft()
    }

    @Test func hookThatClosesItsInput() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      // More than a pipe holds. crun waits for the reader, and whether it then fails is a race.
      let length = Runtime.current.name == "crun" ? 10 : 200_000
      container.bundle.config["annotations"] = ["long": .string(String(repeating: "a", count: length))]
      let hooks = try HookFolder(container)
      try Files.write("#!/bin/sh\nexec <&-\nsleep 0.1\necho done >> \(hooks.path)/log\n", to: hooks.path + "/closes")
      chmod(hooks.path + "/closes", 0o755)
      hooks.set("createRuntime", path: hooks.path + "/closes")
      try container.create()
      try hooks.expect(["done"])
    }

    @Test(.apusOnly("runc waits for whoever holds the output of the hook"))
    func processLeftInTheBackgroundHoldsNobodyUp() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "sleep 100 & echo $! > child")
      hooks.add("poststop", "kill $child")
      try container.create()
      #expect(try container.status() == "created")
      try container.delete()
      try expectNothingLeft()
    }

    @Test(.apusOnly("a lock that no peer has"))
    func deleteByForceEndsAStartThatHangsInAHook() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log began; exec sleep 100")
      hooks.add("poststop", "log stopped")
      try container.create()
      let start = try container.spawn("start")
      let deadline = Deadline(Limits.call)
      while try hooks.log.isEmpty, deadline.milliseconds > 0 { usleep(10_000) }
      #expect(try container.status() == "created")
      try container.delete("--force")
      expectError(try start.wait())
      try hooks.expect(["began", "stopped"])
      try expectNothingLeft()
    }

    /// `start` holds no lock while the hook runs.
    @Test(.apusOnly("runc runs poststart hooks in `create`; crun's `start` does not wait for them"))
    func containerAnswersWhileAPoststartHookHangs() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("poststart", "echo $$ > child; log began; exec sleep 100")
      hooks.add("poststop", "log \"$kind\"")
      try container.create()
      let pid = try container.pid()
      let start = try container.spawn("start")
      let deadline = Deadline(Limits.call)
      while try hooks.log.isEmpty, deadline.milliseconds > 0 { usleep(10_000) }
      #expect(try container.status() == "running")
      try container.kill("KILL")
      #expect(waitForEnd(of: pid))
      #expect(try container.status() == "stopped")
      #expect(try container.attempt("delete", timeout: 10).code == 0)
      // Whoever waits for the hook gets no other container of that name in return.
      try container.create()
      let hook = try #require(pid_t(Files.read(hooks.path + "/child").dropLast()))
      Foundation.kill(hook, SIGTERM)
      expectError(try start.wait(), detail: "`/hooks/poststart/0`")
      #expect(try container.status() == "created")
      try container.delete()
      try hooks.expect(["began", "poststop", "poststop"])
      try expectNothingLeft()
    }

    /// While the hook runs the id may become another container's, and with it the path of the pid file.
    @Test(
      .apusOnly("runc runs poststart hooks in `create`; crun's `start` does not wait for them"),
      arguments: [true, false])
    func failedRunLeavesTheNextContainerOfItsNameAlone(detached: Bool) throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("poststart", "echo $$ > child; log began; exec sleep 100")
      hooks.add("poststop", "log \"$kind\"")
      let pidFile = "\(container.bundle.path)/pid"
      let run = try container.spawn("run", (detached ? ["--detach"] : []) + ["--pid-file", pidFile])
      let deadline = Deadline(Limits.call)
      while try hooks.log.isEmpty, deadline.milliseconds > 0 { usleep(10_000) }
      try container.delete("--force")
      try container.create("--pid-file", pidFile)
      let pid = try container.pid()
      let hook = try #require(pid_t(Files.read(hooks.path + "/child").dropLast()))
      Foundation.kill(hook, SIGTERM)
      expectError(try run.wait(), detail: "`/hooks/poststart/0`")
      #expect(try container.status() == "created")
      #expect(try container.pid() == pid)
      #expect(try Files.read(pidFile) == "\(pid)")
      try container.delete()
      try hooks.expect(["began", "poststop", "poststop"])
      try expectNothingLeft()
    }

    /// Whether a command that changes the container is at work.
    private func isLocked(_ container: Container) throws -> Bool {
      let folder = open("\(try Workspace.active().stateRoot)/\(container.id)", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      try #require(folder >= 0)
      defer { close(folder) }
      return flock(folder, LOCK_EX | LOCK_NB) != 0
    }

    /// The other one is older than the end of the command.
    @Test(.apusOnly("the peers delete by the id"))
    func runLeavesTheNextContainerOfItsNameAlone() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let run = try container.spawn("run")
      let deadline = Deadline(Limits.call)
      // It runs before `run` gives the lock back, which `delete` would wait for as long as `run` is stopped.
      while try container.attempt("state").code != 0 || container.status() != "running" || isLocked(container),
        deadline.milliseconds > 0
      {
        usleep(10_000)
      }
      Foundation.kill(run.process, SIGSTOP)
      try container.delete("--force")
      try container.create()
      Foundation.kill(run.process, SIGCONT)
      #expect(try run.wait().code == 137)
      #expect(try container.status() == "created")
      try container.delete()
      try expectNothingLeft()
    }

    /// With the lock held it would wait for itself.
    @Test(.peerDiffers("runc", "1.1.5", "runs poststart hooks in `create`"))
    func poststartHookMayAskForItsContainer() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      let call = ([Runtime.current.path] + container.root).joined(separator: " ")
      hooks.add(
        "poststart", "\(call) state \(container.id) | grep -q '\"status\": *\"running\"' && log running",
        timeout: 20)
      hooks.add("poststart", "\(call) delete --force \(container.id) && log deleted", timeout: 20)
      try container.create()
      try container.start()
      try hooks.expect(["running", "deleted"])
      expectError(try container.attempt("state"), says: "does not exist")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers know nothing of a container before its hooks have run"))
    func createThatIsKilledInAHookIsUndoneByDelete() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createRuntime", "echo $$ > child; log began; exec sleep 100")
      hooks.add("poststop", "kill $child; log \"$status\"")
      let create = try container.spawn("create")
      let deadline = Deadline(Limits.call)
      while try hooks.log.isEmpty, deadline.milliseconds > 0 { usleep(10_000) }
      #expect(try container.status() == "creating")
      create.signal(SIGKILL)
      _ = try create.wait()
      #expect(try container.status() == "stopped")
      try container.delete()
      try hooks.expect(["began", "stopped"])
      try expectNothingLeft()
    }

    /// Whoever killed it may unmount the root at once: nothing may be made there any more.
    @Test(.apusOnly("the peers know nothing of a container before its hooks have run"))
    func initStageEndsWithARuntimeThatIsKilled() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("createContainer", "log began; exec sleep 100")
      let create = try container.spawn("create")
      let deadline = Deadline(Limits.call)
      while try hooks.log.isEmpty, deadline.milliseconds > 0 { usleep(10_000) }
      create.signal(SIGKILL)
      _ = try create.wait()
      while try container.status() != "stopped", deadline.milliseconds > 0 { usleep(10_000) }
      #expect(try container.status() == "stopped", "it waits for the hook")
      try container.delete()
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers take any"))
    func timeoutThatIsNoTimeIsRefused() throws {
      for timeout in [0, -1] {
        let container = try Container()
        let hooks = try HookFolder(container)
        hooks.add("poststop", "log never", timeout: timeout)
        expectError(try container.attempt("create"), detail: "`/hooks/poststop/0/timeout`")
        try hooks.expect([])
      }
    }

    @Test(.apusOnly("runc looks relative paths up in the bundle"))
    func relativePathIsRefused() throws {
      let container = try Container()
      container.bundle.config["hooks"]["startContainer"] = [["path": "bin/true"]]
      expectError(try container.attempt("create"), detail: "`/hooks/startContainer/0/path`")
      try expectNothingLeft()
    }

    @Test(.views(.hybrid, .v1)) func hookMaySetTheLimitsOfTheContainer() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 64]
      let hooks = try HookFolder(container)
      let file = try container.cgroup("pids") + "/pids.max"
      hooks.add("createRuntime", "log $(cat \(file)); echo 65 > \(file)")
      try container.create()
      try hooks.expect(["64"])
      #expect(try Files.read(file) == "65\n")
    }
  }
}
