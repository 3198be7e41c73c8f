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
          try CgroupRemoval.remove(FileName(relative), in: here, until: end)
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
      if let holder = try CgroupHolder(among: try directory.cgroupProcesses()) {
        return cause.because(
          .processesRemain, phrase("the cgroup `", path, "` is not empty: ", holder.text), hint: hint(holder))
      }
    } catch {
      // The removal is what failed; why the look at it failed as well adds nothing.
      return cause.because(.cleanup, "cannot remove the cgroup `\(path)`")
    }
    return cause.because(
      .cleanup, "cannot remove the cgroup `\(path)`, which holds no process that is seen from here")
  }

  /// What the user can do about a process that does not end.
  package func hint(_ holder: CgroupHolder) -> String {
    isFrozenFromAbove ? "a cgroup above is frozen: thaw that one" : holder.hint
  }

  /// Whether a cgroup of v1 above stops the processes, which then die of no signal.
  private var isFrozenFromAbove: Bool {
    guard let directory = record.directories.first(where: { $0.controllers.contains("freezer") }) else { return false }
    do {
      let file = try FileDescriptor.open(directory.path + "/freezer.parent_freezing", .readOnly)
      return try file.read(upTo: 1).first == 0x31
    } catch {
      // It is gone, or tells nothing: then nothing is said about it.
      return false
    }
  }
}

private enum CgroupRemoval {
  /// The cgroups of one directory that are left.
  private struct Level {
    var names: [FileName]
    /// How often the last of them was gone into.
    var descents = 0
  }

  /// Removes a cgroup and all below it, deepest first, when all processes in it have ended. How deep they are, and what they
  /// are called, is the container's choice: the walk holds three descriptors at a time.
  static func remove(
    _ name: FileName, in parent: borrowing FileDescriptor, until end: Int64
  ) throws(SystemError) {
    if try refusal(of: name, in: parent) == nil { return }
    let top = CgroupDirectory(try parent.openDirectory(.current))
    var directory = top
    var levels = [Level(names: [name])]
    var pause: Int64 = 0
    while true {
      let level = levels.count - 1
      guard let name = levels[level].names.last else {
        levels.removeLast()
        directory = level == 1 ? top : CgroupDirectory(try directory.descriptor.openDirectory(.parent))
        continue
      }
      guard let refusal = try refusal(of: name, in: directory.descriptor) else {
        if level == 0 { return }
        levels[level].names.removeLast()
        levels[level].descents = 0
        continue
      }
      guard let child = try directory.descriptor.openChild(name) else { continue }
      let below = try child.descriptor.childCgroups()
      let left = end - Clock.monotonicMilliseconds()
      if !below.isEmpty {
        // Somebody makes new ones all the time.
        if levels[level].descents > 100 && left <= 0 { throw refusal }
        levels[level].descents += 1
        levels.append(Level(names: below))
        directory = child
        continue
      }
      if left <= 0 { throw refusal }
      // Empty and busy all the same: a process that is not seen from here, of which there is no event.
      if pause > 0 { try Pause.milliseconds(min(pause, left)) }
      pause = min(pause * 2 + 1, 50)
      if try !child.waitUntilEmpty(until: end) { throw refusal }
    }
  }

  /// Nil when it is gone; else why it cannot be removed now.
  private static func refusal(
    of name: FileName, in directory: borrowing FileDescriptor
  ) throws(SystemError) -> SystemError? {
    do {
      try directory.removeDirectory(name)
    } catch {
      switch error.errno {
      case .noEntry: return nil
      case .busy, .notEmpty: return error
      default: throw error
      }
    }
    return nil
  }
}
