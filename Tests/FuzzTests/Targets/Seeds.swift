import Diagnostics
import JSON
import Linux
import LinuxABI
import OCISpec

@testable import Cgroups
@testable import ContainerPlan
@testable import ContainerRuntime
@testable import DBusSupport
@testable import InitChannel

/// One input to start from.
struct Seed {
  var target: String
  var bytes: [UInt8]
}

/// What the program itself makes of configurations and messages: a form that changes needs no new files.
enum Seeds {
  /// The documents within a configuration, and what is written of its plan.
  static func derived(from document: [UInt8]) -> [Seed] {
    guard case .success(var config) = outcome({ () throws(RuntimeError) in try Config.decode(document, file: "f") })
    else {
      return []
    }
    var seeds: [Seed] = []
    func add(_ target: String, _ bytes: [UInt8]) { seeds.append(Seed(target: target, bytes: bytes)) }
    if let process = config.process { add("process", process.encoded(.compact)) }
    if let resources = config.linux?.resources { add("resources", resources.encoded(.compact)) }
    if var profile = config.linux?.seccomp {
      add("seccomp", profile.encoded(.compact))
      // Small ones are changed to more effect. Those with arguments are at the end of a profile.
      let rules = profile.syscalls ?? []
      for rule in rules.suffix(6) {
        profile.syscalls = [rule]
        profile.syscalls?[0].names = Array(rule.names.prefix(3))
        add("seccomp", profile.encoded(.compact))
      }
      config.linux?.seccomp = profile
    }
    add("config", config.document(.compact))
    add("json", config.document(.compact))
    // What is not done yet is refused before anything is planned.
    config.process?.apparmorProfile = nil
    config.process?.selinuxLabel = nil
    let input = PlanInput(config: config, bundle: "/b", keyring: "_ses.id", facts: HostFacts(effectiveUser: 0))
    if case .success(let plan) = outcome({ () throws(RuntimeError) in try Planner.plan(input) }) {
      seeds += derived(from: plan, config)
    }
    for text in rulesets {
      config.linux = nil
      config.process = nil
      config.mounts = nil
      config.hooks = nil
      config.annotations = [NamedValue(LandlockConfig.annotation, text)]
      add("config", config.document(.compact))
    }
    return seeds
  }

  /// Documents of Landlock, right and wrong.
  private static let rulesets = [
    #"""
    {"ruleset":{"handledAccessFS":["all"],"handledAccessNet":["bind_tcp","connect_tcp"],"scoped":["all"]},
    "rules":{"pathBeneath":[{"allowedAccess":["execute","read"],"paths":["/usr","/bin"],"followLinks":true},
    {"allowedAccess":["write","ioctl_dev"],"paths":["/dev"],"ifExists":true}],
    "netPort":[{"allowedAccess":["all"],"ports":[0,65535]}]},"flags":["log_new_exec_on"]}
    """#,
    #"""
    {"ruleset":{"handledAccessFS":["read_file","refer"]},
    "rules":{"pathBeneath":[{"allowedAccess":["truncate"],"paths":["w"]}]},"disableBestEffort":true}
    """#,
    #"""
    {"ruleset":{"scoped":["signal","fly"]},"flags":["log_same_exec_off"],
    "rules":{"netPort":[{"allowedAccess":[],"ports":[]}]}}
    """#,
    #"{"rules":{"pathBeneath":[{"allowedAccess":["fly"],"paths":[]}]},"else":1}"#, "{",
  ]

  private static var landlock: LandlockPlan {
    LandlockPlan(
      files: 0xFFFF, network: 3, scopes: 3, flags: 2,
      paths: [
        LandlockPath(
          path: "/bin", access: 5, ifExists: true, followLinks: true, rule: 0, index: 1,
          place: LandlockPlace(device: 1, inode: 2, path: "/usr/bin")),
        LandlockPath(path: "/usr", access: 5, ifExists: false, rule: 0, index: 0),
      ], ports: [LandlockPort(port: 443, access: 2)])
  }

  private static func derived(from plan: ContainerPlan, _ config: Config) -> [Seed] {
    let payload = InitPayload(
      namespaces: plan.namespaces, steps: plan.steps, agent: plan.agent, filter: [6, 0, 0, 0, 0, 0, 0xFF, 0x7F],
      filterFlags: 2, landlock: landlock,
      cgroupMounts: [CgroupMountSource(name: "cpu", path: "/sys/fs/cgroup/cpu", isLink: true)],
      taskFiles: 1, hasCgroupDirectory: true,
      hooks: InitHooks(
        startContainer: plan.hooks.startContainer, creatingState: [1], createdState: [2], environment: ["A=1"]),
      exec: ExecJoin(kinds: .newPID, pid: 2, finalCPUs: [0, 1]))
    let template = ExecTemplate(
      namespaces: plan.namespaces, agent: plan.agent, filter: payload.filter, filterFlags: 2, landlock: landlock,
      keyring: "_ses.id")
    var cgroup = CgroupRecord(
      directories: [.v1, .v2].map {
        CgroupRecord.Directory(
          version: $0, controllers: $0 == .v1 ? ["memory"] : [], path: "/sys/fs/cgroup/x", mountName: "memory",
          made: ["/sys/fs/cgroup/x"])
      }, unit: SystemdUnit(bus: .system, name: "apus-x.scope"))
    cgroup.countsBefore = LimitCounts(oomKills: 1, memoryLimitHits: 2, pidsLimitHits: 3)
    var record = ContainerRecord(
      id: "x", ociVersion: plan.ociVersion, bundle: "/b", rootfs: plan.rootPath,
      created: TimeValue(seconds: 1_700_000_000, nanoseconds: 5), owner: "root", annotations: plan.annotations, pid: 7,
      startTime: 8, processInode: 9, hasPidNamespace: true, cgroup: cgroup, poststart: plan.hooks.poststart,
      poststop: plan.hooks.poststop, execCPUAffinity: plan.execCPUAffinity ?? ExecCPUAffinity())
    record.resctrl = ["/sys/fs/resctrl/x"]
    record.landlock = LandlockState(abi: 2, leftOut: ["truncate"])
    if case .success(let permissions) = outcome({ () throws(RuntimeError) in
      try DevicePermissions(config.linux?.resources?.devices ?? [])
    }) {
      record.devices = DeviceState(.inForce, permissions)
    }
    var damaged = record
    damaged.created = TimeValue(seconds: .min, nanoseconds: .max)
    return [
      Seed(target: "state", bytes: damaged.encode()), Seed(target: "wire", bytes: payload.encode()),
      Seed(target: "state", bytes: template.encode()),
      Seed(target: "state", bytes: record.encode()),
    ]
  }

  /// Every message of the channel, and the answers of a bus.
  static func messages() -> [Seed] {
    var failure = RuntimeError(
      .mount, "cannot mount `/x`", field: "/mounts/0", cause: SystemError("open_tree", Errno(2), "x"), hint: "look")
    failure.trail = ["in the container"]
    let long = RuntimeError(.mount, String(repeating: "é", count: 40_000))
    let reports: [InitReport] = [
      .userNamespaceReady, .cloned(pid: 5), .warning("careful"), .note("look"),
      .landlockPlaces([LandlockPlace(device: 1, inode: 2, path: "/usr/bin"), .nowhere]), .mountsMade, .prepared,
      .networkReady,
      .failed(failure),
      .failed(long), .helpWanted(.tree, mount: 3, refused: Errno(1)),
      .helpWanted(.userNamespace, mount: .max, refused: Errno(0)),
    ]
    var seeds = reports.map { Seed(target: "wire", bytes: encodeReport($0)) }
    seeds.append(Seed(target: "wire", bytes: HelpRequest(.tree, mount: 1, refused: Errno(1), pid: 2).encode()))
    for order: RuntimeOrder in [.committed, .helpGiven] { seeds.append(Seed(target: "wire", bytes: [order.rawValue])) }
    var refusal = WireWriter()
    refusal.put(RuntimeOrder.helpRefused.rawValue)
    failure.encode(to: &refusal)
    seeds.append(Seed(target: "wire", bytes: refusal.bytes))
    return seeds + BusSeeds.all.map { Seed(target: "dbus", bytes: $0) }
  }
}

/// Connections as a bus has them: what it sends, from the authentication on. Our calls are numbered from 1, Hello, on.
private enum BusSeeds {
  static var all: [[UInt8]] {
    let greeting = Array("DATA\r\nOK 0123456789abcdef\r\n".utf8)
    let hello = BusMessage.encode(2, replyTo: 1, [.string(":1.7")])
    let job = BusMessage.encode(2, replyTo: 3, [.text(0x6F, "/job/1")])
    func removed(_ result: String) -> [UInt8] {
      BusMessage.encode(
        4, member: "JobRemoved", [.uint32(5), .text(0x6F, "/job/1"), .string("x.scope"), .string(result)])
    }
    func refused(_ name: String, _ text: String, replyTo serial: UInt32 = 3) -> [UInt8] {
      BusMessage.encode(3, replyTo: serial, error: name, [.string(text)])
    }
    let property = refused(
      "org.freedesktop.DBus.Error.InvalidArgs", "Cannot set property CPUQuotaPeriodUSec, or unknown.")
    let exists = refused(SystemdName.unitExists, "Unit x.scope already exists.")
    let noUnit = refused(SystemdName.noSuchUnit, "Unit x.scope not loaded.")
    var long = BusMessage.encode(4, member: "Other", [.string(String(repeating: "x", count: 300))])
    long[1] = 9
    return [
      greeting + hello + job + removed("done"), greeting + hello + removed("done") + job + removed("failed"),
      greeting + hello + property, greeting + hello + exists, greeting + hello + noUnit,
      greeting + hello + BusMessage.encode(2, replyTo: 2, []) + job + removed("timeout")
        + BusMessage.encode(2, replyTo: 4, []),
      greeting + hello + BusMessage.encode(2, replyTo: 2, [.uint32(0)]),
      greeting + long + hello + BusMessage.encode(2, replyTo: 3, []),
      greeting + refused("org.freedesktop.DBus.Error.AccessDenied", "no\nentry", replyTo: 1),
      greeting + hello
        + BusMessage.encode(
          2, replyTo: 2, [.array(Array("{sv}".utf8), []), .structure([.bool(true), .bytes([1, 2])])]),
      Array("REJECTED EXTERNAL\r\n".utf8), Array("OK".utf8), greeting,
      greeting + hello + unknownFields(),
      greeting + hello + exists + refused(SystemdName.noSuchUnit, "gone", replyTo: 4),
      greeting + hello + property + BusMessage.encode(2, replyTo: 4, []) + BusMessage.encode(2, replyTo: 5, []),
    ]
  }

  /// A header with fields that nobody knows, of every type.
  private static func unknownFields() -> [UInt8] {
    BusMessage.encode(
      2, replyTo: 2, [],
      extra: [
        .uint64(3), .bytes([1, 2, 3]), .text(0x67, "a{sv}"), .number(0x78, 5), .number(0x71, 6), .string("x"),
        .variant(.array(Array("(sv)".utf8), [.structure([.string("a"), .variant(.bool(true))])])),
        .array(Array("a{s(iv)}".utf8), []), .structure([.number(0x79, 1), .structure([.text(0x6F, "/o")])]),
      ])
  }
}
