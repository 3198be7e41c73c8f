import CLinux
public import Diagnostics
public import LinuxABI

public enum Namespaces {
  /// Moves this process into new namespaces of the CLONE_NEW* `kinds`, unshare(2).
  public static func unshare(_ kinds: CloneFlags) throws(SystemError) {
    try check("unshare", sys_unshare(UInt64(kinds.rawValue)))
  }

  /// Joins the namespace behind `file`, which must be of this kind, setns(2).
  public static func join(_ file: borrowing FileDescriptor, _ kind: CloneFlags) throws(SystemError) {
    try check("setns", sys_setns(file.number, UInt64(kind.rawValue)))
  }

  public static func setHostname(_ name: String) throws(SystemError) {
    try check("sethostname", sys_sethostname(name, name.utf8.count), name)
  }

  public static func setDomainname(_ name: String) throws(SystemError) {
    try check("setdomainname", sys_setdomainname(name, name.utf8.count), name)
  }

  /// Sets the interface of that name of this network namespace up.
  public static func setInterfaceUp(_ name: String) throws(SystemError) {
    let socket = FileDescriptor(
      owning: Int32(try check("socket", sys_socket(2 /* AF_INET */, 2 /* SOCK_DGRAM */, 0))))
    try check("ioctl", sys_interface_up(socket.number, name), name)
  }
}

/// What ``Clone/fork(_:cgroup:exitSignal:)`` answers: in which of the two processes the caller goes on.
@frozen public enum CloneResult: ~Copyable {
  case child
  case parent(SpawnedProcess)
}

public enum Clone {
  /// clone3(2) without shared memory: the child goes on from here with a copy of this process. With a `cgroup`
  /// directory of cgroup v2 the child starts its life in it.
  public static func fork(
    _ flags: CloneFlags, cgroup: Int32, exitSignal: Int32
  ) throws(SystemError) -> CloneResult {
    var pidfd: Int32 = -1
    var all = flags.union(.pidfd)
    if cgroup >= 0 { all.formUnion(.intoCgroup) }
    let result = withUnsafeMutablePointer(to: &pidfd) { pointer in
      var arguments = apus_clone_args()
      arguments.flags = UInt64(all.rawValue)
      arguments.pidfd = UInt64(UInt(bitPattern: pointer))
      arguments.exit_signal = UInt64(exitSignal)
      arguments.cgroup = cgroup >= 0 ? UInt64(cgroup) : 0
      return sys_clone3(&arguments)
    }
    let pid = try check("clone3", result)
    if pid == 0 { return .child }
    return .parent(SpawnedProcess(pid: Int32(pid), descriptor: FileDescriptor(owning: pidfd)))
  }
}

public enum UserNamespace {
  /// Whether this process has no rights of root over the host: it is not root, or only in a user namespace. For where an
  /// error has to be judged; what cannot be read counts as the host.
  public static func lacksRootOfHost() -> Bool {
    Processes.effectiveUser() != 0 || !isInitial()
  }

  /// The map of the first user namespace is every id onto itself (user_namespaces(7)).
  public static func isInitial() -> Bool {
    do {
      let map = try FileDescriptor.open("/proc/self/uid_map", .readOnly).read(upTo: 4096)
      let words = map.split { $0 == 0x20 || $0 == 0x0A }
      return words.count == 3 && words[2].elementsEqual("4294967295".utf8)
    } catch {
      return true
    }
  }

  /// The inode of the user namespace of a process, which names it as long as somebody is in it.
  public static func inode(of pid: Int32) throws(SystemError) -> UInt64 {
    try FileDescriptor.open("/proc/\(pid)/ns/user", .readOnly).status().inode
  }

  /// The processes in the user namespace of process `first`, or in one below it, that are also in its pid namespace, as far
  /// as the caller may look at them. `first` must be known to live before and afterwards.
  public static func companions(of first: Int32) throws(SystemError) -> [Int32] {
    let users = try inode(of: first)
    var found: [Int32] = []
    for pid in try PidNamespace.members(of: first) {
      do {
        if try isIn(users, pid) { found.append(pid) }
      } catch {
        if !PidNamespace.isOutOfReach(error) { throw error }
      }
    }
    return found
  }

  private static func isIn(_ inode: UInt64, _ pid: Int32) throws(SystemError) -> Bool {
    var namespace = try FileDescriptor.open("/proc/\(pid)/ns/user", .readOnly)
    while try namespace.status().inode != inode {
      // EPERM at the namespace of the caller: there is nothing of ours above it.
      namespace = FileDescriptor(
        owning: Int32(try check("ioctl", sys_ioctl(namespace.number, 0xB702, nil), "NS_GET_PARENT")))
    }
    return true
  }
}

public enum PidNamespace {
  /// The processes in the pid namespace of process `first`, zombies too, as far as the caller may look at them.
  public static func members(of first: Int32) throws(SystemError) -> [Int32] {
    let namespace = try inode(of: first)
    var found: [Int32] = []
    for entry in try FileDescriptor.open("/proc", [.readOnly, .directory]).entries() {
      guard entry.name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { continue }
      let pid = entry.name.utf8.reduce(Int32(0)) { $0 &* 10 &+ Int32($1 &- 0x30) }
      do {
        if try inode(of: pid) == namespace { found.append(pid) }
      } catch {
        if !isOutOfReach(error) { throw error }
      }
    }
    return found
  }

  private static func inode(of pid: Int32) throws(SystemError) -> UInt64 {
    try FileDescriptor.open("/proc/\(pid)/ns/pid", .readOnly).status().inode
  }

  /// Whether a process is somebody else's, or has just ended.
  static func isOutOfReach(_ error: SystemError) -> Bool {
    [.noEntry, .noProcess, .accessDenied, .notPermitted].contains(error.errno)
  }
}
