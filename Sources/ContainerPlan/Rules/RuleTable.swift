// The rules in the order in which they are followed: those of one subject before it is planned.
extension Rule {
  /// Every rule that the configuration alone, with ``HostFacts``, is held against.
  public static var all: [Rule] {
    ofDocument + ofNamespaces + ofNamespaceUse + ofSysctls + ofNetDevices + ofMounts + [mountMappings] + ofDevices
      + ofHooks + ofRoot + ofProcess + ofAttributes + ofIntelRdt + ofLandlock
  }

  static let ofDocument: [Rule] = [
    Rule("nul", "/*", "execve(2)", DocumentRules.nul),
    Rule("annotation-name", "/annotations/*", "config.md, Annotations", DocumentRules.annotationNames),
  ]

  static let ofNamespaces: [Rule] = [
    Rule("namespace-type", "/linux/namespaces/*/type", "config-linux.md, Namespaces", NamespaceRules.types),
    Rule("namespace-once", "/linux/namespaces/*", "config-linux.md, Namespaces", NamespaceRules.once),
    Rule("namespace-path", "/linux/namespaces/*/path", "config-linux.md, Namespaces", NamespaceRules.paths),
    Rule(
      "id-mapping-namespace", "/linux/uidMappings", "config-linux.md, User namespace mappings",
      NamespaceRules.mappingsNeedNamespace),
    Rule("id-mapping", "/linux/uidMappings/*", "user_namespaces(7)", NamespaceRules.mappings),
    Rule(
      "user-namespace-mappings", "/linux/uidMappings", "user_namespaces(7)", NamespaceRules.namespaceNeedsMappings),
    Rule(
      "time-offset-namespace", "/linux/timeOffsets", "config-linux.md, Offset for Time Namespace",
      NamespaceRules.offsetsNeedNamespace),
    Rule(
      "time-offset-clock", "/linux/timeOffsets/*", "config-linux.md, Offset for Time Namespace",
      NamespaceRules.clocks),
    Rule("time-offset-nanoseconds", "/linux/timeOffsets/*/nanosecs", "time_namespaces(7)", NamespaceRules.nanoseconds),
  ]

  static let ofNamespaceUse: [Rule] = [
    Rule(
      "rootless-user-namespace", "/linux/namespaces", "user_namespaces(7)", .host, NamespaceRules.withoutRoot),
    Rule("hostname-namespace", "/hostname", "config.md, Hostname", NamespaceRules.hostname),
    Rule("domainname-namespace", "/domainname", "config.md, Domainname", NamespaceRules.domainname),
    Rule("mounts-namespace", "/mounts", "mount_namespaces(7)", NamespaceRules.mounts),
    Rule("masked-paths-namespace", "/linux/maskedPaths", "mount_namespaces(7)", NamespaceRules.maskedPaths),
    Rule("readonly-paths-namespace", "/linux/readonlyPaths", "mount_namespaces(7)", NamespaceRules.readonlyPaths),
    Rule(
      "propagation-namespace", "/linux/rootfsPropagation", "mount_namespaces(7)", NamespaceRules.rootfsPropagation),
    Rule("devices-namespace", "/linux/devices", "mount_namespaces(7)", NamespaceRules.devices),
    Rule("readonly-root-namespace", "/root/readonly", "mount_namespaces(7)", NamespaceRules.readonlyRoot),
  ]

  static let ofSysctls: [Rule] = [
    Rule("sysctl-name", "/linux/sysctl/*", "sysctl.d(5)", SysctlRules.names),
    Rule("sysctl-once", "/linux/sysctl/*", "sysctl.d(5)", SysctlRules.once),
    Rule("sysctl-namespaced", "/linux/sysctl/*", "config-linux.md, Sysctl", SysctlRules.namespaced),
    Rule("sysctl-conflict", "/linux/sysctl/*", "config.md, Hostname", SysctlRules.conflicts),
    Rule("sysctl-namespace", "/linux/sysctl/*", "config-linux.md, Sysctl", SysctlRules.ownNamespace),
  ]

  static let ofNetDevices: [Rule] = [
    Rule("net-device-name", "/linux/netDevices/*", "config-linux.md, Network Devices", NetDeviceRules.names),
    Rule(
      "net-device-new-name", "/linux/netDevices/*/name", "config-linux.md, Network Devices", NetDeviceRules.newNames),
    Rule("net-device-once", "/linux/netDevices/*", "config-linux.md, Network Devices", NetDeviceRules.once),
    Rule(
      "net-device-namespace", "/linux/netDevices/*", "config-linux.md, Network Devices", NetDeviceRules.ownNamespace),
  ]

  static let ofMounts: [Rule] = [
    Rule("mount-label", "/linux/mountLabel", "config-linux.md, Mount Label", .host, LabelRules.mountLabel),
    Rule("mount-label-text", "/linux/mountLabel", "config-linux.md, Mount Label", LabelRules.mountLabelText),
    Rule("mount-destination", "/mounts/*/destination", "config.md, Mounts", MountRules.destinations),
    Rule(
      "mount-destination-absolute", "/mounts/*/destination", "config.md, Mounts", .warning,
      MountRules.relativeDestinations),
    Rule("mount-type", "/mounts/*/type", "config.md, POSIX-platform Mounts", MountRules.types),
    Rule("mount-bind-source", "/mounts/*/source", "config.md, Mounts", MountRules.bindSources),
    Rule("mount-bind-data", "/mounts/*/options", "config.md, Linux mount options", MountRules.bindData),
    Rule("mount-copy-up", "/mounts/*/options", "config.md, Linux mount options", MountRules.copyUp),
    Rule("mount-source-link", "/mounts/*/options", "config.md, Linux mount options", MountRules.sourceLinks),
    Rule("mount-idmap-sides", "/mounts/*/uidMappings", "config.md, POSIX-platform Mounts", MountRules.idMapSides),
    Rule("mount-idmap-type", "/mounts/*/options", "mount_setattr(2)", MountRules.idMapTypes),
    Rule("mount-idmap-once", "/mounts/*/options", "config.md, Linux mount options", MountRules.idMapOnce),
    Rule("mount-idmap-mappings", "/mounts/*/options", "config.md, Linux mount options", MountRules.idMapMappings),
  ]

  /// Followed where each mount is planned.
  static let mountMappings = Rule("mount-idmap-ranges", "/mounts/*/uidMappings/*", "user_namespaces(7)", nil)

  static let ofDevices: [Rule] = [
    Rule("device-path", "/linux/devices/*/path", "config-linux.md, Devices", DeviceRules.paths),
    Rule("device-once", "/linux/devices/*/path", "config-linux.md, Devices", DeviceRules.once),
    Rule("device-type", "/linux/devices/*/type", "config-linux.md, Devices", DeviceRules.types),
    Rule("device-number", "/linux/devices/*/major", "mknod(2)", DeviceRules.numbers),
  ]

  static let ofHooks: [Rule] = [
    Rule("hook-path", "/hooks/*/*/path", "config.md, POSIX-platform Hooks", HookRules.paths),
    Rule("hook-timeout", "/hooks/*/*/timeout", "config.md, POSIX-platform Hooks", HookRules.timeouts),
  ]

  static let ofRoot: [Rule] = [
    Rule(
      "rootfs-propagation", "/linux/rootfsPropagation", "config-linux.md, Rootfs Mount Propagation",
      RootRules.propagation),
    Rule("readonly-path", "/linux/readonlyPaths/*", "config-linux.md, Readonly Paths", RootRules.readonlyPaths),
    Rule("masked-path", "/linux/maskedPaths/*", "config-linux.md, Masked Paths", RootRules.maskedPaths),
  ]

  static let ofProcess: [Rule] = [
    Rule("process-args", "/process/args", "config.md, Process", ProcessRules.arguments),
    Rule("process-cwd", "/process/cwd", "config.md, Process", ProcessRules.workingDirectory),
    Rule("process-umask", "/process/user/umask", "umask(2)", ProcessRules.umask),
    Rule("process-env", "/process/env/*", "environ(7)", ProcessRules.environment),
    Rule("console-size", "/process/consoleSize", "config.md, Process", ProcessRules.consoleSize),
    Rule("notify-socket", "", "sd_notify(3)", .warning, ProcessRules.notify),
    Rule(
      "apparmor", "/process/apparmorProfile", "config.md, Linux Process", .host, LabelRules.appArmorProfile),
    Rule("selinux", "/process/selinuxLabel", "config.md, Linux Process", .host, LabelRules.selinuxLabel),
    Rule("capability-name", "/process/capabilities", "config.md, Linux Process", .warning, ProcessRules.capabilities),
    Rule("rlimit-type", "/process/rlimits/*/type", "config.md, POSIX process", ProcessRules.limitTypes),
    Rule("rlimit-once", "/process/rlimits/*/type", "config.md, POSIX process", ProcessRules.limitsOnce),
    Rule("rlimit-order", "/process/rlimits/*/soft", "setrlimit(2)", ProcessRules.limitOrder),
    Rule("process-id", "/process/user/uid", "setresuid(2)", ProcessRules.ids),
    Rule("process-id-mapped", "/process/user/uid", "user_namespaces(7)", ProcessRules.mappedIDs),
  ]

  static let ofAttributes: [Rule] = [
    Rule("oom-score-adj", "/process/oomScoreAdj", "proc(5)", SchedulingRules.oomScoreAdjustment),
    Rule("scheduler-policy", "/process/scheduler/policy", "config.md, Linux Process", SchedulingRules.policy),
    Rule("scheduler-flag", "/process/scheduler/flags/*", "config.md, Linux Process", SchedulingRules.flags),
    Rule("scheduler-nice", "/process/scheduler/nice", "sched_setattr(2)", SchedulingRules.nice),
    Rule("scheduler-priority", "/process/scheduler/priority", "sched_setattr(2)", SchedulingRules.priority),
    Rule("scheduler-deadline", "/process/scheduler/runtime", "sched_setattr(2)", SchedulingRules.deadline),
    Rule("io-priority-class", "/process/ioPriority/class", "config.md, Linux Process", SchedulingRules.ioClass),
    Rule("io-priority-range", "/process/ioPriority/priority", "ioprio_set(2)", SchedulingRules.ioPriority),
    Rule("exec-cpu-affinity", "/process/execCPUAffinity/*", "config.md, Linux Process", SchedulingRules.execAffinity),
    Rule("personality-domain", "/linux/personality/domain", "config-linux.md, Personality", SchedulingRules.domain),
    Rule(
      "personality-flags", "/linux/personality/flags/*", "config-linux.md, Personality", SchedulingRules.domainFlags),
    Rule("memory-policy-mode", "/linux/memoryPolicy/mode", "config-linux.md, Memory policy", MemoryPolicyRules.mode),
    Rule(
      "memory-policy-list", "/linux/memoryPolicy/nodes", "config-linux.md, Memory policy", MemoryPolicyRules.nodeList),
    Rule("memory-policy-nodes", "/linux/memoryPolicy/nodes", "set_mempolicy(2)", MemoryPolicyRules.nodeCount),
    Rule("memory-policy-flags", "/linux/memoryPolicy/flags/*", "set_mempolicy(2)", MemoryPolicyRules.flags),
  ]

  static let ofIntelRdt: [Rule] = [
    Rule(
      "rdt-l3-schema", "/linux/intelRdt/l3CacheSchema", "config-linux.md, IntelRdt", .warning, IntelRdtRules.l3Schema),
    Rule("rdt-memory-schema", "/linux/intelRdt/memBwSchema", "config-linux.md, IntelRdt", IntelRdtRules.memorySchema),
    Rule("rdt-lines", "/linux/intelRdt/schemata/*", "config-linux.md, IntelRdt", IntelRdtRules.lines),
    Rule("rdt-class", "/linux/intelRdt/closID", "config-linux.md, IntelRdt", IntelRdtRules.className),
  ]

  static let ofLandlock: [Rule] = [
    Rule("landlock-document", "/annotations/*", "landlock(7)", LandlockRules.document),
    Rule("landlock-name", "/annotations/*", "landlock(7)", LandlockRules.names),
    Rule("landlock-restriction", "/annotations/*", "landlock_create_ruleset(2)", LandlockRules.restriction),
    Rule("landlock-object", "/annotations/*", "landlock_add_rule(2)", LandlockRules.objects),
    Rule("landlock-kernel", "/annotations/*", "landlock(7)", .host, LandlockRules.kernel),
    Rule("landlock-best-effort", "/annotations/*", "landlock(7)", .warning, LandlockRules.bestEffort),
  ]
}
