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
        } else if uid != 0 && status.uid != uid {
          try giveTo(uid, stream)
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

  private static func replaceByOwnNull(_ number: Int32) throws(SystemError) {
    let root = try FileDescriptor.open("/", [.path, .directory])
    do {
      let directory = try RootDirectory.openEntry(in: root, "dev", [.path, .directory, .noFollow])
      guard isNull(try directory.status("null")) else { return }
      let null = try RootDirectory.openEntry(
        in: directory, "null", [.readWrite, .noFollow, .noControllingTerminal])
      guard isNull(try null.status()) else { return }
      try null.replace(number)
    } catch {
      // An image without /dev or without the device: then there is no other one to give.
      if error.errno != .noEntry { throw error }
    }
  }

  /// A stream that the user does not own could not be opened again as /dev/stdout. Pipes and files of others stay as they
  /// are: where the kernel refuses, the user can still write to the descriptor it has.
  private static func giveTo(_ uid: UInt32, _ stream: borrowing BorrowedDescriptor) throws(SystemError) {
    do {
      try stream.descriptor.changeOwner(uid: uid, gid: UInt32.max)
    } catch {
      let harmless: [Errno] = [.invalid, .notPermitted, .readOnlyFileSystem, .accessDenied]
      if !harmless.contains(error.errno) { throw error }
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
