import Foundation
import Testing

/// A folder of one test, gone with this object. One that stays is a failure of the test.
class TemporaryFolder {
  let path = NSTemporaryDirectory() + "apus-cgroups-\(UUID().uuidString)"

  /// `files` by their names, with the folders that they are in.
  init(_ files: [String: String] = [:], folders: [String] = []) throws {
    for folder in [""] + folders { try make(folder) }
    for (name, text) in files {
      try make((name as NSString).deletingLastPathComponent)
      try write(name, text)
    }
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      Issue.record("left behind: \(error)")
    }
  }

  /// A folder in it, which may be there.
  func make(_ folder: String) throws {
    try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
  }

  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(path)/\(name)", atomically: false, encoding: .utf8)
  }

  func read(_ name: String) throws -> String { try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) }

  func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

  /// Everything in it with its text, to see that nothing was touched.
  func content() throws -> [String: String] {
    var content: [String: String] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: path) {
      let type = try FileManager.default.attributesOfItem(atPath: "\(path)/\(name)")[.type] as? FileAttributeType
      content[name] = type == .typeDirectory ? "folder" : try read(name)
    }
    return content
  }
}
