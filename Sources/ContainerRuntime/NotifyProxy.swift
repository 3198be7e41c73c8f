import Diagnostics
import Linux

/// Tells whoever waits for this program that the container is ready, sd_notify(3). The container gets a socket of its own in
/// a folder that holds nothing else, never the one of the host: what comes out of it is looked at, and only that it is
/// ready is passed on, as runc does.
final class NotifyProxy {
  /// Where the container finds the socket, by the variable NOTIFY_SOCKET.
  static var socketName: String { "notify.sock" }

  private enum Phase {
    case waiting
    /// READY=1 is sent; the manager closes the other end of a pipe when it has dealt with it.
    case barrier
    case done
  }

  private var phase = Phase.waiting
  private let socket: FileDescriptor
  private let manager: FileDescriptor
  private var barrier = FileDescriptor(owning: -1)
  private let process: FileDescriptor
  /// Whom the manager is to watch from now on, MAINPID of sd_notify(3): the container's process, or this program where
  /// it stays before it.
  var mainProcess: Int32

  /// How long a manager may take for what it is sent, and that only old ones do not close the pipe at all.
  private static var sendTimeout: Int64 { 10_000 }
  private static var barrierTimeout: Int64 { 30_000 }

  /// To be called before the command starts. `folder` is what the container has mounted.
  init(
    folder: borrowing FileDescriptor, manager path: String, process: consuming FileDescriptor, pid: Int32
  ) throws(RuntimeError) {
    self.process = process
    mainProcess = pid
    do {
      manager = try Socket.connectDatagram(path, timeout: NotifyProxy.sendTimeout)
    } catch {
      throw error.because(
        .notify, "cannot reach `\(path)` that NOTIFY_SOCKET names", hint: "unset it if nobody waits for the container")
    }
    do {
      socket = try Socket.bindDatagram(in: folder, NotifyProxy.socketName)
      // Whoever the process runs as may write to it.
      try folder.changeMode(NotifyProxy.socketName, 0o777)
    } catch {
      throw error.because(.notify, "cannot make the socket of the container")
    }
  }

  /// What to wait for; a number below 0 when there is nothing left to do.
  var polled: (number: Int32, events: Int16) {
    switch phase {
    case .waiting: (number: socket.number, events: Poll.readable)
    case .barrier: (number: barrier.number, events: Poll.readable)
    case .done: (number: -1, events: 0)
    }
  }

  /// Deals with what ``polled`` has.
  func step() throws(RuntimeError) {
    do {
      switch phase {
      case .waiting:
        guard let line = readyLine(try socket.receiveDatagram(limit: 4096)) else { return }
        try announce(line)
      // Nothing is ever written there: it was closed.
      case .barrier: phase = .done
      case .done: break
      }
    } catch {
      phase = .done
      throw error.because(.notify, "cannot tell that the container is ready")
    }
  }

  /// Waits until the container is ready and the manager knows it, or its process has ended.
  func wait(_ log: LogSink) throws(RuntimeError) {
    while true {
      let current = polled
      if current.number < 0 { return }
      let limit = phase == .barrier ? NotifyProxy.barrierTimeout : nil
      let ready: [Int16]
      do {
        ready = try Poll.wait(
          [current, (number: process.number, events: Poll.readable)], timeout: limit)
      } catch {
        throw error.because(.notify, "cannot wait until the container is ready")
      }
      if ready[0] != 0 {
        try step()
      } else if ready[1] != 0 && phase == .waiting {
        return
      } else if ready[1] == 0 {
        log.warning("the manager did not confirm within 30 seconds that the container is ready")
        return
      }
    }
  }

  private func readyLine(_ message: [UInt8]) -> [UInt8]? {
    for line in message.split(separator: 0x0A) where line.starts(with: "READY=".utf8) { return [UInt8](line) }
    return nil
  }

  private func announce(_ line: [UInt8]) throws(SystemError) {
    try manager.send(line + [0x0A])
    try manager.send([UInt8]("MAINPID=\(mainProcess)\n".utf8))
    let pipe = try Pipe.make()
    try manager.send([UInt8]("BARRIER=1".utf8), passing: pipe.write.number)
    barrier = pipe.takeReader()
    phase = .barrier
  }
}
