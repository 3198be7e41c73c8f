import Foundation
import Testing

extension Integration {
  /// When and where hooks run, and what they are given. Failures are in `HookFailureTests`.
  @Suite struct HookTests {
    @Test func hooksOfCreateRunInTheirOrder() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in ["createContainer", "createRuntime", "prestart"] {
        hooks.add(kind, "log \(kind) first")
        hooks.add(kind, "log \(kind) second")
      }
      try container.create()
      try hooks.expect([
        "prestart first", "prestart second", "createRuntime first", "createRuntime second",
        "createContainer first", "createContainer second",
      ])
    }

    @Test func startContainerHooksRunBetweenStartAndTheCommand() throws {
      let container = try Container(args: ["/bin/sh", "-c", "echo command >> /hooks/log"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log one")
      hooks.add("startContainer", "log two")
      try container.create()
      try hooks.expect([])
      let pid = try container.pid()
      try container.start()
      #expect(waitForEnd(of: pid))
      try hooks.expect(["one", "two", "command"])
    }

    @Test(.peerDiffers("runc", "1.1.5", "runs poststart hooks in `create`"))
    func poststartHooksRunWhenTheCommandRuns() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("poststart", "log \"$(cat /proc/$pid/comm) $status\"")
      try container.create()
      try hooks.expect([])
      try container.start()
      let isEarly = Runtime.current.name == "crun"
      try hooks.expect([isEarly ? try hooks.log.first ?? "" : "agent running"])
      #expect(try hooks.log.first?.hasSuffix(" running") == true)
    }

    @Test func poststopHooksRunWhenNothingIsLeft() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      try container.create()
      try container.delete("--force")
      container.bundle.config["hooks"] = .null
      hooks.add(
        "poststop",
        "[ -n \"$(cat /proc/$child/cmdline 2>/dev/null)\" ] && log alive; [ -e '\(try container.cgroup(Cgroups.root(of: "pids") == nil ? "" : "pids"))' ] && log cgroup"
      )
      hooks.add("poststop", "log \"$status ${pid:-0}\"")
      try container.create()
      try Files.write("\(try container.pid())\n", to: hooks.path + "/child")
      try container.start()
      try container.end()
      try hooks.expect([])
      try container.delete()
      try hooks.expect(["stopped 0"])
      try expectNothingLeft()
    }

    @Test func deleteByForceRunsPoststopHooks() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("poststop", "log stopped")
      try container.runDetached()
      try container.delete("--force")
      try hooks.expect(["stopped"])
      try expectNothingLeft()
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "runs poststart hooks before the command"),
      .peerMayDiffer("crun", "1.8.1", "does not wait for startContainer hooks"))
    func foregroundRunHonoursAllOfThem() throws {
      let container = try Container(args: ["/bin/sh", "-c", "echo command >> /hooks/log; sleep 0.2; exit 7"])
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds { hooks.add(kind, "log \(kind)") }
      #expect(try container.run().code == 7)
      var log = try hooks.log
      // The command and the hook run at the same time.
      log.removeAll { $0 == "command" }
      #expect(log == HookFolder.kinds)
      try expectNothingLeft()
    }

    @Test(.peerDiffers("crun", "1.8.1", "`created` before it is created, a version of its own, and 0 inside"))
    func hooksReadTheStateFromTheirInput() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["annotations"] = ["org.example.a": "1", "org.example.b": "\"é"]
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds where kind != "poststart" { hooks.add(kind, "/bin/busybox cp state $kind.state") }
      try container.create()
      let pid = try container.pid()
      try container.start()
      try container.delete("--force")
      let expected: [(String, String, Int?)] = [
        ("prestart", "creating", pid), ("createRuntime", "creating", pid), ("createContainer", "creating", 1),
        ("startContainer", "created", 1), ("poststop", "stopped", nil),
      ]
      for (kind, status, pid) in expected {
        let state = try JSONValue(parsing: try Files.read("\(hooks.path)/\(kind).state"))
        #expect(state["ociVersion"] == .string("1.0.2") || Runtime.current.isPeer, "\(kind)")
        #expect(state["id"].string == container.id, "\(kind)")
        #expect(state["status"].string == status, "\(kind)")
        #expect(state["pid"].int == pid, "\(kind)")
        #expect(state["bundle"].string == container.bundle.path, "\(kind)")
        #expect(state["annotations"] == container.bundle.config["annotations"], "\(kind)")
      }
    }

    @Test func hooksRunInTheNamespacesOfTheirKind() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds {
        hooks.add(
          kind, "for n in mnt uts ipc net pid; do log \"$kind $n $(/bin/busybox readlink /proc/self/ns/$n)\"; done")
      }
      try container.create()
      let pid = try container.pid()
      var inside: [String: String] = [:]
      for name in ["mnt", "uts", "ipc", "net", "pid"] {
        inside[name] = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(name)")
      }
      try container.start()
      try hooks.settle(25)
      try container.delete("--force")
      let log = try hooks.log
      #expect(log.count == 30)
      for line in log {
        let words = line.split(separator: " ").map(String.init)
        let isInside = ["createContainer", "startContainer"].contains(words[0])
        #expect((words[2] == inside[words[1]]) == isInside, "\(line)")
      }
    }

    @Test func hooksOfCreateFindTheMountsAndTheHostsTree() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      let root = container.bundle.rootfs
      // What only the container's mount namespace shows, and by the path of the host.
      hooks.add("createContainer", "[ -c \(root)/dev/null ] && [ -e \(root)/proc/mounts ] && log mounted")
      hooks.add("createRuntime", "grep -q ' \(root)/proc ' /proc/$pid/mountinfo && log mounted")
      hooks.add("prestart", "grep -q ' / / ' /proc/$pid/mountinfo && log host")
      try container.create()
      try hooks.expect(["host", "mounted", "mounted"])
    }

    @Test(.peerDiffers("crun", "1.8.1", "the root is read-only before its hooks"))
    func createContainerHookAddsToAReadonlyRoot() throws {
      let container = try Container()
      let hooks = try HookFolder(container)
      let root = container.bundle.rootfs
      hooks.add(
        "createContainer",
        "/bin/busybox mount -t tmpfs hook \(root)/home; echo hello > \(root)/home/file; : > \(root)/etc/new")
      let outcome = try container.shell("cat /home/file; [ -e /etc/new ] && echo new; : > /etc/other")
      #expect(outcome.stdout == "hello\nnew\n")
      #expect(outcome.stderr.contains("ead-only"))
      // It was a mount of the container's alone.
      #expect(Files.names(in: root + "/home") == [])
    }

    @Test func hooksOfTheRuntimeGetItsEnvironmentUnlessTheyNameOne() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in ["prestart", "createRuntime"] {
        hooks.add(kind, "log \"$OF_THE_CALLER $X\"")
        hooks.add(kind, "log \"${OF_THE_CALLER-none} $X\"", env: ["X=y z"])
      }
      var options = Subprocess.Options()
      options.environment = ["PATH": "/usr/bin:/bin", "OF_THE_CALLER": "caller"]
      try container.attempt("create", options: options).expectSuccess()
      try hooks.expect(["caller ", "none y z", "caller ", "none y z"])
    }

    @Test(.peerDiffers("runc", "1.1.5", "gives createContainer hooks the environment of the process"))
    func hooksOfTheContainerGetTheRuntimesEnvironmentThenThatOfTheProcess() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["process"]["env"] = ["PATH=/bin", "OF_THE_PROCESS=process"]
      let hooks = try HookFolder(container)
      for kind in ["createContainer", "startContainer"] {
        hooks.add(kind, "log \"${OF_THE_CALLER-none} ${OF_THE_PROCESS-none}\"")
        hooks.add(kind, "log \"${OF_THE_CALLER-none} ${OF_THE_PROCESS-none} $X\"", env: ["X=y"])
      }
      var options = Subprocess.Options()
      options.environment = ["PATH": "/usr/bin:/bin", "OF_THE_CALLER": "caller"]
      try container.attempt("create", options: options).expectSuccess()
      try container.start()
      try hooks.expect(["caller none", "none none y", "none process", "none none y"])
    }

    @Test(
      .peerDiffers("runc", "1.1.5", "an empty list is an empty environment"),
      .peerDiffers("crun", "1.8.1", "an empty list is an empty environment"))
    func anEmptyEnvironmentOfAHookCountsAsAbsent() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in ["createRuntime", "createContainer"] { hooks.add(kind, "log \"$OF_THE_CALLER\"", env: []) }
      var options = Subprocess.Options()
      options.environment = ["PATH": "/usr/bin:/bin", "OF_THE_CALLER": "caller"]
      try container.attempt("create", options: options).expectSuccess()
      try hooks.expect(["caller", "caller"])
    }

    @Test func startContainerHooksGetHomeOfTheUser() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log \"$HOME $(id -u)\"")
      try container.create()
      try container.start()
      try hooks.expect(["/home 1000"])
    }

    @Test func argumentsArePassedAsTheyAre() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      let echo: [JSONValue] = [
        [
          "path": "/bin/sh",
          "args": ["other name", "-c", .string("echo \"$0 $#\" >> \(hooks.path)/log"), "a b", "", "c"],
        ],
        ["path": .string(hooks.path + "/none")], ["path": .string(hooks.path + "/empty"), "args": []],
      ]
      for name in ["none", "empty"] {
        try Files.write("#!/bin/sh\necho \"${0##*/} $#\" >> \(hooks.path)/log\n", to: "\(hooks.path)/\(name)")
        chmod("\(hooks.path)/\(name)", 0o755)
      }
      container.bundle.config["hooks"]["createRuntime"] = .array(echo)
      try container.create()
      try hooks.expect(["a b 2", "none 0", "empty 0"])
    }

    @Test func hooksOfCreateStartInTheBundle() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in ["prestart", "createRuntime"] { hooks.add(kind, "log \"$directory\"") }
      try container.create()
      try hooks.expect([container.bundle.path, container.bundle.path])
    }

    @Test(.apusOnly("runc: where the caller is; crun: always in the bundle"))
    func hooksStartInTheBundleOrInTheRoot() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["process"]["cwd"] = "/home"
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds { hooks.add(kind, "log \"$directory\"") }
      try container.create()
      try container.start()
      try container.delete("--force")
      let bundle = container.bundle.path
      try hooks.expect([bundle, bundle, bundle + "/rootfs", "/home", bundle, bundle])
    }

    @Test(.apusOnly("the peers leave descriptors open and signals ignored"))
    func hooksGetNothingOfTheRuntime() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds {
        hooks.add(
          kind,
          """
          log "$(cd /proc/self/fd; echo *)"
          for line in $(/bin/busybox grep -E '^Sig(Blk|Ign)' /proc/self/status); do
            case $line in 0*) log $line;; esac
          done
          """)
      }
      try container.create()
      try container.start()
      try container.delete("--force")
      let log = try hooks.log
      #expect(log.count == 18)
      for line in log {
        // 3 is the directory that the shell reads; a command substitution may have one more.
        #expect(["0 1 2", "0 1 2 3", "0000000000000000"].contains(line), "\(line)")
      }
    }

    @Test(.apusOnly("what the peers leave of the mask of the caller"))
    func hooksHaveTheUmaskOfTheCaller() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in HookFolder.kinds { hooks.add(kind, "log \"$(umask)\"") }
      try container.create()
      try container.start()
      try container.delete("--force")
      let own = String(
        format: "%04o",
        {
          let mask = umask(0)
          umask(mask)
          return mask
        }())
      try hooks.expect([own, own, own, "0022", own, own])
    }

    @Test func hooksOutliveTheConfiguration() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "log start")
      hooks.add("poststop", "log stop")
      try container.create()
      try Files.write("{}", to: container.bundle.path + "/config.json")
      try container.start()
      unlink(container.bundle.path + "/config.json")
      try hooks.settle(1)
      try container.delete("--force")
      try hooks.expect(["start", "stop"])
    }

    @Test func hookGivesTheContainerANetwork() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      let tag = String(getpid() % 10000)
      hooks.add(
        "createRuntime",
        """
        ip link add hook\(tag) type veth peer name eth0 netns $pid || exit 1
        ip address add 198.18.0.1/30 dev hook\(tag)
        ip link set hook\(tag) up
        nsenter --net=/proc/$pid/ns/net ip address add 198.18.0.2/30 dev eth0
        nsenter --net=/proc/$pid/ns/net ip link set eth0 up
        """)
      hooks.add("poststop", "ip link show hook\(tag) > /dev/null 2>&1 && log left; log stopped")
      container.bundle.setCapabilities(["CAP_NET_RAW"])
      let outcome = try container.shell("ip address show eth0; busybox ping -c 1 -W 5 198.18.0.1")
      #expect(outcome.stdout.contains("198.18.0.2/30"), "\(outcome)")
      #expect(outcome.stdout.contains("1 packets received"), "\(outcome)")
      #expect(outcome.code == 0)
    }

    @Test func hooksOfAUserNamespaceRunAsItsRoot() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      try container.bundle.mapUsers()
      chmod(hooks.path, 0o777)
      for kind in ["createRuntime", "createContainer", "startContainer"] {
        hooks.add(kind, "log \"$kind $(/bin/busybox id -u)\"")
      }
      try container.create()
      try container.start()
      try hooks.expect(["createRuntime 0", "createContainer 0", "startContainer 0"])
    }

    @Test func hooksOfAContainerWithoutPidNamespaceSeeItsNumberOnTheHost() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.removeNamespace("pid")
      let hooks = try HookFolder(container)
      for kind in ["createRuntime", "createContainer", "startContainer"] { hooks.add(kind, "log $pid") }
      try container.create()
      let pid = "\(try container.pid())"
      try container.start()
      let expected = Runtime.current.name == "crun" ? [pid, "0", "0"] : [pid, pid, pid]
      try hooks.expect(expected)
    }

    @Test(.apusOnly("runc's filter holds for its startContainer hooks"))
    func startContainerHooksRunBeforeTheFilter() throws {
      let container = try Container(args: ["/bin/sh", "-c", "mkdir /hooks/two || echo refused"])
      container.bundle.config["linux"]["seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"]],
      ]
      let hooks = try HookFolder(container)
      hooks.add("startContainer", "/bin/busybox mkdir one && log made")
      let outcome = try container.run()
      try hooks.expect(["made"])
      #expect(outcome.stdout == "refused\n", "\(outcome)")
    }

    @Test(.apusOnly("whom an orphan of a hook goes to"))
    func orphansOfHooksAreCollected() throws {
      let container = try Container(args: ["/bin/sh", "-c", "ps; echo end"])
      let hooks = try HookFolder(container)
      for kind in ["createContainer", "startContainer"] {
        hooks.add(kind, "/bin/sh -c '/bin/true & exit 0' < /dev/null; /bin/sleep 0.2")
      }
      let outcome = try container.run()
      #expect(outcome.stdout.hasSuffix("end\n"))
      #expect(!outcome.stdout.contains("[true]"), "\(outcome)")
    }

    @Test(.peerDiffers("crun", "1.8.1", "has no such command"))
    func featuresNameEveryHook() throws {
      #expect(try runtime("features").json["hooks"].strings == HookFolder.kinds)
    }

    @Test func hooksOfTheContainerAreInItsCgroup() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      let hooks = try HookFolder(container)
      for kind in ["createRuntime", "createContainer", "startContainer"] {
        hooks.add(
          kind,
          "while read -r line; do case $line in *\(TestRun.tag)*) log $kind; break;; esac; done < /proc/self/cgroup")
      }
      try container.create()
      try container.start()
      try hooks.expect(["createContainer", "startContainer"])
    }
  }
}

/// Shell scripts as hooks, which write a log. Their folder is the container's `/hooks` as well.
final class HookFolder {
  static let kinds = [
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
  ]

  let path: String
  private let container: Container
  private var count = 0

  init(_ container: Container) throws {
    self.container = container
    path = container.bundle.path + "/hooks"
    mkdir(path, 0o777)
    chmod(path, 0o777)
    try Files.write("", to: path + "/log")
    chmod(path + "/log", 0o666)
    container.bundle.addMount("/hooks", type: "bind", source: path, options: ["rbind", "rw"])
  }

  var log: [String] {
    get throws {
      try Files.read(path + "/log").split(separator: "\n", omittingEmptySubsequences: false).dropLast().map(String.init)
    }
  }

  /// `start` of crun does not wait for its hooks; everybody else has run them when it returns.
  func settle(_ count: Int) throws {
    let deadline = Deadline(5)
    while Runtime.current.name == "crun", try log.count < count, deadline.milliseconds > 0 { usleep(10_000) }
  }

  func expect(_ lines: [String], sourceLocation: SourceLocation = #_sourceLocation) throws {
    try settle(lines.count)
    let log = try log
    #expect(log == lines, sourceLocation: sourceLocation)
  }

  /// The script starts in its folder with `kind`, `pid` and `status` as the state has them, the state itself in the file
  /// `state` and `directory` for where it was started. Only the folder says where it is: the path differs inside.
  func add(_ kind: String, _ body: String, env: [String]? = nil, timeout: Int? = nil) {
    count += 1
    let name = "\(kind).\(count)"
    let text = """
      #!/bin/sh
      directory=$(pwd)
      cd "${0%/*}" || exit 99
      log() { echo "$*" >> log; }
      kind=\(kind)
      state=
      while read -r line || [ -n "$line" ]; do state="$state$line "; done
      printf '%s\\n' "$state" > state
      rest=${state#*\\"pid\\":}; [ "$rest" = "$state" ] && pid= || pid=${rest%%[!0-9]*}
      rest=${state#*\\"status\\":\\"}; status=${rest%%\\"*}
      child=$( [ -e child ] && read -r number < child && echo "$number")
      \(body)
      exit 0

      """
    _ = FileManager.default.createFile(
      atPath: "\(path)/\(name)", contents: Data(text.utf8), attributes: [.posixPermissions: 0o755])
    set(kind, path: (kind == "startContainer" ? "/hooks" : path) + "/\(name)", env: env, timeout: timeout)
  }

  func set(_ kind: String, path: String, env: [String]? = nil, timeout: Int? = nil) {
    var hook: JSONValue = ["path": .string(path)]
    if let env { hook["env"] = JSONValue(env) }
    if let timeout { hook["timeout"] = .number(timeout) }
    container.bundle.config["hooks"][kind].append(hook)
  }
}
