import Diagnostics
import Foundation
import OCISpec
import Testing

@testable import Cgroups

/// A folder with files of one cgroup, as the kernel writes them.
private final class CgroupFolder: TemporaryFolder {
  func manager(_ version: CgroupVersion, _ controllers: [String] = []) -> CgroupManager {
    CgroupManager(record: CgroupRecord(directories: [directory(version, controllers)]))
  }

  /// - Parameter isMade: for the container, and not there before.
  func directory(
    _ version: CgroupVersion, _ controllers: [String] = [], isMade: Bool = true
  ) -> CgroupRecord.Directory {
    CgroupRecord.Directory(
      version: version, controllers: controllers, path: path, mountName: "", made: isMade ? [path] : [])
  }

  func write(_ text: String, to name: String) throws {
    try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
  }
}

private let controllersV1 = ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "hugetlb"]

private let filesV1: [String: String] = [
  "cpu.stat": "nr_periods 7\nnr_throttled 3\nthrottled_time 123456789\nnr_bursts 0\nburst_time 0\n",
  "cpuacct.stat": "user 12\nsystem 34\n", "cpuacct.usage": "987654321\n",
  "cpuacct.usage_percpu": "500000000 487654321 \n",
  "cpuacct.usage_all": "cpu user system\n0 300 200\n1 400 87\n",
  "cpuset.cpus": "0-1,5\n", "cpuset.mems": "0\n", "cpuset.cpu_exclusive": "1\n", "cpuset.mem_hardwall": "0\n",
  "cpuset.sched_load_balance": "1\n", "cpuset.sched_relax_domain_level": "-1\n", "cpuset.memory_pressure": "17\n",
  "memory.stat": "cache 4096\nrss 8192\ntotal_cache 4096\n",
  "memory.usage_in_bytes": "12288\n", "memory.max_usage_in_bytes": "20480\n", "memory.failcnt": "5\n",
  "memory.limit_in_bytes": "9223372036854771712\n",
  "memory.memsw.usage_in_bytes": "12289\n", "memory.memsw.max_usage_in_bytes": "20481\n",
  "memory.memsw.failcnt": "6\n", "memory.memsw.limit_in_bytes": "67108864\n",
  "memory.kmem.usage_in_bytes": "1000\n", "memory.kmem.max_usage_in_bytes": "1001\n", "memory.kmem.failcnt": "1\n",
  "memory.kmem.limit_in_bytes": "9223372036854771712\n",
  "memory.kmem.tcp.usage_in_bytes": "2000\n", "memory.kmem.tcp.max_usage_in_bytes": "2001\n",
  "memory.kmem.tcp.failcnt": "2\n", "memory.kmem.tcp.limit_in_bytes": "9223372036854771712\n",
  "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
  "pids.current": "3\n", "pids.max": "40\n", "pids.events": "max 9\n",
  "blkio.bfq.io_service_bytes_recursive": "Total 0\n",
  "blkio.throttle.io_service_bytes_recursive":
    "254:0 Read 4096\n254:0 Write 8192\n254:0 Discard 0\n254:0 Total 12288\nTotal 12288\n",
  "blkio.throttle.io_service_bytes": "254:0 Read 1\nTotal 1\n",
  "blkio.throttle.io_serviced_recursive": "254:0 Read 1\n254:0 Write 2\nTotal 3\n",
  "blkio.bfq.sectors_recursive": "254:16 24\n", "blkio.bfq.time_recursive": "254:16 25\n",
  "blkio.io_queued_recursive": "254:16 Read 26\n", "blkio.io_service_time_recursive": "254:16 Read 27\n",
  "blkio.io_wait_time_recursive": "254:16 Read 28\n", "blkio.io_merged_recursive": "254:16 Read 29\n",
  "hugetlb.2MB.usage_in_bytes": "2097152\n", "hugetlb.2MB.max_usage_in_bytes": "4194304\n",
  "hugetlb.2MB.failcnt": "8\n", "hugetlb.1GB.usage_in_bytes": "0\n",
]

private let filesV2: [String: String] = [
  "cpu.stat":
    "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnice_usec 0\nnr_periods 4\nnr_throttled 2\nthrottled_usec 77\n",
  "cpu.pressure":
    "some avg10=1.50 avg60=0.07 avg300=0.00 total=4242\nfull avg10=100.00 avg60=12.34 avg300=2.00 total=17\n",
  "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
  "io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
  "memory.stat": "anon 100\nfile 200\nslab 300\n", "memory.current": "4096\n", "memory.max": "1048576\n",
  "memory.peak": "8192\n", "memory.swap.current": "512\n", "memory.swap.max": "2048\n", "memory.swap.peak": "600\n",
  "memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
  "pids.current": "6\n", "pids.max": "max\n", "pids.events": "max 5\n",
  "io.stat":
    "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:0 7:1 rbytes=5 wbytes=6 rios=7 wios=8\n",
  "hugetlb.2MB.current": "2097152\n", "hugetlb.2MB.events": "max 4\n", "hugetlb.2MB.rsvd.current": "3\n",
]

@Suite struct StatisticsTests {
  private func event(_ statistics: ContainerStatistics) -> String {
    String(decoding: ContainerEvent.statistics(statistics).document(id: "box"), as: UTF8.self)
  }

  @Test func filesOfV1BecomeTheEventOfRunc() throws {
    let folder = try CgroupFolder(filesV1)
    let statistics = try folder.manager(.v1, controllersV1).statistics()
    let golden: [String] = [
      #"{"type":"stats","id":"box","data":{"#,
      #""cpu":{"usage":{"total":987654321,"percpu":[500000000,487654321],"percpu_kernel":[200,87],"#,
      #""percpu_user":[300,400],"kernel":340000000,"user":120000000},"#,
      #""throttling":{"periods":7,"throttledPeriods":3,"throttledTime":123456789}},"#,
      #""cpuset":{"cpus":[0,1,5],"mems":[0],"cpu_exclusive":1,"mem_hardwall":0,"mem_exclusive":0,"#,
      #""memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":17,"#,
      #""sched_load_balance":1,"sched_relax_domain_level":-1},"#,
      #""memory":{"cache":4096,"usage":{"limit":9223372036854771712,"usage":12288,"max":20480,"failcnt":5},"#,
      #""swap":{"limit":67108864,"usage":12289,"max":20481,"failcnt":6},"#,
      #""kernel":{"limit":9223372036854771712,"usage":1000,"max":1001,"failcnt":1},"#,
      #""kernelTCP":{"limit":9223372036854771712,"usage":2000,"max":2001,"failcnt":2},"#,
      #""raw":{"cache":4096,"rss":8192,"total_cache":4096}},"#,
      #""pids":{"current":3,"limit":40},"#,
      #""blkio":{"ioServiceBytesRecursive":[{"major":254,"op":"Read","value":4096},"#,
      #"{"major":254,"op":"Write","value":8192},{"major":254,"op":"Discard"},"#,
      #"{"major":254,"op":"Total","value":12288}],"#,
      #""ioServicedRecursive":[{"major":254,"op":"Read","value":1},{"major":254,"op":"Write","value":2}],"#,
      #""ioQueueRecursive":[{"major":254,"minor":16,"op":"Read","value":26}],"#,
      #""ioServiceTimeRecursive":[{"major":254,"minor":16,"op":"Read","value":27}],"#,
      #""ioWaitTimeRecursive":[{"major":254,"minor":16,"op":"Read","value":28}],"#,
      #""ioMergedRecursive":[{"major":254,"minor":16,"op":"Read","value":29}],"#,
      #""ioTimeRecursive":[{"major":254,"minor":16,"value":25}],"#,
      #""sectorsRecursive":[{"major":254,"minor":16,"value":24}]},"#,
      #""hugetlb":{"1GB":{"failcnt":0},"2MB":{"usage":2097152,"max":4194304,"failcnt":8}},"#,
      #""intel_rdt":{},"network_interfaces":null}}"#,
    ]
    #expect(event(statistics) == golden.joined())
  }

  /// What is reserved is refused first: the other files do not know of it.
  @Test func hugePagesOfV1AreThoseThatAreReserved() throws {
    var files = filesV1
    files["hugetlb.2MB.rsvd.usage_in_bytes"] = "6291456\n"
    files["hugetlb.2MB.rsvd.max_usage_in_bytes"] = "8388608\n"
    files["hugetlb.2MB.rsvd.failcnt"] = "9\n"
    let folder = try CgroupFolder(files)
    let text = event(try folder.manager(.v1, controllersV1).statistics())
    let wanted = #""hugetlb":{"1GB":{"failcnt":0},"2MB":{"usage":6291456,"max":8388608,"failcnt":9}}"#
    #expect(text.contains(wanted), "\(text)")
  }

  @Test func filesOfV2BecomeTheEventOfRunc() throws {
    let folder = try CgroupFolder(filesV2)
    let statistics = try folder.manager(.v2).statistics()
    let idle = #"{"avg10":0,"avg60":0,"avg300":0,"total":"#
    let golden: [String] = [
      #"{"type":"stats","id":"box","data":{"#,
      #""cpu":{"usage":{"total":5000000,"kernel":2000000,"user":3000000},"#,
      #""throttling":{"periods":4,"throttledPeriods":2,"throttledTime":77000},"#,
      #""psi":{"some":{"avg10":1.5,"avg60":0.07,"avg300":0,"total":4242},"#,
      #""full":{"avg10":100,"avg60":12.34,"avg300":2,"total":17}}},"#,
      #""cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"#,
      #""memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"#,
      #""sched_load_balance":0,"sched_relax_domain_level":0},"#,
      #""memory":{"cache":200,"usage":{"limit":1048576,"usage":4096,"max":8192,"failcnt":0},"#,
      #""swap":{"limit":1050624,"usage":4608,"failcnt":0},"kernel":{"limit":0,"failcnt":0},"#,
      #""kernelTCP":{"limit":0,"failcnt":0},"raw":{"anon":100,"file":200,"slab":300},"#,
      #""psi":{"some":\#(idle)1},"full":\#(idle)0}}},"#,
      #""pids":{"current":6},"#,
      #""blkio":{"ioServiceBytesRecursive":[{"major":254,"op":"Read","value":4096},"#,
      #"{"major":254,"op":"Write","value":8192},{"major":7,"minor":1,"op":"Read","value":5},"#,
      #"{"major":7,"minor":1,"op":"Write","value":6}],"#,
      #""ioServicedRecursive":[{"major":254,"op":"Read","value":1},{"major":254,"op":"Write","value":2},"#,
      #"{"major":7,"minor":1,"op":"Read","value":7},{"major":7,"minor":1,"op":"Write","value":8}],"#,
      #""psi":{"some":\#(idle)2},"full":\#(idle)0}}},"#,
      #""hugetlb":{"2MB":{"usage":2097152,"failcnt":4}},"intel_rdt":{},"network_interfaces":null}}"#,
    ]
    #expect(event(statistics) == golden.joined())
  }

  @Test func withoutALimitTheNumberIsTheLargest() throws {
    let folder = try CgroupFolder(["memory.current": "1\n", "memory.max": "max\n", "memory.swap.max": "max\n"])
    let statistics = try folder.manager(.v2).statistics()
    #expect(statistics.memory.usage.limit == .max && statistics.memory.swap.limit == .max)
    let other = try CgroupFolder(["memory.current": "1\n", "memory.max": "max\n", "memory.swap.max": "4096\n"])
    #expect(try other.manager(.v2).statistics().memory.swap.limit == .max)
  }

  @Test func withoutControllersOnlyTheProcessesAreCounted() throws {
    let folder = try CgroupFolder(["cgroup.procs": "12\n34\n"])
    var wanted = ContainerStatistics()
    wanted.pids.current = 2
    #expect(try folder.manager(.v2).statistics() == wanted)
  }

  /// Zeros would be a lie, and counters that run backwards.
  @Test func cgroupThatIsGoneIsAnError() throws {
    let there = try CgroupFolder(filesV1)
    let gone = CgroupRecord.Directory(version: .v2, controllers: [], path: "/nowhere/at/all", mountName: "", made: [])
    for directories in [[gone], [there.directory(.v1, controllersV1), gone]] {
      let manager = CgroupManager(record: CgroupRecord(directories: directories))
      let error = #expect(throws: RuntimeError.self) { try manager.statistics() }
      #expect(error?.code == .cgroup && error?.text.contains("`/nowhere/at/all`") == true)
    }
    #expect(try CgroupManager(record: CgroupRecord(directories: [gone])).limitEvents() == nil)
    #expect(try CgroupManager(record: CgroupRecord(directories: [])).limitEvents() == nil)
  }

  @Test func inAHybridLayoutV1HasTheControllers() throws {
    let v1 = try CgroupFolder(filesV1)
    let v2 = try CgroupFolder(["cgroup.procs": "1\n2\n", "cpu.stat": "usage_usec 5\nuser_usec 3\nsystem_usec 2\n"])
    let record = CgroupRecord(directories: [v1.directory(.v1, controllersV1), v2.directory(.v2)])
    let both = try CgroupManager(record: record).statistics()
    #expect(try both == v1.manager(.v1, controllersV1).statistics())
  }

  private func expectNotUnderstood(_ file: String, _ manager: CgroupManager) {
    let error = #expect(throws: RuntimeError.self) { try manager.statistics() }
    #expect(error?.code == .cgroup && error?.message.contains("`\(file)`") == true, "\(error?.text ?? "")")
  }

  @Test(arguments: [
    ("cpu.stat", "nr_periods\n"), ("cpu.stat", "nr_periods x\n"), ("cpuacct.usage", "\n"), ("cpuacct.usage", "12 13\n"),
    ("cpuacct.usage", "18446744073709551616\n"), ("cpuacct.usage_percpu", "1 x\n"),
    ("cpuacct.usage_all", "cpu user system\n0 1\n"), ("cpuset.cpus", "0-\n"), ("cpuset.cpus", "3-1\n"),
    ("cpuset.cpus", "70000\n"), ("cpuset.cpu_exclusive", "yes\n"), ("memory.stat", "cache\n"),
    ("memory.usage_in_bytes", "many\n"), ("pids.current", ""), ("pids.max", "most\n"),
    ("blkio.throttle.io_serviced_recursive", "254 Read 1\n"), ("blkio.throttle.io_serviced_recursive", "254:0\n"),
    ("blkio.throttle.io_serviced_recursive", "254:0 Read one\n"), ("hugetlb.2MB.failcnt", "-\n"),
  ])
  func fileOfV1ThatCannotBeUnderstoodIsNamed(_ name: String, _ text: String) throws {
    let folder = try CgroupFolder(filesV1.merging([name: text]) { $1 })
    expectNotUnderstood("\(folder.path)/\(name)", folder.manager(.v1, controllersV1))
  }

  @Test(arguments: [
    ("cpu.stat", "usage_usec 1 2\n"), ("cpu.pressure", "some avg10=1.5\n"), ("cpu.pressure", "some avg10\n"),
    ("cpu.pressure", "  \n"),
    ("cpu.pressure", "some avg10=x.00\n"), ("io.pressure", "full total=-x\n"), ("memory.max", "infinite\n"),
    ("memory.swap.current", "1k\n"), ("pids.current", "max 1\n"), ("io.stat", "rbytes=1\n"),
    ("io.stat", "8 rbytes=1\n"), ("io.stat", "8:0 rbytes=x\n"), ("hugetlb.2MB.events", "max\n"),
  ])
  func fileOfV2ThatCannotBeUnderstoodIsNamed(_ name: String, _ text: String) throws {
    let folder = try CgroupFolder(filesV2.merging([name: text]) { $1 })
    expectNotUnderstood("\(folder.path)/\(name)", folder.manager(.v2))
  }

  /// A sum over several CPUs can be below 0 for a moment.
  @Test func numberBelowZeroIsZero() throws {
    let folder = try CgroupFolder(["memory.stat": "cache -5\n", "pids.current": "1\n"])
    #expect(try folder.manager(.v1, ["memory"]).statistics().memory.raw == [NamedValue("cache", 0)])
  }

  /// v1 does not tell whose memory was used up: what it counts as met grows as well where memory could be reclaimed.
  @Test func metLimitsAreCounted() throws {
    let v1 = try CgroupFolder(filesV1)
    #expect(try v1.manager(.v1, controllersV1).limitEvents() == LimitEvents(oomKills: 2, pidsLimitHits: 9))
    let v2 = try CgroupFolder(filesV2)
    #expect(
      try v2.manager(.v2).limitEvents() == LimitEvents(oomKills: 2, isMemoryLimitMet: true, pidsLimitHits: 5))
  }

  /// The kernel killed for want of memory, but the limit was never met.
  @Test func killForWantOfMemoryElsewhereIsToldApart() throws {
    let v2 = try CgroupFolder(["memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\n"])
    #expect(try v2.manager(.v2).limitEvents() == LimitEvents(oomKills: 1, isMemoryLimitMet: false))
  }

  @Test func countsFromBeforeAreNotTheContainers() throws {
    let folder = try CgroupFolder(filesV2)
    let manager = CgroupManager(record: CgroupRecord(directories: [folder.directory(.v2, isMade: false)]))
    try manager.keepCounts()
    let none = LimitEvents(oomKills: 0, isMemoryLimitMet: false, pidsLimitHits: 0)
    #expect(try manager.limitEvents() == none)
    try folder.write("max 20\noom 4\noom_kill 5\n", to: "memory.events")
    try folder.write("max 6\n", to: "pids.events")
    let later = LimitEvents(oomKills: 3, isMemoryLimitMet: true, pidsLimitHits: 1)
    #expect(try manager.limitEvents() == later)
    // What is less than before is of another cgroup.
    try folder.write("oom 0\noom_kill 1\n", to: "memory.events")
    #expect(try manager.limitEvents() == LimitEvents(pidsLimitHits: 1))
    // One that was made for the container has counted nobody else.
    let own = CgroupManager(record: CgroupRecord(directories: [folder.directory(.v2)]))
    try own.keepCounts()
    #expect(try own.limitEvents()?.pidsLimitHits == 6)
  }

  @Test func countsFromBeforeThatCannotBeReadAreNoneOfTheContainer() throws {
    let folder = try CgroupFolder(["memory.events": "oom x\n"])
    let manager = CgroupManager(record: CgroupRecord(directories: [folder.directory(.v2, isMade: false)]))
    #expect(throws: RuntimeError.self) { try manager.keepCounts() }
    try folder.write("oom 3\noom_kill 2\n", to: "memory.events")
    #expect(try manager.limitEvents() == nil)
  }

  /// v1 counts in each cgroup by itself.
  @Test func countsOfV1AreThoseBelowToo() throws {
    let kill = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"
    let folder = try CgroupFolder([
      "memory.oom_control": "oom_kill 2\n", "pids.events": "max 0\n", "a/memory.oom_control": kill,
      "a/b/memory.oom_control": kill, "c/memory.oom_control": kill, "c/pids.events": "max 7\n", "d/tasks": "",
    ])
    let events = LimitEvents(oomKills: 5, pidsLimitHits: 7)
    #expect(try folder.manager(.v1, ["memory", "pids"]).limitEvents() == events)
    // What is below may go, and its count with it: then the difference would be too small.
    let old = CgroupManager(
      record: CgroupRecord(directories: [folder.directory(.v1, ["memory", "pids"], isMade: false)]))
    try old.keepCounts()
    #expect(try old.limitEvents() == nil)
    try folder.write("oom_kill many\n", to: "c/memory.oom_control")
    #expect(throws: RuntimeError.self) { try folder.manager(.v1, ["memory"]).limitEvents() }
  }

  @Test func tooManyCgroupsBelowAreNotCounted() throws {
    let folder = try CgroupFolder(["memory.oom_control": "oom_kill 2\n", "pids.events": "max 3\n"])
    for number in 0..<1000 { try #require(mkdir("\(folder.path)/\(number)", 0o755) == 0) }
    let manager = folder.manager(.v1, ["memory", "pids"])
    #expect(try manager.limitEvents() == LimitEvents(oomKills: 2, pidsLimitHits: 3))
    try #require(mkdir("\(folder.path)/more", 0o755) == 0)
    #expect(try manager.limitEvents() == nil)
  }

  /// Linux before 4.13 has no count in `memory.oom_control`.
  @Test func whatIsNotCountedIsLeftOut() throws {
    let folder = try CgroupFolder(["memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n", "pids.events": "max 0\n"])
    #expect(try folder.manager(.v1, ["memory", "pids"]).limitEvents() == LimitEvents(pidsLimitHits: 0))
  }

  @Test func classOfServiceTellsItsCacheAndBandwidth() throws {
    let folder = try CgroupFolder([
      "schemata": "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n",
      "gold/schemata": "    MB:0= 20;1= 70\n    L3:0=ff;1=ff\n",
      "info/L3/cbm_mask": "fffff\n", "info/L3/min_cbm_bits": "1\n", "info/L3/num_closids": "16\n",
      "info/MB/bandwidth_gran": "10\n", "info/MB/delay_linear": "1\n", "info/MB/min_bandwidth": "10\n",
      "info/MB/num_closids": "8\n",
      "gold/mon_groups/box/mon_data/mon_L3_00/mbm_total_bytes": "100\n",
      "gold/mon_groups/box/mon_data/mon_L3_00/mbm_local_bytes": "50\n",
      "gold/mon_groups/box/mon_data/mon_L3_00/llc_occupancy": "7\n",
      "gold/mon_groups/box/mon_data/mon_L3_01/mbm_total_bytes": "Unavailable\n",
      "gold/mon_groups/box/mon_data/mon_L3_01/llc_occupancy": "9\n",
    ])
    var statistics = ContainerStatistics()
    let gold = "\(folder.path)/gold"
    statistics.intelRdt = try ResctrlGroup.statistics([gold, "\(gold)/mon_groups/box"])
    let golden: [String] = [
      #""intel_rdt":{"l3_cache_info":{"cbm_mask":"fffff","min_cbm_bits":1,"num_closids":16},"#,
      #""mem_bw_info":{"bandwidth_gran":10,"delay_linear":1,"min_bandwidth":10,"num_closids":8},"#,
      #""l3_cache_schema_root":"L3:0=fffff;1=fffff","l3_cache_schema":"L3:0=ff;1=ff","#,
      #""mem_bw_schema_root":"MB:0=100;1=100","mem_bw_schema":"MB:0= 20;1= 70","#,
      #""mbm_stats":[{"mbm_total_bytes":100,"mbm_local_bytes":50}],"#,
      #""cmt_stats":[{"llc_occupancy":7},{"llc_occupancy":9}]},"#,
    ]
    let text = event(statistics)
    #expect(text.contains(golden.joined()), "\(text)")
    let plain = try ResctrlGroup.statistics([folder.path])
    #expect(
      plain.schemas.map(\.name) == ["l3_cache_schema_root", "l3_cache_schema", "mem_bw_schema_root", "mem_bw_schema"])
    #expect(try ResctrlGroup.statistics([]) == IntelRdtStatistics())
    #expect(try ResctrlGroup.statistics(["/nowhere/at/all"]) == IntelRdtStatistics())
  }

  // ---- What managers read

  /// The members that go-runc's events.go and runc's types/events.go decode, with their types there. `N` stands for any
  /// element or name, `?` for what may be left out.
  private static let members = """
    /type string
    /id string
    /data/cpu/usage/total uint64 ?
    /data/cpu/usage/percpu/N uint64 ?
    /data/cpu/usage/percpu_kernel/N uint64 ?
    /data/cpu/usage/percpu_user/N uint64 ?
    /data/cpu/usage/kernel uint64
    /data/cpu/usage/user uint64
    /data/cpu/throttling/periods uint64 ?
    /data/cpu/throttling/throttledPeriods uint64 ?
    /data/cpu/throttling/throttledTime uint64 ?
    /data/cpu/psi/N/avg10 float64 ?
    /data/cpu/psi/N/avg60 float64 ?
    /data/cpu/psi/N/avg300 float64 ?
    /data/cpu/psi/N/total uint64 ?
    /data/cpuset/cpus/N uint16 ?
    /data/cpuset/mems/N uint16 ?
    /data/cpuset/cpu_exclusive uint64
    /data/cpuset/mem_hardwall uint64
    /data/cpuset/mem_exclusive uint64
    /data/cpuset/memory_migrate uint64
    /data/cpuset/memory_spread_page uint64
    /data/cpuset/memory_spread_slab uint64
    /data/cpuset/memory_pressure uint64
    /data/cpuset/sched_load_balance uint64
    /data/cpuset/sched_relax_domain_level int64
    /data/memory/cache uint64 ?
    /data/memory/N/limit uint64
    /data/memory/N/usage uint64 ?
    /data/memory/N/max uint64 ?
    /data/memory/N/failcnt uint64
    /data/memory/raw/N uint64 ?
    /data/memory/psi/N/avg10 float64 ?
    /data/memory/psi/N/avg60 float64 ?
    /data/memory/psi/N/avg300 float64 ?
    /data/memory/psi/N/total uint64 ?
    /data/pids/current uint64 ?
    /data/pids/limit uint64 ?
    /data/blkio/ioServiceBytesRecursive/N/E
    /data/blkio/ioServicedRecursive/N/E
    /data/blkio/ioQueueRecursive/N/E
    /data/blkio/ioServiceTimeRecursive/N/E
    /data/blkio/ioWaitTimeRecursive/N/E
    /data/blkio/ioMergedRecursive/N/E
    /data/blkio/ioTimeRecursive/N/V
    /data/blkio/sectorsRecursive/N/V
    /data/blkio/psi/N/avg10 float64 ?
    /data/blkio/psi/N/avg60 float64 ?
    /data/blkio/psi/N/avg300 float64 ?
    /data/blkio/psi/N/total uint64 ?
    /data/hugetlb/N/usage uint64 ?
    /data/hugetlb/N/max uint64 ?
    /data/hugetlb/N/failcnt uint64 ?
    /data/network_interfaces null
    """

  private struct Member {
    let path: [Substring]
    let type: Substring
    let isOptional: Bool
  }

  private static let table: [Member] = members.split(separator: "\n").flatMap { line -> [Member] in
    let words = line.split(separator: " ")
    let path = words[0].split(separator: "/")
    guard let last = path.last, last == "E" || last == "V" else {
      return [Member(path: path, type: words[1], isOptional: words.count > 2)]
    }
    // An entry about a device: with an operation, or the value alone.
    let names = ["major", "minor", "value"] + (last == "E" ? ["op"] : [])
    return names.map {
      Member(path: path.dropLast() + [Substring($0)], type: $0 == "op" ? "string" : "uint64", isOptional: true)
    }
  }

  /// Every value with its path.
  private func leaves(_ value: Any, _ path: [String] = []) -> [(path: [String], value: Any)] {
    if let object = value as? [String: Any] { return object.flatMap { leaves($0.value, path + [$0.key]) } }
    if let array = value as? [Any] { return array.enumerated().flatMap { leaves($0.element, path + ["\($0.offset)"]) } }
    return [(path, value)]
  }

  private func fits(_ value: Any, _ type: Substring) -> Bool {
    let number = (value as? NSNumber).map { "\($0)" } ?? ""
    switch type {
    case "string": return value is String
    case "null": return value is NSNull
    case "uint64": return UInt64(number) != nil
    case "uint16": return UInt16(number) != nil
    case "int64": return Int64(number) != nil
    default: return Double(number) != nil
    }
  }

  @Test func everyMemberIsOneThatManagersDecode() throws {
    let v1 = try CgroupFolder(filesV1)
    let v2 = try CgroupFolder(filesV2)
    var found: Set<Int> = []
    for manager in [v1.manager(.v1, controllersV1), v2.manager(.v2)] {
      let text = event(try manager.statistics())
      let event = try JSONSerialization.jsonObject(with: Data(text.utf8))
      for (path, value) in leaves(event) {
        let index = Self.table.firstIndex { member in
          member.path.count == path.count && zip(member.path, path).allSatisfy { $0 == "N" || $0 == $1 }
        }
        guard let index else {
          Issue.record("nobody reads /\(path.joined(separator: "/"))")
          continue
        }
        found.insert(index)
        #expect(fits(value, Self.table[index].type), "/\(path.joined(separator: "/")): \(value)")
      }
    }
    for (index, member) in Self.table.enumerated() where !found.contains(index) {
      Issue.record("nothing at /\(member.path.joined(separator: "/"))")
    }
  }

  /// With nothing to tell, the members that have no `omitempty` are there.
  @Test func emptyStatisticsHaveTheMembersThatAreNeverLeftOut() throws {
    let event = try JSONSerialization.jsonObject(with: Data(event(ContainerStatistics()).utf8))
    let paths = Set(leaves(event).map { $0.path.joined(separator: "/") })
    for member in Self.table where !member.isOptional {
      let kinds = member.path.contains("N") ? ["usage", "swap", "kernel", "kernelTCP"] : [""]
      for kind in kinds {
        let path = member.path.map { $0 == "N" ? kind : String($0) }.joined(separator: "/")
        #expect(paths.contains(path), "\(path)")
      }
    }
    #expect(
      String(decoding: ContainerEvent.outOfMemory.document(id: "a\"b"), as: UTF8.self)
        == #"{"type":"oom","id":"a\"b"}"#)
  }
}
