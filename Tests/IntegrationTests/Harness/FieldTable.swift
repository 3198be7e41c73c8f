extension FieldRow {
  /// Written before, it gives the container a user namespace with a map, or a time namespace.
  static let users: (String, JSONValue) = ("users", true)
  static let clocks: (String, JSONValue) = ("/linux/namespaces/5", ["type": "time"])

  static let process =
    terminal + user + command + privileges + limits + scheduling

  private static let withTerminal: (String, JSONValue) = ("/process/terminal", true)

  private static let terminal: [FieldRow] = [
    FieldRow(
      "/process/terminal", absent: .sees(["/terminal/stdin/isTerminal": false]),
      empty: .sees(["/terminal/stdin/isTerminal": false]), true,
      .sees(["/terminal/stdin/isTerminal": true, "/terminal/controls": true])),
    FieldRow(
      "/process/consoleSize", given: [withTerminal], absent: .sees(["/terminal/rows": 0, "/terminal/columns": 0]),
      empty: .refused("/process/consoleSize/height"), ["height": 30, "width": 100],
      .sees(["/terminal/rows": 30, "/terminal/columns": 100])),
    FieldRow(
      "/process/consoleSize/height", given: [withTerminal, ("/process/consoleSize", ["width": 100])],
      absent: .refused("/process/consoleSize/height"), empty: .sees(["/terminal/rows": 0, "/terminal/columns": 0]),
      30, .sees(["/terminal/rows": 30, "/terminal/columns": 100])),
    FieldRow(
      "/process/consoleSize/width", given: [withTerminal, ("/process/consoleSize", ["height": 30])],
      absent: .refused("/process/consoleSize/width"), empty: .sees(["/terminal/rows": 0, "/terminal/columns": 0]),
      100, .sees(["/terminal/rows": 30, "/terminal/columns": 100])),
  ]

  private static let user: [FieldRow] = [
    FieldRow(
      "/process/user", absent: .sees(["/uids": [0, 0, 0], "/gids": [0, 0, 0]]), empty: .refused("/process/user/uid"),
      ["uid": 7, "gid": 8], .sees(["/uids": [7, 7, 7], "/gids": [8, 8, 8], "/groups": []])),
    FieldRow(
      "/process/user/uid", absent: .refused("/process/user/uid"), empty: .sees(["/uids": [0, 0, 0]]), 7,
      .sees(["/uids": [7, 7, 7]])),
    FieldRow(
      "/process/user/gid", absent: .refused("/process/user/gid"), empty: .sees(["/gids": [0, 0, 0]]), 7,
      .sees(["/gids": [7, 7, 7]])),
    FieldRow(
      "/process/user/umask", absent: .sees(["/umask": 0o022]), empty: .sees(["/umask": 0]), 0o077,
      .sees(["/umask": 0o077])),
    FieldRow(
      "/process/user/additionalGids", absent: .sees(["/groups": []]), empty: .sees(["/groups": []]), [7, 5],
      .sees(["/groups": [5, 7]])),
  ]

  private static let command: [FieldRow] = [
    FieldRow(
      "/process/args", absent: .refused("/process/args"), empty: .refused("/process/args"),
      ["/bin/agent", "report", "command"], .sees(["/args": ["/bin/agent", "report", "command"]])),
    FieldRow(
      "/process/env", absent: .sees(["/env": ["HOME=/root"]]), empty: .sees(["/env": ["HOME=/root"]]),
      ["A=b", "HOME=/tmp"], .sees(["/env": ["A=b", "HOME=/tmp"]])),
    FieldRow(
      "/process/cwd", absent: .refused("/process/cwd"), empty: .refused("/process/cwd"), "/tmp",
      .sees(["/cwd": "/tmp"])),
  ]

  // MARK: Privileges

  private static let one: JSONValue = ["CAP_KILL"]

  private static func capabilities(_ value: JSONValue) -> FieldOutcome {
    .sees(["/capabilities/bounding": value, "/capabilities/effective": value, "/capabilities/permitted": value])
  }

  /// With the same capability in all the others.
  private static func set(_ name: String, absent: FieldOutcome) -> FieldRow {
    FieldRow(
      "/process/capabilities/\(name)",
      given: [
        (
          "/process/capabilities",
          ["bounding": one, "effective": one, "permitted": one, "inheritable": one, "ambient": one]
        )
      ], absent: absent, empty: absent, one, .sees(["/capabilities/\(name)": one]))
  }

  private static let privileges: [FieldRow] = [
    FieldRow(
      "/process/capabilities", absent: capabilities([]), empty: capabilities([]),
      ["bounding": one, "effective": one, "permitted": one], capabilities(one)),
    set("bounding", absent: .sees(["/capabilities/bounding": []])),
    // execve(2) by root makes all that are permitted effective.
    set("effective", absent: .sees(["/capabilities/effective": one])),
    set("permitted", absent: .sees(["/capabilities/permitted": []])),
    set("inheritable", absent: .sees(["/capabilities/inheritable": [], "/capabilities/ambient": []])),
    set("ambient", absent: .sees(["/capabilities/ambient": []])),
    FieldRow(
      "/process/noNewPrivileges", absent: .sees(["/noNewPrivileges": false]), empty: .sees(["/noNewPrivileges": false]),
      true, .sees(["/noNewPrivileges": true])),
    FieldRow(
      "/process/apparmorProfile", absent: .runs, empty: .runs, "profile", .refused("/process/apparmorProfile")),
    FieldRow("/process/selinuxLabel", absent: .runs, empty: .runs, "label", .refused("/process/selinuxLabel")),
  ]

  // MARK: Limits and scheduling

  private static func core(_ soft: JSONValue, _ hard: JSONValue) -> FieldOutcome {
    .sees(["/rlimits/RLIMIT_CORE/soft": soft, "/rlimits/RLIMIT_CORE/hard": hard])
  }

  private static func limit(_ name: String, empty: FieldOutcome, _ value: JSONValue) -> FieldRow {
    FieldRow(
      "/process/rlimits/0/\(name)", given: [("/process/rlimits", [["type": "RLIMIT_CORE", "soft": 0, "hard": 9]])],
      absent: .refused("/process/rlimits/0/\(name)"), empty: empty, value,
      name == "soft" ? core(value, 9) : core(0, 9))
  }

  private static let limits: [FieldRow] = [
    FieldRow(
      "/process/rlimits", absent: .runs, empty: .runs, [["type": "RLIMIT_CORE", "soft": 5, "hard": 9]], core(5, 9)),
    limit("type", empty: .refused("/process/rlimits/0/type"), "RLIMIT_CORE"),
    limit("soft", empty: core(0, 9), 5),
    limit("hard", empty: core(0, 0), 9),
    FieldRow(
      "/process/oomScoreAdj", absent: .sees(["/oomScoreAdj": 0]), empty: .sees(["/oomScoreAdj": 0]), 321,
      .sees(["/oomScoreAdj": 321])),
  ]

  private static let ordinary: FieldOutcome = .sees(["/scheduler/policy": 0, "/scheduler/nice": 0])
  private static let batch: FieldOutcome = .sees(["/scheduler/policy": 3, "/scheduler/nice": 0])

  private static func scheduler(
    _ name: String, absent: FieldOutcome = batch, empty: FieldOutcome = batch, _ value: JSONValue, _ set: FieldOutcome
  ) -> FieldRow {
    FieldRow(
      "/process/scheduler/\(name)", given: [("/process/scheduler", ["policy": "SCHED_BATCH"])], absent: absent,
      empty: empty, value, set)
  }

  private static func ioPriority(_ name: String, empty: FieldOutcome, _ value: JSONValue) -> FieldRow {
    FieldRow(
      "/process/ioPriority/\(name)", given: [("/process/ioPriority", ["class": "IOPRIO_CLASS_BE", "priority": 7])],
      absent: .refused("/process/ioPriority/\(name)"), empty: empty, value, .sees(["/ioPriority": .number(2 << 13 | 7)])
    )
  }

  private static let scheduling: [FieldRow] = [
    FieldRow(
      "/process/scheduler", absent: ordinary, empty: .refused("/process/scheduler/policy"),
      ["policy": "SCHED_BATCH", "nice": 5], .sees(["/scheduler/policy": 3, "/scheduler/nice": 5])),
    scheduler(
      "policy", absent: .refused("/process/scheduler/policy"), empty: .refused("/process/scheduler/policy"),
      "SCHED_BATCH", batch),
    scheduler("nice", 5, .sees(["/scheduler/policy": 3, "/scheduler/nice": 5])),
    scheduler("priority", 5, .refused("/process/scheduler/priority")),
    scheduler("flags", ["SCHED_FLAG_RESET_ON_FORK"], .sees(["/scheduler/flags": 1])),
    scheduler("runtime", 5000, .refused("/process/scheduler/runtime")),
    scheduler("deadline", 5000, .refused("/process/scheduler/deadline")),
    scheduler("period", 5000, .refused("/process/scheduler/period")),
    FieldRow(
      "/process/ioPriority", absent: .sees(["/ioPriority": 0]), empty: .refused("/process/ioPriority/class"),
      ["class": "IOPRIO_CLASS_IDLE", "priority": 0], .sees(["/ioPriority": .number(3 << 13)])),
    ioPriority("class", empty: .refused("/process/ioPriority/class"), "IOPRIO_CLASS_BE"),
    ioPriority("priority", empty: .sees(["/ioPriority": .number(2 << 13)]), 7),
    // About the processes of `exec` only.
    FieldRow("/process/execCPUAffinity", absent: .runs, empty: .runs, ["initial": "0", "final": "0"], .runs),
    FieldRow("/process/execCPUAffinity/initial", absent: .runs, empty: .runs, "0", .runs),
    FieldRow("/process/execCPUAffinity/final", absent: .runs, empty: .runs, "0", .runs),
  ]
}
