extension SeccompFilter {
  /// One sentence for each rule that another one makes void. libseccomp, and with it every runtime, accepts them
  /// silently: a rule without conditions replaces the conditional ones before it, and whatever follows it for the same
  /// system call is dropped. Profiles of managers have such rules, so it is nothing to warn about.
  package func ineffectiveRules() -> [String] {
    var sentences: [String] = []
    /// By system call, the first rule without conditions.
    var unconditional: [String: Int] = [:]
    for index in rules.indices where rules[index].conditions.isEmpty {
      if unconditional[rules[index].systemCall] == nil { unconditional[rules[index].systemCall] = index }
    }
    for index in rules.indices {
      let rule = rules[index]
      guard let winner = unconditional[rule.systemCall], rules[winner].action != rule.action else { continue }
      sentences.append(
        "seccomp rule `\(rule.pointer)` for `\(rule.systemCall)` has no effect: the one at "
          + "`\(rules[winner].pointer)` has no conditions and another action")
    }
    return sentences
  }
}
