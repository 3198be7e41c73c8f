/// A comparison as a program makes it: of one or two 32-bit words, without sign.
struct SeccompComparison: Equatable {
  enum Kind: UInt8 {
    case equal
    case greaterOrEqual
    case greater
  }

  var index: UInt8
  var kind: Kind
  /// The rule wants the opposite: `!=` of `equal`, `<` of `greaterOrEqual`, `<=` of `greater`.
  var isNegated: Bool
  var value: UInt64
  /// The bits that are compared; all of them except with SCMP_CMP_MASKED_EQ.
  var mask: UInt64

  /// nil if it holds for every argument.
  ///
  /// Where arguments have 32 bits, those are all that is compared of the value, too, as with libseccomp: x32 is one of
  /// those architectures, although its registers hold more.
  init?(_ condition: SeccompCondition, isNarrow: Bool) {
    let all: UInt64 = isNarrow ? 0xFFFF_FFFF : UInt64.max
    index = condition.index
    value = condition.value & all
    mask = all
    isNegated = false
    kind = .equal
    switch condition.comparison {
    case .equal: break
    case .notEqual: isNegated = true
    case .less: (kind, isNegated) = (.greaterOrEqual, true)
    case .lessOrEqual: (kind, isNegated) = (.greater, true)
    case .greaterOrEqual: kind = .greaterOrEqual
    case .greater: kind = .greater
    case .maskedEqual:
      mask = condition.value & all
      value = condition.valueTwo & mask
      if mask == 0 { return nil }
    }
  }

  /// The first argument of socketcall(2) or ipc(2) asks for this call.
  init(_ shared: SystemCallNumbers.Shared) {
    index = 0
    kind = .equal
    isNegated = false
    value = UInt64(shared.selector)
    mask = UInt64(shared.mask)
  }

  /// Less than zero if this one is looked at before `other`, greater if after it; see ``SeccompChain/isBefore(_:)``.
  func order(_ other: SeccompComparison) -> Int {
    if index != other.index { return index > other.index ? -1 : 1 }
    if rank != other.rank { return rank > other.rank ? -1 : 1 }
    // The smaller of two upper bounds is the narrower rule, and the larger of two lower ones.
    if value != other.value { return (value > other.value) != (rank == 2) ? -1 : 1 }
    if mask != other.mask { return mask > other.mask ? -1 : 1 }
    if kind != other.kind { return kind.rawValue < other.kind.rawValue ? -1 : 1 }
    if isNegated != other.isNegated { return isNegated ? 1 : -1 }
    return 0
  }

  private var rank: Int { kind == .equal ? 3 : isNegated ? 2 : 1 }
}

/// One rule with conditions for one system call.
struct SeccompChain {
  /// By argument; not empty.
  var comparisons: [SeccompComparison]
  /// SECCOMP_RET_* with its data.
  var action: UInt32
  /// Which rule of the filter it comes from.
  var rule: Int
  var origin: Origin = .ownNumber

  /// How the call of the rule is made.
  enum Origin {
    case ownNumber
    /// By a number that it shares; see ``SeccompSection/addShared(_:_:)``.
    case sharedNumber
    /// So, too, and the rule has conditions, which cannot be looked at.
    case sharedNumberUnseen
  }

  /// Whether `self` is looked at before `other`: the first rule that matches decides.
  ///
  /// The order is that of libseccomp, not that of the profile: later arguments first, on one argument `==` and `!=` before
  /// upper bounds before lower ones, the narrower rule before the wider one. It matters only where two rules with different
  /// actions match the same call.
  func isBefore(_ other: SeccompChain) -> Bool {
    for index in 0..<min(comparisons.count, other.comparisons.count) {
      let order = comparisons[index].order(other.comparisons[index])
      if order != 0 { return order < 0 }
    }
    if comparisons.count != other.comparisons.count { return comparisons.count < other.comparisons.count }
    return rule < other.rule
  }

  /// Whether whatever `other` matches is matched by `self`, for it has the same conditions and no more.
  func covers(_ other: SeccompChain) -> Bool {
    if comparisons.count > other.comparisons.count { return false }
    for index in comparisons.indices where comparisons[index] != other.comparisons[index] { return false }
    return true
  }

  /// The rules in their order, without those that another covers.
  ///
  /// - Parameter conflict: told of the later one of two rules with different actions of which the narrower is not the
  ///   later one: libseccomp refuses that, and it cannot be meant.
  static func ordered(_ chains: [SeccompChain], conflict: (Int) -> Void) -> [SeccompChain] {
    var result: [SeccompChain] = []
    result.reserveCapacity(chains.count)
    for chain in chains.sorted(by: { $0.isBefore($1) }) {
      if let last = result.last, last.covers(chain) {
        let isShorter = last.comparisons.count < chain.comparisons.count
        if last.action != chain.action && !(isShorter && last.rule < chain.rule) {
          conflict(max(last.rule, chain.rule))
        }
        continue
      }
      result.append(chain)
    }
    return result
  }
}
