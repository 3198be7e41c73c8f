import CSeccomp

package enum SeccompLibrary {
  /// The release of libseccomp that is linked in, `2.5.4`.
  package static var version: String {
    guard let version = seccomp_version() else { return "unknown" }
    return "\(version.pointee.major).\(version.pointee.minor).\(version.pointee.micro)"
  }
}
