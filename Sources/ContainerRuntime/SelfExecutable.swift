import Diagnostics
import Linux
import LinuxABI

/// The program that is started as init stage, sealed against the container (CVE-2019-5736): through /proc/PID/exe a
/// process of the container can reach the file that our process runs from.
enum SelfExecutable {
  /// A descriptor to execute. The file lies on a read-only copy of its mount that belongs to no namespace: a write is
  /// EROFS for everybody, and a mount without a namespace can neither be remounted nor be copied, whatever
  /// capabilities one has. Where the copy is not allowed (no CAP_SYS_ADMIN), a sealed copy in memory serves.
  static func open(_ path: String?) throws(RuntimeError) -> FileDescriptor {
    let name = path ?? "/proc/self/exe"
    do throws(SystemError) {
      let file = try FileDescriptor.open(name, .path)
      do throws(SystemError) {
        let tree = try Mounts.clone(file, recursive: false)
        try Mounts.change(tree, MountChange(set: 1 /* MOUNT_ATTR_RDONLY */), recursive: false)
        // Opened through the copy; when `tree` is closed below, the mount leaves its anonymous namespace for ever
        // and only the open file keeps it.
        return try tree.reopen(.readOnly)
      } catch {
        guard error.errno == .notPermitted || error.errno == .invalid else { throw error }
        return try FileDescriptor.sealedCopy("apus", of: try FileDescriptor.open(name, .readOnly))
      }
    } catch {
      throw error.because(.spawn, "cannot seal the program for the init stage")
    }
  }
}
