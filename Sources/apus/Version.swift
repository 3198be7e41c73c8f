import CStart
import OCISpec
import Seccomp

/// What `--version` prints. Managers parse it: go-runc wants `runc version ` at the start when the program is called
/// runc, and dockerd splits every line that holds that word, so that it may stand in the first one only.
enum Version {
  static let number = "0.1.0"

  /// The commit that was built; `unknown` outside of a clone.
  static var commit: String { String(cString: apus_commit()) }

  static func text(program: String) -> String {
    """
    \(program) version \(number)
    commit: \(commit)
    spec: \(OCIVersion.current)
    libseccomp: \(SeccompCompiler.libraryVersionText)

    """
  }
}
