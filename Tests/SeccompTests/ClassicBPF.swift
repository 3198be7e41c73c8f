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

  /// The word at an offset of the structure; nil outside of it.
  func word(_ offset: UInt32) -> UInt32? {
    switch offset {
    case 0: return UInt32(bitPattern: number)
    case 4: return architecture
    case 8, 12: return 0
    case 16..<64 where offset % 4 == 0:
      let index = Int(offset - 16) / 8
      let value = index < arguments.count ? arguments[index] : 0
      return UInt32(truncatingIfNeeded: offset % 8 == 0 ? value : value >> 32)
    default: return nil
    }
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
    var accumulator: UInt32 = 0
    var index: UInt32 = 0
    var memory: [UInt32] = []
    var at = 0
    while at < instructions.count {
      let instruction = instructions[at]
      at += 1
      let value = instruction.value
      switch instruction.code {
      case 0x20:  // BPF_LD | BPF_W | BPF_ABS
        guard let word = call.word(value) else { throw Failure.outside(Int(value)) }
        accumulator = word
      case 0x00: accumulator = value  // BPF_LD | BPF_IMM
      case 0x60: accumulator = memory[Int(value)]  // BPF_LD | BPF_MEM
      case 0x02:  // BPF_ST
        if memory.isEmpty { memory = [UInt32](repeating: 0, count: 16) }
        memory[Int(value)] = accumulator
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
