import Foundation
import Testing

extension Integration {
  /// Limits that are negative, overflow, contradict each other, or that this machine cannot set.
  @Suite(.bothDrivers) struct BadLimitTests {
    @Test(.apusOnly("in our words"), arguments: BadLimitRow.all)
    func badLimitIsRefusedByItsPlace(row: BadLimitRow) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      for (name, value) in row.resources.members { container.bundle.config["linux"]["resources"][name] = value }
      container.bundle.text = BadLimitRow.spell(container.bundle.config.text)
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "(at `/linux/resources\(row.place)`")
      #expect(outcome.stderr.contains(row.says), "no `\(row.says)`: \(outcome)")
      try expectNothingLeft()
      if row.isOfKernel { return }
      let check = try runtime("check", "--bundle", container.bundle.path)
      #expect(check.code == 1 && check.stdout.contains(": /linux/resources\(row.place): "), "\(check)")
    }

    /// The same in an update of a container that has limits: they hold on.
    @Test(.apusOnly("in our words")) func badLimitOfAnUpdateIsRefusedByItsPlace() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      if CgroupView.current != .v2 {
        container.bundle.config["linux"]["resources"]["memory"] = ["limit": 134_217_728, "swap": 268_435_456]
        container.bundle.config["linux"]["resources"]["cpu"] = ["shares": 300, "quota": 40_000, "burst": 4000]
        container.bundle.config["linux"]["resources"]["pids"] = ["limit": 40]
      }
      try container.runDetached()
      let before = try container.limitFiles()
      for row in BadLimitRow.all {
        var resources = row.resources
        // Good ones beside it, which are not kept either.
        if CgroupView.current != .v2 && resources["pids"] == .null { resources["pids"] = ["limit": 5] }
        if CgroupView.current != .v2 && resources["cpu"] == .null { resources["cpu"] = ["shares": 7] }
        let text = BadLimitRow.spell(resources.text)
        let outcome = try container.spawn("update", ["-r", "-"], options: .init(input: text)).wait()
        expectError(outcome, detail: "(at `\(row.place)`")
        #expect(outcome.stderr.contains(row.says), "no `\(row.says)`: \(outcome)")
        #expect(try container.changedLimits(since: before) == [], "\(row.testDescription)")
      }
      #expect(try container.status() == "running")
    }

    // MARK: The cgroup itself

    @Test(.peerDiffers("runc", "1.1.5", "warns only"), .peerDiffers("crun", "1.8.1", "moves in"))
    func cgroupOfAnotherContainerIsRefused() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      try first.runDetached()
      let second = try Container(args: ["/bin/agent", "pause"])
      second.bundle.config["linux"]["cgroupsPath"] = first.bundle.config["linux"]["cgroupsPath"]
      let reason = CgroupDriver.current == .systemd ? "another unit of this name is in use" : "processes already"
      expectError(try second.attempt("create"), detail: reason)
      #expect(try first.status() == "running")
      try first.delete("--force")
      try expectNothingLeft()
    }

    /// Never with a peer: runc takes the root of all cgroups, and gives the whole machine the devices of the container.
    @Test(.apusOnly("the peers take the root of all cgroups"), .cgroupfsOnly("its form of `cgroupsPath`"))
    func pathThatGoesUpIsRefused() throws {
      for path in ["/\(TestRun.tag)/../x", "..", "/", "/\(TestRun.tag)/./x", "/\(TestRun.tag)/a\nb"] {
        let container = try Container(args: ["/bin/agent", "pause"])
        container.bundle.config["linux"]["cgroupsPath"] = .string(path)
        expectError(try container.attempt("create"), detail: "(at `/linux/cgroupsPath`")
        try expectNothingLeft()
      }
    }

    /// There is none that could stand in a path: no program can make one.
    @Test func cgroupFileSystemHasNoLinks() throws {
      for hierarchy in Cgroups.hierarchies() {
        #expect(symlink("/", hierarchy.path + "/\(TestRun.tag)-link") != 0)
        #expect(errno == EPERM)
      }
    }

    /// A tmpfs in the place of a cgroup may hold a link to another one.
    @Test(.apusOnly("the peers write what they can"), .cgroupfsOnly("its form of `cgroupsPath`"))
    func linkInsteadOfACgroupIsRefused() throws {
      let other = try Container(args: ["/bin/agent", "pause"])
      try other.create()
      let root = try #require(Cgroups.root(of: CgroupView.current == .v2 ? "" : "pids"))
      let place = "\(root)/\(TestRun.tag)-place"
      mkdir(place, 0o755)
      defer { rmdir(place) }
      try HostMounts.with("tmpfs", on: place, data: "mode=755") {
        symlink(try other.cgroup(CgroupView.current == .v2 ? "" : "pids"), place + "/link")
        for path in ["/\(TestRun.tag)-place/link", "/\(TestRun.tag)-place/link/below"] {
          let container = try Container(args: ["/bin/agent", "pause"])
          container.bundle.config["linux"]["cgroupsPath"] = .string(path)
          expectError(try container.attempt("create"), detail: "(at `/linux/cgroupsPath`")
        }
      }
      #expect(try other.status() == "created")
      try other.delete()
    }

    /// Takes the processes out and the cgroups away, as a careless program of the host may do.
    private func removeCgroups(_ container: Container) throws {
      let path = try container.cgroupPath
      var removed = 0
      for hierarchy in Cgroups.hierarchies() {
        let folder = hierarchy.path + path
        // Not every controller has a cgroup of the container.
        guard let processes = try Files.readIfThere(folder + "/cgroup.procs") else { continue }
        for pid in processes.split(separator: "\n") {
          let file = open(hierarchy.path + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
          defer { close(file) }
          #expect(write(file, String(pid), pid.utf8.count) > 0, "\(hierarchy.path) \(errno)")
        }
        // systemd may have been faster.
        #expect(rmdir(folder) == 0 || errno == ENOENT, "\(folder) \(errno)")
        removed += 1
      }
      #expect(removed > 0, "\(path)")
    }

    @Test(.apusOnly("the peers say it otherwise")) func removedCgroupIsNamedByWhatNeedsIt() throws {
      for isStarted in [false, true] {
        let container = try Container(args: ["/bin/agent", "pause"])
        try container.create()
        if isStarted { try container.start() }
        try removeCgroups(container)
        if !isStarted { try container.start() }
        #expect(try container.status() == "running")
        let path = try container.cgroupPath
        for (verb, flags, rest) in [
          ("update", ["--pids-limit", "5"], []), ("exec", [], ["/bin/true"]), ("pause", [], []),
          ("events", ["--stats"], []), ("events", [], []),
        ] as [(String, [String], [String])] {
          let outcome = try container.spawn(verb, flags, rest: rest).wait()
          expectError(outcome, says: "no such file or directory", detail: path)
        }
        let pid = try container.pid()
        try container.kill("KILL")
        #expect(waitForEnd(of: pid))
        try container.delete()
        try expectNothingLeft()
      }
    }

    @Test(.apusOnly("the peers say it otherwise")) func removedCgroupIsNoErrorOfDelete() throws {
      for isStarted in [false, true] {
        let container = try Container(args: ["/bin/agent", "pause"])
        try container.create()
        if isStarted { try container.start() }
        let pid = try container.pid()
        try removeCgroups(container)
        try container.delete("--force")
        #expect(waitForEnd(of: pid))
        try expectNothingLeft()
      }
    }
  }
}
