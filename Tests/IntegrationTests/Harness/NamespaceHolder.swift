import Foundation
import IntegrationSupport
import Testing

/// A process in namespaces of its own, for containers that join them by their files.
final class NamespaceHolder {
  private let process: Subprocess

  /// With the options of unshare(1). The maps of a user namespace are written afterwards: inside, outside, count.
  init(_ options: String..., map: String = "") throws {
    process = try Subprocess("/usr/bin/unshare", options + [RootTemplate.agent(), "wait"])
    try process.stdout.waitFor("ready")
    if map.isEmpty { return }
    for file in ["uid_map", "gid_map"] { try Files.write(map, to: "/proc/\(process.process)/\(file)") }
  }

  deinit { end() }

  func end() { process.end() }

  /// The file of a namespace by its name in /proc/PID/ns. A process with `--fork` does not enter its own pid namespace, and
  /// the one of the clocks is entered by execve(2) in newer kernels only.
  func path(_ file: String) -> String {
    "/proc/\(process.process)/ns/\(["pid", "time"].contains(file) ? "\(file)_for_children" : file)"
  }

  func inode(_ file: String) -> Int { Files.inode(path(file)) }
}

/// Everything but the holder, which ends.
func expectNothingLeft(
  but holder: NamespaceHolder, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  holder.end()
  try expectNothingLeft(sourceLocation: sourceLocation)
}

extension Bundle {
  /// The namespace of this type is the one behind `path`.
  func join(_ type: String, _ path: String) {
    removeNamespace(type)
    config["linux"]["namespaces"].append(["type": .string(type), "path": .string(path)])
  }

  /// The user namespace behind `path`. The mappings, which must be those that it has, are for runc 1.1; the root file
  /// system belongs to its root.
  func joinUsers(_ path: String, host: Int = 100_000, size: Int = 65_536) throws {
    try mapUsers(host: host, size: size)
    join("user", path)
  }
}

extension Files {
  /// The inode of the user namespace that the namespace behind `path` belongs to, ioctl_ns(2) NS_GET_USERNS.
  static func owner(ofNamespace path: String) throws -> Int {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw HarnessError(errno: errno, path) }
    defer { close(file) }
    let owner = support_namespace_owner(file)
    guard owner >= 0 else { throw HarnessError(errno: errno, "NS_GET_USERNS") }
    defer { close(owner) }
    var status = stat()
    guard fstat(owner, &status) == 0 else { throw HarnessError(errno: errno, "fstat") }
    return Int(status.st_ino)
  }
}
