import ContainerPlan
import Diagnostics
import OCISpec
import Testing

@Suite struct RuleTests {
  @Test func aConfigurationThatKeepsEveryRuleHasNoFindings() throws {
    #expect(try Planner.check(RuleRow.base).findings == [])
  }

  /// Without the rule there would be no finding, and with another one too many.
  @Test(arguments: RuleRow.all)
  func oneMistakeBreaksOneRule(row: RuleRow) throws {
    let findings = try Planner.check(row.input).findings
    #expect(findings.map { $0.rule } == [row.rule], "\(findings.map { $0.detail.text })")
    #expect(findings.map { $0.detail.field } == [row.pointer])
    let rule = try #require(Rule.all.first { $0.name == row.rule })
    #expect(findings.first?.kind == rule.kind && findings.first?.section == rule.section)
    #expect(row.pointer.isEmpty || matches(row.pointer, rule.pointer), "\(row.pointer) of \(rule.pointer)")
  }

  /// `create` refuses by the same rules, in the same words.
  @Test(arguments: RuleRow.all)
  func whatCheckFindsCreateRefusesOrWarnsAbout(row: RuleRow) throws {
    let detail = try #require(try Planner.check(row.input).findings.first?.detail)
    do {
      let plan = try Planner.plan(row.input)
      #expect(Rule.all.first { $0.name == row.rule }?.kind == .warning)
      #expect(plan.warnings == [detail.text])
    } catch {
      #expect(error == detail)
    }
  }

  @Test func everyRuleHasARow() {
    #expect(Set(Rule.all.map { $0.name }) == Set(RuleRow.all.map { $0.rule }))
    #expect(Set(Rule.all.map { $0.name }).count == Rule.all.count)
    for rule in Rule.all { #expect(!rule.section.isEmpty && rule.pointer.utf8.first != 0x20, "\(rule.name)") }
  }

  @Test func allMistakesAreFoundInTheOrderOfTheRules() throws {
    var input = RuleRow.base
    let names = [
      "namespace-once", "sysctl-namespaced", "mount-bind-data", "device-type", "process-cwd", "rlimit-order",
    ]
    for row in RuleRow.all where names.contains(row.rule) { row.change(&input) }
    #expect(try Planner.check(input).findings.map { $0.rule } == names)
    do {
      _ = try Planner.plan(input)
      Issue.record("planned all the same")
    } catch {
      #expect(error.field == "/linux/namespaces/7")
    }
  }

  /// The same part of a pointer, or one that the rule covers with a `*` or stands above.
  private func matches(_ pointer: String, _ pattern: String) -> Bool {
    let (parts, patterns) = (pointer.split(separator: "/"), pattern.split(separator: "/"))
    // Rules about two properties name the first of them.
    if parts.count < patterns.count { return parts.first == patterns.first }
    return zip(parts, patterns).dropLast().allSatisfy { $1 == "*" || $0 == $1 }
  }
}
