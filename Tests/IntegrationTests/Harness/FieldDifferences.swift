/// Where a peer does otherwise with a property; should it do as the table says after all, the run fails.
struct FieldDifference: Sendable {
  let runtime: String
  let reason: String
  /// Mounts or cgroups stay behind, which would fail the test in any case: not run.
  var leavesThings = false
  /// A pointer that ends in `*` is about all that begin so.
  let cases: [String: Set<FieldState>]

  static let all = runc + crun

  func covers(_ pointer: String, _ state: FieldState) -> Bool {
    cases.contains { key, states in
      states.contains(state) && (key == pointer || key.hasSuffix("/*") && pointer.hasPrefix(key.dropLast()))
    }
  }

  private static let every = Set(FieldState.allCases)
  private static let left: Set<FieldState> = [.absent, .null]
  private static let unset: Set<FieldState> = [.absent, .null, .empty]
  private static let given: Set<FieldState> = [.empty, .set]

  /// Properties that both peers here are too old for.
  private static let newer: [String: Set<FieldState>] = [
    "/process/scheduler": given, "/process/scheduler/*": every, "/process/ioPriority": given,
    "/process/ioPriority/*": every, "/linux/timeOffsets": every, "/linux/timeOffsets/*": every,
    "/linux/netDevices": [.set], "/linux/netDevices/*": every, "/linux/memoryPolicy": given,
    "/linux/memoryPolicy/*": every,
  ]

  private static let numbers: [String: Set<FieldState>] = [
    "/process/user": [.empty], "/process/user/uid": left, "/process/user/gid": left, "/process/rlimits/0/soft": left,
    "/process/rlimits/0/hard": left, "/linux/uidMappings/1/hostID": left, "/linux/gidMappings/1/hostID": left,
    "/linux/devices/0/major": left, "/linux/devices/0/minor": left,
  ]

  private static let sets: [String: Set<FieldState>] = [
    "/process/capabilities/bounding": unset, "/process/capabilities/permitted": unset,
  ]

  private static func difference(
    _ runtime: String, _ reason: String, _ cases: [String: Set<FieldState>]
  ) -> FieldDifference {
    FieldDifference(runtime: runtime, reason: reason, cases: cases)
  }

  /// 1.1.5
  private static let runc = [
    difference("runc", "newer", newer),
    difference("runc", "newer", ["/linux/personality": given, "/linux/personality/*": every]),
    difference("runc", "takes a number that is missing for 0", numbers),
    difference("runc", "the kernel refuses capabilities that are not permitted, or not in the bounding set", sets),
    difference("runc", "makes no device without a path, and says nothing", ["/linux/devices/0/path": unset]),
    difference(
      "runc", "asks for resctrl only where there is a schema",
      [
        "/linux/intelRdt": given, "/linux/intelRdt/closID": every, "/linux/intelRdt/schemata": every,
        "/linux/intelRdt/l3CacheSchema": unset, "/linux/intelRdt/memBwSchema": unset,
        "/linux/intelRdt/enableMonitoring": every,
      ]),
    difference("runc", "leaves the root itself private", ["/linux/rootfsPropagation": [.set]]),
  ]

  /// 1.8.1
  private static let crun = [
    difference("crun", "newer", newer),
    difference("crun", "newer, or passes over it", ["/linux/personality/flags": [.set], "/linux/mountLabel": [.set]]),
    difference("crun", "takes a number that is missing for 0", numbers),
    difference("crun", "the kernel refuses capabilities that are not permitted, or not in the bounding set", sets),
    difference("crun", "starts `sh`", ["/process/args": left]),
    difference(
      "crun", "takes an empty text for a value",
      [
        "/process/apparmorProfile": [.empty], "/process/selinuxLabel": [.empty], "/linux/namespaces/1/path": [.empty],
        "/linux/devices/0/type": [.empty], "/linux/cgroupsPath": [.empty],
      ]),
    difference("crun", "makes up a map", ["/linux/uidMappings": unset]),
    difference(
      "crun", "allows every device where none is listed",
      ["/linux/resources": unset, "/linux/resources/devices": unset]),
    difference("crun", "passes over it", ["/linux/resources/rdma": [.set]]),
    FieldDifference(
      runtime: "crun", reason: "leaves its mounts or its cgroup behind", leavesThings: true,
      cases: [
        "/linux/namespaces": unset, "/linux/resources/hugepageLimits": [.set], "/linux/resources/network": given,
        "/linux/resources/unified": [.set],
      ]),
    difference("crun", "knows no resctrl yet", ["/linux/intelRdt": given, "/linux/intelRdt/*": every]),
    difference("crun", "asks for the action", ["/linux/seccomp": [.empty]]),
  ]
}
