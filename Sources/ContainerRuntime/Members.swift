import Cgroups
import Diagnostics
import Linux

/// The processes of a container that was made without a cgroup, by a caller without root: those in the user namespace that was
/// made for it and in the pid namespace of its first process. Where the kernel has no numbers for namespaces that process has
/// to live: an inode says which one it is only as long as somebody is in it.
extension ContainerRecord {
  var isFoundByUsers: Bool { cgroup.directories.isEmpty && cgroup.userNamespace.inode != 0 }
}

extension ContainerRuntime {
  /// Empty where the first process has ended and nothing else tells them.
  func members(_ record: ContainerRecord) throws(RuntimeError) -> [Int32] {
    guard record.isFoundByUsers else { return try CgroupManager(record: record.cgroup).processes() }
    let users = record.cgroup.userNamespace
    if try !isAlive(record) {
      guard users.number != 0 && record.cgroup.pidNamespace.number != 0 else { return [] }
      do {
        return try UserNamespace.processes(users, record.cgroup.pidNamespace)
      } catch {
        throw error.because(.cgroup, "cannot look for the processes of `\(record.id)` in /proc")
      }
    }
    let process = try openProcess(record)
    do throws(SystemError) {
      let found = try UserNamespace.processes(users, NamespaceIdentity("pid", of: record.pid))
      let isOurs = try NamespaceIdentity("user", of: record.pid) == users
      // Still the same process, or the pid could have been another's.
      try process.sendSignal(0)
      return isOurs ? found : []
    } catch {
      if error.errno == .noEntry || error.errno == .noProcess { return [] }
      throw error.because(.cgroup, "cannot look for the processes of `\(record.id)` in /proc")
    }
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
    let first = try openProcess(record)
    do {
      try first.sendSignal(signal)
    } catch {
      if error.errno != .noProcess { throw error.because(.signalling, "cannot signal process \(record.pid)") }
    }
    return count + 1
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
