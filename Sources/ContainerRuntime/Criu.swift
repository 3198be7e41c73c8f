import Checkpoint
import Diagnostics
import Linux
import LinuxABI

/// A `criu swrk`: it takes requests from a socket, does them, and asks in between (criu.org, "RPC").
struct CriuProcess: ~Copyable {
  private var channel: FileDescriptor
  private let process: SpawnedProcess
  /// As in `31701` for 3.17.1.
  private(set) var version: Int32 = 0

  /// The oldest that answers all that is asked here: 3.0, as in the peers.
  static var oldestVersion: Int32 { 30_000 }

  var pid: Int32 { process.pid }

  /// The program; only in the folders of PATH that are absolute.
  static func find() throws(RuntimeError) -> String {
    guard let path = ChildProgram.find("criu") else {
      throw RuntimeError(
        .criu, "checkpoints need CRIU, and there is no `criu` in PATH",
        hint: "install it (Debian: `apt-get install criu`)")
    }
    return path
  }

  static var isThere: Bool { ChildProgram.find("criu") != nil }

  init(channel: consuming FileDescriptor, process: consuming SpawnedProcess) {
    self.channel = channel
    self.process = process
  }

  /// Starts it and asks for its version. What `program` has from 3 on becomes 4 and on.
  static func start(_ program: ServiceProgram) throws(RuntimeError) -> CriuProcess {
    var criu = try describe(.criu, "cannot start `\(program.path)`") { () throws(SystemError) -> CriuProcess in
      var program = program
      var pair = try Socket.pair()
      program.descriptors.insert(pair.second.number, at: 0)
      let process = try program.start()
      var channel = FileDescriptor(owning: -1)
      swap(&channel, &pair.first)
      return CriuProcess(channel: channel, process: process)
    }
    do throws(RuntimeError) {
      try criu.send(CriuRequest(.version, staysOpen: true))
      criu.version = try criu.answer(to: .version).version
      try criu.require(CriuProcess.oldestVersion, for: "")
    } catch {
      throw criu.end(within: patience, after: error)
    }
    return criu
  }

  static func program(_ program: String) -> ServiceProgram {
    // Of the caller's environment nothing but PATH: other variables choose configurations of CRIU.
    let path = Environment.value("PATH").map { ["PATH=\($0)"] } ?? []
    return ServiceProgram(path: program, arguments: ["criu", "swrk", "3"], environment: path)
  }

  static func text(_ version: Int32) -> String {
    "\(version / 10_000).\(version / 100 % 100).\(version % 100)"
  }

  func require(_ least: Int32, for what: String) throws(RuntimeError) {
    if version >= least { return }
    throw RuntimeError(
      .criu, "CRIU \(CriuProcess.text(version)) is too old, expected \(CriuProcess.text(least)) or newer", field: what)
  }

  func send(_ request: CriuRequest) throws(RuntimeError) {
    let bytes = request.encode()
    guard bytes.count < Socket.packetLimit else {
      throw RuntimeError(.criu, "what CRIU has to be told is too long: \(bytes.count) bytes")
    }
    do {
      try channel.send(bytes)
    } catch {
      throw error.because(.criu, CriuProcess.isEnd(error) ? "CRIU ended without an answer" : "cannot ask CRIU")
    }
  }

  /// Reset where it ended with our request unread.
  private static func isEnd(_ error: SystemError) -> Bool {
    error.errno == .brokenPipe || error.errno == .connectionReset
  }

  /// Answers its question with no; that it cannot be told is added to the reason.
  func refuse(_ reason: RuntimeError) -> RuntimeError {
    do {
      try send(CriuRequest(.notify, isSuccess: false))
      return reason
    } catch {
      return reason.adding(error.text)
    }
  }

  /// What it says next, and the descriptor that came along.
  func receive() throws(RuntimeError) -> CriuMessage {
    do throws(SystemError) {
      // What it has started holds the socket too: its own end alone would not be seen there.
      let events = try Poll.wait([(channel.number, Poll.readable), (process.descriptor.number, Poll.readable)])
      if events[0] == 0 { throw SystemError("recvmsg", .brokenPipe) }
      var packet = try channel.receive()
      if packet.bytes.isEmpty { throw SystemError("recvmsg", .brokenPipe) }
      do throws(ProtobufError) {
        let response = try CriuResponse(decoding: packet.bytes)
        return CriuMessage(response: response, descriptor: packet.takeDescriptor())
      } catch {
        throw SystemError("recvmsg", Errno(74))
      }
    } catch {
      throw error.because(
        .criu, CriuProcess.isEnd(error) ? "CRIU ended without an answer" : "cannot understand CRIU")
    }
  }

  /// The answer to a request in which nothing is asked in between.
  func answer(to kind: CriuRequestKind) throws(RuntimeError) -> CriuResponse {
    let message = try receive()
    guard message.response.kind == kind.rawValue else {
      throw RuntimeError(.criu, "CRIU answers another request than `\(kind.name)`")
    }
    guard message.response.isSuccess else { throw CriuProcess.failure(message.response, kind) }
    return message.response
  }

  /// Fails where the kernel lacks one of the features.
  func check(_ features: CriuFeatures) throws(RuntimeError) {
    try send(CriuRequest(.featureCheck, features: features, staysOpen: true))
    let found = try answer(to: .featureCheck).features
    if features.memoryTracking && !found.memoryTracking {
      throw RuntimeError(
        .criu, "this kernel cannot track which memory was written to, as CRIU needs it", field: "--pre-dump")
    }
    if features.lazyPages && !found.lazyPages {
      throw RuntimeError(.criu, "this kernel has no userfaultfd(2) as CRIU needs it", field: "--lazy-pages")
    }
  }

  static func failure(_ response: CriuResponse, _ kind: CriuRequestKind) -> RuntimeError {
    var text = "CRIU failed in `\(kind.name)`"
    // Its first error, as in the log.
    let reason = CriuLog.firstError([UInt8](response.message.utf8))
    if !reason.isEmpty { text += ": \(reason)" }
    guard response.errno > 0 else { return RuntimeError(.criu, text) }
    return SystemError("criu", Errno(response.errno)).because(.criu, text)
  }

  /// Lets it go and waits for its end. One that is not done within that many milliseconds is ended; nil waits for as long as it
  /// takes: a dump that is cut off leaves processes that stand still.
  consuming func end(within patience: Int64?) throws(RuntimeError) -> ExitStatus {
    let pid = process.pid
    channel = FileDescriptor(owning: -1)
    do {
      if try !Poll.wait(process.descriptor, for: Poll.readable, timeout: patience) {
        try process.descriptor.sendSignal(9)
      }
      return try Processes.wait(pid)
    } catch {
      throw error.because(.criu, "cannot wait for the end of CRIU, process \(pid)")
    }
  }

  /// The same after an error, which is still the one that matters.
  consuming func end(within patience: Int64?, after error: RuntimeError) -> RuntimeError {
    do {
      _ = try end(within: patience)
      return error
    } catch let second {
      return error.adding(second.text)
    }
  }

  /// In milliseconds.
  static var patience: Int64 { 30_000 }

  /// The first error in the log that CRIU has left; empty where there is none in it.
  static func reason(_ directory: borrowing FileDescriptor, _ name: String) throws(SystemError) -> String {
    let file = try directory.open(name, [.readOnly, .noFollow, .nonBlocking])
    return CriuLog.firstError(try file.readAll(limit: 64 << 20))
  }
}

extension RuntimeError {
  /// The same with something else that went wrong.
  func adding(_ text: String) -> RuntimeError {
    var copy = self
    copy.hint = hint.isEmpty ? text : "\(hint); \(text)"
    return copy
  }
}

/// What CRIU says, and the descriptor that came along.
struct CriuMessage: ~Copyable {
  let response: CriuResponse
  var descriptor: FileDescriptor?
}
