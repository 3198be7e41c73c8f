import Foundation
import Linux
import Testing

@testable import Cgroups
@testable import DBusSupport

/// A bus with a systemd on it that does what a test says. It serves connections one after another up to the end of the tests:
/// its number must not become that of another.
final class FakeBus: @unchecked Sendable {
  /// What it answers a call with, in order.
  enum Answer {
    case reply([DBusValue])
    case error(String, String)
    /// A signal that a job has ended: its path, its result, who says so.
    case jobRemoved(String, String, sender: String = ":1.1")
    case bytes([UInt8])
    case close
    case silence
  }

  /// A call as it came in.
  struct Call {
    var member: String
    var signature: String
    var body: [UInt8]
    var serial: UInt32

    /// The texts in front of its body.
    func strings(_ count: Int) throws -> [String] {
      var reader = DBusReader(body)
      return try (0..<count).map { _ in try reader.string() }
    }
  }

  let name = "apus-test-bus-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
  var address: String { "unix:abstract=\(name)" }
  private let listener: Int32
  private let lock = NSLock()
  private var seen: [Call] = []
  var calls: [Call] { lock.withLock { seen } }
  var members: [String] { calls.map(\.member).filter { !["Hello", "AddMatch", "GetUnit"].contains($0) } }

  /// `greeting` comes in place of the answer to the authentication; nil for one that never comes.
  init(
    greeting: String? = "DATA\r\nOK 0123456789abcdef\r\n", _ answers: @escaping @Sendable (Call, Int) -> [Answer]
  ) throws {
    listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = [0] + Array(name.utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let size = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) }
    }
    guard bound == 0, listen(listener, 8) == 0 else { throw POSIXError(.EADDRINUSE) }
    let descriptor = listener
    let thread = Thread {
      while true {
        let connection = accept(descriptor, nil, nil)
        if connection < 0 { return }
        do {
          try FakeBus.serve(connection, greeting, answers) { call in
            self.lock.withLock { self.seen.append(call) }
            return self.members.filter { $0 == call.member }.count
          }
        } catch {
          // Of no test, since this is another thread; the run fails.
          Issue.record("the bus was sent what is no message: \(error)")
        }
        close(connection)
      }
    }
    thread.start()
  }

  private static func serve(
    _ connection: Int32, _ greeting: String?, _ answers: (Call, Int) -> [Answer], _ note: (Call) -> Int
  ) throws {
    var bytes: [UInt8] = []
    func more() -> Bool {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(connection, &buffer, buffer.count)
      if count <= 0 { return false }
      bytes += buffer[..<count]
      return true
    }
    func send(_ bytes: [UInt8]) {
      _ = bytes.withUnsafeBytes {
        Glibc.send(connection, $0.baseAddress, $0.count, Int32(truncatingIfNeeded: Int(MSG_NOSIGNAL)))
      }
    }
    let end = Array("BEGIN\r\n".utf8)
    while bytes.indices.first(where: { bytes[$0...].starts(with: end) }) == nil { if !more() { return } }
    guard let greeting else {
      while more() {}
      return
    }
    send(Array(greeting.utf8))
    bytes.removeFirst((bytes.indices.first { bytes[$0...].starts(with: end) } ?? 0) + end.count)
    while true {
      while bytes.count < DBusMessage.prefixLength { if !more() { return } }
      let length = try DBusMessage.length(bytes)
      while bytes.count < length { if !more() { return } }
      let packet = Array(bytes[..<length])
      bytes.removeFirst(length)
      let message = try DBusMessage(packet)
      var reader = DBusReader(packet, at: 8)
      let serial = try reader.uint32()
      let call = Call(
        member: message.member, signature: String(decoding: message.signature, as: UTF8.self), body: message.body,
        serial: serial)
      let count = note(call)
      let list: [Answer]
      switch call.member {
      case "Hello": list = [.reply([.string(":1.7")])]
      case "AddMatch", "GetUnit": list = [.reply([])]
      default: list = answers(call, count)
      }
      for answer in list {
        switch answer {
        case .close: return
        case .silence:
          while more() {}
          return
        default: send(encode(answer, serial))
        }
      }
    }
  }

  private static func encode(_ answer: Answer, _ serial: UInt32) -> [UInt8] {
    switch answer {
    case .reply(let body): return BusMessage.encode(2, replyTo: serial, body)
    case .error(let name, let text): return BusMessage.encode(3, replyTo: serial, error: name, [.string(text)])
    case .jobRemoved(let path, let result, let sender):
      return BusMessage.encode(
        4, sender: sender, member: "JobRemoved",
        [.uint32(5), .text(0x6F, path), .string("x.scope"), .string(result)])
    case .bytes(let bytes): return bytes
    case .close, .silence: return []
    }
  }
}
