import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Mounts that cannot be made: one clear error that names the entry, and nothing left mounted.
  @Suite struct BadMountTests {
    private func expectRefused(
      _ container: Container, says part: String? = nil, at field: String = "/mounts/7",
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try container.attempt("create")
      expectError(outcome, says: part, detail: field, sourceLocation: sourceLocation)
      try expectNothingLeft(sourceLocation: sourceLocation)
    }

    private func source() throws -> String {
      let path = try Workspace.active().directory + "/source"
      mkdir(path, 0o755)
      try Files.write("of the host", to: path + "/file")
      return path
    }

    private func manyMounts(_ count: Int) throws -> Container {
      let container = try Container(args: ["/bin/sh", "-c", "grep -c ' /many' /proc/self/mountinfo"])
      container.bundle.config["mounts"] = .array(
        container.bundle.config["mounts"].elements
          + (0..<count).map {
            ["destination": .string("/many/\($0)"), "type": "tmpfs", "source": "tmpfs", "options": ["size=4k"]]
          })
      return container
    }

    @Test func fiveThousandMounts() throws {
      let container = try manyMounts(5000)
      let begin = Deadline.now
      let outcome = try container.run(timeout: 200)
      print("5,000 mounts in \(Runtime.current.name): \(Int((Deadline.now - begin) * 1000)) ms")
      #expect(outcome.stdout == "5000\n", "\(outcome)")
    }

    @Test func fiveThousandMountsOfWhichTheLastIsBad() throws {
      let container = try manyMounts(4999)
      container.bundle.addMount("/last", type: "no-such-filesystem", source: "none")
      let outcome = try container.attempt("create", timeout: 200)
      expectError(outcome, says: "no such device", detail: "/mounts/5006/type")
      try expectNothingLeft()
    }

    // MARK: Destinations

    @Test(arguments: ["../../../../../../../..", "", "/../.."])
    func destinationThatIsALinkToOutsideStaysInside(prefix: String) throws {
      let source = try source()
      let outside = try Workspace.active().directory + "/outside"
      mkdir(outside, 0o755)
      let container = try Container()
      symlink(prefix + outside, container.bundle.rootfs + "/link")
      container.bundle.addMount("/link", type: "bind", source: source, options: ["bind"])
      container.bundle.addMount("/link/made", type: "tmpfs", source: "tmpfs")
      _ = try container.shell("echo x > /link/made/file")
      #expect(Files.names(in: outside) == [])
      #expect(try HostMounts.line(of: outside) == nil)
    }

    @Test(arguments: ["tmpfs", "bind"]) func destinationInALoopOfLinks(type: String) throws {
      let container = try Container()
      symlink("two", container.bundle.rootfs + "/one")
      symlink("one", container.bundle.rootfs + "/two")
      container.bundle.addMount("/one", type: type, source: try source(), options: type == "bind" ? ["bind"] : [])
      try expectRefused(container, at: "/mounts/7/destination")
    }

    @Test(arguments: ["tmpfs", "bind"]) func fileWhereADirectoryIsNeeded(type: String) throws {
      let container = try Container()
      container.bundle.addMount(
        "/etc/passwd", type: type, source: try source(), options: type == "bind" ? ["bind"] : [])
      try expectRefused(container, says: "not a directory", at: "/mounts/7/destination")
    }

    @Test func fileOnTheWayToADestination() throws {
      let container = try Container()
      container.bundle.addMount("/etc/passwd/below", type: "tmpfs", source: "tmpfs")
      try expectRefused(container, says: "not a directory", at: "/mounts/7/destination")
    }

    @Test func directoryWhereAFileIsNeeded() throws {
      let container = try Container()
      container.bundle.addMount("/etc", type: "bind", source: try source() + "/file", options: ["bind"])
      try expectRefused(container, at: "/mounts/7/destination")
    }

    @Test func destinationWithATooLongName() throws {
      let container = try Container()
      container.bundle.addMount("/" + String(repeating: "x", count: 256), type: "tmpfs", source: "tmpfs")
      try expectRefused(container, at: "/mounts/7/destination")
    }

    @Test(.peerDiffers("crun", "1.8.1", "makes bind mounts read-only last")) func destinationOnAReadOnlyMount() throws {
      let container = try Container()
      let source = try Workspace.active().directory + "/fixed"
      mkdir(source, 0o755)
      container.bundle.addMount("/fixed", type: "bind", source: source, options: ["bind", "ro"])
      container.bundle.addMount("/fixed/below", type: "tmpfs", source: "tmpfs")
      try expectRefused(container, at: "/mounts/8/destination")
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "mounts it"), .peerDiffers("runc", "1.1.5", "mounts a tmpfs there"),
      arguments: ["/proc/self/attr", "/proc/sys/kernel", "/proc/sys"])
    func destinationInsideOfProc(path: String) throws {
      let container = try Container()
      container.bundle.addMount(path, type: "tmpfs", source: "tmpfs")
      try expectRefused(container, at: "/mounts/7/destination")
    }

    @Test(.peerDiffers("crun", "1.8.1", "mounts it"))
    func anotherFileSystemOnProc() throws {
      let container = try Container()
      container.bundle.addMount("/proc", type: "tmpfs", source: "tmpfs")
      try expectRefused(container, at: "/mounts/7/destination")
    }

    @Test func filesOfProcThatEmulatorsReplace() throws {
      let file = try source() + "/file"
      let container = try Container()
      for name in ["cpuinfo", "meminfo", "stat", "uptime", "swaps", "diskstats", "loadavg"] {
        container.bundle.addMount("/proc/\(name)", type: "bind", source: file, options: ["bind", "ro"])
      }
      let outcome = try container.shell("cat /proc/cpuinfo /proc/loadavg")
      #expect(outcome.stdout == "of the hostof the host", "\(outcome)")
    }

    // MARK: Sources

    @Test(arguments: ["/no/such/source", "/etc/hostname/below", "relative/absent"])
    func sourceThatIsNotThere(path: String) throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: path, options: ["bind"])
      try expectRefused(
        container, says: path.hasPrefix("/etc") ? "not a directory" : "no such file or directory",
        at: "/mounts/7/source")
    }

    @Test func sourceInALoopOfLinks() throws {
      let base = try Workspace.active().directory
      symlink("two", base + "/one")
      symlink("one", base + "/two")
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: base + "/one", options: ["bind"])
      try expectRefused(container, at: "/mounts/7/source")
    }

    @Test(.peerDiffers("runc", "1.1.5", "binds the bundle"), arguments: ["", nil])
    func sourceThatIsMissing(source: String?) throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: source, options: ["bind"])
      try expectRefused(container, at: "/mounts/7/source")
    }

    @Test func fifoAsABlockDevice() throws {
      let fifo = try Workspace.active().directory + "/fifo"
      mkfifo(fifo, 0o644)
      let container = try Container()
      container.bundle.addMount("/data", type: "ext4", source: fifo)
      try expectRefused(container)
    }

    @Test func fifoAsALayer() throws {
      let fifo = try Workspace.active().directory + "/fifo"
      mkfifo(fifo, 0o644)
      let container = try Container()
      container.bundle.addMount("/data", type: "overlay", source: "overlay", options: ["lowerdir=\(fifo):/etc"])
      try expectRefused(container)
    }

    // MARK: Options and types

    @Test(arguments: [
      ("nonsense", "Unknown parameter 'nonsense'"), ("size=banana", "Bad value for 'size'"),
      ("mode=999", "Bad value for 'mode'"), ("huge=perhaps", "Bad value for 'huge'"),
    ])
    func optionThatTheFileSystemRefuses(option: String, words: String) throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["nosuid", option])
      try expectRefused(container, says: Runtime.current.isPeer ? nil : words, at: "/mounts/7/options")
    }

    @Test(
      .peerDiffers("crun", "1.8.1", "passes over it"), .peerDiffers("runc", "1.1.5", "passes over it"),
      arguments: ["nonsense", "nosuidd", "size=1m", "mode=755"])
    func dataOfABindMount(option: String) throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "bind", source: try source(), options: ["bind", option])
      try expectRefused(
        container, says: "bind mounts cannot have any filesystem-specific options applied", at: "/mounts/7/options")
    }

    @Test func unknownTypeIsNamed() throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "no-such-filesystem", source: "none")
      try expectRefused(container, says: "no such device", at: "/mounts/7/type")
    }

    @Test func missingTypeIsRefused() throws {
      let container = try Container()
      container.bundle.addMount("/data", source: try source(), options: ["ro"])
      try expectRefused(container, at: "/mounts/7/type")
    }

    @Test func missingDestinationPropertyIsRefused() throws {
      let container = try Container()
      container.bundle.addMount("", type: "tmpfs", source: "tmpfs")
      try expectRefused(container, at: "/mounts/7/destination")
    }

    /// The first mounts are made, one in the middle cannot be: the shared mount of the host shows none of them.
    @Test func nothingOfAFailedListReachesASharedMountOfTheHost() throws {
      try HostMounts.withTree { tree in
        mkdir(tree + "/inner", 0o755)
        let before = try Files.read("/proc/self/mountinfo")
        let container = try Container()
        container.bundle.config["linux"]["rootfsPropagation"] = "rshared"
        container.bundle.addMount("/data", type: "bind", source: tree, options: ["rbind", "rshared"])
        container.bundle.addMount("/data2", type: "tmpfs", source: "tmpfs")
        container.bundle.addMount("/data3", type: "bind", source: "/no/such/source", options: ["bind"])
        expectError(try container.attempt("create"), detail: "/mounts/9/source")
        #expect(try Files.read("/proc/self/mountinfo") == before)
      }
    }
  }
}
