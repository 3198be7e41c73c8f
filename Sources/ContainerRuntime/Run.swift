public import Diagnostics
import Linux

extension ContainerRuntime {
  /// Creates and starts a container. With `detach` it returns 0 then; else it waits in the foreground, hands signals on,
  /// deletes the container unless `keep` is set, and returns the exit status of the agent command, 128 + n for a signal.
  public func run(
    _ id: String, _ options: CreateOptions, detach: Bool, keep: Bool, subreaper: Bool
  ) throws(RuntimeError) -> Int32 {
    if detach {
      _ = try createContainer(id, options, .passed)
      try startOrDelete(id, options)
      return 0
    }
    return try runInForeground(id, options, keep: keep, subreaper: subreaper)
  }

  private func startOrDelete(_ id: String, _ created: CreateOptions) throws(RuntimeError) {
    do {
      try start(id)
    } catch {
      // A container whose command never ran is of no use to anybody; the first error is the one to tell.
      do throws(RuntimeError) {
        try delete(id, force: true)
      } catch let second {
        options.log.warning("cannot delete `\(id)`: \(second.text)")
      }
      if let pidFile = created.pidFile, let failure = PidFile.remove(pidFile) {
        options.log.warning("cannot remove the pid file: \(failure.text)")
      }
      throw error
    }
  }

  private func runInForeground(
    _ id: String, _ createOptions: CreateOptions, keep: Bool, subreaper: Bool
  ) throws(RuntimeError) -> Int32 {
    let watched = Signals.every & ~ContainerRuntime.faults
    let old: UInt64
    do {
      if subreaper { try Processes.becomeSubreaper() }
      // From now on signals wait in the descriptor: none is lost between create and the loop.
      old = try Signals.setMask(watched)
    } catch {
      throw error.because(.signalling, "cannot block signals")
    }
    defer { do { try Signals.setMask(old) } catch {} }
    let signals: FileDescriptor
    do {
      signals = try Signals.descriptor(watched)
    } catch {
      throw error.because(.signalling, "cannot watch for signals")
    }
    let process = try createContainer(id, createOptions, .copied)
    try startOrDelete(id, createOptions)
    let status: ExitStatus
    do {
      status = try wait(process, signals, reapsOthers: subreaper)
    } catch {
      throw error.because(.signalling, "cannot wait for the container `\(id)`")
    }
    if !keep {
      do throws(RuntimeError) {
        try delete(id, force: true)
      } catch {
        // How the command ended is known, and must not be lost over what stayed behind.
        self.options.log.warning("cannot delete `\(id)`: \(error.text)")
      }
    }
    return status.shellStatus
  }

  /// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS: faults of this program itself are never held back.
  private static var faults: UInt64 {
    var mask: UInt64 = 0
    for signal in [4, 5, 6, 7, 8, 11, 31] { mask |= 1 << UInt64(signal - 1) }
    return mask
  }

  private func wait(
    _ process: borrowing SpawnedProcess, _ signals: borrowing FileDescriptor, reapsOthers: Bool
  ) throws(SystemError) -> ExitStatus {
    while true {
      let ready = try Poll.wait([
        (signals.number, Poll.readable), (process.descriptor.number, Poll.readable),
      ])
      // Orphans of a container without a pid namespace come to this process, which must not collect their zombies.
      while reapsOthers, let ended = try Processes.reapAny() {
        if ended.pid == process.pid { return ended.status }
      }
      if ready[1] != 0 { return try Processes.wait(process.pid) }
      if ready[0] == 0 { continue }
      let signal = try Signals.next(signals)
      // SIGCHLD is ours; SIGPIPE is about our own output.
      if signal == 17 || signal == 13 { continue }
      do {
        try process.descriptor.sendSignal(signal)
      } catch {
        // It has just ended: the next round sees it.
        if error.errno != .noProcess { throw error }
      }
    }
  }
}
