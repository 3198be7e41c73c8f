import Diagnostics
import Foundation
import LinuxABI
import Testing

@testable import Linux

/// The directory `attr` of a process, as files that do nothing.
@Suite struct SecurityAttributesTests {
  private final class Folder {
    let path = NSTemporaryDirectory() + "apus-attr-\(UUID().uuidString)"

    init(_ files: [String: String]) throws {
      for (name, text) in files {
        let file = URL(filePath: path).appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: file, atomically: false, encoding: .utf8)
      }
    }

    deinit {
      do {
        try FileManager.default.removeItem(atPath: path)
      } catch {
        Issue.record("left behind: \(error)")
      }
    }

    func text(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

    func failure(_ body: (borrowing SecurityAttributes) throws(SystemError) -> Void) -> SystemError? {
      do throws(SystemError) {
        try body(SecurityAttributes(directory: try FileDescriptor.open(path, [.path, .directory])))
        return nil
      } catch {
        return error
      }
    }
  }

  private static let label = "system_u:system_r:container_t:s0:c124,c675"

  @Test func labelOfTheNextProgramIsWrittenAndReadAgain() throws {
    let folder = try Folder(["exec": "", "keycreate": "", "apparmor/exec": ""])
    #expect(folder.failure { (it) throws(SystemError) in try it.setLabel(SecurityAttributesTests.label) } == nil)
    #expect(try folder.text("exec") == SecurityAttributesTests.label)
    #expect(try folder.text("keycreate").isEmpty && folder.text("apparmor/exec").isEmpty)
    #expect(folder.failure { (it) throws(SystemError) in try it.setKeyLabel("a:b:c") } == nil)
    #expect(try folder.text("keycreate") == "a:b:c" && folder.text("exec") == SecurityAttributesTests.label)
  }

  @Test func labelThatIsNotTakenIsAnError() throws {
    // What is written covers the beginning only.
    let folder = try Folder(["exec": "aaaaaaaaaaaa", "keycreate": "aaaaaaaaaaaa"])
    for error in [
      folder.failure { (it) throws(SystemError) in try it.setLabel("u:r:t") },
      folder.failure { (it) throws(SystemError) in try it.setKeyLabel("u:r:t") },
    ] {
      #expect(error?.call == "read" && error?.errno == .inputOutput)
    }
  }

  /// Its own file where there is one, else that of all modules.
  @Test func profileIsWrittenToTheFileOfItsModule() throws {
    let both = try Folder(["exec": "", "apparmor/exec": ""])
    // A file that does not answer as the kernel does is none.
    let error = both.failure { (it) throws(SystemError) in try it.setProfile("docker-default") }
    #expect(error?.call == "read" && error?.errno == .inputOutput)
    #expect(try both.text("apparmor/exec") == "exec docker-default" && both.text("exec").isEmpty)
    let one = try Folder(["exec": ""])
    _ = one.failure { (it) throws(SystemError) in try it.setProfile("docker-default") }
    #expect(try one.text("exec") == "exec docker-default")
  }

  @Test func linksAreNotFollowed() throws {
    let folder = try Folder(["other": "untouched", "elsewhere/exec": "untouched"])
    symlink("other", folder.path + "/exec")
    symlink("elsewhere", folder.path + "/apparmor")
    symlink("other", folder.path + "/keycreate")
    for error in [
      folder.failure { (it) throws(SystemError) in try it.setLabel("a:b:c") },
      folder.failure { (it) throws(SystemError) in try it.setKeyLabel("a:b:c") },
      folder.failure { (it) throws(SystemError) in try it.setProfile("p") },
    ] {
      #expect(error?.errno == .symbolicLinkLoop)
    }
    #expect(try folder.text("other") == "untouched" && folder.text("elsewhere/exec") == "untouched")
    unlink(folder.path + "/exec")
    #expect(folder.failure { (it) throws(SystemError) in try it.setLabel("a:b:c") }?.errno == .noEntry)
  }

  @Test func theKernelsAnswerIsAboutTheProfile() {
    for (answer, name) in [
      ("docker-default (enforce)\n", "docker-default"), ("p (complain)\n", "p"), ("unconfined\n", "unconfined"),
      ("my profile (enforce)\0", "my profile"), (":ns://p (enforce)\n", ":ns:p"), ("a//&b (enforce)\n", "b//&a"),
    ] {
      #expect(SecurityAttributes.isProfile(Array(answer.utf8), name), "\(answer)")
    }
    for (answer, name) in [
      ("", "p"), ("unconfined\n", "p"), ("docker-default2 (enforce)\n", "docker-default"), ("p (enforce)\n", " p"),
      ("\n", ":ns:p"), ("", "a//&b"),
    ] {
      #expect(!SecurityAttributes.isProfile(Array(answer.utf8), name), "\(answer)")
    }
  }

  @Test func theKernelsAnswerIsAboutTheLabel() {
    for (answer, label) in [
      ("u:r:t:s0\0", "u:r:t:s0"), ("u:r:t:s0:c124,c675\0", "u:r:t:s0:c675,c124"), ("u:r:t", "u:r:t"),
    ] {
      #expect(SecurityAttributes.isLabel(Array(answer.utf8), label), "\(answer)")
    }
    for (answer, label) in [("", "u:r:t"), ("u:r:t2:s0", "u:r:t:s0"), ("u:r", "u:r:t"), ("x:r:t:s0", "u:r:t:s0")] {
      #expect(!SecurityAttributes.isLabel(Array(answer.utf8), label), "\(answer)")
    }
  }
}
