import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `linux.maskedPaths` and `linux.readonlyPaths`, on files of the image.
  @Suite struct MaskedPathTests {
    private func container(masked: [String] = [], readonly: [String] = [], writableRoot: Bool = true) throws
      -> Container
    {
      let container = try Container()
      let rootfs = container.bundle.rootfs
      for folder in ["/data", "/data/inner", "/data/inner/deep"] {
        mkdir(rootfs + folder, 0o755)
        try Files.write("secret", to: rootfs + folder + "/file")
      }
      symlink("inner", rootfs + "/data/link")
      symlink("inner/file", rootfs + "/data/file-link")
      container.bundle.config["root"]["readonly"] = .bool(!writableRoot)
      container.bundle.config["linux"]["maskedPaths"] = JSONValue(masked)
      container.bundle.config["linux"]["readonlyPaths"] = JSONValue(readonly)
      return container
    }

    /// `text` for a file that can be read, `empty`, or why not; and whether it can be written.
    private let look = """
      for name in data/file data/inner/file data/inner/deep/file; do
        if [ -e /$name ]; then read=$(cat /$name); else read=gone; fi
        if echo -n secret 2> /dev/null > /$name; then write=w; else write=r; fi
        echo $name ${read:-empty} $write
      done
      """

    private func seen(_ container: Container) throws -> [String] {
      let outcome = try container.shell(look)
      #expect(outcome.code == 0, "\(outcome)")
      return outcome.stdout.split(separator: "\n").map {
        String($0.split(separator: " ").dropFirst().joined(separator: " "))
      }
    }

    @Test func nothingIsMaskedWithoutTheLists() throws {
      #expect(try seen(container()) == ["secret w", "secret w", "secret w"])
      #expect(try seen(container(writableRoot: false)) == ["secret r", "secret r", "secret r"])
    }

    @Test(arguments: [true, false]) func maskedPathsBelowEachOther(writableRoot: Bool) throws {
      for paths in [["/data/inner", "/data/inner/deep"], ["/data/inner/deep", "/data/inner"]] {
        let container = try container(masked: paths, writableRoot: writableRoot)
        let seen = try seen(container)
        #expect(seen[1...] == ["gone r", "gone r"], "\(paths): \(seen)")
        #expect(try Files.read(container.bundle.rootfs + "/data/inner/deep/file") == "secret")
      }
    }

    /// Writing to a masked file is writing to the null device, and changes nothing.
    @Test(.peerDiffers("crun", "1.8.1", "covers the masks with the copy that it makes read-only"))
    func maskedFileBelowAReadOnlyPathStaysMasked() throws {
      for (masked, readonly) in [
        (["/data/inner/file", "/data/inner/deep"], ["/data"]),
        (["/data/inner/file", "/data/inner/deep"], ["/data/inner"]),
      ] {
        let container = try container(masked: masked, readonly: readonly)
        let seen = try seen(container)
        #expect(seen[1].hasPrefix("empty"), "\(seen)")
        #expect(seen[2] == "gone r", "\(seen)")
        #expect(seen[0].hasSuffix("r") == (readonly == ["/data"]), "\(seen)")
        #expect(try Files.read(container.bundle.rootfs + "/data/inner/file") == "secret")
      }
    }

    @Test func readOnlyPathBelowAMaskedOneIsNoError() throws {
      let seen = try seen(container(masked: ["/data/inner"], readonly: ["/data/inner/deep", "/data/inner/file"]))
      #expect(seen == ["secret w", "gone r", "gone r"], "\(seen)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "loses the outer one below the inner one"))
    func readOnlyPathsBelowEachOther() throws {
      for paths in [["/data", "/data/inner"], ["/data/inner", "/data"]] {
        #expect(try seen(container(readonly: paths)) == ["secret r", "secret r", "secret r"], "\(paths)")
      }
      #expect(try seen(container(readonly: ["/data/inner/deep"])) == ["secret w", "secret w", "secret r"])
    }

    /// What the link leads to inside of the root is what is covered.
    @Test func listedPathThatIsALinkCoversItsTarget() throws {
      #expect(try seen(container(masked: ["/data/link"])) == ["secret w", "gone r", "gone r"])
      #expect(try seen(container(masked: ["/data/file-link"]))[1].hasPrefix("empty"))
      #expect(try seen(container(readonly: ["/data/link"])) == ["secret w", "secret r", "secret r"])
    }

    @Test func pathsThatAreAbsentArePassedOver() throws {
      let absent = ["/no", "/no/such/path", "/data/absent", "/data/inner/absent/file"]
      let seen = try seen(container(masked: absent, readonly: absent))
      #expect(seen == ["secret w", "secret w", "secret w"])
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "changes the path's own mount alone"),
      .peerDiffers("crun", "1.8.1", "changes the path's own mount alone"))
    func mountBelowAReadOnlyPathBecomesReadOnlyToo() throws {
      let container = try container(readonly: ["/data"])
      container.bundle.addMount("/data/inner", type: "tmpfs", source: "tmpfs")
      let outcome = try container.shell("echo x > /data/inner/new || echo refused")
      #expect(outcome.stdout == "refused\n", "\(outcome)")
    }

    /// The flags that the mount has are not lost.
    @Test(.peerDiffers("crun", "1.8.1", "loses them"))
    func readOnlyPathKeepsTheFlagsOfItsMount() throws {
      let container = try container(readonly: ["/mount/folder"])
      mkdir(container.bundle.rootfs + "/source", 0o755)
      mkdir(container.bundle.rootfs + "/source/folder", 0o755)
      container.bundle.addMount(
        "/mount", type: "bind", source: container.bundle.rootfs + "/source",
        options: ["bind", "nosuid", "nodev", "noexec"])
      let mount = try #require(
        try container.report("mounts")["mounts"].elements.last { $0["destination"].string == "/mount/folder" })
      #expect(Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(mount.text)")
    }

    @Test func maskedFoldersAreReadOnlyAndEmpty() throws {
      let container = try container(masked: ["/data/inner", "/data/inner/deep", "/home"])
      container.allowProbing()
      let outcome = try container.shell(
        "ls -A /data/inner /home; busybox touch /data/inner/x || echo one; mkdir /home/x || echo two")
      #expect(outcome.stdout == "/data/inner:\n\n/home:\none\ntwo\n", "\(outcome)")
    }

    /// Only ENOENT means that there is nothing to hide.
    @Test(arguments: ["maskedPaths", "readonlyPaths"])
    func pathThroughAFileIsAnError(list: String) throws {
      let container = try container()
      container.bundle.config["linux"][list] = ["/data/inner", "/data/file/below"]
      expectError(try container.attempt("create"), says: "not a directory", detail: "/linux/\(list)/1")
      try expectNothingLeft()
    }

    @Test(arguments: ["maskedPaths", "readonlyPaths"])
    func relativeListedPathIsRefused(list: String) throws {
      try allowing(
        ["runc": "takes it from the root", "crun": "takes it from the root"], in: "relative path in \(list)"
      ) {
        let container = try container()
        container.bundle.config["linux"][list] = ["data/inner"]
        expectError(try container.attempt("create"), detail: "/linux/\(list)/0")
        try expectNothingLeft()
      }
    }

    @Test func hundredsOfMasks() throws {
      let container = try container()
      var paths: [String] = []
      for number in 0..<300 {
        mkdir(container.bundle.rootfs + "/data/folder\(number)", 0o755)
        try Files.write("secret", to: container.bundle.rootfs + "/data/folder\(number)/file")
        paths.append("/data/folder\(number)")
      }
      container.bundle.config["linux"]["maskedPaths"] = JSONValue(paths)
      let outcome = try container.shell("ls /data/folder0 /data/folder299; cat /data/folder*/file | busybox wc -c")
      #expect(outcome.stdout == "/data/folder0:\n\n/data/folder299:\n0\n", "\(outcome)")
    }
  }
}
