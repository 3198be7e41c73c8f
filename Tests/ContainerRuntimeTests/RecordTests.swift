import Cgroups
import ContainerPlan
import InitChannel
import Linux
import OCISpec
import Testing

@testable import ContainerRuntime

private let record = ContainerRecord(
  id: "web", ociVersion: "1.3.0", bundle: "/b", rootfs: "/b/rootfs",
  created: TimeValue(seconds: 5, nanoseconds: 6), owner: "root", annotations: [NamedValue("a", "é")], pid: 4711,
  startTime: 8, processInode: 9, hasPidNamespace: true,
  cgroup: {
    var cgroup = CgroupRecord(directories: [], unit: SystemdUnit(bus: .user, name: "apus-web.scope"))
    cgroup.countsBefore = LimitCounts(oomKills: 1, memoryLimitHits: nil, pidsLimitHits: .max)
    return cgroup
  }(),
  poststart: [
    HookPlan(
      kind: .poststart, index: 0, path: "/x", arguments: ["x", ""], environment: ["A=1"], timeout: 3)
  ],
  poststop: [
    HookPlan(kind: .poststop, index: 0, path: "/y", arguments: ["/y"]),
    HookPlan(kind: .poststop, index: 1, path: "/z", arguments: ["/z"], timeout: .max),
  ],
  execCPUAffinity: ExecCPUAffinity(initial: "0-1", final: "1"), resctrl: ["/r/web"],
  joinedResctrl: ["/r/web", "/r/web/mon_groups/web"],
  devices: DeviceState(
    .inForce,
    DevicePermissions(checked: [
      DevicePermission(allow: false, kind: nil, major: nil, minor: nil, access: .all),
      DevicePermission(allow: true, kind: .character, major: .max, minor: 3, access: [.read]),
    ])), listener: SeccompListener(path: "/run/agent", metadata: "é", closing: .dup3, refusesSending: true),
  landlock: LandlockState(abi: 2, leftOut: ["truncate", "signal"]))

@Suite struct RecordTests {
  @Test func theHooksOfLaterCommandsComeBack() throws {
    let read = try ContainerRecord(decoding: record.encode())
    #expect(read.poststart == record.poststart)
    #expect(read.poststop == record.poststop)
    #expect(read.resctrl == record.resctrl && read.joinedResctrl == record.joinedResctrl)
    #expect(read.devices == record.devices)
    #expect(read.listener == record.listener)
    var without = record
    without.listener = nil
    #expect(try ContainerRecord(decoding: without.encode()).listener == nil)
    #expect(read.landlock == record.landlock)
    without.landlock = nil
    #expect(try ContainerRecord(decoding: without.encode()).landlock == nil)
    #expect(read.cgroup == record.cgroup)
    #expect(read.id == "web" && read.pid == 4711 && read.annotations == record.annotations)
  }

  @Test func aRecordCutAnywhereIsRefused() {
    let bytes = record.encode()
    for length in 0..<bytes.count {
      #expect(throws: WireError.self, "cut at \(length)") {
        try ContainerRecord(decoding: Array(bytes[..<length]))
      }
    }
    #expect(throws: WireError.self) { try ContainerRecord(decoding: bytes + [0]) }
  }

  @Test func aHookOfAKindThatIsNoneIsRefused() throws {
    var bytes = record.encode()
    // The kind is in front of its index, and that in front of the path with its length.
    let path = try #require(bytes.indices.first { bytes[$0...].starts(with: [2, 0, 0, 0, 0x2F, 0x78]) })
    #expect(bytes[path - 5] == HookKind.poststart.rawValue)
    bytes[path - 5] = 6
    #expect(throws: WireError.self) { try ContainerRecord(decoding: bytes) }
  }

  @Test func hooksReadTheStateOfTheRecord() {
    #expect(
      String(decoding: record.hookState(.running, pid: 4711), as: UTF8.self)
        == #"{"ociVersion":"1.3.0","id":"web","status":"running","pid":4711,"bundle":"/b","annotations":{"a":"é"}}"#)
    #expect(
      String(decoding: record.hookState(.stopped, pid: nil), as: UTF8.self)
        == #"{"ociVersion":"1.3.0","id":"web","status":"stopped","bundle":"/b","annotations":{"a":"é"}}"#)
  }

  @Test func theInitStagePutsThePidIntoTheState() {
    #expect(
      String(decoding: InitHooks.document(record.hookState(.created, pid: nil), pid: 1), as: UTF8.self)
        == #"{"pid":1,"ociVersion":"1.3.0","id":"web","status":"created","bundle":"/b","annotations":{"a":"é"}}"#)
  }
}
