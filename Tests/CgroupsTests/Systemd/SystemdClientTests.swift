import Diagnostics
import Foundation
import Testing

@testable import Cgroups
@testable import DBusSupport

@Suite struct SystemdClientTests {
  private static let job = "/org/freedesktop/systemd1/job/5"
  private static let short = SystemdTimeouts(bus: 300, work: 500)

  private func client(_ bus: FakeBus, _ timeouts: SystemdTimeouts = SystemdTimeouts(bus: 5000, work: 5000))
    -> SystemdClient
  {
    SystemdClient(.system, address: bus.address, timeouts: timeouts)
  }

  private func error(_ body: () throws -> Void) -> RuntimeError? {
    do {
      try body()
      return nil
    } catch {
      return error as? RuntimeError
    }
  }

  @Test func unitIsStartedWhenItsJobIsDone() throws {
    let bus = try FakeBus { _, _ in [.reply([.text(0x6F, Self.job)]), .jobRemoved(Self.job, "done")] }
    try client(bus).start("x.scope", [UnitProperty("Delegate", .bool(true))])
    #expect(bus.calls.map(\.member) == ["Hello", "AddMatch", "StartTransientUnit"])
    let call = try #require(bus.calls.last)
    #expect(call.signature == "ssa(sv)a(sa(sv))")
    #expect(try call.strings(2) == ["x.scope", "replace"])
    #expect(try bus.calls[1].strings(1)[0].hasSuffix("member='JobRemoved',arg2='x.scope'"))
  }

  /// The signal may come before the reply that says which job it is.
  @Test func jobThatEndsBeforeTheReplyIsNotMissed() throws {
    let bus = try FakeBus { _, _ in [.jobRemoved(Self.job, "done"), .reply([.text(0x6F, Self.job)])] }
    try client(bus).start("x.scope", [])
  }

  @Test func signalOfAnotherJobOrAnotherSenderIsNone() throws {
    let bus = try FakeBus { _, _ in
      [
        .reply([.text(0x6F, Self.job)]), .jobRemoved("/other", "failed"),
        .jobRemoved(Self.job, "failed", sender: ":1.66"),
        .jobRemoved(Self.job, "done"),
      ]
    }
    try client(bus).start("x.scope", [])
  }

  /// Anybody may send them, in the other order of bytes, as long as he likes, and with what has no meaning.
  @Test func signalThatCannotBeReadIsPassedOver() throws {
    let signal = BusMessage.encode(4, sender: ":1.66", member: "JobRemoved", [.uint32(5)])
    var strange = signal
    strange[20] = 0xFF
    let swapped =
      [0x42, 4, 0, 1] + [UInt8]([0, 0, 0, 3]) + [0, 0, 0, 1] + [0, 0, 0, 8] + [UInt8](repeating: 7, count: 11)
    let long: [UInt8] =
      [0x6C, 4, 0, 1, 0, 0, 0x20, 0] + [1, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 9, count: 0x20_0000)
    for bytes in [strange, swapped, long] {
      let bus = try FakeBus { _, _ in
        [.bytes(bytes), .reply([.text(0x6F, Self.job)]), .bytes(bytes), .jobRemoved(Self.job, "done")]
      }
      try client(bus).start("x.scope", [])
    }
  }

  /// systemd answers before it writes to the cgroup: what is asked behind it is answered when that is done.
  @Test func changeIsOverWhenTheNextQuestionIsAnswered() throws {
    let bus = try FakeBus { _, _ in [.reply([])] }
    try client(bus).set([UnitProperty("TasksMax", .uint64(5))], of: "x.scope")
    #expect(bus.calls.map(\.member).suffix(2) == ["SetUnitProperties", "GetUnit"])
  }

  @Test func unitIsEmptyWhereNoProcessIsNamed() throws {
    let type = Array("(sus)".utf8)
    let process: DBusValue = .structure([.string("/x"), .uint32(7), .string("sleep")])
    for (answer, isEmpty): (FakeBus.Answer, Bool) in [
      (.reply([.array(type, [])]), true), (.reply([.array(type, [process])]), false), (.reply([]), false),
      (.error(SystemdName.noSuchUnit, "no"), true), (.error("org.freedesktop.DBus.Error.UnknownMethod", "no"), false),
    ] {
      let bus = try FakeBus { _, _ in [answer] }
      #expect(try client(bus).isEmpty("x.scope") == isEmpty)
    }
  }

  @Test(arguments: ["failed", "timeout", "dependency", "canceled"])
  func jobThatDoesNotSucceedIsNamedWithItsUnit(_ result: String) throws {
    let bus = try FakeBus { call, _ in
      call.member == "ResetFailedUnit"
        ? [.reply([])] : [.reply([.text(0x6F, Self.job)]), .jobRemoved(Self.job, result)]
    }
    let failure = error { try client(bus).start("x.scope", []) }
    #expect(failure?.code == .systemd)
    #expect(failure?.text.contains("`x.scope`: its job ended with `\(result)`") == true)
    #expect(bus.members == ["StartTransientUnit", "ResetFailedUnit"])
  }

  @Test func unitThatHasFailedBeforeMakesRoomOnce() throws {
    let bus = try FakeBus { call, count in
      if call.member == "ResetFailedUnit" { return [.reply([])] }
      if count == 1 { return [.error(SystemdName.unitExists, "Unit x.scope already exists.")] }
      return [.reply([.text(0x6F, Self.job)]), .jobRemoved(Self.job, "done")]
    }
    try client(bus).start("x.scope", [])
    #expect(bus.members == ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"])
    let other = try FakeBus { call, _ in
      call.member == "ResetFailedUnit" ? [.reply([])] : [.error(SystemdName.unitExists, "Unit x.scope already exists.")]
    }
    let failure = error { try client(other).start("x.scope", []) }
    #expect(failure?.text.contains("another unit of this name is in use") == true)
    #expect(other.members.count == 3)
  }

  @Test func propertyThatSystemdDoesNotKnowIsLeftOut() throws {
    let bus = try FakeBus { call, count in
      count < 3
        ? [
          .error(
            "org.freedesktop.DBus.Error.PropertyReadOnly",
            "Cannot set property \(count == 1 ? "AllowedCPUs" : "CPUWeight"), or unknown property.")
        ]
        : [.reply([.text(0x6F, Self.job)]), .jobRemoved(Self.job, "done")]
    }
    try client(bus).start(
      "x.scope",
      [
        UnitProperty("AllowedCPUs", .bytes([1]), isOptional: true),
        UnitProperty("CPUWeight", .uint64(5), isOptional: true),
        UnitProperty("MemoryMax", .uint64(5), isOptional: true),
      ])
    #expect(bus.members.count == 3)
    let last = String(decoding: try #require(bus.calls.last).body, as: UTF8.self)
    #expect(last.contains("MemoryMax") && !last.contains("AllowedCPUs") && !last.contains("CPUWeight"))
  }

  @Test func propertyThatSomebodyAskedForIsNotLeftOut() throws {
    let bus = try FakeBus { _, _ in
      [
        .error(
          "org.freedesktop.DBus.Error.PropertyReadOnly", "Cannot set property Nonsense,\nor unknown\u{7} property.")
      ]
    }
    let failure = error { try client(bus).start("x.scope", [UnitProperty("Nonsense", .bool(true))]) }
    #expect(
      failure?.text
        == "cannot start the unit `x.scope`: Cannot set property Nonsense, or unknown  property. (org.freedesktop.DBus.Error.PropertyReadOnly)"
    )
    #expect(bus.members.count == 1)
  }

  @Test func stopOfAUnitThatIsGoneIsNoError() throws {
    let gone = try FakeBus { _, _ in [.error(SystemdName.noSuchUnit, "Unit x.scope not loaded.")] }
    try client(gone).stop("x.scope")
    let bus = try FakeBus { call, _ in
      call.member == "StopUnit" ? [.reply([.text(0x6F, Self.job)])] : [.reply([]), .jobRemoved(Self.job, "done")]
    }
    try client(bus).stop("x.scope")
    #expect(bus.members == ["StopUnit", "ResetFailedUnit"])
    let denied = try FakeBus { _, _ in [.error("org.freedesktop.DBus.Error.AccessDenied", "no")] }
    #expect(error { try client(denied).stop("x.scope") }?.code == .systemd)
  }

  @Test func changeHoldsUntilTheMachineIsStartedAgain() throws {
    let bus = try FakeBus { _, _ in [.reply([])] }
    try client(bus).set([UnitProperty("MemoryMax", .uint64(7), isOptional: true)], of: "x.scope")
    let call = try #require(bus.calls.last { $0.member == "SetUnitProperties" })
    #expect(call.signature == "sba(sv)")
    var reader = DBusReader(call.body)
    #expect(try reader.string() == "x.scope")
    #expect(try reader.uint32() == 1)
  }

  @Test func processIsMovedByItsNumber() throws {
    let bus = try FakeBus { _, _ in [.reply([])] }
    try client(bus).attach(4711, to: "x.scope")
    #expect(bus.calls.last?.signature == "ssau")
  }

  /// Without a bus there is nobody to say hello to, nor one that would have to be asked for signals.
  @Test func systemdItselfIsAskedWhereTheBusIsAbsent() throws {
    let systemd = try FakeBus { _, _ in
      [.reply([.text(0x6F, Self.job)]), .jobRemoved(Self.job, "done")]
    }
    let direct = DBusAddress(name: systemd.name, isAbstract: true)
    let client = SystemdClient(.system, address: "unix:path=/nowhere/bus", direct: direct, timeouts: Self.short)
    try client.start("x.scope", [])
    try client.checkPresence()
    #expect(systemd.calls.map(\.member) == ["StartTransientUnit"])
    // A bus that answers is asked first.
    let bus = try FakeBus { _, _ in [.reply([.text(0x6F, Self.job)]), .jobRemoved(Self.job, "done")] }
    try SystemdClient(.system, address: bus.address, direct: direct, timeouts: Self.short).start("x.scope", [])
    #expect(bus.members.count == 1 && systemd.calls.count == 1)
    let nobody = SystemdClient(
      .system, address: "unix:path=/nowhere/bus", direct: DBusAddress(name: "/nowhere/private", isAbstract: false),
      timeouts: Self.short)
    #expect(
      error { try nobody.start("x.scope", []) }?.text.contains("the system bus at `unix:path=/nowhere/bus`") == true)
  }

  // A bus that is absent, late, or dies half way

  @Test func absentBusIsNamedWithItsAddress() {
    let client = SystemdClient(.system, address: "unix:path=/nowhere/bus", timeouts: Self.short)
    let failure = error { try client.start("x.scope", []) }
    #expect(failure?.code == .systemd)
    #expect(
      failure?.text.contains(
        "cannot reach the system bus at `unix:path=/nowhere/bus`: openat /nowhere/bus: no such file") == true)
  }

  @Test(arguments: ["", "tcp:host=localhost,port=1", "unix", "unix:path=%0", "unix:dir=/tmp", "unix:path=%00"])
  func addressThatCannotBeUsedIsRefused(_ address: String) {
    let failure = error { try SystemdClient(.user, address: address, timeouts: Self.short).stop("x.scope") }
    #expect(failure?.text.contains("is no address of the user bus") == true)
  }

  @Test func lateBusIsGivenUp() throws {
    for greeting in [nil, "DATA\r\n"] {
      let bus = try FakeBus(greeting: greeting) { _, _ in [.silence] }
      let start = Date()
      let failure = error { try client(bus, Self.short).start("x.scope", []) }
      #expect(
        failure?.text
          == "cannot start the unit `x.scope`: no answer from the system bus at `\(bus.address)` within 0 seconds")
      #expect(Date().timeIntervalSince(start) < 3)
    }
  }

  @Test func lateSystemdIsGivenUp() throws {
    for answers in [[FakeBus.Answer.silence], [.reply([.text(0x6F, Self.job)]), .silence]] {
      let box = Box(answers)
      let bus = try FakeBus { _, _ in box.answers }
      let start = Date()
      let failure = error { try client(bus, Self.short).start("x.scope", []) }
      #expect(
        failure?.text
          == "cannot start the unit `x.scope`: no answer from systemd on the system bus at `\(bus.address)` within 0 seconds"
      )
      #expect(Date().timeIntervalSince(start) < 3)
    }
  }

  /// The bus lets everybody send signals to everybody.
  @Test func signalsOfOthersDoNotHideTheRightOne() throws {
    let bus = try FakeBus { _, _ in
      [.reply([.text(0x6F, Self.job)])] + (0..<1000).map { .jobRemoved("/other\($0)", "failed", sender: ":1.66") }
        + [.jobRemoved(Self.job, "done")]
    }
    try client(bus).start("x.scope", [])
  }

  /// Somebody who talks without an end about something else.
  @Test func busThatTalksOfOtherThingsIsGivenUp() throws {
    let bus = try FakeBus { _, _ in
      (0..<2000).map { _ in .jobRemoved("/other", "done") } + [.silence]
    }
    #expect(error { try client(bus, Self.short).start("x.scope", []) }?.code == .systemd)
  }

  @Test func busThatDiesHalfWayIsAnError() throws {
    let reply = BusMessage.encode(2, replyTo: 3, [.text(0x6F, Self.job)])
    for answers in [
      [FakeBus.Answer.close], [.reply([.text(0x6F, Self.job)]), .close], [.bytes(Array(reply[..<20])), .close],
      [.bytes(Array(reply.dropLast())), .close],
    ] {
      let box = Box(answers)
      let bus = try FakeBus { _, _ in box.answers }
      let failure = error { try client(bus, Self.short).start("x.scope", []) }
      #expect(
        failure?.text
          == "cannot start the unit `x.scope`: the system bus at `\(bus.address)` has closed the connection")
    }
  }

  @Test func whatIsNoBusIsRefused() throws {
    for greeting in ["REJECTED EXTERNAL\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", String(repeating: "x", count: 5000)] {
      let bus = try FakeBus(greeting: greeting) { _, _ in [.silence] }
      let failure = error { try client(bus, Self.short).start("x.scope", []) }
      let expected = "the system bus at `\(bus.address)` does not let us in"
      #expect(failure?.text.contains(expected) == true, "\(failure?.text ?? "nothing")")
    }
  }

  @Test func answerThatIsNoMessageIsRefused() throws {
    for bytes in [
      [UInt8](repeating: 0x42, count: 64), [0x6C, 2, 0, 1, 0xFF, 0xFF, 0xFF, 0x7F] + [UInt8](repeating: 0, count: 8),
    ] {
      let bus = try FakeBus { _, _ in [.bytes(bytes), .silence] }
      let failure = error { try client(bus, Self.short).start("x.scope", []) }
      let expected = "the system bus at `\(bus.address)` sent what is no message of D-Bus"
      #expect(failure?.text == "cannot start the unit `x.scope`: " + expected)
    }
    let bus = try FakeBus { _, _ in [.reply([.uint32(7)]), .silence] }
    #expect(
      error { try client(bus, Self.short).start("x.scope", []) }?.text.contains("without the name of a job") == true)
  }

  private struct Box: @unchecked Sendable {
    let answers: [FakeBus.Answer]
    init(_ answers: [FakeBus.Answer]) { self.answers = answers }
  }
}
