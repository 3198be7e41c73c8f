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
}
