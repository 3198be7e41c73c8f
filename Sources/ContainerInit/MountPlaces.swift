import Diagnostics
import Linux
import LinuxABI

/// The mounts that were made so far, by their ids. Between the making of a mount and a later step that is about it, a link
/// or another directory can take the name of its mount point; what is found under the name then must be that very mount,
/// or the step would change another one, or find nothing to change (CVE-2026-115521). Only those are kept that a later step
/// may come back to: /dev, procfs and sysfs. There may be thousands of others.
struct MountPlaces {
  private struct Place {
    var destination: String
    var mountID: UInt64
    /// Of procfs or sysfs, where all links lead to places inside.
    var isKernelView: Bool

    func lies(below other: String) -> Bool {
      let (path, folder) = (destination.utf8, other.utf8)
      return other == "."
        || path.count > folder.count && path.starts(with: folder)
          && path[path.index(path.startIndex, offsetBy: folder.count)] == 0x2F
    }
  }

  private var places: [Place] = []

  mutating func add(_ destination: String, _ tree: borrowing FileDescriptor) throws(SystemError) {
    let type = FileSystemMagic(rawValue: try tree.fileSystemType())
    let isKernelView = type == .proc || type == .sysfs
    // What lies there or below is out of sight from now on.
    places.removeAll { $0.destination == destination || $0.lies(below: destination) }
    guard isKernelView || destination == "dev" else { return }
    places.append(
      Place(destination: destination, mountID: try tree.status().mountID, isKernelView: isKernelView))
  }

  /// Opens the last mount that was made at `destination`; EBUSY if that is not there any more.
  func open(_ destination: String, in root: borrowing RootDirectory) throws(SystemError) -> FileDescriptor {
    let mount = try root.open(destination, .path)
    let id = try mount.status().mountID
    guard places.last(where: { $0.destination == destination })?.mountID == id else {
      throw SystemError("statx", .busy, "`/\(destination)` is no longer what was mounted there")
    }
    return mount
  }

  /// The procfs or sysfs that a path lies in, and the rest of the path from there.
  func kernelView(of path: String) -> (destination: String, rest: String)? {
    for place in places.reversed() where place.isKernelView {
      guard path.utf8.starts(with: "\(place.destination)/".utf8) else { continue }
      let rest = path.utf8.dropFirst(place.destination.utf8.count + 1)
      return (place.destination, String(decoding: rest, as: UTF8.self))
    }
    return nil
  }

  /// What a masked or a read-only path names. Only ENOENT means that there is nothing to cover; any other answer could be
  /// the work of an attacker. What lies in the procfs or sysfs of the container is looked up from the root of that mount:
  /// behind a link in its place nothing would be found, and the container had a /proc without a single mask.
  func openCovered(
    _ path: String, field: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor? {
    guard let view = kernelView(of: path) else { return try MountPlaces.find(path, field: field, in: root) }
    let mount = try describe(.mask, "cannot find it in the root file system", field: field) {
      () throws(SystemError) in
      try open(view.destination, in: root)
    }
    return try MountPlaces.find(view.rest, field: field, in: RootDirectory(mount))
  }

  private static func find(
    _ path: String, field: String, in root: borrowing RootDirectory
  ) throws(RuntimeError) -> FileDescriptor? {
    do {
      return try root.open(path, .path)
    } catch {
      if error.errno == .noEntry { return nil }
      throw error.because(.mask, "cannot find it in the root file system", field: field)
    }
  }
}
