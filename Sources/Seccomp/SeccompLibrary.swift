internal import CSeccomp

extension SeccompCompiler {
  /// The version of libseccomp, seccomp_version(3): which names of system calls are known depends on it.
  package static var libraryVersion: (major: UInt32, minor: UInt32, micro: UInt32) {
    guard let version = seccomp_version() else { return (0, 0, 0) }
    return (version.pointee.major, version.pointee.minor, version.pointee.micro)
  }

  /// `2.5.4`
  package static var libraryVersionText: String {
    let version = libraryVersion
    return "\(version.major).\(version.minor).\(version.micro)"
  }

  /// The names of the architectures that the library knows and that can share a filter with this machine's: `archs` of
  /// the features document.
  package static var architectureNames: [String] {
    var names: [String] = []
    for architecture in SeccompArchitecture.allCases {
      let token = SystemCallTable.token(architecture)
      if token != 0 && SystemCallTable.shareByteOrder(token, SystemCallTable.native) {
        names.append(architecture.name)
      }
    }
    return names
  }
}
