package import Diagnostics
import Linux
import LinuxABI

/// What the freezer says of a cgroup.
package enum FreezerState: Equatable, Sendable {
  case thawed
  case freezing
  case frozen
}

extension CgroupManager {
  /// Whether the container is paused.
  package func freezerState() throws(RuntimeError) -> FreezerState {
    guard let directory = record.directory(of: "freezer") else { return .thawed }
    do {
      return try CgroupManager.freezerState(directory)
    } catch {
      if error.isGone { return .thawed }
      throw error.because(.cgroup, "cannot read the state of the freezer")
    }
  }

  private static func freezerState(_ directory: CgroupRecord.Directory) throws(SystemError) -> FreezerState {
    let file = directory.version == .v1 ? "freezer.state" : "cgroup.events"
    let text = try FileDescriptor.open("\(directory.path)/\(file)", .readOnly).read(upTo: 4096)
    if directory.version == .v2 { return CgroupText.value(of: "frozen", in: text) == "1" ? .frozen : .thawed }
    switch CgroupText.trimmed(text) {
    case "FROZEN": return .frozen
    case "FREEZING": return .freezing
    default: return .thawed
    }
  }

  /// Stops every process of the cgroup and of those below it, and returns when all have stopped. If one does not within
  /// the time, none is left stopped.
  ///
  /// - Throws: `processesRemain` with the process that does not stop, `cgroup` for any other reason.
  package func pause(milliseconds: Int64 = 10_000) throws(RuntimeError) {
    let directory = try freezer()
    try write(directory, freezes: true)
    var failure: RuntimeError?
    do throws(RuntimeError) {
      switch try wait(directory, frozen: true, milliseconds: milliseconds) {
      case .done: return
      case .late: break
      case .undone:
        // The last word is not ours.
        throw RuntimeError(.wrongStatus, "the cgroup `\(directory.path)` was resumed before all had stopped")
      }
    } catch {
      failure = error
    }
    if let failure, failure.code == .wrongStatus { throw failure }
    do throws(RuntimeError) {
      try write(directory, freezes: false)
    } catch {
      var error = error
      error.hint = "so it stays half paused: `resume` it"
      throw error
    }
    throw failure ?? CgroupManager.notFrozen(directory.path, milliseconds)
  }

  /// Lets the processes of the cgroup go on, and returns when the kernel says that they do.
  package func resume(milliseconds: Int64 = 2000) throws(RuntimeError) {
    let directory = try freezer()
    try write(directory, freezes: false)
    if try wait(directory, frozen: false, milliseconds: milliseconds) == .done { return }
    throw RuntimeError(
      .cgroup, "the cgroup `\(directory.path)` stays frozen",
      hint: "one above it is frozen: thaw that one")
  }

  private func freezer() throws(RuntimeError) -> CgroupRecord.Directory {
    if let directory = record.directory(of: "freezer") { return directory }
    throw RuntimeError(
      .cgroup,
      record.directories.isEmpty
        ? "the container has no cgroup by which it could be paused"
        : "the container has no cgroup with the controller `freezer`",
      hint: "it was made without one, because its creator could make none, or the machine has none")
  }

  private func write(_ directory: CgroupRecord.Directory, freezes: Bool) throws(RuntimeError) {
    let isV1 = directory.version == .v1
    let file = "\(directory.path)/\(isV1 ? "freezer.state" : "cgroup.freeze")"
    let text = isV1 ? (freezes ? "FROZEN" : "THAWED") : (freezes ? "1" : "0")
    do {
      try FileDescriptor.open(file, .writeOnly).write(text)
    } catch {
      throw error.because(.cgroup, "cannot write `\(text)` to `\(file)`")
    }
  }

  private enum Waited {
    case done
    /// The time passed first.
    case late
    /// Somebody else, who takes no lock, has asked for the contrary meanwhile.
    case undone
  }

  private func wait(
    _ directory: CgroupRecord.Directory, frozen: Bool, milliseconds: Int64
  ) throws(RuntimeError) -> Waited {
    let end = Clock.monotonicMilliseconds() + milliseconds
    do throws(SystemError) {
      if directory.version == .v2 { return try waitV2(directory, frozen, until: end) }
      return try waitV1(directory, frozen, until: end)
    } catch {
      throw error.because(.cgroup, "cannot wait for the freezer of `\(directory.path)`")
    }
  }

  private func waitV2(
    _ directory: CgroupRecord.Directory, _ frozen: Bool, until end: Int64
  ) throws(SystemError) -> Waited {
    while true {
      // Opened anew each time: the kernel counts events from the last read of a description at offset 0.
      let events = try FileDescriptor.open("\(directory.path)/cgroup.events", .readOnly)
      let text = try events.read(upTo: 4096)
      if (CgroupText.value(of: "frozen", in: text) == "1") == frozen { return .done }
      if frozen, try word(directory, "cgroup.freeze") == "0" { return .undone }
      let left = end - Clock.monotonicMilliseconds()
      if left <= 0 { return .late }
      // No event where what was asked for is taken back before it happened.
      _ = try Poll.wait(events, for: Poll.priority, timeout: min(left, 100))
    }
  }

  private func word(_ directory: CgroupRecord.Directory, _ file: String) throws(SystemError) -> String {
    CgroupText.trimmed(try FileDescriptor.open("\(directory.path)/\(file)", .readOnly).read(upTo: 64))
  }

  /// v1 has no event. The kernel looks at the processes when the state is read, and asks those that have come since, by
  /// fork(2), when it is written. A process that waits for one that is frozen already (a traced one for its tracer) only
  /// gets there when both go on for a moment.
  private func waitV1(
    _ directory: CgroupRecord.Directory, _ frozen: Bool, until end: Int64
  ) throws(SystemError) -> Waited {
    let file = "\(directory.path)/freezer.state"
    var round = 0
    while true {
      let state = try CgroupManager.freezerState(directory)
      if frozen ? state == .frozen : state == .thawed { return .done }
      if frozen, try word(directory, "freezer.self_freezing") == "0" { return .undone }
      let left = end - Clock.monotonicMilliseconds()
      if left <= 0 { return .late }
      round += 1
      if frozen && round % 50 == 0 {
        try FileDescriptor.open(file, .writeOnly).write("THAWED")
        try Pause.milliseconds(2)
      }
      try Pause.milliseconds(min(left, round < 20 ? 1 : 10))
      if frozen { try FileDescriptor.open(file, .writeOnly).write("FROZEN") }
    }
  }

  /// Says which process did not stop. Only now that all others go on does it differ from them: a frozen process is shown in
  /// state D too.
  private static func notFrozen(_ path: String, _ milliseconds: Int64) -> RuntimeError {
    let message = "the cgroup `\(path)` is not frozen after \(milliseconds) milliseconds"
    do throws(SystemError) {
      try Pause.milliseconds(20)
      let directory = try FileDescriptor.open(path, [.readOnly, .directory, .noFollow])
      if let holder = try CgroupHolder(among: try directory.cgroupProcesses()), holder.isUninterruptible {
        return RuntimeError(.processesRemain, phrase(message, ": ", holder.text), hint: holder.hint)
      }
    } catch {
      // That it does not freeze is what failed; why the look at it failed as well adds nothing.
    }
    return RuntimeError(.processesRemain, message)
  }
}

// For the end of a container, where a frozen cgroup of v1 stands in the way, or helps
extension CgroupManager {
  /// Holds the processes of v1 still while they are signalled.
  func freezeShortly() throws(RuntimeError) {
    guard try setFreezerV1("FROZEN") else { return }
    // Not every process can be frozen at once (a write to disk); after the bound the signal goes out all the same.
    for _ in 0..<50 {
      if try freezerState() != .freezing { return }
      do {
        try Pause.milliseconds(1)
      } catch {
        throw error.because(.cgroup, "cannot wait for the freezer")
      }
    }
  }

  func thawV1() throws(RuntimeError) {
    guard record.directories.contains(where: { $0.controllers.contains("freezer") }) else { return }
    if try freezerState() != .thawed { _ = try setFreezerV1("THAWED") }
  }

  /// Writes the state of the v1 freezer; false where there is none.
  private func setFreezerV1(_ state: String) throws(RuntimeError) -> Bool {
    guard let directory = record.directories.first(where: { $0.controllers.contains("freezer") }),
      let open = try openIfThere(directory)
    else { return false }
    do {
      try open.descriptor.writeFile("freezer.state", state)
      return true
    } catch {
      if error.errno == .noDevice { return false }
      throw error.because(.cgroup, "cannot write `\(state)` to `\(directory.path)/freezer.state`")
    }
  }
}
