import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// What an image or a configuration tries with links and mounts, without a race. Each bundle first runs without the
  /// malice; then the host, for which a canary stands, has to be as it was.
  @Suite struct RootAttackTests {
    /// Runs the bundle that `make` prepares without the malice and with it.
    private func attack(
      _ canary: Canary, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation,
      options: Subprocess.Options = Subprocess.Options(),
      _ make: (_ container: Container, _ isHostile: Bool) throws -> Void
    ) throws -> Outcome {
      let benign = try Container(args: ["/bin/agent", "exit", "0"])
      try make(benign, false)
      try expectBenign(benign.spawn("run", options: options).wait(), sourceLocation: sourceLocation)
      expectUntouched(canary, "without the malice \(what)", sourceLocation: sourceLocation)
      let hostile = try Container(args: ["/bin/agent", "exit", "0"])
      try make(hostile, true)
      let outcome = try hostile.spawn("run", options: options).wait()
      expectUntouched(canary, "\(what): \(outcome)", sourceLocation: sourceLocation)
      return outcome
    }

    /// A folder or a link to a place outside of the root, at `path` of the image.
    private func place(_ link: String?, at path: String, of container: Container) {
      rmdir(container.bundle.rootfs + path)
      if let link {
        symlink(link, container.bundle.rootfs + path)
      } else {
        mkdir(container.bundle.rootfs + path, 0o755)
      }
    }

    @Test(.attack("CVE-2019-18837"), arguments: ["relative", "absolute", "chain"])
    func destinationThroughALinkStaysInTheRoot(link: String) throws {
      let canary = try Canary()
      let source = try Workspace.active().directory + "/source"
      mkdir(source, 0o755)
      try Files.write("source", to: source + "/file")
      let mounts: [(String, String, String)] = [
        ("/place/folder", "bind", source), ("/place/made/below", "bind", source),
        ("/place/file", "bind", source + "/file"), ("/place/made/file", "bind", source + "/file"),
        ("/place/folder", "tmpfs", "tmpfs"), ("/place/made/tmpfs", "tmpfs", "tmpfs"),
      ]
      for (destination, type, source) in mounts {
        _ = try attack(canary, "\(type) on \(destination)") { container, isHostile in
          let target = link == "absolute" ? canary.path : canary.climbing
          let first = link == "chain" ? "etc/one" : target
          place(isHostile ? first : nil, at: "/place", of: container)
          symlink("/usr/two", container.bundle.rootfs + "/etc/one")
          symlink(target, container.bundle.rootfs + "/usr/two")
          container.bundle.addMount(
            destination, type: type, source: source, options: type == "bind" ? ["bind"] : [])
        }
      }
    }

    /// Also where the name is spelled in another way, by which CVE-2023-28642 went around the check.
    @Test(
      .attack("CVE-2023-27561", "CVE-2023-28642", "CVE-2025-54867"),
      arguments: ["/proc", "/sys", "/run/../proc/.", "//sys/"])
    func procAndSysMustNotBeLinks(path: String) throws {
      let canary = try Canary()
      let name = path.contains("proc") ? "/proc" : "/sys"
      for link in ["/tmp", "tmp/..", canary.climbing + "/folder"] {
        let outcome = try attack(canary, link) { container, isHostile in
          place(isHostile ? link : nil, at: name, of: container)
          let mounts = container.bundle.config["mounts"].elements
          let index = try #require(mounts.firstIndex { $0["destination"].string == name })
          container.bundle.config["mounts"][index]["destination"] = .string(path)
        }
        expectError(outcome)
        try expectNothingLeft()
      }
    }

    /// What is written for the container in /proc would be caught by the mount, and the container would go without.
    @Test(
      .attack("CVE-2019-16884"), .peerDiffers("crun", "1.8.1", "CVE-2019-16884: mounts it"),
      arguments: ["/proc/self", "/proc/self/attr", "/proc/1/attr", "/proc/sys/kernel", "/proc/thread-self/attr/exec"])
    func volumeInsideOfProcIsRefused(path: String) throws {
      let canary = try Canary()
      let isFile = path.hasSuffix("exec")
      let outcome = try attack(canary) { container, isHostile in
        container.bundle.addMount(
          isHostile ? path : "/tmp/volume", type: "bind", source: canary.path + (isFile ? "/file" : "/folder"),
          options: ["bind", "rw"])
      }
      expectError(outcome, detail: "inside /proc")
      try expectNothingLeft()
    }

    /// A volume at /proc itself: whether it is refused or not, nothing of it may be written to.
    @Test(.attack("CVE-2019-16884"))
    func fakeProcOfAVolumeIsNotWrittenTo() throws {
      let canary = try Canary()
      for name in ["self", "self/attr", "thread-self", "thread-self/attr", "sys", "sys/kernel", "self/fd"] {
        mkdir("\(canary.path)/\(name)", 0o777)
      }
      for name in [
        "self/attr/exec", "self/attr/current", "self/attr/keycreate", "self/oom_score_adj", "self/setgroups",
        "self/uid_map", "thread-self/attr/exec", "sys/kernel/core_pattern", "sysrq-trigger", "self/timens_offsets",
      ] {
        try Files.write("", to: "\(canary.path)/\(name)")
        chmod("\(canary.path)/\(name)", 0o666)
      }
      canary.remember()
      for isReplaced in [false, true] {
        _ = try attack(canary, "/proc \(isReplaced ? "replaced" : "covered")") { container, isHostile in
          if isHostile && isReplaced { container.bundle.removeMount("/proc") }
          container.bundle.addMount(
            isHostile ? "/proc" : "/tmp/volume", type: "bind", source: canary.path, options: ["bind", "rw"])
        }
      }
    }

    @Test(
      .attack("CVE-2024-21626"),
      .peerDiffers("crun", "1.8.1", "CVE-2024-21626: starts in the folder of the host"))
    func workingDirectoryThroughALeakedDescriptorIsRefused() throws {
      let canary = try Canary()
      let folder = open(canary.path + "/folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      defer { close(folder) }
      for number in 3...12 {
        for directory in ["/proc/self/fd/\(number)", "/proc/self/fd/\(number)/below", "/proc/1/fd/\(number)/.."] {
          let options = Subprocess.Options(descriptors: Array(repeating: folder, count: 10))
          try expectRefused(directory, canary, options)
        }
      }
      try expectNothingLeft()
    }

    /// Descriptors that the runtime itself has open: the flaw was its own folder of cgroups.
    @Test(.attack("CVE-2024-21626"))
    func workingDirectoryThroughADescriptorOfTheRuntimeIsRefused() throws {
      let canary = try Canary()
      for number in 3...100 { try expectRefused("/proc/self/fd/\(number)", canary) }
      for number in 3...16 {
        try expectRefused("/proc/self/fd/\(number)/../../../..", canary)
        try expectRefused("/proc/thread-self/fd/\(number)", canary)
      }
      try expectNothingLeft()
    }

    @Test(
      .attack("CVE-2024-21626"),
      .peerDiffers("crun", "1.8.1", "CVE-2024-21626: starts in the folder of the host"))
    func workingDirectoryThatIsALinkToADescriptorIsRefused() throws {
      let canary = try Canary()
      let folder = open(canary.path + "/folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      defer { close(folder) }
      for number in 3...16 {
        try expectRefused("/work", canary, .init(descriptors: [folder, folder, folder, folder])) { container in
          symlink("/proc/self/fd/\(number)", container.bundle.rootfs + "/work")
        }
      }
      try expectNothingLeft()
    }

    /// One that the caller passes on by `--preserve-fds` is there when the working directory is entered.
    @Test(
      .attack("CVE-2024-21626"), .peerDiffers("crun", "1.8.1", "CVE-2024-21626: starts in the folder of the host"))
    func workingDirectoryThroughAPassedDescriptorIsRefused() throws {
      let canary = try Canary()
      let folder = open(canary.path + "/folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      defer { close(folder) }
      for directory in ["/", "/proc/self/fd/3", "/proc/self/fd/4/below", "/proc/1/fd/3/..", "/work"] {
        let container = try Container(args: ["/bin/ls", "."])
        container.bundle.config["process"]["cwd"] = .string(directory)
        if directory == "/work" { symlink("/proc/self/fd/3", container.bundle.rootfs + "/work") }
        let outcome = try container.spawn(
          "run", ["--preserve-fds", "2"], options: .init(descriptors: [folder, folder])
        ).wait()
        if directory == "/" {
          try expectBenign(outcome)
        } else {
          #expect(outcome.code != 0, "\(directory): \(outcome)")
        }
        expectUntouched(canary, directory)
      }
      try expectNothingLeft()
    }

    private func expectRefused(
      _ directory: String, _ canary: Canary, _ options: Subprocess.Options = Subprocess.Options(),
      sourceLocation: SourceLocation = #_sourceLocation, _ prepare: (Container) -> Void = { _ in }
    ) throws {
      let container = try Container(args: ["/bin/ls", "."])
      container.bundle.config["process"]["cwd"] = .string(directory)
      prepare(container)
      let outcome = try container.spawn("run", options: options).wait()
      #expect(outcome.code != 0, "`\(directory)`: \(outcome)", sourceLocation: sourceLocation)
      expectUntouched(canary, directory, sourceLocation: sourceLocation)
    }

    /// Neither while it waits nor once it runs: from a folder of the host, `..` leads to the host's root.
    @Test(.attack("CVE-2024-21626"))
    func containerHoldsNoFolderOfTheHost() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.create()
      let folder = "/proc/\(try container.pid())/fd"
      for isRunning in [false, true] {
        if isRunning {
          try container.start()
          try container.stdout.waitFor("ready")
        }
        for name in Files.names(in: folder) {
          let kind = Files.status("\(folder)/\(name)").map { $0.st_mode & S_IFMT }
          #expect(kind != S_IFDIR, "descriptor \(name), running: \(isRunning)")
          if isRunning { #expect(["0", "1", "2"].contains(name)) }
        }
      }
    }

    /// N is every descriptor that a runtime could have left open; from a folder of the host `..` leads to its root.
    @Test(.attack("CVE-2024-21626-args"))
    func argumentThroughADescriptorOfTheHostIsNotExecuted() throws {
      let program = String(repeating: "/..", count: 12) + TestRun.directory + "/programs/agent"
      for number in 3...20 {
        let path = "/proc/self/fd/\(number)\(program)"
        let outcome = try Container(args: [path, "exit", "42"]).run()
        #expect(outcome.code != 0 && outcome.code != 42, "\(number): \(outcome)")
        let script = try Container(args: ["/script"])
        try Files.write("#!\(path) help\n", to: script.bundle.rootfs + "/script")
        chmod(script.bundle.rootfs + "/script", 0o755)
        let second = try script.run()
        #expect(second.code != 0 && second.code != 2, "\(number): \(second)")
      }
      try expectNothingLeft()
    }
  }
}
