import LinuxABI
import OCISpec

@testable import Seccomp

/// A machine that programs are made for, and everything that its kernel reports.
struct Machine: Sendable, CustomStringConvertible {
  let description: String
  let native: UInt32
  /// As a profile lists them.
  let architectures: [String]
  /// The tokens of libseccomp.
  let tokens: [UInt32]
  /// What managers' profiles name there besides.
  let names: [String]

  static let amd64 = Machine(
    description: "x86_64", native: SystemCallTable.amd64,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    tokens: [SystemCallTable.amd64, SystemCallTable.i386, SystemCallTable.x32], names: [])
  static let aarch64 = Machine(
    description: "aarch64", native: SystemCallTable.aarch64, architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    tokens: [SystemCallTable.aarch64, SystemCallTable.arm],
    names: ["arm_fadvise64_64", "arm_sync_file_range", "sync_file_range2", "breakpoint", "cacheflush", "set_tls"])
  static let all = [amd64, aarch64]
}

/// What a filter means by config-linux.md and spec/deviations.md: for every call all rules are looked at. Nothing is used
/// of what programs are made by, but for the names and numbers of libseccomp.
struct Meaning {
  private struct Entry {
    var rule: SeccompFilterRule
    /// What the first argument must be if the number is shared.
    var selector: UInt32?
  }

  private let filter: SeccompFilter
  private let tokens: Set<UInt32>
  /// By architecture, and by number.
  private var entries: [UInt32: [UInt32: [Entry]]] = [:]
  /// By architecture: the largest number that the profile has a name for.
  private var largest: [UInt32: UInt32] = [:]

  init(_ filter: SeccompFilter, on machine: Machine) {
    self.filter = filter
    tokens = Set(filter.architectures.map { Library.token($0) }).intersection(machine.tokens).union([machine.native])
    for token in tokens {
      let names = filter.rules.map(\.systemCall) + filter.otherSystemCalls
      largest[token] = names.map { Library.largestNumber($0, token) }.max() ?? 0
      for rule in filter.rules {
        for number in Library.allNumbers(rule.systemCall, token) {
          let selector = Library.selector(rule.systemCall, token, number)
          entries[token, default: [:]][number, default: []].append(Entry(rule: rule, selector: selector))
        }
      }
    }
  }

  /// The verdicts that are right: one, or where rules contradict each other those of all that match.
  func verdicts(_ call: SystemCall) -> Set<UInt32> {
    let number = UInt32(bitPattern: call.number)
    guard let token = token(call) else {
      // What a tracer puts there for a call to be left out is no call of x32.
      let isLeftOut = number == .max && call.architecture == SystemCall.amd64 && tokens.contains(SystemCall.amd64)
      return [isLeftOut ? filter.defaultAction : SeccompReturn.killThread]
    }
    let entries = entries[token]?[number] ?? []
    let own = entries.filter { $0.selector == nil }
    if let whole = own.first(where: { isUnconditional($0.rule, token) }) { return [whole.rule.action] }
    var verdicts = Set(own.filter { matches($0.rule, call, token) }.map(\.rule.action))
    verdicts.formUnion(shared(entries, call, token))
    return verdicts.isEmpty ? [newer(call, filter.defaultAction)] : verdicts
  }

  /// ENOSYS instead of `verdict` for a call newer than the profile.
  func newer(_ call: SystemCall, _ verdict: UInt32) -> UInt32 {
    guard verdict == filter.defaultAction, let token = token(call), let largest = largest[token], largest > 0,
      UInt32(bitPattern: call.number) > largest
    else { return verdict }
    switch verdict & 0xFFFF_0000 {
    case SeccompReturn.allow, SeccompReturn.log, SeccompReturn.trace: return verdict
    default: return SeccompReturn.errno | 38
    }
  }

  /// Whether this is a call of i386 that libseccomp gets wrong: it compares what cannot be compared, or the version of ipc(2).
  func isMisjudged(_ call: SystemCall) -> Bool {
    guard token(call) == SystemCall.i386, [102, 117].contains(call.number) else { return false }
    let selector = selector(call, .max)
    if call.number == 117 && selector > 0xFFFF { return true }
    let entries = entries[SystemCall.i386]?[UInt32(bitPattern: call.number)] ?? []
    return entries.contains { $0.selector == selector && !$0.rule.conditions.isEmpty }
  }

  /// nil for an architecture that is not in the filter.
  private func token(_ call: SystemCall) -> UInt32? {
    if call.architecture == SystemCallTable.x32 { return nil }
    let isX32 = call.architecture == SystemCall.amd64 && UInt32(bitPattern: call.number) >= 0x4000_0000
    let token = isX32 ? SystemCallTable.x32 : call.architecture
    return tokens.contains(token) ? token : nil
  }

  // MARK: Calls that share a number

  private func selector(_ call: SystemCall, _ mask: UInt32) -> UInt32 {
    UInt32(truncatingIfNeeded: call.arguments.first ?? 0) & mask
  }

  /// A rule with conditions counts for all calls if it is stricter than the default action, and else for none.
  private func shared(_ entries: [Entry], _ call: SystemCall, _ token: UInt32) -> Set<UInt32> {
    let meant = entries.filter { $0.selector == selector(call, call.number == 117 ? 0xFFFF : .max) }
    if let whole = meant.first(where: { isUnconditional($0.rule, token) }) { return [whole.rule.action] }
    func severity(_ action: UInt32) -> Int {
      let order: [UInt32] = [
        SeccompReturn.killProcess, SeccompReturn.killThread, SeccompReturn.trap, SeccompReturn.errno,
        SeccompReturn.userNotification, SeccompReturn.trace, SeccompReturn.log, SeccompReturn.allow,
      ]
      return order.firstIndex(of: action & 0xFFFF_0000) ?? order.count
    }
    let stricter = meant.map(\.rule.action).filter { severity($0) < severity(filter.defaultAction) }
    let least = stricter.map { severity($0) }.min()
    return Set(stricter.filter { severity($0) == least })
  }

  // MARK: Conditions

  private func bits(_ token: UInt32) -> UInt64 {
    token == SystemCallTable.amd64 || token == SystemCallTable.aarch64 ? .max : 0xFFFF_FFFF
  }

  /// No conditions, or those that look at no bit.
  private func isUnconditional(_ rule: SeccompFilterRule, _ token: UInt32) -> Bool {
    rule.conditions.allSatisfy { $0.comparison == .maskedEqual && $0.value & bits(token) == 0 }
  }

  private func matches(_ rule: SeccompFilterRule, _ call: SystemCall, _ token: UInt32) -> Bool {
    rule.conditions.allSatisfy { condition in
      let index = Int(condition.index)
      let argument = (index < call.arguments.count ? call.arguments[index] : 0) & bits(token)
      let (value, valueTwo) = (condition.value & bits(token), condition.valueTwo & bits(token))
      switch condition.comparison {
      case .notEqual: return argument != value
      case .less: return argument < value
      case .lessOrEqual: return argument <= value
      case .equal: return argument == value
      case .greaterOrEqual: return argument >= value
      case .greater: return argument > value
      case .maskedEqual: return argument & value == valueTwo & value
      }
    }
  }
}
