import Foundation
import Testing

/// The freezer of a cgroup, used from outside.
struct Freezer {
  private let file: String
  private let words: (frozen: String, thawed: String)
  private let state: String

  /// That of the container, or that of the cgroup above its own.
  init(_ container: Container, above: Bool = false) throws {
    let own = try container.cgroup(Cgroups.root(of: "freezer") == nil ? "" : "freezer")
    let folder = above ? (own as NSString).deletingLastPathComponent : own
    if Files.exists(folder + "/freezer.state") {
      (file, words, state) = (folder + "/freezer.state", ("FROZEN", "THAWED"), folder + "/freezer.state")
    } else {
      (file, words, state) = (folder + "/cgroup.freeze", ("1", "0"), folder + "/cgroup.events")
    }
  }

  /// Frozen as long as `body` takes.
  func whileFrozen(_ body: () throws -> Void) throws {
    defer { cleanUp(thaw) }
    try freeze()
    try body()
  }

  private func freeze() throws {
    try Files.put(words.frozen, into: file)
    let deadline = Deadline(10)
    while true {
      let text = try Files.read(state)
      if text.contains("FROZEN\n") || text.contains("frozen 1") { return }
      if deadline.hasPassed { throw HarnessError("not frozen: \(text)") }
      usleep(1000)
    }
  }

  private func thaw() throws {
    // systemd takes the cgroup of a scope away with its last process.
    if Files.exists(file) { try Files.put(words.thawed, into: file) }
  }
}
