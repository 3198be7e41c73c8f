#if APUS_MUTANTS
  import ContainerPlan
  import Diagnostics
  import InitChannel
  import Linux
  import LinuxABI

  // Only in the test build of `hack/mutants --steps`; see `ContainerPlan/LeavingOut.swift`.
  extension ContainerPlan {
    /// The plan without the steps of the kind that the environment names.
    func leavingOut() throws(RuntimeError) -> ContainerPlan {
      let kind = Environment.value("APUS_LEAVE_OUT") ?? ""
      if kind.isEmpty || CgroupSetup.leavesOut(kind) || ExecLeavingOut.knows(kind) { return self }
      var plan = self
      guard plan.leaveOut(kind) else { throw RuntimeError(.usage, "`\(kind)` is no kind of step") }
      return plan
    }
  }

  /// The same for `exec`, which has a plan of its own and a template that the container was created with.
  enum ExecLeavingOut {
    static func apply(_ plan: inout ExecPlan, _ template: inout ExecTemplate) {
      let kind = Environment.value("APUS_LEAVE_OUT") ?? ""
      if !plan.leaveOut(kind) { _ = leaveOut(kind, of: &template) }
    }

    static var startsSession: Bool { Environment.value("APUS_LEAVE_OUT") != "exec.InitStep.startSession" }

    /// Those of a container are none of `exec`, and the other way round.
    static func knows(_ kind: String) -> Bool {
      var template = ExecTemplate(
        namespaces: NamespacePlan(created: []), agent: nil, filter: [], filterFlags: 0, keyring: "")
      return kind == "exec.InitStep.startSession" || ExecPlan.knows(kind) || leaveOut(kind, of: &template)
    }

    private static func leaveOut(_ kind: String, of template: inout ExecTemplate) -> Bool {
      switch kind {
      case "ExecTemplate.filter": template.filter = []
      case "ExecTemplate.landlock": template.landlock = nil
      case "ExecTemplate.keyring": template.keyring = ""
      default:
        let prefix = "ExecTemplate.namespaces."
        guard kind.hasPrefix(prefix),
          let namespace = NamespaceKind(ociName: String(kind.dropFirst(prefix.count)))
        else { return false }
        template.namespaces.created.subtract(namespace.cloneFlag)
      }
      return true
    }
  }

  extension CgroupSetup {
    static func leavesOut(_ kind: String) -> Bool {
      kind == "CgroupSetup.join" && Environment.value("APUS_LEAVE_OUT") == kind
    }
  }
#endif
