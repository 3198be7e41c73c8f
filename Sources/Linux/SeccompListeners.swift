import CLinux
public import Diagnostics

/// Listeners of seccomp filters, seccomp_unotify(2).
public enum SeccompListeners {
  /// A descriptor of our own for what `number` names in another process, pidfd_getfd(2). EPERM without the right to trace it.
  public static func take(_ number: Int32, from process: borrowing FileDescriptor) throws(SystemError) -> FileDescriptor
  {
    FileDescriptor(
      owning: Int32(try check("pidfd_getfd", sys_pidfd_getfd(process.number, number), "descriptor \(number)")))
  }

  /// Whether a listener could be taken out of this process: EPERM or EACCES without the right to trace it, whoever refuses
  /// it (capabilities(7), Yama, a security module), ENOSYS or EPERM where a filter around this program knows the call not.
  public static func checkTaking(from process: borrowing FileDescriptor) throws(SystemError) {
    do {
      // The number is looked up behind the check of the rights.
      _ = try take(-1, from: process)
    } catch {
      if error.errno != .badDescriptor { throw error }
    }
  }

  /// Whether it is a listener. It is asked for a notification that there cannot be: only a listener knows the question.
  public static func isListener(_ descriptor: borrowing FileDescriptor) -> Bool {
    var identity: UInt64 = 0
    // SECCOMP_IOCTL_NOTIF_ID_VALID; ENOENT
    return sys_ioctl(descriptor.number, 0x4008_2102, &identity) == -2
  }
}
