internal import LinuxABI

/// What happens to the calls of one architecture, number by number.
struct SeccompSection {
  /// A verdict, or rules that look at the arguments first.
  struct Leaf {
    /// Where there are no rules.
    var verdict: UInt32
    var chains: [SeccompChain] = []
  }

  /// From this number to that of the next range.
  struct Range {
    var start: UInt32
    var leaf: Int
  }

  let token: UInt32
  /// The largest number that a name of the profile has, with or without a rule of its own.
  private(set) var largest: UInt32 = 0
  /// The first one is the default action.
  private(set) var leaves: [Leaf]
  /// By the number without the bit of x32: the leaf.
  private var low: [UInt16] = [UInt16](repeating: 0, count: 1024)
  /// Numbers that are no index, such as the private ones of ARM.
  private var others: [(number: UInt32, leaf: Int)] = []

  var isNarrow: Bool { SystemCallTable.isNarrow(token) }
  private var base: UInt32 { token == SystemCallTable.x32 ? SystemCallTable.x32Bit : 0 }

  init(_ token: UInt32, defaultAction: UInt32) {
    self.token = token
    leaves = [Leaf(verdict: defaultAction)]
  }

  /// The profile has a name for these numbers.
  mutating func mention(_ numbers: SystemCallNumbers) {
    if let direct = numbers.direct, direct > largest { largest = direct }
    if let shared = numbers.shared, shared.number > largest { largest = shared.number }
  }

  /// Adds a rule of the profile: one without conditions makes earlier ones with conditions void, and all later ones are
  /// void after it, as with libseccomp.
  ///
  /// - Parameter order: which rule it is.
  mutating func add(_ rule: SeccompFilterRule, _ numbers: SystemCallNumbers, order: Int) {
    var comparisons: [SeccompComparison] = []
    for condition in rule.conditions {
      guard let comparison = SeccompComparison(condition, isNarrow: isNarrow) else { continue }
      comparisons.append(comparison)
    }
    if comparisons.count > 1 { comparisons.sort { $0.index < $1.index } }
    if let direct = numbers.direct {
      add(direct, SeccompChain(comparisons: comparisons, action: rule.action, rule: order))
    }
    guard let shared = numbers.shared else { return }
    addShared(
      shared.number,
      SeccompChain(
        comparisons: [SeccompComparison(shared)], action: rule.action, rule: order,
        origin: comparisons.isEmpty ? .sharedNumber : .sharedNumberUnseen))
  }

  /// Adds a rule for a call by a number that it shares. What such a call is given cannot be looked at: socketcall(2) has it
  /// behind a pointer, and ipc(2) in other places. So a rule with conditions holds always or never, whatever is safe: always
  /// if it is stricter than the default action, and never if it is laxer. libseccomp compares the pointer and what happens to
  /// be in the registers behind it, which are whatever the caller likes.
  private mutating func addShared(_ number: UInt32, _ chain: SeccompChain) {
    let isUnseen = chain.origin == .sharedNumberUnseen
    if isUnseen && !SeccompSection.isStricter(chain.action, than: leaves[0].verdict) { return }
    let leaf = self[number]
    let index = leaves[leaf].chains.firstIndex { $0.origin != .ownNumber && $0.comparisons == chain.comparisons }
    guard let index else { return add(number, chain) }
    // A rule without conditions decides alone, as it does for the call by its own number.
    let other = leaves[leaf].chains[index]
    if other.origin == .sharedNumberUnseen {
      if !isUnseen || SeccompSection.isStricter(chain.action, than: other.action) { leaves[leaf].chains[index] = chain }
    } else if !isUnseen {
      leaves[leaf].chains.append(chain)
    }
  }

  /// Whether the kernel prefers `action` where two filters answer differently: the smaller number, with sign.
  private static func isStricter(_ action: UInt32, than other: UInt32) -> Bool {
    let mask = ~SeccompReturn.dataMask
    return Int32(bitPattern: action & mask) < Int32(bitPattern: other & mask)
  }

  private mutating func add(_ number: UInt32, _ chain: SeccompChain) {
    let leaf = self[number]
    if leaf == 0 || (chain.comparisons.isEmpty && !leaves[leaf].chains.isEmpty) {
      self[number] = chain.comparisons.isEmpty ? self.leaf(of: chain.action) : leaves.count
      if !chain.comparisons.isEmpty { leaves.append(Leaf(verdict: 0, chains: [chain])) }
    } else if !leaves[leaf].chains.isEmpty {
      leaves[leaf].chains.append(chain)
    }
  }

  private mutating func leaf(of verdict: UInt32) -> Int {
    for index in leaves.indices where leaves[index].verdict == verdict && leaves[index].chains.isEmpty {
      return index
    }
    leaves.append(Leaf(verdict: verdict))
    return leaves.count - 1
  }

  private subscript(number: UInt32) -> Int {
    get {
      let index = Int(number &- base)
      if index < low.count { return Int(low[index]) }
      for other in others where other.number == number { return other.leaf }
      return 0
    }
    set {
      let index = Int(number &- base)
      if index < low.count {
        low[index] = UInt16(newValue)
      } else if let place = others.firstIndex(where: { $0.number == number }) {
        others[place].leaf = newValue
      } else {
        others.append((number, newValue))
      }
    }
  }

  /// Puts the rules with conditions into their order; see ``SeccompChain/ordered(_:conflict:)``.
  mutating func order(conflict: (Int) -> Void) {
    for index in leaves.indices where leaves[index].chains.count > 1 {
      leaves[index].chains = SeccompChain.ordered(leaves[index].chains, conflict: conflict)
    }
  }

  /// All numbers from the first of this architecture on.
  ///
  /// - Parameter newer: what happens to those above the largest one that the profile names; nil for the default action.
  mutating func ranges(newer: UInt32?) -> [Range] {
    var ranges: [Range] = []
    ranges.reserveCapacity(128)
    var last = -1
    func put(_ start: UInt32, _ leaf: Int) {
      if leaf == last { return }
      ranges.append(Range(start: start, leaf: leaf))
      last = leaf
    }
    for index in low.indices { put(base + UInt32(index), Int(low[index])) }
    put(base + UInt32(low.count), 0)
    for other in others.sorted(by: { $0.number < $1.number }) {
      put(other.number, other.leaf)
      put(other.number + 1, 0)
    }
    guard let newer, largest > 0 else { return ranges }
    // Nothing above has a rule: what stands there is the default action.
    let leaf = self.leaf(of: newer)
    if let end = ranges.last, end.leaf == 0, end.start > largest { ranges.removeLast() }
    ranges.append(Range(start: largest + 1, leaf: leaf))
    return ranges
  }
}
