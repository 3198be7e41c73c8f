import Diagnostics
import FuzzSupport

@testable import Cgroups

/// What comes from whoever is at the other end of a connection: the answers to all calls of one command.
private func answer(_ input: [UInt8]) throws(BrokenRule) {
  guard let name = input.withUnsafeBufferPointer({ apus_answer($0.baseAddress, $0.count) }) else {
    throw BrokenRule("no server")
  }
  let client = SystemdClient(
    .system, address: "unix:abstract=" + String(cString: name), timeouts: SystemdTimeouts(bus: 8000, work: 8000))
  let properties = [
    UnitProperty("CPUQuotaPeriodUSec", .uint64(1), isOptional: true), UnitProperty("Slice", .string("x.slice")),
  ]
  let results = [
    outcome { () throws(RuntimeError) in try client.checkPresence() },
    outcome { () throws(RuntimeError) in try client.start("x.scope", properties) },
    outcome { () throws(RuntimeError) in try client.stop("x.scope") },
    outcome { () throws(RuntimeError) in try client.set(properties, of: "x.scope") },
    outcome { () throws(RuntimeError) in _ = try client.isEmpty("x.scope") },
    outcome { () throws(RuntimeError) in try client.attach(1, to: "x.scope") },
  ]
  for result in results {
    guard case .failure(let error) = result else { continue }
    try hold(error.code == .systemd, "`\(error.code.name)` is not about systemd")
    try hold(error.text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "the error is of more than one line")
    try hold(error.text.utf8.count < 2000, "the other end says how long our error is")
    // The other end has closed: whoever waits for a time-out has not seen it.
    try hold(!error.message.contains("no answer"), "the end of the connection is not seen: \(error.text)")
  }
}

/// Messages one after another.
private func checkMessages(_ input: [UInt8]) throws(BrokenRule) {
  var rest = input[...]
  while let length = DBusMessage.length(of: Array(rest.prefix(DBusMessage.prefixLength))) {
    try hold(length >= DBusMessage.prefixLength, "a message of \(length) bytes")
    if length > rest.count { return }
    if let message = DBusMessage(of: Array(rest.prefix(length))) {
      try hold(message.errorText.utf8.count <= 1800, "the text of an error is longer than it may be")
      var reader = DBusReader(message.body)
      do throws(DBusFormatError) {
        try reader.skipVariant()
      } catch {
        // Nearly always.
      }
      try hold(reader.position <= message.body.count + 8, "the reader is behind the end")
    }
    rest = rest.dropFirst(length)
  }
}

func fuzzDBus(_ input: [UInt8]) throws(BrokenRule) {
  // The lines of the authentication are in front of the messages.
  var start = 0
  while let end = input[start...].firstIndex(of: 0x0A), start == 0 || input[start] == 0x4F { start = end + 1 }
  try checkMessages(Array(input[start...]))
  try answer(input)
}
