package import Diagnostics
import Linux
import LinuxABI

/// Tells what happens in the cgroup of a container, in the moment in which it happens.
package final class CgroupWatch {
  package enum Event: Equatable, Sendable {
    case outOfMemory
    /// No process is left.
    case ended
  }

  private let population: CgroupPopulation
  /// `memory.events` of v2, or `memory.oom_control` of v1; none without the controller.
  private let memory: FileDescriptor
  /// What v1 adds to when the memory limit is met.
  private let counter: FileDescriptor
  /// The kills that were told, of v2.
  private var kills: UInt64 = 0

  /// Nil of a container without a cgroup; throws where it is gone.
  package init?(_ manager: CgroupManager) throws(RuntimeError) {
    guard let primary = manager.record.primary else { return nil }
    let directory = try CgroupManager.open(primary.path)
    let accounting = manager.record.directory(of: "memory")
    do throws(SystemError) {
      population = try CgroupPopulation(directory)
      memory = try CgroupWatch.open(
        accounting, accounting?.version == .v1 ? "memory.oom_control" : "memory.events")
      counter = try CgroupWatch.register(accounting, memory)
    } catch {
      throw CgroupWatch.failure(error)
    }
    if counter.number < 0 { kills = try countKills() ?? 0 }
  }

  @inline(never)
  private static func failure(_ error: SystemError) -> RuntimeError {
    error.because(.cgroup, "cannot watch the cgroup of the container")
  }

  /// None where there is no such file.
  private static func open(
    _ directory: CgroupRecord.Directory?, _ name: String
  ) throws(SystemError) -> FileDescriptor {
    guard let directory else { return .none }
    do {
      return try FileDescriptor.open(phrase(directory.path, "/", name), .readOnly)
    } catch {
      if error.isGone { return .none }
      throw error
    }
  }

  /// v1 has no files that can be polled, but adds to a counter of eventfd(2).
  private static func register(
    _ directory: CgroupRecord.Directory?, _ memory: borrowing FileDescriptor
  ) throws(SystemError) -> FileDescriptor {
    guard let directory, directory.version == .v1, memory.number >= 0 else { return .none }
    let counter = try FileDescriptor.eventCounter()
    do {
      try FileDescriptor.open(directory.path + "/cgroup.event_control", .writeOnly)
        .write(phrase(String(counter.number), " ", String(memory.number)))
    } catch {
      // A kernel for real-time has no such events; then kills are seen when something else happens.
      if error.errno == .noEntry || error.errno == .notSupported { return .none }
      throw error
    }
    return counter
  }

  /// The next event; nil when `end`, of ``Clock/monotonicMilliseconds()``, came first.
  package func next(until end: Int64) throws(RuntimeError) -> Event? {
    while true {
      // In this order, so that what the last process died of is told before its end.
      let isEmpty = try isEmpty()
      if try metLimit() { return .outOfMemory }
      if isEmpty { return .ended }
      let left = end - Clock.monotonicMilliseconds()
      if left <= 0 { return nil }
      do {
        _ = try Poll.wait(
          population.polled + [
            (counter.number < 0 ? memory.number : -1, Poll.priority), (counter.number, Poll.readable),
          ], timeout: left)
      } catch {
        throw CgroupWatch.failure(error)
      }
    }
  }

  private func metLimit() throws(RuntimeError) -> Bool {
    if counter.number < 0 {
      guard let now = try countKills(), now > kills else { return false }
      kills = now
      return true
    }
    var count: UInt64 = 0
    do {
      count = try counter.takeEvents()
      if count > 0 { _ = try memory.readFromStart(upTo: 1) }
    } catch {
      guard error.errno == .noDevice else {
        throw CgroupWatch.failure(error)
      }
      // v1 also adds one to it when the cgroup is removed.
      count = count == 0 ? 0 : count - 1
    }
    return count > 0
  }

  /// Nil where nobody counts.
  private func countKills() throws(RuntimeError) -> UInt64? {
    if memory.number < 0 { return nil }
    do throws(SystemError) {
      let text = try memory.readFromStart(upTo: 4096)
      guard let value = CgroupText.value(of: "oom_kill", in: text) else { return nil }
      guard let number = UInt64(value) else {
        throw SystemError("pread", .inputOutput, "memory.events")
      }
      return number
    } catch {
      if error.errno == .noDevice { return nil }
      throw CgroupWatch.failure(error)
    }
  }

  /// Whether no process is left.
  package func isEmpty() throws(RuntimeError) -> Bool {
    do {
      return try population.isEmpty()
    } catch {
      throw CgroupWatch.failure(error)
    }
  }
}
