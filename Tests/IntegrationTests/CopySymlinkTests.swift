import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What crun knows about symbolic links: `copy-symlink`, `src-nofollow`, `dest-nofollow`.
  @Suite struct SymbolicLinkOptionTests {
    private static let unknown = "does not know the option"

    private func link(to target: String) throws -> String {
      let path = try Workspace.active().directory + "/link"
      symlink(target, path)
      return path
    }

    // MARK: copy-symlink

    @Test(
      .peerDiffers("runc", "1.1.5", unknown), .peerDiffers("crun", "1.8.1", unknown),
      arguments: ["no/such/file", "/no/such/file", "file", "..", "/etc/hostname"])
    func linkIsMadeAgainAndNotFollowed(target: String) throws {
      let source = try link(to: target)
      try Files.write("of the host", to: try Workspace.active().directory + "/file")
      let container = try Container(args: ["/bin/agent", "stat", "/a/sym/link"])
      container.bundle.addMount("/a/sym/link", type: "bind", source: source, options: ["rbind", "copy-symlink"])
      let status = try container.run().json
      #expect(status["type"].string == "link" && status["target"].string == target, "\(status.text)")
      let mounts = try container.report("mounts")["mounts"].elements
      #expect(!mounts.contains { $0["destination"].string == "/a/sym/link" })
    }

    @Test(.peerDiffers("runc", "1.1.5", unknown), .peerDiffers("crun", "1.8.1", unknown))
    func linkThatIsThereAlreadyAndIsTheSameStays() throws {
      let source = try link(to: "target")
      let container = try Container(args: ["/bin/agent", "stat", "/etc/link"])
      symlink("target", container.bundle.rootfs + "/etc/link")
      container.bundle.addMount("/etc/link", type: "bind", source: source, options: ["bind", "copy-symlink"])
      #expect(try container.run().json["target"].string == "target")
    }

    @Test(arguments: ["other", "file", "folder"])
    func somethingElseInTheLinksPlaceIsAnError(what: String) throws {
      let source = try link(to: "target")
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      let place = container.bundle.rootfs + "/etc/link"
      switch what {
      case "other": symlink("another", place)
      case "file": try Files.write("kept", to: place)
      default: mkdir(place, 0o755)
      }
      container.bundle.addMount("/etc/link", type: "bind", source: source, options: ["bind", "copy-symlink"])
      expectError(try container.attempt("create"), detail: "/mounts/7")
      if what == "file" { #expect(try Files.read(place) == "kept") }
      try expectNothingLeft()
    }

    @Test func sourceThatIsNoLinkIsBound() throws {
      let base = try Workspace.active().directory
      try Files.write("bound", to: base + "/file")
      let container = try Container()
      container.bundle.addMount(
        "/etc/bound", type: "bind", source: base + "/file", options: ["bind", "copy-symlink", "ro"])
      let outcome = try container.shell("cat /etc/bound; echo x > /etc/bound || echo refused")
      #expect(outcome.stdout == "boundrefused\n", "\(outcome)")
    }

    /// The folders on the way are resolved inside of the root.
    @Test func copiedLinkStaysInTheRoot() throws {
      let outside = try Workspace.active().directory + "/outside"
      mkdir(outside, 0o755)
      let source = try link(to: "target")
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      symlink("../../../../../../../../\(outside)", container.bundle.rootfs + "/way")
      container.bundle.addMount("/way/link", type: "bind", source: source, options: ["bind", "copy-symlink"])
      _ = try container.run()
      #expect(Files.names(in: outside) == [])
    }

    // MARK: src-nofollow

    @Test(
      .peerDiffers("runc", "1.1.5", unknown), .peerDiffers("crun", "1.8.1", unknown))
    func linkItselfIsBound() throws {
      let source = try link(to: "no-such-target")
      let container = try Container(args: ["/bin/agent", "stat", "/etc/bound"])
      container.bundle.addMount(
        "/etc/bound", type: "bind", source: source, options: ["bind", "src-nofollow", "dest-nofollow"])
      let status = try container.run().json
      #expect(status["type"].string == "link" && status["target"].string == "no-such-target", "\(status.text)")
    }

    @Test func sourceOfAnotherKindIsBoundAsWithoutTheOption() throws {
      try allowing(["runc": SymbolicLinkOptionTests.unknown], in: "src-nofollow of a file", isIntermittent: true) {
        let base = try Workspace.active().directory
        mkdir(base + "/folder", 0o755)
        try Files.write("text", to: base + "/folder/file")
        let container = try Container()
        container.bundle.addMount("/bound", type: "bind", source: base + "/folder", options: ["bind", "src-nofollow"])
        #expect(try container.shell("cat /bound/file").stdout == "text")
      }
    }

    // MARK: dest-nofollow

    @Test(.peerDiffers("runc", "1.1.5", unknown), .peerDiffers("crun", "1.8.1", unknown))
    func linkAtTheDestinationIsCovered() throws {
      let base = try Workspace.active().directory
      try Files.write("covers", to: base + "/file")
      let container = try Container()
      try Files.write("target", to: container.bundle.rootfs + "/etc/target")
      symlink("target", container.bundle.rootfs + "/etc/link")
      container.bundle.addMount("/etc/link", type: "bind", source: base + "/file", options: ["bind", "dest-nofollow"])
      let outcome = try container.shell("cat /etc/link /etc/target")
      #expect(outcome.stdout == "coverstarget", "\(outcome)")
      var status = stat()
      #expect(lstat(container.bundle.rootfs + "/etc/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    }

    @Test func missingDestinationIsMadeWithDestNofollowToo() throws {
      try allowing(["runc": SymbolicLinkOptionTests.unknown], in: "dest-nofollow", isIntermittent: true) {
        let base = try Workspace.active().directory
        try Files.write("text", to: base + "/file")
        let container = try Container()
        container.bundle.addMount(
          "/a/b/file", type: "bind", source: base + "/file", options: ["bind", "dest-nofollow"])
        container.bundle.addMount("/c/d", type: "tmpfs", source: "tmpfs", options: ["dest-nofollow"])
        let differs = Runtime.current.name == "crun"
        let outcome = try container.shell("cat /a/b/file; ls -d /c/d")
        #expect(differs || outcome.stdout == "text/c/d\n", "\(outcome)")
      }
    }
  }
}
