package import Diagnostics

/// A line of /proc/PID/cgroup (cgroups(7)).
package struct ProcessCgroup: Equatable, Sendable {
  /// As the kernel lists them: empty for v2, `name=systemd` for a hierarchy without one.
  package var controllers: String
  package var path: String

  /// In which cgroups a process is.
  package static func list(of pid: Int32) throws(RuntimeError) -> [ProcessCgroup] {
    try OwnCgroup.entries(try OwnCgroup.text(ofProcess: pid)).map {
      ProcessCgroup(controllers: $0.controllers.joined(separator: ","), path: $0.path)
    }
  }
}
