import Foundation
import IntegrationSupport
import Testing

/// A folder with one file of a file system in user space (FUSE), whose server can stand still: who waits for an answer of it
/// gets no signal, and no freezer gets him.
final class ServedFolder {
  let path: String
  private let server: Subprocess
  private var hasEnded = false

  /// In `allow_other` everybody may look into it, else the user who mounted it.
  init(_ options: String = "allow_other") throws {
    path = try Workspace.active().directory + "/served"
    mkdir(path, 0o755)
    server = try Subprocess(RootTemplate.agent(), ["fuse", path] + (options.isEmpty ? [] : [options]))
    try server.stdout.waitFor("ready")
  }

  deinit { end() }

  func stop() { server.signal(SIGSTOP) }
  func answer() { server.signal(SIGCONT) }

  /// The number of the process of the container that waits for an answer.
  func waitingProcess(of container: Container) throws -> String {
    let folder = try container.cgroup(CgroupView.current == .v2 ? "" : "freezer")
    let deadline = Deadline(10)
    while !deadline.hasPassed {
      for pid in try Files.read(folder + "/cgroup.procs").split(separator: "\n") {
        if try Files.readIfThere("/proc/\(pid)/wchan") == "request_wait_answer" { return String(pid) }
      }
      usleep(10_000)
    }
    throw HarnessError("no process waits for the file system")
  }

  /// All who wait get an error.
  func end() {
    if hasEnded { return }
    hasEnded = true
    answer()
    cleanUp {
      if support_unmount(path) != 0 { throw HarnessError(errno: errno, "unmount \(path)") }
    }
    server.end()
  }
}
