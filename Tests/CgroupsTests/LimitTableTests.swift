import Diagnostics
import OCISpec
import Testing

@testable import Cgroups

/// Values at the edges of what each property of `linux.resources` may be: the file and text on both versions, or the place
/// of the error.
@Suite struct LimitTableTests {
  struct Edge: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var resources: Resources
    /// `file=text` in order; nil where it is refused.
    var v1: [String]?
    var v2: [String]?
    var pointer = ""

    init(_ name: String, _ resources: Resources, v1: [String], v2: [String]) {
      (testDescription, self.resources, self.v1, self.v2) = (name, resources, v1, v2)
    }

    /// Taken on v1 only.
    init(_ name: String, _ resources: Resources, v1: [String], at pointer: String) {
      (testDescription, self.resources, self.v1, self.pointer) = (name, resources, v1, pointer)
    }

    /// Taken on v2 only.
    init(_ name: String, _ resources: Resources, v2: [String], at pointer: String) {
      (testDescription, self.resources, self.v2, self.pointer) = (name, resources, v2, pointer)
    }

    init(_ name: String, _ resources: Resources, at pointer: String) {
      (testDescription, self.resources, self.pointer) = (name, resources, pointer)
    }
  }

  private static func ofMemory(_ memory: MemoryResources) -> Resources { Resources(memory: memory) }
  private static func ofCPU(_ cpu: CPUResources) -> Resources { Resources(cpu: cpu) }
  private static func ofIO(_ blockIO: BlockIOResources) -> Resources { Resources(blockIO: blockIO) }

  private static let most = Int64.max
  private static let mostText = "9223372036854775807"

  static let memory: [Edge] = [
    Edge("limit 1", ofMemory(.init(limit: 1)), v1: ["memory.limit_in_bytes=1"], v2: ["memory.max=1"]),
    Edge(
      "limit max", ofMemory(.init(limit: most)), v1: ["memory.limit_in_bytes=\(mostText)"],
      v2: ["memory.max=\(mostText)"]),
    Edge("limit min", ofMemory(.init(limit: .min)), at: "/memory/limit"),
    Edge("limit -2", ofMemory(.init(limit: -2)), at: "/memory/limit"),
    Edge("swap -2", ofMemory(.init(limit: 4096, swap: -2)), at: "/memory/swap"),
    Edge("swap below the limit", ofMemory(.init(limit: 4096, swap: 4095)), at: "/memory/swap"),
    Edge("swap without a limit", ofMemory(.init(swap: 4096)), at: "/memory/swap"),
    Edge(
      "swap and an endless limit", ofMemory(.init(limit: -1, swap: 4096)),
      v2: ["memory.swap.max=4096", "memory.max=max"], at: "/memory/swap"),
    Edge(
      "swap alone endless", ofMemory(.init(swap: -1)), v1: ["memory.memsw.limit_in_bytes=-1"],
      v2: ["memory.swap.max=max"]),
    Edge(
      "swap max", ofMemory(.init(limit: 1, swap: most)),
      v1: ["memory.limit_in_bytes=1", "memory.memsw.limit_in_bytes=\(mostText)"],
      v2: ["memory.swap.max=9223372036854775806", "memory.max=1"]),
    Edge("reservation -2", ofMemory(.init(reservation: -2)), at: "/memory/reservation"),
    Edge("reservation above the limit", ofMemory(.init(limit: 4096, reservation: 4097)), at: "/memory/reservation"),
    Edge(
      "reservation of the limit", ofMemory(.init(limit: 4096, reservation: 4096)),
      v1: ["memory.limit_in_bytes=4096", "memory.soft_limit_in_bytes=4096"], v2: ["memory.max=4096", "memory.low=4096"]),
    Edge(
      "reservation without a limit", ofMemory(.init(limit: -1, reservation: 4096)),
      v1: ["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1", "memory.soft_limit_in_bytes=4096"],
      v2: ["memory.swap.max=max", "memory.max=max", "memory.low=4096"]),
    Edge("swappiness 0", ofMemory(.init(swappiness: 0)), v1: ["memory.swappiness=0"], v2: []),
    Edge("swappiness 100", ofMemory(.init(swappiness: 100)), v1: ["memory.swappiness=100"], at: "/memory/swappiness"),
    Edge("swappiness 101", ofMemory(.init(swappiness: 101)), at: "/memory/swappiness"),
    Edge(
      "no killer", ofMemory(.init(disableOOMKiller: true)), v1: ["memory.oom_control=1"], at: "/memory/disableOOMKiller"
    ),
    Edge("kernel memory", ofMemory(.init(kernel: most, kernelTCP: most)), v1: [], v2: []),
    Edge("hierarchy", ofMemory(.init(useHierarchy: true)), v1: [], v2: []),
  ]

  static let cpu: [Edge] = [
    Edge("shares 2", ofCPU(.init(shares: 2)), v1: ["cpu.shares=2"], v2: ["cpu.weight=1"]),
    Edge("shares 262144", ofCPU(.init(shares: 262_144)), v1: ["cpu.shares=262144"], v2: ["cpu.weight=10000"]),
    Edge("quota -1", ofCPU(.init(quota: -1)), v1: ["cpu.cfs_quota_us=-1"], v2: ["cpu.max=max 100000"]),
    Edge("quota 0", ofCPU(.init(quota: 0, period: 0)), v1: [], v2: []),
    Edge("quota -2", ofCPU(.init(quota: -2)), at: "/cpu/quota"),
    Edge("quota 999", ofCPU(.init(quota: 999)), at: "/cpu/quota"),
    Edge("quota 1000", ofCPU(.init(quota: 1000)), v1: ["cpu.cfs_quota_us=1000"], v2: ["cpu.max=1000 100000"]),
    Edge(
      "quota max", ofCPU(.init(quota: most)), v1: ["cpu.cfs_quota_us=\(mostText)"], v2: ["cpu.max=\(mostText) 100000"]),
    Edge("period 999", ofCPU(.init(period: 999)), at: "/cpu/period"),
    Edge("period 1000", ofCPU(.init(period: 1000)), v1: ["cpu.cfs_period_us=1000"], v2: ["cpu.max=max 1000"]),
    Edge(
      "period 1000000", ofCPU(.init(period: 1_000_000)), v1: ["cpu.cfs_period_us=1000000"], v2: ["cpu.max=max 1000000"]),
    Edge("period 1000001", ofCPU(.init(period: 1_000_001)), at: "/cpu/period"),
    Edge("period max", ofCPU(.init(period: .max)), at: "/cpu/period"),
    Edge("burst above the quota", ofCPU(.init(quota: 1000, burst: 1001)), at: "/cpu/burst"),
    Edge("burst max", ofCPU(.init(quota: 1000, burst: .max)), at: "/cpu/burst"),
    Edge(
      "burst of the quota", ofCPU(.init(quota: 1000, burst: 1000)),
      v1: ["cpu.cfs_quota_us=1000", "cpu.cfs_burst_us=1000"],
      v2: ["cpu.max=1000 100000", "cpu.max.burst=1000"]),
    Edge(
      "burst without a quota", ofCPU(.init(quota: -1, burst: 1)), v1: ["cpu.cfs_quota_us=-1", "cpu.cfs_burst_us=1"],
      v2: ["cpu.max=max 100000", "cpu.max.burst=1"]),
    Edge("idle -1", ofCPU(.init(idle: -1)), at: "/cpu/idle"), Edge("idle 2", ofCPU(.init(idle: 2)), at: "/cpu/idle"),
    Edge("real time 0", ofCPU(.init(realtimeRuntime: 0, realtimePeriod: 0)), v1: [], v2: []),
    Edge("endless real time", ofCPU(.init(realtimeRuntime: -1)), v1: ["cpu.rt_runtime_us=-1"], v2: []),
    Edge("real time -2", ofCPU(.init(realtimeRuntime: -2)), at: "/cpu/realtimeRuntime"),
    Edge(
      "real time of its period", ofCPU(.init(realtimeRuntime: 1000, realtimePeriod: 1000)),
      v1: ["cpu.rt_period_us=1000", "cpu.rt_runtime_us=1000"], at: "/cpu/realtimeRuntime"),
    Edge(
      "real time above its period", ofCPU(.init(realtimeRuntime: 1001, realtimePeriod: 1000)),
      at: "/cpu/realtimeRuntime"),
    Edge(
      "real-time period", ofCPU(.init(realtimePeriod: 1000)), v1: ["cpu.rt_period_us=1000"], at: "/cpu/realtimePeriod"),
  ]

  private static func throttle(_ major: Int64, _ minor: Int64, _ rate: UInt64) -> Resources {
    ofIO(.init(throttleReadBpsDevice: [.init(major: major, minor: minor, rate: rate)]))
  }
  private static func weights(_ device: WeightDevice...) -> Resources { ofIO(.init(weightDevice: device)) }

  static let blockIO: [Edge] = [
    Edge("weight 0", ofIO(.init(weight: 0)), v1: [], v2: []),
    Edge("weight 9", ofIO(.init(weight: 9)), at: "/blockIO/weight"),
    Edge("weight 10", ofIO(.init(weight: 10)), v1: ["blkio.weight=10"], v2: ["io.bfq.weight=10"]),
    Edge("weight 1000", ofIO(.init(weight: 1000)), v1: ["blkio.weight=1000"], v2: ["io.bfq.weight=1000"]),
    Edge("weight 1001", ofIO(.init(weight: 1001)), at: "/blockIO/weight"),
    Edge("weight max", ofIO(.init(weight: .max)), at: "/blockIO/weight"),
    Edge("leaf weight", ofIO(.init(leafWeight: 10)), at: "/blockIO/leafWeight"),
    Edge("weight of a device", weights(.init(major: 7, minor: 3, weight: 0)), v1: [], v2: []),
    Edge("no weight of a device", weights(.init(major: 7, minor: 3)), at: "/blockIO/weightDevice/0"),
    Edge(
      "weight 5 of a device", weights(.init(major: 7, minor: 3, weight: 10), .init(major: 7, minor: 0, weight: 5)),
      at: "/blockIO/weightDevice/1/weight"),
    Edge(
      "leaf weight of a device", weights(.init(major: 7, minor: 3, leafWeight: 10)),
      at: "/blockIO/weightDevice/0/leafWeight"),
    Edge("major -1", weights(.init(major: -1, minor: 3, weight: 10)), at: "/blockIO/weightDevice/0/major"),
    Edge("minor -1", throttle(8, -1, 1), at: "/blockIO/throttleReadBpsDevice/0/minor"),
    Edge("major 4096", throttle(4096, 0, 1), at: "/blockIO/throttleReadBpsDevice/0/major"),
    Edge("minor 1048576", throttle(8, 1 << 20, 1), at: "/blockIO/throttleReadBpsDevice/0/minor"),
    Edge(
      "greatest number and rate", throttle(4095, (1 << 20) - 1, .max),
      v1: ["blkio.throttle.read_bps_device=4095:1048575 18446744073709551615"],
      v2: ["io.max=4095:1048575 rbps=18446744073709551615"]),
  ]

  private static func pages(_ sizes: String...) -> Resources {
    Resources(hugepageLimits: sizes.map { .init(pageSize: $0, limit: .max) })
  }

  static let others: [Edge] = [
    Edge("tasks -2", Resources(pids: .init(limit: -2)), at: "/pids/limit"),
    Edge("tasks min", Resources(pids: .init(limit: .min)), at: "/pids/limit"),
    Edge("tasks 0", Resources(pids: .init(limit: 0)), v1: ["pids.max=0"], v2: ["pids.max=0"]),
    Edge("tasks -1", Resources(pids: .init(limit: -1)), v1: ["pids.max=max"], v2: ["pids.max=max"]),
    Edge("tasks max", Resources(pids: .init(limit: most)), v1: ["pids.max=\(mostText)"], v2: ["pids.max=\(mostText)"]),
    Edge(
      "huge pages max", pages("1GB"),
      v1: ["hugetlb.1GB.limit_in_bytes=18446744073709551615", "hugetlb.1GB.rsvd.limit_in_bytes=18446744073709551615"],
      v2: ["hugetlb.1GB.max=18446744073709551615", "hugetlb.1GB.rsvd.max=18446744073709551615"]),
    Edge("huge pages twice", pages("2MB", "1GB", "2MB"), at: "/hugepageLimits/2/pageSize"),
    Edge("no page size", pages(""), at: "/hugepageLimits/0/pageSize"),
    Edge("no number", pages("MB"), at: "/hugepageLimits/0/pageSize"),
    Edge("no unit", pages("2"), at: "/hugepageLimits/0/pageSize"),
    Edge("binary unit", pages("2MiB"), at: "/hugepageLimits/0/pageSize"),
    Edge("negative pages", pages("-2MB"), at: "/hugepageLimits/0/pageSize"),
    Edge("class 0", Resources(network: .init(classID: 0, priorities: [])), v1: [], v2: []),
    Edge(
      "class max", Resources(network: .init(classID: .max)), v1: ["net_cls.classid=4294967295"], at: "/network/classID"),
    Edge(
      "priority 0", Resources(network: .init(priorities: [.init(name: "lo", priority: 0)])),
      v1: ["net_prio.ifpriomap=lo 0"], at: "/network/priorities"),
    Edge(
      "handles 0", Resources(rdma: [NamedValue("mlx", .init(hcaHandles: 0))]), v1: ["rdma.max=mlx hca_handle=0"],
      v2: ["rdma.max=mlx hca_handle=0"]),
    Edge(
      "objects max", Resources(rdma: [NamedValue("mlx", .init(hcaObjects: .max))]),
      v1: ["rdma.max=mlx hca_object=4294967295"], v2: ["rdma.max=mlx hca_object=4294967295"]),
    Edge("nothing of a device", Resources(rdma: [NamedValue("mlx", .init())]), at: "/rdma/mlx"),
    Edge(
      "two words", Resources(rdma: [NamedValue("a hca_object=9", .init(hcaHandles: 1))]), at: "/rdma/a hca_object=9"),
    Edge("no name", Resources(rdma: [NamedValue("", .init(hcaHandles: 1))]), at: "/rdma/"),
  ]

  private func text(_ resources: Resources, _ layout: CgroupLayout) throws -> [String] {
    try ResourceConversion.writes(resources, layout: layout).map { "\($0.file)=\($0.text)" }
  }

  @Test(arguments: memory + cpu + blockIO + others) func valueAtTheEdge(_ edge: Edge) throws {
    for (layout, expected) in [(Layouts.v1, edge.v1), (Layouts.v2, edge.v2)] {
      if let expected {
        #expect(try text(edge.resources, layout) == expected)
      } else {
        let error = #expect(throws: RuntimeError.self) { try text(edge.resources, layout) }
        #expect(error?.field == "/linux/resources" + edge.pointer)
        #expect(error?.code == .configInvalid || error?.code == .configUnsupported)
      }
    }
  }

  /// A name with a blank or a line end in it would say more than the document does.
  @Test(arguments: ["", "eth0 7", "eth0\nlo", "\t"]) func nameOfAnInterfaceIsOneWord(_ name: String) {
    let error = #expect(throws: RuntimeError.self) {
      try text(Resources(network: .init(priorities: [.init(name: name, priority: 1)])), Layouts.v1)
    }
    #expect(error?.field == "/linux/resources/network/priorities/0/name")
  }

  @Test func linesOfAFileAreWrittenOneByOne() throws {
    let resources = Resources(unified: [
      NamedValue("io.max", "8:0 rbps=1\n8:16 wbps=2\n"), NamedValue("cpuset.cpus", ""), NamedValue("misc.max", "\n"),
    ])
    #expect(
      try text(resources, Layouts.v2) == ["io.max=8:0 rbps=1", "io.max=8:16 wbps=2", "cpuset.cpus=", "misc.max=\n"])
  }

  @Test(arguments: [("memory.high", "memory"), ("io.max", "blkio"), ("pids.max", "pids")])
  func fileOfAControllerOfV1IsRefusedWithItsPlace(_ file: String, _ controller: String) {
    let error = #expect(throws: RuntimeError.self) {
      try text(Resources(unified: [NamedValue(file, "1")]), Layouts.hybrid)
    }
    #expect(error?.code == .configUnsupported)
    #expect(error?.field == "/linux/resources/unified/" + file)
    #expect(error?.message.contains("`\(controller)`") == true)
    #expect(error?.message.contains("`/sys/fs/cgroup/\(controller)`") == true)
  }

  /// What the layout lacks is named for every property, and a value that holds anyway is none.
  @Test(arguments: [
    (ofMemory(.init(limit: 4096)), "memory"), (ofCPU(.init(shares: 512)), "cpu"), (ofCPU(.init(cpus: "0")), "cpuset"),
    (ofIO(.init(weight: 10)), "blkio"), (Resources(pids: .init(limit: 1)), "pids"), (pages("2MB"), "hugetlb"),
    (Resources(network: .init(classID: 1)), "net_cls"),
    (Resources(network: .init(priorities: [.init(name: "lo", priority: 1)])), "net_prio"),
    (Resources(rdma: [NamedValue("mlx", .init(hcaHandles: 1))]), "rdma"),
  ])
  func controllerThatTheHostLacksIsNamed(_ resources: Resources, _ controller: String) {
    var layout = Layouts.v1
    layout.hierarchies.removeAll { $0.controllers.contains(controller) }
    let error = #expect(throws: RuntimeError.self) { try text(resources, layout) }
    #expect(error?.code == .cgroupLimit)
    #expect(error?.message.contains("`\(controller)`") == true)
    #expect(error?.hint.contains("cgroup v2") == true)
  }
}
