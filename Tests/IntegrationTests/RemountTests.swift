import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// The option `remount`: what lies at the destination is changed, and nothing is mounted.
  @Suite struct RemountTests {
    @Test func fileSystemOfTheContainerBecomesReadOnly() throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["nosuid"])
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["remount", "ro", "nosuid"])
      let answers = try container.probe("/data")
      MountState(configured: ["ro", "nosuid"]).expect(of: answers[0], hasFixtures: false)
      let mounts = try container.report("mounts")["mounts"].elements
      #expect(mounts.filter { $0["destination"].string == "/data" }.count == 1)
    }

    @Test func parametersOfTheFileSystemAreChanged() throws {
      let container = try Container()
      container.bundle.addMount("/dev/shm", type: "tmpfs", source: "shm", options: ["remount", "size=1m", "nosuid"])
      let mount = try #require(
        try container.report("mounts")["mounts"].elements.last { $0["destination"].string == "/dev/shm" })
      #expect(mount.words("super").contains("size=1024k"), "\(mount.text)")
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "makes tmpfs mounts read-only last"),
      .peerDiffers("crun", "1.8.1", "makes tmpfs mounts read-only last"))
    func readOnlyFileSystemBecomesWritable() throws {
      let container = try Container()
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["ro", "mode=777"])
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["remount", "rw"])
      #expect(try container.probe("/data")[0]["write"].string == "")
    }

    @Test(arguments: [["remount", "bind", "ro", "nosuid"], ["bind", "ro", "remount", "nosuid"]])
    func boundFolderIsRemountedWithoutItsFileSystem(options: [String]) throws {
      try HostMounts.withTree { tree in
        let before = try HostMounts.line(of: tree)
        let container = try Container()
        container.bundle.addMount("/data", type: "bind", source: tree, options: ["rbind"])
        container.bundle.addMount("/data", type: "bind", source: tree, options: options)
        let answers = try container.probe("/data", "/data/below")
        MountState(configured: ["ro", "nosuid"]).expect(of: answers[0])
        MountState().expect(of: answers[1])
        #expect(try HostMounts.line(of: tree) == before)
        try Files.write("still writable", to: tree + "/file")
      }
    }

    @Test func recursiveOptionReachesTheMountsBelow() throws {
      try HostMounts.withTree { tree in
        let container = try Container()
        container.bundle.addMount("/data", type: "bind", source: tree, options: ["rbind"])
        container.bundle.addMount("/data", type: "bind", source: tree, options: ["remount", "bind", "rro"])
        let answers = try container.probe("/data", "/data/below")
        for answer in answers { MountState(configured: ["ro"]).expect(of: answer) }
      }
    }

    @Test func fileIsRemounted() throws {
      let file = try Workspace.active().directory + "/file"
      try Files.write("text", to: file)
      let container = try Container()
      container.bundle.addMount("/etc/bound", type: "bind", source: file, options: ["bind"])
      container.bundle.addMount("/etc/bound", type: "bind", source: file, options: ["remount", "bind", "ro"])
      let outcome = try container.shell("cat /etc/bound; echo x > /etc/bound || echo refused")
      #expect(outcome.stdout == "textrefused\n", "\(outcome)")
    }

    /// Without `bind` it would change the file system, for everybody who has it mounted.
    @Test(
      .peerDiffers("runc", "1.1.5", "changes the file system of the host"),
      .peerDiffers("crun", "1.8.1", "changes the file system of the host"))
    func remountNeverReachesTheHost() throws {
      try HostMounts.withTree { tree in
        let before = try HostMounts.line(of: tree)
        let container = try Container(args: ["/bin/agent", "exit", "0"])
        container.bundle.addMount("/data", type: "bind", source: tree, options: ["rbind"])
        container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["remount", "ro", "size=8m"])
        let outcome = try container.run()
        #expect(try HostMounts.line(of: tree) == before, "\(outcome)")
        // For the tests after this one, whatever the runtime did.
        _ = support_mount("none", tree, "none", 32, nil)
        expectError(outcome, detail: "/mounts/8")
      }
    }

    @Test(arguments: ["tmpfs", "bind"]) func destinationThatIsNoMountIsRefused(type: String) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      mkdir(container.bundle.rootfs + "/data", 0o755)
      container.bundle.addMount(
        "/data", type: type, source: "tmpfs", options: ["remount", "ro"] + (type == "bind" ? ["bind"] : []))
      expectError(try container.attempt("create"), detail: "/mounts/7")
      try expectNothingLeft()
    }

    @Test func destinationThatIsNotThereIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.addMount("/no/such/place", type: "tmpfs", source: "tmpfs", options: ["remount", "ro"])
      expectError(try container.attempt("create"), detail: "/mounts/7")
      try expectNothingLeft()
    }

    @Test func parameterThatTheFileSystemRefuses() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.addMount("/dev/shm", type: "tmpfs", source: "shm", options: ["remount", "size=banana"])
      expectError(try container.attempt("create"), detail: "/mounts/7")
      try expectNothingLeft()
    }

    @Test func remountInAUserNamespace() throws {
      let container = try Container()
      try container.bundle.mapUsers()
      container.bundle.addMount("/data", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"])
      container.bundle.addMount(
        "/data", type: "tmpfs", source: "tmpfs", options: ["remount", "ro", "nosuid", "nodev"])
      let mount = try #require(
        try container.report("mounts")["mounts"].elements.last { $0["destination"].string == "/data" })
      #expect(mount.words("options").contains("ro"), "\(mount.text)")
    }
  }
}
