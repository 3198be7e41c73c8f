import Foundation
import IntegrationSupport

/// Whoever listens for seccomp filters: takes container process states in, and answers for system calls. It does so in a thread of
/// its own, for the runtime waits for it while the test waits for the runtime.
final class SeccompAgent: @unchecked Sendable {
  /// What comes of a call.
  enum Answer {
    case value(Int)
    case failure(Int32)
    /// The kernel carries it out.
    case goesOn
    /// No answer at all.
    case silence
  }

  /// One connection, from its first byte to its end.
  struct Connection {
    var text = ""
    /// How much of it had come when the descriptor came; nil where none came.
    var descriptorCameAt: Int?
    var descriptors = 0
    /// Whether the other side has closed it.
    var isClosed = false

    var state: JSONValue { get throws { try JSONValue(parsing: text) } }
  }

  struct Question {
    let listener: Int32
    let identity: UInt64
    let process: Int
    let number: Int
  }

  /// Numbers of system calls, of this architecture.
  enum Call {
    static let read = 0
    static let execve = 59
    static let chdir = 80
    static let mkdir = 83
    static let capset = 126
    static let sethostname = 170
  }

  let path: String
  private let answers: [Int: Answer]
  private let socket: Int32
  private var wake: [Int32] = [-1, -1]
  private let lock = NSCondition()
  private var connectionsSeen: [Connection] = []
  private var questionsSeen: [Question] = []
  private var isDone = false

  /// Calls that have no answer are carried out.
  init(_ answers: [Int: Answer] = [:], at name: String = "listener") throws {
    path = try Workspace.active().directory + "/" + name
    self.answers = answers
    socket = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), 8)
    guard socket >= 0, support_pipe(&wake) == 0 else { throw HarnessError(errno: errno, "listen at \(path)") }
    let thread = Thread { self.serve() }
    thread.start()
  }

  /// Everything that has come so far. The descriptors of listeners are closed: nobody answers any more.
  func end() {
    close(wake[1])
    lock.withLock { while !isDone { lock.wait() } }
    close(wake[0])
    close(socket)
    unlink(path)
  }

  var connections: [Connection] { lock.withLock { connectionsSeen } }
  var questions: [Question] { lock.withLock { questionsSeen } }

  /// Waits for the first connection, up to its end.
  func waitForConnection(timeout: Double = 10) throws -> Connection {
    let end = Date(timeIntervalSinceNow: timeout)
    return try lock.withLock {
      while true {
        if let connection = connectionsSeen.first { return connection }
        guard lock.wait(until: end) else { throw HarnessError("nobody has connected") }
      }
    }
  }

  /// Waits until somebody is asked about this call.
  func waitForQuestion(_ number: Int, timeout: Double = 10) throws -> Question {
    let end = Date(timeIntervalSinceNow: timeout)
    return try lock.withLock {
      while true {
        if let question = questionsSeen.first(where: { $0.number == number }) { return question }
        guard lock.wait(until: end) else { throw HarnessError("nobody asked about call \(number)") }
      }
    }
  }

  // MARK: In the thread

  private func serve() {
    var listeners: [Int32] = []
    while true {
      var polled = ([wake[0], socket] + listeners).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      guard poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
      if polled[0].revents != 0 { break }
      if polled[1].revents != 0, let listener = takeConnection() { listeners.append(listener) }
      for entry in polled.dropFirst(2) where entry.revents != 0 {
        if entry.revents & Int16(POLLIN) != 0 { answer(entry.fd) }
        // Nobody is left whom the filter holds.
        if entry.revents & Int16(POLLHUP) != 0 {
          listeners.removeAll { $0 == entry.fd }
          close(entry.fd)
        }
      }
    }
    for listener in listeners { close(listener) }
    lock.withLock {
      isDone = true
      lock.broadcast()
    }
  }

  private func takeConnection() -> Int32? {
    let handle = support_accept(socket)
    guard handle >= 0 else { return nil }
    defer { close(handle) }
    var connection = Connection()
    var listener: Int32?
    var bytes = [UInt8](repeating: 0, count: 65536)
    var text: [UInt8] = []
    let deadline = Deadline(10)
    while true {
      var entry = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, deadline.milliseconds) > 0 else { break }
      var passed: Int32 = -1
      let count = support_receive(handle, &bytes, UInt(bytes.count), &passed)
      if passed >= 0 {
        connection.descriptors += 1
        if listener == nil { connection.descriptorCameAt = text.count } else { close(passed) }
        listener = listener ?? passed
      }
      if count == 0 { connection.isClosed = true }
      if count <= 0 { break }
      text += bytes[..<count]
    }
    connection.text = String(decoding: text, as: UTF8.self)
    lock.withLock {
      connectionsSeen.append(connection)
      lock.broadcast()
    }
    return listener
  }

  private func answer(_ listener: Int32) {
    var identity: UInt64 = 0
    var process: Int32 = 0
    var number: Int32 = 0
    guard support_notification(listener, &identity, &process, &number) == 0 else { return }
    lock.withLock {
      questionsSeen.append(
        Question(listener: listener, identity: identity, process: Int(process), number: Int(number)))
      lock.broadcast()
    }
    switch answers[Int(number)] ?? .goesOn {
    case .value(let value): _ = support_answer(listener, identity, Int64(value), 0, 0)
    case .failure(let error): _ = support_answer(listener, identity, 0, error, 0)
    case .goesOn: _ = support_answer(listener, identity, 0, 0, 1)
    case .silence: break
    }
  }
}
