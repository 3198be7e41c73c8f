import ContainerPlan
import Diagnostics
import Linux
import LinuxABI
import OCISpec

/// A bundle (bundle.md): the folder and the configuration in it, read once.
struct Bundle {
  /// Absolute, with symbolic links worked out.
  let path: String
  let config: Config

  /// The longest config.json that is read, in bytes.
  static var sizeLimit: Int { 16 << 20 }

  static func load(_ path: String) throws(RuntimeError) -> Bundle {
    let (path, bytes) = try read(path)
    return Bundle(path: path, config: try Config.decode(bytes, file: "\(path)/config.json"))
  }

  /// The path of the bundle and its configuration, not looked into.
  static func read(_ path: String) throws(RuntimeError) -> (path: String, bytes: [UInt8]) {
    let directory = try describe(.bundleInvalid, "cannot open the bundle `\(path)`", field: "--bundle") {
      () throws(SystemError) in
      try FileDescriptor.open(path.isEmpty ? "." : path, [.readOnly, .directory])
    }
    let absolute = try describe(.bundleInvalid, "cannot find the path of the bundle `\(path)`") {
      () throws(SystemError) in
      try directory.hostPath()
    }
    return (absolute, try readConfig(directory, absolute))
  }

  private static func readConfig(
    _ directory: borrowing FileDescriptor, _ path: String
  ) throws(RuntimeError) -> [UInt8] {
    do throws(SystemError) {
      // Not blocking: a fifo of that name would wait for ever.
      let file = try directory.open("config.json", [.readOnly, .nonBlocking])
      guard try file.status().isRegularFile else { throw SystemError("open", .invalid, "no regular file") }
      return try file.readAll(limit: sizeLimit)
    } catch {
      throw error.because(
        .configMissing, "cannot read `\(path)/config.json`", field: "--bundle",
        hint: error.errno == .noEntry ? "`apus spec` makes one" : "")
    }
  }

  /// The root file system must be a directory and no symbolic link (runc's rule): found out before any side effect.
  func checkRoot(_ plan: ContainerPlan) throws(RuntimeError) {
    // The path is one of the mount namespace that is joined, and this process is in another.
    if plan.namespaces.joins(.newMount) { return }
    let root = plan.rootPath
    let status: FileStatus
    do {
      status = try FileDescriptor.open(root, [.path, .noFollow]).status()
    } catch {
      throw error.because(.rootfsInvalid, "invalid rootfs: cannot open `\(root)`", field: "/root/path")
    }
    if status.isSymbolicLink {
      throw RuntimeError(
        .rootfsInvalid, "invalid rootfs: `\(root)` is a symbolic link", field: "/root/path",
        hint: "name the directory that it leads to")
    }
    if !status.isDirectory {
      throw RuntimeError(.rootfsInvalid, "invalid rootfs: `\(root)` is not a directory", field: "/root/path")
    }
  }
}
