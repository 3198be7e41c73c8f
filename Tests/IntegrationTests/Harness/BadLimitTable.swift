import Testing

/// One value of `linux.resources` that is refused by its place, when a container is made and when it is updated.
struct BadLimitRow: Sendable, CustomTestStringConvertible {
  /// Below `/linux/resources`.
  let place: String
  let resources: JSONValue
  /// What the message has to say besides.
  let says: String
  /// Only the kernel can tell.
  let isOfKernel: Bool

  var testDescription: String { "\(place) of \(resources.text)" }

  init(_ place: String, _ resources: JSONValue, _ says: String, isOfKernel: Bool = false) {
    (self.place, self.resources, self.says, self.isOfKernel) = (place, resources, says, isOfKernel)
  }

  static let all: [BadLimitRow] = {
    var rows = memory + processors + disks + others + devices
    rows += CgroupView.current == .v2 ? onlyOfV1 : processorsOfV1 + devicesOfV1
    if CgroupView.current != .v1 { rows += unified }
    let isWhole = CgroupView.current == .v2 && MachineFeature.controllers.isHere
    if !isWhole { rows += lacking }
    rows += MachineFeature.controllers.isHere ? ofTheKernel : withoutControllers
    // The others are refused before anybody is asked.
    return CgroupDriver.current == .systemd ? rows.filter(\.isOfKernel) : rows
  }()

  /// A number that is too large for the values of tests, as it stands in the document.
  static func number(_ text: String) -> JSONValue { .string("number:" + text) }

  static func spell(_ text: String) -> String {
    text.replacing(#/"number:([-0-9.e]+)"/#) { $0.output.1 }
  }

  private static func row(
    _ section: String, _ place: String, _ value: JSONValue, _ says: String, isOfKernel: Bool = false
  ) -> BadLimitRow {
    BadLimitRow("/\(section)\(place)", [section: value], says, isOfKernel: isOfKernel)
  }

  private static let memory: [BadLimitRow] = [
    row("memory", "/limit", ["limit": -2], "expected bytes, or -1"),
    row("memory", "/limit", ["limit": number("-9223372036854775808")], "expected bytes, or -1"),
    row("memory", "/limit", ["limit": number("9223372036854775808")], "9223372036854775808"),
    row("memory", "/limit", ["limit": number("1e30")], "1e30"),
    row("memory", "/limit", ["limit": "64m"], "expected an integer"),
    row("memory", "/swap", ["limit": 67_108_864, "swap": -2], "expected bytes, or -1"),
    row("memory", "/swap", ["limit": 67_108_864, "swap": 33_554_432], "is below the memory limit `67108864`"),
    row("memory", "/reservation", ["reservation": -3], "expected bytes, or -1"),
    row(
      "memory", "/reservation", ["limit": 67_108_864, "reservation": 67_108_865], "above the memory limit `67108864`"),
  ]

  private static let processors: [BadLimitRow] = [
    row("cpu", "/shares", ["shares": -1], "-1"),
    row("cpu", "/shares", ["shares": number("18446744073709551616")], "18446744073709551616"),
    row("cpu", "/quota", ["quota": -2], "expected microseconds, or -1"),
    row("cpu", "/quota", ["quota": 999], "expected at least 1000 microseconds"),
    row("cpu", "/period", ["period": 999], "expected 1000 to 1000000 microseconds"),
    row("cpu", "/period", ["period": 1_000_001], "expected 1000 to 1000000 microseconds"),
    row("cpu", "/burst", ["quota": 5000, "burst": 5001], "above the quota, `5000`"),
    row("cpu", "/idle", ["idle": 2], "expected 0 or 1"), row("cpu", "/idle", ["idle": -1], "expected 0 or 1"),
    row("cpu", "/realtimeRuntime", ["realtimeRuntime": -2], "expected microseconds, or -1"),
  ]

  private static let onlyOfV1: [BadLimitRow] = [
    row("cpu", "/realtimeRuntime", ["realtimeRuntime": 5000], "cgroup v2 has nothing like it"),
    row("cpu", "/realtimePeriod", ["realtimePeriod": 5000], "cgroup v2 has nothing like it"),
    row("memory", "/swappiness", ["swappiness": 5], "cgroup v2 has nothing like it"),
    row("memory", "/disableOOMKiller", ["disableOOMKiller": true], "cgroup v2 has nothing like it"),
    BadLimitRow("/network/classID", ["network": ["classID": 7]], "cgroup v2 has nothing like it"),
  ]

  private static let withoutControllers: [BadLimitRow] = [
    row("memory", "/limit", ["limit": 67_108_864], "the controller `memory` with cgroup v1", isOfKernel: true),
    row("cpu", "/shares", ["shares": 512], "the controller `cpu` with cgroup v1", isOfKernel: true),
    row("cpu", "/cpus", ["cpus": "0"], "the controller `cpuset` with cgroup v1", isOfKernel: true),
    row("pids", "/limit", ["limit": 5], "the controller `pids` with cgroup v1", isOfKernel: true),
    row("blockIO", "/weight", ["weight": 50], "the controller `blkio` with cgroup v1", isOfKernel: true),
  ]

  private static let ofTheKernel: [BadLimitRow] = [
    row("cpu", "/cpus", ["cpus": "9999"], "out of `0", isOfKernel: true),
    row("cpu", "/cpus", ["cpus": "zero"], "expected a list such as `0-3,7`", isOfKernel: true),
    row("cpu", "/cpus", ["cpus": "1-0"], "expected a list such as `0-3,7`", isOfKernel: true),
    row(
      "blockIO", "/throttleReadBpsDevice/0/rate", ["throttleReadBpsDevice": disk(4000, 0, 5)], "no such device",
      isOfKernel: true),
  ]

  private static let processorsOfV1: [BadLimitRow] = [
    row("memory", "/swappiness", ["swappiness": 101], "expected 0 to 100"),
    row("memory", "/swap", ["limit": -1, "swap": 33_554_432], "needs a memory limit"),
    row("cpu", "/shares", ["shares": 1], "minimum allowed cpu-shares is 2"),
    row("cpu", "/shares", ["shares": 262_145], "maximum allowed cpu-shares is 262144"),
    row("cpu", "/realtimeRuntime", ["realtimeRuntime": 6000, "realtimePeriod": 5000], "above the period, `5000`"),
    // The cgroup above has none that it could give.
    row("cpu", "/realtimeRuntime", ["realtimeRuntime": 5000], "what the cgroup above has", isOfKernel: true),
    row("cpu", "/mems", ["mems": "63"], "out of `0`", isOfKernel: true),
  ]

  private static func disk(_ major: Int, _ minor: Int, _ rate: JSONValue) -> JSONValue {
    [["major": .number(major), "minor": .number(minor), "rate": rate]]
  }

  private static let disks: [BadLimitRow] = [
    row("blockIO", "/weight", ["weight": 9], "expected 10 to 1000"),
    row("blockIO", "/weight", ["weight": 1001], "expected 10 to 1000"),
    row("blockIO", "/weight", ["weight": 70_000], "70000"), row("blockIO", "/weight", ["weight": -10], "-10"),
    row("blockIO", "/leafWeight", ["leafWeight": 10], "no leaf weight"),
    row("blockIO", "/weightDevice/0", ["weightDevice": [["major": 7, "minor": 0]]], "one of weight and leafWeight"),
    row(
      "blockIO", "/weightDevice/0/weight", ["weightDevice": [["major": 7, "minor": 0, "weight": 5]]],
      "expected 10 to 1000"),
    row(
      "blockIO", "/weightDevice/0/major", ["weightDevice": [["major": -1, "minor": 0, "weight": 50]]],
      "`-1` is no device number"),
    row("blockIO", "/weightDevice/0/minor", ["weightDevice": [["major": 7, "weight": 50]]], "minor"),
    row(
      "blockIO", "/throttleReadBpsDevice/0/major", ["throttleReadBpsDevice": disk(4096, 0, 1)],
      "`4096` is no device number"),
    row(
      "blockIO", "/throttleWriteBpsDevice/0/minor", ["throttleWriteBpsDevice": disk(7, -1, 1)],
      "`-1` is no device number"),
    row("blockIO", "/throttleReadIOPSDevice/0/rate", ["throttleReadIOPSDevice": disk(7, 0, -1)], "-1"),
    row(
      "blockIO", "/throttleWriteIOPSDevice/0/rate",
      ["throttleWriteIOPSDevice": disk(7, 0, number("18446744073709551616"))],
      "18446744073709551616"),
  ]

  private static let others: [BadLimitRow] = [
    row("pids", "/limit", ["limit": -2], "expected a number of tasks, or -1"),
    row("pids", "/limit", ["limit": number("1.5")], "1.5"),
    BadLimitRow("/hugepageLimits/0/pageSize", ["hugepageLimits": [["pageSize": "2mb", "limit": 0]]], "KB, MB or GB"),
    BadLimitRow("/hugepageLimits/0/pageSize", ["hugepageLimits": [["pageSize": "2", "limit": 0]]], "KB, MB or GB"),
    BadLimitRow(
      CgroupView.current == .v1 ? "/hugepageLimits/0/limit" : "/hugepageLimits/1/pageSize",
      ["hugepageLimits": [["pageSize": "2MB", "limit": 0], ["pageSize": "2MB", "limit": 1]]],
      CgroupView.current == .v1 ? "the controller `hugetlb` is not" : "has a limit already"),
    BadLimitRow("/hugepageLimits/0/limit", ["hugepageLimits": [["pageSize": "2MB", "limit": -1]]], "-1"),
    BadLimitRow("/rdma/mlx5_0", ["rdma": ["mlx5_0": [:]]], "one of hcaHandles and hcaObjects"),
    BadLimitRow("/rdma/mlx5_0/hcaHandles", ["rdma": ["mlx5_0": ["hcaHandles": -1]]], "-1"),
    BadLimitRow("/rdma/a b", ["rdma": ["a b": ["hcaHandles": 1]]], "no name of an RDMA device"),
    CgroupView.current == .v1
      ? BadLimitRow(
        "/hugepageLimits/0/limit", ["hugepageLimits": [["pageSize": "2MB", "limit": 0]]],
        "the controller `hugetlb` is not")
      : BadLimitRow(
        "/hugepageLimits/0/pageSize", ["hugepageLimits": [["pageSize": "3MB", "limit": 0]]],
        "no huge pages of that size", isOfKernel: true),
    BadLimitRow(
      CgroupView.current == .v1 ? "/unified" : "/unified/memory", ["unified": ["memory": "1"]],
      CgroupView.current == .v1 ? "as v1 only" : "a name such as `memory.high`"),
  ]

  private static let devices: [BadLimitRow] = [
    row("devices", "/1/type", [["allow": false], ["allow": true, "type": "x"]], "expected a, b or c"),
    row("devices", "/0/access", [["allow": true, "access": "rx"]], "letters out of rwm"),
    row("devices", "/0/major", [["allow": true, "major": -2]], "`-2` is no device number"),
    row("devices", "/0/minor", [["allow": true, "minor": 4_294_967_296]], "`4294967296` is no device number"),
    row("devices", "/0/allow", [["type": "c"]], "allow"),
  ]

  private static let devicesOfV1: [BadLimitRow] = [
    row(
      "devices", "/1",
      [
        ["allow": true, "type": "c", "major": 10, "access": "rw"],
        ["allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"],
      ], "cannot take `c 10:229 w` out of `c 10:* rw")
  ]

  private static let unified: [BadLimitRow] = [
    BadLimitRow("/unified/a~1b", ["unified": ["a/b": "1"]], "no file of a controller"),
    BadLimitRow("/unified/..~1x.y", ["unified": ["../x.y": "1"]], "no file of a controller"),
    BadLimitRow("/unified/cgroup.procs", ["unified": ["cgroup.procs": "0"]], "the runtime's own"),
    BadLimitRow(
      "/unified/nosuch.max", ["unified": ["nosuch.max": "1"]], "the controller `nosuch` is not available",
      isOfKernel: true),
    BadLimitRow(
      "/unified/hugetlb.3MB.max", ["unified": ["hugetlb.3MB.max": "1"]], "no huge pages of that size", isOfKernel: true),
    BadLimitRow(
      "/unified/hugetlb.2MB.max", ["unified": ["hugetlb.2MB.max": "much"]], "invalid argument", isOfKernel: true),
  ]

  /// What this machine has nowhere, or in another place.
  private static let lacking: [BadLimitRow] = {
    var rows = [
      BadLimitRow(
        "/rdma/mlx5_0", ["rdma": ["mlx5_0": ["hcaHandles": 1]]],
        CgroupView.current == .v1 ? "the controller `rdma` is not" : "the controller `rdma` is not available",
        isOfKernel: CgroupView.current != .v1),
      BadLimitRow(
        "/network/priorities" + (CgroupView.current == .v1 ? "/0" : ""),
        ["network": ["priorities": [["name": "lo", "priority": 1]]]],
        CgroupView.current == .v1 ? "the controller `net_prio` is not" : "cgroup v2 has nothing like it"),
    ]
    if CgroupView.current == .v1 { return rows }
    for (file, controller) in [("io.max", "blkio"), ("memory.high", "memory"), ("pids.max", "pids")] {
      rows.append(
        BadLimitRow(
          "/unified/\(file)", ["unified": [file: "1"]],
          CgroupView.current == .hybrid
            ? "`/sys/fs/cgroup/\(controller)" : "the controller `\(controller)` with cgroup v1",
          isOfKernel: CgroupView.current == .v2))
    }
    return rows
  }()
}
