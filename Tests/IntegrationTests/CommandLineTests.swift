import Foundation
import Testing

extension Integration {
  /// The grammar of the command line, and what managers read from it.
  @Suite struct CommandLineTests {
    private func exitCode(_ arguments: [String], code: Int32 = 4) throws {
      let outcome = try runtime(bare: arguments)
      #expect(outcome.code == code, "\(outcome)")
      Processes.reap()
    }

    private func container() throws -> (container: Container, bundle: String, root: String) {
      let container = try Container(args: ["/bin/agent", "exit", "4"])
      try container.bundle.write()
      return (container, container.bundle.path, try Workspace.active().stateRoot)
    }

    @Test func valueAfterAnEqualsSign() throws {
      let (container, bundle, root) = try container()
      try exitCode(["--root=\(root)", "run", "--bundle=\(bundle)", container.id])
    }

    @Test func shortFlags() throws {
      let (container, bundle, root) = try container()
      try exitCode(["--root", root, "run", "-b", bundle, container.id])
    }

    @Test(.peerDiffers("crun", "1.8.1", "its parser takes one dash for a group of short flags"))
    func longNamesWithOneDash() throws {
      let (container, bundle, root) = try container()
      try exitCode(["-root", root, "run", "-bundle", bundle, container.id])
    }

    @Test(.peerDiffers("crun", "1.8.1", "stops looking for flags at the id"))
    func flagsAfterTheId() throws {
      let (container, bundle, root) = try container()
      try exitCode(["--root", root, "run", container.id, "--bundle", bundle])
      let second = try Container(args: ["/bin/agent", "pause"])
      try second.runDetached()
      try runtime("delete", second.id, "--force").expectSuccess()
    }

    @Test(arguments: [["--root"], ["run", "--bundle"], ["create", "--pid-file"]])
    func flagWithoutItsValueSaysSo(arguments: [String]) throws {
      let outcome = try runtime(bare: arguments)
      #expect(outcome.code != 0)
      #expect(Words.has(outcome.stderr + outcome.stdout, "flag needs an argument"), "\(outcome)")
    }

    @Test func unknownFlagIsRefused() throws {
      #expect(try runtime(bare: ["--no-such-flag", "list"]).code != 0)
      #expect(try runtime("list", "--no-such-flag").code != 0)
    }

    @Test func unknownCommandIsRefused() throws {
      expectError(try runtime("no-such-command"))
    }

    @Test(arguments: [["create"], ["start"], ["state"], ["kill"], ["delete"], ["run"]])
    func missingIdIsRefused(arguments: [String]) throws {
      let outcome = try runtime(bare: ["--root", try Workspace.active().stateRoot] + arguments)
      #expect(outcome.code != 0 && outcome.code < 128, "\(outcome)")
      try expectNothingLeft()
    }

    @Test(arguments: ["create", "start", "state", "kill", "delete", "run", "list", "spec"])
    func everyCommandHasHelp(command: String) throws {
      let outcome = try runtime(bare: [command, "--help"])
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.stdout.contains(command), "\(outcome)")
    }

    @Test func helpNamesTheCommandsAndGlobalFlags() throws {
      let outcome = try runtime(bare: ["--help"])
      #expect(outcome.code == 0)
      for word in [
        "create", "start", "state", "kill", "delete", "run", "list", "spec", "--root", "--log", "--debug",
      ] {
        #expect(outcome.stdout.contains(word), "no `\(word)`: \(outcome)")
      }
    }

    @Test func versionNamesItselfAndTheSpecification() throws {
      let lines = try runtime(bare: ["--version"]).stdout.split(separator: "\n")
      let name = Runtime.current.path.split(separator: "/").last ?? ""
      #expect(lines.first?.hasPrefix("\(name) version ") == true, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("commit: ") }, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("spec: 1.") }, "\(lines)")
      #expect(
        lines.filter { $0.contains("version") }.count == 1, "docker splits at the last `version`: \(lines)")
    }

    @Test(.apusOnly("a drop-in answers under the name it was called by"))
    func versionUnderAnotherName() throws {
      let link = try Workspace.active().directory + "/runc"
      symlink(Runtime.current.path, link)
      let outcome = try Subprocess(link, ["--version"]).wait()
      #expect(outcome.stdout.hasPrefix("runc version "), "\(outcome)")
    }

    @Test func logFileHoldsOneJSONObject() throws {
      let container = try Container()
      let log = try Workspace.active().directory + "/log"
      let outcome = try runtime(
        bare: ["--log", log, "--log-format", "json"] + container.root + ["state", container.id])
      #expect(outcome.code != 0)
      let entry = try JSONValue(parsing: Files.read(log))
      #expect(entry["level"].string == "error")
      #expect(Words.has(entry["msg"].string ?? "", "does not exist"))
      _ = try dateOfRFC3339(entry["time"].string ?? "")
      #expect(Words.has(outcome.stderr, "does not exist"), "the same on standard error: \(outcome)")
    }

    @Test func logFileInText() throws {
      let container = try Container()
      let log = try Workspace.active().directory + "/log"
      #expect(try runtime(bare: ["--log", log] + container.root + ["state", container.id]).code != 0)
      let text = try Files.read(log)
      #expect(Words.has(text, "does not exist"))
    }

    @Test func nothingIsLoggedWithoutAnError() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      let log = try Workspace.active().directory + "/log"
      try container.bundle.write()
      let outcome = try runtime(
        bare: ["--log", log, "--log-format", "json"] + container.root
          + ["run", "--bundle", container.bundle.path, container.id])
      #expect(outcome.code == 0, "\(outcome)")
      #expect(try Files.read(log) == "", "made, and nothing in it")
      #expect(outcome.stderr == "")
    }

    @Test func unknownLogFormatIsRefused() throws {
      #expect(try runtime(bare: ["--log-format", "xml", "list"]).code != 0)
    }

    @Test func unusualIdsAreAccepted() throws {
      let container = try Container(
        id: "A.b_c-1+\(TestRun.tag)", args: ["/bin/agent", "exit", "6"])
      #expect(try container.run().code == 6)
    }
  }

  @Suite struct ListTests {
    @Test func listOfNothingIsEmpty() throws {
      #expect(try runtime("list", "--quiet").stdout == "")
      let outcome = try runtime("list", "--format", "json")
      #expect(outcome.code == 0)
      #expect(try outcome.json.elements.isEmpty)
    }

    @Test func listShowsEveryContainerAsATable() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      let second = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      try second.runDetached()
      let lines = try runtime("list").stdout.split(separator: "\n").map {
        $0.split(separator: " ").map(String.init)
      }
      #expect(lines.first?.first == "ID" || lines.first?.first == "NAME")
      #expect(lines.first?.dropFirst().prefix(3) == ["PID", "STATUS", "BUNDLE"])
      for (container, status) in [(first, "created"), (second, "running")] {
        let line = try #require(lines.first { $0.first == container.id })
        #expect(line[1] == "\(try container.pid())")
        #expect(line[2] == status)
        #expect(line[3] == container.bundle.path)
      }
    }

    @Test func listAsJSONHoldsTheStates() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      let list = try runtime("list", "--format=json").json
      let entry = try #require(list.elements.first { $0["id"].string == container.id })
      #expect(entry["status"].string == "created")
      #expect(entry["pid"].int == (try container.pid()))
      #expect(entry["bundle"].string == container.bundle.path)
      _ = try dateOfRFC3339(entry["created"].string ?? "")
    }

    @Test func quietListHoldsOnlyTheIds() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      #expect(try runtime("list", "-q").stdout == container.id + "\n")
    }

    @Test func listShowsStoppedContainers() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.create()
      try container.end()
      let list = try runtime("list", "-f", "json").json
      #expect(list[0]["status"].string == "stopped")
    }
  }

  @Suite struct SpecTests {
    private func spec() throws -> (directory: String, config: JSONValue) {
      let directory = try Workspace.active().directory + "/spec"
      mkdir(directory, 0o755)
      try runtime("spec", options: .init(directory: directory)).expectSuccess()
      return (directory, try JSONValue(parsing: Files.read(directory + "/config.json")))
    }

    @Test func specWritesADefaultConfiguration() throws {
      let config = try spec().config
      #expect(config["ociVersion"].string?.hasPrefix("1.") == true)
      #expect(config["process"]["args"].strings == ["sh"])
      #expect(config["process"]["terminal"].bool == true)
      #expect(config["root"]["path"].string == "rootfs")
      let destinations = config["mounts"].elements.compactMap(\.["destination"].string)
      for destination in ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup"] {
        #expect(destinations.contains(destination))
      }
      let types = config["linux"]["namespaces"].elements.compactMap(\.["type"].string)
      for type in ["pid", "network", "ipc", "uts", "mount"] { #expect(types.contains(type)) }
    }

    @Test func specDoesNotReplaceAConfiguration() throws {
      let directory = try spec().directory
      #expect(try runtime("spec", options: .init(directory: directory)).code != 0)
    }

    @Test func configurationOfSpecRuns() throws {
      let config = try spec().config
      let container = try Container()
      let path = container.bundle.config["linux"]["cgroupsPath"]
      container.bundle.config = config
      container.bundle.config["linux"]["cgroupsPath"] = path
      container.bundle.config["process"]["terminal"] = false
      container.bundle.args = ["sh", "-c", "exit 11"]
      #expect(try container.run().code == 11)
    }
  }
}

extension Outcome {
  func expectSuccess(sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(code == 0, "\(self)", sourceLocation: sourceLocation)
  }
}
