import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// The propagation of single mounts and of the root: which mounts made later pass between the host and a container.
  @Suite struct PropagationTests {
    static let words = [
      "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable",
    ]

    struct Row: Sendable, CustomTestStringConvertible {
      /// `linux.rootfsPropagation`, and the option of the mount.
      let root: String?
      let mount: String?

      var testDescription: String { "\(mount ?? "no option") below a root that is \(root ?? "not set")" }

      private var sharesRoot: Bool { root == "shared" || root == "rshared" }

      /// Mounts of the host come in, unless the mount or all mounts are cut off.
      var comesIn: Bool {
        let isOpen = mount == nil || ["shared", "rshared", "slave", "rslave"].contains(mount)
        return isOpen && root != "rprivate" && root != "runbindable"
      }

      /// Mounts of the container go out only where the configuration says `shared` for the root: otherwise the first that
      /// happens is that all mounts become slaves.
      var goesOut: Bool {
        sharesRoot && (mount == nil || mount == "shared" || mount == "rshared")
      }

      var difference: String? {
        let isCut = root == "private" || root == "unbindable" || root == "slave"
        switch Runtime.current.name {
        case "runc" where isCut:
          return "a propagation of the root without `r` leaves the other mounts shared with the host"
        default: return nil
        }
      }
    }

    static let rows: [Row] = ([nil] + words).flatMap { root in
      ([nil] + words).map { Row(root: root, mount: $0) }
    }

    @Test(arguments: rows)
    func laterMountsPassAsTheirPropagationSays(_ row: Row) throws {
      guard let reason = row.difference else { return try check(row) }
      TestRun.count("differs", "\(row.testDescription)\t\(reason)")
      withKnownIssue("\(reason)", isIntermittent: true) { try check(row) }
    }

    private func check(_ row: Row) throws {
      try HostMounts.withTree { source in
        for name in ["in", "out"] { mkdir("\(source)/\(name)", 0o755) }
        let script =
          "ls /mount/in; mount -t tmpfs tmpfs /mount/out && touch /mount/out/made && exec agent wait"
        let container = try Container(args: ["/bin/sh", "-c", script])
        container.allowProbing()
        container.bundle.config["linux"]["rootfsPropagation"] = row.root.map { .string($0) } ?? .null
        container.bundle.addMount(
          "/mount", type: "bind", source: source, options: ["rbind"] + (row.mount.map { [$0] } ?? []))
        try container.create()
        try HostMounts.with("tmpfs", on: source + "/in") {
          try Files.write("", to: source + "/in/later")
          try container.start()
          try container.stdout.waitFor("ready")
          #expect(try container.stdout.text == (row.comesIn ? "later\nready\n" : "ready\n"))
          #expect(Files.names(in: source + "/out") == (row.goesOut ? ["made"] : []))
          try container.delete("--force")
        }
        if row.goesOut { _ = support_unmount(source + "/out") }
      }
    }

    /// Of the root itself: its file system lies on a shared mount of the host.
    @Test(arguments: [nil] + words)
    func rootReceivesMountsOfTheHostOnlyAsASlave(propagation: String?) throws {
      let path = try Workspace.active().directory + "/shared"
      try HostMounts.with("tmpfs", on: path) {
        #expect(support_make_shared(path) == 0)
        try RootTemplate.place(at: path + "/rootfs", copying: true)
        for name in ["in", "out"] { mkdir("\(path)/rootfs/\(name)", 0o755) }
        let script = "ls /in; mount -t tmpfs tmpfs /out && touch /out/made && exec agent wait"
        let container = try Container(args: ["/bin/sh", "-c", script])
        container.allowProbing()
        container.bundle.config["root"]["path"] = .string(path + "/rootfs")
        container.bundle.config["linux"]["rootfsPropagation"] = propagation.map { .string($0) } ?? .null
        try container.create()
        try HostMounts.with("tmpfs", on: path + "/rootfs/in") {
          try Files.write("", to: path + "/rootfs/in/later")
          try container.start()
          try container.stdout.waitFor("ready")
          let comesIn = [nil, "slave", "rslave"].contains(propagation)
          #expect(try container.stdout.text == (comesIn ? "later\nready\n" : "ready\n"))
          #expect(Files.names(in: path + "/rootfs/out") == [])
          try container.delete("--force")
        }
      }
    }

    @Test(arguments: [nil] + words)
    func mountinfoShowsThePropagationOfTheRoot(propagation: String?) throws {
      let container = try Container()
      container.bundle.config["linux"]["rootfsPropagation"] = propagation.map { .string($0) } ?? .null
      let root = try container.report("mounts")["mounts"][0]
      let kinds = Set(root["propagation"].strings.map { String($0.prefix { $0 != ":" }) })
      #expect(kinds.contains("shared") == (propagation?.hasSuffix("shared") == true), "\(root.text)")
      #expect(kinds.contains("unbindable") == (propagation?.hasSuffix("unbindable") == true), "\(root.text)")
    }

    @Test(arguments: ["unbindable", "runbindable"])
    func unbindableRootCannotBeBound(propagation: String) throws {
      let container = try Container()
      container.allowProbing()
      container.bundle.config["linux"]["rootfsPropagation"] = .string(propagation)
      let outcome = try container.shell("mount -o bind /bin /tmp && echo bound || echo refused")
      #expect(outcome.stdout == "refused\n", "\(outcome)")
      container.bundle.config["linux"]["rootfsPropagation"] = "private"
      let control = try container.shell("mount -o bind /bin /tmp && echo bound || echo refused")
      #expect(control.stdout == "bound\n", "\(control)")
    }

    /// What is mounted in a nested namespace appears in a shared root.
    @Test func sharedRootIsAPeerGroupOfItsOwn() throws {
      let container = try Container()
      container.allowProbing()
      container.bundle.config["linux"]["rootfsPropagation"] = "shared"
      let outcome = try container.shell(
        "busybox unshare -m --propagation unchanged mount -t tmpfs nested /tmp; grep -c nested /proc/self/mountinfo")
      #expect(outcome.stdout == "1\n", "\(outcome)")
    }

    @Test func unknownPropagationIsRefused() throws {
      let container = try Container()
      container.bundle.config["linux"]["rootfsPropagation"] = "sideways"
      expectError(try container.run(), detail: "/linux/rootfsPropagation")
      try expectNothingLeft()
    }
  }
}
