import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `checkpoint` and `restore`, by CRIU.
  @Suite(.needs(.criu)) struct CheckpointTests {
    @Test func checkpointedContainerGoesOnWhereItWas() throws {
      let container = try Checkpointed.counting()
      container.bundle.config["process"]["env"].append("SEEN=before")
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      let last = Checkpointed.numbers(try container.stdout.readToEnd()).last ?? 0
      expectError(try container.attempt("state"), says: "does not exist")
      try expectNothingLeft()
      // The environment is that of the process and not of the configuration.
      container.bundle.config["process"]["env"] = ["SEEN=after"]
      let pidFile = container.bundle.path + "/pid"
      let call = try Checkpointed.restore(container, folder, "--detach", "--pid-file", pidFile)
      #expect(try call.wait().code == 0)
      #expect(try container.status() == "running")
      #expect(try Files.read(pidFile) == "\(try container.pid())")
      try call.stdout.waitFor("before \(last + 3)\n")
      let numbers = Checkpointed.numbers(call.stdout.text)
      #expect(numbers.first.map { $0 > last && $0 < last + 5 } == true, "\(last) \(numbers)")
      #expect(try container.attempt("exec", rest: ["/bin/echo", "in"]).stdout == "in\n")
      try container.end()
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }

    @Test func containerMayGoOnAfterwards() throws {
      let container = try Checkpointed.counting()
      let last = try Checkpointed.start(container)
      let pid = try container.pid()
      let folder = try Checkpointed.save(container, "--leave-running")
      #expect(try container.status() == "running")
      #expect(try container.pid() == pid)
      try container.stdout.waitFor(" \(last + 8)\n")
      #expect(Files.exists(folder + "/inventory.img"))
    }

    @Test func memoryIsSavedBeforehand() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let folder = container.bundle.path + "/images"
      let first = try container.attempt("checkpoint", "--pre-dump", "--image-path", folder + "/1")
      #expect(first.code == 0, "\(first)")
      #expect(try container.status() == "running")
      let second = try container.attempt(
        "checkpoint", "--image-path", folder + "/2", "--parent-path", "../1", "--work-path", folder)
      #expect(second.code == 0, "\(second)")
      #expect(Files.exists(folder + "/dump.log"))
      let call = try Checkpointed.restore(container, folder + "/2", "--detach")
      #expect(try call.wait().code == 0)
      #expect(try container.status() == "running")
    }

    /// What is mounted, and what it may not do; two of one file system are those that CRIU takes for one.
    @Test func mountsAreAsBefore() throws {
      let container = try Checkpointed.counting()
      let bundle = container.bundle
      for name in ["one", "two", "one/below"] { mkdir(bundle.path + "/" + name, 0o755) }
      try Files.write("file\n", to: bundle.path + "/file")
      mkdir(bundle.rootfs + "/real", 0o755)
      symlink("/real", bundle.rootfs + "/link")
      bundle.addMount("/one", source: bundle.path + "/one", options: ["bind", "ro", "nosuid"])
      bundle.addMount("/link/two", source: bundle.path + "/two", options: ["bind", "ro", "nosuid"])
      bundle.addMount("/one/below", source: bundle.path + "/two", options: ["bind", "noexec"])
      bundle.addMount("/etc/file", source: bundle.path + "/file", options: ["bind", "ro"])
      bundle.addMount("/tmp", type: "tmpfs", source: "tmpfs", options: ["nodev", "size=1m"])
      bundle.config["linux"]["readonlyPaths"].append("/bin")
      bundle.config["root"]["readonly"] = false
      try Checkpointed.start(container)
      #expect(try container.attempt("exec", rest: ["/bin/sh", "-c", "echo kept > /tmp/kept"]).code == 0)
      let before = try Checkpointed.mounts(container)
      let folder = try Checkpointed.save(container)
      // Those that `create` made are made again.
      rmdir(bundle.rootfs + "/one")
      rmdir(bundle.rootfs + "/real/two")
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
      #expect(try Checkpointed.mounts(container) == before)
      #expect(try container.attempt("exec", rest: ["/bin/cat", "/tmp/kept", "/etc/file"]).stdout == "kept\nfile\n")
      let flags = try container.attempt("exec", rest: ["/bin/cat", "/sys/class/net/lo/flags"])
      #expect(flags.stdout == "0x9\n", "up, as before: \(flags)")
    }

    @Test func terminalIsHandedOver() throws {
      let container = try Container(args: [
        "/bin/sh", "-c", "n=1; while read line; do echo $n-$line; n=$((n+1)); done",
      ])
      container.bundle.config["process"]["terminal"] = true
      let socket = try DescriptorSocket()
      try container.runDetached("--console-socket", socket.path)
      let before = try socket.receiveTerminal()
      try before.write("a\n")
      try before.waitFor("1-a\r\n")
      let folder = try Checkpointed.save(container)
      let call = try Checkpointed.restore(container, folder, "--detach", "--console-socket", socket.path)
      #expect(try call.wait().code == 0)
      let after = try socket.receiveTerminal()
      try after.write("b\n")
      try after.waitFor("2-b\r\n")
    }

    @Test func limitsAreThoseOfTheConfiguration() throws {
      let container = try Checkpointed.counting()
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 33]
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      container.bundle.config["linux"]["resources"]["pids"] = ["limit": 34]
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
      #expect(try Files.read(try container.cgroup(CgroupView.current == .v2 ? "" : "pids") + "/pids.max") == "34\n")
      let members = try Files.read(try container.cgroup(CgroupView.current == .v2 ? "" : "pids") + "/cgroup.procs")
      #expect(members.split(separator: "\n").contains("\(try container.pid())"), "\(members)")
    }

    @Test func cgroupsBeginAtTheContainers() throws {
      let container = try Checkpointed.counting()
      container.bundle.config["linux"]["namespaces"].append(["type": "cgroup"])
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.addMount("/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"])
      try Checkpointed.start(container)
      let script = [
        "/bin/sh", "-c", "cat /proc/self/cgroup; grep ' /sys/fs/cgroup ' /proc/self/mountinfo | cut -d ' ' -f 4,5",
      ]
      let before = try container.exec(script).stdout
      #expect(before == "0::/\n/ /sys/fs/cgroup\n")
      let folder = try Checkpointed.save(container)
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
      #expect(try container.exec(script).stdout == before)
    }

    /// Which ones the processes have, the image says.
    @Test func otherNamespacesThanThoseOfTheConfigurationAreRefused() throws {
      let container = try Checkpointed.counting()
      container.bundle.removeNamespace("network")
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      container.bundle.config["linux"]["namespaces"].append(["type": "network"])
      let file = container.bundle.path + "/hook"
      container.bundle.config["hooks"]["createRuntime"] = [["path": "/bin/touch", "args": ["touch", .string(file)]]]
      expectError(
        try Checkpointed.restore(container, folder, "--detach").wait(),
        detail: "the `net` namespace of the restored process is the runtime's own")
      #expect(!Files.exists(file), "no hook gets the network of the runtime")
      try expectNothingLeft()
    }

    @Test func settingsOfCriuFromElsewhereAreRefused() throws {
      for file in ["criu.conf", "/tmp/criu.conf", "/etc/criu/../criu.conf", "/etc/criu/..", "/etc/criu/"] {
        let container = try Checkpointed.counting()
        container.bundle.config["annotations"]["org.criu.config"] = .string(file)
        try Checkpointed.start(container)
        let outcome = try container.attempt("checkpoint", "--image-path", container.bundle.path + "/images")
        expectError(outcome, detail: "(at `/annotations/org.criu.config`)")
        #expect(try container.status() == "running")
      }
    }

    /// An earlier one stays as long as no image is written over it, and a second one into its folder replaces it.
    @Test func earlierImageIsKeptOrReplaced() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container, "--leave-running")
      let refused = try container.attempt("checkpoint", "--image-path", folder, "--parent-path", "../nothing")
      expectError(refused, detail: "(at `--parent-path`)")
      #expect(Files.exists(folder + "/apus.json"))
      _ = try Checkpointed.save(container)
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
      #expect(try container.status() == "running")
    }

    @Test func joinedNetworkIsJoinedAgain() throws {
      let holder = try NamespaceHolder("--net")
      let container = try Checkpointed.counting()
      container.bundle.join("network", holder.path("net"))
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
      #expect(Files.inode("/proc/\(try container.pid())/ns/net") == holder.inode("net"))
      try container.delete("--force")
      // An image of one that had joined is nothing for one that does not.
      container.bundle.removeNamespace("network")
      container.bundle.addNamespace("network")
      expectError(
        try Checkpointed.restore(container, folder, "--detach").wait(), detail: "whether a `net` namespace is joined")
      try expectNothingLeft(but: holder)
    }

    @Test func foregroundWaitsForTheEnd() throws {
      let container = try Container(args: [
        "/bin/sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; echo again; done",
      ])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      let folder = try Checkpointed.save(container)
      let call = try Checkpointed.restore(container, folder)
      try call.stdout.waitFor("again")
      call.signal(SIGTERM)
      #expect(try call.wait().code == 7)
      try expectNothingLeft()
    }

    @Test func hooksOfTheNetworkRunAgain() throws {
      let container = try Checkpointed.counting()
      let file = container.bundle.path + "/hooks"
      for kind in ["createRuntime", "poststop"] {
        container.bundle.config["hooks"][kind] = [
          ["path": "/bin/sh", "args": ["sh", "-c", .string("echo \(kind) >> \(file); cat >> \(file)")]]
        ]
      }
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      #expect(try Files.read(file).contains("poststop"))
      try Files.write("", to: file)
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
      let text = try Files.read(file)
      let pid = try container.pid()
      #expect(text.contains("createRuntime") && text.contains("\"pid\":\(pid)"), "\(text)")
    }

    // MARK: What goes wrong

    @Test func onlyAContainerThatRunsIsSaved() throws {
      let container = try Checkpointed.counting()
      try container.create()
      let folder = container.bundle.path + "/images"
      expectError(
        try container.attempt("checkpoint", "--image-path", folder), detail: "is created")
      try container.start()
      try container.end()
      expectError(try container.attempt("checkpoint", "--image-path", folder), says: "stopped")
      #expect(!Files.exists(folder))
    }

    @Test func failureUndoesEverything() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      let bundle = container.bundle.path
      func refused(_ words: [String], _ detail: String) throws {
        let outcome = try Subprocess(container.executable, container.root + ["restore"] + words + [container.id]).wait()
        expectError(outcome, detail: detail)
        try expectNothingLeft()
      }
      try refused(["--bundle", bundle, "--image-path", bundle + "/none"], "cannot open the folder of the images")
      try refused(["--bundle", bundle + "/none", "--image-path", folder], "cannot open the bundle")
      try refused(["--bundle", bundle, "--image-path", bundle], "another runtime has made it")
      try refused(
        ["--bundle", bundle, "--image-path", folder, "--pid-file", bundle + "/no/pid"], "cannot write the pid file")
      #expect(truncate(folder + "/core-1.img", 10) == 0)
      try refused(["--bundle", bundle, "--image-path", folder], "see `\(folder)/restore.log`")
      #expect(truncate(folder + "/inventory.img", 0) == 0)
      try refused(["--bundle", bundle, "--image-path", folder], "restore")
      try Files.write("{}", to: folder + "/apus.json")
      try refused(["--bundle", bundle, "--image-path", folder], "expected form 1")
    }

    @Test func idThatIsTakenIsRefused() throws {
      let container = try Checkpointed.counting()
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container, "--leave-running")
      expectError(
        try Checkpointed.restore(container, folder, "--detach").wait(), says: "container with given ID already exists")
      #expect(try container.status() == "running")
    }

    @Test func mountThatTheConfigurationLacksIsRefused() throws {
      let container = try Checkpointed.counting()
      container.bundle.addMount("/mnt", source: container.bundle.path, options: ["bind"])
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      container.bundle.removeMount("/mnt")
      expectError(
        try Checkpointed.restore(container, folder, "--detach").wait(),
        detail: "the image has a bind mount at `/mnt`, and the configuration has none there")
      try expectNothingLeft()
    }

    /// The configuration may have changed since: what has to be mounted is what the image says.
    @Test(arguments: [true, false]) func mountThatDoesNotComeBackIsMissed(isMask: Bool) throws {
      let container = try Checkpointed.counting()
      for name in ["/mnt", "/srv"] {
        mkdir(container.bundle.rootfs + name, 0o755)
        container.bundle.addMount(name, source: container.bundle.path, options: ["bind"])
      }
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      var description = try JSONValue(parsing: Files.read(folder + "/apus.json"))
      if isMask {
        description["masks"].append("/home")
      } else {
        description["mounts"].append(["key": "apus-mount-2", "destination": "/etc/more", "path": "/etc"])
        container.bundle.addMount("/etc/more", source: container.bundle.path, options: ["bind"])
      }
      try Files.write(description.text, to: folder + "/apus.json")
      let pidFile = container.bundle.path + "/pid"
      expectError(
        try Checkpointed.restore(container, folder, "--detach", "--pid-file", pidFile).wait(),
        detail: "there is no mount at `\(isMask ? "/home" : "/etc/more")` after the restore")
      #expect(!Files.exists(pidFile))
      try expectNothingLeft()
    }

    // MARK: Attacks

    /// A name that CRIU would read as a mount at `/a` that comes from `/etc`.
    @Test(arguments: ["/a]:/etc", "/a[b", "/a\\b"])
    func nameThatCriuWouldMisreadIsRefused(name: String) throws {
      let container = try Checkpointed.counting()
      container.bundle.config["root"]["readonly"] = false
      container.bundle.addMount(name, type: "tmpfs", source: "tmpfs")
      try Checkpointed.start(container)
      let folder = container.bundle.path + "/images"
      expectError(
        try container.attempt("checkpoint", "--image-path", folder), detail: "cannot be given to CRIU")
      #expect(try container.status() == "running")
      #expect(Files.names(in: folder).isEmpty)
      container.bundle.removeMount(name)
      container.bundle.addMount(name, source: container.bundle.path, options: ["bind"])
      try container.delete("--force")
      try Checkpointed.start(container)
      expectError(
        try container.attempt("checkpoint", "--image-path", folder), detail: "cannot be given to CRIU")
      #expect(try container.status() == "running")
    }

    /// CRIU would look for its source by path, and whoever may write there has time until then.
    @Test func mountOfTheContainersOwnFilesIsRefused() throws {
      let container = try Checkpointed.counting()
      let bundle = container.bundle
      bundle.setCapabilities(["CAP_SYS_ADMIN"])
      bundle.args[2] = "mount --bind /etc /home && " + bundle.args[2]
      try Checkpointed.start(container)
      let outcome = try container.attempt("checkpoint", "--image-path", bundle.path + "/images")
      expectError(outcome, detail: "`/home` shows a part of the container's files in another place")
      #expect(try container.status() == "running")
      let last = Checkpointed.numbers(try container.stdout.text).last ?? 0
      try container.stdout.waitFor(" \(last + 5)\n")
    }

    /// CRIU goes by the place: what comes back there would be the volume, and the container would write into it.
    @Test(arguments: ["", "umount /mnt && "]) func ownMountInThePlaceOfAVolumeIsRefused(_ before: String) throws {
      let container = try Checkpointed.counting()
      let bundle = container.bundle
      mkdir(bundle.path + "/volume", 0o755)
      bundle.addMount("/mnt", source: bundle.path + "/volume", options: ["bind"])
      bundle.setCapabilities(["CAP_SYS_ADMIN"])
      bundle.args[2] = before + "mount -t tmpfs own /mnt && " + bundle.args[2]
      try Checkpointed.start(container)
      let outcome = try container.attempt("checkpoint", "--image-path", bundle.path + "/images")
      expectError(outcome, detail: "what is mounted at `/mnt` is not `\(bundle.path)/volume`")
      #expect(try container.status() == "running")
    }

    /// A link that came into the root file system after the checkpoint, on the way to a mount.
    @Test func linkOnTheWayToAMountIsNotFollowed() throws {
      let canary = try Canary()
      let container = try Checkpointed.counting()
      let bundle = container.bundle
      mkdir(bundle.path + "/data", 0o755)
      mkdir(bundle.rootfs + "/mnt", 0o755)
      bundle.addMount("/mnt/data", source: bundle.path + "/data", options: ["bind"])
      try Checkpointed.start(container)
      let folder = try Checkpointed.save(container)
      canary.remember()
      rename(bundle.rootfs + "/mnt", bundle.rootfs + "/mnt2")
      for target in [canary.path, "/mnt2"] {
        symlink(target, bundle.rootfs + "/mnt")
        expectError(
          try Checkpointed.restore(container, folder, "--detach").wait(), detail: "there is a symbolic link on the way")
        unlink(bundle.rootfs + "/mnt")
        try expectNothingLeft()
      }
      #expect(canary.changes().isEmpty, "\(canary.changes())")
      rename(bundle.rootfs + "/mnt2", bundle.rootfs + "/mnt")
      #expect(try Checkpointed.restore(container, folder, "--detach").wait().code == 0)
    }
  }
}
