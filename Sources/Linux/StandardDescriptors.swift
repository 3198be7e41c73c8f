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

  /// How many descriptors from 3 on are open without a gap: what the caller left open, where this process has opened none
  /// itself.
  public static func countOfOthers() -> UInt32 {
    var count: UInt32 = 0
    while sys_fcntl(Int32(3 + count), 1 /* F_GETFD */, 0) >= 0 { count += 1 }
    return count
  }
}
