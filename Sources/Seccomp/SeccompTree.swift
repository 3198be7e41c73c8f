internal import LinuxABI

/// Writes sections as instructions.
struct SeccompTree {
  /// `struct seccomp_data`: the number, then the architecture; the arguments have 8 bytes each, the lower word first.
  private enum Offset {
    static var number: Int { 0 }
    static var architecture: Int { 4 }
    static func argument(_ index: UInt8, isHigh: Bool) -> Int { 16 + 8 * Int(index) + (isHigh ? 4 : 0) }
  }

  /// A section as part of a tree, with the places where its leaves begin, 0 for those not written yet.
  private struct Part {
    var leaves: [SeccompSection.Leaf]
    var places: [SeccompAssembler.Place]
    var isNarrow: Bool
  }

  private struct Range {
    var start: UInt32
    var part: Int
    var leaf: Int
  }

  private var assembler: SeccompAssembler
  private var parts: [Part] = []
  private var ranges: [Range] = []
  /// What happens to the calls of all sections that no rule decides about.
  private var defaultAction: UInt32

  /// - Parameter newer: what happens to calls above those that the profile names; nil for the default action.
  static func put(_ sections: [SeccompSection], into assembler: inout SeccompAssembler, newer: UInt32?) {
    var tree = SeccompTree(assembler: assembler, defaultAction: sections[0].leaves[0].verdict)
    tree.put(sections, newer: newer)
    assembler = tree.assembler
  }

  private mutating func put(_ sections: [SeccompSection], newer: UInt32?) {
    // x32 is told from x86_64 by the number only, so the two are one tree. Everything is written from its end: the native
    // architecture is the last of all and stands next to the beginning.
    var trees: [(architecture: UInt32, place: SeccompAssembler.Place)] = []
    for section in sections.reversed() where section.token != SystemCallTable.x32 {
      ranges = []
      add(section, newer)
      if section.token == SystemCallTable.amd64 { addX32(sections.first { $0.token == SystemCallTable.x32 }, newer) }
      // What all numbers share does not look at them, and may be an answer that is there already: a load would run into
      // whatever was written last.
      let place = tree(0, ranges.count)
      trees.append((section.token, ranges.count == 1 ? place : assembler.load(Offset.number)))
    }
    // Where the architecture is none of these, the thread is killed: the action that libseccomp has for it.
    var place = assembler.answer(SeccompReturn.killThread)
    for tree in trees { place = assembler.branch(.equal, tree.architecture, tree.place, place) }
    _ = assembler.load(Offset.architecture)
  }

  private mutating func add(_ section: SeccompSection, _ newer: UInt32?) {
    var section = section
    for range in section.ranges(newer: newer) {
      ranges.append(Range(start: range.start, part: parts.count, leaf: range.leaf))
    }
    parts.append(
      Part(
        leaves: section.leaves, places: [SeccompAssembler.Place](repeating: 0, count: section.leaves.count),
        isNarrow: section.isNarrow))
  }

  /// The numbers with the bit of x32: its own section, or those of an architecture that is not listed. -1 is neither: a
  /// tracer has put it there for a call to be left out.
  private mutating func addX32(_ section: SeccompSection?, _ newer: UInt32?) {
    if let section {
      add(section, newer)
      return
    }
    var leaves: [SeccompSection.Leaf] = []
    leaves.append(SeccompSection.Leaf(verdict: SeccompReturn.killThread))
    leaves.append(SeccompSection.Leaf(verdict: defaultAction))
    ranges.append(Range(start: SystemCallTable.x32Bit, part: parts.count, leaf: 0))
    ranges.append(Range(start: UInt32.max, part: parts.count, leaf: 1))
    parts.append(
      Part(leaves: leaves, places: [SeccompAssembler.Place](repeating: 0, count: leaves.count), isNarrow: true))
  }

  // MARK: Numbers

  /// The ranges from `first` on, as many as `end` tells.
  private mutating func tree(_ first: Int, _ end: Int) -> SeccompAssembler.Place {
    if end - first == 1 { return leaf(first) }
    // One number in the midst of others that share an answer takes one comparison instead of two.
    if end - first == 3 && isSame(first, first + 2) && ranges[first + 1].start == ranges[first + 2].start - 1 {
      let inner = leaf(first + 1)
      let outer = leaf(first)
      return assembler.branch(.equal, ranges[first + 1].start, inner, outer)
    }
    var middle = (first + end) / 2
    // An odd count on the left leaves more of those.
    if (middle - first) % 2 == 0 && middle + 1 < end { middle += 1 }
    let right = tree(middle, end)
    let left = tree(first, middle)
    return assembler.branch(.greaterOrEqual, ranges[middle].start, right, left)
  }

  private func isSame(_ one: Int, _ other: Int) -> Bool {
    if ranges[one].part != ranges[other].part { return false }
    return ranges[one].leaf == ranges[other].leaf
  }

  private mutating func leaf(_ range: Int) -> SeccompAssembler.Place {
    let (part, leaf) = (ranges[range].part, ranges[range].leaf)
    if parts[part].leaves[leaf].chains.isEmpty { return assembler.answer(parts[part].leaves[leaf].verdict) }
    if parts[part].places[leaf] == 0 {
      parts[part].places[leaf] = chains(parts[part].leaves[leaf].chains, isNarrow: parts[part].isNarrow)
    }
    return parts[part].places[leaf]
  }

  // MARK: Arguments

  /// The rules one after the other; the default action where none of them matches.
  private mutating func chains(_ chains: [SeccompChain], isNarrow: Bool) -> SeccompAssembler.Place {
    var place = assembler.answer(defaultAction)
    var end = chains.count
    while end > 0 {
      let start = isNarrow ? end - 1 : startOfValues(chains, end)
      if end - start > 1 {
        place = values(chains, start, end, place)
      } else {
        place = chain(chains[start], place, isNarrow: isNarrow)
      }
      end = start
    }
    return place
  }

  private mutating func chain(
    _ chain: SeccompChain, _ otherwise: SeccompAssembler.Place, isNarrow: Bool
  ) -> SeccompAssembler.Place {
    var place = assembler.answer(chain.action)
    for comparison in chain.comparisons.reversed() {
      let (ifTrue, ifFalse) = comparison.isNegated ? (otherwise, place) : (place, otherwise)
      place = compare(comparison, ifTrue, ifFalse, isNarrow: isNarrow)
    }
    return place
  }

  /// Where the rules before `end` begin that compare one argument with values of the same upper word, and nothing else.
  private func startOfValues(_ chains: [SeccompChain], _ end: Int) -> Int {
    let last = chains[end - 1]
    var start = end - 1
    if !isValue(last) { return start }
    while start > 0, isValue(chains[start - 1]),
      chains[start - 1].comparisons[0].index == last.comparisons[0].index,
      chains[start - 1].comparisons[0].value >> 32 == last.comparisons[0].value >> 32
    {
      start -= 1
    }
    return start
  }

  private func isValue(_ chain: SeccompChain) -> Bool {
    let comparison = chain.comparisons[0]
    return chain.comparisons.count == 1 && comparison.kind == .equal && !comparison.isNegated
      && comparison.mask == UInt64.max
  }

  /// Loads each word once for all of them.
  private mutating func values(
    _ chains: [SeccompChain], _ start: Int, _ end: Int, _ otherwise: SeccompAssembler.Place
  ) -> SeccompAssembler.Place {
    let comparison = chains[start].comparisons[0]
    var place = otherwise
    for index in stride(from: end - 1, through: start, by: -1) {
      let answer = assembler.answer(chains[index].action)
      place = assembler.branch(
        .equal, UInt32(truncatingIfNeeded: chains[index].comparisons[0].value), answer, place)
    }
    place = assembler.load(Offset.argument(comparison.index, isHigh: false))
    _ = assembler.branch(.equal, UInt32(comparison.value >> 32), place, otherwise)
    return assembler.load(Offset.argument(comparison.index, isHigh: true))
  }

  /// The upper words decide, and the lower ones where those are equal.
  private mutating func compare(
    _ comparison: SeccompComparison, _ ifTrue: SeccompAssembler.Place, _ ifFalse: SeccompAssembler.Place,
    isNarrow: Bool
  ) -> SeccompAssembler.Place {
    let (high, highMask) = (UInt32(comparison.value >> 32), UInt32(comparison.mask >> 32))
    let lowMask = UInt32(truncatingIfNeeded: comparison.mask)
    var place = ifTrue
    if lowMask != 0 {
      let test: SeccompAssembler.Test
      switch comparison.kind {
      case .equal: test = .equal
      case .greater: test = .greater
      case .greaterOrEqual: test = .greaterOrEqual
      }
      _ = assembler.branch(test, UInt32(truncatingIfNeeded: comparison.value), ifTrue, ifFalse)
      place = load(comparison, mask: lowMask, isHigh: false)
    }
    if isNarrow || highMask == 0 { return place }
    if comparison.kind == .equal {
      _ = assembler.branch(.equal, high, place, ifFalse)
    } else {
      let isEqual = assembler.branch(.equal, high, place, ifFalse)
      _ = assembler.branch(.greater, high, ifTrue, isEqual)
    }
    return load(comparison, mask: highMask, isHigh: true)
  }

  private mutating func load(_ comparison: SeccompComparison, mask: UInt32, isHigh: Bool) -> SeccompAssembler.Place {
    if mask != UInt32.max { assembler.and(mask) }
    return assembler.load(Offset.argument(comparison.index, isHigh: isHigh))
  }
}
