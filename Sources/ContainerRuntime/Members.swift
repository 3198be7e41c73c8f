import Cgroups
import Diagnostics
import Linux

/// The processes of a container that was made without a cgroup, by a caller without root: those in the user namespace that was
/// made for it, or below, and in the pid namespace of its first process, or below. Where the kernel has no numbers for
/// namespaces that process has to live: an inode says which one it is only as long as somebody is in it.
extension ContainerRecord {
  var isFoundByUsers: Bool { cgroup.directories.isEmpty && cgroup.userNamespace.inode != 0 }
}

extension ContainerRuntime {
  /// Empty where the first process has ended and nothing else tells them.
  func members(_ record: ContainerRecord) throws(RuntimeError) -> [Int32] {
    guard record.isFoundByUsers else { return try CgroupManager(record: record.cgroup).processes() }
    let found = try isAlive(record) ? beside(record) : behind(record)
    return found.isEmpty ? [] : try leaveOutNeighbours(found, record)
  }

  private func beside(_ record: ContainerRecord) throws(RuntimeError) -> [Int32] {
    let process = try openProcess(record)
    do throws(SystemError) {
      let mounts = try NamespaceIdentity("mnt", of: Processes.ownPid())
      let hasMounts = try NamespaceIdentity("mnt", of: record.pid) != mounts
      let found = try UserNamespace.processes(
        record.cgroup.userNamespace, NamespaceIdentity("pid", of: record.pid), outside: hasMounts ? mounts : nil)
      let isOurs = try NamespaceIdentity("user", of: record.pid) == record.cgroup.userNamespace
      // Still the same process, or the pid could have been another's.
      try process.sendSignal(0)
      return isOurs ? found : []
    } catch {
      switch error.errno {
      case .noEntry, .noProcess: return []
      // It waits for `start`, or has a program that the caller may not read: it does not let itself be looked at.
      case .accessDenied, .notPermitted: return try [record.pid] + behind(record).filter { $0 != record.pid }
      default: throw cannotLook(for: record, error)
      }
    }
  }

  private func behind(_ record: ContainerRecord) throws(RuntimeError) -> [Int32] {
    let (users, pids) = (record.cgroup.userNamespace, record.cgroup.pidNamespace)
    guard users.number != 0 && pids.number != 0 else { return [] }
    do {
      return try UserNamespace.processes(users, pids, outside: NamespaceIdentity("mnt", of: Processes.ownPid()))
    } catch {
      throw cannotLook(for: record, error)
    }
  }

  private func cannotLook(for record: ContainerRecord, _ error: SystemError) -> RuntimeError {
    error.because(.cgroup, "cannot look for the processes of `\(record.id)` in /proc")
  }

  /// Another container may have joined the user namespace. With a pid namespace of its own its processes are those in that
  /// one; without, nothing tells them from those of this container, and only the first process counts.
  private func leaveOutNeighbours(
    _ found: [Int32], _ record: ContainerRecord
  ) throws(RuntimeError) -> [Int32] {
    var found = found
    for id in try store.ids() where id != record.id {
      let other: ContainerRecord
      do {
        guard let read = try store.open(id, locking: false).read(), found.contains(read.pid), try isAlive(read)
        else { continue }
        other = read
      } catch {
        // As in `list`: what cannot be read must not stand in the way of all others.
        if error.code != .containerNotFound { options.log.warning("`\(id)` is passed over: \(error.text)") }
        continue
      }
      do {
        if other.hasPidNamespace {
          found = try UserNamespace.without(found, inPidNamespaceOf: other.pid)
        } else {
          found = found.filter { $0 == record.pid }
        }
      } catch {
        throw cannotLook(for: other, error)
      }
    }
    return found
  }

  /// Sends a signal to all of them, SIGKILL to the first one last: by it the others are found. How many there were.
  func signalMembers(_ record: ContainerRecord, _ signal: Int32) throws(RuntimeError) -> Int {
    var count = 0
    // Processes that fork meanwhile are found in the next round.
    for _ in 0..<(signal == 9 ? 12 : 1) {
      let others = try signalOthers(record, signal)
      count += others
      if others == 0 { break }
    }
    if try !isAlive(record) { return count }
    let first: FileDescriptor
    do {
      first = try openProcess(record)
    } catch {
      // It has ended with the others meanwhile.
      if error.code == .containerNotRunning { return count }
      throw error
    }
    do {
      try first.sendSignal(signal)
    } catch {
      if error.errno != .noProcess { throw error.because(.signalling, "cannot signal process \(record.pid)") }
    }
    return count + 1
  }

  /// For `delete`, when the first process has ended: what is left is ended, or named.
  func endMembers(_ record: ContainerRecord) throws(RuntimeError) {
    _ = try signalMembers(record, 9)
    guard let left = try members(record).first(where: { $0 != Processes.ownPid() }) else { return }
    throw RuntimeError(
      .processesRemain, "process \(left) of `\(record.id)` is still there",
      hint: "without a cgroup and a pid namespace processes that fork fast can only be ended one by one: try again")
  }

  private func signalOthers(_ record: ContainerRecord, _ signal: Int32) throws(RuntimeError) -> Int {
    var targets: [(pid: Int32, process: ProcessHandle)] = []
    for pid in try members(record) where pid != record.pid && pid != Processes.ownPid() {
      do {
        targets.append((pid, ProcessHandle(try Processes.open(pid))))
      } catch {
        if error.errno != .noProcess && error.errno != .invalid {
          throw error.because(.signalling, "cannot open process \(pid)")
        }
      }
    }
    if targets.isEmpty { return 0 }
    // Between list and open a pid may have gone to another process. One that is in the list again was there all the time.
    let still = try members(record)
    for target in targets where still.contains(target.pid) {
      do {
        try target.process.descriptor.sendSignal(signal)
        // The next round would find it again.
        if signal == 9 { _ = try Poll.wait(target.process.descriptor, for: Poll.readable, timeout: 100) }
      } catch {
        if error.errno != .noProcess { throw error.because(.signalling, "cannot signal process \(target.pid)") }
      }
    }
    return targets.count
  }
}

/// A pidfd in a list.
private final class ProcessHandle {
  let descriptor: FileDescriptor

  init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}
