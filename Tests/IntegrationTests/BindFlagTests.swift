import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// The flags of a bind mount, where its source has some already.
  @Suite struct BindFlagTests {
    struct Row: Sendable, CustomTestStringConvertible {
      let source: [String]
      let options: [String]
      let top: [String]
      var below: [String]?
      /// Why a peer does otherwise.
      var differences: [String: String] = [:]

      var testDescription: String { "\(options) from \(source)" }
    }

    private static let strict = ["ro", "nosuid", "nodev"]
    private static let passes = ["runc": "without a flag to set there is no remount"]
    private static let exact = ["crun": "gives the mount exactly the flags of its options, and none without any"]

    private static let last = ["crun": "makes a bind mount read-only last"]

    static let rows: [Row] = [
      // No flag is named: those of the source stay.
      Row(source: strict, options: ["bind"], top: strict, differences: exact),
      Row(source: strict, options: ["rbind"], top: strict, differences: exact),
      Row(source: strict, options: ["rbind", "rprivate"], top: strict, differences: exact),
      Row(source: strict, options: ["rbind", "defaults"], top: strict, differences: exact),
      // One is named, be it to take it away: the mount gets those that are named, and below everything stays.
      Row(source: strict, options: ["rbind", "rw"], top: [], below: strict, differences: passes),
      Row(source: strict, options: ["rbind", "suid"], top: [], below: strict, differences: passes),
      Row(source: ["nosuid", "nodev"], options: ["rbind", "ro"], top: ["ro"], below: ["nosuid", "nodev"]),
      Row(source: ["noexec"], options: ["rbind", "exec", "nodev"], top: ["nodev"], below: ["noexec"]),
      Row(source: [], options: ["rbind", "rw", "ro"], top: ["ro"], below: []),
      Row(
        source: [], options: ["rbind", "ro", "rw"], top: [],
        differences: ["crun": "does not take back what stands before it"]),
      Row(
        source: [], options: ["rbind", "nosuid", "nodev", "noexec", "ro", "noatime", "nodiratime"],
        top: ["nosuid", "nodev", "noexec", "ro", "noatime", "nodiratime"], below: []),
      // A remount keeps the access time flags where none of them is named.
      Row(source: ["noatime"], options: ["rbind", "nosuid"], top: ["noatime", "nosuid"], below: ["noatime"]),
      Row(
        source: ["strictatime", "nodiratime"], options: ["bind", "ro"],
        top: ["strictatime", "nodiratime", "ro"]),
      // The recursive ones change what they name.
      Row(
        source: ["nosuid", "nodev"], options: ["rbind", "rro"], top: strict, below: strict, differences: exact),
      Row(
        source: strict, options: ["rbind", "rrw"], top: ["nosuid", "nodev"], below: ["nosuid", "nodev"],
        differences: exact),
      Row(source: strict, options: ["rbind", "rsuid", "rdev"], top: ["ro"], below: ["ro"], differences: exact),
      Row(
        source: ["nosuid"], options: ["rbind", "ro", "rnodev"], top: ["nodev", "ro"],
        below: ["nosuid", "nodev"]),
      // They change what the plain ones have made, wherever they stand.
      Row(source: [], options: ["rbind", "rro", "rw"], top: ["ro"], below: ["ro"]),
      Row(source: [], options: ["rbind", "rw", "rro"], top: ["ro"], below: ["ro"]),
      Row(source: [], options: ["rbind", "ro", "rrw"], top: [], below: [], differences: last),
      Row(source: [], options: ["rbind", "rrw", "ro"], top: [], below: [], differences: last),
      Row(source: [], options: ["rbind", "rnosuid", "suid", "nodev"], top: ["nosuid", "nodev"], below: ["nosuid"]),
      Row(source: [], options: ["bind", "rbind"], top: [], below: []),
      Row(source: [], options: ["rbind", "bind"], top: [], below: []),
    ]

    @Test(arguments: rows)
    func bindHasTheFlagsThatAreNamedOrThoseOfItsSource(_ row: Row) throws {
      try allowing(row.differences, in: row.testDescription) { try check(row) }
    }

    private func check(_ row: Row) throws {
      try HostMounts.withTree(MountState(configured: row.source)) { source in
        let container = try Container()
        container.bundle.addMount("/mount", type: "bind", source: source, options: row.options)
        let hasBelow = row.options.contains("rbind")
        let answers = try hasBelow ? container.probe("/mount", "/mount/below") : container.probe("/mount")
        MountState(configured: row.top).expect(of: answers[0])
        if hasBelow { MountState(configured: row.below ?? row.top).expect(of: answers[1]) }
      }
    }

    /// A user namespace must not take away what the host's mount has (mount_namespaces(7)): the flags are locked.
    @Test(arguments: [
      ["rbind"], ["rbind", "ro"], ["rbind", "nosuid"], ["rbind", "ro", "nosuid", "nodev"], ["rbind", "rro"],
    ])
    func lockedFlagsStayInAUserNamespace(options: [String]) throws {
      var loses: [String: String] = [:]
      if options == ["rbind", "ro"] || options == ["rbind", "rro"] {
        loses["crun"] = "binds on the side of the host, and loses the flags of the source"
      }
      if options == ["rbind", "ro"] || options == ["rbind", "nosuid"] {
        loses["runc"] = "fails: does not try again with the access time flag that is locked"
      }
      try allowing(loses, in: "\(options) in a user namespace") {
        try HostMounts.withTree(MountState(configured: ["nosuid", "nodev", "noatime"])) { source in
          let container = try Container()
          try container.bundle.mapUsers()
          container.bundle.addMount("/mount", type: "bind", source: source, options: options)
          let mount = try #require(
            try container.report("mounts")["mounts"].elements.last { $0["destination"].string == "/mount" })
          var wanted = MountState(configured: ["nosuid", "nodev", "noatime"])
          if options.contains("ro") || options.contains("rro") { wanted.words.insert("ro") }
          #expect(MountState(mountinfo: mount.words("options")) == wanted, "\(mount.text)")
        }
      }
    }

    /// What is asked for by name and cannot be is either refused or stays as strict as it was.
    @Test(arguments: ["rw", "suid", "dev", "rrw", "rsuid", "rdev", "atime", "strictatime"])
    func lockedFlagIsNeverCleared(option: String) throws {
      let loses = ["rrw", "rsuid", "rdev"].contains(option) ? ["crun": "binds on the side of the host"] : [:]
      let state = ["ro", "nosuid", "nodev", "noatime"]
      try allowing(loses, in: "\(option) in a user namespace") {
        try HostMounts.withTree(MountState(configured: state)) { source in
          let container = try Container(args: ["/bin/agent", "report", "mounts"])
          try container.bundle.mapUsers()
          container.bundle.addMount("/mount", type: "bind", source: source, options: ["rbind", option])
          let outcome = try container.run()
          guard outcome.code == 0 else { return expectError(outcome, detail: "/mounts/7") }
          for mount in try outcome.json["mounts"].elements
          where mount["destination"].string?.hasPrefix("/mount") == true {
            let found = MountState(mountinfo: mount.words("options"))
            #expect(found == MountState(configured: state), "\(mount.text)")
          }
        }
      }
    }

    /// The mounts below are locked there, and a copy without them would show what they cover: it has to be made on the
    /// side of the host.
    @Test(
      .peerDiffers("runc", "1.1.5", "binds inside of the user namespace, where the mounts below are locked"))
    func bindInAUserNamespaceLeavesOutTheMountsBelow() throws {
      try HostMounts.withTree { source in
        let container = try Container()
        try container.bundle.mapUsers()
        container.bundle.addMount("/mount", type: "bind", source: source, options: ["bind"])
        #expect(try container.shell("ls /mount/below; echo seen").stdout == "seen\n")
      }
    }

    /// A source behind folders that are closed to the user of the container, as those of managers are.
    @Test func sourceThatOnlyTheHostCanReachIsBoundInAUserNamespace() throws {
      let closed = try Workspace.active().directory + "/closed"
      mkdir(closed, 0o700)
      mkdir(closed + "/open", 0o755)
      try Files.write("reached", to: closed + "/open/file")
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.addMount("/folder", type: "bind", source: closed + "/open", options: ["bind"])
      container.bundle.addMount("/file", type: "bind", source: closed + "/open/file", options: ["bind"])
      let outcome = try container.shell("cat /folder/file /file")
      #expect(outcome.stdout == "reachedreached", "\(outcome)")
    }
  }
}
