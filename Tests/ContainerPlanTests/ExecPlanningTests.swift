import ContainerPlan
import Diagnostics
import OCISpec
import Testing

private let template = AgentPlan(
  arguments: ["sh"], environment: ["A=1"], workingDirectory: "/", uid: 0, gid: 0, additionalGids: [], umask: 0o22,
  capabilities: CapabilityPlan(), noNewPrivileges: true, limits: [], looksUpHome: false)

@Suite struct ExecPlanningTests {
  private func plan(
    _ overrides: ExecOverrides, _ namespaces: NamespacePlan = NamespacePlan(created: [])
  ) -> Result<ExecPlan, RuntimeError> {
    do throws(RuntimeError) {
      return .success(try Planner.planExec(nil, template, namespaces, ExecCPUAffinity(), overrides))
    } catch {
      return .failure(error)
    }
  }

  /// The command would get another text than was meant.
  @Test func textWithANULIsRefused() {
    for (overrides, field) in [
      (ExecOverrides(arguments: ["a", "b\0c"]), "/process/args"), (ExecOverrides(environment: ["A=b\0c"]), "--env"),
      (ExecOverrides(workingDirectory: "/a\0b"), "--cwd"),
    ] {
      guard case .failure(let error) = plan(overrides) else {
        Issue.record("accepted: \(field)")
        continue
      }
      #expect(error.field == field)
    }
  }

  @Test func overridesAreAppliedToTheProcessOfTheContainer() throws {
    let found = try plan(
      ExecOverrides(arguments: ["ls"], environment: ["A=2", "B="], workingDirectory: "/tmp")
    ).get()
    #expect(found.agent.arguments == ["ls"] && found.agent.workingDirectory == "/tmp")
    #expect(found.agent.environment == ["A=2", "B="])
  }
}

@Suite struct ExecLabelPlanningTests {
  private static let labelled: AgentPlan = {
    var agent = template
    agent.labels = ProcessLabels(appArmorProfile: "container", selinuxLabel: "a:b:c")
    return agent
  }()

  private func labels(
    _ document: OCISpec.Process?, _ flags: ProcessLabels = ProcessLabels(), appArmor: Bool = true, selinux: Bool = true
  ) -> Result<ProcessLabels, RuntimeError> {
    var overrides = ExecOverrides()
    overrides.labels = flags
    do throws(RuntimeError) {
      let plan = try Planner.planExec(
        document, ExecLabelPlanningTests.labelled, NamespacePlan(created: []), ExecCPUAffinity(), overrides,
        facts: HostFacts(effectiveUser: 0, hasSELinux: selinux, hasAppArmor: appArmor))
      return .success(plan.agent.labels)
    } catch {
      return .failure(error)
    }
  }

  @Test func labelsAreThoseOfTheContainerUnlessSaidOtherwise() throws {
    let both = ProcessLabels(appArmorProfile: "container", selinuxLabel: "a:b:c")
    // What the container has it was made with here.
    #expect(try labels(nil, appArmor: false, selinux: false).get() == both)
    #expect(
      try labels(nil, ProcessLabels(appArmorProfile: "flag")).get()
        == ProcessLabels(appArmorProfile: "flag", selinuxLabel: "a:b:c"))
    #expect(
      try labels(nil, ProcessLabels(selinuxLabel: "d:e:f")).get()
        == ProcessLabels(appArmorProfile: "container", selinuxLabel: "d:e:f"))
    var document = OCISpec.Process(args: ["true"], cwd: "/")
    #expect(try labels(document).get() == both)
    document.apparmorProfile = "document"
    document.selinuxLabel = ""
    #expect(
      try labels(document).get() == ProcessLabels(appArmorProfile: "document", selinuxLabel: "a:b:c"))
    #expect(
      try labels(document, ProcessLabels(appArmorProfile: "flag")).get()
        == ProcessLabels(appArmorProfile: "flag", selinuxLabel: "a:b:c"))
  }

  @Test func labelsOfAModuleThatTheHostLacksAreRefusedByTheirFlag() {
    func failure(_ result: Result<ProcessLabels, RuntimeError>) -> RuntimeError? {
      if case .failure(let error) = result { return error }
      return nil
    }
    let profile = failure(labels(nil, ProcessLabels(appArmorProfile: "p"), appArmor: false))
    #expect(profile?.field == "--apparmor" && profile?.code == .configUnsupported)
    let label = failure(labels(nil, ProcessLabels(selinuxLabel: "l"), selinux: false))
    #expect(label?.field == "--process-label" && label?.code == .configUnsupported)
    var document = OCISpec.Process(args: ["true"], cwd: "/")
    document.selinuxLabel = "l"
    #expect(failure(labels(document, selinux: false))?.field == "/process/selinuxLabel")
  }
}

extension ExecOverrides {
  fileprivate init(arguments: [String] = [], environment: [String] = [], workingDirectory: String? = nil) {
    self.init()
    self.arguments = arguments
    self.environment = environment
    self.workingDirectory = workingDirectory
  }
}
