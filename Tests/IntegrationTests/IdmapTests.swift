import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Id-mapped mounts: `idmap`, `ridmap`, and the mappings of one mount (config.md, "Mounts").
  @Suite struct IdmapTests {
    private static let noIdmap = "no id-mapped mounts yet"

    /// A folder of the host with files of several owners.
    private func source(_ name: String = "source") throws -> String {
      let path = try Workspace.active().directory + "/" + name
      mkdir(path, 0o777)
      chmod(path, 0o777)
      for (file, user, group) in [("root", 0, 0), ("one", 1, 2), ("hundred", 100, 211)] {
        try Files.write(file, to: "\(path)/\(file)")
        chown("\(path)/\(file)", uid_t(user), gid_t(group))
        chmod("\(path)/\(file)", 0o666)
      }
      return path
    }

    private func mappings(_ ranges: (Int, Int, Int)...) -> JSONValue {
      .array(ranges.map { ["containerID": .number($0.0), "hostID": .number($0.1), "size": .number($0.2)] })
    }

    private func add(
      _ destination: String, to container: Container, from source: String?, type: String = "bind",
      options: [String] = ["bind"], uids: JSONValue = .null, gids: JSONValue = .null
    ) {
      var mount: JSONValue = [
        "destination": .string(destination), "type": .string(type), "options": JSONValue(options),
      ]
      mount["source"] = source.map { .string($0) } ?? .null
      mount["uidMappings"] = uids
      mount["gidMappings"] = gids
      container.bundle.config["mounts"].append(mount)
    }

    /// `uid:gid` of files inside.
    private func owners(_ paths: [String], in container: Container) throws -> [String] {
      let line = "for path in \(paths.joined(separator: " ")); do busybox stat -c %u:%g $path; done"
      let outcome = try container.shell(line)
      #expect(outcome.code == 0, "\(outcome)")
      return outcome.stdout.split(separator: "\n").map(String.init)
    }

    private func owner(_ path: String) -> [UInt32] {
      var status = stat()
      return lstat(path, &status) == 0 ? [status.st_uid, status.st_gid] : []
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func mappingsOfTheMountWithoutAUserNamespace() throws {
      let container = try Container()
      let map = mappings((0, 100_000, 65_536))
      add("/data", to: container, from: try source(), uids: map, gids: map)
      let owners = try owners(["/data/root", "/data/one", "/data/hundred"], in: container)
      #expect(owners == ["100000:100000", "100001:100002", "100100:100211"])
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func mappingsOfTheMountInAUserNamespace() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      let source = try source()
      let map = mappings((0, 100_000, 65_536))
      add("/data", to: container, from: source, uids: map, gids: map)
      let owners = try owners(["/data/root", "/data/one", "/data/hundred"], in: container)
      #expect(owners == ["0:0", "1:2", "100:211"])
      let outcome = try container.shell("echo x > /data/new; mkdir /data/folder")
      #expect(outcome.code == 0, "\(outcome)")
      #expect(owner(source + "/new") == [0, 0])
      #expect(owner(source + "/folder") == [0, 0])
    }

    @Test(
      .peerDiffers("runc", "1.1.5", noIdmap),
      arguments: [["bind", "idmap"], ["rbind", "ridmap"], ["idmap", "bind", "ro"]]
    )
    func mappingsOfTheContainerAreTaken(options: [String]) throws {
      try allowing(options.contains("ridmap") ? ["crun": "does not know it"] : [:], in: "\(options)") {
        let container = try Container()
        try container.bundle.mapUsers()
        add("/data", to: container, from: try source(), options: options)
        #expect(try owners(["/data/root", "/data/hundred"], in: container) == ["0:0", "100:211"])
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func optionAndMappingsTogether() throws {
      let container = try Container()
      add(
        "/data", to: container, from: try source(), options: ["bind", "idmap"], uids: mappings((0, 50, 10)),
        gids: mappings((0, 60, 10)))
      #expect(try owners(["/data/root", "/data/one"], in: container) == ["50:60", "51:62"])
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func severalRangesAndTwoMountsOfOneSource() throws {
      let container = try Container()
      let source = try source()
      add(
        "/first", to: container, from: source, uids: mappings((0, 1000, 1), (1, 2000, 1), (100, 3000, 1)),
        gids: mappings((0, 5000, 3), (210, 6000, 10)))
      add("/second", to: container, from: source, uids: mappings((0, 7000, 200)), gids: mappings((0, 8000, 300)))
      add("/plain", to: container, from: source)
      let paths = ["/first", "/second", "/plain"].flatMap { ["\($0)/root", "\($0)/one", "\($0)/hundred"] }
      #expect(
        try owners(paths, in: container) == [
          "1000:5000", "2000:5002", "3000:6001", "7000:8000", "7001:8002", "7100:8211", "0:0", "1:2", "100:211",
        ])
    }

    /// Who is not mapped has no name there.
    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func userThatIsNotMappedCannotMakeFiles() throws {
      let container = try Container()
      container.allowProbing()
      let map = mappings((0, 100_000, 65_536))
      let source = try source()
      add("/data", to: container, from: source, uids: map, gids: map)
      let answer = try container.agent("open", "/data/new", "wc")
      #expect(answer.first?["error"].string == "EOVERFLOW", "\(answer)")
      #expect(!Files.exists(source + "/new"))
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func ownersOutsideTheMappingAreNobody() throws {
      let container = try Container()
      add("/data", to: container, from: try source(), uids: mappings((0, 10, 1)), gids: mappings((0, 10, 1)))
      #expect(try owners(["/data/root", "/data/one"], in: container) == ["10:10", "65534:65534"])
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func idMappedFile() throws {
      let container = try Container()
      add(
        "/etc/file", to: container, from: try source() + "/one", uids: mappings((1, 33, 1)), gids: mappings((2, 44, 1)))
      #expect(try owners(["/etc/file"], in: container) == ["33:44"])
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap), .peerDiffers("crun", "1.8.1", "looks for it elsewhere"))
    func relativeSourceIsThatOfTheBundle() throws {
      let container = try Container()
      mkdir(container.bundle.path + "/inside", 0o755)
      add(
        "/data", to: container, from: "inside", uids: mappings((0, 5, 1)), gids: mappings((0, 6, 1)))
      #expect(try owners(["/data"], in: container) == ["5:6"])
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap), .peerDiffers("crun", "1.8.1", "leaves the mounts below out"))
    func onlyTheRecursiveOneMapsTheMountsBelow() throws {
      for (option, below) in [("idmap", "0:0"), ("ridmap", "70:80")] {
        try HostMounts.withTree { tree in
          let container = try Container()
          add(
            "/data", to: container, from: tree, options: ["rbind", option], uids: mappings((0, 70, 5)),
            gids: mappings((0, 80, 5)))
          #expect(try owners(["/data/file", "/data/below/file"], in: container) == ["70:80", below], "\(option)")
        }
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func attributesAndPropagationGoWithIt() throws {
      try HostMounts.withTree { tree in
        let container = try Container()
        add(
          "/data", to: container, from: tree, options: ["bind", "ro", "nosuid", "noatime", "rslave"],
          uids: mappings((0, 70, 5)), gids: mappings((0, 80, 5)))
        let mount = try #require(
          try container.report("mounts")["mounts"].elements.last { $0["destination"].string == "/data" })
        #expect(
          Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "noatime", "idmapped"]), "\(mount.text)")
        #expect(try HostMounts.line(of: tree)?[5].contains("idmapped") == false)
      }
    }

    @Test(
      .peerDiffers("runc", "1.1.5", noIdmap), arguments: [false, true])
    func newFileSystemIsMapped(inUserNamespace: Bool) throws {
      let reasons = inUserNamespace ? [:] : ["crun": "id-maps bind mounts only"]
      try allowing(reasons, in: "id-mapped tmpfs") { try checkNewFileSystem(inUserNamespace) }
    }

    private func checkNewFileSystem(_ inUserNamespace: Bool) throws {
      let container = try Container()
      if inUserNamespace { try container.bundle.mapUsers() }
      let map = mappings((0, inUserNamespace ? 100_007 : 7, 5))
      add("/data", to: container, from: "tmpfs", type: "tmpfs", options: ["mode=755"], uids: map, gids: map)
      let outcome = try container.shell("busybox stat -c %u:%g /data")
      if inUserNamespace && outcome.code != 0 {
        // The kernel decides: the file system belongs to the user namespace itself.
        expectError(outcome, detail: "/mounts/7")
      } else {
        #expect(outcome.stdout == "7:7\n", "\(outcome)")
      }
    }

    @Test func idMappedFilesAreWrittenByTheRootOfTheContainer() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      add("/data", to: container, from: try source(), options: ["bind", "idmap"])
      let outcome = try container.shell("cat /data/root && echo y > /data/root && cat /data/root")
      #expect(outcome.stdout == "rooty\n", "\(outcome)")
    }

    // MARK: The option with a mapping of its own, as crun has it

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func mappingInTheOption() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      add(
        "/data", to: container, from: try source(),
        options: ["bind", "idmap=uids=0-100005-1#1-100007-1;gids=0-100009-10"])
      #expect(try owners(["/data/root", "/data/one"], in: container) == ["5:9", "7:11"])
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap)) func relativeMappingInTheOption() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      add("/data", to: container, from: try source(), options: ["bind", "idmap=uids=@0-5-10;gids=@0-6-10"])
      #expect(try owners(["/data/root", "/data/one"], in: container) == ["5:6", "6:8"])
    }

    // MARK: Refused

    private func expectRefused(
      _ container: Container, says part: String? = nil, at field: String,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try container.attempt("create")
      expectError(outcome, detail: field, sourceLocation: sourceLocation)
      if let part, !Runtime.current.isPeer {
        #expect(outcome.stderr.contains(part), "\(outcome)", sourceLocation: sourceLocation)
      }
      try expectNothingLeft(sourceLocation: sourceLocation)
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap), arguments: [true, false])
    func oneSidedMappingIsRefused(users: Bool) throws {
      let container = try Container()
      try container.bundle.mapUsers()
      let map = mappings((0, 100_000, 10))
      add(
        "/data", to: container, from: try source(), uids: users ? map : .null, gids: users ? .null : map)
      try expectRefused(container, at: users ? "/mounts/7/gidMappings" : "/mounts/7/uidMappings")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", noIdmap), arguments: ["idmap", "ridmap"])
    func optionWithoutAnyMappingIsRefused(option: String) throws {
      let reasons = option == "ridmap" ? ["crun": "does not know it"] : [:]
      try allowing(reasons, in: "\(option) without a mapping") {
        let container = try Container()
        add("/data", to: container, from: try source(), options: ["bind", option])
        try expectRefused(container, says: "no user namespace", at: "/mounts/7")
      }
    }

    @Test(
      .apusOnly("peers pass over it or give the errno alone"),
      arguments: ["proc", "sysfs", "devpts", "overlay", "cgroup", "mqueue"])
    func fileSystemThatCannotBeMappedIsNamed(type: String) throws {
      let map = mappings((0, 100_000, 10))
      let container = try Container()
      let source = try source()
      let options = type == "overlay" ? ["lowerdir=\(source):/etc"] : []
      add("/data", to: container, from: type, type: type, options: options, uids: map, gids: map)
      try expectRefused(container, says: type == "mqueue" ? "id-map" : "`\(type)`", at: "/mounts/7")
    }

    @Test(.apusOnly("peers give the errno alone"))
    func sourceOnAFileSystemThatCannotBeMapped() throws {
      let map = mappings((0, 100_000, 10))
      let container = try Container()
      add("/data", to: container, from: "/sys/kernel", uids: map, gids: map)
      try expectRefused(container, says: "no id-mapped mounts of this file system", at: "/mounts/7")
    }

    @Test(.peerDiffers("runc", "1.1.5", noIdmap))
    func rangesThatOverlapAreRefused() throws {
      let map = mappings((0, 100_000, 10), (5, 200_000, 10))
      let container = try Container()
      add("/data", to: container, from: try source(), uids: map, gids: map)
      try expectRefused(container, at: "/mounts/7")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", noIdmap),
      arguments: [
        "idmap=", "idmap=nonsense", "idmap=uids=0-0-1", "idmap=uids=0-1;gids=0-1", "ridmap=uids=a-b-c;gids=0-0-1",
      ])
    func malformedMappingInTheOption(option: String) throws {
      let reasons = option.hasPrefix("ridmap") ? ["crun": "does not know it"] : [:]
      try allowing(reasons, in: option) {
        let container = try Container()
        add("/data", to: container, from: try source(), options: ["bind", option])
        try expectRefused(container, at: "/mounts/7/options")
      }
    }
  }
}
