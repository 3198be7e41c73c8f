#if APUS_MUTANTS
  import ContainerPlan
  import Diagnostics
  import Linux

  // Only in the test build of `hack/mutants --steps`; see `ContainerPlan/LeavingOut.swift`.
  extension ContainerPlan {
    /// The plan without the steps of the kind that the environment names.
    func leavingOut() throws(RuntimeError) -> ContainerPlan {
      let kind = Environment.value("APUS_LEAVE_OUT") ?? ""
      if kind.isEmpty || CgroupSetup.leavesOut(kind) { return self }
      var plan = self
      guard plan.leaveOut(kind) else { throw RuntimeError(.usage, "`\(kind)` is no kind of step") }
      return plan
    }
  }

  extension CgroupSetup {
    static func leavesOut(_ kind: String) -> Bool {
      kind == "CgroupSetup.join" && Environment.value("APUS_LEAVE_OUT") == kind
    }
  }
#endif
