import ContainerPlan
import Foundation
import InitChannel
import Linux
import LinuxABI
import Testing

@testable import ContainerRuntime

@Suite struct StateStoreTests {
  private func template(_ keyring: String) -> ExecTemplate {
    ExecTemplate(namespaces: NamespacePlan(created: []), agent: nil, filter: [], filterFlags: 0, keyring: keyring)
  }

  /// An `exec` may be reading it.
  @Test func theTemplateOfExecIsReplacedAndNotRewritten() throws {
    let root = NSTemporaryDirectory() + "apus-store-\(UUID().uuidString)"
    defer { do { try FileManager.default.removeItem(atPath: root) } catch { Issue.record("left behind: \(error)") } }
    let store = StateStore(root: root)
    let entry = try store.reserve("web")
    try entry.write(template("_ses.a-longer-name"))
    let reader = try FileDescriptor.open("\(root)/web/exec", .readOnly)
    try entry.write(template("_ses.b"))
    let read = try ExecTemplate(decoding: reader.readAll(limit: 65536))
    #expect(read.keyring == "_ses.a-longer-name")
    #expect(try entry.execTemplate().keyring == "_ses.b")
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(root)/web") == ["exec"])
    // What a `create` left behind that was killed.
    try Data().write(to: URL(filePath: "\(root)/web/exec.new"))
    #expect(store.remove(entry) == nil)
    #expect(!FileManager.default.fileExists(atPath: "\(root)/web"))
  }
}
