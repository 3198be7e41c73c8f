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

extension ExecOverrides {
  fileprivate init(arguments: [String] = [], environment: [String] = [], workingDirectory: String? = nil) {
    self.init()
    self.arguments = arguments
    self.environment = environment
    self.workingDirectory = workingDirectory
  }
}
