import Diagnostics
import Linux
import LinuxABI

/// Finding the agent command, as execvp(3) would, but with an answer before `start`. The texts are those that managers
/// turn into the exit codes 126 and 127.
enum Executable {
  /// The path to execute for `process.args`.
  static func find(_ arguments: [String], environment: [String]) throws(RuntimeError) -> String {
    guard let command = arguments.first, !command.isEmpty else {
      throw notFound("", because: ": the command is empty")
    }
    if command.utf8.contains(0x2F) {
      try check(command, command)
      return command
    }
    var denied: SystemError?
    for directory in searchPath(environment) {
      let candidate = directory.isEmpty ? "./\(command)" : "\(directory)/\(command)"
      do {
        let file = try FileDescriptor.open(candidate, .path)
        if try file.status().isDirectory { continue }
        try Programs.isExecutable(candidate)
        return candidate
      } catch {
        // The first that is more than a name that is not there.
        if error.errno != .noEntry && error.errno != .notDirectory && denied == nil { denied = error }
      }
    }
    if let denied { throw explain(denied, command) }
    throw notFound(command)
  }

  private static func notFound(_ command: String, because reason: String = "") -> RuntimeError {
    RuntimeError(
      .executableNotFound, "exec: \"\(command)\": executable file not found in $PATH\(reason)",
      field: "/process/args/0")
  }

  private static func check(_ command: String, _ path: String) throws(RuntimeError) {
    let isDirectory: Bool
    do throws(SystemError) {
      isDirectory = try FileDescriptor.open(path, .path).status().isDirectory
      if !isDirectory { try Programs.isExecutable(path) }
    } catch {
      throw explain(error, command)
    }
    if isDirectory {
      // What execve(2) says of it; podman gives the exit code 126 for these words only.
      var error = explain(SystemError("execve", .accessDenied, path), command)
      error.hint = "it is a directory"
      throw error
    }
  }

  /// The error of a command that cannot be executed.
  static func explain(_ failure: SystemError, _ command: String) -> RuntimeError {
    let code: ErrorCode =
      switch failure.errno {
      case .noEntry: .executableNotFound
      case .accessDenied, .notPermitted, .isDirectory: .executableDenied
      default: .execFailed
      }
    let hint =
      switch failure.errno {
      case .execFormat: "is it made for another architecture, or a script without `#!`?"
      case .argumentListTooLong: "arguments and environment together are longer than the kernel takes"
      default: ""
      }
    return failure.because(code, "exec: \"\(command)\"", field: "/process/args/0", hint: hint)
  }

  /// The directories of PATH; none without the variable, as in runc.
  private static func searchPath(_ environment: [String]) -> [String] {
    var found: String?
    // The last one wins, as in the environment that the command will see.
    for entry in environment where entry.utf8.starts(with: "PATH=".utf8) { found = entry }
    guard let found else { return [] }
    return found.utf8.dropFirst(5).split(separator: 0x3A, omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
  }
}

enum HomeDirectory {
  /// The sixth field of the user's line in the container's /etc/passwd, or `/`. Read by hand: the C library would load
  /// modules of the container's root file system into this process.
  static func find(uid: UInt32) -> String {
    let bytes: [UInt8]
    do {
      // A file of the image: no magic link to a descriptor of ours, nothing but a regular file.
      let root = RootDirectory(try FileDescriptor.open("/", [.path, .directory]))
      guard try root.open("etc/passwd", .path).status().isRegularFile else { return "/" }
      bytes = try root.open("etc/passwd", [.readOnly, .nonBlocking, .noControllingTerminal])
        .readAll(limit: 1 << 20)
    } catch {
      // No such file, or none that can be read: the same as a user without a line.
      return "/"
    }
    let wanted = "\(uid)"
    for line in bytes.split(separator: 0x0A) {
      let fields = line.split(separator: 0x3A, omittingEmptySubsequences: false)
      if fields.count >= 6, fields[2].elementsEqual(wanted.utf8), !fields[5].isEmpty {
        return String(decoding: fields[5], as: UTF8.self)
      }
    }
    return "/"
  }
}
