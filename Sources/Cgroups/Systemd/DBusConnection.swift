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
  private let client: SystemdClient
  /// The bus and where it is.
  private let place: String
  /// systemd itself is at the other end, and no bus.
  private let isDirect: Bool
  /// What fails if something fails here.
  private let purpose: String
  private let start = Clock.monotonicMilliseconds()
  private var outgoing: [UInt8]
  private var incoming: [UInt8] = []
  private var lastSerial: UInt32 = 0
  private var isLetIn = false
  /// The signals of jobs that have come.
  private var jobs: [Job] = []

  private struct Job {
    var sender: String
    var path: String
    var result: String
  }

  init(_ client: SystemdClient, _ purpose: String) throws(RuntimeError) {
    self.client = client
    self.purpose = purpose
    let address = client.address ?? client.bus.address()
    var isDirect = false
    socket = try DBusConnection.connect(client, address, purpose, &isDirect)
    self.isDirect = isDirect
    place = isDirect ? "`" + SystemdName.privateSocket + "`" : client.bus.name + " at `" + address + "`"
    // EXTERNAL without a name: the bus asks for it, gets none, and goes by what the kernel says of us. That is right in a user
    // namespace too, where our own number would be another one.
    outgoing = [0] + "AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".utf8
    queue("Hello", [], toBus: true)
  }

  /// Waits until the other end has let us in. Nothing was called before.
  func checkIn() throws(RuntimeError) {
    if isDirect {
      try flush()
      return try waitUntilLetIn()
    }
    // Hello is the first call.
    let reply = try reply(to: 1)
    if reply.kind == .error { throw failure(reply.errorText) }
  }

  /// A pid is told as a number, which means another process to a systemd of another pid namespace: that one would be moved.
  func checkProcesses() throws(RuntimeError) {
    let listener: Int32
    do {
      listener = try Socket.listener(of: socket)
    } catch {
      throw failure("cannot tell who listens on " + place, error)
    }
    if listener != 0 { return }
    throw failure(
      place + " is in another pid namespace, where the processes have other numbers",
      hint: "start this in the pid namespace of systemd, or leave out `--systemd-cgroup`")
  }

  private static func connect(
    _ client: SystemdClient, _ address: String, _ purpose: String, _ isDirect: inout Bool
  ) throws(RuntimeError) -> FileDescriptor {
    let places = DBusAddress.places(address) ?? []
    var failure: SystemError?
    for place in places {
      do throws(SystemError) {
        return try connect(place, client)
      } catch {
        failure = error
      }
    }
    if let direct = client.direct {
      do throws(SystemError) {
        let socket = try connect(direct, client)
        isDirect = true
        return socket
      } catch {
        // The usual way is what is missed.
      }
    }
    let name = "`" + address + "`"
    throw DBusConnection.failure(
      purpose,
      places.isEmpty
        ? name + " is no address of " + client.bus.name
          + " that can be used: expected `unix:path=…` or `unix:abstract=…`"
        : "cannot reach " + client.bus.name + " at " + name, failure,
      hint: "without systemd use the `cgroupfs` driver: leave out `--systemd-cgroup`")
  }

  private static func connect(_ place: DBusAddress, _ client: SystemdClient) throws(SystemError) -> FileDescriptor {
    if place.isAbstract { return try Socket.connectStream(abstract: place.name, timeout: client.timeouts.bus) }
    return try Socket.connectStream(place.name, timeout: client.timeouts.bus)
  }

  @inline(never)
  private static func failure(
    _ purpose: String, _ what: String, _ cause: SystemError? = nil, hint: String = ""
  ) -> RuntimeError {
    RuntimeError(.systemd, purpose + ": " + what, cause: cause, hint: hint)
  }

  func failure(_ what: String, _ cause: SystemError? = nil, hint: String = "") -> RuntimeError {
    DBusConnection.failure(purpose, what, cause, hint: hint)
  }

  /// A call of systemd, or of the bus itself, which is left out where there is none. Answers the serial number by which the
  /// reply is known.
  @inline(never)
  @discardableResult
  func queue(_ member: String, _ body: [DBusValue], toBus: Bool = false) -> UInt32 {
    if toBus && isDirect { return 0 }
    lastSerial += 1
    outgoing += DBusCall(member, body, toBus: toBus).encode(serial: lastSerial)
    return lastSerial
  }

  /// Waits for the reply or the error of a call.
  func reply(to serial: UInt32) throws(RuntimeError) -> DBusMessage {
    try flush()
    while true {
      let message = try receive()
      let isAnswer = message.kind == .reply || message.kind == .error
      if isAnswer && message.replySerial == serial { return message }
      // Hello is the first of all.
      if message.kind == .error && message.replySerial == 1 && !isDirect {
        throw failure(place + " does not let us in: " + message.errorText)
      }
      keep(message)
    }
  }

  /// Waits for the end of the job that a reply names; how it ended.
  func result(of reply: DBusMessage) throws(RuntimeError) -> String {
    var path = ""
    if reply.signature == [0x6F] {
      var reader = DBusReader(reply.body)
      do throws(DBusFormatError) {
        path = try reader.string()
      } catch {
        // Said below.
      }
    }
    if path.isEmpty { throw failure("systemd answers without the name of a job") }
    // Anybody on the bus may send us such a signal, and as many as he likes.
    while true {
      if let job = jobs.first(where: { $0.path == path && $0.sender == reply.sender }) { return job.result }
      jobs = []
      keep(try receive())
    }
  }

  private func keep(_ message: DBusMessage) {
    guard message.kind == .signal, message.member == "JobRemoved", message.interface == SystemdName.managerInterface,
      message.signature == [0x75, 0x6F, 0x73, 0x73], jobs.count < 256
    else { return }
    var reader = DBusReader(message.body)
    do throws(DBusFormatError) {
      _ = try reader.uint32()
      let path = try reader.string()
      _ = try reader.string()
      jobs.append(Job(sender: message.sender, path: path, result: try reader.string()))
    } catch {
      // As good as no signal: the wait for one goes on, up to its bound.
    }
  }

  private func flush() throws(RuntimeError) {
    if outgoing.isEmpty { return }
    do {
      try socket.sendStream(outgoing)
    } catch {
      throw broken(error)
    }
    outgoing = []
  }

  private func receive() throws(RuntimeError) -> DBusMessage {
    if !isLetIn { try waitUntilLetIn() }
    while true {
      try fill(DBusMessage.prefixLength)
      guard let length = DBusMessage.length(of: incoming) else { break }
      // A bus lets anybody send us signals, as long and as strange as he likes; answers come from those who were asked.
      let isAnswer = incoming[1] == DBusMessage.Kind.reply.rawValue || incoming[1] == DBusMessage.Kind.error.rawValue
      if length > DBusMessage.lengthLimit {
        if isAnswer { break }
        try passOver(length)
        continue
      }
      try fill(length)
      let bytes = [UInt8](incoming[..<length])
      incoming.removeFirst(length)
      if let message = DBusMessage(of: bytes) { return message }
      if isAnswer { break }
    }
    throw failure(place + " sent what is no message of D-Bus")
  }

  private func passOver(_ length: Int) throws(RuntimeError) {
    var left = length
    while left > 0 {
      try fill(1)
      let count = min(left, incoming.count)
      incoming.removeFirst(count)
      left -= count
    }
  }

  /// The answers to what was sent in front of the first message (D-Bus specification, "Authentication Protocol").
  private func waitUntilLetIn() throws(RuntimeError) {
    while true {
      let line = try readLine()
      if line == "OK" {
        isLetIn = true
        return
      }
      if line == "DATA" { continue }
      throw failure(
        place + " does not let us in", hint: "it may be another user's, or what listens there is no bus")
    }
  }

  /// The first word of a line.
  private func readLine() throws(RuntimeError) -> String {
    var length = 0
    repeat {
      try fill(length + 1)
      length += 1
    } while incoming[length - 1] != 0x0A && length < 1024
    var end = 0
    while end < length && incoming[end] >= 0x41 && incoming[end] <= 0x5A { end += 1 }
    let word = CgroupText.string(incoming[..<end])
    incoming.removeFirst(length)
    return word
  }

  /// Reads until so many bytes are there.
  private func fill(_ count: Int) throws(RuntimeError) {
    while incoming.count < count {
      let left = start + (isLetIn ? client.timeouts.work : client.timeouts.bus) - Clock.monotonicMilliseconds()
      let chunk: [UInt8]
      do throws(SystemError) {
        guard left > 0, try Poll.wait(socket, for: Poll.readable, timeout: left) else {
          throw SystemError("read", .timedOut)
        }
        chunk = try socket.read(upTo: 16384)
      } catch {
        throw broken(error)
      }
      if chunk.isEmpty { throw failure(place + " has closed the connection") }
      incoming += chunk
    }
  }

  private func broken(_ error: SystemError) -> RuntimeError {
    if error.errno == .timedOut || error.errno == .tryAgain {
      let seconds = (isLetIn ? client.timeouts.work : client.timeouts.bus) / 1000
      return failure(
        "no answer from " + (isLetIn ? "systemd on " : "") + place + " within " + String(seconds) + " seconds")
    }
    return failure("the connection to " + place + " is broken", error)
  }
}
