package import Diagnostics
import Linux
import LinuxABI

extension CgroupManager {
  /// Removes what was made for the container: the cgroups below first, then its own, then parents that nobody else
  /// uses. A directory that is gone already is no error.
  ///
  /// - Parameter patience: milliseconds for processes that are about to end.
  /// - Throws: `processesRemain` with the process that holds a cgroup, `cleanup` for any other reason.
  package func remove(patience: Int64 = 2000) throws(RuntimeError) {
    let end = Clock.monotonicMilliseconds() + patience
    var failure: RuntimeError?
    for directory in record.directories {
      do {
        try remove(directory, until: end)
      } catch {
        // The other hierarchies must not stay because of this one.
        if failure == nil { failure = error }
      }
    }
    if let failure { throw failure }
  }

  private func remove(_ directory: CgroupRecord.Directory, until end: Int64) throws(RuntimeError) {
    let here: FileDescriptor
    do {
      here = try FileDescriptor.open("/", [.path, .directory])
    } catch {
      throw error.because(.cleanup, "cannot open `/`")
    }
    for path in directory.made.reversed() {
      let relative = String(decoding: path.utf8.dropFirst(), as: UTF8.self)
      do {
        if path == directory.path {
          try CgroupRemoval.remove(relative, in: here, until: end)
        } else {
          try here.removeDirectory(relative)
        }
      } catch {
        switch error.errno {
        case .noEntry: continue
        case .busy, .notEmpty:
          // A parent is other containers' as well; the last of them removes it.
          if path != directory.path { return }
          throw holder(of: path, error)
        default: throw error.because(.cleanup, "cannot remove the cgroup `\(path)`")
        }
      }
    }
  }

  /// Who keeps a cgroup from being removed.
  private func holder(of path: String, _ cause: SystemError) -> RuntimeError {
    do throws(SystemError) {
      let directory = try FileDescriptor.open(path, [.readOnly, .directory, .noFollow])
      if let pid = try directory.cgroupProcesses().first {
        let status = try Processes.status(pid)
        let state = status.map { " in state \(String(decoding: [$0.state], as: UTF8.self))" } ?? ""
        return cause.because(.processesRemain, "process \(pid)\(state) is still in the cgroup `\(path)`")
      }
    } catch {
      // The removal is what failed; why the look at it failed as well adds nothing.
      return cause.because(.cleanup, "cannot remove the cgroup `\(path)`")
    }
    return cause.because(
      .cleanup, "cannot remove the cgroup `\(path)`, which holds no process that is seen from here")
  }
}

private enum CgroupRemoval {
  /// Removes a cgroup and all below it, deepest first. A process that has just ended holds it for a moment longer.
  static func remove(
    _ name: String, in parent: borrowing FileDescriptor, until end: Int64
  ) throws(SystemError) {
    var pause: Int64 = 1
    while true {
      do {
        try parent.removeDirectory(name)
        return
      } catch {
        switch error.errno {
        case .noEntry: return
        case .busy, .notEmpty: break
        default: throw error
        }
        let failure = error
        if try removeChildren(name, in: parent, until: end) { continue }
        let left = end - Clock.monotonicMilliseconds()
        if left <= 0 { throw failure }
        try Pause.milliseconds(min(pause, left))
        pause = min(pause * 2, 50)
      }
    }
  }

  /// False where there were none.
  private static func removeChildren(
    _ name: String, in parent: borrowing FileDescriptor, until end: Int64
  ) throws(SystemError) -> Bool {
    guard let directory = try parent.openChild(name) else { return true }
    let children = try directory.descriptor.childCgroups()
    for child in children { try remove(child, in: directory.descriptor, until: end) }
    return !children.isEmpty
  }
}
