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

      var differences: [String: String] {
        let isOpen = mount == nil || mount == "shared" || mount == "rshared"
        var reasons = unbindableDifferences(root)
        if isOpen && ["slave", "private", "unbindable"].contains(root) {
          let reason = "a propagation of the root without `r` leaves the other mounts shared with the host"
          reasons.merge(["runc": reason, "crun": reason]) { first, _ in first }
        }
        if root == nil && comesIn { reasons["crun"] = "makes all mounts private" }
        return reasons
      }
    }

    private static func unbindableDifferences(_ root: String?) -> [String: String] {
      let reason = "cannot bind the root of a mount that is unbindable"
      switch root {
      case "unbindable": return ["runc": reason]
      case "runbindable": return ["runc": reason, "crun": reason]
      default: return [:]
      }
    }

    static let rows: [Row] = ([nil] + words).flatMap { root in
      ([nil] + words).map { Row(root: root, mount: $0) }
    }

    @Test(arguments: rows)
    func laterMountsPassAsTheirPropagationSays(_ row: Row) throws {
      try allowing(row.differences, in: row.testDescription) { try check(row) }
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
      var reasons = PropagationTests.unbindableDifferences(propagation)
      if propagation == "unbindable" { reasons["runc"] = nil }
      if propagation == "slave" { reasons["runc"] = "makes the mount around the root private first" }
      if [nil, "slave", "rslave"].contains(propagation) {
        reasons["crun"] = "makes the mount around the root private first"
      }
      try allowing(reasons, in: "root that is \(propagation ?? "not set")") { try checkRoot(propagation) }
    }

    private func checkRoot(_ propagation: String?) throws {
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
      var reasons = PropagationTests.unbindableDifferences(propagation)
      if propagation?.hasSuffix("shared") == true {
        reasons["runc"] = "binds the root after its parent was made private, and it stays so"
      }
      try allowing(reasons, in: "mountinfo of a root that is \(propagation ?? "not set")") {
        let container = try Container()
        container.bundle.config["linux"]["rootfsPropagation"] = propagation.map { .string($0) } ?? .null
        let root = try container.report("mounts")["mounts"][0]
        let kinds = Set(root["propagation"].strings.map { String($0.prefix { $0 != ":" }) })
        #expect(kinds.contains("shared") == (propagation?.hasSuffix("shared") == true), "\(root.text)")
        #expect(kinds.contains("unbindable") == (propagation?.hasSuffix("unbindable") == true), "\(root.text)")
      }
    }

    @Test(arguments: ["unbindable", "runbindable"])
    func unbindableRootCannotBeBound(propagation: String) throws {
      try allowing(PropagationTests.unbindableDifferences(propagation), in: "root that is \(propagation)") {
        for (word, answer) in [(propagation, "refused\n"), ("private", "bound\n")] {
          let container = try Container()
          container.allowProbing()
          container.bundle.config["linux"]["rootfsPropagation"] = .string(word)
          let outcome = try container.shell("mount -o bind /bin /tmp && echo bound || echo refused")
          #expect(outcome.stdout == answer, "\(word): \(outcome)")
        }
      }
    }

    /// What is mounted in a nested namespace appears in a shared root.
    @Test(.peerDiffers("runc", "1.1.5", "binds the root after its parent was made private, and it stays so"))
    func sharedRootIsAPeerGroupOfItsOwn() throws {
      let container = try Container()
      container.allowProbing()
      container.bundle.config["linux"]["rootfsPropagation"] = "shared"
      let script = "agent nested /tmp > /dev/null; grep -c nested /proc/self/mountinfo"
      #expect(try container.shell(script).stdout == "1\n")
      container.bundle.config["linux"]["rootfsPropagation"] = "private"
      #expect(try container.shell(script).stdout == "0\n")
    }

    @Test(.peerDiffers("crun", "1.8.1", "passes over it"))
    func unknownPropagationIsRefused() throws {
      let container = try Container()
      container.bundle.config["linux"]["rootfsPropagation"] = "sideways"
      expectError(try container.run(), detail: "/linux/rootfsPropagation")
      try expectNothingLeft()
    }
  }
}
