import Foundation
import Testing

extension Integration {
  /// Rules of Landlock by annotation (spec/landlock.md). Each attempt is made without rules too, and succeeds.
  @Suite(.apusOnly("Landlock"), .landlock(1)) struct LandlockTests {
    private func files(_ handled: [String], _ rules: JSONValue...) -> JSONValue { Landlock.files(handled, rules) }

    /// A right of landlock(7), the version that has it, an attempt, and the other rights that the attempt takes.
    static let rights: [(name: String, version: Int, attempt: String, others: [String])] = [
      ("execute", 1, "execute:/w/program", ["read_file"]), ("write_file", 1, "write:/w/file", []),
      ("read_file", 1, "read:/w/file", []), ("read_dir", 1, "list:/w", []),
      ("remove_dir", 1, "rmdir:/w/folder", []), ("remove_file", 1, "unlink:/w/old", []),
      ("make_char", 1, "char:/w/char", []), ("make_dir", 1, "mkdir:/w/new", []),
      ("make_reg", 1, "regular:/w/regular", []), ("make_sock", 1, "socket:/w/socket", []),
      ("make_fifo", 1, "fifo:/w/fifo", []), ("make_block", 1, "block:/w/block", []),
      ("make_sym", 1, "symlink:/w/sym", []), ("truncate", 3, "truncate:/w/file", []),
      ("ioctl_dev", 5, "ioctl:/dev/urandom", ["read_file"]),
    ]

    private static let attempts = rights.map(\.attempt)

    @Test func withoutRulesEverythingIsAllowed() throws {
      let container = try Container()
      try container.makeTree()
      #expect(try container.attempts(Self.attempts).values.allSatisfy { $0.isEmpty })
    }

    /// One right handled, and no rule for it: that is forbidden, and nothing else.
    @Test(arguments: rights.map(\.name)) func handledRightIsForbidden(name: String) throws {
      let right = try #require(Self.rights.first { $0.name == name })
      if right.version > Landlock.version { return }
      let container = try Container()
      try container.makeTree()
      container.restrict(files([name]))
      let outcomes = try container.attempts(Self.attempts)
      for other in Self.rights {
        let isForbidden = other.name == name || other.others.contains(name)
        #expect(outcomes[other.attempt] == (isForbidden ? "EACCES" : ""), "\(other.attempt)")
      }
    }

    /// Everything handled, and one right allowed where the attempt is made.
    @Test(arguments: rights.map(\.name)) func allowedRightIsAllowed(name: String) throws {
      let right = try #require(Self.rights.first { $0.name == name })
      if right.version > Landlock.version { return }
      let container = try Container()
      try container.makeTree()
      let handled = Self.rights.filter { $0.version <= Landlock.version }.map(\.name)
      container.restrict(
        files(handled, ["allowedAccess": JSONValue([name] + right.others), "paths": ["/w", "/dev/urandom"]]))
      let outcomes = try container.attempts(Self.attempts + ["read:/etc/passwd"])
      #expect(outcomes[right.attempt] == "")
      #expect(outcomes["read:/etc/passwd"] == "EACCES")
      let others = Self.rights.filter {
        $0.version <= Landlock.version && $0.name != name && !right.others.contains($0.name)
          // Opening is a right of its own.
          && $0.name != "ioctl_dev"
      }
      for other in others { #expect(outcomes[other.attempt] == "EACCES", "\(other.attempt)") }
    }

    /// A file goes from one directory to another only where `refer` is allowed in both.
    @Test(.landlock(2)) func filesMoveBetweenDirectoriesWhereReferIsAllowed() throws {
      let moves = ["rename:/w/a/x,/w/b/x", "rename:/w/a/y,/w/a/z"]
      for (document, moved, renamed) in [
        (nil, "", ""), (files(["refer"]), "EXDEV", ""),
        (files(["refer"], ["allowedAccess": ["refer"], "paths": ["/w"]]), "", ""),
        // The one right that is forbidden as soon as there are rules about files.
        (files(["make_sock"]), "EXDEV", ""),
      ] as [(JSONValue?, String, String)] {
        let container = try Container()
        try container.makeTree()
        if let document { container.restrict(document) }
        let outcomes = try container.attempts(moves)
        #expect(outcomes[moves[0]] == moved && outcomes[moves[1]] == renamed, "\(document?.text ?? "no rules")")
      }
    }

    @Test func rightsOfDirectoriesAreLeftOutOfRulesForFiles() throws {
      let container = try Container()
      try container.makeTree()
      container.restrict(files(["read", "write"], ["allowedAccess": ["read", "write"], "paths": ["/w/file"]]))
      let outcomes = try container.attempts(["read:/w/file", "write:/w/file", "read:/v/file", "list:/w"])
      #expect(outcomes == ["read:/w/file": "", "write:/w/file": "", "read:/v/file": "EACCES", "list:/w": "EACCES"])
    }

    /// What is handled in a mount is found by its place in the container.
    @Test func rulesHoldForMounts() throws {
      let container = try Container()
      try container.makeTree()
      container.bundle.addMount("/m", type: "tmpfs", source: "tmpfs", options: ["mode=755"])
      container.bundle.addMount("/n", type: "bind", source: container.bundle.rootfs + "/w", options: ["rbind"])
      container.restrict(files(["make_dir", "read_file"], ["allowedAccess": ["all"], "paths": ["/m"]]))
      let outcomes = try container.attempts(["mkdir:/m/x", "mkdir:/n/x", "read:/n/file"])
      #expect(outcomes == ["mkdir:/m/x": "", "mkdir:/n/x": "EACCES", "read:/n/file": "EACCES"])
    }

    @Test func childrenAreRestrictedToo() throws {
      let container = try Container()
      try container.makeTree()
      let words = ["child:read:/w/file", "child:child:read:/w/file"]
      #expect(try container.attempts(words).values.allSatisfy { $0.isEmpty })
      container.restrict(files(["read_file"]))
      for word in words { #expect(try container.attempts(words)[word] == "EACCES") }
      // Across execve(2) as well.
      let shell = try container.shell("cat /w/file; /bin/sh -c 'cat /w/file'; echo end")
      #expect(shell.stdout == "end\n", "\(shell)")
    }

    /// A mount would put a file to another place, where another rule holds.
    @Test func nothingIsMountedUnderRulesAboutFiles() throws {
      let container = try Container()
      try container.makeTree()
      container.bundle.setCapabilities(["CAP_SYS_ADMIN"])
      #expect(try container.attempts(["mount:/w"])["mount:/w"] == "")
      container.restrict(files(["make_sock"]))
      #expect(try container.attempts(["mount:/w"])["mount:/w"] == "EPERM")
    }

    /// Not by its name alone: a file that is mounted at two places is one file, and has its rules at both.
    @Test func ruleForAMountHoldsWhereverItsFilesAre() throws {
      let container = try Container()
      try container.makeTree()
      container.bundle.addMount("/n", type: "bind", source: container.bundle.rootfs + "/w", options: ["rbind"])
      container.restrict(files(["read_file"], ["allowedAccess": ["read_file"], "paths": ["/n/a"]]))
      let outcomes = try container.attempts(["read:/n/a/x", "read:/w/a/x", "read:/n/file", "read:/w/file"])
      #expect(
        outcomes == ["read:/n/a/x": "", "read:/w/a/x": "", "read:/n/file": "EACCES", "read:/w/file": "EACCES"])
    }

    // MARK: Versions

    /// The names of the table in spec/landlock.md that a version of the ABI does not have.
    private func unknown(to version: Int) -> [String] {
      [(2, "refer"), (3, "truncate"), (5, "ioctl_dev"), (4, "bind_tcp"), (4, "connect_tcp")].filter { $0.0 > version }
        .map(\.1) + (version < 6 ? ["abstract_unix_socket", "signal"] : [])
        + (version < 7 ? ["log_new_exec_on"] : [])
    }

    private var everything: JSONValue {
      var document = files(["all"], ["allowedAccess": ["read"], "paths": ["/v"]])
      document["ruleset"]["handledAccessNet"] = ["all"]
      document["ruleset"]["scoped"] = ["all"]
      document["flags"] = ["log_new_exec_on"]
      return document
    }

    @Test func stateSaysWhatTheKernelEnforces() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(everything)
      }
      let outcomes = try container.execAttempts(Self.attempts)
      for right in Self.rights {
        let isForbidden = right.version <= Landlock.version || !right.others.isEmpty
        #expect(outcomes[right.attempt] == (isForbidden ? "EACCES" : ""), "\(right.attempt)")
      }
      let state = try container.attempt("state").json["landlock"]
      #expect(state["abi"].int == Landlock.version)
      #expect(state["leftOut"].elements.compactMap(\.string) == unknown(to: Landlock.version))
      #expect(
        try runtime(bare: ["features"]).json["annotations"]["org.apus.landlock.kernelAbi"].string
          == "\(Landlock.version)")
      let control = try Container.running { _ in }
      #expect(try control.attempt("state").json["landlock"] == .null)
    }

    /// Each name that this kernel lacks is told, and without best effort an error.
    @Test(.needs(.olderLandlock)) func olderKernelRestrictsWhatItKnowsAndTellsTheRest() throws {
      let unknown = unknown(to: Landlock.version)
      let container = try Container()
      try container.makeTree()
      container.bundle.args = ["/bin/agent", "attempt", "truncate:/w/file", "write:/w/file", "list:/w"]
      container.restrict(everything)
      let outcome = try container.run()
      #expect(outcome.code == 0, "\(outcome)")
      for name in unknown { #expect(outcome.stderr.contains("`\(name)`"), "\(outcome.stderr)") }
      #expect(outcome.stderr.contains("(ABI \(Landlock.version)) does not know `log_new_exec_on`: it logs no refusals"))
      #expect(try outcome.json["truncate:/w/file"].string == "")
      #expect(try outcome.json["write:/w/file"].string == "EACCES" && outcome.json["list:/w"].string == "EACCES")
      var document = everything
      document["disableBestEffort"] = true
      container.restrict(document)
      expectError(try container.run(), says: "(ABI \(Landlock.version)) does not know `truncate`")
      container.restrict(["ruleset": ["scoped": ["signal"]]])
      expectError(try container.run(), says: "does not know anything of what is restricted")
      try expectNothingLeft()
    }

    @Test(.landlock(7)) func flagsAreTakenByTheKernel() throws {
      for name in ["log_same_exec_off", "log_new_exec_on", "log_subdomains_off"] {
        let container = try Container()
        try container.makeTree()
        var document = files(["read_file"])
        document["flags"] = [.string(name)]
        container.restrict(document)
        #expect(try container.attempts(["read:/w/file"])["read:/w/file"] == "EACCES", "\(name)")
      }
    }

    // MARK: Network and scopes

    @Test(.landlock(4)) func portsAreThoseOfTheRules() throws {
      let words = ["bind:8000", "bind:8001", "connect:8002", "connect:8003", "connect:8000"]
      let container = try Container()
      try container.makeTree()
      let plain = try container.attempts(words)
      #expect(words.map { plain[$0] } == ["", "", "ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"])
      container.restrict([
        "ruleset": ["handledAccessNet": ["bind_tcp", "connect_tcp"]],
        "rules": [
          "netPort": [
            ["allowedAccess": ["bind_tcp"], "ports": [7999, 8000]],
            ["allowedAccess": ["connect_tcp"], "ports": [8002]],
          ]
        ],
      ])
      let outcomes = try container.attempts(words)
      #expect(words.map { outcomes[$0] } == ["", "EACCES", "ECONNREFUSED", "EACCES", "EACCES"])
      // Nothing about files was asked for.
      #expect(try container.attempts(Self.attempts).values.allSatisfy { $0.isEmpty })
    }

    /// In the network namespace of the host, whose abstract sockets have no other protection.
    @Test(.landlock(6)) func abstractSocketsOfOthersAreOutOfReach() throws {
      let name = "\(TestRun.tag)-abstract"
      let server = try Subprocess(RootTemplate.agent(), ["listen", name])
      defer { server.end() }
      try server.stdout.waitFor("ready")
      let container = try Container()
      container.bundle.removeNamespace("network")
      container.bundle.removeMount("/sys")
      let word = "abstract:\(name)"
      #expect(try container.attempts([word])[word] == "")
      container.restrict(["ruleset": ["scoped": ["signal"]]])
      #expect(try container.attempts([word])[word] == "")
      container.restrict(["ruleset": ["scoped": ["abstract_unix_socket"]]])
      #expect(try container.attempts([word])[word] == "EPERM")
    }

    /// In the pid namespace of the host, as its root.
    @Test(.landlock(6)) func processesOfOthersAreOutOfReach() throws {
      let server = try Subprocess(RootTemplate.agent(), ["pause"])
      defer { server.end() }
      let container = try Container()
      container.bundle.removeNamespace("pid")
      let word = "signal:\(server.process)"
      #expect(try container.attempts([word])[word] == "")
      container.restrict(["ruleset": ["scoped": ["abstract_unix_socket"]]])
      #expect(try container.attempts([word])[word] == "")
      container.restrict(["ruleset": ["scoped": ["signal"]]])
      let outcomes = try container.attempts([word, "signal:0"])
      #expect(outcomes[word] == "EPERM" && outcomes["signal:0"] == "")
    }

    /// The runtime is not in the scope: it may signal whom it restricts.
    @Test(.landlock(6)) func restrictedContainerIsKilledAndDeletedAsAnyOther() throws {
      let container = try Container.running {
        $0.restrict(["ruleset": ["handledAccessFS": ["write"], "scoped": ["all"]]])
      }
      try container.kill("TERM")
      try container.end()
      try container.delete()
      try expectNothingLeft()
    }

    // MARK: Lifecycle

    @Test func rulesHoldForCommandsOfExec() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(files(["read_file", "write_file"], ["allowedAccess": ["read_file"], "paths": ["/v"]]))
      }
      let wanted = ["read:/w/file": "EACCES", "write:/v/file": "EACCES", "read:/v/file": ""]
      let words = Array(wanted.keys)
      let control = try Container.running { try $0.makeTree() }
      #expect(try control.execAttempts(words).values.allSatisfy { $0.isEmpty })
      #expect(try container.execAttempts(words) == wanted)
      // The document of a process says nothing about it, and takes nothing away.
      let outcome = try container.exec(document: [
        "args": JSONValue(["/bin/agent", "attempt"] + words), "cwd": "/", "noNewPrivileges": false,
      ])
      for word in words { #expect(try outcome.json[word].string == wanted[word], "\(outcome)") }
      // What another configuration says by now is another container's.
      container.bundle.config["annotations"] = [:]
      try container.bundle.write()
      #expect(try container.execAttempts(words) == wanted)
    }

    /// The rules are about what was there when the container was made. If they went by name, who may change a directory of
    /// the container could give the next command of `exec` the right to any other.
    @Test(.attack("landlock-path")) func ruleOfACommandIsAboutWhatItWasForTheContainer() throws {
      let container = try Container.running {
        try $0.makeTree()
        $0.restrict(
          files(
            ["read_file"], ["allowedAccess": ["read_file"], "paths": ["/w/a", "/w/b", "/w/none"], "ifExists": true]))
      }
      let root = container.bundle.rootfs
      let plain = try container.execAttempts(["read:/w/a/x", "read:/v/file"])
      #expect(plain == ["read:/w/a/x": "", "read:/v/file": "EACCES"])
      try FileManager.default.moveItem(atPath: root + "/w/a", toPath: root + "/w/moved")
      symlink("/v", root + "/w/a")
      // What was not there has no rule either.
      symlink("/v", root + "/w/none")
      try FileManager.default.removeItem(atPath: root + "/w/b")
      let changed = try container.execAttempts(["read:/w/a/file", "read:/v/file"])
      #expect(changed == ["read:/w/a/file": "EACCES", "read:/v/file": "EACCES"])
      // Nor what has come to the place by itself, without a link.
      try FileManager.default.moveItem(atPath: root + "/v", toPath: root + "/w/b")
      #expect(try container.execAttempts(["read:/w/b/file"])["read:/w/b/file"] == "EACCES")
    }

    @Test func createdContainerRestrictsCommandsOfExec() throws {
      let container = try Container(args: ["/bin/agent", "attempt", "read:/w/file"])
      try container.makeTree()
      container.restrict(files(["read_file"]))
      try container.create()
      #expect(try container.execAttempts(["read:/w/file"])["read:/w/file"] == "EACCES")
      try container.start()
      #expect(try container.stdout.readToEnd().contains("\"read:/w/file\":\"EACCES\""))
      try container.delete("--force")
    }

    /// Two rulesets are two domains, and neither is inside of the other.
    @Test(arguments: [true, false]) func commandsOfExecCannotLookIntoTheFirstProcess(isRestricted: Bool) throws {
      let container = try Container.running {
        if isRestricted { $0.restrict(files(["make_sock"])) }
      }
      let word = "read:/proc/1/environ"
      #expect(try container.execAttempts([word])[word] == (isRestricted ? "EACCES" : ""))
    }

    /// Landlock takes no_new_privs or CAP_SYS_ADMIN; the command gets neither from us.
    @Test(arguments: [true, false], [true, false])
    func privilegesAreThoseOfTheConfiguration(noNewPrivileges: Bool, hasFilter: Bool) throws {
      let container = try Container()
      try container.makeTree()
      container.bundle.config["process"]["noNewPrivileges"] = .bool(noNewPrivileges)
      if hasFilter {
        container.bundle.config["linux"]["seccomp"] = [
          "defaultAction": "SCMP_ACT_ALLOW",
          "syscalls": [["names": ["landlock_restrict_self", "swapon"], "action": "SCMP_ACT_KILL_PROCESS"]],
        ]
      }
      let plain = try container.report("security", "capabilities")
      container.restrict(files(["read_file"], ["allowedAccess": ["read_file"], "paths": ["/proc"]]))
      let report = try container.report("security", "capabilities")
      #expect(report == plain)
      #expect(report["noNewPrivileges"].bool == noNewPrivileges)
      #expect(try container.attempts(["read:/w/file"])["read:/w/file"] == "EACCES")
    }

    @Test func usersOtherThanRootAndNamespacesOfUsersAreRestricted() throws {
      for hasUsers in [true, false] {
        let container = try Container()
        try container.makeTree()
        // The user could not go to the place of the rule.
        mkdir(container.bundle.rootfs + "/w/closed", 0o700)
        try Files.write("text", to: container.bundle.rootfs + "/w/closed/file")
        container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
        var paths = ["/v", "/w/closed/file"]
        if hasUsers {
          // The root of the namespace could not go there either.
          try container.bundle.mapUsers()
          paths.removeLast()
        }
        container.restrict(files(["read_file"], ["allowedAccess": ["read_file"], "paths": JSONValue(paths)]))
        let outcomes = try container.attempts(["read:/w/file", "read:/v/file"])
        #expect(outcomes == ["read:/w/file": "EACCES", "read:/v/file": ""])
      }
    }

    /// They are not the command: what they prepare may be what the rules forbid it.
    @Test func hooksOfStartAreNotRestricted() throws {
      let container = try Container(args: ["/bin/agent", "attempt", "read:/w/file"])
      try container.makeTree()
      container.bundle.config["hooks"]["startContainer"] = [
        ["path": "/bin/sh", "args": ["sh", "-c", "cat /w/file >/w/copy"]]
      ]
      container.restrict(files(["all"]))
      #expect(try container.attempts(["read:/w/file"])["read:/w/file"] == "EACCES")
      #expect(try Files.read(container.bundle.rootfs + "/w/copy") == "text")
    }

    // MARK: Errors

    @Test func pathThatIsMissingIsAnErrorOfCreate() throws {
      let container = try Container()
      container.restrict(files(["read"], ["allowedAccess": ["read"], "paths": ["/bin", "/nowhere/at/all"]]))
      expectError(
        try container.spawn("create").wait(), says: "no such file or directory",
        detail: "at `/annotations/org.apus.landlock#/rules/pathBeneath/1/paths/1`")
      try expectNothingLeft()
    }

    @Test func pathThatIsMissingCanBeLeftOut() throws {
      let container = try Container()
      try container.makeTree()
      container.restrict(
        files(["read_file"], ["allowedAccess": ["read"], "paths": ["/nowhere", "/w/file/x", "/v"], "ifExists": true]))
      let outcomes = try container.attempts(["read:/w/file", "read:/v/file"])
      #expect(outcomes == ["read:/w/file": "EACCES", "read:/v/file": ""])
    }

    @Test func commandThatTheRulesForbidIsNamedByStart() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.restrict(["ruleset": ["handledAccessFS": ["execute"]]])
      try container.create()
      let outcome = try container.attempt("start")
      expectError(outcome, says: "permission denied", detail: "the ruleset at `/annotations/org.apus.landlock#`")
      try container.delete("--force")
      try expectNothingLeft()
    }

    @Test func wrongDocumentIsRefusedByItsPlace() throws {
      for (text, place) in [
        ("", "/annotations/org.apus.landlock#"), ("{\"ruleset\":{", "/annotations/org.apus.landlock#/ruleset"),
        ("{\"rulesets\":{}}", "/annotations/org.apus.landlock#/rulesets"),
        ("{\"ruleset\":{\"handledAccessFS\":[\"read\",\"fly\"]}}", "#/ruleset/handledAccessFS/1"),
        ("{\"rules\":{\"netPort\":[{\"ports\":[65536]}]}}", "#/rules/netPort/0/ports/0"), ("{}", "#/ruleset"),
      ] {
        let container = try Container()
        container.bundle.config["annotations"]["org.apus.landlock"] = .string(text)
        expectError(try container.run(), detail: "\(place)`")
        try expectNothingLeft()
      }
    }

    @Test func planShowsTheRules() throws {
      let container = try Container()
      container.restrict(files(["read_file"], ["allowedAccess": ["read"], "paths": ["/v"], "ifExists": true]))
      try container.bundle.write()
      let lines = try runtime("plan", "--bundle", container.bundle.path).stdout
      #expect(lines.contains("restrict by Landlock"))
      #expect(lines.contains("/v: read_file"))
    }
  }
}
