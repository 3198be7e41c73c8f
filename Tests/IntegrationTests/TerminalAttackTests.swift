import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What an image tries with /dev/console and /dev/pts while its container gets a terminal.
  @Suite struct TerminalAttackTests {
    /// A container with a terminal. Without mounts on /dev, what is there is what the image brought.
    private func container(keeping mounts: [String] = []) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["process"]["terminal"] = true
      for name in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] where !mounts.contains(name) {
        container.bundle.removeMount(name)
      }
      mkdir(container.bundle.rootfs + "/dev/pts", 0o755)
      container.bundle.config["root"]["readonly"] = false
      return container
    }

    private func create(_ container: Container) throws -> Outcome {
      let socket = try DescriptorSocket()
      return try container.attempt("create", "--console-socket", socket.path)
    }

    @Test(.attack("CVE-2026-88264"), .peerDiffers("crun", "1.8.1", "CVE-2026-88264: writes on the host"))
    func consoleThatIsALinkIsNotFollowed() throws {
      let canary = try Canary()
      for link in [nil, canary.climbing + "/file", canary.climbing + "/made", canary.path + "/file"] {
        let container = try container(keeping: ["/dev/pts"])
        let console = container.bundle.rootfs + "/dev/console"
        if let link { symlink(link, console) } else { try Files.write("of the image", to: console) }
        let outcome = try create(container)
        if link == nil {
          try expectBenign(outcome)
        } else {
          expectError(outcome, detail: "`/dev/console` of the root file system is a symbolic link")
        }
        expectUntouched(canary, "\(link ?? "no link"): \(outcome)")
      }
    }

    /// What only looks like a devpts is never opened.
    @Test(
      .attack("CVE-2025-52565"),
      .peerDiffers("crun", "1.8.1", "takes what /dev/ptmx leads to"),
      .peerDiffers("runc", "1.1.5", "takes what /dev/ptmx leads to"),
      arguments: ["folder", "link", "node", "file", "fifo"])
    func ptsThatIsNoDevptsIsRefused(_ kind: String) throws {
      let canary = try Canary()
      try expectBenign(create(container(keeping: ["/dev/pts"])))
      let container = try container()
      let multiplexer = container.bundle.rootfs + "/dev/pts/ptmx"
      switch kind {
      case "link": symlink(canary.climbing + "/secret", multiplexer)
      case "node": mknod(multiplexer, S_IFCHR | 0o666, (5 << 8) | 2)
      case "file": try Files.write("", to: multiplexer)
      case "fifo": mkfifo(multiplexer, 0o666)
      default: break
      }
      let outcome = try create(container)
      expectError(outcome, says: "no devpts", detail: "`/process/terminal`")
      expectUntouched(canary, "\(outcome)")
    }

    @Test(.attack("CVE-2025-52565"))
    func fileMountedOverTheMultiplexerIsRefused() throws {
      let canary = try Canary()
      try expectBenign(create(container(keeping: ["/dev", "/dev/pts"])))
      let container = try container(keeping: ["/dev", "/dev/pts"])
      container.bundle.addMount(
        "/dev/pts/ptmx", type: "bind", source: canary.path + "/secret", options: ["bind"])
      let outcome = try create(container)
      expectError(outcome, detail: "cannot make a terminal")
      expectUntouched(canary, "\(outcome)")
    }

    /// What /dev/pts and /dev/console are goes on changing. A container that is made has a terminal on its console.
    @Test(
      .attack("CVE-2025-52565", "CVE-2026-88264"), .apusOnly("a race that the peers lose at times"),
      arguments: ["pts", "console"])
    func exchangedDevNeverLeadsToTheHost(_ name: String) throws {
      let canary = try Canary()
      for file in ["0", "ptmx", "console"] { try Files.write("of the host", to: "\(canary.path)/\(file)") }
      canary.remember()
      let volume = try Workspace.active().directory + "/volume"
      for path in [volume, volume + "/pts", volume + "/shm", volume + "/mqueue"] { mkdir(path, 0o777) }
      try Files.write("", to: volume + "/console")
      symlink(name == "pts" ? canary.climbing : canary.climbing + "/console", volume + "/link")
      let container = try container(keeping: ["/dev/pts", "/dev/shm", "/dev/mqueue"])
      let dev: JSONValue = ["destination": "/dev", "source": .string(volume), "options": ["bind"]]
      container.bundle.config["mounts"] = .array([dev] + container.bundle.config["mounts"].elements)
      var tally = Tally()
      try Race.run(["\(volume)/\(name)", volume + "/link"]) { round in
        let socket = try DescriptorSocket()
        let outcome = try container.attempt("create", "--console-socket", socket.path)
        if round < 0 { try expectBenign(outcome) } else { tally.count(made: outcome.code == 0) }
        guard outcome.code == 0 else { return }
        // Kept open: the end of the terminal would be that of the container.
        let terminal = try socket.receiveTerminal()
        defer { withExtendedLifetime(terminal) {} }
        // Major number 136 is a slave, whichever of the two names has it now.
        let pid = try container.pid()
        let isTerminal = Files.status("/proc/\(pid)/fd/0").map { $0.st_rdev >> 8 == 136 } ?? false
        let mounts = try Mountinfo.lines(of: pid).filter { $0.contains(" devpts ") }
        if !isTerminal || mounts.count < 2 { tally.fail("terminal: \(isTerminal), \(mounts)") }
        try container.delete("--force")
      }
      expectUntouched(canary)
      tally.judge()
      try expectNothingLeft()
    }
  }
}
