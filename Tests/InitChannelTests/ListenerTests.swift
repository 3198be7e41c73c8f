import Diagnostics
import Linux
import Testing

@testable import InitChannel

/// The rungs about the listener of a seccomp filter, from the side of the init stage. What the runtime says waits in the socket.
@Suite struct ListenerTests {
  private func handOver(_ orders: [RuntimeOrder]) throws -> (numbers: [Int32], descriptors: Int, failure: RuntimeError?)
  {
    let pair = try Socket.pair()
    let own = try FileDescriptor.memory("listener")
    let runtime = RuntimeChannel(try pair.first.duplicate())
    for order in orders { try runtime.send(order) }
    // Then it is gone.
    if orders.last != .listenerServed { try runtime.send(.idsMapped) }
    var packet = ListenerPacket()
    var failure: RuntimeError?
    do throws(RuntimeError) {
      try InitReporter(try duplicate(pair.second)).handOver(listener: own.number, &packet)
    } catch {
      failure = error
    }
    var numbers: [Int32] = []
    var descriptors = 0
    while try runtime.wait(timeout: 0), let received = try runtime.receive() {
      if case .listenerMade(let number) = received.report { numbers.append(number == own.number ? 1 : number) }
      if received.descriptor != nil { descriptors += 1 }
    }
    return (numbers, descriptors, failure)
  }

  private func duplicate(_ descriptor: borrowing FileDescriptor) throws(RuntimeError) -> FileDescriptor {
    try describe(.spawn, "cannot duplicate") { () throws(SystemError) in try descriptor.duplicate() }
  }

  @Test func theRuntimeIsToldTheNumber() throws {
    let result = try handOver([.listenerServed])
    #expect(result.numbers == [1] && result.descriptors == 0 && result.failure == nil)
  }

  @Test func theRuntimeGetsTheListenerWhereItAsksForIt() throws {
    let result = try handOver([.listenerWanted, .listenerServed])
    #expect(result.numbers == [1, 1] && result.descriptors == 1 && result.failure == nil)
  }

  @Test func anythingElseIsAnError() throws {
    #expect(try handOver([]).failure?.code == .initProtocol)
    #expect(try handOver([.listenerWanted, .listenerWanted]).failure?.code == .initProtocol)
  }
}
