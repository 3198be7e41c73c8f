import Foundation
import Testing

extension Integration {
  /// `linux.sysctl`: set in the namespaces of the container, and nowhere else.
  @Suite struct SysctlTests {
    /// What the host has; a test that changes one of these has found a hole.
    private static let watched = [
      "net/core/somaxconn", "net/ipv4/ip_forward", "net/ipv4/conf/lo/rp_filter", "kernel/shmmax", "kernel/msgmax",
      "kernel/sem", "kernel/domainname", "kernel/hostname", "kernel/core_pattern", "kernel/panic", "vm/swappiness",
      "fs/mqueue/msg_max", "user/max_uts_namespaces",
    ]

    private func hostValues() throws -> [String] {
      try SysctlTests.watched.map { "\($0) \(try Files.read("/proc/sys/" + $0))" }
    }

    private func expectHostUnchanged(
      sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> Void
    ) throws {
      let before = try hostValues()
      try body()
      #expect(try hostValues() == before, sourceLocation: sourceLocation)
    }

    private func container(_ sysctl: [String: String], reading path: String = "") throws -> Container {
      let container = try Container(args: ["/bin/busybox", "cat"] + [path].filter { !$0.isEmpty })
      container.bundle.config["linux"]["sysctl"] = .object(sysctl.mapValues { .string($0) })
      return container
    }

    @Test func kernelParametersHaveTheirValueInside() throws {
      try expectHostUnchanged {
        for (name, value) in [
          ("net.core.somaxconn", "321"), ("net.ipv4.ip_forward", "1"), ("net.ipv4.conf.lo.rp_filter", "2"),
          ("kernel.shmmax", "1048576"), ("kernel.msgmax", "4096"), ("kernel.sem", "250\t32000\t32\t64"),
          ("fs.mqueue.msg_max", "7"), ("kernel.domainname", "domain.example"), ("net.ipv4.ip_forward", "0"),
          ("net.ipv4.ping_group_range", "0\t5"),
        ] {
          let path = "/proc/sys/" + name.replacingOccurrences(of: ".", with: "/")
          let outcome = try container([name: value], reading: path).run()
          #expect(outcome.code == 0 && outcome.stdout == value + "\n", "\(name): \(outcome)")
        }
      }
    }

    @Test func severalKernelParametersAtOnce() throws {
      let container = try container([
        "net.core.somaxconn": "17", "kernel.msgmax": "5000", "net.ipv4.tcp_syncookies": "0",
      ])
      container.bundle.args += ["core/somaxconn", "ipv4/tcp_syncookies"].map { "/proc/sys/net/" + $0 }
      #expect(try container.run().stdout == "17\n0\n")
    }

    @Test func emptySysctlIsNone() throws {
      #expect(try container([:], reading: "/proc/sys/net/core/somaxconn").run().code == 0)
    }

    @Test func slashesSeparateTheNamesOfAParameterToo() throws {
      let container = try container(["net/core/somaxconn": "99"], reading: "/proc/sys/net/core/somaxconn")
      #expect(try container.run().stdout == "99\n")
    }

    @Test(arguments: [
      ("network", "net.core.somaxconn"), ("ipc", "kernel.shmmax"), ("ipc", "fs.mqueue.msg_max"),
      ("uts", "kernel.domainname"),
    ])
    func parameterOfANamespaceOfTheHostIsRefused(kind: String, name: String) throws {
      try expectHostUnchanged {
        let container = try container([name: "13"], reading: "/dev/null")
        container.bundle.removeNamespace(kind)
        container.bundle.config["hostname"] = nil
        if kind == "ipc" { container.bundle.removeMount("/dev/mqueue") }
        expectError(try container.run(), detail: "at `/linux/sysctl/\(name)`")
      }
      try expectNothingLeft()
    }

    @Test(arguments: ["vm.swappiness", "kernel.core_pattern", "kernel.panic", "fs.file-max", "kernel.hostname"])
    func parameterOfTheWholeHostIsRefused(name: String) throws {
      try expectHostUnchanged {
        let container = try container([name: "1"], reading: "/dev/null")
        expectError(try container.run(), detail: "at `/linux/sysctl/\(name)`")
      }
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers join the parts to a path, or clean it, after they have looked at the beginning"))
    func parameterThatLeavesItsFolderIsRefused() throws {
      try expectHostUnchanged {
        for name in ["net/../kernel/domainname", "net//../kernel/panic", "fs/mqueue/../../vm/swappiness"] {
          expectError(try container([name: "1"], reading: "/dev/null").run(), says: "no name of a kernel parameter")
        }
      }
      try expectNothingLeft()
    }

    /// The path may be any name for the namespace of the host. The runtime gets one to play host in: a peer changes it.
    @Test(.peerDiffers("crun", "1.8.1", "sets the parameter for the host"), arguments: ["self", "thread-self"])
    func hostsOwnNamespaceGivenByPathIsNotChanged(process: String) throws {
      let container = try container(["net.core.somaxconn": "13"], reading: "/dev/null")
      container.bundle.removeNamespace("network")
      container.bundle.config["linux"]["namespaces"].append([
        "type": "network", "path": .string("/proc/\(process)/ns/net"),
      ])
      try container.bundle.write()
      let words = ["--net", Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path]
      let outcome = try Subprocess("/usr/bin/unshare", words + [container.id]).wait()
      expectError(outcome, says: "host", detail: "at `/linux/sysctl/net.core.somaxconn`")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers look at the network namespace alone"))
    func hostsOwnIPCAndUTSNamespaceGivenByPathAreNotChanged() throws {
      for (kind, file, name) in [("ipc", "ipc", "kernel.shmmax"), ("uts", "uts", "kernel.domainname")] {
        try expectHostUnchanged {
          let container = try container([name: "13"], reading: "/dev/null")
          container.bundle.config["hostname"] = nil
          container.bundle.removeNamespace(kind)
          container.bundle.config["linux"]["namespaces"].append([
            "type": .string(kind), "path": .string("/proc/self/ns/\(file)"),
          ])
          expectError(try container.run(), detail: "at `/linux/sysctl/\(name)`")
        }
      }
      try expectNothingLeft()
    }

    @Test func namespaceOfAnotherContainerIsChanged() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.create()
      try expectHostUnchanged {
        let second = try container(["net.core.somaxconn": "77"], reading: "/proc/sys/net/core/somaxconn")
        second.bundle.removeNamespace("network")
        second.bundle.config["linux"]["namespaces"].append([
          "type": "network", "path": .string("/proc/\(try first.pid())/ns/net"),
        ])
        #expect(try second.run().stdout == "77\n")
      }
    }

    @Test(.apusOnly("new in runc 1.5"))
    func limitsOfTheUserNamespaceAreSet() throws {
      try expectHostUnchanged {
        let container = try container(
          ["user.max_uts_namespaces": "7"], reading: "/proc/sys/user/max_uts_namespaces")
        try container.bundle.mapUsers()
        #expect(try container.run().stdout == "7\n")
      }
      let shared = try container(["user.max_uts_namespaces": "7"], reading: "/dev/null")
      expectError(try shared.run(), says: "host's user namespace")
      try expectNothingLeft()
    }

    /// Without a pid namespace of its own a user namespace may not mount a procfs.
    @Test func userNamespaceWithTheHostsProcessesSetsParametersToo() throws {
      try expectHostUnchanged {
        let container = try container(["net.core.somaxconn": "55"], reading: "/proc/sys/net/core/somaxconn")
        try container.bundle.mapUsers()
        container.bundle.removeNamespace("pid")
        container.bundle.removeMount("/proc")
        container.bundle.addMount("/proc", type: "bind", source: "/proc", options: ["rbind"])
        let outcome = try container.run()
        #expect(outcome.stdout == "55\n", "\(outcome)")
      }
    }

    @Test func parameterThatTheKernelDoesNotHaveIsAnError() throws {
      let container = try container(["net.core.of_tomorrow": "1"], reading: "/dev/null")
      expectError(try container.run(), says: "no such file or directory", detail: "of_tomorrow")
      try expectNothingLeft()
    }

    @Test func valueThatTheKernelRefusesIsAnError() throws {
      let container = try container(["net.core.somaxconn": "many"], reading: "/dev/null")
      expectError(try container.run(), detail: "invalid argument (at `/linux/sysctl/net.core.somaxconn`)")
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers write nothing for an empty value"))
    func emptyValueEmptiesATextAndIsNoNumber() throws {
      let name = try container(["kernel.domainname": ""], reading: "/proc/sys/kernel/domainname")
      #expect(try name.run().stdout == "\n")
      expectError(try container(["net.core.somaxconn": ""], reading: "/dev/null").run(), says: "invalid argument")
      try expectNothingLeft()
    }

    /// What lies at /proc in the container is not written to.
    @Test(.attack("CVE-2019-16884", "CVE-2025-52881"), arguments: ["tmpfs", "bind", "part"])
    func fakeProcOfTheContainerIsNotWrittenTo(way: String) throws {
      try runWithFakeProc(way)
    }

    @Test(
      .attack("CVE-2025-52881"), .peerDiffers("runc", "1.1.5", "CVE-2025-52881: writes to the file of the image"))
    func fakeProcOfTheImageIsNotWrittenTo() throws {
      try runWithFakeProc("image")
    }

    private func runWithFakeProc(_ way: String) throws {
      let fake = try Workspace.active().directory + "/fake"
      let file = "sys/net/core/somaxconn"
      try expectHostUnchanged {
        let container = try container(["net.core.somaxconn": "66"], reading: "/real/net/core/somaxconn")
        container.bundle.args[2] = "/real/\(file)"
        container.bundle.addMount("/real", type: "proc", source: "proc")
        container.bundle.config["root"]["readonly"] = false
        container.bundle.config["linux"]["maskedPaths"] = nil
        container.bundle.config["linux"]["readonlyPaths"] = nil
        let inside = container.bundle.rootfs + "/proc/"
        let folder = way == "image" || way == "tmpfs" ? inside : fake + "/"
        for name in ["sys/net/core", "self/attr", "thread-self/attr"] {
          try FileManager.default.createDirectory(atPath: folder + name, withIntermediateDirectories: true)
        }
        for name in [file, "self/attr/exec", "thread-self/attr/exec", "sysrq-trigger"] {
          try Files.write("untouched", to: folder + name)
        }
        if way != "part" { container.bundle.removeMount("/proc") }
        switch way {
        case "tmpfs": container.bundle.addMount("/proc", type: "tmpfs", source: "x", options: ["tmpcopyup"])
        case "bind": container.bundle.addMount("/proc", type: "bind", source: fake, options: ["rbind"])
        case "part": container.bundle.addMount("/proc/sys", type: "bind", source: fake + "/sys", options: ["rbind"])
        default: break
        }
        let outcome = try container.run()
        if outcome.code == 0 {
          #expect(outcome.stdout == "66\n", "\(outcome)")
        } else if !Runtime.current.isPeer {
          // A mount on files of /proc may be refused as such; a container with a wrong value must not run.
          #expect(way != "image" && outcome.stderr.contains("/mounts/"), "\(outcome)")
        }
        for name in [file, "self/attr/exec", "thread-self/attr/exec", "sysrq-trigger"] {
          #expect(try Files.read(folder + name) == "untouched", "\(name)")
        }
      }
    }

    /// The /proc of the host, as the runtime sees it, may be covered in part too. The parameter is one whose file is the same
    /// in all namespaces: others have one for each, on which nothing lies.
    @Test(.attack("CVE-2025-52881"), arguments: [false, true])
    func fakeProcOfTheHostIsNotWrittenTo(hasUserNamespace: Bool) throws {
      let loses = hasUserNamespace ? [:] : ["crun": "CVE-2025-52881: writes to the file that covers the parameter"]
      try allowing(loses, in: "user namespace \(hasUserNamespace)") { try writeWithFakeProc(hasUserNamespace) }
    }

    private func writeWithFakeProc(_ hasUserNamespace: Bool) throws {
      let fake = try Workspace.active().directory + "/fake"
      try Files.write("untouched", to: fake)
      let before = try hostValues()
      let container = try container(["kernel.domainname": "changed"], reading: "/proc/sys/kernel/domainname")
      if hasUserNamespace {
        try container.bundle.mapUsers()
        container.bundle.removeNamespace("pid")
        container.bundle.removeMount("/proc")
      }
      _ = try Subprocess("/bin/mount", ["-n", "--bind", fake, "/proc/sys/kernel/domainname"]).wait()
      let covered = try Files.read("/proc/sys/kernel/domainname")
      let outcome = Result { try container.run() }
      _ = try Subprocess("/bin/umount", ["-n", "/proc/sys/kernel/domainname"]).wait()
      #expect(covered == "untouched")
      #expect(try Files.read(fake) == "untouched")
      #expect(try hostValues() == before)
      if !hasUserNamespace { #expect(try outcome.get().stdout == "changed\n", "\(outcome)") }
    }

    /// Without a mount namespace the cover is still there when the parameter is written: the switch of the root, which
    /// detaches the host's mounts one from another, is a mere chroot(2) then.
    @Test(
      .attack("CVE-2025-52881"),
      .peerDiffers("runc", "1.1.5", "fails, and leaves the bind mount of the root file system on the host"),
      .peerDiffers("crun", "1.8.1", "CVE-2025-52881: writes to the file that covers the parameter"))
    func fakeProcOfTheHostIsNotWrittenToWithoutAMountNamespace() throws {
      let fake = try Workspace.active().directory + "/fake"
      try Files.write("untouched", to: fake)
      let before = try hostValues()
      let container = try container(["kernel.domainname": "changed"])
      container.bundle.removeNamespace("mount")
      container.bundle.config["mounts"] = []
      for name in ["maskedPaths", "readonlyPaths"] { container.bundle.config["linux"][name] = nil }
      container.bundle.config["root"]["readonly"] = false
      container.bundle.args = ["/bin/agent", "report", "host"]
      _ = try Subprocess("/bin/mount", ["-n", "--bind", fake, "/proc/sys/kernel/domainname"]).wait()
      let outcome = Result { try container.run() }
      _ = try Subprocess("/bin/umount", ["-n", "/proc/sys/kernel/domainname"]).wait()
      #expect(try outcome.get().json["domainname"].string == "changed", "\(outcome)")
      #expect(try Files.read(fake) == "untouched")
      #expect(try hostValues() == before)
    }
  }
}
