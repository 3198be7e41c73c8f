import LinuxABI
import OCISpec
import Testing

@testable import Seccomp

/// SplitMix64: the same profiles on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// One of `elements`, of which there is one at least.
  mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[Int.random(in: elements.indices, using: &self)]
  }
}

/// Profiles of every action, operator and kind of call.
struct RandomProfile {
  /// Calls of each kind: plain ones, those of other numbers on x32 and i386, and those behind socketcall(2) and ipc(2).
  static let names = [
    "read", "write", "open", "ioctl", "readv", "execve", "clone", "personality", "socket", "accept", "accept4", "send",
    "sendmmsg", "socketcall", "semop", "semget", "shmat", "msgctl", "ipc", "chown32", "mmap2", "futex_waitv", "nice",
    "no_such_call",
  ]
  private static let actions: [(name: String, errnoRet: [UInt?])] = [
    ("SCMP_ACT_ALLOW", [nil]), ("SCMP_ACT_ERRNO", [nil, 0, 38, 4094]), ("SCMP_ACT_KILL", [nil]),
    ("SCMP_ACT_KILL_PROCESS", [nil]), ("SCMP_ACT_KILL_THREAD", [nil]), ("SCMP_ACT_LOG", [nil]),
    ("SCMP_ACT_TRACE", [nil, 65535]), ("SCMP_ACT_TRAP", [nil]),
  ]
  private static let values: [UInt64] = [
    0, 1, 5, 6, 0xFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0005, 0x5_0000_0001, 0x8000_0000_0000_0000,
    .max - 1, .max,
  ]

  /// - Parameter sharesActions: all rules of one system call have the same action.
  static func make(
    _ seed: UInt64, sharesActions: Bool, on machine: Machine = .amd64, names: [String] = RandomProfile.names
  ) -> SeccompProfile {
    var random = SeededGenerator(seed)
    func action() -> (String, UInt?) {
      let action = random.pick(actions)
      return (action.name, random.pick(action.errnoRet))
    }
    let (defaultAction, defaultErrnoRet) = action()
    var byName: [String: (String, UInt?)] = [:]
    var rules = [SeccompRule(names: ["getpid"], action: "SCMP_ACT_ERRNO", errnoRet: 77)]
    for _ in 0..<Int.random(in: 1...10, using: &random) {
      let name = random.pick(names)
      let (action, errnoRet) = sharesActions ? byName[name] ?? action() : action()
      byName[name] = (action, errnoRet)
      let count = random.pick([0, 1, 1, 1, 2, 2, 3])
      let indices = (UInt(0)..<6).shuffled(using: &random).prefix(count)
      rules.append(
        SeccompRule(
          names: [name], action: action, errnoRet: errnoRet,
          args: indices.map { index in
            SeccompArgument(
              index: count < 3 ? index % 3 : index, value: random.pick(values),
              valueTwo: random.pick(values),
              op: random.pick(SeccompOperator.allCases).name)
          }))
    }
    let architectures = machine.architectures.filter { _ in Bool.random(using: &random) }
    return SeccompProfile(
      defaultAction: defaultAction, defaultErrnoRet: defaultErrnoRet, architectures: architectures, syscalls: rules)
  }

  /// Arguments that have something to do with the values above.
  static func arguments(_ random: inout SeededGenerator) -> [UInt64] {
    (0..<6).map { _ in
      let value = random.pick(values)
      return value &+ random.pick([0, 0, 0, 1, .max])
    }
  }
}
