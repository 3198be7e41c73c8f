import Foundation
import Testing

extension Container {
  /// What the file `exec` of the state says about the rule for this path: the place of its count, and the inode.
  fileprivate func recordedPlace(of path: String) throws -> (count: Int, inode: UInt64, data: Data) {
    let data = try Data(contentsOf: URL(fileURLWithPath: try statePath("exec")))
    // Behind the path: access, two booleans, two indices; then a list of one with device, inode and path.
    let text = Data([UInt8(path.utf8.count), 0, 0, 0]) + Data(path.utf8)
    let end = try #require(data.range(of: text)?.upperBound, "`\(path)` is not in the state")
    let count = end + 8 + 1 + 1 + 4 + 4
    let inode = data[count + 12..<count + 20].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return (count, inode, data)
  }

  fileprivate func statePath(_ name: String) throws -> String {
    "\(try Workspace.active().stateRoot)/\(id)/\(name)"
  }
}

extension Integration {
  /// What the paths of Landlock rules lead to, and what becomes of that later (spec/landlock.md).
  @Suite(.apusOnly("Landlock"), .landlock(1)) struct LandlockLinkTests {
    private func read(_ paths: [String], links: Bool = false, ifExists: Bool = false) -> JSONValue {
      Landlock.files(
        ["read_file"],
        [
          [
            "allowedAccess": ["read_file"], "paths": JSONValue(paths), "followLinks": .bool(links),
            "ifExists": .bool(ifExists),
          ]
        ])
    }

    // MARK: Links of the image

    /// The rule is for one directory, and the image makes a link of it: that gives no right to anything else.
    @Test(.attack("landlock-link"), arguments: [("/", "/"), ("../..", "/"), ("v", "/v"), ("w/up/v", "/v")])
    func linkOfTheImageGivesNoRightsElsewhere(target: String, end: String) throws {
      for isLink in [false, true] {
        let container = try Container()
        try container.makeTree()
        symlink("..", container.bundle.rootfs + "/w/up")
        if isLink {
          symlink(target, container.bundle.rootfs + "/work")
        } else {
          mkdir(container.bundle.rootfs + "/work", 0o755)
        }
        container.restrict(read(["/work"], ifExists: true))
        if isLink {
          container.bundle.args = ["/bin/agent", "attempt", "read:/v/file"]
          expectError(
            try container.run(), says: "a symbolic link leads from `/work` to `\(end)`",
            detail: "at `/annotations/org.apus.landlock#/rules/pathBeneath/1/paths/0`")
          try expectNothingLeft()
        } else {
          #expect(try container.attempts(["read:/v/file"])["read:/v/file"] == "EACCES")
        }
      }
    }

    @Test func linkOnTheWayIsOneToo() throws {
      let container = try Container()
      try container.makeTree()
      container.restrict(read(["/link/a"]))
      expectError(try container.run(), says: "a symbolic link leads from `/link/a` to `/w/a`")
      symlink("/w/none", container.bundle.rootfs + "/w/dangling")
      container.restrict(read(["/w/dangling"], ifExists: true))
      #expect(try container.attempts(["read:/w/file"])["read:/w/file"] == "EACCES")
      symlink("around", container.bundle.rootfs + "/w/around")
      container.restrict(read(["/w/around"], links: true, ifExists: true))
      expectError(try container.run(), says: "too many levels of symbolic links")
      try expectNothingLeft()
    }

    @Test func linkOfTheImageIsFollowedWhereTheRuleSaysSo() throws {
      let container = try Container()
      try container.makeTree()
      // Absolute: as the container would follow it, not the host.
      container.restrict(read(["/link/../link/a"], links: true))
      let outcomes = try container.attempts(["read:/w/a/x", "read:/link/a/x", "read:/w/file", "read:/v/file"])
      #expect(
        outcomes == ["read:/w/a/x": "", "read:/link/a/x": "", "read:/w/file": "EACCES", "read:/v/file": "EACCES"])
    }

    /// Then it says nothing that the operator has not said.
    @Test func linkToWhatAnotherRuleAllowsAddsNothing() throws {
      let container = try Container()
      try container.makeTree()
      container.restrict(read(["/link/a/x", "/w/./a/../a"]))
      container.globalFlags = ["--debug"]
      container.bundle.args = ["/bin/agent", "attempt", "read:/link/a/x", "read:/w/file"]
      let outcome = try container.run()
      #expect(try outcome.json["read:/link/a/x"].string == "" && outcome.json["read:/w/file"].string == "EACCES")
      #expect(outcome.stderr.contains("`/link/a/x` leads to `/w/a/x`, which other rules allow"))
      // The same place, and more rights.
      container.globalFlags = []
      container.restrict(
        Landlock.files(
          ["read_file", "write_file"],
          [
            ["allowedAccess": ["read_file"], "paths": ["/w"]],
            ["allowedAccess": ["write_file", "read_file"], "paths": ["/link/a"]],
          ]))
      expectError(try container.run(), says: "to `/w/a`, which no rule allows as much")
    }

    /// The rule for the agent is one for /bin, which is a link in most images.
    @Test func usualLinksAreFollowed() throws {
      let container = try Container()
      try container.makeTree()
      let root = container.bundle.rootfs
      mkdir(root + "/usr", 0o755)
      if Files.exists(root + "/usr/bin") { try FileManager.default.removeItem(atPath: root + "/usr/bin") }
      try FileManager.default.moveItem(atPath: root + "/bin", toPath: root + "/usr/bin")
      symlink("usr/bin", root + "/bin")
      for folder in ["/var", "/run"] { mkdir(root + folder, 0o755) }
      symlink("../run", root + "/var/run")
      try Files.write("text", to: root + "/run/file")
      container.restrict(read(["/var/run/file"]))
      let outcomes = try container.attempts(["read:/run/file", "read:/usr/bin/agent", "read:/w/file"])
      #expect(outcomes == ["read:/run/file": "", "read:/usr/bin/agent": "", "read:/w/file": "EACCES"])
      // The same name, and another end.
      unlink(root + "/var/run")
      symlink("../w", root + "/var/run")
      expectError(try container.run(), says: "a symbolic link leads from `/var/run/file` to `/w/file`")
    }

    // MARK: Commands of exec

    @Test func commandGetsTheRuleForWhatALinkLedToBefore() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(read(["/link/a"], links: true))
      }
      let words = ["read:/w/a/x", "read:/v/file"]
      #expect(try container.execAttempts(words) == ["read:/w/a/x": "", "read:/v/file": "EACCES"])
      let root = container.bundle.rootfs
      unlink(root + "/link")
      symlink("/v", root + "/link")
      try Files.write("text", to: root + "/v/a")
      #expect(try container.execAttempts(words) == ["read:/w/a/x": "", "read:/v/file": "EACCES"])
      #expect(try container.execAttempts(["read:/v/a"])["read:/v/a"] == "EACCES")
    }

    /// The commands of `exec` are all that it has, and their rules are about what was there in `create`.
    @Test func containerWithoutAProcessKnowsWhatItsRulesAreAbout() throws {
      let container = try Container()
      try container.makeTree()
      container.bundle.config["process"] = nil
      container.restrict(read(["/w/a", "/w/b"]))
      try container.create()
      let root = container.bundle.rootfs
      #expect(try container.recordedPlace(of: "/w/a").inode == UInt64(Files.inode(root + "/w/a")))
      func outcomes() throws -> Outcome {
        try container.exec(document: [
          "args": ["/bin/agent", "attempt", "read:/w/a/x", "read:/w/b/file", "read:/v/file"], "cwd": "/",
          "noNewPrivileges": true,
        ])
      }
      try Files.write("text", to: root + "/w/b/file")
      let before = try outcomes()
      #expect(try before.json["read:/w/a/x"].string == "" && before.json["read:/v/file"].string == "EACCES")
      try FileManager.default.moveItem(atPath: root + "/w/a", toPath: root + "/w/moved")
      mkdir(root + "/w/a", 0o755)
      try Files.write("text", to: root + "/w/a/x")
      let after = try outcomes()
      #expect(try after.json["read:/w/a/x"].string == "EACCES" && after.json["read:/w/b/file"].string == "")
      let other = try Container()
      other.bundle.config["process"] = nil
      other.restrict(read(["/none"]))
      expectError(try other.spawn("create").wait(), says: "cannot allow access to `/none`")
    }

    /// By its name the container would decide what the rule is about.
    @Test func ruleWithoutARecordedPlaceIsAnErrorOfExec() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(read(["/w/a"]))
      }
      let place = try container.recordedPlace(of: "/w/a")
      var data = place.data
      // A list of none instead.
      data.replaceSubrange(place.count..<place.count + 4 + 8 + 8 + 4, with: [0, 0, 0, 0])
      try data.write(to: URL(fileURLWithPath: container.statePath("exec")))
      let outcome = try container.spawn("exec", rest: ["/bin/agent", "attempt"]).wait()
      expectError(
        outcome, says: "does not say what the Landlock rule for `/w/a` is about", detail: "/rules/pathBeneath/1/paths/0"
      )
    }

    /// What gives no right is not kept by the kernel, and its number may be another file's later.
    @Test func ruleThatAddsNoRightIsAboutNothing() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(
          Landlock.files(["read_dir"], [["allowedAccess": ["read_dir"], "paths": ["/w/file", "/w/a"]]]))
      }
      #expect(try container.recordedPlace(of: "/w/a").inode != 0)
      #expect(try container.recordedPlace(of: "/w/file").inode == 0)
      unlink(container.bundle.rootfs + "/w/file")
      #expect(try container.execAttempts(["list:/w/a", "list:/w"]) == ["list:/w/a": "", "list:/w": "EACCES"])
    }

    @Test func debugTellsWhichRulesOfACommandAreLeftOut() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(read(["/w/file", "/w/a", "/w/b", "/v/none"], ifExists: true))
      }
      let root = container.bundle.rootfs
      unlink(root + "/w/file")
      symlink("/v", root + "/w/file")
      try FileManager.default.removeItem(atPath: root + "/w/b")
      // Both are there: no other directory has its number.
      try FileManager.default.moveItem(atPath: root + "/w/a", toPath: root + "/w/moved")
      mkdir(root + "/w/a", 0o755)
      let command = ["/bin/agent", "attempt"]
      #expect(try container.spawn("exec", rest: command).wait().stderr.isEmpty)
      container.globalFlags = ["--debug"]
      let outcome = try container.spawn("exec", rest: command).wait()
      #expect(outcome.code == 0, "\(outcome)")
      for text in [
        "`/w/file` has gone, and the rule left out (at `/annotations/org.apus.landlock#/rules/pathBeneath/1/paths/0`)",
        "`/w/b` has gone", "`/w/a` is another file by now",
      ] {
        #expect(outcome.stderr.contains(text), "\(outcome.stderr)")
      }
      #expect(!outcome.stderr.contains("/v/none"))
    }

    /// That it is not there is one thing; that it cannot be looked at is another, and no reason for fewer rules or for more.
    @Test func pathThatCannotBeReachedIsAnErrorOfExec() throws {
      let container = try Container.running {
        try $0.makeTree()
        try $0.bundle.mapUsers()
        $0.restrict(read(["/w/a/x"]))
      }
      #expect(try container.execAttempts(["read:/w/a/x"])["read:/w/a/x"] == "")
      // Of a user that the container has not: its root may not go there.
      let folder = container.bundle.rootfs + "/w/a"
      chown(folder, 0, 0)
      chmod(folder, 0o700)
      expectError(
        try container.spawn("exec", rest: ["/bin/agent", "attempt"]).wait(),
        says: "permission denied", detail: "/rules/pathBeneath/1/paths/0")
    }

    /// A file with two names in a lower layer is two files as soon as one of them is written: the rule is about neither, for the
    /// number that it was known by is that of the other name only.
    @Test func writtenHardLinkOfALowerLayerLosesItsRuleInExec() throws {
      let container = try Container()
      let folder = try Workspace.active().directory + "/layers"
      for part in ["", "/lower", "/upper", "/work"] { mkdir(folder + part, 0o755) }
      try Files.write("text", to: folder + "/lower/one")
      link(folder + "/lower/one", folder + "/lower/two")
      container.bundle.addMount(
        "/o", type: "overlay", source: "overlay",
        options: ["lowerdir=\(folder)/lower", "upperdir=\(folder)/upper", "workdir=\(folder)/work"])
      container.bundle.args = ["/bin/agent", "pause"]
      container.restrict(read(["/o/one"]))
      try container.create()
      try container.start()
      #expect(try container.execAttempts(["read:/o/one"])["read:/o/one"] == "")
      #expect(try container.execAttempts(["write:/o/one"])["write:/o/one"] == "")
      #expect(try container.execAttempts(["read:/o/one"])["read:/o/one"] == "EACCES")
      try container.delete("--force")
    }
  }
}
