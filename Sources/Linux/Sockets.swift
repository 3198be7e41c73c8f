import CLinux
public import Diagnostics
import LinuxABI

/// One packet of a SOCK_SEQPACKET socket, with the descriptor that came along.
@frozen public struct Packet: ~Copyable {
  public var bytes: [UInt8]
  public var descriptor: FileDescriptor?

  /// The descriptor, which the caller closes from here on.
  @inlinable public mutating func takeDescriptor() -> FileDescriptor? {
    let taken = descriptor.take()
    return taken
  }
}

public enum Socket {
  /// The longest packet that is sent or accepted, in bytes.
  public static var packetLimit: Int { 65536 }

  /// A connected pair of packet sockets.
  public static func pair() throws(SystemError) -> SocketPair { try pair(5 /* SOCK_SEQPACKET */) }

  private static func pair(_ type: Int32) throws(SystemError) -> SocketPair {
    var numbers: (Int32, Int32) = (-1, -1)
    let result = withUnsafeMutablePointer(to: &numbers) { pointer in
      pointer.withMemoryRebound(to: Int32.self, capacity: 2) {
        sys_socketpair(type, $0)
      }
    }
    try check("socketpair", result)
    return SocketPair(
      first: FileDescriptor(owning: numbers.0), second: FileDescriptor(owning: numbers.1))
  }

  /// A packet socket that listens at `name` in `directory`; mode 0600 by the caller's umask is not relied on, the
  /// directory is the runtime's own.
  public static func listen(
    in directory: borrowing FileDescriptor, _ name: String
  ) throws(SystemError) -> FileDescriptor {
    let socket = try unix()
    var path = pathname(directory, name)
    let result = path.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) {
        sys_unix_listen(socket.number, $0.baseAddress, $0.count)
      }
    }
    try check("bind", result, name)
    return socket
  }

  /// Connects to the socket at `name` in `directory`.
  public static func connect(
    in directory: borrowing FileDescriptor, _ name: String
  ) throws(SystemError) -> FileDescriptor {
    let socket = try unix()
    var path = pathname(directory, name)
    let result = path.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) {
        sys_unix_connect(socket.number, $0.baseAddress, $0.count)
      }
    }
    try check("connect", result, name)
    return socket
  }

  /// Connects to the stream socket at `path`, one of the host. Whoever listens there and does not accept is waited for as
  /// long as `timeout` says, in milliseconds, and so is one that does not read: EAGAIN then. ENOTSOCK where the file is no
  /// socket.
  public static func connectStream(_ path: String, timeout: Int64) throws(SystemError) -> FileDescriptor {
    // The path may be longer than a socket address holds: the way over the descriptor is always short.
    let file = try FileDescriptor.open(path, .path)
    guard try file.status().isSocket else { throw SystemError("connect", .notSocket, path) }
    let socket = try unix(1 /* SOCK_STREAM */, sendTimeout: timeout)
    try connect(socket, "/proc/self/fd/\(file.number)", path)
    return socket
  }

  /// The same for a name in the abstract namespace of unix(7), without its leading NUL.
  public static func connectStream(abstract name: String, timeout: Int64) throws(SystemError) -> FileDescriptor {
    let socket = try unix(1 /* SOCK_STREAM */, sendTimeout: timeout)
    try connect(socket, "\0" + name, "@" + name)
    return socket
  }

  /// The same for somebody who answers for a process, at an absolute path without symbolic links: every wait ends at `end`, of ``Clock/monotonicMilliseconds()``, all of them
  /// together, and with ESRCH when the process has ended. The socket does not wait by itself.
  public static func connectStream(
    _ path: String, until end: Int64, for process: borrowing FileDescriptor
  ) throws(SystemError) -> FileDescriptor {
    let file = try RootDirectory(try FileDescriptor.open("/", [.path, .directory])).openWithoutLinks(path, .path)
    guard try file.status().isSocket else { throw SystemError("connect", .notSocket, path) }
    let socket = FileDescriptor(
      owning: Int32(try check("socket", sys_socket(1 /* AF_UNIX */, 1 | 0o4000 /* SOCK_NONBLOCK */, 0))))
    while true {
      do {
        try connect(socket, "/proc/self/fd/\(file.number)", path)
        return socket
      } catch {
        // The queue is full, and there is no event for a place in it.
        guard error.errno == .tryAgain, Clock.monotonicMilliseconds() < end else { throw error }
      }
      if try Poll.wait(process, for: Poll.readable, timeout: 20) { throw SystemError("connect", .noProcess, path) }
    }
  }

  /// Whether somebody listens on the stream socket at `path`, found out without a connection, which he would have to accept: for a
  /// socket that is connected already the kernel looks at everything and then refuses. EPROTOTYPE for a socket of another
  /// type, ECONNREFUSED where nobody listens.
  public static func checkStream(_ path: String) throws(SystemError) {
    let file = try FileDescriptor.open(path, .path)
    guard try file.status().isSocket else { throw SystemError("connect", .notSocket, path) }
    let connected = try pair(1 /* SOCK_STREAM */ | 0o4000 /* SOCK_NONBLOCK */)
    do {
      try connect(connected.first, "/proc/self/fd/\(file.number)", path)
    } catch {
      // With EAGAIN he has a full queue.
      if error.errno != .isConnected && error.errno != .tryAgain { throw error }
    }
  }

  /// How much of what was sent has not been received, in bytes with what the kernel needs for them (unix(7), SIOCOUTQ).
  public static func unread(_ socket: borrowing FileDescriptor) throws(SystemError) -> Int32 {
    var count: Int32 = 0
    try check("ioctl", sys_ioctl(socket.number, 0x5411, &count), "SIOCOUTQ")
    return count
  }

  /// How much may lie unread before the next send waits, in the same bytes; the kernel has a least size of its own.
  public static func limitSending(_ socket: borrowing FileDescriptor, to size: Int) throws(SystemError) {
    // It doubles the number.
    var half = Int32(size / 2)
    try check("setsockopt", sys_setsockopt(socket.number, 1 /* SOL_SOCKET */, 7, &half, 4), "SO_SNDBUF")
  }

  /// Who listened where this socket is connected to, SO_PEERCRED of unix(7); 0 where this pid namespace does not show him.
  public static func listener(of socket: borrowing FileDescriptor) throws(SystemError) -> Int32 {
    Int32(truncatingIfNeeded: try check("getsockopt", Int64(sys_peer_process(socket.number)), "SO_PEERCRED"))
  }

  /// Whether who listened has ended, so that his number may be another's. The kernel tells from Linux 6.5 on (SO_PEERPIDFD); before,
  /// this is false.
  public static func listenerHasEnded(_ socket: borrowing FileDescriptor) throws(SystemError) -> Bool {
    let result = sys_peer_descriptor(socket.number)
    // ENOPROTOOPT; ESRCH or EINVAL, by the kernel, for a process that was collected.
    if result == -92 { return false }
    if result == -3 || result == -22 { return true }
    let process = FileDescriptor(owning: Int32(try check("getsockopt", Int64(result), "SO_PEERPIDFD")))
    return try Poll.wait(process, for: Poll.readable, timeout: 0)
  }

  /// A datagram socket that sends to the one at `path`, one of the host, or to an abstract name that has `@` for its first
  /// byte, as systemd writes them. A send waits for at most `timeout` milliseconds: EAGAIN then.
  public static func connectDatagram(_ path: String, timeout: Int64) throws(SystemError) -> FileDescriptor {
    let socket = try unix(2 /* SOCK_DGRAM */, sendTimeout: timeout)
    if path.utf8.first == 0x40 {
      try connect(socket, "\0" + String(decoding: path.utf8.dropFirst(), as: UTF8.self), path)
    } else {
      let file = try FileDescriptor.open(path, .path)
      guard try file.status().isSocket else { throw SystemError("connect", .notSocket, path) }
      try connect(socket, "/proc/self/fd/\(file.number)", path)
    }
    return socket
  }

  /// A datagram socket at `name` in `directory`, in the place of one that was left there.
  public static func bindDatagram(
    in directory: borrowing FileDescriptor, _ name: String
  ) throws(SystemError) -> FileDescriptor {
    let socket = FileDescriptor(owning: Int32(try check("socket", sys_socket(1 /* AF_UNIX */, 2, 0))))
    do {
      try directory.unlink(name)
    } catch {
      if error.errno != .noEntry { throw error }
    }
    var path = pathname(directory, name)
    let result = path.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { sys_unix_bind(socket.number, $0.baseAddress, $0.count) }
    }
    try check("bind", result, name)
    return socket
  }

  private static func unix(_ type: Int32, sendTimeout: Int64) throws(SystemError) -> FileDescriptor {
    let socket = FileDescriptor(owning: Int32(try check("socket", sys_socket(1 /* AF_UNIX */, type, 0))))
    // struct timeval: seconds and microseconds. SO_SNDTIMEO holds for connect(2) and sendmsg(2).
    var limit = apus_timespec(seconds: sendTimeout / 1000, nanoseconds: sendTimeout % 1000 * 1000)
    try check(
      "setsockopt", sys_setsockopt(socket.number, 1 /* SOL_SOCKET */, 21, &limit, 16), "SO_SNDTIMEO")
    return socket
  }

  private static func connect(
    _ socket: borrowing FileDescriptor, _ address: String, _ subject: String
  ) throws(SystemError) {
    var address = address
    let number = socket.number
    try checkRetrying("connect", subject) {
      address.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { sys_unix_connect(number, $0.baseAddress, $0.count) }
      }
    }
  }

  /// Whether somebody listens at `name` in `directory`. Never waits: a full queue is an answer too.
  public static func isListening(
    in directory: borrowing FileDescriptor, _ name: String
  ) throws(SystemError) -> Bool {
    let socket = FileDescriptor(
      owning: Int32(try check("socket", sys_socket(1 /* AF_UNIX */, 5 | 0o4000 /* SOCK_NONBLOCK */, 0))))
    var path = pathname(directory, name)
    let result = path.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) {
        sys_unix_connect(socket.number, $0.baseAddress, $0.count)
      }
    }
    switch result {
    case -2 /* ENOENT */, -111 /* ECONNREFUSED */: return false
    case -11 /* EAGAIN */: return true
    default:
      try check("connect", result, name)
      return true
    }
  }

  /// A socket address holds 107 bytes and there is no connectat(2): the way over the descriptor is always short.
  private static func pathname(_ directory: borrowing FileDescriptor, _ name: String) -> String {
    "/proc/self/fd/\(directory.number)/\(name)"
  }

  private static func unix() throws(SystemError) -> FileDescriptor {
    FileDescriptor(owning: Int32(try check("socket", sys_socket(1 /* AF_UNIX */, 5 /* SEQPACKET */, 0))))
  }
}

/// Both ends of a socketpair(2).
@frozen public struct SocketPair: ~Copyable {
  public var first: FileDescriptor
  public var second: FileDescriptor

  /// The first end; the second is closed.
  @inlinable public consuming func takeFirst() -> FileDescriptor { first }

  /// The second end; the first is closed.
  @inlinable public consuming func takeSecond() -> FileDescriptor { second }
}

extension FileDescriptor {
  /// Waits for a connection to this listening socket.
  public func accept() throws(SystemError) -> FileDescriptor {
    let number = number
    return FileDescriptor(owning: Int32(try checkRetrying("accept4") { sys_accept4(number, 0) }))
  }

  /// Sends one packet, and with it the descriptor `passing` if it is not -1.
  public func send(_ bytes: [UInt8], passing descriptor: Int32 = -1) throws(SystemError) {
    let number = number
    try checkRetrying("sendmsg") {
      bytes.withUnsafeBufferPointer { sys_send_packet(number, $0.baseAddress, $0.count, descriptor) }
    }
  }

  /// Sends all of it on a stream socket, however many calls it takes, and with the first of them the descriptor `passing` if
  /// it is not -1. EPIPE, and no signal, where nobody is left to read it.
  public func sendStream(_ bytes: [UInt8], passing descriptor: Int32 = -1) throws(SystemError) {
    let number = number
    var done = 0
    while done < bytes.count {
      let passed = done == 0 ? descriptor : -1
      done += Int(
        try checkRetrying("sendmsg") {
          bytes[done...].withUnsafeBufferPointer { sys_send_packet(number, $0.baseAddress, $0.count, passed) }
        })
    }
  }

  /// The same on a socket of ``Socket/connectStream(_:until:for:)``, with its bounds.
  public func sendStream(
    _ bytes: [UInt8], passing descriptor: Int32, until end: Int64, for process: borrowing FileDescriptor
  ) throws(SystemError) {
    let number = number
    var done = 0
    while done < bytes.count {
      do {
        let passed = done == 0 ? descriptor : -1
        done += Int(
          try checkRetrying("sendmsg") {
            bytes[done...].withUnsafeBufferPointer { sys_send_packet(number, $0.baseAddress, $0.count, passed) }
          })
      } catch {
        let left = end - Clock.monotonicMilliseconds()
        guard error.errno == .tryAgain, left > 0 else { throw error }
        let ready = try Poll.wait(
          [(number: number, events: Poll.writable), (number: process.number, events: Poll.readable)], timeout: left)
        if ready[1] != 0 { throw SystemError("sendmsg", .noProcess) }
      }
    }
  }

  /// Receives one datagram. What is longer is cut, and descriptors that come along are closed: the sender is not trusted.
  public func receiveDatagram(limit: Int) throws(SystemError) -> [UInt8] {
    var passed: Int32 = -1
    var result: Int64 = 0
    let number = number
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      repeat {
        result = sys_receive_packet(number, buffer.baseAddress, limit, &passed)
      } while result == -4
      count = min(limit, max(0, Int(result)))
    }
    if passed >= 0 { _ = FileDescriptor(owning: passed) }
    try check("recvmsg", result)
    return bytes
  }

  /// Receives one packet; empty bytes when the other side has closed.
  public func receive() throws(SystemError) -> Packet {
    var passed: Int32 = -1
    var result: Int64 = 0
    let number = number
    let limit = Socket.packetLimit
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      repeat {
        result = sys_receive_packet(number, buffer.baseAddress, limit, &passed)
      } while result == -4
      count = min(limit, max(0, Int(result)))
    }
    let descriptor: FileDescriptor? = passed >= 0 ? FileDescriptor(owning: passed) : nil
    try check("recvmsg", result)
    if result > Int64(limit) { throw SystemError("recvmsg", .messageTooLong) }
    return Packet(bytes: bytes, descriptor: descriptor)
  }
}

/// Both ends of a pipe(2).
@frozen public struct Pipe: ~Copyable {
  public var read: FileDescriptor
  public var write: FileDescriptor

  /// The end to read from; the other one is closed.
  @inlinable public consuming func takeReader() -> FileDescriptor { read }

  public static func make() throws(SystemError) -> Pipe {
    var ends: (Int32, Int32) = (-1, -1)
    let result = withUnsafeMutablePointer(to: &ends) { pointer in
      pointer.withMemoryRebound(to: Int32.self, capacity: 2) { sys_pipe2($0) }
    }
    try check("pipe2", result)
    return Pipe(read: FileDescriptor(owning: ends.0), write: FileDescriptor(owning: ends.1))
  }
}
