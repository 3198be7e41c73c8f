package import Diagnostics

/// Names on the bus, and those of errors.
enum SystemdName {
  static let bus = "org.freedesktop.DBus"
  static let manager = "org.freedesktop.systemd1"
  static let managerInterface = "org.freedesktop.systemd1.Manager"
  static let unitExists = "org.freedesktop.systemd1.UnitExists"
  static let noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
}

/// What is asked of systemd (org.freedesktop.systemd1(5)). Each call is a connection of its own.
package struct SystemdClient: Sendable {
  let bus: SystemdBus
  /// Nil for the one of the environment.
  let address: String?
  let timeouts: SystemdTimeouts

  package init(_ bus: SystemdBus, address: String? = nil, timeouts: SystemdTimeouts = SystemdTimeouts()) {
    self.bus = bus
    self.address = address
    self.timeouts = timeouts
  }

  /// Whether somebody listens on the bus and lets us in. Asks nothing of systemd.
  package func checkPresence() throws(RuntimeError) {
    let connection = try DBusConnection(bus, address: address, timeouts: timeouts)
    let purpose = "cannot use the \(bus.name) bus"
    // Hello is the first call.
    let reply = try connection.reply(to: 1, purpose)
    if reply.kind == .error { throw RuntimeError(.systemd, "\(purpose): \(reply.errorText)") }
  }

  /// Makes a transient unit and returns when systemd has done with it. One of the same name that has failed makes room.
  ///
  /// Properties that this systemd does not know, and that are written to files as well, are left out.
  package func start(_ unit: String, _ properties: [UnitProperty]) throws(RuntimeError) {
    let purpose = "cannot start the unit `\(unit)`"
    let connection = try DBusConnection(bus, address: address, timeouts: timeouts)
    listen(connection, unit)
    var properties = properties
    var isReset = false
    while true {
      let reply = try connection.reply(
        to: connection.queue(
          DBusCall(
            member: "StartTransientUnit",
            body: [
              .string(unit), .string("replace"), SystemdClient.list(properties),
              .array(Array("(sa(sv))".utf8), []),
            ])), purpose)
      if reply.kind == .reply { return try finish(connection, reply, unit, purpose) }
      if reply.errorName == SystemdName.unitExists && !isReset {
        isReset = true
        connection.queue(DBusCall(member: "ResetFailedUnit", body: [.string(unit)]))
        continue
      }
      try SystemdClient.drop(from: &properties, reply, purpose, unit)
    }
  }

  /// Stops a unit and returns when it is gone. One that does not exist is no error.
  package func stop(_ unit: String) throws(RuntimeError) {
    let purpose = "cannot stop the unit `\(unit)`"
    let connection = try DBusConnection(bus, address: address, timeouts: timeouts)
    listen(connection, unit)
    let stop = connection.queue(DBusCall(member: "StopUnit", body: [.string(unit), .string("replace")]))
    // One that has failed before stays until somebody takes note of it.
    let reset = connection.queue(DBusCall(member: "ResetFailedUnit", body: [.string(unit)]))
    let reply = try connection.reply(to: stop, purpose)
    if reply.kind == .error {
      if reply.errorName == SystemdName.noSuchUnit { return }
      throw RuntimeError(.systemd, "\(purpose): \(reply.errorText)")
    }
    _ = try connection.reply(to: reset, purpose)
    let result = try connection.result(ofJob: try job(reply, purpose), from: reply.sender, purpose)
    if result == "done" { return }
    _ = try connection.reply(
      to: connection.queue(DBusCall(member: "ResetFailedUnit", body: [.string(unit)])), purpose)
    throw RuntimeError(.systemd, "\(purpose): its job ended with `\(result)`")
  }

  /// Changes properties of a unit in use, until the machine is started again.
  package func set(_ properties: [UnitProperty], of unit: String) throws(RuntimeError) {
    if properties.isEmpty { return }
    let purpose = "cannot change the unit `\(unit)`"
    let connection = try DBusConnection(bus, address: address, timeouts: timeouts)
    var properties = properties
    while true {
      let reply = try connection.reply(
        to: connection.queue(
          DBusCall(
            member: "SetUnitProperties", body: [.string(unit), .bool(true), SystemdClient.list(properties)])),
        purpose)
      if reply.kind == .reply { return }
      try SystemdClient.drop(from: &properties, reply, purpose, unit)
      if properties.isEmpty { return }
    }
  }

  /// Moves a process into a unit: systemd may, where the caller may not.
  package func attach(_ pid: Int32, to unit: String) throws(RuntimeError) {
    let purpose = "cannot move process \(pid) into the unit `\(unit)`"
    let connection = try DBusConnection(bus, address: address, timeouts: timeouts)
    let reply = try connection.reply(
      to: connection.queue(
        DBusCall(
          member: "AttachProcessesToUnit",
          body: [.string(unit), .string(""), .array([0x75], [.uint32(UInt32(bitPattern: pid))])])), purpose)
    if reply.kind == .error { throw RuntimeError(.systemd, "\(purpose): \(reply.errorText)") }
  }

  /// Asks for the signal with which systemd tells the end of a job, before there is one.
  private func listen(_ connection: DBusConnection, _ unit: String) {
    connection.queue(
      DBusCall(
        destination: SystemdName.bus, path: "/org/freedesktop/DBus", interface: SystemdName.bus, member: "AddMatch",
        body: [
          .string(
            "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',"
              + "interface='org.freedesktop.systemd1.Manager',member='JobRemoved',arg2='" + unit + "'")
        ]))
  }

  private func finish(
    _ connection: DBusConnection, _ reply: DBusMessage, _ unit: String, _ purpose: String
  ) throws(RuntimeError) {
    let result = try connection.result(ofJob: try job(reply, purpose), from: reply.sender, purpose)
    if result == "done" { return }
    _ = try connection.reply(
      to: connection.queue(DBusCall(member: "ResetFailedUnit", body: [.string(unit)])), purpose)
    throw RuntimeError(
      .systemd, "\(purpose): its job ended with `\(result)`", hint: "`journalctl -b -u \(unit)` may tell why")
  }

  private func job(_ reply: DBusMessage, _ purpose: String) throws(RuntimeError) -> String {
    var reader = DBusReader(reply.body)
    do throws(DBusFormatError) {
      if reply.signature == [0x6F] { return try reader.string() }
    } catch {
      // Said below.
    }
    throw RuntimeError(.systemd, "\(purpose): systemd answers without the name of a job")
  }

  /// `a(sv)`
  private static func list(_ properties: [UnitProperty]) -> DBusValue {
    .array(Array("(sv)".utf8), properties.map { .structure([.string($0.name), .variant($0.value)]) })
  }

  /// Takes the property out that an error names, if it may be done without; else the error is thrown.
  private static func drop(
    from properties: inout [UnitProperty], _ reply: DBusMessage, _ purpose: String, _ unit: String
  ) throws(RuntimeError) {
    let text = reply.errorText
    if reply.errorName.utf8.starts(with: "org.freedesktop.DBus.Error.".utf8) {
      // `CPUQuotaPeriodUSec` is said in `Cannot set property CPUQuotaPeriodUSec, or unknown property.`
      for word in text.utf8.split(whereSeparator: { !isLetter($0) }) {
        guard let index = properties.firstIndex(where: { $0.isOptional && $0.name.utf8.elementsEqual(word) })
        else { continue }
        let name = properties[index].name
        properties.removeAll { $0.name == name }
        return
      }
    }
    throw RuntimeError(
      .systemd, "\(purpose): \(text)",
      hint: reply.errorName == SystemdName.unitExists ? "another unit of this name is in use" : "")
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (byte >= 0x41 && byte <= 0x5A) || (byte >= 0x61 && byte <= 0x7A)
  }
}
