import Checkpoint
import Diagnostics
import Foundation
import Linux
import LinuxABI
import Testing

@testable import ContainerRuntime

/// A folder of images and logs; gone with this object.
private final class ImageFolder {
  let path = NSTemporaryDirectory() + "apus-images-\(UUID().uuidString)"

  init(_ files: [String: [UInt8]] = [:]) throws {
    mkdir(path, 0o755)
    for (name, bytes) in files { try Data(bytes).write(to: URL(filePath: path + "/" + name)) }
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      Issue.record("left behind: \(error)")
    }
  }

  func open() throws -> FileDescriptor { try FileDescriptor.open(path, [.readOnly, .directory]) }

  /// What an error of CRIU's becomes.
  func explained(_ message: String = "CRIU failed") throws -> RuntimeError {
    let folders = CriuFolders(images: try open(), work: try open(), workPath: path)
    return folders.explained(RuntimeError(.criu, message), "dump.log")
  }
}

struct CheckpointFilesTests {
  @Test func reasonIsThatOfTheLog() throws {
    let folder = try ImageFolder(["dump.log": [UInt8]("(1) Error (criu/mount.c:5): mnt: no\n".utf8)])
    let error = try folder.explained()
    #expect(error.message == "CRIU failed: mnt: no")
    #expect(error.hint == "see `\(folder.path)/dump.log`")
    #expect(try folder.explained("CRIU failed: mnt: no").message == "CRIU failed: mnt: no")
  }

  @Test func logThatCannotBeReadIsSaid() throws {
    let folder = try ImageFolder()
    #expect(try folder.explained().hint == "CRIU has left no log in `\(folder.path)`")
    symlink("/etc/passwd", folder.path + "/dump.log")
    let link = try folder.explained()
    #expect(link.message == "CRIU failed")
    #expect(link.hint.contains("`\(folder.path)/dump.log`: openat") && link.hint.contains("links"), "\(link.hint)")
    unlink(folder.path + "/dump.log")
    mkdir(folder.path + "/dump.log", 0o755)
    #expect(try folder.explained().hint.contains("is a directory"))
  }

  @Test func otherErrorsStayAsTheyAre() throws {
    let folder = try ImageFolder()
    let error = RuntimeError(.mount, "m", hint: "h")
    let folders = CriuFolders(images: try folder.open(), work: try folder.open(), workPath: folder.path)
    #expect(folders.explained(error, "dump.log") == error)
    #expect(error.adding("more").hint == "h; more")
  }

  /// A child that was collected by somebody else, as by a caller that ignores SIGCHLD.
  private func collected() throws -> CriuProcess {
    let process = try ServiceProgram(path: "/bin/true", arguments: ["true"], environment: []).start()
    _ = try Processes.wait(process.pid)
    return CriuProcess(channel: FileDescriptor(owning: -1), process: process)
  }

  @Test func endThatCannotBeWaitedForIsSaid() throws {
    let criu = try collected()
    let pid = criu.pid
    let error = #expect(throws: RuntimeError.self) { _ = try collected().end(within: 1000) }
    #expect(error?.cause?.errno == .noChild)
    let both = criu.end(within: 1000, after: RuntimeError(.mount, "m"))
    #expect(both.message == "m")
    #expect(both.hint.contains("cannot wait for the end of CRIU, process \(pid): waitid"), "\(both.hint)")
  }

  @Test func programThatIsNotCriuIsNamed() throws {
    let error = #expect(throws: RuntimeError.self) { _ = try CriuProcess.start(CriuProcess.program("/bin/true")) }
    #expect(error?.message == "CRIU ended without an answer")
  }

  @Test func damagedMountsAreNamedWithTheReason() throws {
    let head: [UInt8] = [0x19, 0x43, 0x56, 0x54, 0x28, 0x39, 0x56, 0x55]
    for (bytes, reason) in [
      (head + [9, 0, 0, 0], "it ends in the middle of one"), ([1, 2, 3, 4, 5, 6, 7, 8], "makes no sense"),
    ] {
      let folder = try ImageFolder(["mountpoints-13.img": bytes])
      let error = #expect(throws: RuntimeError.self) { _ = try ImageFiles.mounts(folder.open()) }
      #expect(error?.code == .checkpointImage)
      #expect(error?.message.contains("`mountpoints-13.img` is damaged") == true)
      #expect(error?.message.hasSuffix(reason) == true, "\(error?.text ?? "")")
    }
  }

  @Test func mountsThatAreNotOneListAreRefused() throws {
    let none = #expect(throws: RuntimeError.self) { _ = try ImageFiles.mounts(ImageFolder().open()) }
    #expect(none?.cause?.errno == .noEntry)
    let two = try ImageFolder(["mountpoints-1.img": [], "mountpoints-2.img": []])
    let error = #expect(throws: RuntimeError.self) { _ = try ImageFiles.mounts(two.open()) }
    #expect(error?.code == .checkpointUnsupported)
    let folder = try ImageFolder()
    symlink("/etc/passwd", folder.path + "/mountpoints-1.img")
    let link = #expect(throws: RuntimeError.self) { _ = try ImageFiles.mounts(folder.open()) }
    #expect(link?.cause?.errno == .symbolicLinkLoop)
  }

  /// The number of a descriptor, and whether it serves.
  private func refusal(_ number: Int32, lazy: Bool = true, preDump: Bool = false) -> RuntimeError? {
    var options = CheckpointOptions(CriuSettings(imagePath: "i"))
    options.settings.lazyPages = lazy
    options.isPreDump = preDump
    options.statusDescriptor = number
    do {
      try options.checkStatusDescriptor()
      return nil
    } catch {
      return error
    }
  }

  @Test func statusDescriptorIsOneThatIsWrittenTo() throws {
    let folder = try ImageFolder(["file": []])
    let file = open(folder.path + "/file", O_WRONLY)
    let both = open(folder.path + "/file", O_RDWR)
    let reader = open(folder.path + "/file", O_RDONLY)
    let path = open(folder.path + "/file", 0o10000000 /* O_PATH */)
    for number in [file, both] { #expect(refusal(number) == nil) }
    for number in [reader, path] {
      #expect(refusal(number)?.message == "descriptor \(number) cannot be written to")
    }
    #expect(refusal(file, lazy: false)?.message.contains("without `--lazy-pages`") == true)
    #expect(refusal(file, preDump: true)?.message.contains("`--pre-dump`") == true)
    for number in [file, both, reader, path] { close(number) }
    // Far above all that other tests open.
    let closed = refusal(900_000)
    #expect(closed?.cause?.errno == .badDescriptor)
    #expect(closed?.field == "--status-fd")
  }

  /// As /proc/PID/mountinfo has them.
  private let table = MountTable.parse(
    [UInt8](
      """
      1 0 0:1 / / rw - ext4 /dev/vda rw
      2 1 0:2 / /proc rw - proc proc rw
      3 1 0:3 / /tmp rw - tmpfs tmpfs rw
      4 3 0:1 /data /tmp rw - ext4 /dev/vda rw

      """.utf8))

  @Test func mountThatIsNotThereIsFound() {
    func missing(_ mounts: (String, String?)...) -> String? {
      RestoredImage.missing(mounts.map { ExpectedMount(path: $0.0, type: $0.1) }, in: table)?.path
    }
    #expect(missing(("/", nil), ("/tmp", nil), ("/proc", "proc"), ("/tmp", "tmpfs")) == nil)
    #expect(missing(("/", nil), ("/data", nil)) == "/data")
    #expect(missing(("/proc", "tmpfs")) == "/proc")
    #expect(missing(("/tmp", nil), ("/tmp", nil), ("/tmp", nil)) == "/tmp")
    #expect(missing(("/tmp", "tmpfs"), ("/tmp", "tmpfs")) == "/tmp")
    #expect(missing(("/tm", nil)) == "/tm")
  }
}
