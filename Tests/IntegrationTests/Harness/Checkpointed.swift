import Foundation
import IntegrationSupport
import Testing

/// A container that is saved and comes back.
enum Checkpointed {
  /// Writes a number after the other, and what its environment says.
  static func counting() throws -> Container {
    try Container(args: ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo n $SEEN $i; sleep 0.1; done"])
  }

  static func numbers(_ text: String) -> [Int] {
    text.split(separator: "\n").dropLast(text.hasSuffix("\n") ? 0 : 1).compactMap {
      $0.split(separator: " ").last.flatMap { Int($0) }
    }
  }

  /// The last number that came.
  @discardableResult
  static func start(_ container: Container) throws -> Int {
    try container.runDetached()
    try container.stdout.waitFor(" 3\n", timeout: patience)
    return try numbers(container.stdout.text).last ?? 0
  }

  /// In seconds: the machine is slow where it is translated.
  static let patience = 60.0

  /// It goes on with the numbers behind those that came before, and not from the start.
  static func expectGoingOn(
    _ stdout: OutputStream, from last: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try stdout.waitFor(" \(last + 3)\n", timeout: patience)
    let first = numbers(stdout.text).first
    #expect(first.map { $0 > 1 && $0 < last + 5 } == true, "\(last) \(stdout.text)", sourceLocation: sourceLocation)
  }

  /// Refused without the flag, with what CRIU says of it, and the container goes on; with it, it comes back.
  @discardableResult
  static func expectNeeded(
    _ flag: String, _ container: Container, says reason: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Subprocess {
    let refused = try container.attempt("checkpoint", "--image-path", container.bundle.path + "/refused")
    expectError(refused, detail: reason, sourceLocation: sourceLocation)
    #expect(try container.status() == "running", sourceLocation: sourceLocation)
    let folder = try save(container, flag)
    // It is no flag of `restore`.
    let call =
      try flag == "--link-remap"
      ? restore(container, folder, "--detach") : restore(container, folder, "--detach", flag)
    let outcome = try call.wait(timeout: patience)
    try #require(outcome.code == 0, "\(outcome)", sourceLocation: sourceLocation)
    return call
  }

  /// A pipe whose writing end is given to a call, and the rest of what comes.
  static func spawnTold(_ spawn: (Int32) throws -> Subprocess) throws -> (call: Subprocess, told: OutputStream) {
    var ends: [Int32] = [0, 0]
    guard support_pipe(&ends) == 0 else { throw HarnessError(errno: errno, "pipe2") }
    let told = OutputStream(descriptor: ends[0])
    defer { close(ends[1]) }
    return (try spawn(ends[1]), told)
  }

  static var criu: String { "/usr/sbin/criu" }

  /// The last number that has come so far.
  static func last(_ container: Container) -> Int {
    recorded(or: 0) {
      let stdout = try container.stdout
      stdout.drain()
      return numbers(stdout.text).last ?? 0
    }
  }

  /// A port that nobody else has: the tests run one after the other.
  static func port() -> Int {
    ports += 1
    return ports
  }

  nonisolated(unsafe) private static var ports = 27_000

  /// Starts a `criu page-server` for one connection; it listens when this returns.
  static func serve(_ folder: String) throws -> (call: Subprocess, port: Int) {
    let port = port()
    let (call, told) = try spawnTold {
      try Subprocess(
        criu,
        ["page-server", "--address", "127.0.0.1", "--port", "\(port)", "-D", folder, "--status-fd", "3"],
        .init(descriptors: [$0]))
    }
    try told.waitFor("\0", timeout: patience)
    return (call, port)
  }

  /// The blocks on disk of a file.
  static func room(_ path: String) -> Int { Files.status(path).map { Int($0.st_blocks) } ?? 0 }

  static func save(_ container: Container, _ flags: String...) throws -> String {
    let folder = container.bundle.path + "/images"
    let outcome = try container.spawn("checkpoint", ["--image-path", folder] + flags).wait()
    try #require(outcome.code == 0, "\(outcome)")
    return folder
  }

  static func restore(_ container: Container, _ folder: String, _ flags: String...) throws -> Subprocess {
    try container.bundle.write()
    return try container.spawn("restore", ["--bundle", container.bundle.path, "--image-path", folder] + flags)
  }

  /// What is mounted where and with which options, in an order that says nothing.
  static func mounts(_ container: Container) throws -> [String] {
    try Files.read("/proc/\(try container.pid())/mountinfo").split(separator: "\n").map { line in
      line.split(separator: " ")[3...5].joined(separator: " ")
    }.sorted()
  }
}
