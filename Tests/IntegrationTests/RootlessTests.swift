import Foundation
import IntegrationSupport
import Testing

/// Calls of the runtime as the user of ``Rootless``, whatever the rest of the tests do.
extension Container {
  /// `VERB [FLAGS] ID [REST]` as an ordinary user, with the state in a folder of his own. `path` is the search path.
  func asUser(
    _ verb: String, _ flags: [String] = [], rest: [String] = [], path: String? = nil, through launcher: [String] = []
  ) throws -> Outcome {
    let runtime = try spawnAsUser(verb, flags, rest: rest, path: path, through: launcher)
    return try runtime.wait()
  }

  func spawnAsUser(
    _ verb: String, _ flags: [String] = [], rest: [String] = [], path: String? = nil, through launcher: [String] = []
  ) throws -> Subprocess {
    let folder = URL(fileURLWithPath: bundle.path).deletingLastPathComponent().path
    chown(folder, Rootless.user, Rootless.user)
    var words = ["--reuid", "\(Rootless.user)", "--regid", "\(Rootless.user)", "--clear-groups"]
    words += launcher + [Runtime.current.path, verb] + flags
    if verb == "create" || verb == "run" {
      try Rootless.adapt(bundle)
      try bundle.write()
      words += ["--bundle", bundle.path]
    }
    var options = Subprocess.Options()
    options.environment = ProcessInfo.processInfo.environment
    options.environment?["XDG_RUNTIME_DIR"] = folder
    options.environment?["USER"] = nil
    if let path { options.environment?["PATH"] = path }
    return try Subprocess("/usr/bin/setpriv", words + [id] + rest, options)
  }

  /// What the agent sees in a container of the user.
  fileprivate func userReport(_ sections: String...) throws -> JSONValue {
    bundle.args = ["/bin/agent", "report"] + sections
    let outcome = try asUser("run")
    try #require(outcome.code == 0, "\(outcome)")
    return try outcome.json
  }
}

extension Bundle {
  /// One id, the user's own, which needs no helper.
  fileprivate func mapOnlyTheUser(to id: Int = 0) {
    addNamespace("user")
    for map in ["uidMappings", "gidMappings"] {
      config["linux"][map] = [["containerID": .number(id), "hostID": .number(Int(Rootless.user)), "size": 1]]
    }
    // Group 5 of its devpts is not mapped.
    removeMount("/dev/pts")
  }
}

extension Integration {
  /// Containers of people without privilege. The whole of the suites that apply runs as this user too, by `hack/test`.
  @Suite(.apusOnly("the tests are about its state and texts")) struct RootlessTests {
    @Test func rootInsideIsTheUserOutside() throws {
      let container = try Container()
      let report = try container.userReport("user", "process")
      #expect(report["uids"].ints == [0, 0, 0])
      #expect(report["groups"].ints == [])
      let outcome = try container.shell(as: "cat /proc/self/uid_map /proc/self/setgroups; echo x >/made")
      #expect(
        outcome.stdout.split(whereSeparator: \.isWhitespace).map(String.init) == [
          "0", "64321", "1", "1", "100000", "65536", "allow",
        ])
      #expect(Files.status(container.bundle.rootfs + "/made")?.st_uid == Rootless.user)
    }

    @Test func oneIdNeedsNoHelper() throws {
      let container = try Container()
      container.bundle.mapOnlyTheUser()
      container.bundle.args = [
        "/bin/sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -G",
      ]
      let outcome = try container.asUser("run", path: "/nonexistent")
      let words = outcome.stdout.split(whereSeparator: \.isWhitespace).map(String.init)
      #expect(words == ["0", "64321", "1", "0", "64321", "1", "deny", "0"], "\(outcome)")
    }

    @Test func theOneIdNeedNotBeRoot() throws {
      let container = try Container()
      container.bundle.mapOnlyTheUser(to: 7)
      container.bundle.config["process"]["user"] = ["uid": 7, "gid": 7]
      let report = try container.userReport("user", "capabilities")
      #expect(report["uids"].ints == [7, 7, 7] && report["gids"].ints == [7, 7, 7])
      #expect(report["capabilities"]["effective"].ints == [], "execve(2) of a user who is not root")
    }

    @Test func userAndGroupsOfTheProcessAreSubordinateOnes() throws {
      let container = try Container()
      container.bundle.config["process"]["user"] = ["uid": 5, "gid": 6, "additionalGids": [7, 8]]
      container.bundle.args = ["/bin/sh", "-c", "id -u; id -g; id -G; echo again >/dev/stdout"]
      // The pipe is the caller's own, so it becomes the process's.
      let outcome = try container.asUser("run", through: ["/bin/sh", "-c", "\"$0\" \"$@\" | cat"])
      #expect(outcome.stdout == "5\n6\n6 7 8\nagain\n", "\(outcome)")
    }

    @Test func groupsNeedARange() throws {
      let container = try Container()
      container.bundle.mapOnlyTheUser()
      container.bundle.config["process"]["user"] = ["uid": 0, "gid": 0, "additionalGids": [0]]
      try expectRefusal(container, "/process/user/additionalGids", "supplementary groups")
    }

    /// The caller may search the folder, and root of the container, a subordinate id, may not.
    @Test func sourceThatTheIdsOfTheContainerCannotReachIsNamed() throws {
      let container = try Container()
      container.bundle.addNamespace("user")
      for map in ["uidMappings", "gidMappings"] {
        container.bundle.config["linux"][map] = [["containerID": 0, "hostID": 100_000, "size": 65_536]]
      }
      let folder = try Workspace.active().directory + "/closed"
      mkdir(folder, 0o700)
      mkdir(folder + "/inside", 0o755)
      chown(folder, Rootless.user, Rootless.user)
      container.bundle.config["mounts"].append([
        "destination": "/tmp", "type": "bind", "source": .string(folder + "/inside"), "options": ["rbind"],
      ])
      let outcome = try container.asUser("run")
      #expect(outcome.code == 1)
      for words in [
        "/source", "cannot bind `\(folder)/inside` without root: ", "permission denied", "search the folders",
      ] {
        #expect(outcome.stderr.contains(words), "\(words): \(outcome)")
      }
    }

    @Test func helperThatIsAbsentIsNamed() throws {
      let container = try Container()
      let outcome = try container.asUser("run", path: "/nonexistent")
      #expect(outcome.code == 1)
      #expect(
        outcome.stderr.contains("`newuidmap` is not in a folder of PATH")
          && outcome.stderr.contains("/linux/uidMappings"))
      #expect(outcome.stderr.contains("uidmap"), "what to install: \(outcome)")
      try expectNothingLeft()
    }

    @Test func rangeThatIsTooSmallIsNamed() throws {
      for map in ["uidMappings", "gidMappings"] {
        let container = try Container()
        try Rootless.adapt(container.bundle)
        container.bundle.config["linux"][map] = [
          ["containerID": 0, "hostID": .number(Int(Rootless.user)), "size": 1],
          ["containerID": 1, "hostID": 100_000, "size": 65_537],
        ]
        try expectRefusal(container, "/linux/\(map)", map == "uidMappings" ? "/etc/subuid" : "/etc/subgid")
      }
    }

    @Test func withoutAUserNamespaceThereIsNoContainer() throws {
      let container = try Container()
      try Rootless.adapt(container.bundle)
      container.bundle.removeNamespace("user")
      for map in ["uidMappings", "gidMappings"] { container.bundle.config["linux"][map] = .null }
      try container.bundle.write()
      let folder = URL(fileURLWithPath: container.bundle.path).deletingLastPathComponent().path
      let outcome = try Subprocess(
        "/usr/bin/setpriv",
        [
          "--reuid", "\(Rootless.user)", "--clear-groups", Runtime.current.path, "--root", folder + "/state", "run",
          "--bundle", container.bundle.path, container.id,
        ]
      ).wait()
      #expect(outcome.code == 1 && outcome.stderr.contains("/linux/namespaces"), "\(outcome)")
      #expect(outcome.stderr.contains("without root a container needs a user namespace"))
    }

    @Test func commandsFindTheContainerOfTheUser() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      #expect(try container.asUser("run", ["--detach"]).code == 0)
      #expect(try container.asUser("state").json["status"].string == "running")
      let outcome = try container.asUser("exec", rest: ["/bin/sh", "-c", "id -u; exit 3"])
      #expect(outcome.stdout == "0\n" && outcome.code == 3, "\(outcome)")
      let folder = URL(fileURLWithPath: container.bundle.path).deletingLastPathComponent().path
      #expect(Files.exists("\(folder)/apus/\(container.id)/record"), "below XDG_RUNTIME_DIR")
      // Files of this folder may be taken for old ones otherwise (XDG base directory specification).
      #expect(Files.status("\(folder)/apus").map { $0.st_mode & 0o7777 } == 0o1700)
      #expect(try container.asUser("kill", rest: ["KILL"]).code == 0)
      #expect(try container.asUser("delete", ["--force"]).code == 0)
      #expect(try container.asUser("state").stderr.contains("container does not exist"))
    }

    @Test func waitingContainerTakesNoCommandWithoutRoot() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      #expect(try container.asUser("create").code == 0)
      let outcome = try container.asUser("exec", rest: ["/bin/agent", "exit", "0"])
      #expect(outcome.code == 255 && outcome.stderr.contains("`start` it first"), "\(outcome)")
      #expect(try container.asUser("start").code == 0)
      #expect(try container.asUser("exec", rest: ["/bin/agent", "exit", "4"]).code == 4)
      #expect(try container.asUser("delete", ["--force"]).code == 0)
    }

    @Test func processesAreFoundWithoutACgroup() throws {
      let container = try Container(args: ["/bin/agent", "children", "3"])
      container.bundle.removeNamespace("pid")
      container.bundle.removeMount("/proc")
      container.bundle.addMount("/proc", source: "/proc", options: ["rbind"])
      container.bundle.config["linux"]["maskedPaths"] = .null
      container.bundle.config["linux"]["readonlyPaths"] = .null
      let run = try container.spawnAsUser("run", ["--detach"])
      #expect(try run.wait().code == 0)
      try run.stdout.waitFor("ready")
      #expect(try container.asUser("ps", ["--format", "json"]).json.elements.count == 4)
      #expect(try container.asUser("delete", ["--force"]).code == 0)
      try expectNothingLeft()
    }

    /// The inode of a user namespace is another one's as soon as nobody is in it.
    @Test func deleteOfAContainerThatEndedTouchesNoOther() throws {
      let first = try Container(args: ["/bin/agent", "pause"])
      let others = try (0..<4).map { _ in try Container(args: ["/bin/agent", "pause"]) }
      for container in [first] + others {
        container.bundle.removeNamespace("pid")
        container.bundle.removeMount("/proc")
        container.bundle.config["linux"]["maskedPaths"] = .null
        container.bundle.config["linux"]["readonlyPaths"] = .null
      }
      #expect(try first.asUser("run", ["--detach"]).code == 0)
      guard let pid = try first.asUser("state").json["pid"].int else { throw HarnessError("no pid") }
      Glibc.kill(pid_t(pid), SIGKILL)
      #expect(waitForEnd(of: pid))
      Processes.reap()
      for other in others { #expect(try other.asUser("run", ["--detach"]).code == 0) }
      #expect(try first.asUser("ps", ["--format", "json"]).json.elements.isEmpty)
      #expect(try first.asUser("kill", ["--all"], rest: ["KILL"]).code == 0)
      #expect(try first.asUser("delete").code == 0)
      for other in others { #expect(try other.asUser("state").json["status"].string == "running") }
      for other in others { #expect(try other.asUser("delete", ["--force"]).code == 0) }
    }

    /// Who joins the user namespace of a container is none of its processes.
    @Test func containerThatSharesTheUsersLivesOn() throws {
      let sandbox = try Container(args: ["/bin/agent", "pause"])
      #expect(try sandbox.asUser("run", ["--detach"]).code == 0)
      guard let pid = try sandbox.asUser("state").json["pid"].int else { throw HarnessError("no pid") }
      let member = try Container(args: ["/bin/agent", "pause"])
      member.bundle.config["linux"]["namespaces"].append(["type": "user", "path": .string("/proc/\(pid)/ns/user")])
      #expect(try member.asUser("run", ["--detach"]).code == 0)
      #expect(try sandbox.asUser("ps", ["--format", "json"]).json.elements.count == 1)
      #expect(try sandbox.asUser("kill", ["--all"], rest: ["KILL"]).code == 0)
      #expect(waitForEnd(of: pid))
      #expect(try sandbox.asUser("delete").code == 0)
      #expect(try member.asUser("state").json["status"].string == "running")
      #expect(try member.asUser("delete", ["--force"]).code == 0)
    }

    @Test func commandEntersAContainerWithoutRootInside() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.mapOnlyTheUser(to: 7)
      container.bundle.config["process"]["user"] = ["uid": 7, "gid": 7]
      #expect(try container.asUser("run", ["--detach"]).code == 0)
      let outcome = try container.asUser("exec", rest: ["/bin/sh", "-c", "id -u"])
      #expect(outcome.stdout == "7\n", "\(outcome)")
      #expect(try container.asUser("delete", ["--force"]).code == 0)
    }

    /// CVE-2016-9962: an adjustment that is refused must not leave the stage open to those inside.
    @Test func refusedAdjustmentLeavesNothingToLookInto() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["process"]["oomScoreAdj"] = -500
      let trace = try Workspace.active().directory + "/trace"
      let line = "strace -f -qq -e trace=prctl,setns -o \(trace) \"$0\" \"$@\""
      #expect(try container.asUser("run", ["--detach"]).code == 0)
      chown(try Workspace.active().directory, Rootless.user, Rootless.user)
      let outcome = try container.asUser("exec", rest: ["/bin/agent", "exit", "0"], through: ["/bin/sh", "-c", line])
      let calls = try Files.read(trace).split(separator: "\n").filter {
        $0.contains("DUMPABLE") || $0.contains("setns")
      }
      let joins = calls.firstIndex { $0.contains("setns") } ?? 0
      let last = calls[..<joins].last { $0.contains("DUMPABLE") } ?? ""
      #expect(outcome.code == 0 && last.contains("SUID_DUMP_DISABLE"), "\(calls)")
      #expect(try container.asUser("delete", ["--force"]).code == 0)
    }

    @Test func clocksOfATimeNamespace() throws {
      let container = try Container(args: ["/bin/cat", "/proc/self/timens_offsets"])
      container.bundle.addNamespace("time")
      container.bundle.config["linux"]["timeOffsets"] = ["boottime": ["secs": 1_000_000], "monotonic": ["secs": 5]]
      let outcome = try container.asUser("run")
      let words = outcome.stdout.split(whereSeparator: \.isWhitespace).map(String.init)
      #expect(words == ["monotonic", "5", "0", "boottime", "1000000", "0"], "\(outcome)")
    }

    /// A pod: the second container joins the user namespace of the first and, with rights over it, the others.
    @Test func namespacesOfAnotherContainerOfTheUserAreJoined() throws {
      let sandbox = try Container(args: ["/bin/agent", "pause"])
      #expect(try sandbox.asUser("run", ["--detach"]).code == 0)
      guard let pid = try sandbox.asUser("state").json["pid"].int else { throw HarnessError("no pid") }
      let container = try Container()
      for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")] {
        container.bundle.removeNamespace(kind)
        container.bundle.config["linux"]["namespaces"].append([
          "type": .string(kind), "path": .string("/proc/\(pid)/ns/\(file)"),
        ])
      }
      container.bundle.config["hostname"] = .null
      let report = try container.userReport("namespaces", "user")
      for file in ["user", "net", "ipc", "uts", "pid"] {
        #expect(report["namespaces"][file].int == Files.inode("/proc/\(pid)/ns/\(file)"), "\(file)")
      }
      #expect(report["namespaces"]["mnt"].int != Files.inode("/proc/\(pid)/ns/mnt"))
      #expect(try sandbox.asUser("delete", ["--force"]).code == 0)
    }

    @Test func adjustmentThatOnlyRootMayMakeIsLeftOut() throws {
      let container = try Container()
      container.bundle.config["process"]["oomScoreAdj"] = -500
      let outcome = try container.asUser("run")
      #expect(outcome.code == 0 && outcome.stderr.contains("/process/oomScoreAdj"), "\(outcome)")
      container.bundle.config["process"]["oomScoreAdj"] = 500
      container.bundle.args = ["/bin/cat", "/proc/self/oom_score_adj"]
      #expect(try container.asUser("run").stdout == "500\n")
    }

    /// Root of a user namespace: an agent that starts containers of its own.
    @Test(arguments: [true, false])
    func containersInAUserNamespace(hasRange: Bool) throws {
      let container = try Container()
      container.bundle.addNamespace("user")
      // Not as one: the kernel takes no range that lies in two of the namespace above.
      var mappings: [JSONValue] = [["containerID": 0, "hostID": 0, "size": 1]]
      if hasRange { mappings.append(["containerID": 1, "hostID": 1, "size": 65_534]) }
      for map in ["uidMappings", "gidMappings"] { container.bundle.config["linux"][map] = .array(mappings) }
      if !hasRange { container.bundle.removeMount("/dev/pts") }
      container.bundle.config["linux"]["cgroupsPath"] = .null
      for folder in [""] + Files.names(in: container.bundle.rootfs) {
        lchown("\(container.bundle.rootfs)/\(folder)", Rootless.user, Rootless.user)
      }
      container.bundle.args = ["/bin/sh", "-c", "id -u; cat /proc/self/uid_map"]
      let launcher = ["/usr/bin/unshare", "--user", "--map-root-user"] + (hasRange ? ["--map-auto"] : [])
      let outcome = try container.asUser("run", through: launcher)
      let words = outcome.stdout.split(whereSeparator: \.isWhitespace).map(String.init)
      #expect(words == ["0", "0", "0", "1"] + (hasRange ? ["1", "1", "65534"] : []), "\(outcome)")
      let folder = URL(fileURLWithPath: container.bundle.path).deletingLastPathComponent().path
      #expect(Files.exists("\(folder)/apus"), "the state is the user's")
    }

    // MARK: Cgroups

    @Test func withoutDelegationThereIsNoCgroup() throws {
      let container = try Container(args: ["/bin/sh", "-c", "ls -A /sys/fs/cgroup; cat /proc/self/cgroup"])
      let outcome = try container.asUser("run")
      #expect(outcome.code == 0, "\(outcome)")
      let own = try Files.read("/proc/self/cgroup")
      #expect(outcome.stdout == own, "the caller's, and nothing of it to be seen: \(outcome)")
    }

    @Test func limitWithoutDelegationIsAnError() throws {
      let container = try Container()
      container.bundle.config["linux"]["resources"] = ["pids": ["limit": 5]]
      try expectRefusal(container, "/linux/resources/pids/limit", "delegated")
      let path = try Container()
      try Rootless.adapt(path.bundle)
      path.bundle.config["linux"]["cgroupsPath"] = .string("/\(TestRun.tag)-user/x")
      try expectRefusal(path, "/linux/cgroupsPath", "delegated")
    }

    /// The cgroup of the caller is his, as systemd delegates it.
    @Test func limitsHoldBelowADelegatedCgroup() throws {
      let delegated = try Delegation(["pids", "freezer"])
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["resources"] = ["devices": [["allow": false, "access": "rwm"]]]
      if delegated.cgroup("pids", of: "") != nil {
        container.bundle.config["linux"]["resources"]["pids"] = ["limit": 50]
      }
      if Delegation.hasAllOnV2 {
        container.bundle.config["linux"]["resources"]["memory"] = ["limit": 67_108_864]
        container.bundle.config["linux"]["resources"]["cpu"] = ["quota": 50_000]
      }
      let outcome = try delegated.inside { try container.asUser("run", ["--detach"]) }
      #expect(outcome.code == 0, "\(outcome)")
      if Delegation.hasAllOnV2, let folder = delegated.cgroup("", of: container.id) {
        #expect(try Files.read("\(folder)/memory.max") == "67108864\n")
        #expect(try Files.read("\(folder)/cpu.max") == "50000 100000\n")
      }
      if let folder = delegated.cgroup("pids", of: container.id) {
        #expect(try Files.read("\(folder)/pids.max") == "50\n")
        #expect(try Files.read("\(folder)/cgroup.procs").split(separator: "\n").count == 1)
      }
      let list = try container.asUser("ps", ["--format", "json"])
      #expect(try list.json.elements.count == 1, "\(list)")
      let run = try delegated.inside { try container.asUser("exec", rest: ["/bin/true"]) }
      #expect(run.code == 0, "\(run)")
      // Managers send the rules for devices with every update; whoever may not set them does without, as in `create`.
      let document = container.bundle.path + "/update.json"
      for isAllowed in [false, true] {
        let text = "{\"devices\": [{\"allow\": \(isAllowed), \"access\": \"rwm\"}], \"pids\": {\"limit\": -1}}"
        try Files.write(text, to: document)
        let update = try container.asUser("update", ["-r", document])
        #expect(update.code == 0, "\(update)")
      }
      #expect(try container.asUser("delete", ["--force"]).code == 0)
      #expect(delegated.children().isEmpty, "nothing left: \(delegated.children())")
      try delegated.remove()
    }

    @Test func whatIsForcedIsForced() throws {
      let container = try Container()
      let strict = try container.asUser("run", [], through: [])
      #expect(strict.code == 0)
      let outcome = try container.spawnAsUserWith(["--rootless", "false"]).wait()
      #expect(outcome.code == 1 && outcome.stderr.contains("cannot make the cgroup"), "\(outcome)")
      try expectNothingLeft()
    }

    // MARK: What cannot be mounted

    @Test(.attack("CVE-2023-25809"), arguments: [true, false])
    func hostCgroupsCannotBeWrittenTo(isNew: Bool) throws {
      let delegated = try Delegation(["pids", "freezer"])
      let container = try Container()
      if isNew { container.bundle.addNamespace("cgroup") }
      // Writable, if the runtime let it be: the caller may write to his own cgroup, so the container could.
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.addMount(
        "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev"])
      let line = "cd /sys/fs/cgroup; for d in . */; do mkdir $d/escape 2>/dev/null && echo made $d; done; exit 0"
      container.bundle.args = ["/bin/sh", "-c", line]
      let benign = try container.asUser("run")
      #expect(benign.code == 0, "\(benign)")
      let outcome = try delegated.inside { try container.asUser("run") }
      #expect(outcome.code == 0, "\(outcome)")
      #expect(delegated.children().allSatisfy { !$0.hasSuffix("/escape") }, "\(delegated.children())")
      try delegated.remove()
    }

    /// As in a container of docker: parts of /proc are masked there.
    @Test func procThatIsMaskedOutsideIsNamed() throws {
      let container = try Container()
      try Rootless.adapt(container.bundle)
      try container.bundle.write()
      let folder = URL(fileURLWithPath: container.bundle.path).deletingLastPathComponent().path
      chown(folder, Rootless.user, Rootless.user)
      let line =
        "mount --bind /dev/null /proc/meminfo && exec setpriv --reuid \(Rootless.user) --regid \(Rootless.user) "
        + "--clear-groups \(Runtime.current.path) --root \(folder)/state run --bundle \(container.bundle.path) x"
      let outcome = try Subprocess("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", line]).wait()
      #expect(outcome.code == 1 && outcome.stderr.contains("/mounts/0/"), "\(outcome)")
      #expect(outcome.stderr.contains("`/proc/meminfo` is"), "which part is covered: \(outcome)")
      try expectNothingLeft()
    }

    @Test func sourceThatTheUserMayNotReachIsNamed() throws {
      let container = try Container()
      let folder = try Workspace.active().directory + "/closed"
      mkdir(folder, 0o700)
      mkdir(folder + "/source", 0o755)
      container.bundle.addMount("/data", source: folder + "/source", options: ["bind"])
      let index = container.bundle.config["mounts"].elements.count - 1
      try expectRefusal(container, "/mounts/\(index)/source", "permission denied")
    }

    private func expectRefusal(
      _ container: Container, _ field: String, _ text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let outcome = try container.asUser("run")
      #expect(outcome.code == 1, "\(outcome)", sourceLocation: sourceLocation)
      #expect(
        outcome.stderr.contains("`\(field)`") && outcome.stderr.contains(text), "\(outcome)",
        sourceLocation: sourceLocation)
      try expectNothingLeft(sourceLocation: sourceLocation)
    }
  }
}

extension Container {
  fileprivate func shell(as line: String) throws -> Outcome {
    bundle.args = ["/bin/sh", "-c", line]
    bundle.config["root"]["readonly"] = false
    return try asUser("run")
  }

  /// With global flags in front of `run`.
  fileprivate func spawnAsUserWith(_ globals: [String]) throws -> Subprocess {
    try Rootless.adapt(bundle)
    try bundle.write()
    let folder = URL(fileURLWithPath: bundle.path).deletingLastPathComponent().path
    return try Subprocess(
      "/usr/bin/setpriv",
      [
        "--reuid", "\(Rootless.user)", "--regid", "\(Rootless.user)", "--clear-groups", Runtime.current.path, "--root",
        folder + "/state",
      ] + globals + ["run", "--bundle", bundle.path, id])
  }
}

/// A cgroup in some hierarchies that belongs to the user, as a session of systemd has it.
private final class Delegation {
  private var folders: [String: String] = [:]

  /// In the v2 hierarchy and those of these controllers, with a cgroup `session` that the caller is in.
  init(_ controllers: [String]) throws {
    if Delegation.hasAllOnV2 {
      // What the root of all does not hand down, nobody below can.
      try Files.write("+cpu +memory +pids", to: "/sys/fs/cgroup/cgroup.subtree_control")
    }
    for controller in [""] + controllers {
      guard let root = Cgroups.root(of: controller), Files.exists(root + "/cgroup.procs") else { continue }
      let folder = "\(root)/\(TestRun.tag)-user"
      for path in [folder, folder + "/session"] {
        mkdir(path, 0o755)
        for name in [""] + Files.names(in: path) { chown("\(path)/\(name)", Rootless.user, Rootless.user) }
      }
      folders[controller] = folder
    }
  }

  static let hasAllOnV2 = CgroupView.current == .v2 && MachineFeature.controllers.isHere

  /// Where a container of this id has its cgroup: below the caller's on v1, next to it on v2, where a cgroup with
  /// processes has no children with controllers.
  func cgroup(_ controller: String, of id: String) -> String? {
    let isAlone = CgroupView.current == .v2
    return folders[Delegation.hasAllOnV2 ? "" : controller].map { isAlone ? "\($0)/\(id)" : "\($0)/session/\(id)" }
  }

  /// All that was made here, by anybody.
  func children() -> [String] {
    var found: [String] = []
    for folder in folders.values {
      for path in [folder, folder + "/session"] {
        for name in Files.names(in: path) where name != "session" {
          if Files.status("\(path)/\(name)").map({ $0.st_mode & S_IFMT == S_IFDIR }) ?? false {
            found += ["\(path)/\(name)"]
            found += Files.names(in: "\(path)/\(name)").filter { $0 == "escape" }.map { "\(path)/\(name)/\($0)" }
          }
        }
      }
    }
    return found
  }

  /// With this process in it: what it starts is born there.
  func inside<T>(_ body: () throws -> T) throws -> T {
    for folder in folders.values { try Files.enter(folder + "/session") }
    defer {
      for folder in folders.values {
        cleanUp { try Files.enter(URL(fileURLWithPath: folder).deletingLastPathComponent().path) }
      }
    }
    return try body()
  }

  func remove() throws {
    for folder in folders.values {
      for path in [folder + "/session", folder] where rmdir(path) != 0 {
        throw HarnessError(errno: errno, "rmdir \(path)")
      }
    }
  }
}

extension Files {
  /// Moves this process into a cgroup.
  fileprivate static func enter(_ cgroup: String) throws {
    let descriptor = open(cgroup + "/cgroup.procs", O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw HarnessError(errno: errno, "open \(cgroup)/cgroup.procs") }
    defer { close(descriptor) }
    guard Glibc.write(descriptor, "0", 1) == 1 else { throw HarnessError(errno: errno, "write \(cgroup)/cgroup.procs") }
  }
}
