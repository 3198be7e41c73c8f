import Testing

/// One value that `create` has to refuse, by its place in the configuration.
struct BadValueRow: Sendable, CustomTestStringConvertible {
  enum Need: Sendable { case users, time }

  let place: String
  /// Written before; a list or object of the base configuration is replaced.
  let edits: [(String, JSONValue)]
  let needs: [Need]
  /// Only the kernel can tell, when part of the container is there already.
  let isOfKernel: Bool
  /// Why a peer takes it, by the name of the peer.
  let differences: [String: String]
  /// Why no peer is asked; empty where they are.
  let isOursOnly: String

  var testDescription: String { "\(place) of \(edits.map { "\($0.0)=\($0.1.text.prefix(200))" })" }

  init(
    _ place: String, _ edits: (String, JSONValue)..., needs: [Need] = [], isOfKernel: Bool = false,
    differences: [String: String] = [:], isOursOnly: String = ""
  ) {
    self.place = place
    self.edits = edits
    self.needs = needs
    self.isOfKernel = isOfKernel
    let last = edits.last.map { "\($0.0)=\($0.1.text)" } ?? ""
    self.differences = differences.merging(BadValueRow.taken[last] ?? [:]) { first, _ in first }
    self.isOursOnly = isOursOnly
  }

  static let all: [BadValueRow] =
    (mappings + times + schedulers + priorities + memoryPolicies + domains + limits + users + hooks)
    .filter { !Runtime.current.isPeer || $0.isOursOnly.isEmpty }

  /// What peers take, by the last edit.
  private static let taken: [String: [String: String]] = {
    func only(_ runtime: String, _ reason: String) -> [String: String] { [runtime: reason] }
    let both = ["runc": "does not look at it", "crun": "does not look at it"]
    return [
      "/linux/uidMappings=[]": only("crun", "maps every id then"),
      #"/linux/timeOffsets={"monotonic":{"secs":1}}"#: both,
      #"/linux/personality={"domain":"LINUX32","flags":["ADDR_NO_RANDOMIZE"]}"#: only("crun", "passes over flags"),
      #"/process/rlimits/1={"hard":-1,"soft":1,"type":"RLIMIT_CORE"}"#: only("crun", "takes it for no limit"),
      #"/process/rlimits/1={"hard":1,"soft":1,"type":"RLIMIT_NOFILE"}"#: only("crun", "leaves its folder behind"),
      #"/process/rlimits/1={"hard":1,"type":"RLIMIT_CORE"}"#: both,
      "/process/user/uid=4294967295": only("crun", "it stays root"),
      "/process/user/gid=4294967295": only("crun", "takes it"),
      "/process/user/umask=512": both, "/process/user/umask=4294967295": both,
      #"/process/user/uid="root""#: only("crun", "takes it for 0"),
      #"/process/oomScoreAdj="low""#: only("crun", "takes it for 0"),
      #"/process/cwd="relative""#: only("crun", "takes it from the root"),
      #"/process/env/0="no equals sign""#: only("crun", "passes it on"),
      #"/process/execCPUAffinity/final="few""#: both,
    ]
  }()

  // MARK: Mappings

  static func mappings(_ ranges: (Int, Int, Int)...) -> JSONValue { mappings(ranges) }

  static func mappings(_ ranges: [(Int, Int, Int)]) -> JSONValue {
    .array(ranges.map { ["containerID": .number($0.0), "hostID": .number($0.1), "size": .number($0.2)] })
  }

  /// As many mappings of one id each, none of which touches another.
  static func mappings(count: Int, from host: Int = 1000) -> JSONValue {
    mappings((0..<count).map { ($0, host + 2 * $0, 1) })
  }

  private static let mappings: [BadValueRow] = ["uidMappings", "gidMappings"].flatMap { name in
    let list = "/linux/\(name)"
    func row(
      _ place: String, _ ranges: (Int, Int, Int)..., differences: [String: String] = [:]
    ) -> BadValueRow {
      BadValueRow(list + place, (list, mappings(ranges)), needs: [.users], differences: differences)
    }
    return [
      row("/1/containerID", (0, 100_000, 10), (5, 200_000, 10)), row("/1/hostID", (0, 100_000, 10), (10, 100_009, 1)),
      row("/0/size", (0, 100_000, 0)), row("/1/size", (0, 100_000, 1), (1, 200_000, 0)),
      row("/1/containerID", (0, 100_000, 10), (4_294_967_290, 200_000, 10)),
      row("/1/containerID", (0, 100_000, 10), (4_294_967_295, 200_000, 1)),
      row("/0/hostID", (0, 4_294_967_290, 6)), row("/0/hostID", (0, 4_294_000_000, 4_294_000_000)),
      row("/0/containerID", (4_294_967_296, 100_000, 10)), row("/0/hostID", (0, 4_294_967_296, 10)),
      row("/0/size", (0, 100_000, 4_294_967_296)), row("/0/size", (0, 100_000, -1)),
      row("/0/hostID", (0, -1, 10)),
      BadValueRow(list, (list, mappings(count: 341)), needs: [.users]),
      // The text of a map has to fit into a page.
      BadValueRow(list, (list, mappings(count: 340, from: 1_000_000)), needs: [.users], isOfKernel: true),
      BadValueRow(list, (list, []), needs: [.users]),
      BadValueRow(
        list, (list, mappings((0, 100_000, 10))),
        differences: ["runc": "does not look at it", "crun": "does not look at it"]),
      BadValueRow(
        name == "uidMappings" ? "/process/user/uid" : "/process/user/gid", (list, mappings((0, 100_000, 10))),
        ("/process/user", ["uid": name == "uidMappings" ? 10 : 0, "gid": name == "uidMappings" ? 0 : 10]),
        needs: [.users]),
    ]
  }

  // MARK: Clocks

  private static let newer = ["runc": "newer", "crun": "newer"]

  /// runc knows no time namespace yet, and refuses that; crun's own words are lost in some runs.
  private static let silent = ["crun": "ends without a word at times"]

  private static let times: [BadValueRow] = [
    BadValueRow("/linux/timeOffsets", ("/linux/timeOffsets", ["monotonic": ["secs": 1]])),
    BadValueRow(
      "/linux/timeOffsets/monotonic/nanosecs", ("/linux/timeOffsets", ["monotonic": ["nanosecs": 1_000_000_000]]),
      needs: [.time], differences: silent),
    BadValueRow(
      "/linux/timeOffsets/boottime/nanosecs", ("/linux/timeOffsets", ["boottime": ["nanosecs": -1]]), needs: [.time],
      differences: silent),
    BadValueRow(
      "/linux/timeOffsets/boottime/secs", ("/linux/timeOffsets", ["boottime": ["secs": "7"]]), needs: [.time],
      differences: silent),
    BadValueRow(
      "/linux/timeOffsets/realtime~1utc", ("/linux/timeOffsets", ["realtime/utc": ["secs": 1]]), needs: [.time],
      differences: silent),
    // Before the start of the clock, and after its end.
    BadValueRow(
      "/linux/timeOffsets", ("/linux/timeOffsets", ["monotonic": ["secs": -4_000_000_000]]), needs: [.time],
      isOfKernel: true, differences: silent),
    BadValueRow(
      "/linux/timeOffsets", ("/linux/timeOffsets", ["boottime": ["secs": .number(.max)]]), needs: [.time],
      isOfKernel: true, differences: silent),
  ]

  // MARK: Scheduling

  private static let schedulers: [BadValueRow] = [
    ("policy", ["policy": "SCHED_EXT"]), ("policy", ["policy": ""]), ("policy", ["policy": 1]), ("policy", ["nice": 1]),
    ("nice", ["policy": "SCHED_OTHER", "nice": 20]), ("nice", ["policy": "SCHED_BATCH", "nice": -21]),
    ("nice", ["policy": "SCHED_OTHER", "nice": 5_000_000_000]),
    ("priority", ["policy": "SCHED_OTHER", "priority": 1]), ("priority", ["policy": "SCHED_IDLE", "priority": -1]),
    ("priority", ["policy": "SCHED_FIFO"]), ("priority", ["policy": "SCHED_RR", "priority": 100]),
    ("priority", ["policy": "SCHED_DEADLINE", "priority": 1, "runtime": 5000, "deadline": 6000]),
    ("flags/1", ["policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_NONE"]]),
    ("runtime", ["policy": "SCHED_FIFO", "priority": 1, "runtime": 5000]),
    ("deadline", ["policy": "SCHED_OTHER", "deadline": 5000]),
    ("period", ["policy": "SCHED_RR", "priority": 1, "period": 9]),
    ("runtime", ["policy": "SCHED_DEADLINE"]),
    ("runtime", ["policy": "SCHED_DEADLINE", "runtime": 1023, "deadline": 5000]),
    ("runtime", ["policy": "SCHED_DEADLINE", "runtime": -1, "deadline": 5000]),
    ("deadline", ["policy": "SCHED_DEADLINE", "runtime": 5000, "deadline": 4999]),
    ("period", ["policy": "SCHED_DEADLINE", "runtime": 5000, "deadline": 6000, "period": 5999]),
  ].map { (name: String, value: JSONValue) in
    BadValueRow(
      "/process/scheduler/" + name, ("/process/scheduler", value), differences: newer)
  }

  private static let priorities: [BadValueRow] = [
    ("/class", ["class": "IOPRIO_CLASS_NONE", "priority": 1]), ("/class", ["class": "", "priority": 1]),
    ("/priority", ["class": "IOPRIO_CLASS_BE"]), ("/class", ["priority": 1]),
    ("/priority", ["class": "IOPRIO_CLASS_BE", "priority": 8]),
    ("/priority", ["class": "IOPRIO_CLASS_RT", "priority": -1]),
  ].map { (name: String, value: JSONValue) in
    BadValueRow("/process/ioPriority" + name, ("/process/ioPriority", value), differences: newer)
  }

  private static let memoryPolicies: [BadValueRow] = [
    ("/mode", ["nodes": "0"]), ("/mode", ["mode": "MPOL_ANY", "nodes": "0"]), ("/nodes", ["mode": "MPOL_BIND"]),
    ("/nodes", ["mode": "MPOL_DEFAULT", "nodes": "0"]), ("/nodes", ["mode": "MPOL_LOCAL", "nodes": "0"]),
    ("/nodes", ["mode": "MPOL_BIND", "nodes": "3-1"]), ("/nodes", ["mode": "MPOL_BIND", "nodes": "0,,1"]),
    ("/nodes", ["mode": "MPOL_BIND", "nodes": "4096"]), ("/nodes", ["mode": "MPOL_BIND", "nodes": "all"]),
    ("/flags/0", ["mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_OWN"]]),
    ("/flags/1", ["mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]]),
    ("/flags/0", ["mode": "MPOL_PREFERRED", "flags": ["MPOL_F_STATIC_NODES"]]),
    ("/flags/0", ["mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]]),
  ].map { (name: String, value: JSONValue) in
    BadValueRow("/linux/memoryPolicy" + name, ("/linux/memoryPolicy", value), differences: newer)
  }

  private static let domains: [BadValueRow] = [
    ("/domain", ["domain": "LINUX64"]), ("/domain", ["domain": ""]), ("/domain", ["flags": []]),
    ("/flags/0", ["domain": "LINUX32", "flags": ["ADDR_NO_RANDOMIZE"]]), ("/domain", ["domain": 8]),
  ].map { (name: String, value: JSONValue) in
    // Of another type it is refused even where nobody knows it.
    BadValueRow(
      "/linux/personality" + name, ("/linux/personality", value),
      differences: value["domain"].int == nil ? ["runc": "newer"] : [:])
  }

  // MARK: Limits and users

  private static let limits: [BadValueRow] = [
    ("/soft", ["type": "RLIMIT_CORE", "soft": 2, "hard": 1]),
    ("/type", ["type": "RLIMIT_CORES", "soft": 1, "hard": 1]),
    ("/type", ["type": "core", "soft": 1, "hard": 1]), ("/soft", ["type": "RLIMIT_CORE", "soft": -1, "hard": 1]),
    ("/hard", ["type": "RLIMIT_CORE", "soft": 1, "hard": -1]),
    ("/hard", ["type": "RLIMIT_CORE", "soft": 1, "hard": "unlimited"]),
    ("/type", ["type": "RLIMIT_NOFILE", "soft": 1, "hard": 1]),
    ("/soft", ["type": "RLIMIT_CORE", "hard": 1]), ("/hard", ["type": "RLIMIT_CORE", "soft": 1]),
    ("/type", ["soft": 1, "hard": 1]),
  ].map { (name: String, value: JSONValue) in
    BadValueRow("/process/rlimits/1" + name, ("/process/rlimits/1", value))
  }

  private static let users: [BadValueRow] =
    [
      ("/process/user/umask", 0o1000), ("/process/user/umask", 4_294_967_295), ("/process/user/umask", -1),
      ("/process/user/uid", -1), ("/process/user/gid", 4_294_967_296), ("/process/user/uid", "root"),
      // "Leave it as it is" to the kernel: the process would be root.
      ("/process/user/uid", 4_294_967_295), ("/process/user/gid", 4_294_967_295),
      ("/process/oomScoreAdj", 1001), ("/process/oomScoreAdj", -1001),
      ("/process/oomScoreAdj", .number(.max)), ("/process/oomScoreAdj", "low"), ("/process/cwd", "relative"),
      ("/process/env/0", "no equals sign"), ("/process/execCPUAffinity/final", "few"),
    ].map { (place: String, value: JSONValue) in BadValueRow(place, (place, value)) } + [
      BadValueRow("/process/user/additionalGids/1", ("/process/user/additionalGids", [1, -1])),
      BadValueRow("/process/user/additionalGids/1", ("/process/user/additionalGids", [1, 4_294_967_295])),
    ]

  // MARK: Hooks

  private static let hooks: [BadValueRow] = [
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
  ].flatMap { kind in
    [
      ("/timeout", ["path": "/bin/true", "timeout": 0]), ("/timeout", ["path": "/bin/true", "timeout": -1]),
      ("/timeout", ["path": "/bin/true", "timeout": "1s"]), ("/path", ["path": "bin/true"]),
      ("/path", ["path": ""]), ("/path", ["args": ["true"]]), ("/env/0", ["path": "/bin/true", "env": [7]]),
    ].map { (name: String, value: JSONValue) in
      BadValueRow(
        "/hooks/\(kind)/1" + name, ("/hooks/\(kind)", [["path": "/bin/true"], value]),
        isOursOnly: "the peers look at most of a hook when they run it")
    }
  }
}
