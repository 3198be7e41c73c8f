import CLinux
public import Diagnostics
import LinuxABI

/// How a process ended.
public enum ExitStatus: Sendable, Equatable {
  case exited(Int32)
  case signaled(Int32)

  /// As a shell gives it: the exit status, or 128 and the number of the signal.
  public var shellStatus: Int32 {
    switch self {
    case .exited(let status): status
    case .signaled(let signal): 128 + signal
    }
  }
}

/// What `/proc/PID/stat` says of a process.
public struct ProcessStatus: Sendable, Equatable {
  /// R, S, D, T, Z, X … of proc(5).
  public var state: UInt8
  /// Clock ticks between boot and the start of the process; with the pid it names one process for ever.
  public var startTime: UInt64

  /// The name of the command, at most 15 bytes; a process keeps it as a zombie.
  public var command: String

  /// The parent; 0 for one that is not seen from here.
  public var parent: Int32

  public var isAlive: Bool { state != 0x5A /* Z */ && state != 0x58 /* X */ }
}

/// Which file it is, and through which mount it was found.
public struct ExecutedFile: Sendable, Equatable {
  public var device: UInt64
  public var inode: UInt64
  public var mountID: UInt64
}

public enum Processes {
  public static func ownPid() -> Int32 { Int32(sys_getpid()) }
  public static func effectiveUser() -> UInt32 { UInt32(truncatingIfNeeded: sys_geteuid()) }

  public static func effectiveGroup() -> UInt32 { UInt32(truncatingIfNeeded: sys_getegid()) }

  /// Ends this process at once, with no clean-up.
  public static func exit(_ status: Int32) -> Never { sys_exit_group(status) }

  /// A descriptor for the process with this pid, pidfd_open(2).
  public static func open(_ pid: Int32) throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: Int32(try check("pidfd_open", sys_pidfd_open(pid, 0), "\(pid)")))
  }

  /// The state of a process; nil where there is none with that pid.
  public static func status(_ pid: Int32) throws(SystemError) -> ProcessStatus? {
    let bytes: [UInt8]
    do {
      bytes = try FileDescriptor.open("/proc/\(pid)/stat", .readOnly).read(upTo: 4096)
    } catch {
      if error.errno == .noEntry || error.errno == .noProcess { return nil }
      throw error
    }
    return ProcessStatus(statLine: bytes)
  }

  /// The file that a process executes; nil if it has ended, or may not be looked at (proc(5), exe).
  public static func executable(_ pid: Int32) throws(SystemError) -> ExecutedFile? {
    do {
      let file = try FileDescriptor.open("/proc/\(pid)/exe", .path).status()
      return ExecutedFile(device: file.device, inode: file.inode, mountID: file.mountID)
    } catch {
      switch error.errno {
      case .noEntry, .noProcess, .accessDenied, .notPermitted: return nil
      default: throw error
      }
    }
  }

  /// Waits until a child of this process has ended, and reaps it.
  public static func wait(_ pid: Int32) throws(SystemError) -> ExitStatus {
    var result = apus_wait_result()
    try checkRetrying("waitid", "\(pid)") {
      sys_waitid(1 /* P_PID */, pid, &result, 0x4000_0004 /* __WALL */)
    }
    return ExitStatus(result)
  }

  /// Whether a descriptor is a pidfd, and the process that it stands for a child of this one with this pid, which has not been
  /// reaped.
  public static func isChild(_ process: borrowing FileDescriptor, _ pid: Int32) throws(SystemError) -> Bool {
    let number = process.number
    var result = apus_wait_result()
    do {
      // WNOWAIT | __WALL | WNOHANG | WEXITED
      try checkRetrying("waitid") { sys_waitid(3 /* P_PIDFD */, number, &result, 0x4100_0005) }
    } catch {
      // Not a child; no pidfd; no such descriptor.
      if [.noChild, .invalid, .badDescriptor].contains(error.errno) { return false }
      throw error
    }
    // As long as it lives waitid(2) tells no number.
    let information = try FileDescriptor.open("/proc/self/fdinfo/\(number)", .readOnly).read(upTo: 4096)
    let wanted = [UInt8]("Pid:\t\(pid)".utf8)
    return information.split(separator: 0x0A).contains { $0.elementsEqual(wanted) }
  }

  /// Reaps any child that has ended already; nil where there is none left to reap now.
  public static func reapAny() throws(SystemError) -> (pid: Int32, status: ExitStatus)? {
    var result = apus_wait_result()
    do {
      // WNOHANG | WEXITED | __WALL
      try checkRetrying("waitid") { sys_waitid(0 /* P_ALL */, 0, &result, 0x4000_0005) }
    } catch {
      if error.errno == .noChild { return nil }
      throw error
    }
    if result.pid == 0 { return nil }
    return (result.pid, ExitStatus(result))
  }

  /// Whether a process of this pid exists, kill(2) with signal 0. For messages only: a pid may be used again.
  public static func exists(_ pid: Int32) -> Bool { sys_kill(pid, 0) != -3 }

  /// PR_SET_CHILD_SUBREAPER: orphans below this process become its children.
  public static func becomeSubreaper() throws(SystemError) {
    try check("prctl", sys_prctl(36, 1, 0, 0, 0), "PR_SET_CHILD_SUBREAPER")
  }

  /// PR_SET_DUMPABLE 0: nobody may trace this process or open its files in /proc without CAP_SYS_PTRACE.
  public static func becomeNotDumpable() throws(SystemError) {
    try check("prctl", sys_prctl(4, 0, 0, 0, 0), "PR_SET_DUMPABLE")
  }

  /// PR_SET_DUMPABLE 1: the files in /proc of this process are its user's, who may also trace it.
  public static func becomeDumpable() throws(SystemError) {
    try check("prctl", sys_prctl(4, 1, 0, 0, 0), "PR_SET_DUMPABLE")
  }

  /// The calling process gets `signal` when its parent dies, PR_SET_PDEATHSIG; 0 for none.
  public static func setParentDeathSignal(_ signal: Int32) throws(SystemError) {
    try check("prctl", sys_prctl(1, UInt64(signal), 0, 0, 0), "PR_SET_PDEATHSIG")
  }

  /// The name of this process as ps(1) shows it, PR_SET_NAME; execve(2) replaces it.
  public static func setName(_ name: String) throws(SystemError) {
    try check("prctl", name.withCString { sys_prctl(15, UInt64(UInt(bitPattern: $0)), 0, 0, 0) }, "PR_SET_NAME")
  }

  public static func startSession() throws(SystemError) {
    try check("setsid", sys_setsid())
  }
}

extension ExitStatus {
  init(_ result: apus_wait_result) {
    // CLD_EXITED is 1, CLD_KILLED 2, CLD_DUMPED 3.
    self = result.code == 1 ? .exited(result.status) : .signaled(result.status)
  }
}

extension ProcessStatus {
  /// Parses a line of proc(5) `stat`. The command name may hold spaces and brackets: fields count from the last `)`.
  package init?(statLine bytes: [UInt8]) {
    guard let close = bytes.lastIndex(of: 0x29), close + 2 < bytes.count,
      let open = bytes.firstIndex(of: 0x28), open < close
    else { return nil }
    command = String(decoding: bytes[(open + 1)..<close], as: UTF8.self)
    var field = 3
    var index = close + 2
    state = bytes[index]
    startTime = 0
    parent = 0
    while index < bytes.count {
      if bytes[index] == 0x20 {
        field += 1
      } else if field == 4 && bytes[index] >= 0x30 {
        parent = parent &* 10 &+ Int32(bytes[index] - 0x30)
      } else if field == 22 {
        guard bytes[index] >= 0x30 && bytes[index] <= 0x39 else { return }
        startTime = startTime &* 10 &+ UInt64(bytes[index] - 0x30)
      } else if field > 22 {
        return
      }
      index += 1
    }
    if field < 22 { return nil }
  }
}

extension FileDescriptor {
  /// Sends a signal to the process that this pidfd stands for; it can never reach another one.
  public func sendSignal(_ signal: Int32) throws(SystemError) {
    try check("pidfd_send_signal", sys_pidfd_send_signal(number, signal, 0), "signal \(signal)")
  }
}

/// Signals of this process. A mask has bit N - 1 for signal N.
public enum Signals {
  public static var every: UInt64 { ~0 }

  /// Sets which signals are blocked; the mask from before.
  @discardableResult
  public static func setMask(_ mask: UInt64) throws(SystemError) -> UInt64 {
    var old: UInt64 = 0
    var mask = mask
    try check("rt_sigprocmask", sys_sigprocmask(2 /* SIG_SETMASK */, &mask, &old))
    return old
  }

  /// Gives every signal its default action, so that the agent command does not inherit an ignored SIGPIPE.
  public static func resetActions() {
    for signal in Int32(1)...64 {
      // SIGKILL and SIGSTOP answer EINVAL: their action cannot change.
      _ = sys_signal_default(signal)
    }
  }

  /// Ignores a signal, which programs inherit until ``resetActions()``. For a program's main only: an action belongs
  /// to the whole process.
  public static func ignore(_ signal: Int32) throws(SystemError) {
    try check("rt_sigaction", sys_signal_ignore(signal), "signal \(signal)")
  }

  /// A descriptor from which the blocked signals of `mask` are read, signalfd(2).
  public static func descriptor(_ mask: UInt64) throws(SystemError) -> FileDescriptor {
    var mask = mask
    return FileDescriptor(owning: Int32(try check("signalfd4", sys_signalfd4(-1, &mask, 0o2000000))))
  }

  /// The number of the next signal of a ``descriptor(_:)``.
  public static func next(_ descriptor: borrowing FileDescriptor) throws(SystemError) -> Int32 {
    let record = try descriptor.read(upTo: 128)
    if record.count < 4 { throw SystemError("read", .inputOutput, "signalfd") }
    return Int32(record[0])
  }
}

public enum Spawn {
  /// Starts the program in `executable` with `descriptors` as 3, 4, …; everything else above 2 is closed. It starts
  /// with every signal blocked and an empty environment but for `environment`, in the directory `cgroup` of cgroup v2 unless
  /// that is -1 (CLONE_INTO_CGROUP; EBUSY or EOPNOTSUPP where the kernel lets no process into an inner cgroup).
  public static func start(
    _ executable: borrowing FileDescriptor, arguments: [String], environment: [String], descriptors: [Int32],
    cgroup: Int32 = -1
  ) throws(SystemError) -> SpawnedProcess {
    let argumentList = CStringList(arguments)
    let environmentList = CStringList(environment)
    var pidfd: Int32 = -1
    let result = apus_spawn(
      executable.number, argumentList.pointers, environmentList.pointers, descriptors,
      Int32(descriptors.count), cgroup, &pidfd)
    let pid = try check("execveat", result, arguments.first ?? "")
    return SpawnedProcess(pid: Int32(pid), descriptor: FileDescriptor(owning: pidfd))
  }
}

/// A child process: its pid, valid until it is reaped, and a pidfd.
@frozen public struct SpawnedProcess: ~Copyable {
  public var pid: Int32
  public var descriptor: FileDescriptor

  @inlinable public init(pid: Int32, descriptor: consuming FileDescriptor) {
    self.pid = pid
    self.descriptor = descriptor
  }
}

/// A child that does nothing and has nothing: it stands where a process has to be. It ends with its maker at the latest.
public final class IdleProcess {
  public let pid: Int32
  private let descriptor: FileDescriptor
  private var isEnded = false

  public init() throws(SystemError) {
    var number: Int32 = -1
    pid = Int32(try check("clone3", apus_spawn_idle(&number)))
    descriptor = FileDescriptor(owning: number)
  }

  /// Kills and collects it.
  public func end() throws(SystemError) {
    if isEnded { return }
    isEnded = true
    try descriptor.sendSignal(9)
    _ = try Processes.wait(pid)
  }
}
