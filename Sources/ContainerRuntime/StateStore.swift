import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The state directory: one folder for each container below the root, spec/state-format.md.
struct StateStore {
  let root: String

  /// The folder is held under an exclusive lock as long as this value lives.
  struct Entry: ~Copyable {
    let id: String
    let directory: FileDescriptor
  }

  enum Name {
    static var record: String { "record" }
    static var newRecord: String { "record.new" }
    /// What only `exec` needs.
    static var exec: String { "exec" }
    static var newExec: String { "exec.new" }
    /// Listens while the container waits for `start`.
    static var startSocket: String { "start" }
    /// The folder that the container has mounted where its caller waits for sd_notify(3).
    static var notify: String { "notify" }
    /// How the first process ended, where `run --keep` has seen it.
    static var exit: String { "exit" }
    /// Where CRIU finds the root file system, in a mount namespace of its own.
    static var criuRoot: String { "criu-root" }
  }

  /// Takes an id that nobody has. The folder is the reservation: mkdir(2) succeeds for one caller only.
  func reserve(_ id: String) throws(RuntimeError) -> Entry {
    let directory: FileDescriptor
    do {
      directory = try makeHostDirectories(root, mode: 0o1700)
    } catch {
      throw error.because(.stateUnwritable, "cannot make the state directory `\(root)`", field: "--root")
    }
    do {
      try directory.makeDirectory(id, mode: 0o700)
    } catch {
      if error.errno == .exists {
        throw RuntimeError(.idTaken, "container with given ID already exists: `\(id)`")
      }
      throw error.because(
        .stateUnwritable, "cannot make a folder in the state directory `\(root)`", field: "--root")
    }
    do throws(SystemError) {
      let entry = try directory.open(id, [.readOnly, .directory, .noFollow])
      try entry.lock()
      // A `delete` may have come in between and taken the folder for an abandoned one.
      let isOurs = try directory.status(id).inode == entry.status().inode
      if !isOurs { throw SystemError("flock", .noEntry, id) }
      return Entry(id: id, directory: entry)
    } catch {
      // Nobody else knows the folder yet; if it cannot be removed either, that adds nothing to the first reason.
      _ = remove(id, from: directory)
      throw error.because(.stateUnwritable, "cannot open the folder of `\(id)` in `\(root)`")
    }
  }

  /// The folder of an existing container, locked against other commands.
  func open(_ id: String, locking: Bool) throws(RuntimeError) -> Entry {
    do throws(SystemError) {
      while true {
        let directory = try FileDescriptor.open("\(root)/\(id)", [.readOnly, .directory, .noFollow])
        if locking {
          try directory.lock()
          // Whoever held the lock may have deleted the container, and another may have taken its id meanwhile.
          let current = try FileDescriptor.open("\(root)/\(id)", [.path, .directory, .noFollow])
          if try current.status().inode != directory.status().inode { continue }
        }
        return Entry(id: id, directory: directory)
      }
    } catch {
      if error.errno == .noEntry || error.errno == .notDirectory {
        throw RuntimeError(.containerNotFound, "container does not exist: `\(id)`")
      }
      throw error.because(.stateUnreadable, "cannot open the state of `\(id)` in `\(root)`")
    }
  }

  /// Takes the lock of a container that was opened without it; false where somebody else holds it, or it is not that
  /// container any more.
  func tryLock(_ entry: borrowing Entry) throws(RuntimeError) -> Bool {
    do {
      if try !entry.directory.tryLock() { return false }
      let current = try FileDescriptor.open("\(root)/\(entry.id)", [.path, .directory, .noFollow])
      return try current.status().inode == entry.directory.status().inode
    } catch {
      if error.errno == .noEntry { return false }
      throw error.because(.stateUnreadable, "cannot look at the lock of `\(entry.id)`")
    }
  }

  /// The ids in the state directory; none if there is no such directory.
  func ids() throws(RuntimeError) -> [String] {
    do {
      var ids: [String] = []
      for entry in try FileDescriptor.open(root, [.readOnly, .directory]).entries() {
        // A file system may not say what an entry is; one that is no container says so when it is opened.
        if (entry.isDirectory || entry.kind == 0) && isValidID(entry.name) { ids.append(entry.name) }
      }
      return ids.sorted()
    } catch {
      if error.errno == .noEntry { return [] }
      throw error.because(.stateUnreadable, "cannot read the state directory `\(root)`", field: "--root")
    }
  }

  /// Removes the folder and what this program puts into one. The first failure is answered.
  func remove(_ entry: borrowing Entry) -> SystemError? {
    var first: SystemError?
    for name in [Name.startSocket, Name.newRecord, Name.newExec, Name.exec, Name.exit, Name.record] {
      do {
        try entry.directory.unlink(name)
      } catch {
        if error.errno != .noEntry && first == nil { first = error }
      }
    }
    if let failure = removeNotifyFolder(entry), first == nil { first = failure }
    if let failure = remove(Name.criuRoot, from: entry.directory), first == nil { first = failure }
    do {
      return remove(entry.id, from: try FileDescriptor.open(root, [.path, .directory])) ?? first
    } catch {
      return first ?? error
    }
  }

  private func removeNotifyFolder(_ entry: borrowing Entry) -> SystemError? {
    do {
      let folder = try entry.directory.open(Name.notify, [.path, .directory, .noFollow])
      _ = remove(NotifyProxy.socketName, unlinkingFrom: folder)
      try entry.directory.removeDirectory(Name.notify)
      return nil
    } catch {
      return error.errno == .noEntry ? nil : error
    }
  }

  private func remove(_ name: String, unlinkingFrom folder: borrowing FileDescriptor) -> SystemError? {
    do {
      try folder.unlink(name)
      return nil
    } catch {
      // Not there before `start`; any other reason shows when the folder goes.
      return error
    }
  }

  private func remove(_ id: String, from directory: borrowing FileDescriptor) -> SystemError? {
    do {
      try directory.removeDirectory(id)
      return nil
    } catch {
      return error.errno == .noEntry ? nil : error
    }
  }
}

extension StateStore.Entry {
  /// Makes the folder for the container's socket of sd_notify(3).
  func makeNotifyFolder() throws(RuntimeError) {
    do {
      try directory.makeDirectory(StateStore.Name.notify, mode: 0o755)
      // The umask of the caller may have taken away what the user of the process needs.
      try directory.changeMode(StateStore.Name.notify, 0o755)
    } catch {
      throw error.because(.stateUnwritable, "cannot make a folder in the state directory", field: "--root")
    }
  }

  /// The same folder; nil where `create` made none.
  func notifyFolder() throws(RuntimeError) -> FileDescriptor? {
    do {
      return try directory.open(StateStore.Name.notify, [.path, .directory, .noFollow])
    } catch {
      if error.errno == .noEntry { return nil }
      throw error.because(.stateUnreadable, "cannot open the state of `\(id)`")
    }
  }

  /// The folder on which CRIU finds the root file system, absolute and without symbolic links.
  func makeCriuRoot() throws(RuntimeError) -> String {
    do {
      try directory.makeDirectory(StateStore.Name.criuRoot, mode: 0o700)
      return "\(try directory.hostPath())/\(StateStore.Name.criuRoot)"
    } catch {
      throw error.because(.stateUnwritable, "cannot make a folder in the state directory", field: "--root")
    }
  }

  func write(_ record: ContainerRecord) throws(RuntimeError) {
    try replace(StateStore.Name.record, by: StateStore.Name.newRecord, record.encode())
  }

  /// Before there is a process that `exec` could join; once more with what the Landlock rules are about.
  func write(_ template: ExecTemplate) throws(RuntimeError) {
    try replace(StateStore.Name.exec, by: StateStore.Name.newExec, template.encode())
  }

  /// Whoever reads sees the old file or the new one, never a part.
  private func replace(_ name: String, by newName: String, _ bytes: [UInt8]) throws(RuntimeError) {
    do {
      let file = try directory.open(newName, [.writeOnly, .create, .truncate, .noFollow], mode: 0o600)
      try file.write(bytes)
      try directory.rename(newName, to: name)
    } catch {
      throw error.because(
        .stateUnwritable, "cannot write the state of `\(id)` into the state directory", field: "--root")
    }
  }

  func execTemplate() throws(RuntimeError) -> ExecTemplate {
    let bytes: [UInt8]
    do {
      bytes = try directory.readFile(StateStore.Name.exec, limit: ContainerRecord.sizeLimit)
    } catch {
      throw error.because(.stateUnreadable, "cannot read the state of `\(id)`")
    }
    do throws(WireError) {
      return try ExecTemplate(decoding: bytes)
    } catch {
      throw RuntimeError(
        .stateUnreadable, "the state of `\(id)` is damaged or of another version of this program")
    }
  }

  /// The record; nil where there is none because `create` ended before it wrote one.
  func read() throws(RuntimeError) -> ContainerRecord? {
    let bytes: [UInt8]
    do {
      bytes = try directory.readFile(StateStore.Name.record, limit: ContainerRecord.sizeLimit)
    } catch {
      if error.errno == .noEntry { return nil }
      throw error.because(.stateUnreadable, "cannot read the state of `\(id)`")
    }
    do throws(WireError) {
      return try ContainerRecord(decoding: bytes)
    } catch {
      throw RuntimeError(
        .stateUnreadable, "the state of `\(id)` is damaged or of another version of this program",
        hint: "`delete --force` removes it")
    }
  }
}
