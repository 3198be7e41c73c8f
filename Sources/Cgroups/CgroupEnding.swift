package import Diagnostics
import Linux
import LinuxABI

extension CgroupManager {
  /// The processes in the cgroup and below it, by pid; empty where the cgroup is gone.
  package func processes() throws(RuntimeError) -> [Int32] {
    guard let directory = record.primary, let open = try openIfThere(directory) else { return [] }
    do {
      return try open.descriptor.cgroupProcesses()
    } catch {
      throw error.because(.cgroup, "cannot list the processes of `\(directory.path)`")
    }
  }

  /// Says that the limit of tasks lets no other process come in; nil where it does. Such a process needs two of them for a
  /// moment: one joins, and its child is the command.
  package func taskLimit() -> String? {
    guard let directory = record.directory(of: "pids") else { return nil }
    do {
      let open = try FileDescriptor.open(directory.path, [.readOnly, .directory, .noFollow])
      guard let limit = CgroupText.number(CgroupText.lines(try open.cgroupFile("pids.max") ?? []).first ?? []),
        let count = CgroupText.number(CgroupText.lines(try open.cgroupFile("pids.current") ?? []).first ?? []),
        count + 2 > limit
      else { return nil }
      return "the limit of its tasks, `pids.max`, is \(limit), and it has \(count)"
    } catch {
      // Why nothing could be started is known; this would only have said more about it.
      return nil
    }
  }

  /// Kills every process of the cgroup and of those below it. Returns when the signals are sent; see
  /// ``waitUntilEmpty(milliseconds:)``.
  package func killAll() throws(RuntimeError) {
    liftBandwidth()
    if let unified = record.unified, try killByFile(unified) {
      try thawV1()
      return
    }
    // Without cgroup.kill (v1, or Linux before 5.14) a process may fork while it is looked for: again, then frozen.
    for round in 0..<12 {
      let freezes = round >= 2 && record.directories.contains { $0.controllers.contains("freezer") }
      if freezes { try freezeShortly() }
      let count = try signalAll(9)
      // A frozen process of v1 dies of no signal before it is thawed.
      try thawV1()
      if count == 0 { return }
      if try waitUntilEmpty(milliseconds: 20) { return }
    }
  }

  /// Lets processes that have to end do so at once: one that has used up its CPU time waits for the next period, dying or not.
  package func liftBandwidth() {
    guard let directory = record.directory(of: "cpu") else { return }
    let isV1 = directory.version == .v1
    let file = isV1 ? "cpu.cfs_quota_us" : "cpu.max"
    do {
      let open = try FileDescriptor.open(directory.path, [.readOnly, .directory, .noFollow])
      // To write what holds would cost more than to read it.
      guard let limit = CgroupText.words(try open.cgroupFile(file) ?? []).first, limit != "-1", limit != "max" else {
        return
      }
      try open.writeFile(file, isV1 ? "-1" : "max")
    } catch {
      // They end all the same, only later.
    }
  }

  /// Sends a signal to every process of the cgroup; how many there were.
  @discardableResult
  package func signalAll(_ signal: Int32) throws(RuntimeError) -> Int {
    var targets: [(pid: Int32, process: CgroupDirectory)] = []
    for pid in try processes() where pid != Processes.ownPid() {
      do {
        targets.append((pid, CgroupDirectory(try Processes.open(pid))))
      } catch {
        if error.errno != .noProcess && error.errno != .invalid {
          throw error.because(.signalling, "cannot open process \(pid)")
        }
      }
    }
    if targets.isEmpty { return 0 }
    // Between list and open a pid may have gone to another process. One that is in the list again was there all the
    // time, so that the descriptor stands for it.
    let still = try processes()
    for target in targets where still.contains(target.pid) {
      do {
        try target.process.descriptor.sendSignal(signal)
      } catch {
        if error.errno != .noProcess {
          throw error.because(.signalling, "cannot signal process \(target.pid)")
        }
      }
    }
    return targets.count
  }

  /// Waits until no process is left; false when the time passed first.
  package func waitUntilEmpty(milliseconds: Int64) throws(RuntimeError) -> Bool {
    let end = Clock.monotonicMilliseconds() + milliseconds
    guard let directory = record.primary, let open = try openIfThere(directory) else { return true }
    do {
      return try open.waitUntilEmpty(until: end)
    } catch {
      throw error.because(.cgroup, "cannot wait for the end of the processes in `\(directory.path)`")
    }
  }

  /// Waits until systemd has taken away the cgroup of a scope whose processes have ended. It learns of that by the cgroup
  /// itself: one that somebody else removes would leave the unit there for ever. A systemd that does not come is given up.
  package func waitForSystemd(milliseconds: Int64) throws(RuntimeError) {
    let end = Clock.monotonicMilliseconds() + milliseconds
    let legacy = record.directories.first { $0.controllers.contains("name=systemd") }
    guard let directory = record.unified ?? legacy, try waitUntilEmpty(milliseconds: milliseconds) else { return }
    while Clock.monotonicMilliseconds() < end {
      if try openIfThere(directory) == nil { return }
      do {
        try Pause.milliseconds(5)
      } catch {
        throw error.because(.cgroup, "cannot wait for systemd to remove `\(directory.path)`")
      }
    }
  }

  /// Writes to `cgroup.kill`; false where the kernel has no such file.
  private func killByFile(_ directory: CgroupRecord.Directory) throws(RuntimeError) -> Bool {
    guard let open = try openIfThere(directory) else { return true }
    do {
      try open.descriptor.writeFile("cgroup.kill", "1")
      return true
    } catch {
      if error.errno == .noDevice { return true }
      if error.errno == .noEntry || error.errno == .notSupported { return false }
      throw error.because(.signalling, "cannot kill the processes of `\(directory.path)`")
    }
  }

  func openIfThere(_ directory: CgroupRecord.Directory) throws(RuntimeError) -> CgroupDirectory? {
    do {
      return try CgroupManager.open(directory.path)
    } catch {
      if error.cause?.errno == .noEntry { return nil }
      throw error
    }
  }
}
