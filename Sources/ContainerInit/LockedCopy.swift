import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// A copy of one mount of the host without those below it, for a user namespace. In the container's mount namespace the
/// mounts below are locked to it, so that nobody can look under them; the author of the configuration may. A copy that is
/// made on the host's side comes without the locks of its flags (mount_namespaces(7)), and the root of the container could
/// take read-only, nosuid, nodev and noexec away. The kernel locks them where a mount namespace is copied into a user
/// namespace, so a child of the helper takes the mount there.
enum LockedCopy {
  static func make(
    _ path: String, _ flags: OpenFlags, for users: borrowing FileDescriptor, field: String
  ) throws(RuntimeError) -> FileDescriptor {
    let pair = try describe(.mount, "cannot make a socket pair") { () throws(SystemError) in try Socket.pair() }
    let result = try describe(.mount, "cannot start a process that binds `\(path)`") { () throws(SystemError) in
      try Clone.fork([], cgroup: -1, exitSignal: 17)
    }
    switch consume result {
    case .child:
      send(path, flags, users, field, HelperChannel(pair.takeSecond()))
    case .parent(let child):
      // The child's end is closed here, so that its death is an end of file.
      let answer = InitReporter(pair.takeFirst())
      let copy: FileDescriptor
      do {
        copy = try answer.receiveHelp()
      } catch {
        try wait(child.pid)
        throw error
      }
      try wait(child.pid)
      return copy
    }
  }

  private static func wait(_ pid: Int32) throws(RuntimeError) {
    try describe(.mount, "cannot wait for the process that binds") { () throws(SystemError) in
      _ = try Processes.wait(pid)
    }
  }

  private static func send(
    _ path: String, _ flags: OpenFlags, _ users: borrowing FileDescriptor, _ field: String,
    _ channel: borrowing HelperChannel
  ) -> Never {
    do throws(SystemError) {
      do throws(SystemError) {
        try channel.give(try copy(path, flags, users))
      } catch {
        try channel.refuse(error.because(.mount, "cannot bind `\(path)` without those below it", field: field))
      }
    } catch {
      // The helper is gone, and sees the end of this process if it is not.
      Processes.exit(1)
    }
    Processes.exit(0)
  }

  private static func copy(
    _ path: String, _ flags: OpenFlags, _ users: borrowing FileDescriptor
  ) throws(SystemError) -> FileDescriptor {
    try Namespaces.unshare(.newMount)
    try Mounts.setPropagationOfRoot(MountAttribute.isolated, recursive: true)
    let source = try FileDescriptor.open(path, flags)
    let alone = try Mounts.clone(source, recursive: false)
    try Mounts.attach(alone, to: source)
    // The kernel takes the working directory along into the copied namespace; a path would have to be searched there.
    try Mounts.enter(alone)
    try Namespaces.join(users, .newUser)
    try Processes.becomeNotDumpable()
    try Namespaces.unshare(.newMount)
    return try Mounts.cloneWorkingDirectory()
  }
}
