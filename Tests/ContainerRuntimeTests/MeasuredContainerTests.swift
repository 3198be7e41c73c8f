import Cgroups
import Diagnostics
import Foundation
import Linux
import LinuxABI
import OCISpec
import Testing

@testable import ContainerRuntime

/// A container whose cgroup is a folder of files as v2 has them, and whose process is one of ours.
private final class MeasuredContainer {
  let path = NSTemporaryDirectory() + "apus-measured-\(UUID().uuidString)"
  let log = Lines()
  var cgroup: String { path + "/cgroup" }

  init(pid: Int32 = Processes.ownPid()) throws {
    for folder in ["cgroup", "root/box"] {
      try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
    }
    for (name, text) in [
      ("cgroup.events", "populated 1\nfrozen 0\n"), ("cgroup.procs", "\(pid)\n"), ("pids.current", "3\n"),
      ("pids.max", "max\n"), ("pids.events", "max 4\n"), ("memory.events", "oom 0\noom_kill 0\n"),
    ] { try write(text, to: name) }
    var record = ContainerRecord(
      id: "box", ociVersion: "1.3.0", bundle: "/b", rootfs: "/b/r", created: TimeValue(seconds: 1, nanoseconds: 0),
      owner: "", annotations: [], pid: pid, startTime: 0, processInode: 0, hasPidNamespace: true,
      cgroup: CgroupRecord(directories: [
        CgroupRecord.Directory(version: .v2, controllers: [], path: cgroup, mountName: "", made: [cgroup])
      ]), poststart: [], poststop: [], execCPUAffinity: ExecCPUAffinity())
    if pid != 0 {
      record.startTime = try #require(try Processes.status(pid)).startTime
      record.processInode = try Processes.open(pid).status().inode
    }
    try Data(record.encode()).write(to: URL(filePath: "\(path)/root/box/record"))
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { Issue.record("\(path) stays: \(error)") }
  }

  var runtime: ContainerRuntime {
    let log = log
    return ContainerRuntime(
      RuntimeOptions(root: path + "/root", log: LogSink(level: .warning) { _, text in log.add(text) }))
  }

  func write(_ text: String, to name: String) throws {
    try text.write(toFile: "\(cgroup)/\(name)", atomically: false, encoding: .utf8)
  }

  /// What is done in the moment in which `pids.current` is read, from which then comes a number.
  func whenRead(_ body: @escaping @Sendable () throws -> Void) throws {
    let file = "\(cgroup)/pids.current"
    try FileManager.default.removeItem(atPath: file)
    try #require(mkfifo(file, 0o600) == 0)
    Thread.detachNewThread {
      do {
        // Returns when somebody reads.
        let writer = try FileDescriptor.open(file, .writeOnly)
        try body()
        try writer.write("3\n")
      } catch {
        Issue.record("\(error)")
      }
    }
  }
}

private final class Lines: @unchecked Sendable {
  private let lock = NSLock()
  private var lines: [String] = []
  /// Called for each line.
  var then: () throws -> Void = {}

  func add(_ line: String) {
    lock.withLock { lines.append(line) }
    do { try then() } catch { Issue.record("\(error)") }
  }

  var all: [String] { lock.withLock { lines } }
}

@Suite struct MeasuredContainerTests {
  /// That it runs out of memory is told all the same, and so are the next numbers.
  @Test func numbersThatCannotBeReadAreAWarning() throws {
    let container = try MeasuredContainer()
    try container.write("three\n", to: "pids.current")
    container.log.then = { [unowned container] in try container.write("3\n", to: "pids.current") }
    var told: [String] = []
    try container.runtime.events("box", interval: 10) { event in
      do {
        switch event {
        case .statistics(let statistics):
          told.append("\(statistics.pids.current)")
          try container.write("oom 1\noom_kill 1\n", to: "memory.events")
        case .outOfMemory:
          told.append("oom")
          try container.write("populated 0\n", to: "cgroup.events")
        }
      } catch {
        Issue.record("\(error)")
      }
    }
    #expect(told == ["3", "oom"])
    #expect(container.log.all.count == 1 && container.log.all[0].contains("`\(container.cgroup)/pids.current`"))

    try container.write("populated 1\n", to: "cgroup.events")
    try container.write("three\n", to: "pids.current")
    let error = #expect(throws: RuntimeError.self) { try container.runtime.statistics("box") }
    #expect(error?.text.contains("`\(container.cgroup)/pids.current`") == true)
  }

  /// Whoever computes rates would see counters run backwards.
  @Test func numbersOfACgroupThatMayHaveBeenRemovedMeanwhileAreNotTold() throws {
    let container = try MeasuredContainer()
    let events = container.cgroup + "/cgroup.events"
    try container.whenRead { try "populated 0\n".write(toFile: events, atomically: false, encoding: .utf8) }
    try container.runtime.events("box", interval: 10) { event in Issue.record("\(event)") }
    #expect(container.log.all.isEmpty)
  }

  /// Nor is it a warning that they could not be read.
  @Test func endIsNoReasonToWarn() throws {
    let container = try MeasuredContainer()
    try container.write("three\n", to: "pids.max")
    let events = container.cgroup + "/cgroup.events"
    try container.whenRead { try "populated 0\n".write(toFile: events, atomically: false, encoding: .utf8) }
    try container.runtime.events("box", interval: 10) { event in Issue.record("\(event)") }
    #expect(container.log.all.isEmpty)
  }

  @Test func numbersOfAContainerThatHasEndedMeanwhileAreNotTold() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sleep")
    process.arguments = ["100"]
    try process.run()
    let container = try MeasuredContainer(pid: process.processIdentifier)
    #expect(try container.runtime.statistics("box").pids.current == 3)
    let pid = process.processIdentifier
    try container.whenRead {
      try #require(kill(pid, SIGKILL) == 0)
      _ = try Poll.wait(try Processes.open(pid), for: Poll.readable, timeout: 5000)
    }
    let error = #expect(throws: RuntimeError.self) { try container.runtime.statistics("box") }
    #expect(error?.code == .containerNotRunning)
  }

  @Test func cgroupThatIsGoneIsAnErrorAndNoZeros() throws {
    let container = try MeasuredContainer()
    try FileManager.default.removeItem(atPath: container.cgroup)
    var error = #expect(throws: RuntimeError.self) { try container.runtime.statistics("box") }
    #expect(error?.code == .cgroup && error?.text.contains("`\(container.cgroup)`") == true)
    error = #expect(throws: RuntimeError.self) {
      try container.runtime.events("box", interval: 10) { event in Issue.record("\(event)") }
    }
    #expect(error?.code == .cgroup && error?.text.contains("`\(container.cgroup)`") == true)
  }

  @Test func limitsAreReadOnlyWhereTheyAreShown() throws {
    let container = try MeasuredContainer()
    #expect(try container.runtime.state("box").limitEvents?.pidsLimitHits == 4)
    #expect(try container.runtime.list().first?.limitEvents?.pidsLimitHits == 4)
    let short = try container.runtime.list(isWhole: false)
    #expect(short.count == 1 && short[0].id == "box" && short[0].status == "running" && short[0].limitEvents == nil)
  }

  /// Only then it is known what the cgroup had counted before.
  @Test func withoutAProcessLimitsAreNotTold() throws {
    let container = try MeasuredContainer(pid: 0)
    #expect(try container.runtime.state("box").limitEvents == nil)
  }

  /// Whether the first process was killed for memory is not known, even where SIGKILL ended it; and v1 does not tell whose
  /// memory was used up.
  @Test func reportSaysOnlyWhatIsCounted() {
    let lines = { LimitReport.lines("box", $0) }
    #expect(lines(LimitEvents(oomKills: 1)) == ["`box`: 1 process killed for want of memory"])
    #expect(
      lines(LimitEvents(oomKills: 2, isMemoryLimitMet: true, pidsLimitHits: 3))
        == ["`box`: 2 processes killed for exceeding its memory limit", "`box` met its limit of tasks 3 times"])
    #expect(
      lines(LimitEvents(oomKills: 1, isMemoryLimitMet: false))
        == ["`box`: 1 process killed for want of memory outside of the container"])
    #expect(lines(LimitEvents(oomKills: 0, pidsLimitHits: 0)).isEmpty)
  }
}
