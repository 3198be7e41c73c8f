import CLinux
public import Diagnostics
import LinuxABI

/// A program to be run to its end, with nothing of this process but what stands here.
public struct ChildProgram: Sendable {
  public var path: String
  /// The argument vector, with the name of the program first.
  public var arguments: [String]
  public var environment: [String]
  /// What it reads from its standard input.
  public var input: [UInt8]
  /// The number of the directory that it starts in; -1 for that of this process.
  public var directory: Int32
  /// -1 for that of this process.
  public var umask: Int32
  /// After so many milliseconds it is killed; nil for never.
  public var timeout: Int64?
  /// The resource limits in which it differs from this process.
  public var limits: [ChildLimit] = []
  /// How much of the end of its output is kept, in bytes.
  public var outputLimit = ChildOutcome.outputLimit

  public init(
    path: String, arguments: [String], environment: [String], input: [UInt8], directory: Int32 = -1,
    umask: Int32 = -1, timeout: Int64? = nil
  ) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
    self.input = input
    self.directory = directory
    self.umask = umask
    self.timeout = timeout
  }
}

/// A limit of setrlimit(2).
public struct ChildLimit: Sendable {
  /// The number of RLIMIT_….
  public var resource: Int32
  public var soft: UInt64
  public var hard: UInt64

  public init(resource: Int32, soft: UInt64, hard: UInt64) {
    self.resource = resource
    self.soft = soft
    self.hard = hard
  }
}

/// How a ``ChildProgram`` ended, and what it said.
public struct ChildOutcome: Sendable, Equatable {
  /// Nil if it ran longer than it may and was killed.
  public var status: ExitStatus?
  /// The end of what it wrote to its standard output and error, at most ``ChildProgram/outputLimit``.
  public var output: [UInt8]
  /// There was more, which is not kept.
  public var isOutputCut: Bool

  /// How much of it is kept where nothing else is said.
  public static var outputLimit: Int { 4096 }

  mutating func keep(_ bytes: [UInt8], limit: Int) {
    output += bytes
    if output.count > limit {
      isOutputCut = true
      output.removeFirst(output.count - limit)
    }
  }
}

extension ChildProgram {
  /// The path of a program in the folders of PATH; nil if none has it. Only in those with an absolute path: what lies in
  /// the working directory is not for root to run.
  public static func find(_ name: String, in path: String? = Environment.value("PATH")) -> String? {
    for directory in (path ?? "").utf8.split(separator: 0x3A) where directory.first == 0x2F {
      let path = "\(String(Substring(directory)))/\(name)"
      do {
        try Programs.isExecutable(path)
        return path
      } catch {
        continue
      }
    }
    return nil
  }

  /// Starts the program and waits for its end; an error says why it could not be started. What it leaves in the
  /// background lives on, without anybody who reads its output.
  public func run() throws(SystemError) -> ChildOutcome {
    let output = try Pipe.make()
    let child = try spawn(output.write)
    // The write end is closed by now, so that the end of all writers is an end of file.
    return try follow(child, output.read)
  }

  private func spawn(_ output: consuming FileDescriptor) throws(SystemError) -> SpawnedProcess {
    // A file in memory and no pipe: nobody has to wait for a reader, and one that closes it early hurts nobody.
    let file = try FileDescriptor.memory("state")
    try file.write(input)
    try check("lseek", sys_lseek(file.number, 0, 0))
    let argumentList = CStringList(arguments)
    let environmentList = CStringList(environment)
    let limitList = limits.map { apus_limit(resource: $0.resource, values: ($0.soft, $0.hard)) }
    var pidfd: Int32 = -1
    let result = path.withCString { path in
      var program = apus_program()
      program.path = path
      program.arguments = UnsafePointer(argumentList.pointers)
      program.environment = UnsafePointer(environmentList.pointers)
      program.standard = (file.number, output.number, output.number)
      program.directory = directory
      program.umask = umask
      return limitList.withUnsafeBufferPointer { limits in
        program.limits = limits.baseAddress
        program.limit_count = Int32(limits.count)
        return apus_spawn_program(&program, &pidfd)
      }
    }
    let pid = try check("execve", result, path)
    return SpawnedProcess(pid: Int32(pid), descriptor: FileDescriptor(owning: pidfd))
  }

  private func follow(
    _ child: borrowing SpawnedProcess, _ output: borrowing FileDescriptor
  ) throws(SystemError) -> ChildOutcome {
    var outcome = ChildOutcome(status: nil, output: [], isOutputCut: false)
    let end = timeout.map { Clock.monotonicMilliseconds() + $0 }
    var outputNumber = output.number
    while true {
      let left = end.map { max(0, $0 - Clock.monotonicMilliseconds()) }
      let ready = try Poll.wait(
        [(child.descriptor.number, Poll.readable), (outputNumber, Poll.readable)], timeout: left)
      if ready[1] != 0 {
        let bytes = try output.read(upTo: ChildProgram.pipeSize)
        outcome.keep(bytes, limit: outputLimit)
        // ppoll(2) passes over a negative number: a pipe that has ended would always be ready.
        if bytes.isEmpty { outputNumber = -1 }
      }
      if ready[0] != 0 {
        outcome.status = try Processes.wait(child.pid)
        break
      }
      // The clock decides and not an empty round: who writes without a pause has no empty round.
      if let end, Clock.monotonicMilliseconds() >= end {
        try ChildProgram.killGroup(child)
        break
      }
    }
    // What is still in the pipe, and no more: a background process may go on writing for ever.
    if outputNumber >= 0, try Poll.wait(output, for: Poll.readable, timeout: 0) {
      outcome.keep(try output.read(upTo: ChildProgram.pipeSize), limit: outputLimit)
    }
    return outcome
  }

  /// The capacity of a pipe, pipe(7).
  private static var pipeSize: Int { 65536 }

  /// Ends the program and what it started. Its number is not used again before it is collected, so the group is its own.
  private static func killGroup(_ child: borrowing SpawnedProcess) throws(SystemError) {
    let result = sys_kill(-child.pid, 9)
    // It may have left its group; it has not been collected, so it can be reached in any case.
    if result != -3 { try check("kill", result, "process group \(child.pid)") }
    try child.descriptor.sendSignal(9)
    // One that is in an uninterruptible call ends when it comes back: nobody waits for that, its zombie goes to whoever
    // collects orphans.
    if try Poll.wait(child.descriptor, for: Poll.readable, timeout: 5000) {
      _ = try Processes.wait(child.pid)
    }
  }
}

extension Environment {
  /// Every variable of this process as `NAME=value`. One that is no UTF-8 is left out: it could only be handed on as
  /// another one.
  public static func all() -> [String] {
    var list: [String] = []
    guard let entries = apus_environment_all() else { return [] }
    var index = 0
    while let entry = entries[index] {
      if let text = String(validatingCString: entry) { list.append(text) }
      index += 1
    }
    return list
  }
}
