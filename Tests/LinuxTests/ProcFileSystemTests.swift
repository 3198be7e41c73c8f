import Diagnostics
import Foundation
import LinuxABI
import Testing

@testable import Linux

@Suite struct ProcFileSystemTests {
  private func failure(_ path: String) -> Errno? {
    do throws(SystemError) {
      _ = try ProcFileSystem.mounted().open(path, .readOnly)
      return nil
    } catch {
      return error.errno
    }
  }

  @Test func ownDirectoryIsThatOfThisProcess() throws {
    #expect(try ProcFileSystem.mounted().ownDirectory() == "\(getpid())")
    let bytes = try ProcFileSystem.mounted().open("\(getpid())/stat", .readOnly).readAll(limit: 4096)
    #expect(bytes.starts(with: "\(getpid()) ".utf8))
  }

  /// Links lead elsewhere, and so do the magic ones.
  @Test func noLinkOfProcfsIsFollowed() throws {
    for path in ["self/stat", "\(getpid())/exe", "\(getpid())/root/etc/passwd", "mounts"] {
      #expect(failure(path) == .symbolicLinkLoop, "\(path)")
    }
    for path in ["/etc/passwd", "../etc/passwd"] { #expect(failure(path) == .crossDevice, "\(path)") }
    #expect(failure("sys/kernel/of_tomorrow") == .noEntry)
  }

  @Test func aMagicLinkOfThisProcessIsOpenedByName() throws {
    let pipe = Pipe()
    let number = pipe.fileHandleForReading.fileDescriptor
    let status = try ProcFileSystem.mounted().openOwnLink("fd", "\(number)", [.readOnly, .nonBlocking]).status()
    #expect(status.kind == 0o010000)
    let kind = try ProcFileSystem.mounted().openOwnLink("ns", "uts", .readOnly).fileSystemType()
    #expect(kind == FileSystemMagic.nsfs.rawValue)
  }
}
