package import Diagnostics

/// Where the container's cgroup is: `linux.cgroupsPath`, checked (config-linux.md, "Cgroups Path").
package struct CgroupPath: Equatable, Sendable {
  package static let pointer = "/linux/cgroupsPath"

  /// Names without `.`, `..`, empty ones or slashes; at least one.
  package var components: [String]
  /// From the root of each mount. Otherwise from where the runtime stands.
  package var isAbsolute: Bool

  /// A path from the root of each mount.
  package init(components: [String]) {
    self.components = components
    isAbsolute = true
  }

  /// Takes the path apart. Absent or empty means a cgroup with the name of the container, relative, as in runc.
  package init(_ path: String?, id: String) throws(RuntimeError) {
    guard let path, !path.isEmpty else {
      components = [id]
      isAbsolute = false
      return
    }
    let bytes = [UInt8](path.utf8)
    isAbsolute = bytes.first == 0x2F
    components = []
    for part in CgroupText.split(isAbsolute ? bytes[1...] : bytes[...], on: 0x2F) {
      let name = CgroupText.string(part)
      // `/a//b/` is `/a/b`, as runc cleans it.
      if name.isEmpty { continue }
      try CgroupPath.check(name, part, of: path)
      components.append(name)
    }
    if components.isEmpty {
      throw RuntimeError(
        .configInvalid, "`\(path)` is the root of all cgroups: a container needs one of its own",
        field: CgroupPath.pointer)
    }
  }

  private static func check(
    _ name: String, _ bytes: ArraySlice<UInt8>, of path: String
  ) throws(RuntimeError) {
    if name == "." || name == ".." {
      throw RuntimeError(.configInvalid, "`\(path)` has the component `\(name)`", field: pointer)
    }
    // The kernel refuses a line end, and a NUL would cut the path short.
    if bytes.contains(0) || bytes.contains(0x0A) {
      throw RuntimeError(.configInvalid, "the path has a NUL or a line end in it", field: pointer)
    }
    if bytes.count > 255 {
      throw RuntimeError(.configInvalid, "a component is longer than 255 bytes", field: pointer)
    }
  }

  /// The path below the mount point of one hierarchy, without a leading slash.
  ///
  /// A relative path starts at the cgroup of the runtime; on pure v2 at its parent, because a cgroup that holds
  /// processes cannot give controllers to those below it (cgroups(7), "no internal processes").
  package func below(_ hierarchy: CgroupHierarchy, kind: CgroupLayout.Kind) -> [String] {
    if isAbsolute { return components }
    var base = CgroupText.split([UInt8](hierarchy.ownRelativePath.utf8)[...], on: 0x2F)
      .filter { !$0.isEmpty }.map { CgroupText.string($0) }
    if kind == .v2 && !base.isEmpty { base.removeLast() }
    return base + components
  }
}
