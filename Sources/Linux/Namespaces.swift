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

/// Which namespace it is.
@frozen public struct NamespaceIdentity: Equatable, Sendable {
  /// Of its file in nsfs: another namespace may get it when nobody uses this one any more. 0 for none.
  public var inode: UInt64
  /// That the kernel gives to no other, NS_GET_ID of ioctl_nsfs(2); 0 where it knows none (before Linux 6.18).
  public var number: UInt64

  public init(inode: UInt64 = 0, number: UInt64 = 0) {
    self.inode = inode
    self.number = number
  }

  /// Of the namespace of a process: `kind` is the name of the link in /proc/PID/ns.
  public init(_ kind: String, of pid: Int32) throws(SystemError) {
    try self.init(FileDescriptor.open("/proc/\(pid)/ns/\(kind)", .readOnly))
  }

  /// Of the namespace behind a file of /proc/PID/ns, or one that such a file is bound on.
  public init(path: String) throws(SystemError) {
    try self.init(FileDescriptor.open(path, .readOnly))
  }

  init(_ file: borrowing FileDescriptor) throws(SystemError) {
    inode = try file.status().inode
    number = 0
    var value: UInt64 = 0
    let descriptor = file.number
    let result = withUnsafeMutablePointer(to: &value) { sys_ioctl(descriptor, 0x8008_B70D, $0) }
    do {
      try check("ioctl", result, "NS_GET_ID")
      number = value
    } catch {
      guard [.inappropriateIoctl, .invalid].contains(error.errno) else { throw error }
    }
  }

  func names(_ file: borrowing FileDescriptor) throws(SystemError) -> Bool {
    let other = try NamespaceIdentity(file)
    return other.inode == inode && (number == 0 || other.number == number)
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

  /// The processes in the user namespace `users`, or in one below it, that are also in the pid namespace `pids` or below it
  /// and not in the mount namespace `mounts`, as far as the caller may look at them. What has no number
  /// (``NamespaceIdentity/number``) must be known to be in use before and afterwards.
  public static func processes(
    _ users: NamespaceIdentity, _ pids: NamespaceIdentity, outside mounts: NamespaceIdentity?
  ) throws(SystemError) -> [Int32] {
    var found: [Int32] = []
    for pid in try PidNamespace.all() {
      do {
        if let mounts, try mounts.names(FileDescriptor.open("/proc/\(pid)/ns/mnt", .readOnly)) { continue }
        if try isIn("user", users, pid), try isIn("pid", pids, pid) { found.append(pid) }
      } catch {
        if !PidNamespace.isOutOfReach(error) { throw error }
      }
    }
    return found
  }

  /// Without the processes that are in the pid namespace of process `first`, or below it.
  public static func without(
    _ processes: [Int32], inPidNamespaceOf first: Int32
  ) throws(SystemError) -> [Int32] {
    var others: [Int32] = []
    for pid in processes {
      do {
        if try !isIn("pid", NamespaceIdentity("pid", of: first), pid) { others.append(pid) }
      } catch {
        guard [.noEntry, .noProcess].contains(error.errno) else { throw error }
      }
    }
    return others
  }

  /// Whether a process is in a namespace of that kind, or in one below it.
  private static func isIn(
    _ kind: String, _ identity: NamespaceIdentity, _ pid: Int32
  ) throws(SystemError) -> Bool {
    var namespace = try FileDescriptor.open("/proc/\(pid)/ns/\(kind)", .readOnly)
    while try !identity.names(namespace) {
      do {
        namespace = FileDescriptor(
          owning: Int32(try check("ioctl", sys_ioctl(namespace.number, 0xB702, nil), "NS_GET_PARENT")))
      } catch {
        // At the namespace of the caller: there is nothing of ours above it.
        if error.errno == .notPermitted { return false }
        throw error
      }
    }
    return true
  }
}

public enum PidNamespace {
  /// The processes in the pid namespace of process `first`, zombies too, as far as the caller may look at them.
  public static func members(of first: Int32) throws(SystemError) -> [Int32] {
    let namespace = try inode(of: first)
    var found: [Int32] = []
    for pid in try all() {
      do {
        if try inode(of: pid) == namespace { found.append(pid) }
      } catch {
        if !isOutOfReach(error) { throw error }
      }
    }
    return found
  }

  /// Whether process `pid` is certainly outside of the pid namespace of process `first`, and of those below it. True for everybody
  /// where that is the caller's own, which then tells nothing. Throws ENOENT or ESRCH for a process that has ended.
  public static func isOutside(_ pid: Int32, namespaceOf first: Int32) throws(SystemError) -> Bool {
    do {
      let outer = try NamespaceIdentity("pid", of: first)
      if try outer == NamespaceIdentity("pid", of: Processes.ownPid()) { return true }
      var file = try FileDescriptor.open("/proc/\(pid)/ns/pid", .readOnly)
      while try NamespaceIdentity(file) != outer {
        // NS_GET_PARENT of ioctl_nsfs(2): EPERM above the namespace of the caller.
        let parent = sys_ioctl(file.number, 0xB702, nil)
        if parent == -1 { return true }
        file = FileDescriptor(owning: Int32(try check("ioctl", parent, "NS_GET_PARENT")))
      }
      return false
    } catch {
      guard error.errno == .accessDenied || error.errno == .notPermitted else { throw error }
      return try isInOwn(pid)
    }
  }

  /// Whether a process that the caller may not look into has a number in no namespace below this one (NSpid of
  /// proc_pid_status(5)).
  private static func isInOwn(_ pid: Int32) throws(SystemError) -> Bool {
    let text = try FileDescriptor.open("/proc/\(pid)/status", .readOnly).readAll(limit: 1 << 16)
    for line in text.split(separator: 0x0A) where line.starts(with: "NSpid:".utf8) {
      return line.split { $0 == 0x09 || $0 == 0x20 }.count == 2
    }
    return false
  }

  /// Every process that there is for this one.
  static func all() throws(SystemError) -> [Int32] {
    var pids: [Int32] = []
    for entry in try FileDescriptor.open("/proc", [.readOnly, .directory]).entries()
    where entry.name.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
      pids.append(entry.name.utf8.reduce(0) { $0 &* 10 &+ Int32($1 &- 0x30) })
    }
    return pids
  }

  private static func inode(of pid: Int32) throws(SystemError) -> UInt64 {
    try FileDescriptor.open("/proc/\(pid)/ns/pid", .readOnly).status().inode
  }

  /// Whether a process is somebody else's, or has just ended.
  static func isOutOfReach(_ error: SystemError) -> Bool {
    [.noEntry, .noProcess, .accessDenied, .notPermitted].contains(error.errno)
  }
}
