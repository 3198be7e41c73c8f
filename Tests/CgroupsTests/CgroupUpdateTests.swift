import Diagnostics
import Foundation
import Linux
import LinuxABI
import OCISpec
import Testing

@testable import Cgroups

/// What `update` writes depends on what holds already.
@Suite struct CgroupUpdateTests {
  struct Order: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var resources: Resources
    var current: CurrentLimits
    var v1: [String]
    var v2: [String]

    init(_ name: String, _ resources: Resources, _ current: CurrentLimits, v1: [String], v2: [String]) {
      testDescription = name
      self.resources = resources
      self.current = current
      self.v1 = v1
      self.v2 = v2
    }
  }

  static let orders: [Order] = [
    Order(
      "both memory limits raised", Resources(memory: .init(limit: 8192, swap: 16384)),
      .init(memory: 4096, memoryAndSwap: 4096),
      v1: ["memory.memsw.limit_in_bytes=16384", "memory.limit_in_bytes=8192"],
      v2: ["memory.swap.max=8192", "memory.max=8192"]),
    Order(
      "both memory limits lowered", Resources(memory: .init(limit: 4096, swap: 4096)),
      .init(memory: 8192, memoryAndSwap: 16384),
      v1: ["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=4096"],
      v2: ["memory.swap.max=0", "memory.max=4096"]),
    Order(
      "limits where there were none", Resources(memory: .init(limit: 4096, swap: 8192)), .init(),
      v1: ["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=8192"],
      v2: ["memory.swap.max=4096", "memory.max=4096"]),
    Order(
      "memory limit alone keeps the sum", Resources(memory: .init(limit: 4096)),
      .init(memory: 8192, memoryAndSwap: 12288),
      v1: ["memory.limit_in_bytes=4096"], v2: ["memory.swap.max=8192", "memory.max=4096"]),
    Order(
      "memory limit alone up to the sum", Resources(memory: .init(limit: 12288)),
      .init(memory: 8192, memoryAndSwap: 12288),
      v1: ["memory.limit_in_bytes=12288"], v2: ["memory.swap.max=0", "memory.max=12288"]),
    Order(
      "memory limit alone without one of swap", Resources(memory: .init(limit: 4096)), .init(memory: 8192),
      v1: ["memory.limit_in_bytes=4096"], v2: ["memory.max=4096"]),
    Order(
      "swap alone", Resources(memory: .init(swap: 16384)), .init(memory: 4096, memoryAndSwap: 8192),
      v1: ["memory.memsw.limit_in_bytes=16384"], v2: ["memory.swap.max=12288"]),
    Order(
      "no limits any more", Resources(memory: .init(limit: -1)), .init(memory: 4096, memoryAndSwap: 4096),
      v1: ["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1"],
      v2: ["memory.swap.max=max", "memory.max=max"]),
    Order(
      "quota alone keeps the period", Resources(cpu: .init(quota: 5000)), .init(quota: 9000, period: 20000),
      v1: ["cpu.cfs_quota_us=5000"], v2: ["cpu.max=5000 20000"]),
    Order(
      "period alone keeps the quota", Resources(cpu: .init(period: 50000)), .init(quota: 9000, period: 20000),
      v1: ["cpu.cfs_period_us=50000"], v2: ["cpu.max=9000 50000"]),
    Order(
      "period alone without a quota", Resources(cpu: .init(period: 50000)), .init(period: 20000),
      v1: ["cpu.cfs_period_us=50000"], v2: ["cpu.max=max 50000"]),
    Order(
      "no quota any more", Resources(cpu: .init(quota: -1)), .init(quota: 9000, period: 20000),
      v1: ["cpu.cfs_quota_us=-1"], v2: ["cpu.max=max 20000"]),
    Order(
      "shorter period", Resources(cpu: .init(quota: 5000, period: 10000)), .init(quota: 50000, period: 100_000),
      v1: ["cpu.cfs_quota_us=5000", "cpu.cfs_period_us=10000"], v2: ["cpu.max=5000 10000"]),
    Order(
      "longer period", Resources(cpu: .init(quota: 50000, period: 100_000)), .init(quota: 5000, period: 10000),
      v1: ["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000"], v2: ["cpu.max=50000 100000"]),
    Order(
      "lower burst", Resources(cpu: .init(quota: 5000, burst: 1000)), .init(quota: 9000, period: 20000, burst: 9000),
      v1: ["cpu.cfs_burst_us=1000", "cpu.cfs_quota_us=5000"], v2: ["cpu.max.burst=1000", "cpu.max=5000 20000"]),
    Order(
      "higher burst", Resources(cpu: .init(quota: 9000, burst: 9000)), .init(quota: 5000, period: 20000, burst: 1000),
      v1: ["cpu.cfs_quota_us=9000", "cpu.cfs_burst_us=9000"], v2: ["cpu.max=9000 20000", "cpu.max.burst=9000"]),
    Order(
      "idle no more, before shares", Resources(cpu: .init(shares: 1024, idle: 0)), .init(isIdle: true),
      v1: ["cpu.idle=0", "cpu.shares=1024"], v2: ["cpu.idle=0", "cpu.weight=100"]),
    Order(
      "idle after shares", Resources(cpu: .init(shares: 1024, idle: 1)), .init(isIdle: false),
      v1: ["cpu.shares=1024", "cpu.idle=1"], v2: ["cpu.weight=100", "cpu.idle=1"]),
    Order(
      "idle again, whatever the shares", Resources(cpu: .init(shares: 512, idle: 1)), .init(isIdle: true),
      v1: ["cpu.idle=1"], v2: ["cpu.idle=1"]),
    // The kernel has cut 200000000 down to whole pages: once on v1, and twice on v2.
    Order(
      "the sum in force, given again as the memory limit", Resources(memory: .init(limit: 200_000_000)),
      .init(memory: 99_999_744, memoryAndSwap: 199_999_488),
      v1: ["memory.limit_in_bytes=200000000"], v2: ["memory.swap.max=0", "memory.max=200000000"]),
    Order(
      "the same where v2 has lost two parts of a page", Resources(memory: .init(limit: 8191)),
      .init(memory: 4096, memoryAndSwap: 8190), v1: ["memory.limit_in_bytes=8191"],
      v2: ["memory.swap.max=0", "memory.max=8191"]),
  ]

  private func text(_ writes: [CgroupWrite]) -> [String] { writes.map { "\($0.file)=\($0.text)" } }

  @Test(arguments: orders) func orderAndTextFollowWhatHolds(_ row: Order) throws {
    #expect(try text(ResourceConversion.writes(row.resources, layout: Layouts.v1, current: row.current)) == row.v1)
    #expect(try text(ResourceConversion.writes(row.resources, layout: Layouts.v2, current: row.current)) == row.v2)
  }

  @Test func realTimeKeepsWithinItsPeriod() throws {
    let resources = Resources(cpu: .init(realtimeRuntime: 500, realtimePeriod: 1000))
    for (current, first) in [(Int64(100), "cpu.rt_period_us"), (5000, "cpu.rt_runtime_us")] {
      let writes = try ResourceConversion.writes(
        resources, layout: Layouts.v1, current: .init(realtimeRuntime: current))
      #expect(writes.map { $0.file }.first == first)
      #expect(writes.count == 2)
    }
  }

  @Test func theOutOfMemoryKillerCanBeTurnedOnAgain() throws {
    let resources = Resources(memory: .init(disableOOMKiller: false))
    let writes = try ResourceConversion.writes(resources, layout: Layouts.v1, current: .init())
    #expect(text(writes) == ["memory.oom_control=0"])
    #expect(try ResourceConversion.writes(resources, layout: Layouts.v2, current: .init()).isEmpty)
  }

  static let contradictions: [(Resources, CurrentLimits, String, Bool)] = [
    (Resources(memory: .init(swap: 1000)), .init(memory: 4096), "/memory/swap", true),
    (Resources(memory: .init(swap: 1000)), .init(), "/memory/swap", true),
    (Resources(memory: .init(limit: -1, swap: 1000)), .init(memory: 10), "/memory/swap", false),
    (Resources(memory: .init(limit: 8192)), .init(memory: 10, memoryAndSwap: 4096), "/memory/limit", false),
    (Resources(memory: .init(limit: 12_288)), .init(memory: 10, memoryAndSwap: 4096), "/memory/limit", true),
    (Resources(cpu: .init(quota: 5000)), .init(quota: 9000, burst: 6000), "/cpu/quota", true),
    (Resources(cpu: .init(quota: 5000, burst: 5001)), .init(), "/cpu/burst", true),
    (Resources(cpu: .init(burst: 5001)), .init(quota: 5000), "/cpu/burst", true),
    (Resources(cpu: .init(shares: 10)), .init(isIdle: true), "/cpu/shares", true),
  ]

  /// Read from the files of v2: what an update of the memory limit alone keeps.
  @Test(arguments: [
    ("max", "max", nil), ("4096", "max", nil), ("4096", "0", nil), ("max", "1000", nil), ("4096", "1000", 5096),
  ])
  func sumOfMemoryAndSwapIsReadFromBothFiles(_ memory: String, _ swap: String, _ sum: UInt64?) throws {
    let folder = try TemporaryFolder(["memory.max": memory, "memory.swap.max": swap])
    var limits = CurrentLimits()
    try limits.read(
      .init(version: .v2, controllers: [], path: folder.path, mountName: "unified", made: []),
      FileDescriptor.open(folder.path, [.readOnly, .directory]))
    #expect(limits == CurrentLimits(memory: UInt64(memory), memoryAndSwap: sum))
  }

  @Test(arguments: contradictions)
  func contradictionToWhatHoldsIsRefusedBeforeAnythingIsWritten(
    _ resources: Resources, _ current: CurrentLimits, _ pointer: String, _ onV2: Bool
  ) throws {
    for layout in onV2 ? [Layouts.v1, Layouts.v2] : [Layouts.v1] {
      let error = #expect(throws: RuntimeError.self) {
        try ResourceConversion.writes(resources, layout: layout, current: current)
      }
      #expect(error?.code == .configInvalid)
      #expect(error?.field == "/linux/resources" + pointer)
    }
  }

  static let restored: [(old: String, file: String, written: String, back: String?)] = [
    ("4096\n", "memory.max", "8192", "4096"), ("max\n", "pids.max", "3", "max"),
    ("max 100000\n", "cpu.max", "5000 20000", "max 100000"),
    ("5000 20000\n", "cpu.max", "5000 10000", "5000 20000"), ("\n", "cpuset.cpus", "0", "\n"),
    ("", "cpuset.cpus", "0", "\n"),
    ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "memory.oom_control", "1", "0"),
    ("8:0 1000\n8:16 5\n", "blkio.throttle.read_bps_device", "8:16 7", "8:16 5"),
    ("8:0 1000\n", "blkio.throttle.read_bps_device", "8:16 7", "8:16 0"),
    ("", "blkio.throttle.write_iops_device", "8:16 7", "8:16 0"),
    (
      "8:0 rbps=max wbps=7 riops=max wiops=max\n", "io.max", "8:0 wbps=9",
      "8:0 rbps=max wbps=7 riops=max wiops=max"
    ),
    ("", "io.max", "8:0 wbps=9", "8:0 rbps=max wbps=max riops=max wiops=max"),
    ("default 100\n8:0 200\n", "io.bfq.weight", "300", "default 100"),
    ("default 100\n8:0 200\n", "io.bfq.weight", "8:0 300", "8:0 200"),
    ("default 100\n", "io.weight", "8:0 300", "8:0 default"),
    ("mlx hca_handle=max hca_object=2\n", "rdma.max", "mlx hca_object=5", "mlx hca_handle=max hca_object=2"),
    ("lo 0\neth0 3\n", "net_prio.ifpriomap", "eth0 5", "eth0 3"),
    ("res_a max\nres_b 2\n", "misc.max", "res_b 5", "res_b 2"), ("a 1\nb 2\n", "some.file", "7", nil),
  ]

  @Test(arguments: restored)
  func textThatRestoresIsTheLineOfTheSameKey(_ row: (old: String, file: String, written: String, back: String?)) {
    #expect(CgroupText.restoring([UInt8](row.old.utf8), file: row.file, written: row.written) == row.back)
  }

  private func list(_ list: DeviceListV1) -> [UInt8] {
    if list.allows { return [UInt8]("a *:* rwm\n".utf8) }
    let lines = list.exceptions.map { "\($0.kind) \($0.major):\($0.minor) \(String($0.access))\n" }
    return [UInt8](lines.joined().utf8)
  }

  private func same(_ one: DeviceListV1, _ other: DeviceListV1) -> Bool {
    one.allows == other.allows
      && Set(list(one).split(separator: 10)).count == Set(list(other).split(separator: 10)).count
      && DevicePermissionTests.requests.allSatisfy {
        one.permits($0.0, $0.1, $0.2, $0.3) == other.permits($0.0, $0.1, $0.2, $0.3)
      }
  }

  /// From any list to any other and back. On the way never less than what both allow, and never more than what either does,
  /// where the container goes on meanwhile.
  @Test(arguments: [false, true]) func listOfDevicesBecomesTheNewOneAndTheOldOneAgain(isKnown: Bool) throws {
    var generator = SeededGenerator(3)
    func random() throws -> DevicePermissions {
      try DevicePermissions(DeviceMatrix.rules(0...6, majors: [1, 8], minors: [0, 3], &generator))
    }
    func played(_ lines: [CgroupWrite]) -> DeviceListV1 {
      var list = DeviceListV1()
      for line in lines { list.write(line.file, line.text) }
      return list
    }
    var kinds: Set<String> = []
    for _ in 0..<800 {
      let (old, new) = (try random(), try random())
      guard let oldLines = try old.linesV1IfAny(), let newLines = try new.linesV1IfAny() else { continue }
      let (before, after) = (played(oldLines), played(newLines))
      let change = try new.changeV1(from: list(before), last: isKnown ? old : nil)
      let stays = before.allows == after.allows && (isKnown || !before.allows)
      #expect(change.holds == !stays)
      var current = before
      for line in change.lines {
        current.write(line.write.file, line.write.text)
        if change.holds { continue }
        for request in DevicePermissionTests.requests {
          func permits(_ list: DeviceListV1) -> Bool { list.permits(request.0, request.1, request.2, request.3) }
          #expect(permits(current) || !(permits(before) && permits(after)), "\(old) \(new) \(request)")
          // For one kind of access at a time: what one list has to read and the other to write may be both for a moment.
          if request.3.count > 1 { continue }
          #expect(!permits(current) || permits(before) || permits(after), "\(old) \(new) \(request)")
        }
      }
      #expect(same(current, after), "\(old) \(new) \(change)")
      for undo in change.lines.flatMap({ $0.undo }).reversed() { current.write(undo.file, undo.text) }
      // Where everything is allowed the file does not show what is denied: what nobody knows any more ends at nothing.
      let shows = isKnown || !before.allows
      #expect(change.restores == shows)
      let back = shows ? before : try played(DevicePermissions([]).linesV1())
      #expect(same(current, back), "\(old) \(new) \(change)")
      kinds.insert("\(before.allows) \(after.allows)")
    }
    #expect(kinds.count == 4)
  }

  @Test func sameRulesChangeNothing() throws {
    let rules = try DevicePermissions([
      DeviceRule(allow: false), DeviceRule(allow: true, type: "c", major: 1, minor: 3, access: "rw"),
    ])
    #expect(try rules.changeV1(from: [UInt8]("c 1:3 rw\n".utf8), last: nil) == DeviceListChange())
    let open = try DevicePermissions([DeviceRule(allow: true), DeviceRule(allow: false, type: "c", major: 1, minor: 3)])
    #expect(try open.changeV1(from: [UInt8]("a *:* rwm\n".utf8), last: open) == DeviceListChange())
  }

  /// By the file alone it would go; by what was set last it is nobody's business.
  @Test func whatSomebodyElseHasAddedStays() throws {
    func rules(_ minor: Int64) throws -> DevicePermissions {
      try DevicePermissions([DeviceRule(allow: true, type: "c", major: 1, minor: minor)])
    }
    let change = try rules(5).changeV1(from: [UInt8]("c 1:3 rwm\nc 195:0 rw\n".utf8), last: rules(3))
    #expect(
      change.lines.map { "\($0.write.file) \($0.write.text)" } == [
        "devices.allow c 1:5 rwm", "devices.deny c 1:3 rwm",
      ])
  }

  @Test func deviceStateKnowsWhatIsTheSame() throws {
    let rules = try DevicePermissions([
      DeviceRule(allow: false), DeviceRule(allow: true, type: "c", major: 1, minor: 3),
    ])
    let longer = try DevicePermissions(
      [DeviceRule(allow: true), DeviceRule(allow: false)] + [
        DeviceRule(allow: true, type: "c", major: 1, minor: 3, access: "mwr")
      ])
    let other = try DevicePermissions([DeviceRule(allow: true, type: "c", major: 1, minor: 5)])
    for (state, isSame, isSameWithoutRoot) in [
      (DeviceState(.inForce, rules), true, true), (DeviceState(.refused, rules), false, true),
      (DeviceState(.unknown, rules), false, false), (DeviceState(), false, false),
    ] {
      #expect(state.isSame(as: longer, mayBeLeftOut: false) == isSame)
      #expect(state.isSame(as: longer, mayBeLeftOut: true) == isSameWithoutRoot)
      #expect(!state.isSame(as: other, mayBeLeftOut: true))
    }
  }

  @Test func missingFilePutsTheOthersBack() throws {
    let files = ["memory.max": "4096", "memory.swap.max": "1000", "cpu.max": "max 100000"]
    let folder = try TemporaryFolder(files)
    let record = CgroupRecord(directories: [
      .init(version: .v2, controllers: [], path: folder.path, mountName: "unified", made: [])
    ])
    let error = #expect(throws: RuntimeError.self) {
      try CgroupManager(record: record).update(
        Resources(memory: .init(limit: 8192, swap: 9192), pids: .init(limit: 5)), pointer: "/r")
    }
    #expect(error?.field == "/r/pids/limit")
    #expect(try folder.content() == files)
    try CgroupManager(record: record).update(
      Resources(memory: .init(limit: 5000), cpu: .init(period: 200_000)), pointer: "/r")
    #expect(try folder.read("memory.max") == "5000")
    #expect(try folder.read("memory.swap.max").hasPrefix("96"))
    #expect(try folder.read("cpu.max") == "max 200000")
  }

  @Test func containerWithoutACgroupHasNoLimits() throws {
    let without = CgroupManager(record: CgroupRecord(directories: []))
    let error = #expect(throws: RuntimeError.self) {
      try without.update(Resources(pids: .init(limit: 5)), pointer: "")
    }
    #expect(error?.code == .cgroup)
    // There is nothing that would not hold.
    try without.update(Resources(), pointer: "")
    for verb in [{ try $0.pause() }, { try $0.resume() }] as [(CgroupManager) throws -> Void] {
      let error = #expect(throws: RuntimeError.self) { try verb(CgroupManager(record: CgroupRecord(directories: []))) }
      #expect(error?.message.contains("no cgroup") == true)
    }
  }
}
