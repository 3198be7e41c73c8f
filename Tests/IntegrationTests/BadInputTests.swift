import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// One clear error each, and nothing left of the attempt.
  @Suite struct BadInputTests {
    private func expectRefused(
      _ container: Container, says part: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      expectError(try container.attempt("create"), says: part, sourceLocation: sourceLocation)
      try expectNothingLeft(sourceLocation: sourceLocation)
    }

    @Test func bundleWithoutConfiguration() throws {
      let container = try Container()
      let outcome = try runtime("create", "--bundle", container.bundle.path, container.id)
      expectError(outcome, says: "config.json")
      try expectNothingLeft()
    }

    @Test func bundleThatIsNotThere() throws {
      let container = try Container()
      expectError(try runtime("create", "--bundle", "/no/such/bundle", container.id))
      try expectNothingLeft()
    }

    @Test(arguments: [
      "", "{", "{\"ociVersion\":", "[]", "nonsense", "{\"ociVersion\":\"1.0.2\",}",
      "{\"process\":{\"args\":7}}",
      "\"text\"", "{\"ociVersion\":\"1.0.2\",\"process\":{\"user\":{\"uid\":-1}}}",
    ])
    func brokenConfiguration(text: String) throws {
      let container = try Container()
      container.bundle.text = text
      try expectRefused(container)
    }

    @Test(.apusOnly("the position and the JSON pointer of an error"))
    func errorInTheConfigurationNamesItsPlace() throws {
      let container = try Container()
      container.bundle.text =
        "{\n  \"ociVersion\": \"1.0.2\",\n  \"process\": {\"user\": {\"uid\": \"root\"}}\n}\n"
      let outcome = try container.attempt("create")
      expectError(outcome, says: "/process/user/uid")
      #expect(outcome.stderr.contains("3"), "the line: \(outcome)")
    }

    @Test(
      .apusOnly("the specification's MUST that no runtime checks"), arguments: ["2.0.0", "0.9.0", "one", ""])
    func unsupportedVersionOfTheSpecification(version: String) throws {
      let container = try Container()
      container.bundle.config["ociVersion"] = .string(version)
      try expectRefused(container, says: "ociVersion")
    }

    @Test(arguments: ["1.0.0", "1.0.2", "1.0.2-dev", "1.1.0"])
    func supportedVersionOfTheSpecification(version: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["ociVersion"] = .string(version)
      #expect(try container.run().code == 0)
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes none after 1.1"), arguments: ["1.2.1", "1.3.0"])
    func laterVersionOfTheSpecification(version: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["ociVersion"] = .string(version)
      #expect(try container.run().code == 0)
    }

    @Test func unknownPropertyIsIgnored() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["ofTomorrow"] = ["a": [1, 2, ["b": true]]]
      container.bundle.config["linux"]["ofTomorrow"] = "x"
      container.bundle.config["process"]["user"]["ofTomorrow"] = 7
      #expect(try container.run().code == 0)
    }

    @Test func rootFilesystemThatIsNotThere() throws {
      let container = try Container()
      container.bundle.config["root"]["path"] = "absent"
      try expectRefused(container)
    }

    @Test func rootFilesystemThatIsAFile() throws {
      let container = try Container()
      container.bundle.config["root"]["path"] = "file"
      try Files.write("", to: container.bundle.path + "/file")
      try expectRefused(container)
    }

    @Test(.peerDiffers("crun", "1.8.1", "follows the link"))
    func rootFilesystemThatIsALink() throws {
      let container = try Container()
      container.bundle.config["root"]["path"] = "link"
      symlink("rootfs", container.bundle.path + "/link")
      try expectRefused(container)
    }

    private func expectIdRefused(_ id: String) throws {
      let outcome = try Container(id: id, args: ["/bin/agent", "exit", "0"]).attempt("create")
      expectError(outcome)
      if outcome.code == 0 { _ = try runtime("delete", "--force", id) }
      try expectNothingLeft()
    }

    @Test(arguments: ["", ".", "..", "a/b", "../up", String(repeating: "x", count: 2000)])
    func wordThatIsNotAnId(id: String) throws {
      try expectIdRefused(id)
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "takes every name of a folder"), arguments: ["/absolute", "a b", "ü"])
    func idWithOtherSigns(id: String) throws {
      try expectIdRefused(id)
    }

    @Test func executableThatIsMissingIsReportedByCreate() throws {
      let container = try Container(args: ["no-such-program"])
      try expectRefused(container, says: "executable file not found in $PATH")
    }

    @Test func pathToAnExecutableThatIsMissingIsReportedByCreate() throws {
      let container = try Container(args: ["/no/such/program"])
      try expectRefused(container, says: "no such file or directory")
    }

    @Test func executableThatIsNotExecutable() throws {
      let container = try Container(args: ["/etc/passwd"])
      try expectRefused(container, says: "permission denied")
    }

    @Test func executableThatIsAFolder() throws {
      let container = try Container(args: ["/etc"])
      expectError(try container.run())
      try expectNothingLeft()
    }

    @Test func missingExecutableOfRun() throws {
      let container = try Container(args: ["no-such-program"])
      expectError(try container.run(), says: "executable file not found in $PATH")
      try expectNothingLeft()
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "`start` succeeds; the container's own output has the error"),
      .peerDiffers("crun", "1.8.1", "`start` succeeds; the container's own output has the error"))
    func executableOfAnotherArchitectureIsReportedByStart() throws {
      let container = try Container(args: ["/bin/foreign"])
      let agent = try Data(contentsOf: URL(fileURLWithPath: container.bundle.rootfs + "/bin/agent"))
      var header = agent.prefix(4096)
      header[18] = 0xF3  // e_machine: RISC-V, where the tests are not expected to run
      try header.write(to: URL(fileURLWithPath: container.bundle.rootfs + "/bin/foreign"))
      chmod(container.bundle.rootfs + "/bin/foreign", 0o755)
      try container.create()
      expectError(try container.attempt("start"), says: "exec format error")
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "`start` succeeds; the container's own output has the error"),
      .peerDiffers("crun", "1.8.1", "`start` succeeds; the container's own output has the error"))
    func argumentListPastTheLimitOfTheKernel() throws {
      let container = try Container()
      container.bundle.args = ["/bin/agent", "exit", String(repeating: "x", count: 200_000)]
      try container.create()
      expectError(try container.attempt("start"), says: "argument list too long")
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test func argumentListPastTheLimitOfTheKernelFailsRun() throws {
      let container = try Container()
      container.bundle.args = ["/bin/agent", "exit", String(repeating: "x", count: 200_000)]
      #expect(try container.run().code != 0)
      try expectNothingLeft()
    }

    @Test(arguments: ["cwd", "root"])
    func missingProperty(name: String) throws {
      let container = try Container()
      if name == "root" {
        container.bundle.config["root"] = nil
      } else {
        container.bundle.config["process"][name] = nil
      }
      try expectRefused(container)
    }

    @Test(.peerDiffers("crun", "1.8.1", "starts `sh`"))
    func missingArgs() throws {
      let container = try Container()
      container.bundle.config["process"]["args"] = nil
      try expectRefused(container)
    }

    @Test(.peerDiffers("crun", "1.8.1", "takes it from the root"))
    func relativeWorkingDirectoryIsRefused() throws {
      let container = try Container()
      container.bundle.config["process"]["cwd"] = "relative"
      try expectRefused(container)
    }

    @Test func unknownFilesystemIsRefused() throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "no-such-filesystem", source: "none")
      let outcome = try container.attempt("create")
      expectError(outcome, says: "no such device", detail: "no-such-filesystem")
      try expectNothingLeft()
    }

    @Test func readOnlyStateDirectory() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try stateRoot(options: "size=1m", flags: 1 /* MS_RDONLY */) {
        expectError(try container.attempt("create"), detail: "read-only file system")
      }
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "leaves the container's folder behind"))
    func fullStateDirectory() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try stateRoot(options: "size=4k", flags: 0) {
        let filler = try Workspace.active().stateRoot + "/filler"
        try Files.write(String(repeating: "x", count: 4096), to: filler)
        expectError(try container.attempt("create"), detail: "no space left on device")
        let names = Files.names(in: try Workspace.active().stateRoot)
        #expect(names.filter { !Snapshot.caches.contains($0) } == ["filler"])
      }
      try expectNothingLeft()
    }

    /// A small file system of its own on the state root, while `body` runs.
    private func stateRoot(options: String, flags: UInt, _ body: () throws -> Void) throws {
      let path = try Workspace.active().stateRoot
      mkdir(path, 0o700)
      guard support_mount("tmpfs", path, "tmpfs", flags, options) == 0 else {
        throw HarnessError(errno: errno, "mount")
      }
      defer {
        _ = support_unmount(path)
        rmdir(path)
      }
      try body()
    }

    @Test func mappingsOfATooLongListAreRefusedCleanly() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.mapUsers()
      container.bundle.config["linux"]["uidMappings"] = .array(
        (0..<5000).map { ["containerID": .number($0), "hostID": .number(100_000 + $0), "size": 1] })
      expectError(try container.run())
      try expectNothingLeft()
    }
  }
}
