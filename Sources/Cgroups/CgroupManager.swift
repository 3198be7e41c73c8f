package import Diagnostics
import Linux
import LinuxABI

/// The cgroup of one container: makes it, sets its limits, hands out what its first process joins it with; and, made
/// from the record by a later command, finds, kills and removes what is there.
package final class CgroupManager {
  package internal(set) var record: CgroupRecord
  /// What `create` left open, in the order of the record; empty in a manager made from a record.
  private var open: [CgroupDirectory]
  /// The mount points of hierarchies in which the caller may make nothing, and which the container does without.
  package let leftOut: [String]

  /// The manager of a cgroup made by an earlier command.
  package init(record: CgroupRecord) {
    self.record = record
    self.open = []
    self.leftOut = []
  }

  private init(record: CgroupRecord, open: [CgroupDirectory], leftOut: [String]) {
    self.record = record
    self.open = open
    self.leftOut = leftOut
  }

  /// Makes the container's cgroup in every hierarchy. Whatever was made is removed again if it fails.
  ///
  /// - Parameter writes: what will be applied; names the controllers that are needed on v2, and the values that need
  ///   not be inherited on v1.
  /// - Parameter unit: the unit that systemd has made at this path. What it has made is taken as it is, and left to it if
  ///   this fails.
  /// - Parameter mayLeaveOut: asked when a hierarchy is refused to the caller for want of permission: whether the
  ///   container is to do without it.
  package static func create(
    _ path: CgroupPath, layout: CgroupLayout, writes: [CgroupWrite], unit: SystemdUnit? = nil,
    mayLeaveOut: () -> Bool = { false }
  ) throws(RuntimeError) -> CgroupManager {
    var directories: [CgroupRecord.Directory] = []
    var open: [CgroupDirectory] = []
    var leftOut: [String] = []
    for hierarchy in layout.joined {
      var maker = CgroupMaker(
        hierarchy: hierarchy, components: path.below(hierarchy, kind: layout.kind), isAdopted: unit != nil)
      do {
        open.append(try maker.make(writes, layout: layout))
        directories.append(maker.directory)
      } catch {
        if error.isRefusal, mayLeaveOut() {
          try CgroupManager(record: CgroupRecord(directories: [maker.directory])).remove(patience: 100)
          leftOut.append(hierarchy.mountPoint)
          continue
        }
        open = []
        if unit != nil { throw error }
        directories.append(maker.directory)
        throw undone(error, CgroupRecord(directories: directories))
      }
    }
    return CgroupManager(record: CgroupRecord(directories: directories, unit: unit), open: open, leftOut: leftOut)
  }

  /// The first value that was asked for and has no file, because its hierarchy was left out.
  package func missing(_ writes: [CgroupWrite]) -> CgroupWrite? {
    writes.first { write in
      if write.isDefault { return false }
      return !record.directories.contains {
        $0.version == write.version && (write.version == .v2 || $0.controllers.contains(write.controller))
      }
    }
  }

  /// Where the cgroup will be, for a record that is written before anything is made: a creation that is killed must not
  /// leave directories that nobody knows of.
  package static func planned(
    _ path: CgroupPath, layout: CgroupLayout, unit: SystemdUnit? = nil
  ) -> CgroupRecord {
    CgroupRecord(
      directories: layout.joined.map {
        CgroupMaker(
          hierarchy: $0, components: path.below($0, kind: layout.kind), isAdopted: unit != nil
        ).planned()
      }, unit: unit)
  }

  /// Removes what was made before the failure, and answers the failure.
  private static func undone(_ failure: RuntimeError, _ record: CgroupRecord) -> RuntimeError {
    do {
      try CgroupManager(record: record).remove(patience: 100)
      return failure
    } catch {
      var both = failure
      both.hint = "what was made of it could not be removed: \(error.text)"
      return both
    }
  }

  /// Makes those writes that belong to one phase. Values that a cgroup just made has already are left out.
  package func apply(_ writes: [CgroupWrite], phase: CgroupWrite.Phase) throws(RuntimeError) {
    for (index, directory) in record.directories.enumerated() {
      let mine = writes.filter { write in
        write.phase == phase && write.version == directory.version && !(write.isDefault && isFresh(directory))
          && (write.version == .v2 || directory.controllers.contains(write.controller))
      }
      if mine.isEmpty { continue }
      try CgroupWriter.write(mine, to: try opened(index).descriptor, path: directory.path)
    }
  }

  /// Lets the container use only the devices that the rules allow.
  package func setDevices(_ permissions: DevicePermissions) throws(RuntimeError) {
    let isV1 = record.directories.contains { $0.version == .v1 && $0.controllers.contains("devices") }
    if isV1 {
      try apply(try permissions.linesV1(), phase: .beforeJoin)
      return
    }
    guard let index = record.directories.firstIndex(where: { $0.version == .v2 }) else {
      throw RuntimeError(
        .cgroupLimit, "the controller `devices` is not mounted on this machine",
        field: DevicePermissions.pointer)
    }
    do {
      try DeviceFilter.attach(
        DeviceProgram(permissions), to: try opened(index).descriptor, isNew: isFresh(record.directories[index]))
    } catch {
      throw error.during("setting the device filter of `\(record.directories[index].path)`")
    }
  }

  /// The scope of a user's systemd has to be his: another one could do with the container what it likes.
  package func checkOwner() throws(RuntimeError) {
    guard let index = record.directories.firstIndex(where: { $0.version == .v2 }) else { return }
    let directory = try opened(index)
    let owner = try describe(.cgroup, "cannot look at the cgroup of the scope") { () throws(SystemError) in
      try directory.descriptor.status().uid
    }
    if owner == Processes.effectiveUser() { return }
    throw RuntimeError(
      .systemd, "the cgroup `\(record.directories[index].path)` of the scope belongs to user \(owner)",
      hint: "`DBUS_SESSION_BUS_ADDRESS` or `XDG_RUNTIME_DIR` may be those of another user")
  }

  /// Whether nobody has set anything there. systemd sets limits of its own, and a device filter.
  func isFresh(_ directory: CgroupRecord.Directory) -> Bool { directory.isMade && record.unit == nil }

  func opened(_ index: Int) throws(RuntimeError) -> CgroupDirectory {
    if index < open.count { return open[index] }
    return try CgroupManager.open(record.directories[index].path)
  }

  static func open(_ path: String) throws(RuntimeError) -> CgroupDirectory {
    do {
      return CgroupDirectory(try FileDescriptor.open(path, [.readOnly, .directory, .noFollow]))
    } catch {
      throw error.because(.cgroup, "cannot open the cgroup `\(path)`")
    }
  }
}

extension RuntimeError {
  /// The kernel refused for want of permission, and not because something is wrong.
  package var isRefusal: Bool {
    guard let errno = cause?.errno else { return false }
    return errno == .accessDenied || errno == .notPermitted || errno == .readOnlyFileSystem
  }
}
