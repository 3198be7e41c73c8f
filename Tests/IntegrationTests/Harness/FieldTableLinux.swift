extension FieldRow {
  static let linux =
    namespaces + clockOffsets + devices + netDevices + cgroup + intelRdt + memory + paths

  // MARK: Namespaces

  private static let map = "         0     100000      65536\n"
  private static let ranges: JSONValue = [["containerID": 0, "hostID": 100_000, "size": 65_536]]
  private static let network = JSONValue.number(Files.inode("/proc/self/ns/net"))

  private static func mapping(
    _ list: String, _ name: String, empty: FieldOutcome?, _ value: JSONValue
  ) -> FieldRow {
    let pointer = "/linux/\(list)/1/\(name)"
    let second: JSONValue = ["containerID": 70_000, "hostID": 300_000, "size": 5]
    let seen = FieldOutcome.sees([
      list == "uidMappings" ? "/uidMap" : "/gidMap": .string(map + "     70000     300000          5\n")
    ])
    return FieldRow(
      pointer, given: [users, ("/linux/\(list)/1", second)], absent: .refused(pointer),
      empty: empty ?? .refused(pointer), value, seen)
  }

  private static let namespaces: [FieldRow] =
    [
      FieldRow(
        "/linux/namespaces", absent: .refused("/hostname"), empty: .refused("/hostname"),
        [["type": "pid"], ["type": "uts"], ["type": "mount"], ["type": "ipc"], ["type": "network"]],
        .sees(["/hostname": "testhost", "/pid": 1])),
      FieldRow(
        "/linux/namespaces/0/type", absent: .refused("/linux/namespaces/0/type"),
        empty: .refused("/linux/namespaces/0/type"), "pid", .sees(["/pid": 1])),
      FieldRow(
        "/linux/namespaces/1/path", given: [("/linux/namespaces/1", ["type": "network"])],
        absent: .seesOther(["/namespaces/net": network]), empty: .seesOther(["/namespaces/net": network]),
        "/proc/self/ns/net", .sees(["/namespaces/net": network])),
    ]
    + ["uidMappings", "gidMappings"].flatMap { list in
      let seen = list == "uidMappings" ? "/uidMap" : "/gidMap"
      return [
        FieldRow(
          "/linux/\(list)", given: [users], absent: .refused("/linux/\(list)"), empty: .refused("/linux/\(list)"),
          ranges, .sees([seen: .string(map)])),
        mapping(list, "containerID", empty: nil, 70_000),
        mapping(list, "hostID", empty: .sees([seen: .string(map + "     70000          0          5\n")]), 300_000),
        mapping(list, "size", empty: nil, 5),
      ]
    }

  private static func offsets(_ seconds: String, _ nanoseconds: String) -> FieldOutcome {
    .sees(["/timeOffsets": .string("monotonic\(seconds)\(nanoseconds)\nboottime            0         0\n")])
  }

  private static let none = offsets("           0", "         0")

  private static let clockOffsets: [FieldRow] = [
    FieldRow(
      "/linux/timeOffsets", given: [clocks], absent: none, empty: none, ["monotonic": ["secs": 7, "nanosecs": 5]],
      offsets("           7", "         5")),
    FieldRow(
      "/linux/timeOffsets/monotonic/secs", given: [clocks, ("/linux/timeOffsets", ["monotonic": [:]])], absent: none,
      empty: none, 7, offsets("           7", "         0")),
    FieldRow(
      "/linux/timeOffsets/monotonic/nanosecs", given: [clocks, ("/linux/timeOffsets", ["monotonic": [:]])],
      absent: none, empty: none, 5, offsets("           0", "         5")),
  ]

  // MARK: Devices

  private static let zero: JSONValue = ["path": "/dev/own", "type": "c", "major": 1, "minor": 5]

  private static func device(
    _ name: String, absent: FieldOutcome? = nil, empty: FieldOutcome? = nil, _ value: JSONValue, _ set: FieldOutcome
  ) -> FieldRow {
    let pointer = "/linux/devices/0/\(name)"
    return FieldRow(
      pointer, given: [("/linux/devices", [zero])], absent: absent ?? .refused(pointer),
      empty: empty ?? .refused(pointer),
      value, set)
  }

  private static let devices: [FieldRow] = [
    FieldRow(
      "/linux/devices", absent: .sees(["/dev/own": .null, "/dev/null/minor": 3]),
      empty: .sees(["/dev/own": .null, "/dev/null/minor": 3]), [zero],
      .sees(["/dev/own/minor": 5, "/dev/null/minor": 3])),
    device("type", "c", .sees(["/dev/own/type": "char"])),
    device("path", "/dev/other", .sees(["/dev/other/minor": 5])),
    device("major", empty: .sees(["/dev/own/major": 0]), 10, .sees(["/dev/own/major": 10])),
    device("minor", empty: .sees(["/dev/own/minor": 0]), 7, .sees(["/dev/own/minor": 7])),
    device(
      "fileMode", absent: .sees(["/dev/own/mode": 0o666]), empty: .sees(["/dev/own/mode": 0]), 0o640,
      .sees(["/dev/own/mode": 0o640])),
    device("uid", absent: .sees(["/dev/own/uid": 0]), empty: .sees(["/dev/own/uid": 0]), 7, .sees(["/dev/own/uid": 7])),
    device("gid", absent: .sees(["/dev/own/gid": 0]), empty: .sees(["/dev/own/gid": 0]), 7, .sees(["/dev/own/gid": 7])),
  ]

  private static let netDevices: [FieldRow] = [
    FieldRow(
      "/linux/netDevices", absent: .sees(["/interfaces/one": .null]), empty: .sees(["/interfaces/one": .null]),
      ["one": [:]], .sees(["/interfaces/one/up": true])),
    FieldRow(
      "/linux/netDevices/one/name", given: [("/linux/netDevices", ["one": [:]])],
      absent: .sees(["/interfaces/one/up": true]), empty: .sees(["/interfaces/one/up": true]), "eth7",
      .sees(["/interfaces/eth7/up": true, "/interfaces/one": .null])),
  ]

  // MARK: Resources

  private static let place = "grep -q fields-own /proc/self/cgroup && echo own || echo other"
  private static let fuse: (String, JSONValue) = (
    "/linux/devices", [["path": "/dev/fuse", "type": "c", "major": 10, "minor": 229]]
  )
  private static let opens = "(: </dev/fuse) 2>/dev/null && echo open || echo denied"

  private static func resource(_ name: String, _ value: JSONValue, _ set: FieldOutcome) -> FieldRow {
    FieldRow("/linux/resources/\(name)", absent: .runs, empty: .runs, value, set)
  }

  private static func file(_ path: String, _ text: String) -> FieldOutcome {
    .prints("cat /sys/fs/cgroup/\(path)", text + "\n")
  }

  private static let cgroup: [FieldRow] = [
    FieldRow(
      "/linux/cgroupsPath", absent: .prints(place, "other\n"), empty: .prints(place, "other\n"),
      .string("/\(TestRun.tag)/fields-own"), .prints(place, "own\n")),
    FieldRow(
      "/linux/resources", given: [fuse], absent: .prints(opens, "denied\n"), empty: .prints(opens, "denied\n"),
      ["devices": [["allow": true, "access": "rwm"]]], .prints(opens, "open\n")),
    FieldRow(
      "/linux/resources/devices", given: [fuse], absent: .prints(opens, "denied\n"),
      empty: .prints(opens, "denied\n"), [["allow": true, "access": "rwm"]], .prints(opens, "open\n")),
    resource("memory", ["limit": 67_108_864], file("memory/memory.limit_in_bytes", "67108864")),
    resource("cpu", ["shares": 512], file("cpu/cpu.shares", "512")),
    resource("pids", ["limit": 77], file("pids/pids.max", "77")),
    resource("blockIO", ["throttleReadBpsDevice": []], .runs),
    resource(
      "hugepageLimits", [["pageSize": "3MB", "limit": 0]],
      .refused("/linux/resources/hugepageLimits/0/" + (CgroupView.current == .v1 ? "limit" : "pageSize"))),
    resource("network", ["classID": 5], .refused("/linux/resources/network/classID")),
    resource("rdma", ["mlx5_1": ["hcaHandles": 3]], .refused("/linux/resources/rdma/mlx5_1")),
    resource(
      "unified", ["memory.high": "1"],
      .refused("/linux/resources/unified\(CgroupView.current == .v1 ? "" : "/memory.high")")),
  ]

  /// No machine of the tests has resctrl.
  private static let noRDT = FieldOutcome.refused("/linux/intelRdt")

  private static func intelRdt(_ name: String, _ value: JSONValue) -> FieldRow {
    FieldRow(
      "/linux/intelRdt/\(name)", given: [("/linux/intelRdt", [:])], absent: noRDT, empty: noRDT, value, noRDT)
  }

  private static let intelRdt: [FieldRow] = [
    FieldRow("/linux/intelRdt", absent: .runs, empty: noRDT, ["closID": "gold"], noRDT),
    intelRdt("closID", "gold"), intelRdt("schemata", ["L3:0=f"]), intelRdt("l3CacheSchema", "L3:0=f"),
    intelRdt("memBwSchema", "MB:0=20"), intelRdt("enableMonitoring", true),
  ]

  // MARK: Memory, system calls, paths

  private static let bound: FieldOutcome = .sees(["/memoryPolicy/mode": 2, "/memoryPolicy/nodes": [0]])

  private static func memoryPolicy(
    _ name: String, absent: FieldOutcome, empty: FieldOutcome, _ value: JSONValue, _ set: FieldOutcome
  ) -> FieldRow {
    FieldRow(
      "/linux/memoryPolicy/\(name)", given: [("/linux/memoryPolicy", ["mode": "MPOL_BIND", "nodes": "0"])],
      absent: absent, empty: empty, value, set)
  }

  private static let memory: [FieldRow] = [
    FieldRow(
      "/linux/memoryPolicy", absent: .sees(["/memoryPolicy/mode": 0]), empty: .refused("/linux/memoryPolicy/mode"),
      ["mode": "MPOL_BIND", "nodes": "0"], bound),
    memoryPolicy(
      "mode", absent: .refused("/linux/memoryPolicy/mode"), empty: .refused("/linux/memoryPolicy/mode"), "MPOL_BIND",
      bound),
    memoryPolicy(
      "nodes", absent: .refused("/linux/memoryPolicy/nodes"), empty: .refused("/linux/memoryPolicy/nodes"), "0", bound),
    memoryPolicy(
      "flags", absent: bound, empty: bound, ["MPOL_F_STATIC_NODES"], .sees(["/memoryPolicy/mode": 0x8002])),
    FieldRow(
      "/linux/personality", absent: .sees(["/machine": "x86_64"]), empty: .refused("/linux/personality/domain"),
      ["domain": "LINUX32"], .sees(["/machine": "i686"])),
    FieldRow(
      "/linux/personality/domain", absent: .refused("/linux/personality/domain"),
      empty: .refused("/linux/personality/domain"), "LINUX32", .sees(["/machine": "i686"])),
    FieldRow(
      "/linux/personality/flags", given: [("/linux/personality", ["domain": "LINUX32"])],
      absent: .sees(["/machine": "i686"]), empty: .sees(["/machine": "i686"]), ["ADDR_NO_RANDOMIZE"],
      .refused("/linux/personality/flags/0")),
    FieldRow(
      "/linux/seccomp", absent: .sees(["/seccomp": 0]), empty: .sees(["/seccomp": 0]),
      [
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [["names": ["reboot"], "action": "SCMP_ACT_ERRNO"]],
      ], .sees(["/seccomp": 2])),
    FieldRow("/linux/mountLabel", absent: .runs, empty: .runs, "label", .refused("/linux/mountLabel")),
  ]

  private static let backlog = "cat /proc/sys/net/core/somaxconn"
  private static let propagation = "grep -q ' / [a-z,]* shared' /proc/self/mountinfo && echo shared || echo not"
  private static let accounts = "grep -c root: /etc/passwd || true"
  private static let writes = "(: >/dev/shm/x) 2>/dev/null && echo written || echo refused"

  private static let paths: [FieldRow] = [
    FieldRow(
      "/linux/sysctl", absent: .prints(backlog, "4096\n"), empty: .prints(backlog, "4096\n"),
      ["net.core.somaxconn": "321"], .prints(backlog, "321\n")),
    FieldRow(
      "/linux/rootfsPropagation", absent: .prints(propagation, "not\n"), empty: .prints(propagation, "not\n"), "shared",
      .prints(propagation, "shared\n")),
    FieldRow(
      "/linux/maskedPaths", absent: .prints(accounts, "1\n"), empty: .prints(accounts, "1\n"), ["/etc/passwd"],
      .prints(accounts, "0\n")),
    FieldRow(
      "/linux/readonlyPaths", absent: .prints(writes, "written\n"), empty: .prints(writes, "written\n"), ["/dev/shm"],
      .prints(writes, "refused\n")),
  ]
}
