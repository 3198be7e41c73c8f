import Diagnostics
import Linux
import LinuxABI

/// Standard input, output and error, which the container gets from whoever called the runtime.
enum StandardStreams {
  /// To be called in the new root, before the user changes.
  static func prepare(uid: UInt32, hasOwnRoot: Bool) throws(RuntimeError) {
    do {
      for number in Int32(0)...2 {
        let stream = BorrowedDescriptor(number)
        let status = try stream.descriptor.status()
        if isNull(status) {
          // A node of the host: who owns it inside could take it from everybody with fchmod(2). The container's own
          // takes its place.
          if hasOwnRoot { try replaceByOwnNull(number) }
        } else if uid != 0 {
          try StandardDescriptors.give(number, to: uid)
        }
      }
    } catch {
      throw error.because(.credentials, "cannot prepare the standard streams")
    }
  }

  /// The null device is 1:3. Only what was verified is opened or changed (CVE-2026-88265).
  private static func isNull(_ status: FileStatus) -> Bool {
    status.isCharacterDevice && status.specialMajor == 1 && status.specialMinor == 3
  }

  /// Before anything of the container can run: a stream on the host's null device goes through a read-only copy of its
  /// mount that belongs to no namespace, so that nobody can change the mode or owner of the node. Reading and writing the
  /// device is none of the file system's business.
  static func shieldNull() throws(RuntimeError) {
    do throws(SystemError) {
      for number in Int32(0)...2 {
        let stream = BorrowedDescriptor(number)
        guard isNull(try stream.descriptor.status()) else { continue }
        let node = try FileDescriptor.open("/dev/null", [.path, .noFollow])
        guard isNull(try node.status()) else { throw SystemError("statx", .noDevice, "/dev/null") }
        let copy = try Mounts.clone(node, recursive: false)
        try Mounts.change(copy, MountChange(set: MountAttribute.readonly), recursive: false)
        try copy.reopen(.readWrite).replace(number)
      }
    } catch {
      throw error.because(.credentials, "cannot shield the host's null device")
    }
  }

  /// The same for a process that joins a container. Who may not copy a mount of the host has no device of the host's root
  /// to give away either.
  static func shieldHostNull() throws(RuntimeError) {
    do {
      try shieldNull()
    } catch {
      if error.cause?.errno != .notPermitted { throw error }
    }
  }

  private static func replaceByOwnNull(_ number: Int32) throws(SystemError) {
    let root = RootDirectory(try FileDescriptor.open("/", [.path, .directory]))
    do {
      guard isNull(try root.open("dev/null", .path).status()) else { return }
      let null = try root.open("dev/null", [.readWrite, .noControllingTerminal])
      guard isNull(try null.status()) else { return }
      try null.replace(number)
    } catch {
      // An image without a null device that can be opened: the shielded one stays, which is as good but for its name.
    }
  }
}

/// A descriptor that is used and not closed.
struct BorrowedDescriptor: ~Copyable {
  var descriptor: FileDescriptor

  init(_ number: Int32) {
    descriptor = FileDescriptor(owning: number)
  }

  deinit {
    _ = descriptor.release()
  }
}
