import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// A mount namespace that somebody else has made, by its path.
  @Suite struct JoinedMountNamespaceTests {
    /// A process in a mount namespace of its own, which shares the host's mounts or is cut off from them.
    private func holder(_ propagation: String = "private") throws -> Subprocess {
      let holder = try Subprocess(
        "/usr/bin/unshare", ["--mount", "--propagation", propagation, RootTemplate.agent(), "wait"])
      try holder.stdout.waitFor("ready")
      return holder
    }

    private func join(_ path: String, _ container: Container) {
      container.bundle.removeNamespace("mount")
      container.bundle.config["linux"]["namespaces"].append(["type": "mount", "path": .string(path)])
    }

    @Test(arguments: ["private", "unchanged"])
    func namespaceIsJoinedAndGetsTheRoot(propagation: String) throws {
      let holder = try holder(propagation)
      defer { holder.end() }
      let before = try Files.read("/proc/self/mountinfo")
      let container = try Container()
      join("/proc/\(holder.process)/ns/mnt", container)
      let report = try container.report("namespaces", "mounts", "command")
      #expect(report["namespaces"]["mnt"].int == Files.inode("/proc/\(holder.process)/ns/mnt"))
      #expect(report["mounts"].elements.contains { $0["destination"].string == "/dev/shm" })
      #expect(try Files.read("/proc/self/mountinfo") == before)
    }

    /// Paths of the configuration are those of that namespace.
    @Test func sourcesAreFoundInTheJoinedNamespace() throws {
      let hidden = try Workspace.active().directory + "/hidden"
      mkdir(hidden, 0o755)
      let script = "\"$2\" mount \"$1\" && echo seen > \"$1/file\" && exec \"$2\" wait"
      let holder = try Subprocess(
        "/usr/bin/unshare",
        ["--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh", hidden, RootTemplate.agent()])
      defer { holder.end() }
      try holder.stdout.waitFor("ready")
      let container = try Container()
      join("/proc/\(holder.process)/ns/mnt", container)
      container.bundle.addMount("/data", type: "bind", source: hidden, options: ["bind"])
      #expect(try container.shell("cat /data/file").stdout == "seen\n")
    }

    @Test func otherNamespacesAreJoinedTogetherWithIt() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      let pid = try first.pid()
      let holder = try holder()
      defer { holder.end() }
      let container = try Container()
      container.bundle.removeNamespace("network")
      container.bundle.removeNamespace("ipc")
      join("/proc/\(holder.process)/ns/mnt", container)
      for (type, file) in [("network", "net"), ("ipc", "ipc")] {
        container.bundle.config["linux"]["namespaces"].append([
          "type": .string(type), "path": .string("/proc/\(pid)/ns/\(file)"),
        ])
      }
      let namespaces = try container.report("namespaces")["namespaces"]
      #expect(namespaces["net"].int == Files.inode("/proc/\(pid)/ns/net"))
      #expect(namespaces["ipc"].int == Files.inode("/proc/\(pid)/ns/ipc"))
      #expect(namespaces["mnt"].int == Files.inode("/proc/\(holder.process)/ns/mnt"))
    }

    @Test func pathOfAnotherNamespaceIsRefused() throws {
      for path in ["/proc/self/ns/net", "/etc/hostname", "/no/such/path"] {
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        join(path, container)
        expectError(try container.attempt("create"), detail: "/linux/namespaces/4/path")
        try expectNothingLeft()
      }
    }

    /// A mistake in the middle of the list leaves nothing in a namespace that others use.
    @Test(.apusOnly("peers leave the mounts that were made"))
    func failedCreateLeavesNothingInTheJoinedNamespace() throws {
      let holder = try holder()
      defer { holder.end() }
      let before = try Files.read("/proc/\(holder.process)/mountinfo")
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      join("/proc/\(holder.process)/ns/mnt", container)
      container.bundle.addMount("/data", type: "no-such-filesystem", source: "none")
      expectError(try container.attempt("create"), detail: "/mounts/7")
      #expect(try Files.read("/proc/\(holder.process)/mountinfo") == before)
    }
  }
}
