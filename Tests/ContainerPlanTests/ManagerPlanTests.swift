import ContainerPlan
import Diagnostics
import Foundation
import OCISpec
import Testing

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .appendingPathComponent("Fixtures/managers")

/// The plan as `apus plan` prints it, or the line of the error.
private func planText(_ json: Data) -> String {
  do throws(RuntimeError) {
    let config = try Config.decode([UInt8](json), file: "config.json")
    let plan = try Planner.plan(
      PlanInput(config: config, bundle: "/bundle", keyring: "_ses.id", facts: HostFacts(effectiveUser: 0)))
    return plan.lines.map { "\($0.runner): \($0.action) \($0.detail)\n" }.joined()
  } catch {
    return "error: \(error.text)\n"
  }
}

/// JSON text with the members of every object the other way round, or in the order of their names.
private func reordered(_ value: Any, reversed: Bool) throws -> String {
  if let object = value as? [String: Any] {
    let names = object.keys.sorted()
    let members = try (reversed ? names.reversed() : names).map { name in
      try text(name) + ":" + reordered(object[name] ?? NSNull(), reversed: reversed)
    }
    return "{" + members.joined(separator: ",") + "}"
  }
  if let array = value as? [Any] {
    return "[" + (try array.map { try reordered($0, reversed: reversed) }.joined(separator: ",")) + "]"
  }
  return try text(value)
}

private func text(_ value: Any) throws -> String {
  String(
    decoding: try JSONSerialization.data(
      withJSONObject: value, options: [.fragmentsAllowed, .withoutEscapingSlashes]), as: UTF8.self)
}

/// What podman, docker and containerd write, recorded by Fixtures/record.
@Suite struct ManagerPlanTests {
  static func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()
  }

  private func config(_ name: String) throws -> Data {
    try Data(contentsOf: folder.appendingPathComponent("\(name).json"))
  }

  @Test func thereAreConfigurationsOfEveryManager() throws {
    let names = try Self.names()
    for manager in ["podman", "docker", "ctr", "cri"] {
      #expect(names.filter { $0.hasPrefix("\(manager)-") }.count >= 5, "\(manager)")
    }
  }

  /// `UPDATE_GOLDEN=1 swift test` records the plans anew; read the difference.
  @Test(arguments: try names()) func planOfTheManagersConfigurationIsTheRecordedOne(_ name: String) throws {
    let plan = planText(try config(name))
    let file = folder.appendingPathComponent("\(name).plan")
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
      try plan.write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(plan == (try String(contentsOf: file, encoding: .utf8)))
  }

  @Test(arguments: try names()) func theSameConfigurationGivesTheSamePlan(_ name: String) throws {
    let json = try config(name)
    let plan = planText(json)
    for _ in 0..<5 { #expect(planText(json) == plan) }
  }

  @Test(arguments: try names()) func orderOfMembersDoesNotChangeThePlan(_ name: String) throws {
    let json = try config(name)
    let object = try JSONSerialization.jsonObject(with: json)
    let forwards = try reordered(object, reversed: false)
    let backwards = try reordered(object, reversed: true)
    #expect(forwards != backwards)
    let plan = sorted(planText(json))
    #expect(sorted(planText(Data(forwards.utf8))) == plan)
    #expect(sorted(planText(Data(backwards.utf8))) == plan)
  }

  /// Kernel parameters are the only map of a configuration whose order shows in the plan; each is set by itself.
  private func sorted(_ plan: String) -> [String] {
    let lines = plan.split(separator: "\n").map(String.init)
    let parameters = lines.filter { $0.contains("set kernel parameter") }.sorted()
    return lines.filter { !$0.contains("set kernel parameter") } + parameters
  }
}
