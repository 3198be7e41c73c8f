import ContainerPlan
import Diagnostics
import Foundation
import LinuxABI
import OCISpec
import Testing

private func namespaces(_ types: String...) -> [Namespace] { types.map { Namespace(type: $0) } }

/// A configuration like the one `apus spec` writes, small enough to read.
private func sample() -> Config {
  var process = OCISpec.Process(user: User(uid: 0, gid: 0), cwd: "/")
  process.args = ["sh", "-c", "true"]
  process.env = ["PATH=/bin"]
  process.noNewPrivileges = true
  process.capabilities = Capabilities(
    bounding: ["CAP_KILL"], effective: ["CAP_KILL"], inheritable: [], permitted: ["CAP_KILL"], ambient: [])
  process.rlimits = [ResourceLimit(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)]
  var linux = LinuxConfig()
  linux.namespaces = namespaces("pid", "network", "ipc", "uts", "mount", "cgroup")
  linux.maskedPaths = ["/proc/kcore"]
  linux.readonlyPaths = ["/proc/sys"]
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  config.root.readonly = true
  config.process = process
  config.hostname = "box"
  config.linux = linux
  config.mounts = [
    Mount(destination: "/proc", type: "proc", source: "proc"),
    Mount(
      destination: "/dev", type: "tmpfs", source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    Mount(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "ro"]),
    Mount(destination: "/data", type: "bind", source: "data", options: ["rbind", "ro", "rprivate"]),
  ]
  return config
}

private func plan(_ config: Config) throws(RuntimeError) -> ContainerPlan {
  try Planner.plan(
    PlanInput(config: config, bundle: "/b", keyring: "_ses.id", facts: HostFacts(effectiveUser: 0)))
}

private func change(_ body: (inout Config) -> Void) -> Config {
  var config = sample()
  body(&config)
  return config
}

private func failure(_ config: Config) -> RuntimeError? {
  do {
    _ = try plan(config)
    return nil
  } catch {
    return error
  }
}

@Suite struct PlannerTests {
  /// config-linux.md, "Cgroup ownership".
  @Test func cgroupGoesToTheUserWhoCanWriteToItInANamespaceOfItsOwn() throws {
    func owner(
      _ options: [String], namespace: Namespace? = Namespace(type: "cgroup"), type: String = "cgroup",
      destination: String = "/sys/fs/cgroup"
    ) throws -> UInt32? {
      let config = change { config in
        config.process?.user.uid = 7
        config.linux?.namespaces = namespaces("mount", "pid", "uts") + (namespace.map { [$0] } ?? [])
        config.mounts?[2] = Mount(destination: destination, type: type, source: "cgroup", options: options)
      }
      return try plan(config).cgroup.owner
    }
    #expect(try owner([]) == 7)
    #expect(try owner(["nosuid", "rw"]) == 7)
    #expect(try owner(["ro", "rw"]) == 7)
    #expect(try owner([], type: "cgroup2", destination: "/sys/fs/./cgroup/") == 7)
    #expect(try owner(["ro"]) == nil)
    #expect(try owner(["rw", "ro"]) == nil)
    #expect(try owner(["rro"]) == nil)
    #expect(try owner([], namespace: nil) == nil)
    #expect(try owner([], namespace: Namespace(type: "cgroup", path: "/proc/7/ns/cgroup")) == nil)
    #expect(try owner([], destination: "/cgroup") == nil)
    #expect(try owner([], type: "tmpfs") == nil)
    #expect(try plan(change { $0.mounts = nil }).cgroup.owner == nil)
    #expect(
      try plan(
        change {
          $0.process = nil
          $0.mounts?[2].options = []
        }
      ).cgroup.owner == nil)
  }

  /// The whole plan as text. `UPDATE_GOLDEN=1 swift test` records it anew; read the difference.
  @Test(arguments: ["default", "user", "bare"]) func thePlanIsTheRecordedOne(_ name: String) throws {
    var config = sample()
    if name == "user" {
      config.linux?.namespaces = namespaces("pid", "mount", "user", "time", "uts")
      config.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 1001, size: 10)]
      config.linux?.gidMappings = [IDMapping(containerID: 0, hostID: 1001, size: 10)]
      config.linux?.timeOffsets = [NamedValue("boottime", TimeOffset(secs: 7))]
      config.linux?.rootfsPropagation = "rshared"
    } else if name == "bare" {
      config.linux?.namespaces = namespaces("uts")
      config.mounts = nil
      config.linux?.maskedPaths = nil
      config.linux?.readonlyPaths = nil
      config.root.readonly = nil
      config.process = nil
    }
    let text = try plan(config).lines.map { "\($0.runner): \($0.action) \($0.detail)\n" }.joined()
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "Golden/\(name).txt")
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(text == (try String(contentsOf: file, encoding: .utf8)))
  }

  private static let mistakes: [(Config, String, String)] = [
    (
      change { $0.linux?.namespaces?.append(Namespace(type: "pid")) }, "/linux/namespaces/6",
      "duplicated ns"
    ),
    (
      change { $0.linux?.namespaces?.append(Namespace(type: "net")) }, "/linux/namespaces/6/type",
      "unknown namespace type"
    ),
    (change { $0.process?.args = [] }, "/process/args", "args must not be empty"),
    (change { $0.process?.cwd = "tmp" }, "/process/cwd", "absolute"),
    (change { $0.annotations = [NamedValue("a", ""), NamedValue("", "b")] }, "/annotations/", "have a name"),
    (change { $0.process?.env = ["PATH"] }, "/process/env/0", "NAME=value"),
    (
      change { $0.process?.rlimits?.append(ResourceLimit(type: "RLIMIT_NOFILE", soft: 1, hard: 1)) },
      "/process/rlimits/1/type", "stands twice"
    ),
    (
      change { $0.process?.rlimits = [ResourceLimit(type: "RLIMIT_NOFILE", soft: 2, hard: 1)] },
      "/process/rlimits/0/soft", "above the hard limit"
    ),
    (
      change { $0.process?.rlimits = [ResourceLimit(type: "NOFILE", soft: 2, hard: 2)] },
      "/process/rlimits/0/type", "unknown resource limit"
    ),
    (change { $0.linux?.namespaces = namespaces("mount") }, "/hostname", "needs a uts namespace"),
    (change { $0.linux?.namespaces = namespaces("uts") }, "/mounts", "needs a mount namespace"),
    (
      change { $0.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 0, size: 1)] },
      "/linux/uidMappings", "user namespace"
    ),
    (
      change { $0.linux?.namespaces?.append(Namespace(type: "user")) }, "/linux/uidMappings",
      "needs uidMappings"
    ),
    (
      change { $0.linux?.timeOffsets = [NamedValue("monotonic", TimeOffset(secs: 7))] },
      "/linux/timeOffsets", "time namespace"
    ),
    (change { $0.linux?.maskedPaths = ["proc"] }, "/linux/maskedPaths/0", "absolute"),
    (change { $0.linux?.rootfsPropagation = "sharing" }, "/linux/rootfsPropagation", "unknown propagation"),
    (change { $0.mounts?[3].options?.append("size=1") }, "/mounts/3/options", "filesystem-specific"),
    (change { $0.mounts?[3].source = nil }, "/mounts/3/source", "needs a source"),
    (change { $0.mounts?[0].type = nil }, "/mounts/0/type", "needs a type"),
    (change { $0.mounts?[0].destination = "/a\u{0}b" }, "/mounts/0/destination", "NUL"),
    (change { $0.process?.args = ["a\u{0}b"] }, "/process/args/0", "NUL"),
    (
      change { $0.linux?.devices = [Device(type: "x", path: "/dev/x")] }, "/linux/devices/0/type",
      "unknown device type"
    ),
    (
      change { $0.linux?.devices = [Device(type: "c", path: "/dev/x")] }, "/linux/devices/0/major",
      "needs a number"
    ),
    (change { $0.linux?.devices = [Device(type: "p", path: "x")] }, "/linux/devices/0/path", "absolute"),
    (change { $0.process?.user.uid = 4_294_967_295 }, "/process/user/uid", "is no id"),
    (change { $0.process?.user.gid = 4_294_967_295 }, "/process/user/gid", "is no id"),
  ]

  @Test func mistakesAreNamedWithTheirPlace() {
    for (config, field, text) in PlannerTests.mistakes {
      let error = failure(config)
      #expect(error?.field == field, "\(error?.text ?? "no error")")
      #expect(error?.message.contains(text) == true, "\(error?.text ?? "no error")")
      #expect(error?.code == .configInvalid)
    }
  }

  @Test func labelsOfAModuleThatTheHostLacksAreRefused() {
    let table: [(Config, String)] = [
      (change { $0.process?.apparmorProfile = "x" }, "/process/apparmorProfile"),
      (change { $0.process?.selinuxLabel = "x" }, "/process/selinuxLabel"),
      (change { $0.linux?.mountLabel = "x" }, "/linux/mountLabel"),
    ]
    for (config, field) in table {
      let error = failure(config)
      #expect(error?.field == field, "\(error?.text ?? "no error")")
      #expect(error?.code == .configUnsupported)
    }
  }

  /// By a procfs that was opened before anything is mounted, when everything else is done: hooks of the host are not confined.
  @Test func labelsOfTheProcessAreSetLast() throws {
    for (profile, label) in [("p", ""), ("", "a:b:c"), ("p", "a:b:c")] {
      var config = sample()
      config.process?.apparmorProfile = profile
      config.process?.selinuxLabel = label
      config.hooks = Hooks(createContainer: [Hook(path: "/bin/true")])
      let made = try Planner.plan(
        PlanInput(
          config: config, bundle: "/b", keyring: "_ses.id",
          facts: HostFacts(effectiveUser: 0, hasSELinux: true, hasAppArmor: true)))
      #expect(made.agent?.labels == ProcessLabels(appArmorProfile: profile, selinuxLabel: label))
      #expect(made.steps[1] == .openProc && made.steps.last == .processLabels)
      let lines = made.lines.map { "\($0.action) \($0.detail)" }
      #expect(lines.contains("set AppArmor profile p") == !profile.isEmpty)
      #expect(lines.contains("set SELinux label a:b:c") == !label.isEmpty)
    }
  }

  @Test func theTerminalIsMadeBeforeAnythingBecomesReadOnly() throws {
    let made = try plan(
      change {
        $0.process?.terminal = true
        $0.process?.consoleSize = ConsoleSize(height: 24, width: 80)
        $0.mounts?[1].options?.append("ro")
      })
    #expect(made.hasTerminal)
    let console = try #require(
      made.steps.firstIndex(of: .console(ConsoleStep(rows: 24, columns: 80, isMounted: true))))
    #expect(try console > #require(made.steps.firstIndex(of: .deviceLinks)))
    #expect(try console < #require(made.steps.firstIndex(of: .readonlyMount("dev"))))
    #expect(try console < #require(made.steps.firstIndex(of: .readonlyRoot)))
  }

  @Test func theSizeOfNoTerminalIsIgnored() throws {
    let size = ConsoleSize(height: 1 << 40, width: 80)
    #expect(try !plan(change { $0.process?.consoleSize = size }).hasTerminal)
    let error = failure(
      change {
        $0.process?.terminal = true
        $0.process?.consoleSize = size
      })
    #expect(error?.field == "/process/consoleSize")
  }

  @Test func aNamespaceByPathIsJoinedAndNotMade() throws {
    let made = try plan(change { $0.linux?.namespaces?[1].path = "/run/netns/pod" })
    #expect(!made.namespaces.created.contains(.newNetwork))
    #expect(made.namespaces.joined == [JoinedNamespace(kind: .newNetwork, path: "/run/netns/pod", index: 1)])
    // The loopback interface is the other's business.
    #expect(!made.steps.contains(.interfaceUp("lo")))
    #expect(failure(change { $0.linux?.namespaces?[1].path = "netns" })?.field == "/linux/namespaces/1/path")
  }

  @Test func aUserNamespaceByPathIsJoinedWithTheMappingsToBeFound() throws {
    let mapping = [IDMapping(containerID: 0, hostID: 1000, size: 10)]
    func joining(_ uids: [IDMapping]?, _ gids: [IDMapping]?) throws -> NamespacePlan {
      try plan(
        change {
          $0.linux?.namespaces?.append(Namespace(type: "user", path: "/run/userns/pod"))
          $0.linux?.uidMappings = uids
          $0.linux?.gidMappings = gids
          $0.process?.user = User(uid: 77, gid: 0)
        }
      ).namespaces
    }
    let field = "/linux/namespaces/6/path"
    let joined = JoinedNamespace(kind: .newUser, path: "/run/userns/pod", index: 6, changedBy: field)
    let both = try joining(mapping, mapping)
    #expect(both.joined == [joined] && !both.created.contains(.newUser) && both.hasUserNamespace)
    #expect(both.uidMap == [IDRange(inside: 0, outside: 1000, count: 10)] && both.gidMap == both.uidMap)
    #expect(try joining(nil, nil).uidMap.isEmpty)
    // What Podman writes where it knows none; beside another mapping it is one.
    let placeholder = [IDMapping(containerID: 0, hostID: 0, size: 1)]
    #expect(try joining(placeholder, placeholder).uidMap.isEmpty)
    #expect(try joining(placeholder, mapping).uidMap == [IDRange(inside: 0, outside: 0, count: 1)])
  }

  @Test func emptyIsNotUsed() throws {
    var config = sample()
    config.hooks = Hooks(prestart: [])
    config.process?.apparmorProfile = ""
    config.process?.selinuxLabel = ""
    config.process?.terminal = false
    config.linux?.sysctl = []
    config.linux?.mountLabel = ""
    #expect(try !plan(config).steps.contains(.openProc))
  }

  @Test func anUnknownCapabilityIsAWarning() throws {
    let made = try plan(change { $0.process?.capabilities?.bounding = ["CAP_KILL", "CAP_NONE", "CAP_NONE"] })
    #expect(made.warnings == ["unknown capability `CAP_NONE` is ignored (at `/process/capabilities`)"])
    #expect(made.agent?.capabilities.bounding == 1 << 5)
  }

  @Test func withoutCapabilitiesEverySetIsEmpty() throws {
    #expect(try plan(change { $0.process?.capabilities = nil }).agent?.capabilities == CapabilityPlan())
  }

  @Test func anUnmappedUserIsRefused() {
    let config = change {
      $0.linux?.namespaces?.append(Namespace(type: "user"))
      $0.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
      $0.linux?.gidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
      $0.process?.user = User(uid: 1, gid: 0)
    }
    #expect(failure(config)?.field == "/process/user/uid")
  }

  @Test func homeIsLookedUpOnlyWhereItIsNotSet() throws {
    #expect(try plan(sample()).agent?.looksUpHome == true)
    #expect(try plan(change { $0.process?.env = ["HOME=/x"] }).agent?.looksUpHome == false)
  }

  @Test func umaskDefaultsToThatOfRunc() throws {
    #expect(try plan(sample()).agent?.umask == 0o022)
    #expect(try plan(change { $0.process?.user.umask = 0 }).agent?.umask == 0)
  }

  @Test func aBoundDevIsLeftAlone() throws {
    let made = try plan(
      change { $0.mounts?[1] = Mount(destination: "/dev", source: "/dev", options: ["bind"]) })
    #expect(!made.steps.contains(.deviceLinks))
  }

  @Test func defaultDevicesStayAllowedBehindADenyOfAll() throws {
    let made = try plan(
      change { $0.linux?.resources = Resources(devices: [DeviceRule(allow: false, access: "rwm")]) })
    #expect(made.cgroup.deviceRules.first?.allow == false)
    #expect(made.cgroup.deviceRules.contains { $0.allow && $0.type == "c" && $0.major == 1 && $0.minor == 3 })
  }

  @Test(arguments: [("SCMP_ACT_NOTIFY", true), ("SCMP_ACT_ERRNO", false)])
  func listenerOfTheFilterIsPrintedWhereItIsUsed(action: String, isUsed: Bool) throws {
    var input = RuleRow.base
    var linux = input.config.linux ?? LinuxConfig()
    linux.seccomp = SeccompProfile(
      defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/agent",
      syscalls: [SeccompRule(names: ["mkdir"], action: action)])
    input.config.linux = linux
    let lines = try Planner.plan(input).lines
    let place = try #require(lines.firstIndex { $0.action == "install seccomp filter" })
    let next = lines[place + 1]
    #expect((next.runner == "runtime" && next.action == "hand seccomp listener over") == isUsed)
    if isUsed { #expect(next.detail == "/run/agent") }
  }
}
