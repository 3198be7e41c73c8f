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
    switch name {
    case "SCMP_ACT_ALLOW": self = .allow
    case "SCMP_ACT_ERRNO": self = .errno
    case "SCMP_ACT_KILL": self = .kill
    case "SCMP_ACT_KILL_PROCESS": self = .killProcess
    case "SCMP_ACT_KILL_THREAD": self = .killThread
    case "SCMP_ACT_LOG": self = .log
    case "SCMP_ACT_NOTIFY": self = .notify
    case "SCMP_ACT_TRACE": self = .trace
    case "SCMP_ACT_TRAP": self = .trap
    default: return nil
    }
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
    switch name {
    case "SCMP_CMP_NE": self = .notEqual
    case "SCMP_CMP_LT": self = .less
    case "SCMP_CMP_LE": self = .lessOrEqual
    case "SCMP_CMP_EQ": self = .equal
    case "SCMP_CMP_GE": self = .greaterOrEqual
    case "SCMP_CMP_GT": self = .greater
    case "SCMP_CMP_MASKED_EQ": self = .maskedEqual
    default: return nil
    }
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
    switch name {
    case "SCMP_ARCH_X86": self = .x86
    case "SCMP_ARCH_X86_64": self = .amd64
    case "SCMP_ARCH_X32": self = .x32
    case "SCMP_ARCH_ARM": self = .arm
    case "SCMP_ARCH_AARCH64": self = .aarch64
    case "SCMP_ARCH_MIPS": self = .mips
    case "SCMP_ARCH_MIPS64": self = .mips64
    case "SCMP_ARCH_MIPS64N32": self = .mips64n32
    case "SCMP_ARCH_MIPSEL": self = .mipsel
    case "SCMP_ARCH_MIPSEL64": self = .mipsel64
    case "SCMP_ARCH_MIPSEL64N32": self = .mipsel64n32
    case "SCMP_ARCH_PPC": self = .ppc
    case "SCMP_ARCH_PPC64": self = .ppc64
    case "SCMP_ARCH_PPC64LE": self = .ppc64le
    case "SCMP_ARCH_S390": self = .s390
    case "SCMP_ARCH_S390X": self = .s390x
    case "SCMP_ARCH_PARISC": self = .parisc
    case "SCMP_ARCH_PARISC64": self = .parisc64
    case "SCMP_ARCH_RISCV64": self = .riscv64
    case "SCMP_ARCH_LOONGARCH64": self = .loongarch64
    case "SCMP_ARCH_M68K": self = .m68k
    case "SCMP_ARCH_SH": self = .sh
    case "SCMP_ARCH_SHEB": self = .sheb
    default: return nil
    }
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

  /// What libseccomp calls it, seccomp_arch_resolve_name(3).
  package var libraryName: String {
    switch self {
    case .x86: "x86"
    case .amd64: "x86_64"
    case .x32: "x32"
    case .arm: "arm"
    case .aarch64: "aarch64"
    case .mips: "mips"
    case .mips64: "mips64"
    case .mips64n32: "mips64n32"
    case .mipsel: "mipsel"
    case .mipsel64: "mipsel64"
    case .mipsel64n32: "mipsel64n32"
    case .ppc: "ppc"
    case .ppc64: "ppc64"
    case .ppc64le: "ppc64le"
    case .s390: "s390"
    case .s390x: "s390x"
    case .parisc: "parisc"
    case .parisc64: "parisc64"
    case .riscv64: "riscv64"
    case .loongarch64: "loongarch64"
    case .m68k: "m68k"
    case .sh: "sh"
    case .sheb: "sheb"
    }
  }
}

extension SeccompFilterFlags {
  /// The names of `linux.seccomp.flags`: `knownFlags` of the features document.
  package static var knownNames: [String] {
    [
      "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
      "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    ]
  }

  package static func parse(_ name: String) -> SeccompFilterFlags? {
    switch name {
    case "SECCOMP_FILTER_FLAG_TSYNC": .synchronizeThreads
    case "SECCOMP_FILTER_FLAG_LOG": .log
    case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": .allowSpeculation
    case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": .waitKillable
    default: nil
    }
  }
}
