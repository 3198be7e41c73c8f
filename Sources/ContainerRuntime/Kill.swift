public import Diagnostics
import Linux

extension ContainerRuntime {
  /// Sends a signal to the container's first process (runtime.md, "Kill"), with `all` to every process of it.
  public func kill(_ id: String, signal: Int32, all: Bool) throws(RuntimeError) {
    try checkID(id)
    let entry = try store.open(id, locking: false)
    guard let record = try entry.read() else {
      throw RuntimeError(.containerNotRunning, "container not running: `\(id)`")
    }
    // Without a pid namespace SIGKILL of the first process leaves the others, and whoever waits for the end of their
    // pipes waits for ever: as in runc it goes to all.
    if record.isFoundByUsers && (all || (signal == 9 && !record.hasPidNamespace)) {
      if try signalMembers(record, signal) > 0 || all { return }
    } else if all || (signal == 9 && !record.hasPidNamespace) {
      // Also where the first process is gone: without a pid namespace others may live on.
      if try record.cgroup.signal(signal) { return }
      // Managers send it to all when the first process has ended, for what may be left: as in runc, nothing is no error.
      if all && record.pid != 0, try !isAlive(record) { return }
    }
    let process = try openProcess(record)
    do {
      try process.sendSignal(signal)
    } catch {
      if error.errno == .noProcess {
        throw error.because(.containerNotRunning, "container not running: `\(id)`")
      }
      throw error.because(.signalling, "cannot send signal \(signal) to `\(id)`")
    }
    // A frozen process of v1 dies of no signal before it is thawed.
    guard signal == 9 else { return }
    record.cgroup.letEnd()
    if try record.cgroup.isFrozen { try record.cgroup.kill() }
  }
}
