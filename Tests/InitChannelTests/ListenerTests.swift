import Diagnostics
import Foundation
import Linux
import LinuxABI
import Testing

@testable import InitChannel

/// The rungs about the listener of a seccomp filter. The init stage is a thread.
@Suite struct ListenerTests {
  private final class Stage: @unchecked Sendable {
    private let done = DispatchSemaphore(value: 0)
    private var error: RuntimeError?

    /// Takes the socket. The listener is any descriptor, which stays the caller's if it is not closed.
    init(_ socket: consuming FileDescriptor, listener: Int32, _ terms: ListenerTerms) {
      let number = socket.release()
      let thread = Thread { [self] in
        let reporter = InitReporter(FileDescriptor(owning: number))
        var packets = ListenerPackets()
        do throws(RuntimeError) {
          try describe(.initProtocol, "cannot prepare") { () throws(SystemError) in try reporter.prepareHandover() }
          try reporter.handOver(listener: listener, terms, &packets)
          try describe(.initProtocol, "cannot send") { () throws(SystemError) in
            try reporter.sendBehindFilter(
              .failed(RuntimeError(.spawn, String(repeating: "m", count: 20_000), field: "/field")))
          }
        } catch {
          self.error = error
        }
        done.signal()
      }
      thread.start()
    }

    func waits(_ seconds: Double) -> Bool {
      if done.wait(timeout: .now() + seconds) == .timedOut { return true }
      done.signal()
      return false
    }

    func failure() -> RuntimeError? {
      done.wait()
      return error
    }
  }

  private func isOpen(_ number: Int32) -> Bool { inode(number) != 0 }

  private func inode(_ number: Int32) -> UInt64 {
    var status = stat()
    return fstat(number, &status) == 0 ? UInt64(status.st_ino) : 0
  }

  private func made(_ channel: borrowing RuntimeChannel) throws -> (number: Int32, descriptors: Int) {
    guard let received = try channel.receive(), case .listenerMade(let number) = received.report else {
      throw Failure()
    }
    return (number, received.descriptor == nil ? 0 : 1)
  }

  private struct Failure: Error {}

  @Test(arguments: [true, false], ListenerTerms.Closing.allCases)
  func theStageWaitsUntilTheRuntimeReadsOnAndClosesItsCopy(sends: Bool, closing: ListenerTerms.Closing) throws {
    var pair = try Socket.pair()
    let listener = try FileDescriptor.memory("listener").release()
    let inode = self.inode(listener)
    let stage = Stage(pair.takeStage(), listener: listener, ListenerTerms(closing: closing, sends: sends))
    let channel = RuntimeChannel(pair.takeSecond())
    let report = try made(channel)
    #expect(report == (listener, sends ? 1 : 0))
    #expect(stage.waits(0.2), "nobody listens yet")
    #expect(isOpen(listener))
    guard case .listenerHeld = try channel.receive()?.report else { throw Failure() }
    guard case .listenerGiven = try channel.receive()?.report else { throw Failure() }
    // However long: the socket is small by now.
    guard case .failed(let error) = try channel.receive()?.report else { throw Failure() }
    #expect(error.code == .spawn && error.field == "/field" && error.message.hasPrefix("mmm"))
    #expect(stage.failure() == nil)
    // Another test may have got the number by now.
    #expect((self.inode(listener) == inode) == (closing == .none))
    #expect(closing != .dup3 || isOpen(listener))
    if closing == .none || closing == .dup3 { _ = FileDescriptor(owning: listener) }
  }

  @Test(arguments: [true, false]) func theStageEndsWithARuntimeThatEnds(hasRead: Bool) throws {
    var pair = try Socket.pair()
    let listener = try FileDescriptor.memory("listener")
    let stage = Stage(pair.takeStage(), listener: listener.number, ListenerTerms())
    do {
      let channel = RuntimeChannel(pair.takeSecond())
      if hasRead { _ = try made(channel) }
      #expect(stage.waits(0.1))
    }
    #expect(stage.failure()?.code == .initProtocol)
  }

  @Test func anOrderThatWasNotReceivedIsSeen() throws {
    var pair = try Socket.pair()
    let stage = InitReporter(pair.takeStage())
    let channel = RuntimeChannel(pair.takeSecond())
    try channel.send(.start, ListenerTerms(closing: .dup3, sends: true))
    #expect(try channel.hasUnreadOrder)
    var terms = ListenerTerms()
    #expect(try stage.receive(&terms) == .start)
    #expect(terms == ListenerTerms(closing: .dup3, sends: true))
    #expect(try !channel.hasUnreadOrder)
  }
}

extension SocketPair {
  /// The first end; the second stays.
  fileprivate mutating func takeStage() -> FileDescriptor {
    var taken = FileDescriptor.none
    swap(&taken, &first)
    return taken
  }
}
