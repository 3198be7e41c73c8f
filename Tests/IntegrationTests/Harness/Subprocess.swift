import Foundation
import IntegrationSupport
import Testing

/// Something the harness itself could not do.
struct HarnessError: Error, CustomStringConvertible {
  let description: String
  /// Of a system call, or 0.
  let errno: Int32
  init(_ description: String) {
    self.description = description
    errno = 0
  }
  init(errno code: Int32, _ what: String) {
    description = "\(what): \(String(cString: strerror(code)))"
    errno = code
  }
}

/// The reading end of a pipe whose writers are a runtime and perhaps the container it leaves behind.
final class OutputStream {
  private(set) var descriptor: Int32
  private(set) var bytes: [UInt8] = []
  private(set) var isAtEnd = false

  init(descriptor: Int32) {
    self.descriptor = descriptor
    _ = support_set_nonblocking(descriptor)
  }

  deinit { close(descriptor) }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Takes what is there now, without waiting.
  func drain() {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while !isAtEnd {
      let count = read(descriptor, &buffer, buffer.count)
      if count > 0 { bytes += buffer[..<count] } else if count == 0 { isAtEnd = true } else { return }
    }
  }

  /// Waits until every writer has gone.
  @discardableResult
  func readToEnd(timeout: Double = Limits.call) throws -> String {
    try wait(timeout: timeout, for: "the end of the output") { isAtEnd }
    return text
  }

  /// Waits until the output so far contains `part`.
  func waitFor(_ part: String, timeout: Double = Limits.call) throws {
    try wait(timeout: timeout, for: "`\(part)`") { text.contains(part) }
    guard text.contains(part) else { throw HarnessError("the output ended without `\(part)`: \(text)") }
  }

  private func wait(timeout: Double, for what: String, until done: () -> Bool) throws {
    let deadline = Deadline(timeout)
    drain()
    while !done(), !isAtEnd {
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, deadline.milliseconds) > 0 else {
        throw HarnessError("no \(what) within \(timeout) s; so far: \(text)")
      }
      drain()
    }
  }
}

enum Limits {
  /// The longest that one call of a runtime may take, in seconds; generous, since the machine may be busy.
  static let call = 30.0
}

struct Deadline {
  private let end: Double
  init(_ seconds: Double) { end = Deadline.now + seconds }
  var milliseconds: Int32 { Int32(max(0, (end - Deadline.now) * 1000).rounded(.up)) }
  var hasPassed: Bool { Deadline.now >= end }
  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Waits for the end of a process by its pidfd; false when it is still there after `timeout` seconds.
func waitForEnd(of process: Int, timeout: Double = Limits.call) -> Bool {
  let handle = support_pidfd_open(Int32(process))
  guard handle >= 0 else {
    let code = errno
    if code != ESRCH { Issue.record("\(HarnessError(errno: code, "pidfd_open \(process)"))") }
    return code == ESRCH
  }
  defer { close(handle) }
  var entry = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
  return poll(&entry, 1, Deadline(timeout).milliseconds) > 0
}

/// What a finished call said and how it ended.
struct Outcome: CustomStringConvertible {
  let arguments: [String]
  /// The exit code, or 128 plus the number of the signal that ended the process.
  let code: Int32
  let stdout: String
  let stderr: String

  var description: String {
    "`\(arguments.joined(separator: " "))` ended with \(code); stdout: \(stdout.prefix(2000)) stderr: \(stderr.prefix(2000))"
  }
  var json: JSONValue {
    get throws {
      do { return try JSONValue(parsing: stdout) } catch {
        throw HarnessError("not JSON (\(error)): \(self)")
      }
    }
  }
}

/// A child process, with its two output streams.
final class Subprocess {
  let arguments: [String]
  let process: pid_t
  let stdout: OutputStream
  let stderr: OutputStream
  private var handle: Int32
  private var endCode: Int32?

  struct Options {
    var input: String?
    /// Standard input itself, instead of a text.
    var stdin: Int32?
    /// A terminal as standard input, output and error.
    var terminal: Int32?
    var directory: String?
    var environment: [String: String]?
    /// Passed on as descriptors 3, 4, … of the child; everything else is closed.
    var descriptors: [Int32] = []
    /// argv[0], where it must differ from the path.
    var name: String?
  }

  init(_ executable: String, _ arguments: [String], _ options: Options = Options()) throws {
    self.arguments = [options.name ?? executable] + arguments
    let output = try Subprocess.pipe()
    let errors = try Subprocess.pipe()
    defer { for descriptor in [output.write, errors.write] { close(descriptor) } }
    stdout = OutputStream(descriptor: output.read)
    stderr = OutputStream(descriptor: errors.read)

    // Never the host's /dev/null: some runtimes give their standard streams to the user of the container.
    let input = try Subprocess.file(holding: options.input ?? "")
    defer { close(input) }
    let streams =
      options.terminal.map { [$0, $0, $0] } ?? [options.stdin ?? input, output.write, errors.write]
    let descriptors = streams + options.descriptors
    var words = self.arguments.map { strdup($0) } + [nil]
    let environment = options.environment ?? ProcessInfo.processInfo.environment
    var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for word in words + variables { free(word) } }
    // Who is not root can only give away what is his own.
    if Rootless.isOn {
      for descriptor in [output.write, errors.write, input] { fchown(descriptor, Rootless.user, Rootless.user) }
    }
    let child = support_spawn(
      executable, &words, &variables, options.directory, descriptors, Int32(descriptors.count))
    guard child > 0 else { throw HarnessError(errno: -child, "start \(executable)") }
    process = child
    handle = support_pidfd_open(child)
  }

  deinit {
    if endCode == nil {
      Glibc.kill(process, SIGKILL)
      var status: Int32 = 0
      waitpid(process, &status, 0)
    }
    if handle >= 0 { close(handle) }
  }

  func signal(_ number: Int32) { Glibc.kill(process, number) }

  /// Whether the process has not ended within this time.
  func isStillRunning(after seconds: Double) -> Bool {
    var entry = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, Deadline(seconds).milliseconds) == 0
  }

  /// Waits for the process, not for others that hold its output open. A process that takes too long is killed.
  func wait(timeout: Double = Limits.call) throws -> Outcome {
    let deadline = Deadline(timeout)
    var timedOut = false
    while endCode == nil {
      var entries = [pollfd(fd: handle, events: Int16(POLLIN), revents: 0)]
      for stream in [stdout, stderr] where !stream.isAtEnd {
        entries.append(pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0))
      }
      let count = poll(&entries, nfds_t(entries.count), timedOut ? -1 : deadline.milliseconds)
      if count == 0 {
        timedOut = true
        Glibc.kill(process, SIGKILL)
        continue
      }
      stdout.drain()
      stderr.drain()
      if entries[0].revents != 0 {
        var status: Int32 = 0
        let collected = waitpid(process, &status, 0)
        endCode = collected == process ? support_exit_code(status) : -1
        if collected != process { throw HarnessError(errno: errno, "wait for `\(arguments.joined(separator: " "))`") }
      }
    }
    stdout.drain()
    stderr.drain()
    let outcome = Outcome(
      arguments: arguments, code: endCode ?? -1, stdout: stdout.text, stderr: stderr.text)
    if timedOut { throw HarnessError("not finished within \(timeout) s: \(outcome)") }
    return outcome
  }

  /// Ends it by force, if it has not ended, and waits for it. Where that fails, so has the test.
  func end(sourceLocation: SourceLocation = #_sourceLocation) {
    if endCode != nil { return }
    signal(SIGKILL)
    cleanUp(sourceLocation: sourceLocation) { _ = try wait() }
  }

  private static func pipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    guard support_pipe(&ends) == 0 else { throw HarnessError(errno: errno, "pipe2") }
    return (ends[0], ends[1])
  }

  private static func file(holding text: String) throws -> Int32 {
    let bytes = Array(text.utf8)
    let descriptor = support_memory_file(bytes, UInt(bytes.count))
    guard descriptor >= 0 else { throw HarnessError(errno: errno, "memfd_create") }
    return descriptor
  }
}
