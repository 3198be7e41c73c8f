import Diagnostics
import Linux

/// `run` and `exec` without `--detach`: this program stays until the container's process, or the command, has ended.
struct Foreground: ~Copyable {
  let signals: FileDescriptor
  let terminal: ForegroundTerminal
  /// Whether orphans of the container become children of this process.
  let reapsOthers: Bool
  /// Set where a manager waits for the container to be ready.
  var notify: NotifyProxy?

  /// What is read from `signals`; the caller has blocked it. SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV and SIGSYS,
  /// faults of this program itself, are never held back.
  static var watched: UInt64 {
    var mask = Signals.every
    for signal in [4, 5, 6, 7, 8, 11, 31] { mask &= ~(1 << UInt64(signal - 1)) }
    return mask
  }

  /// Hands signals on and copies the terminal, until the process has ended and all that it wrote is copied.
  func wait(
    _ process: borrowing SpawnedProcess, _ id: String, _ log: LogSink
  ) throws(RuntimeError) -> ExitStatus {
    do {
      let status = try wait(process, log)
      terminal.finish()
      return status
    } catch {
      throw error.because(.signalling, "cannot wait for the process of the container `\(id)`")
    }
  }

  private func wait(_ process: borrowing SpawnedProcess, _ log: LogSink) throws(SystemError) -> ExitStatus {
    while true {
      var polled: [(number: Int32, events: Int16)] = []
      polled.append((number: signals.number, events: Poll.readable))
      polled.append((number: process.descriptor.number, events: Poll.readable))
      polled.append(notify?.polled ?? (number: -1, events: 0))
      if terminal.isActive { polled += terminal.polled }
      let ready = try Poll.wait(polled)
      if terminal.isActive { terminal.copy(ready[3...]) }
      if ready[2] != 0 { stepNotify(log) }
      // Orphans of a container without a pid namespace come to this process, which must not collect their zombies.
      while reapsOthers, let ended = try Processes.reapAny() {
        if ended.pid == process.pid { return ended.status }
      }
      if ready[1] != 0 { return try Processes.wait(process.pid) }
      if ready[0] != 0 { try handle(try Signals.next(signals), process) }
    }
  }

  /// That a manager cannot be told is no reason to leave the container alone.
  private func stepNotify(_ log: LogSink) {
    do {
      try notify?.step()
    } catch {
      log.warning(error.text)
    }
  }

  private func handle(_ signal: Int32, _ process: borrowing SpawnedProcess) throws(SystemError) {
    switch signal {
    // SIGCHLD is ours; SIGPIPE is about our own output.
    case 17, 13: return
    // SIGWINCH: the container's terminal tells its own processes.
    case 28 where terminal.isActive: terminal.resize()
    default:
      do {
        try process.descriptor.sendSignal(signal)
      } catch {
        // It has just ended: the next round sees it.
        if error.errno != .noProcess { throw error }
      }
    }
  }
}

/// The time in which this program stands in front of a process: signals wait in a descriptor, so that none is lost between
/// the start of the process and the loop.
struct ForegroundSession: ~Copyable {
  var foreground: Foreground
  /// The signals that were blocked before.
  let mask: UInt64

  static func begin(subreaper: Bool) throws(RuntimeError) -> ForegroundSession {
    let mask = try describe(.signalling, "cannot block signals") { () throws(SystemError) in
      if subreaper { try Processes.becomeSubreaper() }
      return try Signals.setMask(Foreground.watched)
    }
    do {
      return ForegroundSession(
        foreground: Foreground(
          signals: try Signals.descriptor(Foreground.watched), terminal: ForegroundTerminal(), reapsOthers: subreaper),
        mask: mask)
    } catch {
      do { try Signals.setMask(mask) } catch {}
      throw error.because(.signalling, "cannot watch for signals")
    }
  }

  /// Gives the terminal and the signals of the caller back.
  mutating func end() {
    foreground.terminal.restore()
    // What was the mask a moment ago is one that the kernel takes.
    do { try Signals.setMask(mask) } catch {}
  }
}
