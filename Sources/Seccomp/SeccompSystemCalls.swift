internal import CSeccomp

/// What this machine's kernel can call a system call by: the numbers of libseccomp's tables, and its list of
/// architectures. Nothing else of the library is used.
enum SystemCallTable {
  /// AUDIT_ARCH_*, which libseccomp takes for its tokens, too; only x32, which the kernel reports as x86_64, has one of
  /// its own.
  static var amd64: UInt32 { 0xC000_003E }
  static var i386: UInt32 { 0x4000_0003 }
  static var x32: UInt32 { 0x4000_003E }
  static var aarch64: UInt32 { 0xC000_00B7 }
  static var arm: UInt32 { 0x4000_0028 }
  static var riscv64: UInt32 { 0xC000_00F3 }

  /// __X32_SYSCALL_BIT
  static var x32Bit: UInt32 { 0x4000_0000 }

  static var native: UInt32 { seccomp_arch_native() }

  /// The token of an architecture; 0 if the library does not know it.
  static func token(_ architecture: SeccompArchitecture) -> UInt32 {
    seccomp_arch_resolve_name(architecture.libraryName)
  }

  /// Whether both have the same byte order, __AUDIT_ARCH_LE. One filter cannot hold two: it loads words, not bytes.
  static func shareByteOrder(_ one: UInt32, _ other: UInt32) -> Bool {
    (one ^ other) & 0x4000_0000 == 0
  }

  /// Whether the kernel of a machine can report a call as one of `token`. The others have no place in a program, and nothing
  /// is lost. False for all on a machine whose calls through socketcall(2) and ipc(2) are not known here.
  ///
  /// No list for each machine: with two constant arrays in one function the Embedded build takes the one for the other.
  static func isReported(_ token: UInt32, by native: UInt32) -> Bool {
    switch native {
    case amd64: token == amd64 || token == i386 || token == x32
    case aarch64: token == aarch64 || token == arm
    case riscv64: token == riscv64
    default: false
    }
  }

  /// Whether a call has only 32 bits of each argument there, as libseccomp has it: without __AUDIT_ARCH_64BIT.
  static func isNarrow(_ token: UInt32) -> Bool { token & 0x8000_0000 == 0 }

  /// By what a call of this name is made on `token`. Nothing if there is none: then the library answers a negative number,
  /// of which only those of i386 stand for something that is there.
  static func numbers(_ name: String, _ token: UInt32) -> SystemCallNumbers {
    let number = seccomp_syscall_resolve_name_arch(token, name)
    if number >= 0 { return SystemCallNumbers(direct: UInt32(number)) }
    return token == i386 ? SystemCallNumbers(i386: number) : SystemCallNumbers()
  }
}

/// A system call by its own number, by a number that it shares, or both.
struct SystemCallNumbers {
  var direct: UInt32?
  var shared: Shared?

  /// A number that several calls have: the first argument tells which of them is meant.
  struct Shared {
    var number: UInt32
    var selector: UInt32
    /// The bits of the first argument that the kernel looks at.
    var mask: UInt32

    static func socketCall(_ selector: UInt32) -> Shared { Shared(number: 102, selector: selector, mask: UInt32.max) }

    /// The kernel cuts the version of the call off first (`call &= 0xffff` in ipc/syscall.c): whoever compared all bits, as
    /// libseccomp does, would let `1 << 16 | SHMGET` pass by a rule for shmget(2).
    static func ipcCall(_ selector: UInt32) -> Shared { Shared(number: 117, selector: selector, mask: 0xFFFF) }
  }

  init(direct: UInt32? = nil) {
    self.direct = direct
  }

  /// - Parameter pseudo: what libseccomp answers for such a call: `-100 - SYS_*` of <linux/net.h>, or
  ///   `-200 - SEM*`, `MSG*` or `SHM*` of <linux/ipc.h>.
  init(i386 pseudo: Int32) {
    switch -pseudo {
    case 101...120:
      let selector = UInt32(-pseudo - 100)
      shared = .socketCall(selector)
      direct = SystemCallNumbers.socketCall(selector)
    case 201...224:
      let selector = UInt32(-pseudo - 200)
      shared = .ipcCall(selector)
      direct = SystemCallNumbers.ipcCall(selector)
    default: break
    }
  }

  // The numbers of i386 that came later (arch/x86/entry/syscalls/syscall_32.tbl).

  private static func socketCall(_ selector: UInt32) -> UInt32? {
    switch selector {
    case 1: 359  // socket
    case 2: 361  // bind
    case 3: 362  // connect
    case 4: 363  // listen
    case 6: 367  // getsockname
    case 7: 368  // getpeername
    case 8: 360  // socketpair
    case 11: 369  // sendto
    case 12: 371  // recvfrom
    case 13: 373  // shutdown
    case 14: 366  // setsockopt
    case 15: 365  // getsockopt
    case 16: 370  // sendmsg
    case 17: 372  // recvmsg
    case 18: 364  // accept4
    case 19: 337  // recvmmsg
    case 20: 345  // sendmmsg
    default: nil  // accept, send, recv
    }
  }

  private static func ipcCall(_ selector: UInt32) -> UInt32? {
    switch selector {
    case 2: 393  // semget
    case 3: 394  // semctl
    case 11: 400  // msgsnd
    case 12: 401  // msgrcv
    case 13: 399  // msgget
    case 14: 402  // msgctl
    case 21: 397  // shmat
    case 22: 398  // shmdt
    case 23: 395  // shmget
    case 24: 396  // shmctl
    default: nil  // semop, semtimedop
    }
  }
}
