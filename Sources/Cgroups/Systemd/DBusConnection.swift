import Diagnostics
import Linux

/// How long is waited for whom, in milliseconds.
package struct SystemdTimeouts: Sendable {
  /// For the bus to let us in.
  package var bus: Int64
  /// For systemd, from the first call to the end of the job.
  package var work: Int64

  package init(bus: Int64 = 10_000, work: Int64 = 30_000) {
    self.bus = bus
    self.work = work
  }
}

/// A connection to a bus, for a few calls. Calls are queued and go out together, and with them what lets us in: usually one
/// turn is enough. Every wait ends when the time is up, whoever sends whatever.
final class DBusConnection {
  private let socket: FileDescriptor
  private let name: String
  private let timeouts: SystemdTimeouts
  private let start = Clock.monotonicMilliseconds()
  private var outgoing: [UInt8]
  private var incoming: [UInt8] = []
  private var lastSerial: UInt32 = 0
  private var isLetIn = false
  /// The signals of jobs that have come: who sent it, the job, its result.
  private var jobs: [(sender: String, path: String, result: String)] = []

  init(_ bus: SystemdBus, address: String? = nil, timeouts: SystemdTimeouts) throws(RuntimeError) {
    let address = address ?? bus.address()
    name = "the \(bus.name) bus"
    self.timeouts = timeouts
    socket = try DBusConnection.connect(address, name, timeouts.bus)
    // EXTERNAL without a name: the bus asks for it, gets none, and goes by what the kernel says of us. That is right in a user
    // namespace too, where our own number would be another one.
    outgoing = [0] + "AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".utf8
    queue(
      DBusCall(
        destination: SystemdName.bus, path: "/org/freedesktop/DBus", interface: SystemdName.bus, member: "Hello"))
  }

  private static func connect(
    _ address: String, _ name: String, _ timeout: Int64
  ) throws(RuntimeError) -> FileDescriptor {
    guard let places = DBusAddress.places(address), !places.isEmpty else {
      throw RuntimeError(
        .systemd, "`\(address)` is no address of \(name) that can be used: expected `unix:path=…` or `unix:abstract=…`")
    }
    var failure: SystemError?
    for place in places {
      do throws(SystemError) {
        switch place {
        case .path(let path): return try Socket.connectStream(path, timeout: timeout)
        case .abstract(let name): return try Socket.connectStream(abstract: name, timeout: timeout)
        }
      } catch {
        failure = error
      }
    }
    throw RuntimeError(
      .systemd, "cannot reach \(name) at `\(address)`", cause: failure,
      hint: "without systemd use the `cgroupfs` driver: leave out `--systemd-cgroup`")
  }

  /// Answers the serial number by which the reply is known.
  @discardableResult
  func queue(_ call: DBusCall) -> UInt32 {
    lastSerial += 1
    outgoing += call.encode(serial: lastSerial)
    return lastSerial
  }

  /// Waits for the reply or the error of a call.
  func reply(to serial: UInt32, _ purpose: String) throws(RuntimeError) -> DBusMessage {
    try flush(purpose)
    while true {
      let message = try receive(purpose)
      if message.kind == .reply || message.kind == .error, message.replySerial == serial { return message }
      // Hello is the first of all.
      if message.kind == .error && message.replySerial == 1 {
        throw RuntimeError(.systemd, "\(purpose): \(name) does not let us in: \(message.errorText)")
      }
      keep(message)
    }
  }

  /// Waits for the end of a job that `sender` has begun; how it ended.
  func result(ofJob path: String, from sender: String, _ purpose: String) throws(RuntimeError) -> String {
    while true {
      // Anybody on the bus may send us such a signal.
      if let job = jobs.first(where: { $0.path == path && $0.sender == sender }) { return job.result }
      keep(try receive(purpose))
    }
  }

  private func keep(_ message: DBusMessage) {
    guard message.kind == .signal, message.member == "JobRemoved", message.interface == SystemdName.managerInterface,
      message.signature.elementsEqual("uoss".utf8), jobs.count < 256
    else { return }
    var reader = DBusReader(message.body)
    do throws(DBusFormatError) {
      _ = try reader.uint32()
      let path = try reader.string()
      _ = try reader.string()
      jobs.append((message.sender, path, try reader.string()))
    } catch {
      // As good as no signal: the wait for one goes on, up to its bound.
    }
  }

  private func flush(_ purpose: String) throws(RuntimeError) {
    if outgoing.isEmpty { return }
    do {
      try socket.sendStream(outgoing)
    } catch {
      throw broken(purpose, error)
    }
    outgoing = []
  }

  private func receive(_ purpose: String) throws(RuntimeError) -> DBusMessage {
    if !isLetIn { try waitUntilLetIn(purpose) }
    try fill(DBusMessage.prefixLength, purpose)
    guard let length = DBusConnection.length(incoming) else { throw malformed(purpose) }
    try fill(length, purpose)
    let bytes = [UInt8](incoming[..<length])
    incoming.removeFirst(length)
    do {
      return try DBusMessage(bytes)
    } catch {
      throw malformed(purpose)
    }
  }

  private static func length(_ prefix: [UInt8]) -> Int? {
    do {
      return try DBusMessage.length(prefix)
    } catch {
      return nil
    }
  }

  private func malformed(_ purpose: String) -> RuntimeError {
    RuntimeError(.systemd, "\(purpose): \(name) sent what is no message of D-Bus")
  }

  /// The answers to what was sent in front of the first message (D-Bus specification, "Authentication Protocol").
  private func waitUntilLetIn(_ purpose: String) throws(RuntimeError) {
    while true {
      let line = try readLine(purpose)
      if line.starts(with: "OK".utf8) { break }
      if line.starts(with: "DATA".utf8) { continue }
      throw RuntimeError(
        .systemd, "\(purpose): \(name) does not let us in",
        hint: "it may be another user's, or what listens there is no bus")
    }
    isLetIn = true
  }

  private func readLine(_ purpose: String) throws(RuntimeError) -> [UInt8] {
    var length = 0
    while true {
      try fill(length + 1, purpose)
      if incoming[length] == 0x0A { break }
      length += 1
      if length > 1024 { break }
    }
    let line = [UInt8](incoming[..<length])
    incoming.removeFirst(length + 1)
    return line
  }

  /// Reads until so many bytes are there.
  private func fill(_ count: Int, _ purpose: String) throws(RuntimeError) {
    while incoming.count < count {
      let left = start + (isLetIn ? timeouts.work : timeouts.bus) - Clock.monotonicMilliseconds()
      let chunk: [UInt8]
      do throws(SystemError) {
        guard left > 0, try Poll.wait(socket, for: Poll.readable, timeout: left) else {
          throw SystemError("read", .timedOut)
        }
        chunk = try socket.read(upTo: 16384)
      } catch {
        throw broken(purpose, error)
      }
      if chunk.isEmpty { throw RuntimeError(.systemd, "\(purpose): \(name) has closed the connection") }
      incoming += chunk
    }
  }

  private func broken(_ purpose: String, _ error: SystemError) -> RuntimeError {
    if error.errno == .timedOut || error.errno == .tryAgain {
      let seconds = (isLetIn ? timeouts.work : timeouts.bus) / 1000
      return RuntimeError(
        .systemd, "\(purpose): no answer from \(isLetIn ? "systemd" : name) within \(seconds) seconds")
    }
    return error.because(.systemd, "\(purpose): the connection to \(name) is broken")
  }
}
