/// What a filter looks at: `struct seccomp_data`.
struct SystemCall {
  var number: Int32
  var architecture: UInt32
  var arguments: [UInt64] = []

  /// AUDIT_ARCH_X86_64, AUDIT_ARCH_I386
  static let amd64: UInt32 = 0xC000_003E
  static let i386: UInt32 = 0x4000_0003
  /// __X32_SYSCALL_BIT
  static let x32Bit: Int32 = 0x4000_0000

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func put(_ value: UInt64, _ size: Int) {
      for shift in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * shift))) }
    }
    put(UInt64(UInt32(bitPattern: number)), 4)
    put(UInt64(architecture), 4)
    put(0, 8)
    for index in 0..<6 { put(index < arguments.count ? arguments[index] : 0, 8) }
    return bytes
  }
}

/// Runs a classic BPF program the way the kernel does for seccomp(2); only the instructions that it allows there.
struct ClassicBPF {
  enum Failure: Error, Equatable {
    case unknownInstruction(UInt16)
    case outside(Int)
  }

  private struct Instruction {
    var code: UInt16
    var ifTrue: Int
    var ifFalse: Int
    var value: UInt32
  }

  private let instructions: [Instruction]

  var count: Int { instructions.count }

  init(_ bytes: [UInt8]) {
    instructions = stride(from: 0, to: bytes.count, by: 8).map { at in
      Instruction(
        code: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8, ifTrue: Int(bytes[at + 2]),
        ifFalse: Int(bytes[at + 3]),
        value: (0..<4).reduce(0) { $0 | UInt32(bytes[at + 4 + $1]) << UInt32(8 * $1) })
    }
  }

  /// The verdict, SECCOMP_RET_* with its data.
  func run(_ call: SystemCall) throws -> UInt32 {
    let data = call.bytes
    var accumulator: UInt32 = 0
    var index: UInt32 = 0
    var memory = [UInt32](repeating: 0, count: 16)
    var at = 0
    while at < instructions.count {
      let instruction = instructions[at]
      at += 1
      let value = instruction.value
      switch instruction.code {
      case 0x20:  // BPF_LD | BPF_W | BPF_ABS
        guard Int(value) + 4 <= data.count, value % 4 == 0 else { throw Failure.outside(Int(value)) }
        accumulator = (0..<4).reduce(0) { $0 | UInt32(data[Int(value) + $1]) << UInt32(8 * $1) }
      case 0x00: accumulator = value  // BPF_LD | BPF_IMM
      case 0x60: accumulator = memory[Int(value)]  // BPF_LD | BPF_MEM
      case 0x02: memory[Int(value)] = accumulator  // BPF_ST
      case 0x07: index = accumulator  // BPF_TAX
      case 0x87: accumulator = index  // BPF_TXA
      case 0x54: accumulator &= value  // BPF_AND
      case 0x05: at += Int(value)  // BPF_JA
      case 0x15: at += accumulator == value ? instruction.ifTrue : instruction.ifFalse  // BPF_JEQ
      case 0x25: at += accumulator > value ? instruction.ifTrue : instruction.ifFalse  // BPF_JGT
      case 0x35: at += accumulator >= value ? instruction.ifTrue : instruction.ifFalse  // BPF_JGE
      case 0x45: at += accumulator & value != 0 ? instruction.ifTrue : instruction.ifFalse  // BPF_JSET
      case 0x06: return value  // BPF_RET | BPF_K
      default: throw Failure.unknownInstruction(instruction.code)
      }
    }
    throw Failure.outside(at)
  }
}
