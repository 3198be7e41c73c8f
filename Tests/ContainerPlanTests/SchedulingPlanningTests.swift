import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import ContainerPlan

private func config(_ change: (inout Process, inout LinuxConfig) -> Void) -> Config {
  var process = Process(args: ["/bin/true"], cwd: "/")
  var linux = LinuxConfig(namespaces: ["pid", "mount"].map { Namespace(type: $0) })
  change(&process, &linux)
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  config.process = process
  config.linux = linux
  return config
}

private func plan(_ config: Config) throws(RuntimeError) -> ContainerPlan {
  try Planner.plan(
    PlanInput(config: config, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0)))
}

private func attributes(
  _ change: (inout Process, inout LinuxConfig) -> Void
) throws(RuntimeError) -> ProcessAttributes? {
  try plan(config(change)).agent?.attributes
}

private func failure(_ change: (inout Process, inout LinuxConfig) -> Void) -> RuntimeError? {
  do {
    _ = try plan(config(change))
    return nil
  } catch {
    return error
  }
}

private func expectRefusal(
  _ field: String, _ change: (inout Process, inout LinuxConfig) -> Void,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let error = failure(change)
  #expect(error?.field == field, "\(error?.text ?? "no error")", sourceLocation: sourceLocation)
  #expect(error?.code == .configInvalid, sourceLocation: sourceLocation)
}

@Suite struct SchedulingPlanningTests {
  @Test func absentAttributesLeaveWhatTheCallerHas() throws {
    #expect(try attributes { _, _ in } == ProcessAttributes())
    #expect(try plan(config { _, _ in }).execCPUAffinity == nil)
  }

  @Test func everyAttributeIsPlanned() throws {
    let made = try attributes { process, linux in
      process.oomScoreAdj = -1000
      process.scheduler = Scheduler(policy: "SCHED_RR", nice: 3, priority: 99, flags: ["SCHED_FLAG_RESET_ON_FORK"])
      process.ioPriority = IOPriority(class: "IOPRIO_CLASS_BE", priority: 7)
      linux.personality = Personality(domain: "LINUX32", flags: [])
      linux.memoryPolicy = MemoryPolicy(mode: "MPOL_BIND", nodes: "1,0", flags: ["MPOL_F_STATIC_NODES"])
    }
    #expect(
      made
        == ProcessAttributes(
          oomScoreAdjustment: -1000, scheduler: SchedulerPlan(policy: 2, flags: 1, nice: 3, priority: 99),
          ioPriority: 2 << 13 | 7, personality: 8, memoryPolicy: MemoryPolicyPlan(mode: 0x8002, nodes: [0, 1])))
  }

  /// Zero is a value, and not the same as absent.
  @Test func attributesOfZeroArePlanned() throws {
    let made = try attributes { process, linux in
      process.oomScoreAdj = 0
      process.scheduler = Scheduler(policy: "SCHED_OTHER", nice: 0, priority: 0, flags: [], runtime: 0)
      process.ioPriority = IOPriority(class: "IOPRIO_CLASS_RT", priority: 0)
      linux.personality = Personality(domain: "LINUX")
      linux.memoryPolicy = MemoryPolicy(mode: "MPOL_DEFAULT", nodes: "", flags: [])
    }
    #expect(
      made
        == ProcessAttributes(
          oomScoreAdjustment: 0, scheduler: SchedulerPlan(policy: 0), ioPriority: 1 << 13, personality: 0,
          memoryPolicy: MemoryPolicyPlan(mode: 0)))
  }

  @Test func theOOMScoreAdjustmentHasARange() {
    for value in [-1001, 1001, .max, .min] {
      expectRefusal("/process/oomScoreAdj") { process, _ in process.oomScoreAdj = value }
    }
    for value in [-1000, 1000] { #expect(failure { process, _ in process.oomScoreAdj = value } == nil) }
  }

  @Test func everySchedulingPolicyIsKnown() throws {
    for (policy, number) in [
      ("SCHED_OTHER", 0), ("SCHED_FIFO", 1), ("SCHED_RR", 2), ("SCHED_BATCH", 3), ("SCHED_ISO", 4), ("SCHED_IDLE", 5),
      ("SCHED_DEADLINE", 6),
    ] {
      let made = try attributes { process, _ in
        process.scheduler = Scheduler(
          policy: policy, priority: number == 1 || number == 2 ? 1 : nil,
          runtime: number == 6 ? 1024 : nil, deadline: number == 6 ? 1024 : nil)
      }
      #expect(made?.scheduler?.policy == UInt32(number))
    }
    for policy in ["", "SCHED_EXT", "sched_other", "OTHER"] {
      expectRefusal("/process/scheduler/policy") { process, _ in process.scheduler = Scheduler(policy: policy) }
    }
  }

  @Test func everySchedulingFlagIsKnown() throws {
    let names = [
      "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
      "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
    ]
    for (bit, name) in names.enumerated() {
      let made = try attributes { process, _ in
        process.scheduler = Scheduler(policy: "SCHED_BATCH", flags: [name])
      }
      #expect(made?.scheduler?.flags == 1 << UInt64(bit), "\(name)")
    }
    expectRefusal("/process/scheduler/flags/1") { process, _ in
      process.scheduler = Scheduler(policy: "SCHED_BATCH", flags: [names[0], "SCHED_FLAG_NEW"])
    }
  }

  private static let wrongSchedulers: [(String, Scheduler)] = [
    ("nice", Scheduler(policy: "SCHED_OTHER", nice: -21)), ("nice", Scheduler(policy: "SCHED_BATCH", nice: 20)),
    ("nice", Scheduler(policy: "SCHED_OTHER", nice: .max)),
    ("priority", Scheduler(policy: "SCHED_OTHER", priority: 1)),
    ("priority", Scheduler(policy: "SCHED_IDLE", priority: -1)),
    ("priority", Scheduler(policy: "SCHED_DEADLINE", priority: 9, runtime: 2000, deadline: 3000)),
    ("priority", Scheduler(policy: "SCHED_FIFO")), ("priority", Scheduler(policy: "SCHED_FIFO", priority: 0)),
    ("priority", Scheduler(policy: "SCHED_RR", priority: 100)),
    ("priority", Scheduler(policy: "SCHED_RR", priority: -5)),
    ("runtime", Scheduler(policy: "SCHED_FIFO", priority: 1, runtime: 1)),
    ("deadline", Scheduler(policy: "SCHED_OTHER", deadline: 1)),
    ("period", Scheduler(policy: "SCHED_BATCH", period: 1)),
    ("runtime", Scheduler(policy: "SCHED_DEADLINE")),
    ("runtime", Scheduler(policy: "SCHED_DEADLINE", runtime: 1023, deadline: 5000)),
    ("deadline", Scheduler(policy: "SCHED_DEADLINE", runtime: 5000)),
    ("deadline", Scheduler(policy: "SCHED_DEADLINE", runtime: 5000, deadline: 4999)),
    ("period", Scheduler(policy: "SCHED_DEADLINE", runtime: 5000, deadline: 6000, period: 5999)),
    ("period", Scheduler(policy: "SCHED_DEADLINE", runtime: 5000, deadline: 6000, period: 1 << 63)),
  ]

  /// The combinations that sched_setattr(2) forbids.
  @Test func wrongSchedulersAreRefusedWithTheirPlace() {
    for (name, scheduler) in SchedulingPlanningTests.wrongSchedulers {
      expectRefusal("/process/scheduler/\(name)") { process, _ in process.scheduler = scheduler }
    }
  }

  @Test func whatIsKeptNeedsNoValue() {
    for flag in ["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS"] {
      for policy in ["SCHED_FIFO", "SCHED_DEADLINE"] {
        let error = failure { process, _ in process.scheduler = Scheduler(policy: policy, flags: [flag]) }
        #expect(error == nil, "\(error?.text ?? "")")
      }
    }
  }

  @Test func wrongIOPrioritiesAreRefused() {
    for name in ["", "IOPRIO_CLASS_NONE", "RT"] {
      expectRefusal("/process/ioPriority/class") { process, _ in
        process.ioPriority = IOPriority(class: name, priority: 0)
      }
    }
    for priority in [-1, 8, .max, .min] {
      expectRefusal("/process/ioPriority/priority") { process, _ in
        process.ioPriority = IOPriority(class: "IOPRIO_CLASS_IDLE", priority: priority)
      }
    }
  }

  @Test func wrongPersonalitiesAreRefused() {
    for domain in ["", "BSD", "linux32", "LINUX64"] {
      expectRefusal("/linux/personality/domain") { _, linux in linux.personality = Personality(domain: domain) }
    }
    expectRefusal("/linux/personality/flags/0") { _, linux in
      linux.personality = Personality(domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"])
    }
  }

  @Test func everyMemoryPolicyIsKnown() throws {
    let modes = [
      "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
      "MPOL_WEIGHTED_INTERLEAVE",
    ]
    for (number, mode) in modes.enumerated() {
      let made = try attributes { _, linux in
        linux.memoryPolicy = MemoryPolicy(mode: mode, nodes: [0, 4].contains(number) ? nil : "0-2,2,65")
      }
      #expect(made?.memoryPolicy?.mode == UInt32(number))
      #expect(made?.memoryPolicy?.nodes == ([0, 4].contains(number) ? [] : [0, 1, 2, 65]))
    }
    for (name, bit) in [
      ("MPOL_F_NUMA_BALANCING", 0x2000), ("MPOL_F_RELATIVE_NODES", 0x4000), ("MPOL_F_STATIC_NODES", 0x8000),
    ] {
      let made = try attributes { _, linux in
        linux.memoryPolicy = MemoryPolicy(mode: "MPOL_BIND", nodes: "0", flags: [name])
      }
      #expect(made?.memoryPolicy?.mode == UInt32(2 | bit))
    }
  }

  private static let wrongPolicies: [(String, MemoryPolicy)] = [
    ("mode", MemoryPolicy(mode: "")), ("mode", MemoryPolicy(mode: "MPOL_MAX")),
    ("nodes", MemoryPolicy(mode: "MPOL_DEFAULT", nodes: "0")), ("nodes", MemoryPolicy(mode: "MPOL_LOCAL", nodes: "1")),
    ("nodes", MemoryPolicy(mode: "MPOL_BIND")), ("nodes", MemoryPolicy(mode: "MPOL_INTERLEAVE", nodes: "")),
    ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "1-0")), ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "0,")),
    ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "a")), ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "0-1-2")),
    ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "-1")), ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "4096")),
    ("nodes", MemoryPolicy(mode: "MPOL_BIND", nodes: "99999999999999999999")),
    ("flags/0", MemoryPolicy(mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_NODE"])),
    ("flags/1", MemoryPolicy(mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"])),
    ("flags/0", MemoryPolicy(mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_NUMA_BALANCING"])),
    ("flags/0", MemoryPolicy(mode: "MPOL_PREFERRED", flags: ["MPOL_F_STATIC_NODES"])),
  ]

  /// The combinations that set_mempolicy(2) forbids.
  @Test func wrongMemoryPoliciesAreRefusedWithTheirPlace() {
    for (name, policy) in SchedulingPlanningTests.wrongPolicies {
      expectRefusal("/linux/memoryPolicy/\(name)") { _, linux in linux.memoryPolicy = policy }
    }
  }

  @Test func theAffinityOfExecIsCheckedAndKept() throws {
    for affinity in [
      ExecCPUAffinity(), ExecCPUAffinity(initial: "", final: ""), ExecCPUAffinity(initial: "0-3, 7", final: "1"),
    ] {
      #expect(try plan(config { process, _ in process.execCPUAffinity = affinity }).execCPUAffinity == affinity)
    }
    expectRefusal("/process/execCPUAffinity/initial") { process, _ in
      process.execCPUAffinity = ExecCPUAffinity(initial: "x")
    }
    expectRefusal("/process/execCPUAffinity/final") { process, _ in
      process.execCPUAffinity = ExecCPUAffinity(initial: "0", final: "3-1")
    }
  }

  /// A container without a process is made all the same, and wrong values are found in it too.
  @Test func attributesOfTheContainerAreCheckedWithoutAProcess() throws {
    var bare = config { _, linux in linux.personality = Personality(domain: "LINUX32") }
    bare.process = nil
    #expect(try plan(bare).agent == nil)
    bare.linux?.personality = Personality(domain: "x")
    #expect(throws: RuntimeError.self) { try plan(bare) }
  }

  @Test func attributesStandInThePlanAsItIsPrinted() throws {
    let made = try plan(
      config { process, linux in
        process.oomScoreAdj = 5
        process.scheduler = Scheduler(
          policy: "SCHED_DEADLINE", flags: ["SCHED_FLAG_RECLAIM"], runtime: 2000, deadline: 3000)
        process.ioPriority = IOPriority(class: "IOPRIO_CLASS_RT", priority: 4)
        linux.personality = Personality(domain: "LINUX32")
        linux.memoryPolicy = MemoryPolicy(mode: "MPOL_INTERLEAVE", nodes: "0-1", flags: ["MPOL_F_RELATIVE_NODES"])
      })
    let lines = made.lines.map { "\($0.action) \($0.detail)" }
    for line in [
      "adjust out-of-memory score 5",
      "set scheduling policy SCHED_DEADLINE nice 0 priority 0 runtime 2000 deadline 3000 period 0 flags 2",
      "set I/O priority class 1 priority 4", "set memory policy MPOL_INTERLEAVE MPOL_F_RELATIVE_NODES 0 1",
      "set execution domain 8",
    ] { #expect(lines.contains(line), "\(line)") }
  }
}
