public import Diagnostics
import Linux

extension ContainerRuntime {
  /// Creates and starts a container. With `detach` it returns 0 then; else it waits in the foreground, hands signals on,
  /// deletes the container unless `keep` is set, and returns the exit status of the agent command, 128 + n for a signal.
  public func run(
    _ id: String, _ options: CreateOptions, detach: Bool, keep: Bool, subreaper: Bool
  ) throws(RuntimeError) -> Int32 {
    if detach {
      let container = try createContainer(id, options, .passed)
      try destroyingOnFailure(container.record, options) { () throws(RuntimeError) in
        try start(id, notifySocket: options.notifySocket)
      }
      return 0
    }
    return try runInForeground(id, options, keep: keep, subreaper: subreaper)
  }

  /// By the record and never by the id: since the lock was given back the container may have been deleted, and its id may
  /// be another's.
  private func destroyingOnFailure(
    _ record: ContainerRecord, _ created: CreateOptions, _ body: () throws(RuntimeError) -> Void
  ) throws(RuntimeError) {
    do {
      try body()
    } catch {
      // A container whose command never ran is of no use to anybody; the first error is the one to tell.
      destroy(record)
      if let pidFile = created.pidFile, let failure = PidFile.remove(pidFile, of: record.pid) {
        options.log.warning("cannot remove the pid file: \(failure.text)")
      }
      throw error
    }
  }

  private func runInForeground(
    _ id: String, _ createOptions: CreateOptions, keep: Bool, subreaper: Bool
  ) throws(RuntimeError) -> Int32 {
    var session = try ForegroundSession.begin(subreaper: subreaper)
    let terminal = session.foreground.terminal
    let status: ExitStatus
    let record: ContainerRecord
    do {
      let container = try createContainer(id, createOptions, .copied(terminal))
      record = container.record
      var notify: NotifyProxy?
      try destroyingOnFailure(record, createOptions) { () throws(RuntimeError) in
        try terminal.begin()
        notify = try begin(id, createOptions.notifySocket)
        notify?.mainProcess = Processes.ownPid()
      }
      session.foreground.notify = notify
      status = try session.foreground.wait(container.process, id, self.options.log)
      session.end()
    } catch {
      session.end()
      throw error
    }
    reportLimits(of: record, status)
    // How the command ended is known, and must not be lost over what stayed behind.
    if keep { keepExit(status, of: record) } else { destroy(record) }
    return status.shellStatus
  }
}
