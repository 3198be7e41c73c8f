import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// The flags of a bind mount: what its source has stays, and the options set and clear what they name, as mount(8) does
  /// since it uses mount_setattr(2).
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
    private static let clears = "a remount with any flag clears those that it does not name"
    private static let passes = "without a flag to set there is no remount"

    static let rows: [Row] = [
      Row(source: strict, options: ["bind"], top: strict),
      Row(source: strict, options: ["rbind"], top: strict),
      Row(source: strict, options: ["rbind", "rprivate"], top: strict),
      Row(source: strict, options: ["rbind", "defaults"], top: strict),
      Row(
        source: strict, options: ["rbind", "rw"], top: ["nosuid", "nodev"], below: strict,
        differences: ["runc": passes, "crun": clears]),
      Row(
        source: ["nosuid", "nodev"], options: ["rbind", "ro"], top: strict, below: ["nosuid", "nodev"],
        differences: ["runc": clears, "crun": clears]),
      Row(
        source: ["nosuid", "nodev"], options: ["rbind", "rro"], top: strict, below: strict,
        differences: ["crun": clears]),
      Row(source: strict, options: ["rbind", "rrw"], top: ["nosuid", "nodev"], below: ["nosuid", "nodev"]),
      Row(
        source: strict, options: ["rbind", "suid"], top: ["ro", "nodev"], below: strict,
        differences: ["runc": passes, "crun": clears]),
      Row(
        source: strict, options: ["rbind", "rsuid", "rdev"], top: ["ro"], below: ["ro"]),
      Row(
        source: ["noexec"], options: ["rbind", "exec", "nodev"], top: ["nodev"], below: ["noexec"]),
      Row(
        source: ["noatime"], options: ["rbind", "nosuid"], top: ["noatime", "nosuid"], below: ["noatime"]),
      Row(
        source: ["strictatime", "nodiratime"], options: ["bind", "ro"], top: ["strictatime", "nodiratime", "ro"]),
      Row(source: [], options: ["rbind", "ro", "rw"], top: []),
      Row(source: [], options: ["rbind", "rw", "ro"], top: ["ro"], below: []),
      Row(
        source: [], options: ["rbind", "nosuid", "nodev", "noexec", "ro", "noatime", "nodiratime"],
        top: ["nosuid", "nodev", "noexec", "ro", "noatime", "nodiratime"], below: []),
      Row(source: [], options: ["bind", "rbind"], top: [], below: []),
      Row(source: [], options: ["rbind", "bind"], top: [], below: []),
      Row(
        source: ["nosuid"], options: ["rbind", "ro", "rnodev"], top: ["nosuid", "nodev", "ro"],
        below: ["nosuid", "nodev"], differences: ["runc": clears, "crun": clears]),
    ]

    @Test(arguments: rows)
    func bindKeepsTheFlagsOfItsSource(_ row: Row) throws {
      guard let reason = row.differences[Runtime.current.name] else { return try check(row) }
      TestRun.count("differs", "\(row.testDescription)\t\(reason)")
      withKnownIssue("\(reason)") { try check(row) }
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
      ["bind"], ["rbind"], ["bind", "ro"], ["bind", "nosuid"], ["rbind", "ro", "nosuid", "nodev"], ["rbind", "rro"],
    ])
    func lockedFlagsStayInAUserNamespace(options: [String]) throws {
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

    /// What is asked for by name and cannot be is either refused or stays as strict as it was.
    @Test(arguments: ["rw", "suid", "dev", "rrw", "rsuid", "rdev", "atime", "strictatime"])
    func lockedFlagIsNeverCleared(option: String) throws {
      try HostMounts.withTree(MountState(configured: ["ro", "nosuid", "nodev", "noatime"])) { source in
        let container = try Container(args: ["/bin/agent", "report", "mounts"])
        try container.bundle.mapUsers()
        container.bundle.addMount("/mount", type: "bind", source: source, options: ["rbind", option])
        let outcome = try container.run()
        guard outcome.code == 0 else {
          expectError(outcome, detail: "/mounts/7")
          return
        }
        for mount in try outcome.json["mounts"].elements
        where mount["destination"].string?.hasPrefix("/mount") == true {
          let state = MountState(mountinfo: mount.words("options"))
          #expect(state == MountState(configured: ["ro", "nosuid", "nodev", "noatime"]), "\(mount.text)")
        }
      }
    }
  }
}
