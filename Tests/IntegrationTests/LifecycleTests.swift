import Foundation
import Testing

extension Integration {
  /// create, start, state, kill, delete, run.
  @Suite(.bothDrivers) struct LifecycleTests {
    @Test func statusGoesFromCreatedToRunningToStopped() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.create()
      #expect(try container.status() == "created")
      try container.start()
      try container.stdout.waitFor("ready")
      #expect(try container.status() == "running")
      try container.end()
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }

    @Test func agentCommandDoesNotRunBeforeStart() throws {
      let container = try Container(args: ["/bin/agent", "write", "/tmp/ran", "yes"])
      container.bundle.config["root"]["readonly"] = false
      try container.create()
      let pid = try container.pid()
      #expect(!Files.exists(container.bundle.rootfs + "/tmp/ran"))
      try container.start()
      #expect(waitForEnd(of: pid))
      #expect(try Files.read(container.bundle.rootfs + "/tmp/ran") == "yes")
    }

    /// For as long as the container waits nothing of the program's code is needed but what waits.
    @Test(.apusOnly("the peers keep it")) func waitingProcessGivesBackItsCode() throws {
      let container = try Container(args: ["/bin/true"])
      try container.create()
      let pid = try container.pid()
      let deadline = Deadline(10)
      var code = try residentCode(of: pid)
      while code > 700 && !deadline.hasPassed {
        usleep(5000)
        code = try residentCode(of: pid)
      }
      #expect(code <= 700, "\(code) kB")
      try container.start()
      #expect(waitForEnd(of: pid))
    }

    /// In kB; not that of libraries.
    private func residentCode(of pid: Int) throws -> Int {
      var file: Substring?
      var isCode = false
      var sum = 0
      for line in try Files.read("/proc/\(pid)/smaps").split(separator: "\n") {
        let words = line.split(separator: " ")
        if words.count > 4, words[0].contains("-") {
          // The program comes first.
          if file == nil { file = words[4] }
          isCode = words[4] == file && words[1].contains("x")
        } else if isCode, words.first == "Rss:" {
          sum += try #require(Int(words[1]))
        }
      }
      return sum
    }

    @Test func containerOutlivesTheRuntimeAndKeepsItsOutput() throws {
      let container = try Container(args: ["/bin/sh", "-c", "echo out; echo err >&2"])
      try container.create()
      try container.start()
      #expect(try container.stdout.readToEnd() == "out\n")
      #expect(try container.stderr.readToEnd() == "err\n")
    }

    @Test func takenIdIsRefused() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      let second = try Container(id: first.id, args: ["/bin/agent", "pause"])
      let outcome = try second.attempt("create")
      expectError(outcome, says: "container with given ID already exists")
      #expect(try first.status() == "created")
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves out names that begin with a dot"))
    func idMayBeginWithADot() throws {
      let container = try Container(id: ".\(TestRun.tag)", args: ["/bin/agent", "pause"])
      try container.create()
      #expect(try runtime("list", "--quiet").stdout == container.id + "\n")
      try container.delete()
      try expectNothingLeft()
    }

    @Test(
      .peerDiffers(
        "runc", "1.1.5", "the first descriptors it opens, a cgroup's folder among them, become the streams"),
      .peerDiffers("crun", "1.8.1", "fails"))
    func callerWithoutStandardStreams() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.write()
      let words = ["-c", "exec \"$@\" <&- >&- 2>&-", "sh", Runtime.current.path] + container.root
      try Subprocess("/bin/sh", words + ["create", "-b", container.bundle.path, container.id]).wait()
        .expectSuccess()
      let pid = try container.pid()
      for number in 0...2 {
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(number)")
        #expect(target == "/dev/null", "\(number)")
      }
      try container.start()
      #expect(try container.status() == "running")
    }

    @Test func secondStartIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      try container.start()
      expectError(try container.attempt("start"))
      #expect(try container.status() == "running")
    }

    @Test func startOfStoppedContainerIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      try container.end()
      expectError(try container.attempt("start"))
      #expect(try container.status() == "stopped")
    }

    @Test func deleteOfRunningContainerIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.runDetached()
      expectError(try container.attempt("delete"))
      #expect(try container.status() == "running")
    }

    @Test func forcedDeleteEndsARunningContainer() throws {
      let container = try Container(args: ["/bin/agent", "children", "3"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test func deleteOfCreatedContainerKillsAndDeletes() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let pid = try container.pid()
      try container.delete()
      #expect(waitForEnd(of: pid, timeout: 2))
      try expectNothingLeft()
    }

    @Test(arguments: ["state", "start", "delete"])
    func absentContainerIsAnError(verb: String) throws {
      let container = try Container()
      expectError(try container.attempt(verb), says: "does not exist")
    }

    @Test func killOfAbsentContainerIsAnError() throws {
      expectError(try Container().attempt("kill", rest: ["KILL"]), says: "does not exist")
    }

    @Test func forcedDeleteOfAbsentContainerSucceeds() throws {
      let outcome = try Container().attempt("delete", "--force")
      #expect(outcome.code == 0, "\(outcome)")
    }

    @Test func deleteFreesTheId() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      try first.delete()
      let second = try Container(id: first.id, args: ["/bin/agent", "exit", "0"])
      #expect(try second.run().code == 0)
    }

    @Test func configurationEditedAfterCreateChangesNothing() throws {
      let container = try Container(args: ["/bin/sh", "-c", "echo $TERM; hostname"])
      try container.create()
      container.bundle.args = ["/bin/agent", "exit", "9"]
      container.bundle.config["hostname"] = "other"
      container.bundle.config["process"]["env"] = ["TERM=other"]
      container.bundle.config["linux"]["namespaces"] = []
      try container.bundle.write()
      let pid = try container.pid()
      try container.start()
      let output = try container.stdout.readToEnd()
      #expect(output == "xterm\ntesthost\n")
      // The streams are closed a moment before the process has ended.
      #expect(waitForEnd(of: pid))
      try container.delete()
      try expectNothingLeft()
    }

    @Test func configurationRemovedAfterCreateChangesNothing() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.create()
      unlink(container.bundle.path + "/config.json")
      try container.start()
      try container.stdout.waitFor("ready")
      #expect(try container.status() == "running")
      try container.delete("--force")
      try expectNothingLeft()
    }
  }

  @Suite struct RunTests {
    @Test(arguments: [0, 1, 7, 255])
    func exitCodeIsTheOneOfTheAgentCommand(code: Int) throws {
      let outcome = try Container(args: ["/bin/agent", "exit", "\(code)"]).run()
      #expect(outcome.code == Int32(code), "\(outcome)")
      try expectNothingLeft()
    }

    @Test(arguments: [1, 6, 9, 15])
    func endBySignalIs128PlusItsNumber(number: Int) throws {
      let container = try Container(args: ["/bin/agent", "signal", "\(number)"])
      container.bundle.removeNamespace("pid")  // process 1 of a pid namespace cannot end itself by a signal
      #expect(try container.run().code == Int32(128 + number))
    }

    @Test func endByKillIs137() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      let running = try container.spawn("run")
      try running.stdout.waitFor("ready")
      try container.kill("KILL")
      #expect(try running.wait().code == 137)
      try expectNothingLeft()
    }

    @Test func runDeletesTheContainerAtItsEnd() throws {
      let container = try Container(args: ["/bin/agent", "exit", "3"])
      #expect(try container.run().code == 3)
      expectError(try container.attempt("state"), says: "does not exist")
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "`run --keep` is not known yet"))
    func keptContainerIsStoppedAfterRun() throws {
      let container = try Container(args: ["/bin/agent", "exit", "3"])
      #expect(try container.run("--keep").code == 3)
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }

    @Test func detachedRunReturnsAndWritesThePidFile() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      let file = container.bundle.path + "/pid"
      try container.runDetached("--pid-file", file)
      #expect(try Int(Files.read(file)) == container.pid())
      try container.stdout.waitFor("ready")
      #expect(try container.status() == "running")
    }

    @Test func foregroundRunPassesSignalsOn() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      let running = try container.spawn("run")
      try running.stdout.waitFor("ready")
      running.signal(SIGUSR1)
      let outcome = try running.wait()
      #expect(outcome.stdout == "ready\nsignal \(SIGUSR1)\n")
      #expect(outcome.code == 0)
    }

    @Test func foregroundRunHandsOnStandardInput() throws {
      let container = try Container(args: ["/bin/cat"])
      let outcome = try container.spawn("run", options: .init(input: "through and through")).wait()
      #expect(outcome.stdout == "through and through", "\(outcome)")
    }

    @Test func runWithoutBundleUsesTheWorkingDirectory() throws {
      let container = try Container(args: ["/bin/agent", "exit", "5"])
      try container.bundle.write()
      let outcome = try runtime("run", container.id, options: .init(directory: container.bundle.path))
      #expect(outcome.code == 5, "\(outcome)")
    }
  }

  @Suite struct StateTests {
    @Test func stateHasTheFieldsOfTheSpecification() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["annotations"] = ["org.example.key": "value"]
      try container.create()
      let state = try container.state()
      #expect(state["ociVersion"].string?.hasPrefix("1.") == true)
      #expect(state["id"].string == container.id)
      #expect(state["status"].string == "created")
      #expect(state["bundle"].string == container.bundle.path)
      #expect(state["annotations"]["org.example.key"].string == "value")
      let pid = try #require(state["pid"].int)
      #expect(Processes.entry(pid) != nil)
    }

    @Test func stateHasTheFieldsThatManagersRead() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let state = try container.state()
      let created = try #require(state["created"].string)
      let age = try Date().timeIntervalSince(dateOfRFC3339(created))
      #expect(age > -1 && age < 60, "\(created)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "gives root.path as it stands in the configuration"))
    func stateHasTheAbsolutePathOfTheRootFilesystem() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      #expect(try container.state()["rootfs"].string == container.bundle.rootfs)
    }

    @Test func stoppedContainerHasNoPid() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      try container.end()
      #expect([nil, 0].contains(try container.state()["pid"].int))
    }

    @Test func stateIsTheSameForRelativeBundle() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.write()
      let parent = String(container.bundle.path.prefix(upTo: container.bundle.path.lastIndex(of: "/")!))
      let name = String(container.bundle.path.dropFirst(parent.count + 1))
      let outcome = try runtime("create", "--bundle", name, container.id, options: .init(directory: parent))
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try container.state()["bundle"].string == container.bundle.path)
    }

    @Test func pidFileIsTheDecimalPidOfTheState() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let file = container.bundle.path + "/pid"
      try container.create("--pid-file", file)
      #expect(try Int(Files.read(file)) == container.pid())
      #expect(Files.names(in: container.bundle.path).sorted() == ["config.json", "pid", "rootfs"])
    }

    @Test func pidFileThatCannotBeWrittenUndoesCreate() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      expectError(try container.attempt("create", "--pid-file", container.bundle.path + "/absent/pid"))
      try expectNothingLeft()
    }
  }
}

/// The time in the format of RFC 3339, with or without a fraction of a second.
func dateOfRFC3339(_ text: String) throws -> Date {
  let formatter = ISO8601DateFormatter()
  var plain = text
  if let dot = text.firstIndex(of: ".") {
    let rest = text[text.index(after: dot)...].drop { $0.isNumber }
    plain = String(text[..<dot] + rest)
  }
  guard let date = formatter.date(from: plain) else { throw HarnessError("not a time of RFC 3339: \(text)") }
  return date
}
