import ContainerPlan
import Diagnostics
import LinuxABI
import OCISpec
import Testing

/// A configuration that breaks one rule and no other.
struct RuleRow: Sendable, CustomTestStringConvertible {
  let rule: String
  /// The JSON pointer of the one finding.
  let pointer: String
  let change: @Sendable (inout PlanInput) -> Void

  var testDescription: String { "\(rule) at \(pointer)" }

  init(_ rule: String, _ pointer: String, _ change: @escaping @Sendable (inout PlanInput) -> Void) {
    self.rule = rule
    self.pointer = pointer
    self.change = change
  }

  var input: PlanInput {
    var input = RuleRow.base
    change(&input)
    return input
  }

  /// What keeps every rule and uses most properties.
  static let base: PlanInput = {
    var process = OCISpec.Process(args: ["/bin/true"], env: ["PATH=/bin"], cwd: "/")
    process.capabilities = Capabilities(bounding: ["CAP_KILL"])
    process.rlimits = [ResourceLimit(type: "RLIMIT_NOFILE", soft: 1, hard: 2)]
    var linux = LinuxConfig()
    linux.namespaces = ["pid", "network", "ipc", "uts", "mount", "user", "time"].map { Namespace(type: $0) }
    linux.uidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 10)]
    linux.gidMappings = linux.uidMappings
    linux.timeOffsets = [NamedValue("monotonic", TimeOffset(secs: 1))]
    linux.maskedPaths = ["/proc/kcore"]
    linux.readonlyPaths = ["/proc/sys"]
    linux.devices = [Device(type: "c", path: "/dev/fuse", major: 10, minor: 229)]
    linux.netDevices = [NamedValue("eth9", NetDevice())]
    linux.sysctl = [NamedValue("net.ipv4.ip_forward", "1")]
    linux.intelRdt = IntelRDT(closID: "gold", l3CacheSchema: "L3:0=f", memBwSchema: "MB:0=10")
    linux.memoryPolicy = MemoryPolicy(mode: "MPOL_BIND", nodes: "0")
    linux.personality = Personality(domain: "LINUX")
    linux.rootfsPropagation = "rprivate"
    var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
    config.process = process
    config.hostname = "box"
    config.domainname = "local"
    config.linux = linux
    config.annotations = [NamedValue("a", "")]
    config.hooks = Hooks(poststop: [Hook(path: "/bin/true", timeout: 1)])
    config.mounts = [
      Mount(destination: "/proc", type: "proc", source: "proc"),
      Mount(destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["size=1m"]),
      Mount(destination: "/data", type: "bind", source: "data", options: ["rbind", "ro"]),
    ]
    return PlanInput(config: config, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0))
  }()

  static let all = document + namespaces + linux + mounts + process + attributes + landlock
}

extension PlanInput {
  /// Shorter to write; the base has all of them.
  fileprivate var linux: LinuxConfig {
    get { config.linux ?? LinuxConfig() }
    set { config.linux = newValue }
  }

  fileprivate var process: OCISpec.Process {
    get { config.process ?? OCISpec.Process(cwd: "") }
    set { config.process = newValue }
  }

  fileprivate mutating func without(_ namespace: String) {
    linux.namespaces?.removeAll { $0.type == namespace }
  }

  fileprivate mutating func withoutUserNamespace() {
    without("user")
    linux.uidMappings = nil
    linux.gidMappings = nil
  }

  /// A process with these attributes of the scheduler.
  fileprivate mutating func schedule(_ policy: String, _ change: (inout Scheduler) -> Void = { _ in }) {
    var scheduler = Scheduler(policy: policy)
    change(&scheduler)
    process.scheduler = scheduler
  }

  /// A ruleset, on a host with all of Landlock.
  fileprivate mutating func landlock(_ text: String, abi: Int32 = 7) {
    config.annotations?.append(NamedValue(LandlockConfig.annotation, text))
    facts.landlock = .version(abi)
  }

  /// Nothing is left that needs a mount namespace.
  fileprivate mutating func shareMounts() {
    without("mount")
    config.mounts = nil
    linux.maskedPaths = nil
    linux.readonlyPaths = nil
    linux.devices = nil
    linux.rootfsPropagation = nil
  }
}

extension RuleRow {
  private static let document = [
    RuleRow("nul", "/process/env/1") { $0.process.env?.append("A=\u{0}") },
    RuleRow("nul", "/mounts/2/source") { $0.config.mounts?[2].source = "a\u{0}b" },
    RuleRow("nul", "/hooks/poststop/0/args/0") { $0.config.hooks?.poststop?[0].args = ["\u{0}"] },
    RuleRow("nul", "/linux/sysctl/net.ipv4.ip_forward") { $0.linux.sysctl?[0].value = "\u{0}" },
    RuleRow("nul", "/linux/intelRdt/schemata/0") { $0.linux.intelRdt?.schemata = ["\u{0}"] },
    RuleRow("nul", "/process/apparmorProfile") {
      $0.process.apparmorProfile = "p\u{0}"
      $0.facts.hasAppArmor = true
    },
    RuleRow("nul", "/process/selinuxLabel") {
      $0.process.selinuxLabel = "\u{0}"
      $0.facts.hasSELinux = true
    },
    RuleRow("nul", "/linux/mountLabel") {
      $0.linux.mountLabel = "\u{0}"
      $0.facts.hasSELinux = true
    },
    RuleRow("annotation-name", "/annotations/") { $0.config.annotations?.append(NamedValue("", "x")) },
    RuleRow("hook-path", "/hooks/poststop/0/path") { $0.config.hooks?.poststop?[0].path = "true" },
    RuleRow("hook-timeout", "/hooks/prestart/0/timeout") {
      $0.config.hooks?.prestart = [Hook(path: "/bin/true", timeout: 0)]
    },
  ]

  private static let namespaces = [
    RuleRow("namespace-type", "/linux/namespaces/7/type") { $0.linux.namespaces?.append(Namespace(type: "net")) },
    RuleRow("namespace-once", "/linux/namespaces/7") { $0.linux.namespaces?.append(Namespace(type: "pid")) },
    RuleRow("namespace-path", "/linux/namespaces/2/path") { $0.linux.namespaces?[2].path = "ipc" },
    RuleRow("id-mapping-namespace", "/linux/gidMappings") {
      $0.withoutUserNamespace()
      $0.linux.gidMappings = [IDMapping(containerID: 0, hostID: 1, size: 1)]
    },
    RuleRow("id-mapping", "/linux/uidMappings/0/size") { $0.linux.uidMappings?[0].size = 0 },
    RuleRow("user-namespace-mappings", "/linux/gidMappings") { $0.linux.gidMappings = [] },
    RuleRow("rootless-user-namespace", "/linux/namespaces") {
      $0.withoutUserNamespace()
      $0.facts.effectiveUser = 1000
    },
    RuleRow("time-offset-namespace", "/linux/timeOffsets") { $0.without("time") },
    RuleRow("time-offset-namespace", "/linux/timeOffsets") { $0.linux.namespaces?[6].path = "/run/time" },
    RuleRow("time-offset-clock", "/linux/timeOffsets/realtime") {
      $0.linux.timeOffsets?.append(NamedValue("realtime", TimeOffset(secs: 1)))
    },
    RuleRow("time-offset-nanoseconds", "/linux/timeOffsets/monotonic/nanosecs") {
      $0.linux.timeOffsets?[0].value.nanosecs = 1_000_000_000
    },
    RuleRow("hostname-namespace", "/hostname") {
      $0.without("uts")
      $0.config.domainname = nil
    },
    RuleRow("domainname-namespace", "/domainname") {
      $0.without("uts")
      $0.config.hostname = nil
    },
    RuleRow("mounts-namespace", "/mounts") {
      $0.shareMounts()
      $0.config.mounts = RuleRow.base.config.mounts
    },
    RuleRow("masked-paths-namespace", "/linux/maskedPaths") {
      $0.shareMounts()
      $0.linux.maskedPaths = ["/proc/kcore"]
    },
    RuleRow("readonly-paths-namespace", "/linux/readonlyPaths") {
      $0.shareMounts()
      $0.linux.readonlyPaths = ["/proc/sys"]
    },
    RuleRow("propagation-namespace", "/linux/rootfsPropagation") {
      $0.shareMounts()
      $0.linux.rootfsPropagation = "slave"
    },
    RuleRow("devices-namespace", "/linux/devices") {
      $0.shareMounts()
      $0.linux.devices = [Device(type: "p", path: "/dev/p")]
    },
    RuleRow("readonly-root-namespace", "/root/readonly") {
      $0.shareMounts()
      $0.config.root.readonly = true
    },
  ]

  private static let linux = [
    RuleRow("sysctl-name", "/linux/sysctl/net") { $0.linux.sysctl = [NamedValue("net", "1")] },
    RuleRow("sysctl-name", "/linux/sysctl/net.ipv4..a") { $0.linux.sysctl = [NamedValue("net.ipv4..a", "1")] },
    RuleRow("sysctl-once", "/linux/sysctl/net~1ipv4~1ip_forward") {
      $0.linux.sysctl?.append(NamedValue("net/ipv4/ip_forward", "1"))
    },
    RuleRow("sysctl-namespaced", "/linux/sysctl/kernel.panic") {
      $0.linux.sysctl?.append(NamedValue("kernel.panic", "1"))
    },
    RuleRow("sysctl-conflict", "/linux/sysctl/kernel.hostname") {
      $0.linux.sysctl?.append(NamedValue("kernel.hostname", "box"))
    },
    RuleRow("sysctl-conflict", "/linux/sysctl/kernel.domainname") {
      $0.linux.sysctl?.append(NamedValue("kernel.domainname", "other"))
    },
    RuleRow("sysctl-namespace", "/linux/sysctl/kernel.shmmax") {
      $0.without("ipc")
      $0.linux.sysctl = [NamedValue("kernel.shmmax", "1")]
    },
    RuleRow("sysctl-namespace", "/linux/sysctl/net.ipv4.ip_forward") {
      $0.without("network")
      $0.linux.netDevices = nil
    },
    RuleRow("net-device-name", "/linux/netDevices/eth 0") {
      $0.linux.netDevices = [NamedValue("eth 0", NetDevice(name: "e"))]
    },
    RuleRow("net-device-new-name", "/linux/netDevices/eth9/name") {
      $0.linux.netDevices?[0].value.name = "a-name-too-long-for-it"
    },
    RuleRow("net-device-once", "/linux/netDevices/eth8") {
      $0.linux.netDevices?.append(NamedValue("eth8", NetDevice(name: "eth9")))
    },
    RuleRow("net-device-namespace", "/linux/netDevices/eth9") {
      $0.without("network")
      $0.linux.sysctl = nil
    },
    RuleRow("device-path", "/linux/devices/0/path") { $0.linux.devices?[0].path = "fuse" },
    RuleRow("device-once", "/linux/devices/1/path") {
      $0.linux.devices?.append(Device(type: "p", path: "/dev/./fuse"))
    },
    RuleRow("device-type", "/linux/devices/0/type") { $0.linux.devices?[0].type = "x" },
    RuleRow("device-number", "/linux/devices/0/minor") { $0.linux.devices?[0].minor = 1 << 20 },
    RuleRow("rootfs-propagation", "/linux/rootfsPropagation") { $0.linux.rootfsPropagation = "sharing" },
    RuleRow("masked-path", "/linux/maskedPaths/1") { $0.linux.maskedPaths?.append("proc") },
    RuleRow("readonly-path", "/linux/readonlyPaths/1") { $0.linux.readonlyPaths?.append("proc") },
    RuleRow("rdt-l3-schema", "/linux/intelRdt/l3CacheSchema") { $0.linux.intelRdt?.l3CacheSchema = "L3:0=f\nL3:1=f" },
    RuleRow("rdt-memory-schema", "/linux/intelRdt/memBwSchema") { $0.linux.intelRdt?.memBwSchema = "0=10" },
    RuleRow("rdt-lines", "/linux/intelRdt/schemata/0") { $0.linux.intelRdt?.schemata = ["L3:0=f\nL3:1=f"] },
    RuleRow("rdt-class", "/linux/intelRdt/closID") { $0.linux.intelRdt?.closID = "../gold" },
  ]

  private static let mounts = [
    RuleRow("mount-label", "/linux/mountLabel") { $0.linux.mountLabel = "l" },
    RuleRow("mount-label-text", "/linux/mountLabel") {
      $0.linux.mountLabel = "a:b:c\",mode=777,x=\""
      $0.facts.hasSELinux = true
    },
    RuleRow("apparmor", "/process/apparmorProfile") { $0.process.apparmorProfile = "p" },
    RuleRow("selinux", "/process/selinuxLabel") { $0.process.selinuxLabel = "a:b:c" },
    RuleRow("mount-destination", "/mounts/1/destination") { $0.config.mounts?[1].destination = "" },
    RuleRow("mount-destination-absolute", "/mounts/1/destination") { $0.config.mounts?[1].destination = "tmp" },
    RuleRow("mount-type", "/mounts/0/type") { $0.config.mounts?[0].type = nil },
    RuleRow("mount-bind-source", "/mounts/2/source") { $0.config.mounts?[2].source = nil },
    RuleRow("mount-bind-data", "/mounts/2/options") { $0.config.mounts?[2].options?.append("size=1") },
    RuleRow("mount-copy-up", "/mounts/2/options") { $0.config.mounts?[2].options?.append("tmpcopyup") },
    RuleRow("mount-source-link", "/mounts/1/options") { $0.config.mounts?[1].options?.append("copy-symlink") },
    RuleRow("mount-idmap-sides", "/mounts/2/gidMappings") {
      $0.config.mounts?[2].uidMappings = [IDMapping(containerID: 0, hostID: 1, size: 1)]
    },
    RuleRow("mount-idmap-type", "/mounts/0/options") { $0.config.mounts?[0].options = ["idmap"] },
    RuleRow("mount-idmap-once", "/mounts/2/options") {
      $0.config.mounts?[2].options?.append("idmap=uids=0-1-1;gids=0-1-1")
      $0.config.mounts?[2].uidMappings = [IDMapping(containerID: 0, hostID: 1, size: 1)]
      $0.config.mounts?[2].gidMappings = [IDMapping(containerID: 0, hostID: 1, size: 1)]
    },
    RuleRow("mount-idmap-once", "/mounts/2/options/3") {
      $0.config.mounts?[2].options? += ["idmap=uids=0-1-1;gids=0-1-1", "idmap=uids=0-1-1;gids=0-1-1"]
    },
    RuleRow("mount-idmap-mappings", "/mounts/2/options") {
      $0.withoutUserNamespace()
      $0.config.mounts?[2].options?.append("ridmap")
    },
    RuleRow("mount-idmap-ranges", "/mounts/2/uidMappings/0/size") {
      $0.config.mounts?[2].uidMappings = [IDMapping(containerID: 0, hostID: 1, size: 0)]
      $0.config.mounts?[2].gidMappings = [IDMapping(containerID: 0, hostID: 1, size: 1)]
    },
    RuleRow("mount-idmap-ranges", "/mounts/2/options") { $0.config.mounts?[2].options?.append("idmap=uids=0-1-1") },
  ]

  private static let process = [
    RuleRow("process-args", "/process/args") { $0.process.args = [] },
    RuleRow("process-cwd", "/process/cwd") { $0.process.cwd = "tmp" },
    RuleRow("process-umask", "/process/user/umask") { $0.process.user.umask = 0o1000 },
    RuleRow("process-env", "/process/env/1") { $0.process.env?.append("=x") },
    RuleRow("console-size", "/process/consoleSize") {
      $0.process.terminal = true
      $0.process.consoleSize = ConsoleSize(height: 1 << 16, width: 1)
    },
    RuleRow("notify-socket", "") {
      $0.shareMounts()
      $0.notifyFolder = "/run/n"
    },
    RuleRow("capability-name", "/process/capabilities") { $0.process.capabilities?.ambient = ["CAP_NONE"] },
    RuleRow("rlimit-type", "/process/rlimits/0/type") { $0.process.rlimits?[0].type = "NOFILE" },
    RuleRow("rlimit-once", "/process/rlimits/1/type") {
      $0.process.rlimits?.append(ResourceLimit(type: "RLIMIT_NOFILE", soft: 1, hard: 1))
    },
    RuleRow("rlimit-order", "/process/rlimits/0/soft") { $0.process.rlimits?[0].soft = 3 },
    RuleRow("process-id", "/process/user/uid") { $0.process.user.uid = UInt32.max },
    RuleRow("process-id", "/process/user/gid") { $0.process.user.gid = UInt32.max },
    RuleRow("process-id", "/process/user/additionalGids/0") { $0.process.user.additionalGids = [UInt32.max] },
    RuleRow("process-id-mapped", "/process/user/uid") { $0.process.user.uid = 10 },
    RuleRow("process-id-mapped", "/process/user/additionalGids/1") { $0.process.user.additionalGids = [1, 77] },
  ]

  private static let attributes = [
    RuleRow("oom-score-adj", "/process/oomScoreAdj") { $0.process.oomScoreAdj = 1001 },
    RuleRow("scheduler-policy", "/process/scheduler/policy") { $0.schedule("SCHED_NONE") },
    RuleRow("scheduler-flag", "/process/scheduler/flags/0") { $0.schedule("SCHED_OTHER") { $0.flags = ["X"] } },
    RuleRow("scheduler-nice", "/process/scheduler/nice") { $0.schedule("SCHED_OTHER") { $0.nice = 20 } },
    RuleRow("scheduler-priority", "/process/scheduler/priority") { $0.schedule("SCHED_BATCH") { $0.priority = 1 } },
    RuleRow("scheduler-priority", "/process/scheduler/priority") { $0.schedule("SCHED_RR") },
    RuleRow("scheduler-deadline", "/process/scheduler/period") { $0.schedule("SCHED_OTHER") { $0.period = 1 } },
    RuleRow("scheduler-deadline", "/process/scheduler/deadline") {
      $0.schedule("SCHED_DEADLINE") { $0.runtime = 2000 }
    },
    RuleRow("io-priority-class", "/process/ioPriority/class") {
      $0.process.ioPriority = IOPriority(class: "RT", priority: 0)
    },
    RuleRow("io-priority-range", "/process/ioPriority/priority") {
      $0.process.ioPriority = IOPriority(class: "IOPRIO_CLASS_BE", priority: 8)
    },
    RuleRow("exec-cpu-affinity", "/process/execCPUAffinity/final") {
      $0.process.execCPUAffinity = ExecCPUAffinity(initial: "0", final: "3-1")
    },
    RuleRow("personality-domain", "/linux/personality/domain") { $0.linux.personality?.domain = "BSD" },
    RuleRow("personality-flags", "/linux/personality/flags/0") { $0.linux.personality?.flags = ["X"] },
    RuleRow("memory-policy-mode", "/linux/memoryPolicy/mode") { $0.linux.memoryPolicy?.mode = "MPOL_NONE" },
    RuleRow("memory-policy-list", "/linux/memoryPolicy/nodes") { $0.linux.memoryPolicy?.nodes = "a" },
    RuleRow("memory-policy-nodes", "/linux/memoryPolicy/nodes") { $0.linux.memoryPolicy?.nodes = "" },
    RuleRow("memory-policy-nodes", "/linux/memoryPolicy/nodes") { $0.linux.memoryPolicy?.mode = "MPOL_LOCAL" },
    RuleRow("memory-policy-flags", "/linux/memoryPolicy/flags/0") { $0.linux.memoryPolicy?.flags = ["X"] },
  ]

  private static let landlock = [
    RuleRow("landlock-document", "/annotations/org.apus.landlock#") { $0.landlock("landlock") },
    RuleRow("landlock-document", "/annotations/org.apus.landlock#/rule") { $0.landlock(#"{"rule":{}}"#) },
    RuleRow("landlock-document", "/annotations/org.apus.landlock#/ruleset/scope") {
      $0.landlock(#"{"ruleset":{"scope":["signal"]}}"#)
    },
    RuleRow("landlock-document", "/annotations/org.apus.landlock#/rules/pathBeneath/0/path") {
      $0.landlock(#"{"rules":{"pathBeneath":[{"path":"/"}]}}"#)
    },
    RuleRow("landlock-document", "/annotations/org.apus.landlock#/rules/netPort/1/ports/0") {
      $0.landlock(#"{"rules":{"netPort":[{},{"ports":[65536]}]}}"#)
    },
    RuleRow("landlock-document", "/annotations/org.apus.landlock#/disableBestEffort") {
      $0.landlock(#"{"disableBestEffort":1}"#)
    },
    RuleRow("landlock-name", "/annotations/org.apus.landlock#/ruleset/handledAccessFS/1") {
      $0.landlock(#"{"ruleset":{"handledAccessFS":["refer","LANDLOCK_ACCESS_FS_EXECUTE"]}}"#)
    },
    RuleRow("landlock-name", "/annotations/org.apus.landlock#/ruleset/scoped/0") {
      $0.landlock(#"{"ruleset":{"handledAccessNet":["bind_tcp"],"scoped":["read"]}}"#)
    },
    RuleRow("landlock-name", "/annotations/org.apus.landlock#/flags/0") {
      $0.landlock(#"{"ruleset":{"scoped":["signal"]},"flags":["all"]}"#)
    },
    // Allowed, and not handled.
    RuleRow("landlock-name", "/annotations/org.apus.landlock#/rules/pathBeneath/0/allowedAccess/1") {
      $0.landlock(
        #"{"ruleset":{"handledAccessFS":["read"]},"rules":{"pathBeneath":[{"allowedAccess":["read_file","execute"],"#
          + #""paths":["/"]}]}}"#)
    },
    RuleRow("landlock-name", "/annotations/org.apus.landlock#/rules/pathBeneath/0/allowedAccess") {
      $0.landlock(
        #"{"ruleset":{"handledAccessFS":["execute"]},"rules":{"pathBeneath":[{"allowedAccess":["read"],"paths":["/"]}]}}"#
      )
    },
    RuleRow("landlock-name", "/annotations/org.apus.landlock#/rules/netPort/0/allowedAccess") {
      $0.landlock(#"{"ruleset":{"handledAccessNet":["all"]},"rules":{"netPort":[{"ports":[1]}]}}"#)
    },
    RuleRow("landlock-restriction", "/annotations/org.apus.landlock#/ruleset") { $0.landlock("{}") },
    RuleRow("landlock-object", "/annotations/org.apus.landlock#/rules/pathBeneath/0/paths") {
      $0.landlock(
        #"{"ruleset":{"handledAccessFS":["all"]},"rules":{"pathBeneath":[{"allowedAccess":["read"]}]}}"#)
    },
    RuleRow("landlock-object", "/annotations/org.apus.landlock#/rules/pathBeneath/0/paths/1") {
      $0.landlock(
        #"{"ruleset":{"handledAccessFS":["all"]},"rules":{"pathBeneath":[{"allowedAccess":["read"],"#
          + #""paths":["/a","b"]}]}}"#)
    },
    RuleRow("landlock-document", "/annotations/org.apus.landlock#/rules/pathBeneath/0/paths/0") {
      $0.landlock(
        #"{"ruleset":{"handledAccessFS":["all"]},"rules":{"pathBeneath":[{"allowedAccess":["read"],"#
          + #""paths":["/a\u0000b"]}]}}"#)
    },
    RuleRow("landlock-object", "/annotations/org.apus.landlock#/rules/netPort/0/ports") {
      $0.landlock(
        #"{"ruleset":{"handledAccessNet":["all"]},"rules":{"netPort":[{"allowedAccess":["bind_tcp"]}]}}"#)
    },
    RuleRow("landlock-kernel", "/annotations/org.apus.landlock#") {
      $0.landlock(#"{"ruleset":{"handledAccessFS":["all"]}}"#)
      $0.facts.landlock = .missing(.notImplemented)
    },
    RuleRow("landlock-kernel", "/annotations/org.apus.landlock#/ruleset/scoped") {
      $0.landlock(#"{"ruleset":{"handledAccessFS":["read"],"scoped":["signal"]},"disableBestEffort":true}"#, abi: 5)
    },
    RuleRow("landlock-best-effort", "/annotations/org.apus.landlock#/ruleset/handledAccessNet") {
      $0.landlock(#"{"ruleset":{"handledAccessFS":["read"],"handledAccessNet":["bind_tcp"]}}"#, abi: 3)
    },
    RuleRow("landlock-best-effort", "/annotations/org.apus.landlock#/flags") {
      $0.landlock(#"{"ruleset":{"scoped":["all"]},"flags":["log_new_exec_on"]}"#, abi: 6)
    },
  ]
}
