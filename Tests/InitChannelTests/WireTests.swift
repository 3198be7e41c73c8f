import ContainerPlan
import Diagnostics
import LinuxABI
import Testing

@testable import InitChannel

/// A payload that uses every step and every field.
private let everything = InitPayload(
  namespaces: NamespacePlan(
    created: [.newPID, .newMount, .newUser],
    joined: [JoinedNamespace(kind: .newNetwork, path: "/run/netns/x", index: 2, changedBy: "/x")],
    uidMap: [IDRange(inside: 0, outside: 1001, count: 65536)],
    gidMap: [IDRange(inside: 0, outside: 1001, count: 1), IDRange(inside: 1, outside: 5000, count: 9)],
    timeOffsets: "monotonic 5 0\n"),
  steps: [
    .startSession, .newCgroupNamespace, .interfaceUp("lo"), .hostname("host"), .domainname("domain"),
    .keyring("_ses.id"), .propagation(.slaves), .openRoot(path: "/b/rootfs", privateParent: true),
    .mount(
      MountStep(
        index: 3, destination: "proc", source: .bind(path: "/src", recursive: true), set: 1, clear: 2,
        setRecursively: 4, clearRecursively: 8,
        propagation: [.slaves, PropagationChange(kind: 1 << 20, recursive: false)],
        traits: [.copiesUp, .destinationNoFollow],
        idMap: MountIDMap(
          recursive: true, uids: [IDRange(inside: 0, outside: 7, count: 8)],
          gids: [IDRange(inside: 1, outside: 9, count: 3)]), label: "u:r:t")),
    .mount(
      MountStep(
        index: 6, destination: "tmp", source: .remount(attributesOnly: true, parameters: []), clear: 3,
        clearByName: 1)),
    .mount(
      MountStep(
        index: 7, destination: "ov", source: .legacyFileSystem(type: "overlay", source: "o", data: "a=b"))),
    .mount(
      MountStep(
        index: 4, destination: "dev/shm",
        source: .fileSystem(
          type: "tmpfs", source: "shm",
          parameters: [
            MountParameter(key: "size", value: "64k"), MountParameter(key: "newinstance", value: nil),
          ]))),
    .mount(MountStep(index: 5, destination: "sys/fs/cgroup", source: .cgroup)),
    .devices([DeviceNode(path: "dev/null", mode: 0o020666, major: 1, minor: 3, uid: 4, gid: 5)]),
    .deviceLinks, .console(ConsoleStep(rows: 24, columns: 80, isMounted: true)), .mountsMade,
    .hooks([
      HookPlan(
        kind: .createContainer, index: 2, path: "/hook", arguments: ["hook"], environment: ["B=2"], timeout: 9)
    ]),
    .workingDirectory("work"), .maskPaths(["proc/kcore"], label: "a:b"), .readonlyPaths(["proc/sys"]), .readonlyRoot,
    .pivotRoot,
    .changeRoot, .moveRoot, .rootPropagation(PropagationChange(kind: 1 << 18, recursive: true)),
    .openProc, .processLabels, .sysctl(SysctlStep(path: "net/core/somaxconn", value: "1", field: "/linux/sysctl/x")),
  ],
  agent: AgentPlan(
    arguments: ["sh", "-c", "é"], environment: ["A=1"], workingDirectory: "/", uid: 1, gid: 2,
    additionalGids: [3, 4], umask: 0o22,
    capabilities: CapabilityPlan(bounding: 1, effective: 2, permitted: 3, inheritable: 4, ambient: 1 << 40),
    noNewPrivileges: true, limits: [LimitPlan(resource: 7, soft: 1024, hard: .max)], looksUpHome: true,
    attributes: ProcessAttributes(
      oomScoreAdjustment: -7,
      scheduler: SchedulerPlan(
        policy: 6, flags: 1 << 40, nice: -1, priority: 3, runtime: 1 << 50, deadline: 1 << 51, period: 1 << 52),
      ioPriority: 9, personality: 8, memoryPolicy: MemoryPolicyPlan(mode: 3, nodes: [0, 65])),
    labels: ProcessLabels(appArmorProfile: "profile", selinuxLabel: "u:r:t:s0")),
  filter: [1, 2, 3, 4, 5, 6, 7, 8], filterFlags: 2,
  landlock: LandlockPlan(
    files: 0xFFFF, network: 3, scopes: 2, flags: 1,
    paths: [
      LandlockPath(
        path: "/usr", access: 5, ifExists: true, followLinks: true, rule: 1, index: 2,
        place: LandlockPlace(device: 1 << 40, inode: .max, path: "/é"))
    ],
    ports: [LandlockPort(port: 65535, access: 1)]),
  cgroupMounts: [CgroupMountSource(name: "cpu", path: "cpu,cpuacct", isLink: true)], taskFiles: 9,
  hasCgroupDirectory: true, hasConsoleSocket: true, passedDescriptors: 3,
  hooks: InitHooks(
    startContainer: [HookPlan(kind: .startContainer, index: 0, path: "/start", arguments: ["/start"])],
    creatingState: [1, 2], createdState: [3], environment: ["C=3"]))

@Suite struct WireTests {
  @Test func everyFieldOfThePayloadComesBack() throws {
    #expect(try InitPayload(decoding: everything.encode()) == everything)
  }

  @Test func networkDevicesAreAnnouncedInThePayload() throws {
    var payload = everything
    payload.namespaces.takesNetDevices = true
    #expect(try InitPayload(decoding: payload.encode()).namespaces.takesNetDevices)
    let places = [LandlockPlace(device: 1, inode: 2, path: "/a"), .nowhere]
    if case .landlockPlaces(places) = try decodeReport(encodeReport(.landlockPlaces(places))) {
    } else {
      Issue.record("another report")
    }
    if case .note("é") = try decodeReport(encodeReport(.note("é"))) {} else { Issue.record("another report") }
    if case .networkReady = try decodeReport(encodeReport(.networkReady)) {} else { Issue.record("another report") }
  }

  @Test func absentAttributesComeBackAbsent() throws {
    var payload = everything
    for attributes in [ProcessAttributes(), ProcessAttributes(memoryPolicy: MemoryPolicyPlan(mode: 4))] {
      payload.agent?.attributes = attributes
      #expect(try InitPayload(decoding: payload.encode()).agent?.attributes == attributes)
    }
  }

  @Test func aPayloadCutAnywhereIsRefused() {
    let bytes = everything.encode()
    for length in 0..<bytes.count {
      #expect(throws: WireError.self, "cut at \(length)") {
        try InitPayload(decoding: Array(bytes[..<length]))
      }
    }
  }

  /// The message to runc's init had lengths of 16 bits (CVE-2021-43784).
  @Test func textsAndListsBeyond16BitsComeBack() throws {
    var payload = everything
    payload.agent?.arguments = [String(repeating: "x", count: 70_000)]
    payload.agent?.additionalGids = Array(0..<70_000)
    #expect(try InitPayload(decoding: payload.encode()) == payload)
  }

  @Test func bytesBehindThePayloadAreRefused() {
    #expect(throws: WireError.self) { try InitPayload(decoding: everything.encode() + [0]) }
  }

  @Test func aChangedByteNeverTraps() {
    let bytes = everything.encode()
    var refused = 0
    for index in bytes.indices {
      for value: UInt8 in [0, 1, 0x7F, 0xFF] {
        var changed = bytes
        changed[index] = value
        do throws(WireError) { _ = try InitPayload(decoding: changed) } catch { refused += 1 }
      }
    }
    #expect(refused > 0 && refused < 4 * bytes.count)
  }

  @Test func descriptorsFollowOneAnother() {
    var payload = everything
    let all = InitDescriptors(payload)
    #expect([all.channel, all.startSocket, all.consoleSocket, all.firstCgroup] == [3, 5, 6, 7])
    payload.hasConsoleSocket = false
    let without = InitDescriptors(payload)
    #expect([without.consoleSocket, without.firstCgroup] == [-1, 6])
  }

  @Test func anErrorCrossesTheSocketWhole() throws {
    var error = RuntimeError(
      .mount, "cannot attach", field: "/mounts/3", cause: SystemError("move_mount", .invalid, "x"),
      hint: "why")
    error = error.during("inner").during("outer")
    guard case .failed(let received) = try decodeReport(encodeReport(.failed(error))) else {
      Issue.record("another report")
      return
    }
    #expect(received == error)
    #expect(
      received.text == "outer: inner: cannot attach: move_mount x: invalid argument (at `/mounts/3`); why")
  }

  @Test func anErrorTooLongForAPacketKeepsItsCause() throws {
    let error = RuntimeError(
      .mount, String(repeating: "m", count: 80_000),
      cause: SystemError("mount", .busy, String(repeating: "s", count: 80_000)))
    let bytes = encodeReport(.failed(error))
    #expect(bytes.count <= 65536)
    guard case .failed(let received) = try decodeReport(bytes) else {
      Issue.record("another report")
      return
    }
    #expect(received.cause?.errno == .busy)
    #expect(received.code == .mount)
  }

  @Test func everyReportComesBack() throws {
    if case .cloned(let pid) = try decodeReport(encodeReport(.cloned(pid: 4711))) {
      #expect(pid == 4711)
    } else {
      Issue.record("another report")
    }
    if case .warning(let text) = try decodeReport(encodeReport(.warning("careful"))) {
      #expect(text == "careful")
    } else {
      Issue.record("another report")
    }
    if case .listenerMade(let number) = try decodeReport(encodeReport(.listenerMade(number: -70000))) {
      #expect(number == -70000)
    } else {
      Issue.record("another report")
    }
    if case .listenerHeld = try decodeReport(encodeReport(.listenerHeld)) {} else { Issue.record("another report") }
    if case .listenerGiven = try decodeReport(encodeReport(.listenerGiven)) {} else { Issue.record("another report") }
    if case .prepared = try decodeReport(encodeReport(.prepared)) {} else { Issue.record("another report") }
    if case .mountsMade = try decodeReport(encodeReport(.mountsMade)) {} else { Issue.record("another report") }
    if case .userNamespaceReady = try decodeReport(encodeReport(.userNamespaceReady)) {
    } else {
      Issue.record("another report")
    }
    #expect(throws: RuntimeError.self) { try decodeReport([99]) }
  }
}
