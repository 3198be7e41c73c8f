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
    let found = try isAlive(record) ? beside(record) : behind(record)
    // The processes of a container that has joined the namespace cannot be told from those of this one.
    return try joins(found, record) ? found.filter { $0 == record.pid } : found
  }

  private func beside(_ record: ContainerRecord) throws(RuntimeError) -> [Int32] {
    let process = try openProcess(record)
    return try look(for: record) { () throws(SystemError) in
      let mounts = try NamespaceIdentity("mnt", of: Processes.ownPid())
      let hasMounts = try NamespaceIdentity("mnt", of: record.pid) != mounts
      let found = try UserNamespace.processes(
        record.cgroup.userNamespace, NamespaceIdentity("pid", of: record.pid), outside: hasMounts ? mounts : nil)
      let isOurs = try NamespaceIdentity("user", of: record.pid) == record.cgroup.userNamespace
      // Still the same process, or the pid could have been another's.
      try process.sendSignal(0)
      return isOurs ? found : []
    }
  }

  private func behind(_ record: ContainerRecord) throws(RuntimeError) -> [Int32] {
    let (users, pids) = (record.cgroup.userNamespace, record.cgroup.pidNamespace)
    guard users.number != 0 && pids.number != 0 else { return [] }
    return try look(for: record) { () throws(SystemError) in
      try UserNamespace.processes(users, pids, outside: NamespaceIdentity("mnt", of: Processes.ownPid()))
    }
  }

  private func look(
    for record: ContainerRecord, _ body: () throws(SystemError) -> [Int32]
  ) throws(RuntimeError) -> [Int32] {
    do {
      return try body()
    } catch {
      if error.errno == .noEntry || error.errno == .noProcess { return [] }
      throw error.because(.cgroup, "cannot look for the processes of `\(record.id)` in /proc")
    }
  }

  /// Whether one of the processes is the first of another container.
  private func joins(_ found: [Int32], _ record: ContainerRecord) throws(RuntimeError) -> Bool {
    if found.isEmpty { return false }
    for id in try store.ids() where id != record.id {
      do {
        guard let other = try store.open(id, locking: false).read(), found.contains(other.pid) else { continue }
        if try isAlive(other) { return true }
      } catch {
        guard error.code == .containerNotFound else { throw error }
      }
    }
    return false
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
