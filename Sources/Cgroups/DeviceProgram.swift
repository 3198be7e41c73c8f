/// One instruction of eBPF (kernel documentation, bpf/standardization/instruction-set).
package struct BPFInstruction: Equatable, Sendable {
  package var code: UInt8
  package var destination: UInt8
  package var source: UInt8
  package var offset: Int16
  package var immediate: Int32

  package init(
    _ code: UInt8, to destination: UInt8 = 0, from source: UInt8 = 0, offset: Int16 = 0, immediate: Int32 = 0
  ) {
    self.code = code
    self.destination = destination
    self.source = source
    self.offset = offset
    self.immediate = immediate
  }

  /// The codes used here. Jumps compare 32 bits: an immediate is sign-extended for 64, and a device number is not.
  package enum Code {
    package static let loadWord: UInt8 = 0x61
    package static let moveRegister: UInt8 = 0xBF
    package static let moveImmediate: UInt8 = 0xB7
    package static let and32: UInt8 = 0x54
    package static let shiftRight32: UInt8 = 0x74
    package static let jump: UInt8 = 0x05
    package static let jumpNotEqual32: UInt8 = 0x56
    package static let jumpAnyBit32: UInt8 = 0x46
    package static let exit: UInt8 = 0x95
  }

  /// The eight bytes of `struct bpf_insn`, little-endian.
  package func append(to bytes: inout [UInt8]) {
    bytes.append(code)
    bytes.append(destination | source << 4)
    let offset = UInt16(bitPattern: offset)
    bytes.append(UInt8(truncatingIfNeeded: offset))
    bytes.append(UInt8(truncatingIfNeeded: offset >> 8))
    let immediate = UInt32(bitPattern: immediate)
    for shift in [UInt32(0), 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: immediate >> shift)) }
  }
}

/// A program of type BPF_PROG_TYPE_CGROUP_DEVICE: the device controller of cgroup v2.
package struct DeviceProgram: Equatable, Sendable {
  package var instructions: [BPFInstruction] = []

  private typealias Code = BPFInstruction.Code
  // r0 is the answer, r1 the context. What a rule looks at:
  private static let kind: UInt8 = 2
  /// The kinds of access that no rule has granted yet.
  private static let pending: UInt8 = 3
  private static let major: UInt8 = 4
  private static let minor: UInt8 = 5

  /// Puts the rules into a program, last rule first: the first that matches decides.
  ///
  /// One request may be for several kinds of access (O_RDWR). Each is decided on its own: a rule that allows takes its
  /// kinds out of the pending ones, and a rule that denies a pending kind denies the request. A comparison of whole
  /// masks would let `rw` pass a rule that denies `w` only.
  package init(_ permissions: DevicePermissions) {
    // struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
    instructions = [
      BPFInstruction(Code.loadWord, to: DeviceProgram.kind, from: 1, offset: 0),
      BPFInstruction(Code.moveRegister, to: DeviceProgram.pending, from: DeviceProgram.kind),
      BPFInstruction(Code.and32, to: DeviceProgram.kind, immediate: 0xFFFF),
      BPFInstruction(Code.shiftRight32, to: DeviceProgram.pending, immediate: 16),
      BPFInstruction(Code.loadWord, to: DeviceProgram.major, from: 1, offset: 4),
      BPFInstruction(Code.loadWord, to: DeviceProgram.minor, from: 1, offset: 8),
    ]
    for rule in permissions.rules.reversed() {
      if rule.isAboutEverything {
        // No rule before this one can matter.
        answer(rule.allow)
        return
      }
      append(rule)
    }
    answer(false)
  }

  private mutating func answer(_ allow: Bool) {
    instructions.append(BPFInstruction(Code.moveImmediate, to: 0, immediate: allow ? 1 : 0))
    instructions.append(BPFInstruction(Code.exit))
  }

  private mutating func append(_ rule: DevicePermission) {
    var tests: [(register: UInt8, value: UInt32)] = []
    if let kind = rule.kind { tests.append((DeviceProgram.kind, UInt32(kind.rawValue))) }
    if let major = rule.major { tests.append((DeviceProgram.major, major)) }
    if let minor = rule.minor { tests.append((DeviceProgram.minor, minor)) }
    let verdict = DeviceProgram.verdict(rule)
    for (index, test) in tests.enumerated() {
      // Over the tests that are left and the verdict, to the next rule.
      let distance = tests.count - index - 1 + verdict.count
      instructions.append(
        BPFInstruction(
          Code.jumpNotEqual32, to: test.register, offset: Int16(distance),
          immediate: Int32(bitPattern: test.value)))
    }
    instructions += verdict
  }

  /// What happens to a request for one of the rule's devices.
  private static func verdict(_ rule: DevicePermission) -> [BPFInstruction] {
    let answer = [
      BPFInstruction(Code.moveImmediate, to: 0, immediate: rule.allow ? 1 : 0), BPFInstruction(Code.exit),
    ]
    if rule.access == .all { return answer }
    if rule.allow {
      return [
        BPFInstruction(Code.and32, to: pending, immediate: ~Int32(rule.access.rawValue)),
        BPFInstruction(Code.jumpNotEqual32, to: pending, offset: 2, immediate: 0),
      ] + answer
    }
    return [
      BPFInstruction(Code.jumpAnyBit32, to: pending, offset: 1, immediate: Int32(rule.access.rawValue)),
      BPFInstruction(Code.jump, offset: 2),
    ] + answer
  }

  /// The program as bpf(2) takes it.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(instructions.count * 8)
    for instruction in instructions { instruction.append(to: &bytes) }
    return bytes
  }
}
