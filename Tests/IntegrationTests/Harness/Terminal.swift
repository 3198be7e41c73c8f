import Foundation
import IntegrationSupport

/// The host's side of a terminal: a master, with what came out of it so far.
final class Terminal {
  let descriptor: Int32
  /// The name that was sent along with it.
  let name: String
  private(set) var bytes: [UInt8] = []
  private(set) var isAtEnd = false

  init(descriptor: Int32, name: String = "") {
    self.descriptor = descriptor
    self.name = name
    _ = support_set_nonblocking(descriptor)
  }

  deinit { close(descriptor) }

  var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Takes what is there now. A master without slaves is EIO.
  func drain() {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while !isAtEnd {
      let count = read(descriptor, &buffer, buffer.count)
      if count > 0 {
        bytes += buffer[..<count]
      } else if count == 0 || errno != EAGAIN {
        isAtEnd = true
      } else {
        return
      }
    }
  }

  func write(_ text: String) throws {
    let bytes = Array(text.utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw HarnessError(errno: errno, "write to the terminal")
    }
  }

  /// Waits until the output so far contains `part`.
  func waitFor(_ part: String, timeout: Double = Limits.call) throws {
    try wait(timeout, "`\(part)`") { text.contains(part) }
    guard text.contains(part) else { throw HarnessError("the terminal ended without `\(part)`: \(text)") }
  }

  /// Waits until nobody has the terminal open any more.
  @discardableResult
  func readToEnd(timeout: Double = Limits.call) throws -> String {
    try wait(timeout, "the end of the terminal") { isAtEnd }
    return text
  }

  private func wait(_ timeout: Double, _ what: String, until done: () -> Bool) throws {
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

  var size: [Int] {
    get {
      var (rows, columns): (Int32, Int32) = (0, 0)
      _ = support_size(descriptor, &rows, &columns)
      return [Int(rows), Int(columns)]
    }
    set { _ = support_set_size(descriptor, Int32(newValue[0]), Int32(newValue[1])) }
  }

  /// Input, output, control and local flags of termios(3).
  var settings: [UInt32] {
    var flags: [UInt32] = [0, 0, 0, 0]
    _ = support_settings(descriptor, &flags)
    return flags
  }
}

/// A terminal for a runtime in the foreground: the test is the one who sits before it.
final class CallersTerminal {
  let screen: Terminal
  let slave: Int32

  init(rows: Int = 24, columns: Int = 80) throws {
    var slave: Int32 = -1
    let master = support_open_terminal(&slave)
    guard master >= 0 else { throw HarnessError(errno: errno, "open a terminal") }
    self.slave = slave
    screen = Terminal(descriptor: master)
    screen.size = [rows, columns]
  }

  deinit { close(slave) }
}

/// A socket that a runtime connects to and sends a descriptor.
final class DescriptorSocket {
  let path: String
  private let descriptor: Int32

  init(name: String = "console.sock", backlog: Int32 = 8) throws {
    path = try Workspace.active().directory + "/" + name
    descriptor = support_unix_socket(path, Int32(SOCK_STREAM.rawValue), backlog)
    guard descriptor >= 0 else { throw HarnessError(errno: errno, "listen at \(path)") }
    chmod(path, 0o777)
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// The descriptor of one connection that has been made already, and the bytes that came with it.
  func receive() throws -> (descriptor: Int32, data: String) {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, Deadline(Limits.call).milliseconds) > 0 else {
      throw HarnessError("nobody connected to \(path)")
    }
    let connection = support_accept(descriptor)
    defer { close(connection) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    var passed: Int32 = -1
    let count = support_receive(connection, &bytes, UInt(bytes.count), &passed)
    guard count > 0, passed >= 0 else { throw HarnessError("no descriptor came to \(path)") }
    return (passed, String(decoding: bytes[..<count], as: UTF8.self))
  }

  func receiveTerminal() throws -> Terminal {
    let (descriptor, name) = try receive()
    return Terminal(descriptor: descriptor, name: name)
  }
}
