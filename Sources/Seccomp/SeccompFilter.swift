package import Diagnostics
package import LinuxABI
package import OCISpec

/// One comparison of an argument. All comparisons of a rule must hold.
package struct SeccompCondition: Sendable, Hashable {
  /// Which argument, 0 to 5.
  package var index: UInt8
  package var comparison: SeccompOperator
  /// What the argument is compared with; for ``SeccompOperator/maskedEqual`` the mask.
  package var value: UInt64
  /// For ``SeccompOperator/maskedEqual`` what is left under the mask; otherwise not looked at.
  package var valueTwo: UInt64
}

/// What happens to one system call under these conditions.
package struct SeccompFilterRule: Sendable, Hashable {
  package var systemCall: String
  /// SECCOMP_RET_* with its data.
  package var action: UInt32
  package var conditions: [SeccompCondition]
  /// Where the name stands: `/linux/seccomp/syscalls/<rule>/names/<name>`.
  package var rule: Int
  package var name: Int

  package var pointer: String {
    "/linux/seccomp/syscalls/\(rule)/names/\(name)"
  }
}

/// `linux.seccomp`, validated and put into numbers: everything that can be said about it without libseccomp. Which
/// system calls there are is not known here.
package struct SeccompFilter: Sendable, Hashable {
  /// SECCOMP_RET_* with its data.
  package var defaultAction: UInt32
  /// As listed. The native architecture always belongs to the filter, too.
  package var architectures: [SeccompArchitecture]
  package var flags: SeccompFilterFlags
  /// One for each system call and set of conditions, in the order of the profile.
  package var rules: [SeccompFilterRule]
  /// The names for which the profile has only what happens anyway: no rules, but calls that it knows.
  package var otherSystemCalls: [String]

  /// The filter of `profile`; nil if it asks for none: without default action and rules, as runc has it.
  ///
  /// Errors are `configInvalid`, or `configUnsupported` for what is right but not done, with the pointer to the value.
  ///
  /// - Parameter report: gets each part that is wrong, and throws it unless all of them are wanted.
  package static func make(
    _ profile: SeccompProfile,
    report: (RuntimeError) throws(RuntimeError) -> Void = { (error) throws(RuntimeError) in throw error }
  ) throws(RuntimeError) -> SeccompFilter? {
    if !isAskedFor(profile) { return nil }
    let rules = profile.syscalls ?? []
    var filter = SeccompFilter(
      defaultAction: SeccompReturn.allow, architectures: [], flags: [], rules: [],
      otherSystemCalls: [])
    do {
      filter.defaultAction = try action(
        profile.defaultAction, errnoRet: profile.defaultErrnoRet, at: "defaultAction", errnoAt: "defaultErrnoRet")
    } catch {
      try report(error)
    }
    do {
      filter.architectures = try architectures(profile.architectures ?? [])
    } catch {
      try report(error)
    }
    do {
      filter.flags = try flags(profile.flags)
    } catch {
      try report(error)
    }
    if (profile.listenerPath ?? "").isEmpty && !(profile.listenerMetadata ?? "").isEmpty {
      try report(invalid("`listenerMetadata` must not be set without `listenerPath`", "listenerMetadata"))
    }
    try checkNotifications(profile, report)
    filter.rules.reserveCapacity(rules.count)
    for index in rules.indices {
      do {
        try filter.add(rules[index], at: index)
      } catch {
        try report(error)
      }
    }
    return filter
  }

  /// Not where there are neither default action nor rules.
  static func isAskedFor(_ profile: SeccompProfile) -> Bool {
    !profile.defaultAction.isEmpty || !(profile.syscalls ?? []).isEmpty
  }

  private mutating func add(_ rule: SeccompRule, at position: Int) throws(RuntimeError) {
    let pointer = "syscalls/\(position)"
    if rule.names.isEmpty {
      throw SeccompFilter.invalid("a rule must name at least one system call", "\(pointer)/names")
    }
    let action = try SeccompFilter.action(
      rule.action, errnoRet: rule.errnoRet, at: "\(pointer)/action", errnoAt: "\(pointer)/errnoRet")
    let conditions = try SeccompFilter.conditions(rule.args ?? [], at: pointer)
    for name in rule.names.indices {
      if rule.names[name].isEmpty {
        throw SeccompFilter.invalid("the name of a system call is empty", "\(pointer)/names/\(name)")
      }
      // What happens anyway needs no rule.
      if action == defaultAction {
        otherSystemCalls.append(rule.names[name])
        continue
      }
      for group in conditions {
        rules.append(
          SeccompFilterRule(
            systemCall: rule.names[name], action: action, conditions: group, rule: position, name: name))
      }
    }
  }

  private static func action(
    _ name: String, errnoRet: UInt?, at pointer: String, errnoAt errnoPointer: String
  ) throws(RuntimeError) -> UInt32 {
    guard let action = SeccompAction(name: name) else {
      throw invalid("unknown seccomp action `\(name)`, expected one such as `SCMP_ACT_ERRNO`", pointer)
    }
    // Without a number it is EPERM.
    guard let errnoRet else { return action.returnValue(errnoRet: 1) }
    guard let largest = action.largestErrnoRet else {
      throw invalid("seccomp action `\(name)` takes no errno, but `\(errnoRet)` is given", errnoPointer)
    }
    guard errnoRet <= largest else {
      throw invalid("errno `\(errnoRet)` of a seccomp action is above \(largest)", errnoPointer)
    }
    return action.returnValue(errnoRet: UInt16(errnoRet))
  }

  private static func architectures(_ names: [String]) throws(RuntimeError) -> [SeccompArchitecture] {
    var architectures: [SeccompArchitecture] = []
    for index in names.indices {
      guard let architecture = SeccompArchitecture(name: names[index]) else {
        throw invalid(
          "unknown seccomp architecture `\(names[index])`, expected one such as `SCMP_ARCH_X86_64`",
          "architectures/\(index)")
      }
      if !architectures.contains(architecture) { architectures.append(architecture) }
    }
    return architectures
  }

  private static func flags(_ names: [String]?) throws(RuntimeError) -> SeccompFilterFlags {
    // Without a list the mitigation of speculative store bypass, which costs every system call, stays off, as runc
    // has it; an empty list means no flag.
    guard let names else { return .allowSpeculation }
    var flags: SeccompFilterFlags = []
    for index in names.indices {
      guard let flag = SeccompFilterFlags.parse(names[index]) else {
        throw invalid(
          "unknown seccomp flag `\(names[index])`, expected one such as `SECCOMP_FILTER_FLAG_LOG`",
          "flags/\(index)")
      }
      flags.formUnion(flag)
    }
    return flags
  }

  /// The conditions as one list, or, if two of them look at the same argument, each as a list of its own: then one of
  /// them is enough. So it is in runc and crun, and libseccomp cannot do otherwise.
  private static func conditions(
    _ arguments: [SeccompArgument], at rule: String
  ) throws(RuntimeError) -> [[SeccompCondition]] {
    var conditions: [SeccompCondition] = []
    var seen: UInt8 = 0
    var isAnyEnough = false
    for index in arguments.indices {
      let argument = arguments[index]
      guard argument.index < 6 else {
        throw invalid(
          "a system call has no argument `\(argument.index)`, expected 0 to 5", "\(rule)/args/\(index)/index")
      }
      guard let comparison = SeccompOperator(name: argument.op) else {
        throw invalid(
          "unknown seccomp operator `\(argument.op)`, expected one such as `SCMP_CMP_EQ`",
          "\(rule)/args/\(index)/op")
      }
      let bit: UInt8 = 1 << UInt8(argument.index)
      if seen & bit != 0 { isAnyEnough = true }
      seen |= bit
      conditions.append(
        SeccompCondition(
          index: UInt8(argument.index), comparison: comparison, value: argument.value,
          valueTwo: argument.valueTwo ?? 0))
    }
    return isAnyEnough ? conditions.map { [$0] } : [conditions]
  }

  static func invalid(_ message: String, _ pointer: String) -> RuntimeError {
    RuntimeError(.configInvalid, message, field: "/linux/seccomp/\(pointer)")
  }
}
