import CLinux
public import Diagnostics

public enum StandardDescriptors {
  /// Opens `/dev/null` as standard input, output or error where the caller left one closed, the wrong way round: using
  /// it fails as before, but no other file gets the number. It stays open in programs that are started.
  public static func fill() throws(SystemError) {
    for number in Int32(0)...2 where sys_fcntl(number, 1 /* F_GETFD */, 0) < 0 {
      let flags: Int32 = number == 0 ? 1 /* O_WRONLY */ : 0 /* O_RDONLY */
      // The lowest free number is taken, and those below are open by now.
      try check("openat", sys_openat(-100, "/dev/null", flags, 0), "/dev/null")
    }
  }

  /// Makes standard stream `number` the user's, who could not open it again as /dev/stdout otherwise: a pipe, a socket, a
  /// terminal, or a file that is written to. Never a file that is only read, nor a device of memory (the null device and its
  /// like, major 1), which everybody on the host has. Where the kernel refuses, the user still has the descriptor.
  public static func give(_ number: Int32, to uid: UInt32) throws(SystemError) {
    let stream = try FileDescriptor.duplicate(of: number)
    let status = try stream.status()
    let isGiven =
      switch status.kind {
      case 0o010000, 0o140000: true
      case 0o020000: status.specialMajor != 1
      case 0o100000: number != 0
      default: false
      }
    if !isGiven || status.uid == uid { return }
    do {
      try stream.changeOwner(uid: uid, gid: UInt32.max)
    } catch {
      guard [.invalid, .notPermitted, .readOnlyFileSystem, .accessDenied].contains(error.errno) else { throw error }
    }
  }

  /// How many descriptors from 3 on are open without a gap: what the caller left open, where this process has opened none
  /// itself.
  public static func countOfOthers() -> UInt32 {
    var count: UInt32 = 0
    while sys_fcntl(Int32(3 + count), 1 /* F_GETFD */, 0) >= 0 { count += 1 }
    return count
  }
}
