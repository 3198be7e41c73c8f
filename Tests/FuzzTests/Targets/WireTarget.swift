import Diagnostics
import Linux

@testable import InitChannel

/// A packet as it comes out of a socket, for each of the roles.
private func receive(_ input: [UInt8]) throws(BrokenRule) {
  if input.isEmpty || input.count > Socket.packetLimit { return }
  do throws(SystemError) {
    var pair = try Socket.pair()
    try pair.first.send(input, passing: input[0] & 0x80 != 0 ? pair.first.number : -1)
    let runtime = RuntimeChannel(pair.takeSecond())
    do throws(RuntimeError) {
      var report = try runtime.receive()
      _ = report?.takeDescriptor()
    } catch {
      try checkRefusal(error)
    }
    pair = try Socket.pair()
    try pair.first.send(input, passing: input[0] & 1 == 0 ? pair.first.number : -1)
    let stage = InitReporter(pair.takeSecond())
    do throws(RuntimeError) {
      _ = try stage.receiveHelp()
    } catch {
      // The error that was sent, or that there is none.
    }
    pair = try Socket.pair()
    try pair.first.send(input)
    _ = try InitReporter(pair.takeSecond()).receive()
  } catch {
    throw BrokenRule("no socket: \(error.text)")
  }
}

private func checkRefusal(_ error: RuntimeError) throws(SystemError) {
  if error.code != .initProtocol { throw SystemError("decode", .invalid, error.message) }
}

func fuzzWire(_ input: [UInt8]) throws(BrokenRule) {
  _ = try checkCoding(input, { (bytes) throws(WireError) in try InitPayload(decoding: bytes) }, { $0.encode() })
  _ = try checkCoding(input, { (bytes) throws(WireError) in try HelpRequest(decoding: bytes) }, { $0.encode() })
  if case .success(let report) = outcome({ () throws(RuntimeError) in try decodeReport(input) }) {
    let written = encodeReport(report)
    try hold(written.count <= Socket.packetLimit, "a report does not fit into a packet: \(written.count) bytes")
    guard case .success(let again) = outcome({ () throws(RuntimeError) in try decodeReport(written) }) else {
      throw BrokenRule("a report that was written cannot be read")
    }
    try hold(encodeReport(again) == written, "a report changes on the wire")
  }
  try receive(input)
}
