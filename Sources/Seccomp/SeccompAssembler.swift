/// Puts a program together from its end: a jump goes forwards only, and so its target is always there already.
///
/// A conditional jump reaches 255 instructions. What is farther away gets a relay in between.
struct SeccompAssembler {
  /// How many instructions follow a place, itself included: stays right while the program grows at its beginning.
  typealias Place = Int

  /// Codes of <linux/bpf_common.h>.
  private enum Code {
    static var loadWord: UInt16 { 0x20 }
    static var and: UInt16 { 0x54 }
    static var jump: UInt16 { 0x05 }
    static var `return`: UInt16 { 0x06 }
  }

  enum Test: UInt16 {
    case equal = 0x15
    case greater = 0x25
    case greaterOrEqual = 0x35
  }

  /// The last one first; each as `struct sock_filter` on a machine with the lowest byte first.
  private var instructions: [UInt64] = []
  /// By verdict, where the nearest return of it is.
  private var returns: [(verdict: UInt32, place: Place)] = []

  init() { instructions.reserveCapacity(512) }

  var count: Int { instructions.count }

  /// `struct sock_filter` one after the other.
  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 * count)
    for instruction in instructions.reversed() {
      for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: instruction >> UInt64(8 * byte))) }
    }
    return bytes
  }

  private mutating func put(_ code: UInt16, _ value: UInt32, _ ifTrue: Int = 0, _ ifFalse: Int = 0) -> Place {
    instructions.append(UInt64(code) | UInt64(ifTrue) << 16 | UInt64(ifFalse) << 24 | UInt64(value) << 32)
    return instructions.count
  }

  /// A return of `verdict` that the next instructions can reach.
  mutating func answer(_ verdict: UInt32) -> Place {
    for index in returns.indices where returns[index].verdict == verdict {
      if isFar(returns[index].place) { returns[index].place = put(Code.return, verdict) }
      return returns[index].place
    }
    let place = put(Code.return, verdict)
    returns.append((verdict, place))
    return place
  }

  /// Whether a jump from the next instruction, or from one after it, would not reach `place`.
  func isFar(_ place: Place) -> Bool { count - place > 253 }

  /// Loads a word of `struct seccomp_data` and goes on with the instruction put in last.
  mutating func load(_ offset: Int) -> Place { put(Code.loadWord, UInt32(offset)) }

  /// Leaves the bits of `mask`, and goes on with the instruction put in last.
  mutating func and(_ mask: UInt32) { _ = put(Code.and, mask) }

  mutating func branch(_ test: Test, _ value: UInt32, _ ifTrue: Place, _ ifFalse: Place) -> Place {
    let ifTrue = near(ifTrue)
    let ifFalse = near(ifFalse)
    return put(test.rawValue, value, count - ifTrue, count - ifFalse)
  }

  /// `place`, or a relay to it.
  private mutating func near(_ place: Place) -> Place {
    if !isFar(place) { return place }
    let target = instructions[place - 1]
    // A return is as short as a jump to it.
    if UInt16(truncatingIfNeeded: target) == Code.return { return answer(UInt32(truncatingIfNeeded: target >> 32)) }
    return put(Code.jump, UInt32(count - place))
  }
}
