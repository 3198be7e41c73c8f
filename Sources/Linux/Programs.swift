import CLinux
public import Diagnostics

/// The calls around execve(2) of the agent command.
public enum Programs {
  /// Becomes the program at `path`; returns only to say why not.
  public static func execute(
    _ path: String, _ arguments: borrowing CStringList, _ environment: borrowing CStringList
  ) -> SystemError {
    let result = sys_execve(path, arguments.pointers, environment.pointers)
    return SystemError("execve", Errno(Int32(truncatingIfNeeded: -result)), path)
  }

  /// Installs a classic BPF filter, seccomp(2) SECCOMP_SET_MODE_FILTER. `instructions` holds 8 bytes for each. With
  /// SECCOMP_FILTER_FLAG_NEW_LISTENER the number of the listener is answered, which is close-on-exec; it is only a number,
  /// because behind the filter nobody may be able to close it.
  @discardableResult
  public static func loadFilter(_ instructions: [UInt8], flags: UInt32) throws(SystemError) -> Int32 {
    let result = instructions.withUnsafeBytes { bytes in
      var program = FilterProgram(length: UInt16(bytes.count / 8), instructions: bytes.baseAddress)
      return sys_seccomp(1, flags, &program)
    }
    return Int32(truncatingIfNeeded: try check("seccomp", result))
  }

  /// Marks every descriptor from `first` on close-on-exec, or closes them.
  public static func closeRange(from first: UInt32, onExec: Bool) throws(SystemError) {
    try check("close_range", sys_close_range(first, UInt32.max, onExec ? 4 : 0))
  }

  /// Closes every descriptor from `first` up to `last`.
  public static func closeRange(from first: UInt32, upTo last: UInt32) throws(SystemError) {
    try check("close_range", sys_close_range(first, last, 0))
  }

  /// close(2) of a descriptor that is only a number here.
  public static func closeDescriptor(_ number: Int32) throws(SystemError) {
    try check("close", sys_close(number))
  }

  /// dup3(2): `number` becomes another name of what `source` names.
  public static func replaceDescriptor(
    _ number: Int32, by source: Int32, closesOnExec: Bool
  ) throws(SystemError) {
    let flags: Int32 = closesOnExec ? 0o2000000 : 0
    try check("dup3", sys_dup3(source, number, flags), "descriptor \(source)")
  }

  public static func changeDirectory(_ path: String) throws(SystemError) {
    try check("chdir", sys_chdir(path), path)
  }

  public static func changeDirectory(to directory: borrowing FileDescriptor) throws(SystemError) {
    try check("fchdir", sys_fchdir(directory.number))
  }

  /// getcwd(2) as the kernel gives it; a directory outside of the root starts with `(unreachable)`.
  public static func workingDirectory() throws(SystemError) -> String {
    var result: Int64 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
      buffer.withMemoryRebound(to: CChar.self) { characters in
        guard let start = characters.baseAddress else { return }
        result = sys_getcwd(start, 4096)
      }
      count = max(0, Int(result) - 1)
    }
    try check("getcwd", result)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether the file may be executed by the effective user, faccessat2(2).
  public static func isExecutable(_ path: String) throws(SystemError) {
    try check("faccessat2", sys_faccessat2(-100, path, 1 /* X_OK */, 0x200 /* AT_EACCESS */), path)
  }
}

/// struct sock_fprog of seccomp(2).
private struct FilterProgram {
  var length: UInt16
  var instructions: UnsafeRawPointer?
}
