import ContainerPlan
import Diagnostics
import InitChannel
import Linux

/// Gives the process the attributes of the plan.
enum AttributeExecutor {
  /// Everything but the adjustment of the out-of-memory score, while the process is still privileged: real-time policies
  /// and I/O priorities need it.
  static func apply(_ attributes: ProcessAttributes) throws(RuntimeError) {
    if let plan = attributes.scheduler {
      try describe(.processAttribute, "cannot set the scheduling policy", field: "/process/scheduler") {
        () throws(SystemError) in
        try Scheduling.set(
          policy: plan.policy, flags: plan.flags, nice: plan.nice, priority: plan.priority,
          runtime: plan.runtime, deadline: plan.deadline, period: plan.period)
      }
    }
    if let priority = attributes.ioPriority {
      try describe(.processAttribute, "cannot set the I/O priority", field: "/process/ioPriority") {
        () throws(SystemError) in
        try Scheduling.setIOPriority(priority)
      }
    }
    if let policy = attributes.memoryPolicy {
      try describe(.processAttribute, "cannot set the memory policy", field: "/linux/memoryPolicy") {
        () throws(SystemError) in
        try Scheduling.setMemoryPolicy(mode: policy.mode, nodes: policy.nodes)
      }
    }
    if let persona = attributes.personality {
      try describe(.processAttribute, "cannot set the execution domain", field: "/linux/personality") {
        () throws(SystemError) in
        try Scheduling.setPersonality(persona)
      }
    }
  }

  /// On the host's side, before a user namespace is entered: to lower the value needs CAP_SYS_RESOURCE of the host. Child
  /// processes inherit it. Who is not root of the host may have to do without.
  static func adjustOOMScore(
    _ attributes: ProcessAttributes, _ proc: borrowing ProcFileSystem, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    guard let value = attributes.oomScoreAdjustment else { return }
    do {
      try write(value, proc)
    } catch {
      let hint =
        error.errno == .accessDenied ? "a value below the caller's own needs CAP_SYS_RESOURCE" : ""
      if error.errno == .accessDenied && UserNamespace.lacksRootOfHost() {
        return try describe(.initProtocol, "cannot warn") { () throws(SystemError) in
          try reporter.send(
            .warning("the out-of-memory adjustment stays the caller's: \(hint) (at `/process/oomScoreAdj`)"))
        }
      }
      throw error.because(
        .processAttribute, "cannot set the out-of-memory adjustment to \(value)", field: "/process/oomScoreAdj",
        hint: hint)
    }
  }

  private static func write(_ value: Int32, _ proc: borrowing ProcFileSystem) throws(SystemError) {
    if Processes.effectiveUser() == 0 { return try proc.writeOwn("oom_score_adj", "\(value)") }
    // The file is root's as long as this process is not dumpable. No process of a container sees it yet, and none may see it
    // so: whatever comes of the write, the process is not dumpable when it goes on (CVE-2016-9962).
    try Processes.becomeDumpable()
    var failure: SystemError?
    do {
      try proc.writeOwn("oom_score_adj", "\(value)")
    } catch {
      failure = error
    }
    try Processes.becomeNotDumpable()
    if let failure { throw failure }
  }
}
