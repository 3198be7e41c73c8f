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

  /// Whether it is a listener. It is asked for a notification that there cannot be: only a listener knows the question.
  public static func isListener(_ descriptor: borrowing FileDescriptor) -> Bool {
    var identity: UInt64 = 0
    // SECCOMP_IOCTL_NOTIF_ID_VALID; ENOENT
    return sys_ioctl(descriptor.number, 0x4008_2102, &identity) == -2
  }
}

extension FileDescriptor {
  /// The first byte of what is there, by one read(2) that needs no memory: for behind a seccomp filter. Nil at the end.
  public func readByte() throws(SystemError) -> UInt8? {
    let number = number
    var byte: UInt8 = 0
    let count = try checkRetrying("read") { sys_read(number, &byte, 1) }
    return count == 1 ? byte : nil
  }
}
