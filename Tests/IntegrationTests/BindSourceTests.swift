import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Everything of the host that can be bound.
  @Suite struct BindSourceTests {
    /// A name of the host and what the agent's `stat` says of it.
    private func makeSource(_ kind: String) throws -> String {
      let path = try Workspace.active().directory + "/" + kind
      switch kind {
      case "directory": mkdir(path, 0o755)
      case "file": try Files.write("text", to: path)
      case "fifo": mkfifo(path, 0o644)
      case "char": mknod(path, S_IFCHR | 0o666, dev_t(1 << 8 | 5))
      case "block": mknod(path, S_IFBLK | 0o600, dev_t(7 << 8))
      default:
        let handle = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(handle) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(handle, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
          }
        }
        guard bound == 0 else { throw HarnessError(errno: errno, "bind \(path)") }
      }
      return path
    }

    static let kinds = ["directory", "file", "fifo", "socket", "char", "block"]
    static let options = [["bind"], ["bind", "ro"], ["rbind", "rro"], ["rbind", "rprivate", "nosuid", "nodev"]]

    @Test(arguments: kinds, options)
    func everyKindOfFileIsBound(kind: String, options: [String]) throws {
      let reason = "opens the target of recursive options as a folder"
      let differs = kind != "directory" && options.contains("rro")
      try allowing(differs ? ["crun": reason] : [:], in: "\(kind) bound with \(options)") {
        let source = try makeSource(kind)
        let container = try Container(args: ["/bin/agent", "stat", "/bound"])
        container.bundle.addMount("/bound", type: "bind", source: source, options: options)
        let outcome = try container.run()
        #expect(outcome.code == 0, "\(outcome)")
        #expect(try outcome.json["type"].string == kind, "\(outcome)")
        #expect(try HostMounts.line(of: source) == nil)
      }
    }

    @Test func boundDeviceWorksUnlessNodevStands() throws {
      for (options, error) in [(["bind"], ""), (["bind", "ro"], ""), (["bind", "nodev"], "EACCES")] {
        let source = try makeSource("char")
        let container = try Container()
        container.allowProbing()
        container.bundle.addMount("/bound", type: "bind", source: source, options: options)
        #expect(try container.agent("open", "/bound", "rb").first?["error"].string == error, "\(options)")
        unlink(source)
      }
    }

    @Test func boundFifoAndSocketConnectBothSides() throws {
      let source = try makeSource("fifo")
      let container = try Container(args: ["/bin/cat", "/bound"])
      container.bundle.addMount("/bound", type: "bind", source: source, options: ["bind", "ro"])
      try container.create()
      try container.start()
      let writer = open(source, O_WRONLY | O_CLOEXEC)
      #expect(writer >= 0)
      #expect(write(writer, "over", 4) == 4)
      close(writer)
      #expect(try container.stdout.readToEnd() == "over")
      try container.delete("--force")
    }

    /// A file system in user space that the host has mounted, as sshfs would be.
    @Test(arguments: [["bind"], ["bind", "ro"], ["rbind", "rro", "rprivate"], ["bind", "nosuid", "nodev", "noexec"]])
    func userSpaceFileSystemOfTheHostIsBound(options: [String]) throws {
      let server = try ServedFolder()
      defer { server.end() }
      for isMapped in [false, true] {
        var reasons: [String: String] = [:]
        let isReadOnly = options.contains("ro") || options.contains("rro")
        if isMapped ? isReadOnly : options == ["bind"] { reasons["crun"] = "loses the flags of the source" }
        if isMapped && options == ["bind", "ro"] { reasons["runc"] = "does not keep what is locked" }
        try allowing(reasons, in: "FUSE bound with \(options), \(isMapped)") {
          let container = try Container()
          if isMapped { try container.bundle.mapUsers() }
          container.bundle.addMount("/folder", type: "bind", source: server.path, options: options)
          container.bundle.addMount("/etc/file", type: "bind", source: server.path + "/file", options: ["bind"])
          let outcome = try container.shell("cat /folder/file /etc/file; grep ' /folder ' /proc/self/mountinfo")
          #expect(outcome.stdout.hasPrefix("served\nserved\n"), "\(outcome)")
          // The flags that the host's mount has are not lost where none is named, nor in a user namespace.
          if isMapped || options == ["bind"] { #expect(outcome.stdout.contains("nosuid,nodev"), "\(outcome)") }
        }
      }
    }

    /// Without `allow_other` only the user who mounted it may look, and that is the host's root here.
    @Test func userSpaceFileSystemOfOneUserIsBound() throws {
      let server = try ServedFolder("")
      defer { server.end() }
      let container = try Container()
      container.bundle.addMount("/folder", type: "bind", source: server.path, options: ["rbind", "ro"])
      #expect(try container.shell("cat /folder/file").stdout == "served\n")
    }

    @Test func relativeDestinationIsTakenFromTheRoot() throws {
      let source = try makeSource("file")
      let container = try Container()
      container.bundle.addMount("relative/file", type: "bind", source: source, options: ["bind"])
      container.bundle.addMount("./other//../relative/folder", type: "tmpfs", source: "tmpfs")
      let outcome = try container.shell("cat /relative/file; ls /relative")
      #expect(outcome.stdout == "textfile\nfolder\n", "\(outcome)")
    }

    @Test func sourceThatIsALinkIsFollowed() throws {
      let source = try makeSource("file")
      symlink("file", source + "-link")
      let container = try Container()
      container.bundle.addMount("/bound", type: "bind", source: source + "-link", options: ["bind"])
      #expect(try container.shell("cat /bound").stdout == "text")
    }
  }
}
