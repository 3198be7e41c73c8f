// What it is built of is internal to Cgroups, which only builds for tests and fuzzers let in.
#if DEBUG || APUS_FUZZ
  @testable import Cgroups

  /// Messages of D-Bus as a bus and systemd send them (D-Bus specification, "Message Protocol"): for tests and fuzzers, which read them.
  enum BusMessage {
    /// A message of the type with the number `kind`. `extra` are fields of its header that nobody knows.
    static func encode(
      _ kind: UInt64, replyTo serial: UInt32 = 0, sender: String = ":1.1", member: String = "", error: String = "",
      _ body: [DBusValue], extra: [DBusValue] = []
    ) -> [UInt8] {
      var content = DBusWriter()
      for value in body { content.put(value) }
      var writer = DBusWriter()
      for byte: UInt64 in [0x6C, kind, 0, 1] { writer.put(byte, size: 1) }
      writer.put(UInt64(content.bytes.count), size: 4)
      writer.put(1, size: 4)
      var fields: [DBusValue] = []
      func field(_ code: UInt64, _ value: DBusValue) {
        fields.append(.structure([.number(0x79, code), .variant(value)]))
      }
      for value in extra { field(77, value) }
      field(7, .string(sender))
      if serial != 0 { field(5, .uint32(serial)) }
      if !error.isEmpty { field(4, .string(error)) }
      if !member.isEmpty {
        field(1, .text(0x6F, "/org/freedesktop/systemd1"))
        field(2, .string(SystemdName.managerInterface))
        field(3, .string(member))
      }
      let signature = body.flatMap(\.signature)
      if !signature.isEmpty { field(8, .text(0x67, String(decoding: signature, as: UTF8.self))) }
      writer.put(.array(Array("(yv)".utf8), fields))
      writer.align(8)
      return writer.bytes + content.bytes
    }
  }
#endif
