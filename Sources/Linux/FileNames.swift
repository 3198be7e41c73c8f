import CLinux
public import Diagnostics
import LinuxABI

/// A name in a directory as the file system has it: any bytes but 0 and `/`, which need not be UTF-8. Whoever goes through
/// directories that a container could make in has to take them as they are, or he never finds them.
public struct FileName: Equatable, Sendable {
  /// With the 0 behind them.
  let characters: [CChar]

  /// For messages: what is no UTF-8 is repaired.
  public var description: String {
    String(decoding: characters.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  public static var current: FileName { FileName(characters: [0x2E, 0]) }
  public static var parent: FileName { FileName(characters: [0x2E, 0x2E, 0]) }

  public init(_ name: String) { self.init(characters: name.utf8.map { CChar(bitPattern: $0) } + [0]) }

  init(characters: [CChar]) { self.characters = characters }
}

extension FileDescriptor {
  /// The directories in this one, in the order of the file system.
  public func directoryNames() throws(SystemError) -> [FileName] {
    var names: [FileName] = []
    try readEntries { name, kind in
      guard kind == 4 /* DT_DIR */ else { return }
      var characters: [CChar] = []
      var next = name
      while next.pointee != 0 {
        characters.append(next.pointee)
        next += 1
      }
      characters.append(0)
      names.append(FileName(characters: characters))
    }
    return names
  }

  /// openat(2) of a directory in this one; a symbolic link is not followed.
  public func openDirectory(_ name: FileName) throws(SystemError) -> FileDescriptor {
    let flags = OpenFlags([.readOnly, .directory, .noFollow, .closeOnExec])
    let all = Int32(truncatingIfNeeded: flags.rawValue)
    let opened = try checkRetrying("openat", name.description) { sys_openat(number, name.characters, all, 0) }
    return FileDescriptor(owning: Int32(opened))
  }

  /// rmdir(2) of a name in this directory.
  public func removeDirectory(_ name: FileName) throws(SystemError) {
    try check("rmdir", sys_unlinkat(number, name.characters, 0x200 /* AT_REMOVEDIR */), name.description)
  }
}
