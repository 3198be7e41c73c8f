import Foundation
import Testing

/// A profile in the kernel, for as long as one test.
private struct Profile {
  let name: String

  /// Allows everything but to read the one file.
  static func with<Result>(_ part: String = "", _ body: (Profile) throws -> Result) throws -> Result {
    let profile = Profile(name: "apustest-\(TestRun.tag)\(part)")
    let file = try Workspace.active().directory + "/profile\(part)"
    try Files.write(
      """
      profile \(profile.name) flags=(attach_disconnected) {
        file,
        capability,
        network,
        mount,
        umount,
        pivot_root,
        signal,
        ptrace,
        unix,
        deny \(Profile.denied) r,
      }

      """, to: file)
    try profile.parser("--replace", file)
    defer { cleanUp { try profile.parser("--remove", file) } }
    return try body(profile)
  }

  static let denied = "/etc/denied"

  private func parser(_ verb: String, _ file: String) throws {
    let outcome = try Subprocess("/usr/sbin/apparmor_parser", ["--skip-cache", verb, file]).wait()
    try #require(outcome.code == 0, "\(outcome)")
  }
}

extension Container {
  /// A container with this profile, or none, and a file that the profile denies.
  fileprivate static func confined(_ args: [String], by profile: String?) throws -> Container {
    let container = try Container(args: args)
    // runc mounts the hierarchy anew, which changes the options of the host's mount.
    container.bundle.removeMount("/sys/fs/cgroup")
    if let profile { container.bundle.config["process"]["apparmorProfile"] = .string(profile) }
    try Files.write("secret\n", to: container.bundle.rootfs + Profile.denied)
    return container
  }
}

extension Integration {
  /// AppArmor as the kernel enforces it.
  @Suite(.needs(.appArmor), .views(.v2)) struct AppArmorTests {
    private static let current = ["/bin/cat", "/proc/self/attr/current"]

    /// What a command sees of its own profile.
    private func label(_ outcome: Outcome) -> String { outcome.stdout.trimmingCharacters(in: .whitespacesAndNewlines) }

    @Test func profileConfinesTheProcess() throws {
      try Profile.with { profile in
        let container = try Container.confined(AppArmorTests.current, by: profile.name)
        let outcome = try container.run()
        #expect(outcome.code == 0 && label(outcome) == "\(profile.name) (enforce)", "\(outcome)")
        let denied = try Container.confined(["/bin/cat", Profile.denied], by: profile.name).run()
        #expect(denied.code == 1 && denied.stderr.contains("Permission denied"), "\(denied)")
        let free = try Container.confined(["/bin/cat", Profile.denied], by: nil).run()
        #expect(free.stdout == "secret\n", "\(free)")
      }
    }

    /// podman takes the list of profiles out of the way of a container with users of its own.
    @Test func profileConfinesTheProcessWhereItsListIsHidden() throws {
      try Profile.with { profile in
        let container = try Container.confined(AppArmorTests.current, by: profile.name)
        try container.bundle.write()
        let call = [Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path, container.id]
        let line = "umount -R /sys/kernel/security && ! test -e /sys/kernel/security/apparmor && exec \"$@\""
        let outcome = try Subprocess("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", line, "sh"] + call).wait()
        #expect(outcome.code == 0 && label(outcome) == "\(profile.name) (enforce)", "\(outcome)")
        try expectNothingLeft()
      }
    }

    @Test(arguments: ["", "unconfined"]) func withoutAProfileNothingConfinesTheProcess(name: String) throws {
      try allowing(name.isEmpty ? ["crun": "takes an empty text for a value"] : [:], in: "profile `\(name)`") {
        let outcome = try Container.confined(AppArmorTests.current, by: name).run()
        #expect(outcome.code == 0 && label(outcome) == "unconfined", "\(outcome)")
      }
    }

    /// Whatever else the process gives up on its way.
    @Test(arguments: ["privileges", "user", "users", "seccomp", "keyring"])
    func profileConfinesEveryKindOfContainer(kind: String) throws {
      try Profile.with { profile in
        let container = try Container.confined(AppArmorTests.current, by: profile.name)
        var flags: [String] = []
        switch kind {
        case "privileges": container.bundle.config["process"]["noNewPrivileges"] = false
        case "user": container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
        case "users": try container.bundle.mapUsers()
        case "seccomp":
          container.bundle.config["linux"]["seccomp"] = [
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [["names": ["openat2", "fsopen", "swapon"], "action": "SCMP_ACT_ERRNO"]],
          ]
        case "keyring": flags = ["--no-new-keyring"]
        default: break
        }
        let outcome = try container.spawn("run", flags).wait()
        #expect(outcome.code == 0 && label(outcome) == "\(profile.name) (enforce)", "\(outcome)")
      }
    }

    /// Nothing of it is needed inside.
    @Test(.peerDiffers("runc", "1.1.5", "writes to the /proc of the container"), arguments: ["pid", "mount"])
    func profileConfinesAContainerWithoutAProcOfItsOwn(kind: String) throws {
      try Profile.with { profile in
        let container = try Container.confined(["/bin/agent", "pause"], by: profile.name)
        if kind == "pid" {
          try container.bundle.mapUsers()
          container.bundle.removeNamespace("pid")
          container.bundle.removeMount("/proc")
        } else {
          container.bundle.removeNamespace("mount")
          container.bundle.config["mounts"] = []
          container.bundle.config["root"]["readonly"] = false
        }
        for name in ["maskedPaths", "readonlyPaths"] { container.bundle.config["linux"][name] = nil }
        try container.runDetached()
        #expect(try Files.read("/proc/\(container.pid())/attr/current") == "\(profile.name) (enforce)\n")
      }
    }

    @Test func commandsOfExecAreConfinedAsTheContainerUnlessSaidOtherwise() throws {
      try Profile.with { profile in
        try Profile.with("-other") { other in
          let container = try Container.confined(["/bin/agent", "pause"], by: profile.name)
          try container.runDetached()
          func expect(
            _ outcome: Outcome, _ profile: Profile?, sourceLocation: SourceLocation = #_sourceLocation
          ) {
            let expected = profile.map { "\($0.name) (enforce)" } ?? "unconfined"
            #expect(label(outcome) == expected, "\(outcome)", sourceLocation: sourceLocation)
          }
          try expect(container.exec(AppArmorTests.current), profile)
          #expect(try container.exec(["/bin/cat", Profile.denied]).code == 1)
          try expect(container.exec(AppArmorTests.current, "--apparmor", other.name), other)
          try expect(container.exec(AppArmorTests.current, "--apparmor", "unconfined"), nil)
          try allowing(["crun": "takes an empty text for a value"], in: "--apparmor of an empty text") {
            try expect(container.exec(AppArmorTests.current, "--apparmor", ""), profile)
          }
          let document: JSONValue = [
            "args": JSONValue(AppArmorTests.current), "cwd": "/", "apparmorProfile": .string(other.name),
            "noNewPrivileges": true,
          ]
          try expect(container.exec(document: document), other)
        }
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", "runs it unconfined"))
    func documentWithoutAProfileIsConfinedAsTheContainer() throws {
      try Profile.with { profile in
        let container = try Container.confined(["/bin/agent", "pause"], by: profile.name)
        try container.runDetached()
        let outcome = try container.exec(document: ["args": JSONValue(AppArmorTests.current), "cwd": "/"])
        #expect(label(outcome) == "\(profile.name) (enforce)", "\(outcome)")
      }
    }

    @Test func commandsOfAnUnconfinedContainerCanBeConfined() throws {
      try Profile.with { profile in
        let container = try Container.confined(["/bin/agent", "pause"], by: nil)
        try container.bundle.mapUsers()
        try container.runDetached()
        #expect(try label(container.exec(AppArmorTests.current)) == "unconfined")
        #expect(
          try label(container.exec(AppArmorTests.current, "--apparmor", profile.name)) == "\(profile.name) (enforce)")
      }
    }

    @Test func profileThatIsNotLoadedIsAnErrorWithItsName() throws {
      for verb in ["create", "run"] {
        let container = try Container.confined(["/bin/agent", "pause"], by: "apustest-none")
        expectError(
          try container.attempt(verb),
          detail: "the AppArmor profile `apustest-none` is not loaded: write apparmor/exec: no such file or directory")
        try expectNothingLeft()
      }
      let container = try Container.confined(["/bin/agent", "pause"], by: nil)
      try container.runDetached()
      let outcome = try container.exec(AppArmorTests.current, "--apparmor", "apustest-none")
      expectError(outcome, detail: "the AppArmor profile `apustest-none` is not loaded")
      if !Runtime.current.isPeer {
        #expect(outcome.stderr.contains("(at `--apparmor`)"), "\(outcome)")
        let document: JSONValue = [
          "args": JSONValue(AppArmorTests.current), "cwd": "/", "apparmorProfile": "apustest-none",
        ]
        let other = try container.exec(document: document)
        expectError(other, detail: "(at `/apparmorProfile`)")
        #expect(other.stderr.contains("process.json"), "\(other)")
      }
      #expect(try container.exec(AppArmorTests.current).stdout == "unconfined\n")
    }

    @Test(.apusOnly("the peers hand on what the kernel makes of it"))
    func nameThatTheKernelReadsInAnotherWayIsAnError() throws {
      try Profile.with { profile in
        for name in [" \(profile.name)", "\(profile.name)\n", "\(profile.name) "] {
          let outcome = try Container.confined(["/bin/agent", "pause"], by: name).run()
          expectError(outcome, detail: "(at `/process/apparmorProfile`)")
          try expectNothingLeft()
        }
      }
    }

    /// As with the peers, the hooks that come before do not run under it and those of `start` do.
    @Test func hooksOfStartAreConfinedAndThoseOfCreateAreNot() throws {
      try Profile.with { profile in
        let container = try Container.confined(["/bin/agent", "exit", "0"], by: profile.name)
        container.bundle.config["root"]["readonly"] = false
        let folder = container.bundle.path
        container.bundle.config["hooks"] = [
          "createContainer": [
            ["path": "/bin/sh", "args": ["sh", "-c", .string("cat /proc/self/attr/current > \(folder)/create")]]
          ],
          "startContainer": [["path": "/bin/sh", "args": ["sh", "-c", "cat /proc/self/attr/current > /start"]]],
        ]
        #expect(try container.run().code == 0)
        #expect(try Files.read(folder + "/create") == "unconfined\n")
        #expect(try Files.read(container.bundle.rootfs + "/start") == "\(profile.name) (enforce)\n")
      }
    }

    @Test(.apusOnly("no other runtime has it")) func checkTellsAProfileThatIsNotLoaded() throws {
      func check(_ name: String) throws -> Outcome {
        let container = try Container.confined(["/bin/agent", "exit", "0"], by: name)
        try container.bundle.write()
        return try runtime(bare: container.root + ["check", "--bundle", container.bundle.path])
      }
      let outcome = try check("apustest-none")
      #expect(outcome.code == 1 && outcome.stdout.contains("`apustest-none` is not loaded"), "\(outcome)")
      let loaded = try Profile.with { try check($0.name) }
      #expect(loaded.code == 0, "\(loaded)")
    }

    // MARK: Attacks

    private static let files = ["self/attr/exec", "self/attr/apparmor/exec", "thread-self/attr/exec", "sysrq-trigger"]

    /// What looks like /proc in the container, with the files that a label would be written to.
    private func fakeProc(in folder: String) throws {
      for name in ["self/attr/apparmor", "thread-self/attr/apparmor"] {
        try FileManager.default.createDirectory(atPath: folder + name, withIntermediateDirectories: true)
      }
      for name in AppArmorTests.files + ["thread-self/attr/apparmor/exec"] {
        try Files.write("untouched", to: folder + name)
      }
    }

    private func expectUntouched(_ folder: String) throws {
      for name in AppArmorTests.files + ["thread-self/attr/apparmor/exec"] {
        #expect(try Files.read(folder + name) == "untouched", "\(name)")
      }
    }

    /// Whatever lies at /proc of the container: it is confined, or there is none.
    @Test(.attack("CVE-2019-16884", "CVE-2025-52881"), arguments: ["none", "tmpfs", "bind", "part", "image", "link"])
    func fakeProcOfTheContainerGetsNoProfile(way: String) throws {
      try Profile.with { profile in
        let fake = try Workspace.active().directory + "/fake/"
        let container = try Container.confined(["/bin/cat", "/real/self/attr/current"], by: profile.name)
        container.bundle.addMount("/real", type: "proc", source: "proc")
        container.bundle.config["root"]["readonly"] = false
        for name in ["maskedPaths", "readonlyPaths"] { container.bundle.config["linux"][name] = nil }
        let inside = container.bundle.rootfs + "/proc/"
        if way == "link" { try FileManager.default.removeItem(atPath: inside) }
        let folder = way == "image" || way == "tmpfs" ? inside : fake
        try fakeProc(in: folder)
        if way != "part" && way != "none" { container.bundle.removeMount("/proc") }
        switch way {
        case "tmpfs": container.bundle.addMount("/proc", type: "tmpfs", source: "x", options: ["tmpcopyup"])
        case "bind": container.bundle.addMount("/proc", type: "bind", source: fake, options: ["rbind"])
        case "part":
          container.bundle.addMount("/proc/self/attr", type: "bind", source: fake + "self/attr", options: ["rbind"])
        case "link":
          symlink("/fake", container.bundle.rootfs + "/proc")
          container.bundle.addMount("/fake", type: "bind", source: fake, options: ["rbind"])
        default: break
        }
        let outcome = try container.run()
        if outcome.code == 0 {
          #expect(label(outcome) == "\(profile.name) (enforce)", "\(outcome)")
        } else if !Runtime.current.isPeer {
          // A mount inside of /proc, or on it, may be refused as such.
          #expect(["tmpfs", "bind", "part"].contains(way) && outcome.stderr.contains("/mounts/"), "\(outcome)")
        }
        try expectUntouched(folder)
      }
    }

    /// A container that covers its own /proc while it runs.
    @Test(.attack("CVE-2019-16884", "CVE-2025-52881"), arguments: [false, true])
    func procThatARunningContainerFakesGetsNoProfile(hasUsers: Bool) throws {
      try Profile.with { profile in
        let fake = try Workspace.active().directory + "/fake/"
        try fakeProc(in: fake)
        let container = try Container.confined(
          ["/bin/sh", "-c", "mount -o bind /fake /proc && echo covered && exec /bin/agent pause"], by: profile.name)
        container.bundle.setCapabilities(["CAP_SYS_ADMIN", "CAP_KILL"])
        container.bundle.addMount("/real", type: "proc", source: "proc")
        container.bundle.addMount("/fake", type: "bind", source: fake, options: ["rbind"])
        if hasUsers { try container.bundle.mapUsers() }
        try container.runDetached()
        try container.stdout.waitFor("covered")
        let outcome = try container.exec(["/bin/cat", "/real/self/attr/current"])
        if outcome.code == 0 || !Runtime.current.isPeer {
          #expect(label(outcome) == "\(profile.name) (enforce)", "\(outcome)")
        }
        let seen = try container.exec(["/bin/cat", "/proc/self/attr/exec"])
        if seen.code == 0 { #expect(seen.stdout == "untouched", "no attack: \(seen)") }
        try expectUntouched(fake)
      }
    }
  }
}
