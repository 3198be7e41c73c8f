import Diagnostics
import Foundation
import Linux
import LinuxABI
import OCISpec
import Testing

@testable import Cgroups

/// The real thing, in whatever layout this process sees: `APUS_CGROUP_TESTS=1`, as root.
@Suite(
  .enabled(if: ProcessInfo.processInfo.environment["APUS_CGROUP_TESTS"] == "1"), .serialized)
struct CgroupKernelTests {
  private let layout: CgroupLayout
  private let prefix = "/apus-cgtest"

  init() throws {
    layout = try CgroupLayout.read()
  }

  /// A process in the container's cgroup: it joins as the init stage does on v1, by `cgroup.procs` on v2.
  private func start(_ manager: CgroupManager, _ command: String) throws -> Foundation.Process {
    let process = Foundation.Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    let joins = manager.record.directories.map { directory in
      "echo 0 > \(directory.path)/\(directory.version == .v1 ? "tasks" : "cgroup.procs") || exit 9"
    }
    process.arguments = ["-c", (joins + [command]).joined(separator: "\n")]
    try process.run()
    return process
  }

  /// A cgroup that stays behind is a failure of the test, not a detail of its end.
  private func removeAll(_ manager: CgroupManager) {
    do {
      try manager.remove()
    } catch {
      Issue.record("left behind: \(error.text)")
    }
  }

  private func waitFor(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<300 {
      if try condition() { return true }
      usleep(10_000)
    }
    return false
  }

  private func create(_ name: String, _ resources: Resources = Resources()) throws -> (
    CgroupManager, [CgroupWrite]
  ) {
    let writes = try ResourceConversion.writes(resources, layout: layout)
    let manager = try CgroupManager.create(
      CgroupPath("\(prefix)/\(name)", id: name), layout: layout, writes: writes)
    try manager.apply(writes, phase: .beforeJoin)
    return (manager, writes)
  }

  private func value(_ manager: CgroupManager, _ controller: String, _ v1: String, _ v2: String) throws
    -> String
  {
    let directory = try #require(manager.record.directory(of: controller))
    let file = directory.version == .v1 ? v1 : v2
    return try String(contentsOfFile: "\(directory.path)/\(file)", encoding: .utf8)
      .trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Whether the container has the controller here: on v1 its mount, on v2 what the kernel leaves to it.
  private func has(_ controller: String) throws -> Bool {
    switch layout.version(of: controller) {
    case .v1: return true
    case nil: return false
    case .v2:
      let mount = try #require(layout.unified?.mountPoint)
      let list = try String(contentsOfFile: "\(mount)/cgroup.controllers", encoding: .utf8)
      return list.split(whereSeparator: { $0 == " " || $0 == "\n" }).contains(Substring(controller))
    }
  }

  private func exists(_ manager: CgroupManager) -> Bool {
    manager.record.directories.contains { FileManager.default.fileExists(atPath: $0.path) }
  }

  @Test func limitsReachTheKernel() throws {
    print("layout: \(layout.kind), \(layout.joined.map { $0.mountPoint })")
    var resources = Resources()
    if try has("memory") { resources.memory = .init(limit: 64 << 20, reservation: 32 << 20, swap: 96 << 20) }
    if try has("cpu") { resources.cpu = .init(shares: 512, quota: 20000, burst: 10000, period: 50000) }
    if try has("pids") { resources.pids = .init(limit: 7) }
    if try has("hugetlb") { resources.hugepageLimits = [.init(pageSize: "2MB", limit: 4 << 20)] }
    if try has("blkio") { resources.blockIO = .init(weight: 20) }
    let (manager, writes) = try create("limits", resources)
    defer { removeAll(manager) }
    try manager.apply(writes, phase: .last)
    if try has("memory") {
      #expect(try value(manager, "memory", "memory.limit_in_bytes", "memory.max") == "\(64 << 20)")
      #expect(try value(manager, "memory", "memory.soft_limit_in_bytes", "memory.low") == "\(32 << 20)")
    }
    if try has("cpu") {
      #expect(
        try value(manager, "cpu", "cpu.shares", "cpu.weight")
          == (layout.version(of: "cpu") == .v1 ? "512" : "59"))
      #expect(try value(manager, "cpu", "cpu.cfs_burst_us", "cpu.max.burst") == "10000")
    }
    if try has("pids") { #expect(try value(manager, "pids", "pids.max", "pids.max") == "7") }
    if try has("hugetlb") {
      let limit = try value(manager, "hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max")
      #expect(limit == "\(4 << 20)")
      #expect(
        try value(manager, "hugetlb", "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.max")
          == "\(4 << 20)")
    }
    if try has("blkio") {
      #expect(try value(manager, "blkio", "blkio.bfq.weight", "io.bfq.weight").contains("20"))
    }
    try manager.remove()
    #expect(!exists(manager))
  }

  @Test func deviceRulesHoldInTheKernel() throws {
    let (manager, _) = try create("devices")
    defer { removeAll(manager) }
    func allow(_ numbers: (Int64?, Int64?), _ access: String) -> DeviceRule {
      DeviceRule(allow: true, type: "c", major: numbers.0, minor: numbers.1, access: access)
    }
    let rules = [
      DeviceRule(allow: false), allow((1, 3), "rwm"), allow((1, 5), "r"), allow((1, 7), "rw"),
      DeviceRule(allow: false, type: "c", major: 1, minor: 7, access: "w"),
    ]
    try manager.setDevices(DevicePermissions(rules))
    for (command, passes) in [
      ("exec 3<>/dev/null", true), ("exec 3</dev/zero", true), ("exec 3>/dev/zero", false),
      ("exec 3<>/dev/zero", false), ("exec 3</dev/full", true), ("exec 3<>/dev/full", false),
      ("exec 3</dev/urandom", false), ("mknod /tmp/apus-cgtest-node c 1 3", true),
      ("mknod /tmp/apus-cgtest-node c 1 5", false),
    ] {
      let process = try start(
        manager, "(\(command)) 2>&- && r=0 || r=1; rm -f /tmp/apus-cgtest-node; exit $r")
      process.waitUntilExit()
      #expect(process.terminationStatus == (passes ? 0 : 1), "\(command)")
    }
    #expect(try manager.waitUntilEmpty(milliseconds: 1000))
    try manager.remove()
    #expect(!exists(manager))
  }

  @Test func programOfAReusedGroupIsReplaced() throws {
    guard layout.version(of: "devices") == .v2, let unified = layout.unified else { return }
    let path = "\(unified.mountPoint)\(prefix)"
    try FileManager.default.createDirectory(atPath: path + "/again", withIntermediateDirectories: true)
    defer {
      rmdir(path + "/again")
      rmdir(path)
    }
    for _ in 0..<3 {
      let (manager, _) = try create("again")
      try manager.setDevices(DevicePermissions([DeviceRule(allow: true)]))
    }
    let directory = try FileDescriptor.open(path + "/again", [.readOnly, .directory])
    #expect(try BPF.devicePrograms(of: directory).count == 1)
  }

  @Test func processesAreKilledAndTheGroupGoes() throws {
    let (manager, _) = try create("kill")
    defer { removeAll(manager) }
    let process = try start(manager, "sleep 100 & sleep 100 & exec sleep 100")
    #expect(try waitFor { try manager.processes().count == 3 })
    let later = CgroupManager(record: manager.record)
    #expect(try !later.waitUntilEmpty(milliseconds: 30))
    let error = #expect(throws: RuntimeError.self) { try later.remove(patience: 20) }
    #expect(error?.code == .processesRemain)
    // Asleep, or on a slow machine still on the way there.
    #expect(error?.message.contains("in state ") == true)
    let begin = Clock.monotonicMilliseconds()
    try later.killAll()
    #expect(try later.waitUntilEmpty(milliseconds: 3000))
    print("killed and empty after \(Clock.monotonicMilliseconds() - begin) ms")
    process.waitUntilExit()
    #expect(process.terminationReason == Foundation.Process.TerminationReason.uncaughtSignal)
    try later.remove()
    #expect(!exists(later))
  }

  @Test func forkBombIsKilled() throws {
    let (manager, _) = try create("bomb")
    defer { removeAll(manager) }
    _ = try start(
      manager, "f() { f & sleep 0.02; f & }; for i in 1 2 3; do (while :; do sleep 0.01 & done) & done; wait")
    #expect(try waitFor { try manager.processes().count > 3 })
    try manager.killAll()
    #expect(try manager.waitUntilEmpty(milliseconds: 3000))
    try manager.remove()
  }

  @Test func frozenProcessesAreSeenAndKilled() throws {
    let (manager, _) = try create("frozen")
    defer { removeAll(manager) }
    #expect(try manager.freezerState() == .thawed)
    _ = try start(manager, "exec sleep 100")
    #expect(try waitFor { try manager.processes().count == 1 })
    let directory = try #require(manager.record.directory(of: "freezer"))
    let (file, text) = directory.version == .v1 ? ("freezer.state", "FROZEN") : ("cgroup.freeze", "1")
    try text.write(toFile: "\(directory.path)/\(file)", atomically: false, encoding: .utf8)
    #expect(try waitFor { try manager.freezerState() == .frozen })
    #expect(throws: RuntimeError.self) {
      try CgroupManager.create(CgroupPath("\(prefix)/frozen/below", id: "x"), layout: layout, writes: [])
    }
    try manager.killAll()
    #expect(try manager.waitUntilEmpty(milliseconds: 3000))
    try manager.remove()
    #expect(!exists(manager))
  }

  @Test func groupsBelowGoToo() throws {
    let (manager, _) = try create("nested")
    defer { removeAll(manager) }
    for directory in manager.record.directories {
      try FileManager.default.createDirectory(
        atPath: directory.path + "/below/deeper", withIntermediateDirectories: true)
    }
    try manager.remove()
    #expect(!exists(manager))
  }

  @Test func occupiedGroupIsRefused() throws {
    let (manager, _) = try create("taken")
    defer { removeAll(manager) }
    _ = try start(manager, "exec sleep 100")
    #expect(try waitFor { try manager.processes().count == 1 })
    let error = #expect(throws: RuntimeError.self) { try create("taken") }
    #expect(error?.message.contains("processes already") == true)
    #expect(exists(manager))
    try manager.killAll()
    #expect(try manager.waitUntilEmpty(milliseconds: 3000))
    try manager.remove()
  }

  @Test func pathThatIsAbsentWorks() throws {
    let writes = try ResourceConversion.writes(Resources(), layout: layout)
    let manager = try CgroupManager.create(CgroupPath(nil, id: "apus-cgtest"), layout: layout, writes: writes)
    defer { removeAll(manager) }
    let entrance = try manager.openForJoining()
    #expect(entrance.taskFileNumbers.count == layout.joined.filter { $0.version == .v1 }.count)
    #expect((entrance.directoryNumber != nil) == (layout.unified != nil))
    let process = try start(manager, "exit 0")
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    try manager.remove()
    #expect(!exists(manager))
  }

  @Test func makingOneIsQuick() throws {
    var best = Int64.max
    for _ in 0..<20 {
      let clock = ContinuousClock()
      let start = clock.now
      let (manager, _) = try create("quick")
      try manager.setDevices(DevicePermissions([DeviceRule(allow: true, type: "c", major: 1, minor: 3)]))
      let time = clock.now - start
      best = min(best, time.components.attoseconds / 1_000_000_000_000)
      try manager.remove()
    }
    print("create and device rules: \(best) us")
  }
}
