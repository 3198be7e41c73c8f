internal import Diagnostics
internal import Linux
package import LinuxABI

/// What happens to a system call, `SCMP_ACT_*` (config-linux.md, "Seccomp").
package enum SeccompAction: UInt8, Sendable, CaseIterable {
  case allow = 0
  case errno = 1
  case kill = 2
  case killProcess = 3
  case killThread = 4
  case log = 5
  case notify = 6
  case trace = 7
  case trap = 8

  package init?(name: String) {
    for action in SeccompAction.allCases where action.name == name {
      self = action
      return
    }
    return nil
  }

  package var name: String {
    switch self {
    case .allow: "SCMP_ACT_ALLOW"
    case .errno: "SCMP_ACT_ERRNO"
    case .kill: "SCMP_ACT_KILL"
    case .killProcess: "SCMP_ACT_KILL_PROCESS"
    case .killThread: "SCMP_ACT_KILL_THREAD"
    case .log: "SCMP_ACT_LOG"
    case .notify: "SCMP_ACT_NOTIFY"
    case .trace: "SCMP_ACT_TRACE"
    case .trap: "SCMP_ACT_TRAP"
    }
  }

  /// The largest `errnoRet`; nil if the action takes none. The kernel cuts an errno at 4095, and libseccomp refuses
  /// that one already.
  package var largestErrnoRet: UInt? {
    switch self {
    case .errno: 4094
    case .trace: 0xFFFF
    default: nil
    }
  }

  /// What the filter answers, the numbers of libseccomp and of the kernel alike.
  package func returnValue(errnoRet: UInt16) -> UInt32 {
    switch self {
    case .allow: SeccompReturn.allow
    case .errno: SeccompReturn.errno | UInt32(errnoRet)
    case .kill, .killThread: SeccompReturn.killThread
    case .killProcess: SeccompReturn.killProcess
    case .log: SeccompReturn.log
    case .notify: SeccompReturn.userNotification
    case .trace: SeccompReturn.trace | UInt32(errnoRet)
    case .trap: SeccompReturn.trap
    }
  }
}

/// How an argument is compared, `SCMP_CMP_*`. The numbers are those of `enum scmp_compare`.
package enum SeccompOperator: UInt8, Sendable, CaseIterable {
  case notEqual = 1
  case less = 2
  case lessOrEqual = 3
  case equal = 4
  case greaterOrEqual = 5
  case greater = 6
  case maskedEqual = 7

  package init?(name: String) {
    for comparison in SeccompOperator.allCases where comparison.name == name {
      self = comparison
      return
    }
    return nil
  }

  package var name: String {
    switch self {
    case .notEqual: "SCMP_CMP_NE"
    case .less: "SCMP_CMP_LT"
    case .lessOrEqual: "SCMP_CMP_LE"
    case .equal: "SCMP_CMP_EQ"
    case .greaterOrEqual: "SCMP_CMP_GE"
    case .greater: "SCMP_CMP_GT"
    case .maskedEqual: "SCMP_CMP_MASKED_EQ"
    }
  }
}

/// The architectures of `linux.seccomp.architectures`.
package enum SeccompArchitecture: UInt8, Sendable, CaseIterable {
  case x86 = 0
  case amd64 = 1
  case x32 = 2
  case arm = 3
  case aarch64 = 4
  case mips = 5
  case mips64 = 6
  case mips64n32 = 7
  case mipsel = 8
  case mipsel64 = 9
  case mipsel64n32 = 10
  case ppc = 11
  case ppc64 = 12
  case ppc64le = 13
  case s390 = 14
  case s390x = 15
  case parisc = 16
  case parisc64 = 17
  case riscv64 = 18
  case loongarch64 = 19
  case m68k = 20
  case sh = 21
  case sheb = 22

  /// The architecture of a name such as `SCMP_ARCH_X86_64`; nil if the specification has none of it.
  package init?(name: String) {
    for architecture in SeccompArchitecture.allCases where architecture.name == name {
      self = architecture
      return
    }
    return nil
  }

  package var name: String {
    switch self {
    case .x86: "SCMP_ARCH_X86"
    case .amd64: "SCMP_ARCH_X86_64"
    case .x32: "SCMP_ARCH_X32"
    case .arm: "SCMP_ARCH_ARM"
    case .aarch64: "SCMP_ARCH_AARCH64"
    case .mips: "SCMP_ARCH_MIPS"
    case .mips64: "SCMP_ARCH_MIPS64"
    case .mips64n32: "SCMP_ARCH_MIPS64N32"
    case .mipsel: "SCMP_ARCH_MIPSEL"
    case .mipsel64: "SCMP_ARCH_MIPSEL64"
    case .mipsel64n32: "SCMP_ARCH_MIPSEL64N32"
    case .ppc: "SCMP_ARCH_PPC"
    case .ppc64: "SCMP_ARCH_PPC64"
    case .ppc64le: "SCMP_ARCH_PPC64LE"
    case .s390: "SCMP_ARCH_S390"
    case .s390x: "SCMP_ARCH_S390X"
    case .parisc: "SCMP_ARCH_PARISC"
    case .parisc64: "SCMP_ARCH_PARISC64"
    case .riscv64: "SCMP_ARCH_RISCV64"
    case .loongarch64: "SCMP_ARCH_LOONGARCH64"
    case .m68k: "SCMP_ARCH_M68K"
    case .sh: "SCMP_ARCH_SH"
    case .sheb: "SCMP_ARCH_SHEB"
    }
  }

  /// What libseccomp calls it, seccomp_arch_resolve_name(3): the end of the name, in lower case.
  package var libraryName: String {
    var text: [UInt8] = []
    for byte in name.utf8.dropFirst("SCMP_ARCH_".utf8.count) {
      text.append(0x41...0x5A ~= byte ? byte | 0x20 : byte)
    }
    return String(decoding: text, as: UTF8.self)
  }
}

extension SeccompFilterFlags {
  private static let names: [(name: String, flag: SeccompFilterFlags)] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", .synchronizeThreads), ("SECCOMP_FILTER_FLAG_LOG", .log),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", .allowSpeculation),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", .waitKillable),
  ]

  /// The names of `linux.seccomp.flags`: `knownFlags` of the features document.
  package static var knownNames: [String] { names.map { $0.name } }

  /// Those of them that this kernel has: `supportedFlags`.
  package static var supportedNames: [String] { names.filter { $0.flag.isSupported }.map { $0.name } }

  /// Refuses a flag that is named and that the kernel does not know, as runc does. One that only a listener needs is looked
  /// at where there is one.
  static func check(_ names: [String]?) throws(RuntimeError) {
    guard let names else { return }
    for index in names.indices {
      guard let flag = parse(names[index]), flag != .waitKillable, !flag.isSupported else { continue }
      throw RuntimeError(
        .seccomp, "the kernel does not have the seccomp flag `\(names[index])`",
        field: "/linux/seccomp/flags/\(index)")
    }
  }

  package static func parse(_ name: String) -> SeccompFilterFlags? {
    for row in names where row.name == name { return row.flag }
    return nil
  }
}
