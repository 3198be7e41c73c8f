import Cgroups
import Diagnostics
import Linux
import LinuxABI
import OCISpec

/// What is known about the end of a container and about the limits that it met. Nothing is guessed: what cannot be known is
/// left out, and that it cannot be read is no reason for a command to fail.
extension ContainerRuntime {
  /// How the first process of a stopped container ended: what `run --keep` has seen, or what the kernel tells of a process
  /// that its parent has not collected yet.
  func exit(of record: ContainerRecord, _ entry: borrowing StateStore.Entry) -> ContainerExit? {
    if record.pid == 0 { return nil }
    do throws(SystemError) {
      if let kept = try entry.readExit() { return kept }
      // The inode says that it is that very process; it is its own zombie as long as it can be opened.
      let process = try Processes.open(record.pid)
      guard try process.status().inode == record.processInode,
        try Processes.status(record.pid)?.startTime == record.startTime
      else { return nil }
      return try Processes.statusOfZombie(record.pid).map { ContainerExit($0) }
    } catch {
      if error.errno != .noProcess && error.errno != .noEntry && error.errno != .invalid {
        options.log.debug(phrase("cannot tell how `", record.id, "` ended: ", error.text))
      }
      return nil
    }
  }

  func limitEvents(of record: ContainerRecord) -> LimitEvents? {
    do {
      return try CgroupManager(record: record.cgroup).limitEvents()
    } catch {
      options.log.debug(phrase("cannot tell which limits `", record.id, "` met: ", error.text))
      return nil
    }
  }

  /// Keeps how the first process ended for a later `state`, unless the container is not that one any more.
  func keepExit(_ status: ExitStatus, of created: ContainerRecord) {
    do {
      let entry = try store.open(created.id, locking: true)
      guard let record = try entry.read(), record.isSameProcess(as: created) else { return }
      try entry.write(ContainerExit(status))
    } catch {
      if error.code == .containerNotFound { return }
      options.log.warning(phrase("`state` will not tell how `", created.id, "` ended: ", error.text))
    }
  }

  /// Says which limits a container met whose command has failed.
  func reportLimits(of record: ContainerRecord, _ status: ExitStatus) {
    if status == .exited(0) { return }
    guard let events = limitEvents(of: record) else { return }
    for line in LimitReport.lines(record.id, events) { options.log.warning(line) }
  }
}

/// The sentences of `run` about limits.
enum LimitReport {
  /// Whether the first process was among those that were killed is not known, and not said.
  static func lines(_ id: String, _ events: LimitEvents) -> [String] {
    var lines: [String] = []
    if let kills = events.oomKills, kills > 0 {
      lines.append(
        phrase(
          "`", id, "`: ", String(kills),
          kills == 1 ? " process killed " : " processes killed ", reason(events)))
    }
    if let hits = events.pidsLimitHits, hits > 0 {
      lines.append(phrase("`", id, "` met its limit of tasks ", String(hits), hits == 1 ? " time" : " times"))
    }
    return lines
  }

  /// Why processes were killed for want of memory: where the own limit was never met, that of the host or of a cgroup above
  /// was used up. v1 does not tell.
  static func reason(_ events: LimitEvents) -> String {
    switch events.isMemoryLimitMet {
    case true?: "for exceeding its memory limit"
    case false?: "for want of memory outside of the container"
    case nil: "for want of memory"
    }
  }
}

extension ContainerExit {
  init(_ status: ExitStatus) {
    switch status {
    case .exited(let code): self = .status(code)
    case .signaled(let number): self = .signal(number)
    }
  }
}

extension StateStore.Entry {
  /// Two bytes: whether it is a signal, and the number.
  fileprivate func write(_ exit: ContainerExit) throws(RuntimeError) {
    let bytes: [UInt8]
    switch exit {
    case .status(let code): bytes = [0, UInt8(truncatingIfNeeded: code)]
    case .signal(let number): bytes = [1, UInt8(truncatingIfNeeded: number)]
    }
    do {
      try directory.open(StateStore.Name.exit, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600).write(bytes)
    } catch {
      throw error.because(
        .stateUnwritable, phrase("cannot write the state of `", id, "` into the state directory"), field: "--root")
    }
  }

  /// Nil where nobody has kept it.
  fileprivate func readExit() throws(SystemError) -> ContainerExit? {
    let bytes: [UInt8]
    do {
      bytes = try directory.open(StateStore.Name.exit, [.readOnly, .noFollow]).read(upTo: 3)
    } catch {
      if error.errno == .noEntry { return nil }
      throw error
    }
    guard bytes.count == 2 else { return nil }
    return bytes[0] == 0 ? .status(Int32(bytes[1])) : .signal(Int32(bytes[1]))
  }
}
