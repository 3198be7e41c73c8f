public import Diagnostics
import LinuxABI

extension Processes {
  /// How a process ended that its parent has not collected yet. Nil for one that lives, and where the kernel does not tell:
  /// the number in proc(5) `stat` is 0 for a caller without the rights of ptrace(2) over the process.
  public static func statusOfZombie(_ pid: Int32) throws(SystemError) -> ExitStatus? {
    let process = try open(pid)
    // Not the state alone: the first thread of a process that lives on is a zombie too.
    guard try Poll.wait(process, for: Poll.readable, timeout: 0) else { return nil }
    let line = try FileDescriptor.open("/proc/\(pid)/stat", .readOnly).read(upTo: 4096)
    guard let word = ExitStatus.wordOfWait(statLine: line) else { return nil }
    do {
      // The same question to the kernel (PTRACE_MODE_READ_FSCREDS), which answers this one with an error.
      _ = try FileDescriptor.open("/proc/\(pid)/ns/user", .readOnly)
    } catch {
      if [.accessDenied, .notPermitted].contains(error.errno) { return nil }
      throw error
    }
    // Collected meanwhile, the pid could be another's.
    try process.sendSignal(0)
    return ExitStatus(wordOfWait: word)
  }
}

extension ExitStatus {
  /// Field 52 of proc(5) `stat`; nil for a line of another form.
  package static func wordOfWait(statLine bytes: [UInt8]) -> Int32? {
    // The command may hold blanks and brackets; behind the last bracket stands field 3.
    guard let close = bytes.lastIndex(of: 0x29) else { return nil }
    let words = bytes[(close + 1)...].split { $0 == 0x20 || $0 == 0x0A }
    guard words.count > 49 else { return nil }
    var value: Int32 = 0
    for byte in words[49] {
      guard byte >= 0x30 && byte <= 0x39, value < 1 << 24 else { return nil }
      value = value * 10 + Int32(byte - 0x30)
    }
    return value
  }

  /// The number that wait(2) gives.
  package init(wordOfWait word: Int32) {
    let signal = word & 0x7F
    self = signal == 0 ? .exited(word >> 8 & 0xFF) : .signaled(signal)
  }
}
