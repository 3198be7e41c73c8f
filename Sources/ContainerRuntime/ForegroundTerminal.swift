import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The terminal of a container in the foreground: this program holds its master and copies between it and the terminal
/// of the caller, as `script(1)` does. Nothing happens where the process has no terminal.
final class ForegroundTerminal {
  /// Gets the master from the init stage.
  private var socket = FileDescriptor(owning: -1)
  private var master = FileDescriptor(owning: -1)
  /// Held so that the master never is without a slave, which would be an end of file: a program may close the terminal
  /// and open /dev/console again.
  private var slave = FileDescriptor(owning: -1)
  /// The terminal of the caller, and its settings as they have to be again.
  private var caller = FileDescriptor(owning: -1)
  private var settings: TerminalSettings?

  private var input = Pending()
  private var output = Pending()
  private var isInputOpen = true
  private var isOutputOpen = true
  private var isMasterOpen = true

  init() {}

  deinit {
    restore()
  }

  var isActive: Bool { master.number >= 0 }

  /// Finds the terminal of the caller, before anything has a side effect; the end of a socket for the init stage.
  func prepare() throws(RuntimeError) -> FileDescriptor {
    caller = try ForegroundTerminal.findCaller()
    do {
      var pair = try Socket.pair()
      swap(&socket, &pair.first)
      return pair.takeSecond()
    } catch {
      throw error.because(.terminal, "cannot make a socket for the terminal")
    }
  }

  /// Standard error, output and input, in this order as in runc; then the controlling terminal.
  private static func findCaller() throws(RuntimeError) -> FileDescriptor {
    for number in [Int32(2), 1, 0] {
      do {
        let file = try FileDescriptor.duplicate(of: number)
        _ = try file.terminalSettings()
        return file
      } catch {
        // Not a terminal; the next may be one.
        continue
      }
    }
    do {
      return try FileDescriptor.open("/dev/tty", [.readWrite, .noControllingTerminal])
    } catch {
      throw error.because(
        .terminal, "there is no terminal to copy from", field: "/process/terminal",
        hint: "use `--detach` with `--console-socket`, or set `process.terminal` to false")
    }
  }

  /// Takes the master over, which the init stage has sent by the time it is prepared. From here on the
  /// caller's terminal passes every key on.
  func begin() throws(RuntimeError) {
    if socket.number < 0 { return }
    do throws(SystemError) {
      guard try Poll.wait(socket, for: Poll.readable, timeout: 0) else { throw ForegroundTerminal.missing }
      var packet = try socket.receive()
      guard let given = packet.takeDescriptor() else { throw ForegroundTerminal.missing }
      master = given
      socket = FileDescriptor(owning: -1)
      try master.setNonBlocking()
      slave = try master.openTerminalPeer()
      // The caller's terminal does that.
      try master.setTerminalSettings(try master.terminalSettings().withoutCarriageReturns)
      resize()
      let current = try caller.terminalSettings()
      settings = current
      try caller.setTerminalSettings(current.raw)
    } catch {
      throw error.because(.terminal, "cannot use the terminal of the container")
    }
  }

  private static var missing: SystemError { SystemError("recvmsg", .inputOutput, "no terminal came") }

  /// The size of the caller's terminal, unless it does not know one.
  func resize() {
    do {
      let size = try caller.terminalSize()
      if size.rows != 0 || size.columns != 0 { try master.setTerminalSize(size) }
    } catch {
      // The caller's terminal has hung up: there is no size any more, and the container goes on.
    }
  }

  /// Gives the caller's terminal back as it was.
  func restore() {
    guard let settings else { return }
    self.settings = nil
    do {
      try caller.setTerminalSettings(settings)
    } catch {
      // It has hung up, and has no settings any more.
    }
  }

  /// What to wait for: standard input, the master, standard output. A number below 0 is for nothing.
  var polled: [(number: Int32, events: Int16)] {
    let readsInput = isActive && isMasterOpen && isInputOpen && input.isEmpty
    var events: Int16 = 0
    if isMasterOpen && output.isEmpty { events |= Poll.readable }
    if isMasterOpen && !input.isEmpty { events |= Poll.writable }
    // A hang-up is reported whether it is asked for or not: without anything to do the master stays out.
    return [
      (readsInput ? 0 : -1, Poll.readable), (events != 0 ? master.number : -1, events),
      (output.isEmpty ? -1 : 1, Poll.writable),
    ]
  }

  /// Copies as much as goes without waiting; `ready` belongs to ``polled``.
  func copy(_ ready: ArraySlice<Int16>) {
    let first = ready.startIndex
    if ready[first] != 0 { readInput() }
    if ready[first + 1] & ~Poll.writable != 0 && output.isEmpty { readMaster() }
    if ready[first + 1] != 0 && !input.isEmpty { writeMaster() }
    if ready[first + 2] != 0 { writeOutput() }
  }

  /// Copies what is left when the process has ended, and gives the caller's terminal back.
  func finish() {
    defer { restore() }
    if !isActive { return }
    // Processes that stay behind may write for ever; what the kernel can hold for a terminal is less than this.
    for _ in 0..<256 {
      while !output.isEmpty { writeOutput() }
      if !isMasterOpen { return }
      readMaster()
      if output.isEmpty { return }
    }
  }

  private func readInput() {
    do {
      let bytes = try FileDescriptor.readOnce(0, upTo: Pending.limit)
      if bytes.isEmpty { isInputOpen = false }
      input = Pending(bytes)
    } catch {
      // Closed, hung up, or ours only in the background: the container gets no more of it.
      isInputOpen = false
    }
  }

  private func readMaster() {
    do {
      let bytes = try master.read(upTo: Pending.limit)
      if bytes.isEmpty { isMasterOpen = false }
      if isOutputOpen { output = Pending(bytes) }
    } catch {
      // EIO: hung up by vhangup(2). Whatever it is, the container goes on without this program between.
      if error.errno != .tryAgain { isMasterOpen = false }
    }
  }

  private func writeMaster() {
    do {
      input.drop(try FileDescriptor.writeOnce(master.number, input.bytes[input.start...]))
    } catch {
      // EIO: hung up by vhangup(2). Whatever it is, the container goes on without this program between.
      if error.errno != .tryAgain { isMasterOpen = false }
    }
  }

  private func writeOutput() {
    do {
      output.drop(try FileDescriptor.writeOnce(1, output.bytes[output.start...]))
    } catch {
      // A caller with O_NONBLOCK: later. Otherwise nobody reads any more, and the container must not wait for it.
      if error.errno == .tryAgain {
        do { _ = try Poll.wait([(1, Poll.writable)]) } catch {}
        return
      }
      isOutputOpen = false
      output = Pending()
    }
  }
}

/// Bytes on their way.
private struct Pending {
  var bytes: [UInt8]
  var start = 0

  /// PIPE_BUF: what a pipe that can be written to takes without waiting.
  static var limit: Int { 4096 }

  init(_ bytes: [UInt8] = []) {
    self.bytes = bytes
  }

  var isEmpty: Bool { start == bytes.count }

  mutating func drop(_ count: Int) { start += count }
}
