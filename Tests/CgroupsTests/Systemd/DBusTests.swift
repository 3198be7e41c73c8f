import Foundation
import Testing

@testable import Cgroups
@testable import DBusSupport

@Suite struct DBusTests {
  private func bytes(_ value: DBusValue) -> [UInt8] {
    var writer = DBusWriter()
    writer.put(value)
    return writer.bytes
  }

  @Test func valuesAreMarshalledAndAligned() {
    #expect(bytes(.bool(true)) == [1, 0, 0, 0])
    #expect(bytes(.uint64(0x0102_0304_0506_0708)) == [8, 7, 6, 5, 4, 3, 2, 1])
    #expect(bytes(.string("ab")) == [2, 0, 0, 0, 0x61, 0x62, 0])
    #expect(bytes(.text(0x67, "as")) == [2, 0x61, 0x73, 0])
    // The length of an array is without the padding in front of its first element.
    #expect(bytes(.array([0x74], [.uint64(1)])) == [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    #expect(bytes(.array([0x74], [])) == [0, 0, 0, 0, 0, 0, 0, 0])
    #expect(bytes(.bytes([7, 9])) == [2, 0, 0, 0, 7, 9])
    // (sv): the text, the signature, then padding up to the number.
    #expect(
      bytes(.structure([.string("A"), .variant(.uint64(1))]))
        == [1, 0, 0, 0, 0x41, 0, 1, 0x74, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func signaturesAreThoseOfTheSpecification() {
    let value = DBusValue.array(Array("(sv)".utf8), [])
    #expect(String(decoding: value.signature, as: UTF8.self) == "a(sv)")
    #expect(String(decoding: DBusValue.structure([.bool(true), .bytes([])]).signature, as: UTF8.self) == "(bay)")
    #expect(DBusValue.variant(.bool(true)).signature == [0x76])
  }

  @Test func callIsReadBackAsItWasWritten() throws {
    let call = DBusCall("StopUnit", [.string("x.scope"), .string("replace")])
    let encoded = call.encode(serial: 9)
    #expect(try DBusMessage.length(encoded) == encoded.count)
    let message = try DBusMessage(encoded)
    #expect(message.kind == .call && message.member == "StopUnit" && message.signature == Array("ss".utf8))
    #expect(message.interface == SystemdName.managerInterface)
    var reader = DBusReader(message.body)
    #expect(try reader.string() == "x.scope")
    #expect(try reader.string() == "replace")
  }

  /// Fields that nobody knows yet are passed over, whatever is in them.
  @Test func unknownFieldsOfAHeaderAreIgnored() throws {
    let values: [DBusValue] = [
      .string("x"), .uint64(3), .bytes([1, 2, 3]),
      .variant(.array(Array("(sv)".utf8), [.structure([.string("a"), .variant(.bool(true))])])),
      .structure([.number(0x79, 1), .text(0x67, "a{sv}"), .uint32(2)]), .array(Array("a{sv}".utf8), []),
    ]
    for value in values {
      let message = BusMessage.encode(2, replyTo: 42, [], extra: [value])
      #expect(try DBusMessage(message).replySerial == 42, "\(value)")
    }
  }

  /// Every cut and every changed byte is a message or an error, and nothing else.
  @Test func messageThatIsCutOrChangedIsAnErrorOrAMessage() throws {
    let message = BusMessage.encode(
      4, replyTo: 3, member: "JobRemoved", error: "a.b.C",
      [.uint32(5), .text(0x6F, "/job"), .string("x.scope"), .string("done")])
    #expect(try DBusMessage(message).member == "JobRemoved")
    for length in 0..<message.count {
      #expect(throws: DBusFormatError.self) { try DBusMessage(Array(message[..<length])) }
    }
    var understood = 0
    for place in message.indices {
      for value: UInt8 in 0...255 {
        var changed = message
        changed[place] = value
        if isUnderstood(changed) { understood += 1 }
      }
    }
    #expect(understood > message.count && understood < 255 * message.count)
  }

  @Test func noiseIsAnErrorOrAMessage() throws {
    var generator = SystemRandomNumberGenerator()
    let base = BusMessage.encode(3, replyTo: 3, error: "a.b", [.string("text")])
    var understood = 0
    for _ in 0..<20_000 {
      var bytes = base
      for _ in 0..<Int.random(in: 1...12, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      if isUnderstood(bytes) { understood += 1 }
      var noise = (0..<Int.random(in: 16...200, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      noise.replaceSubrange(0..<4, with: [0x6C, 2, 0, 1])
      // Lengths that fit, or nothing would come behind the first look.
      noise.replaceSubrange(4..<8, with: [UInt8(noise.count % 8), 0, 0, 0])
      noise.replaceSubrange(12..<16, with: [UInt8(noise.count / 8 * 8 - 16), 0, 0, 0])
      _ = isUnderstood(noise)
    }
    #expect(understood > 0 && understood < 20_000)
  }

  /// Whether the bytes are a message. Nothing but the error that says they are none comes of them.
  private func isUnderstood(_ bytes: [UInt8]) -> Bool {
    do throws(DBusFormatError) {
      let message = try DBusMessage(bytes)
      _ = message.errorText
      _ = beginsWithVariant(message.body)
      return true
    } catch {
      return false
    }
  }

  private func beginsWithVariant(_ body: [UInt8]) -> Bool {
    var reader = DBusReader(body)
    do throws(DBusFormatError) {
      try reader.skipVariant()
      return true
    } catch {
      return false
    }
  }

  @Test func nestingHasAnEnd() {
    // Variants in variants, and arrays of arrays.
    var reader = DBusReader([UInt8]((0..<100).flatMap { _ in [1, 0x76, 0] as [UInt8] }))
    #expect(throws: DBusFormatError.self) { try reader.skipVariant() }
    var arrays = DBusReader([200] + [UInt8](repeating: 0x61, count: 200) + [0] + [UInt8](repeating: 0, count: 100))
    #expect(throws: DBusFormatError.self) { try arrays.skipVariant() }
    var structures = DBusReader([200] + [UInt8](repeating: 0x28, count: 200) + [0])
    #expect(throws: DBusFormatError.self) { try structures.skipVariant() }
  }

  @Test func addressesAreTakenApart() {
    #expect(DBusAddress.places("unix:path=/run/bus") == [DBusAddress(name: "/run/bus", isAbstract: false)])
    #expect(
      DBusAddress.places("unix:abstract=/tmp/x,guid=5;tcp:host=h;unix:guid=1,path=/a%20b%2c")
        == [DBusAddress(name: "/tmp/x", isAbstract: true), DBusAddress(name: "/a b,", isAbstract: false)])
    #expect(DBusAddress.places("unix:path=%zz") == nil)
    #expect(DBusAddress.places("nothing") == nil)
    #expect(DBusAddress.escaped("/run/a b,c;d%") == "/run/a%20b%2cc%3bd%25")
  }

  @Test func busIsThatOfTheEnvironment() {
    func address(_ bus: SystemdBus, _ environment: [String: String]) -> String { bus.address { environment[$0] } }
    #expect(address(.system, [:]) == "unix:path=/run/dbus/system_bus_socket")
    #expect(
      address(.system, ["DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/x", "DBUS_SESSION_BUS_ADDRESS": "y"]) == "unix:path=/x")
    #expect(address(.user, ["DBUS_SESSION_BUS_ADDRESS": "unix:path=/y", "XDG_RUNTIME_DIR": "/r"]) == "unix:path=/y")
    #expect(address(.user, ["DBUS_SESSION_BUS_ADDRESS": "", "XDG_RUNTIME_DIR": "/r;1"]) == "unix:path=/r%3b1/bus")
    #expect(address(.user, [:]).hasPrefix("unix:path=/run/user/"))
  }
}
