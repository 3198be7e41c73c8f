import Testing

/// One list of the features document, and how its words are used in a configuration.
struct FeatureList: Sendable, CustomTestStringConvertible {
  /// Its place in the features document.
  let list: String
  /// Where the configuration has the word, which an error names.
  let place: String
  /// The line of the plan that has to hold the word; nil where the plan does not show it.
  let line: String?
  /// Words that are wrong, and all that are right: those that are announced are passed over, and the rest is refused.
  let others: [String]
  let edits: @Sendable (String) -> [(String, JSONValue)]

  var testDescription: String { list }

  static let all: [FeatureList] = [
    FeatureList(
      list: "/mountOptions", place: "/mounts/7/options", line: nil,
      others: [
        "size=64k", "mode=755", "nosuchoption", "RO", "ro ", "bind=1", "rdefaults", "rremount", "rlazytime", "rsilent",
        "rtmpcopyup", "rbind ", "idmapped", "errors=remount-ro",
      ],
      edits: { mount($0) }),
    FeatureList(
      list: "/linux/namespaces", place: "/linux/namespaces/1/type", line: "make namespaces",
      others: [
        "", "net", "mnt", "PID", "pid_for_children", "syslog", "cgroup", "ipc", "mount", "network", "pid", "time",
        "user",
        "uts",
      ],
      edits: { namespaces(["mount", $0]) }),
    FeatureList(
      list: "/linux/seccomp/actions", place: "/linux/seccomp/syscalls/0/action", line: nil,
      others: ["", "ERRNO", "SCMP_ACT_PANIC", "scmp_act_errno"]
        + ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP"].map {
          "SCMP_ACT_\($0)"
        },
      edits: { [("/linux/seccomp", seccomp(action: $0))] }),
    FeatureList(
      list: "/linux/seccomp/operators", place: "/linux/seccomp/syscalls/0/args/0/op", line: nil,
      others: ["", "==", "SCMP_CMP_BETWEEN", "SCMP_CMP_EQUAL"]
        + ["EQ", "GE", "GT", "LE", "LT", "MASKED_EQ", "NE"].map { "SCMP_CMP_\($0)" },
      edits: { [("/linux/seccomp", seccomp(args: [["index": 0, "value": 1, "op": .string($0)]]))] }),
    FeatureList(
      list: "/linux/seccomp/archs", place: "/linux/seccomp/architectures/0", line: nil,
      others: ["", "amd64", "SCMP_ARCH_Z80", "SCMP_ARCH_NATIVE"]
        + [
          "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
          "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64",
          "M68K", "SH", "SHEB",
        ].map { "SCMP_ARCH_\($0)" },
      edits: { [("/linux/seccomp", seccomp()), ("/linux/seccomp/architectures", JSONValue([$0]))] }),
    FeatureList(
      list: "/linux/seccomp/knownFlags", place: "/linux/seccomp/flags/0", line: nil,
      others: ["", "LOG"]
        + ["NEW_LISTENER", "TSYNC_ESRCH", "TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"].map {
          "SECCOMP_FILTER_FLAG_\($0)"
        },
      edits: { [("/linux/seccomp", seccomp()), ("/linux/seccomp/flags", JSONValue([$0]))] }),
    FeatureList(
      list: "/linux/memoryPolicy/modes", place: "/linux/memoryPolicy/mode", line: "set memory policy",
      others: ["", "BIND", "MPOL_NEAREST", "mpol_bind"]
        + ["DEFAULT", "PREFERRED", "BIND", "INTERLEAVE", "LOCAL", "PREFERRED_MANY", "WEIGHTED_INTERLEAVE"].map {
          "MPOL_\($0)"
        },
      edits: { mode in
        let takesNodes = !["MPOL_DEFAULT", "MPOL_LOCAL"].contains(mode)
        return [("/linux/memoryPolicy", ["mode": .string(mode), "nodes": takesNodes ? "0" : ""])]
      }),
    FeatureList(
      list: "/linux/memoryPolicy/flags", place: "/linux/memoryPolicy/flags/0", line: "set memory policy",
      others: ["", "MPOL_F_NUMA", "STATIC_NODES", "MPOL_F_MEMS_ALLOWED"]
        + ["NUMA_BALANCING", "RELATIVE_NODES", "STATIC_NODES"].map { "MPOL_F_\($0)" },
      edits: { [("/linux/memoryPolicy", ["mode": "MPOL_BIND", "nodes": "0", "flags": JSONValue([$0])])] }),
  ]

  static let mappings: JSONValue = [["containerID": 0, "hostID": 100_000, "size": 65_536]]

  /// A bind mount shows at once what is not known: the file system has nobody to give it to.
  static func mount(_ option: String) -> [(String, JSONValue)] {
    var mount: JSONValue = ["destination": "/mount", "type": "bind", "source": "/tmp", "options": JSONValue([option])]
    if option == "tmpcopyup" { mount["type"] = "tmpfs" }
    if option.hasSuffix("idmap") {
      mount["uidMappings"] = mappings
      mount["gidMappings"] = mappings
    }
    return [("/mounts/7", mount)]
  }

  static func namespaces(_ types: [String]) -> [(String, JSONValue)] {
    var list: [JSONValue] = []
    for type in types where !list.contains(["type": .string(type)]) { list.append(["type": .string(type)]) }
    var edits: [(String, JSONValue)] = [("/linux/namespaces", .array(list))]
    if !types.contains("uts") { edits.append(("/hostname", nil)) }
    if types.contains("user") { edits += [("/linux/uidMappings", mappings), ("/linux/gidMappings", mappings)] }
    return edits
  }

  /// A rule for a system call that no program here makes.
  static func seccomp(action: String = "SCMP_ACT_TRAP", args: JSONValue = []) -> JSONValue {
    var profile: JSONValue = [
      "defaultAction": action == "SCMP_ACT_ALLOW" ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW",
      "syscalls": [["names": ["swapon"], "action": .string(action), "args": args]],
    ]
    if action == "SCMP_ACT_NOTIFY" { profile["listenerPath"] = "/run/listener" }
    return profile
  }
}

/// One thing that the features document says is there or not, and a configuration that asks for it.
struct FeatureSwitch: Sendable, CustomTestStringConvertible {
  /// Its place in the features document.
  let name: String
  /// The property; what an error names.
  let place: String
  let value: JSONValue
  /// What the plan shows where it is there.
  let line: String
  /// What is there only where the host has this; else the plan is refused for want of it.
  let hostFile: String

  init(_ name: String, _ place: String, _ value: JSONValue, shows line: String, where hostFile: String = "/") {
    self.name = name
    self.place = place
    self.value = value
    self.line = line
    self.hostFile = hostFile
  }

  var testDescription: String { name }

  static let all: [FeatureSwitch] = [
    FeatureSwitch(
      "/linux/seccomp/enabled", "/linux/seccomp", FeatureList.seccomp(), shows: "install seccomp filter"),
    FeatureSwitch(
      "/linux/apparmor/enabled", "/process/apparmorProfile", "profile", shows: "AppArmor",
      where: "/sys/kernel/security/apparmor"),
    FeatureSwitch(
      "/linux/selinux/enabled", "/process/selinuxLabel", "a:b:c:s0", shows: "SELinux",
      where: "/sys/fs/selinux/enforce"),
    FeatureSwitch(
      "/linux/intelRdt/enabled", "/linux/intelRdt", ["closID": "class"], shows: "use class of service"),
    FeatureSwitch("/linux/intelRdt/schemata", "/linux/intelRdt", ["schemata": ["L3:0=f"]], shows: "L3:0=f"),
    FeatureSwitch(
      "/linux/intelRdt/monitoring", "/linux/intelRdt", ["enableMonitoring": true], shows: "make monitoring group"),
    FeatureSwitch(
      "/linux/mountExtensions/idmap/enabled", "/mounts/7",
      [
        "destination": "/mount", "type": "bind", "source": "/tmp", "uidMappings": FeatureList.mappings,
        "gidMappings": FeatureList.mappings,
      ], shows: " idmap "),
    FeatureSwitch("/linux/netDevices/enabled", "/linux/netDevices", ["eth7": [:]], shows: "move network device"),
  ]

  /// Those that no property asks for, or that a host need not have.
  static let cgroup = ["v1", "v2", "systemd", "systemdUser", "rdma"].map { "/linux/cgroup/\($0)" }
}
