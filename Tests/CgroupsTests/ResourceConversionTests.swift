import Diagnostics
import Foundation
import OCISpec
import Testing

@testable import Cgroups

/// One row: a document, and the writes as `file=text` in order. A write that a fresh cgroup does not need has a `~` in
/// front, one that is made last a `!`.
struct Row: CustomTestStringConvertible, Sendable {
  let name: String
  let resources: Resources
  let v1: [String]
  let v2: [String]
  var testDescription: String { name }

  init(_ name: String, _ resources: Resources, v1: [String], v2: [String]) {
    self.name = name
    self.resources = resources
    self.v1 = v1
    self.v2 = v2
  }

  static func memory(_ name: String, _ memory: MemoryResources, v1: [String], v2: [String]) -> Row {
    Row(name, Resources(memory: memory), v1: v1, v2: v2)
  }
  static func cpu(_ name: String, _ cpu: CPUResources, v1: [String], v2: [String]) -> Row {
    Row(name, Resources(cpu: cpu), v1: v1, v2: v2)
  }
}

@Suite struct ResourceConversionTests {
  static let rows: [Row] = [
    .memory(
      "limit", .init(limit: 4096), v1: ["memory.limit_in_bytes=4096"], v2: ["memory.max=4096"]),
    .memory("zero is unset", .init(limit: 0, reservation: 0, swap: 0), v1: [], v2: []),
    .memory(
      "unlimited", .init(limit: -1), v1: ["~memory.memsw.limit_in_bytes=-1", "~memory.limit_in_bytes=-1"],
      v2: ["~memory.swap.max=max", "~memory.max=max"]),
    .memory(
      "limit and swap", .init(limit: 4096, swap: 12288),
      v1: ["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=12288"],
      v2: ["memory.swap.max=8192", "memory.max=4096"]),
    .memory(
      "no swap", .init(limit: 4096, swap: 4096),
      v1: ["memory.limit_in_bytes=4096", "memory.memsw.limit_in_bytes=4096"],
      v2: ["memory.swap.max=0", "memory.max=4096"]),
    .memory(
      "endless swap", .init(limit: 4096, swap: -1),
      v1: ["~memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=4096"],
      v2: ["~memory.swap.max=max", "memory.max=4096"]),
    .memory(
      "reservation", .init(reservation: 4096), v1: ["memory.soft_limit_in_bytes=4096"],
      v2: ["memory.low=4096"]),
    .memory(
      "no reservation", .init(reservation: -1), v1: ["~memory.soft_limit_in_bytes=-1"], v2: ["~memory.low=0"]),
    .memory(
      "defaults",
      .init(swappiness: nil, disableOOMKiller: false, useHierarchy: true, checkBeforeUpdate: false),
      v1: [], v2: []),
    .memory("kernel memory is ignored", .init(kernel: 4096, kernelTCP: 4096), v1: [], v2: []),
    .cpu("shares", .init(shares: 512), v1: ["cpu.shares=512"], v2: ["cpu.weight=59"]),
    .cpu("default shares", .init(shares: 1024), v1: ["~cpu.shares=1024"], v2: ["~cpu.weight=100"]),
    .cpu("no shares", .init(shares: 0), v1: [], v2: []),
    .cpu(
      "quota and period", .init(quota: 20000, period: 50000),
      v1: ["cpu.cfs_period_us=50000", "cpu.cfs_quota_us=20000"], v2: ["cpu.max=20000 50000"]),
    .cpu("quota", .init(quota: 20000), v1: ["cpu.cfs_quota_us=20000"], v2: ["cpu.max=20000 100000"]),
    .cpu("period", .init(period: 50000), v1: ["cpu.cfs_period_us=50000"], v2: ["cpu.max=max 50000"]),
    .cpu("no quota", .init(quota: -1), v1: ["~cpu.cfs_quota_us=-1"], v2: ["~cpu.max=max 100000"]),
    .cpu(
      "burst", .init(quota: 20000, burst: 10000), v1: ["cpu.cfs_quota_us=20000", "cpu.cfs_burst_us=10000"],
      v2: ["cpu.max=20000 100000", "cpu.max.burst=10000"]),
    .cpu("no burst", .init(burst: 0), v1: ["~cpu.cfs_burst_us=0"], v2: ["~cpu.max.burst=0"]),
    .cpu(
      "idle after shares", .init(shares: 512, idle: 1), v1: ["cpu.shares=512", "cpu.idle=1"],
      v2: ["cpu.weight=59", "cpu.idle=1"]),
    .cpu("not idle", .init(idle: 0), v1: ["~cpu.idle=0"], v2: ["~cpu.idle=0"]),
    .cpu(
      "sets", .init(cpus: "0-1", mems: "0"), v1: ["cpuset.cpus=0-1", "cpuset.mems=0"],
      v2: ["cpuset.cpus=0-1", "cpuset.mems=0"]),
    .cpu("empty sets", .init(cpus: "", mems: ""), v1: [], v2: []),
    Row("tasks", Resources(pids: .init(limit: 32)), v1: ["!pids.max=32"], v2: ["!pids.max=32"]),
    Row("no tasks at all", Resources(pids: .init(limit: 0)), v1: ["!pids.max=0"], v2: ["!pids.max=0"]),
    Row("endless tasks", Resources(pids: .init(limit: -1)), v1: ["~!pids.max=max"], v2: ["~!pids.max=max"]),
    Row("unset tasks", Resources(pids: .init(limit: nil)), v1: [], v2: []),
    Row(
      "huge pages", Resources(hugepageLimits: [.init(pageSize: "2MB", limit: 0)]),
      v1: ["hugetlb.2MB.limit_in_bytes=0", "hugetlb.2MB.rsvd.limit_in_bytes=0"],
      v2: ["hugetlb.2MB.max=0", "hugetlb.2MB.rsvd.max=0"]),
    Row(
      "weights",
      Resources(blockIO: .init(weight: 10, weightDevice: [.init(major: 8, minor: 0, weight: 1000)])),
      v1: [
        "blkio.weight=10|blkio.bfq.weight=10",
        "blkio.weight_device=8:0 1000|blkio.bfq.weight_device=8:0 1000",
      ],
      v2: ["io.bfq.weight=10|io.weight=1", "io.bfq.weight=8:0 1000|io.weight=8:0 10000"]),
    Row(
      "throttles",
      Resources(
        blockIO: .init(
          throttleReadBpsDevice: [.init(major: 8, minor: 0, rate: 1)],
          throttleWriteBpsDevice: [.init(major: 8, minor: 0, rate: 2)],
          throttleReadIOPSDevice: [.init(major: 8, minor: 16, rate: 3)],
          throttleWriteIOPSDevice: [.init(major: 8, minor: 0, rate: 0)])),
      v1: [
        "blkio.throttle.read_bps_device=8:0 1", "blkio.throttle.write_bps_device=8:0 2",
        "blkio.throttle.read_iops_device=8:16 3", "~blkio.throttle.write_iops_device=8:0 0",
      ], v2: ["io.max=8:0 rbps=1", "io.max=8:0 wbps=2", "io.max=8:16 riops=3", "~io.max=8:0 wiops=max"]),
    Row(
      "rdma", Resources(rdma: [NamedValue("mlx4_0", .init(hcaHandles: 2, hcaObjects: 3))]),
      v1: ["rdma.max=mlx4_0 hca_handle=2 hca_object=3"], v2: ["rdma.max=mlx4_0 hca_handle=2 hca_object=3"]),
  ]

  private func text(_ writes: [CgroupWrite]) -> [String] {
    writes.map { write in
      var text = "\(write.isDefault ? "~" : "")\(write.phase == .last ? "!" : "")\(write.file)=\(write.text)"
      if case .alternative(let file, let other) = write.missing { text += "|\(file)=\(other)" }
      return text
    }
  }

  @Test(arguments: rows) func writesOnV1(_ row: Row) throws {
    let writes = try ResourceConversion.writes(row.resources, layout: Layouts.v1)
    #expect(text(writes) == row.v1)
    #expect(writes.allSatisfy { $0.version == .v1 })
  }

  @Test(arguments: rows) func writesOnV2(_ row: Row) throws {
    let writes = try ResourceConversion.writes(row.resources, layout: Layouts.v2)
    #expect(text(writes) == row.v2)
    #expect(writes.allSatisfy { $0.version == .v2 })
  }

  @Test func onlyV1Properties() throws {
    let resources = Resources(
      memory: .init(swappiness: 10, disableOOMKiller: true),
      cpu: .init(realtimeRuntime: 1000, realtimePeriod: 20000),
      network: .init(classID: 5, priorities: [.init(name: "eth0", priority: 7)]))
    #expect(
      text(try ResourceConversion.writes(resources, layout: Layouts.v1)) == [
        "memory.swappiness=10", "memory.oom_control=1", "cpu.rt_period_us=20000", "cpu.rt_runtime_us=1000",
        "net_cls.classid=5", "net_prio.ifpriomap=eth0 7",
      ])
    let refused = ResourceConversion.unsupported(resources, layout: Layouts.v2)
    #expect(
      refused.map { $0.field } == [
        "/linux/resources/memory/disableOOMKiller", "/linux/resources/memory/swappiness",
        "/linux/resources/cpu/realtimeRuntime", "/linux/resources/cpu/realtimePeriod",
        "/linux/resources/network/classID", "/linux/resources/network/priorities",
      ])
    #expect(refused.allSatisfy { $0.code == .configUnsupported })
    #expect(throws: RuntimeError.self) { try ResourceConversion.writes(resources, layout: Layouts.v2) }
  }

  @Test func valuesThatHoldAnywayAreAcceptedOnV2() throws {
    let resources = Resources(
      memory: .init(limit: -1, swappiness: 0, disableOOMKiller: false),
      cpu: .init(realtimeRuntime: 0, realtimePeriod: 0), blockIO: .init(leafWeight: 0),
      network: .init(classID: 0, priorities: []), unified: [])
    #expect(ResourceConversion.unsupported(resources, layout: Layouts.v2).isEmpty)
    #expect(try ResourceConversion.writes(resources, layout: Layouts.v2).allSatisfy { $0.isDefault })
  }

  @Test func controllerWithoutAMountIsRefusedByName() throws {
    var layout = Layouts.v1
    layout.hierarchies.removeAll { $0.controllers.contains("pids") }
    let error = #expect(throws: RuntimeError.self) {
      try ResourceConversion.writes(Resources(pids: .init(limit: 3)), layout: layout)
    }
    #expect(error?.field == "/linux/resources/pids/limit")
    #expect(error?.message.contains("`pids`") == true)
    #expect(try ResourceConversion.writes(Resources(pids: .init(limit: -1)), layout: layout).isEmpty)
  }

  @Test func hybridUsesV2ForWhatV1DoesNotHave() throws {
    let resources = Resources(
      memory: .init(limit: 4096), hugepageLimits: [.init(pageSize: "1GB", limit: 7)],
      unified: [NamedValue("hugetlb.2MB.max", "0")])
    let writes = try ResourceConversion.writes(resources, layout: Layouts.hybrid)
    #expect(writes.map { $0.version } == [.v1, .v2, .v2, .v2])
  }

  @Test func unifiedComesLastAndKnowsThePidsLimit() throws {
    let resources = Resources(
      memory: .init(limit: 4096),
      unified: [NamedValue("memory.high", "100"), NamedValue("pids.max", "5"), NamedValue("io.weight", "7")])
    let writes = try ResourceConversion.writes(resources, layout: Layouts.v2)
    #expect(text(writes) == ["memory.max=4096", "memory.high=100", "!pids.max=5", "io.weight=7"])
    #expect(writes[3].controller == "blkio")
    let error = ResourceConversion.unsupported(resources, layout: Layouts.v1).first
    #expect(error?.field == "/linux/resources/unified")
  }

  @Test(arguments: [
    "a/b", "", "noDot", ".x", "cgroup.procs", "cgroup.kill", "cgroup.subtree_control", "../x",
  ])
  func badUnifiedNameIsRefused(_ name: String) {
    #expect(throws: RuntimeError.self) {
      try ResourceConversion.writes(Resources(unified: [NamedValue(name, "1")]), layout: Layouts.v2)
    }
  }

  static let invalid: [(Resources, String)] = [
    (Resources(memory: .init(limit: -2)), "/memory/limit"),
    (Resources(memory: .init(limit: 4096, swap: 4095)), "/memory/swap"),
    (Resources(memory: .init(swap: 4095)), "/memory/swap"),
    (Resources(cpu: .init(quota: -2)), "/cpu/quota"),
    (Resources(cpu: .init(idle: 2)), "/cpu/idle"),
    (Resources(cpu: .init(quota: 5000, burst: 5001)), "/cpu/burst"),
    (Resources(pids: .init(limit: -2)), "/pids/limit"),
    (Resources(blockIO: .init(weight: 9)), "/blockIO/weight"),
    (Resources(blockIO: .init(leafWeight: 10)), "/blockIO/leafWeight"),
    (Resources(hugepageLimits: [.init(pageSize: "2mb", limit: 1)]), "/hugepageLimits/0/pageSize"),
    (Resources(hugepageLimits: [.init(pageSize: "../MB", limit: 1)]), "/hugepageLimits/0/pageSize"),
    (Resources(rdma: [NamedValue("a/b", .init())]), "/rdma/a~1b"),
  ]

  @Test(arguments: invalid) func badValueIsRefusedWithItsPointer(_ resources: Resources, _ pointer: String) {
    for layout in [Layouts.v1, Layouts.v2] {
      let error = #expect(throws: RuntimeError.self) {
        try ResourceConversion.writes(resources, layout: layout)
      }
      #expect(error?.field == "/linux/resources" + pointer)
    }
  }

  @Test func sharesBeyondTheScaleOfV1AreRefused() {
    for shares in [UInt64(1), 262_145] {
      #expect(throws: RuntimeError.self) {
        try ResourceConversion.writes(Resources(cpu: .init(shares: shares)), layout: Layouts.v1)
      }
    }
  }

  @Test func orderOfTheMemoryLimitsFollowsTheOneInForce() throws {
    let resources = Resources(memory: .init(limit: 8192, swap: 16384))
    let raised = try ResourceConversion.writes(resources, layout: Layouts.v1, current: CurrentLimits(memory: 4096))
    #expect(raised.map { $0.text } == ["16384", "8192"])
    let lowered = try ResourceConversion.writes(resources, layout: Layouts.v1, current: CurrentLimits(memory: 65536))
    #expect(lowered.map { $0.text } == ["8192", "16384"])
    let swapOnly = try ResourceConversion.writes(
      Resources(memory: .init(swap: 16384)), layout: Layouts.v2, current: CurrentLimits(memory: 4096))
    #expect(text(swapOnly) == ["memory.swap.max=12288"])
  }

  @Test func everyPartIsLookedAtByItself() {
    let resources = Resources(
      memory: .init(swap: 1), cpu: .init(shares: 1, quota: -2, realtimePeriod: 1, idle: 2),
      pids: .init(limit: -2), blockIO: .init(weight: 1), hugepageLimits: [.init(pageSize: "x", limit: 1)],
      rdma: [.init("card", .init())], unified: [.init("memory", "1")])
    #expect(
      ResourceConversion.gather(resources, layout: Layouts.v1).errors.map {
        $0.field.dropFirst("/linux/resources/".count)
      }
        == [
          "unified", "memory/swap", "cpu/shares", "cpu/idle", "cpu/quota", "blockIO/weight",
          "hugepageLimits/0/pageSize",
          "rdma/card", "pids/limit", "unified/memory",
        ])
    #expect(ResourceConversion.gather(Resources(), layout: Layouts.v1).errors.isEmpty)
  }

  @Test func kernelMemoryWarns() {
    let warnings = ResourceConversion.warnings(Resources(memory: .init(kernel: 1, kernelTCP: 1)))
    #expect(
      warnings.map { $0.field } == ["/linux/resources/memory/kernel", "/linux/resources/memory/kernelTCP"])
    #expect(ResourceConversion.warnings(Resources(memory: .init(kernel: -1, kernelTCP: 0))).isEmpty)
  }

  @Test func memoryThatIsNotCountedHierarchicallyWarns() {
    let warnings = ResourceConversion.warnings(Resources(memory: .init(useHierarchy: false)))
    #expect(warnings.map { $0.field } == ["/linux/resources/memory/useHierarchy"])
    #expect(ResourceConversion.warnings(Resources(memory: .init(useHierarchy: true))).isEmpty)
  }

  @Test func weightFollowsTheCurveOfThePeers() {
    #expect(CPUWeight.weight(shares: 0) == nil)
    for (shares, weight) in [(1, 1), (2, 1), (1024, 100), (262_144, 10_000), (UInt64.max, 10_000)] {
      #expect(CPUWeight.weight(shares: UInt64(shares)) == UInt64(weight))
    }
    var different: [UInt64] = []
    for shares in UInt64(3)..<262_144 {
      let l = log2(Double(shares))
      let expected = UInt64(ceil(pow(10, (l * l + 125 * l) / 612 - 7.0 / 34)))
      if CPUWeight.weight(shares: shares) != expected { different.append(shares) }
    }
    #expect(different.isEmpty)
  }
}
