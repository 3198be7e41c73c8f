package import Diagnostics
import Linux

/// Names on the bus, and those of errors.
enum SystemdName {
  static let bus = "org.freedesktop.DBus"
  static let manager = "org.freedesktop.systemd1"
  static let managerInterface = "org.freedesktop.systemd1.Manager"
  static let unitExists = "org.freedesktop.systemd1.UnitExists"
  static let noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
  /// Where systemd speaks D-Bus without a bus, to root alone.
  static let privateSocket = "/run/systemd/private"
}

/// What is asked of systemd (org.freedesktop.systemd1(5)). Each call is a connection of its own.
package struct SystemdClient: Sendable {
  let bus: SystemdBus
  /// Nil for the one of the environment.
  let address: String?
  /// systemd itself, for a machine whose bus is absent: one that was not installed, or is about to be started.
  let direct: DBusAddress?
  let timeouts: SystemdTimeouts

  package init(_ bus: SystemdBus, timeouts: SystemdTimeouts = SystemdTimeouts()) {
    let isUsual = bus == .system && (Environment.value("DBUS_SYSTEM_BUS_ADDRESS") ?? "").isEmpty
    self.init(
      bus, address: nil, direct: isUsual ? DBusAddress(name: SystemdName.privateSocket, isAbstract: false) : nil,
      timeouts: timeouts)
  }

  init(_ bus: SystemdBus, address: String?, direct: DBusAddress? = nil, timeouts: SystemdTimeouts) {
    self.bus = bus
    self.address = address
    self.direct = direct
    self.timeouts = timeouts
  }

  /// Whether somebody listens on the bus and lets us in. Asks nothing of systemd.
  package func checkPresence() throws(RuntimeError) {
    try DBusConnection(self, "cannot use systemd").checkIn()
  }

  /// Makes a transient unit and returns when systemd has done with it. One of the same name that has failed makes room.
  ///
  /// Properties that this systemd does not know, and that are written to files as well, are left out.
  package func start(_ unit: String, _ properties: [UnitProperty]) throws(RuntimeError) {
    let connection = try connect("start", unit)
    try connection.checkProcesses()
    listen(connection, unit)
    var properties = properties
    var isReset = false
    while true {
      let reply = try connection.reply(
        to: connection.queue(
          "StartTransientUnit",
          [
            .string(unit), .string("replace"), SystemdClient.list(properties),
            .array([0x28, 0x73, 0x61, 0x28, 0x73, 0x76, 0x29, 0x29], []),  // (sa(sv))
          ]))
      if reply.kind == .reply {
        let result = try connection.result(of: reply)
        if result == "done" { return }
        try reset(connection, unit)
        throw connection.failure(
          "its job ended with `" + result + "`", hint: "`journalctl -b -u " + unit + "` may tell why")
      }
      if reply.errorName == SystemdName.unitExists && !isReset {
        isReset = true
        connection.queue("ResetFailedUnit", [.string(unit)])
        continue
      }
      try SystemdClient.drop(from: &properties, reply, connection)
    }
  }

  /// Stops a unit and returns when it is gone. One that does not exist is no error.
  package func stop(_ unit: String) throws(RuntimeError) {
    let connection = try connect("stop", unit)
    listen(connection, unit)
    let stop = connection.queue("StopUnit", [.string(unit), .string("replace")])
    // One that has failed before stays until somebody takes note of it.
    connection.queue("ResetFailedUnit", [.string(unit)])
    let reply = try connection.reply(to: stop)
    if reply.kind == .error {
      if reply.errorName == SystemdName.noSuchUnit { return }
      throw connection.failure(reply.errorText)
    }
    let result = try connection.result(of: reply)
    if result == "done" { return }
    try reset(connection, unit)
    throw connection.failure("its job ended with `" + result + "`")
  }

  /// Lets go of a unit that has failed; of any other one nothing changes.
  package func forget(_ unit: String) throws(RuntimeError) {
    try reset(try connect("reset", unit), unit)
  }

  /// Changes properties of a unit in use, until the machine is started again.
  package func set(_ properties: [UnitProperty], of unit: String) throws(RuntimeError) {
    if properties.isEmpty { return }
    let connection = try connect("change", unit)
    var properties = properties
    while !properties.isEmpty {
      let reply = try connection.reply(
        to: connection.queue(
          "SetUnitProperties", [.string(unit), .bool(true), SystemdClient.list(properties)]))
      if reply.kind == .reply {
        // It answers before it writes to the cgroup; what is asked next it answers behind that.
        _ = try connection.reply(to: connection.queue("GetUnit", [.string(unit)]))
        return
      }
      try SystemdClient.drop(from: &properties, reply, connection)
    }
  }

  /// Whether a unit has no process, or does not exist; false where systemd does not say.
  package func isEmpty(_ unit: String) throws(RuntimeError) -> Bool {
    let connection = try connect("look at", unit)
    let reply = try connection.reply(to: connection.queue("GetUnitProcesses", [.string(unit)]))
    if reply.kind == .error { return reply.errorName == SystemdName.noSuchUnit }
    // The length of a list.
    return reply.body.count >= 4 && reply.body[..<4].allSatisfy { $0 == 0 }
  }

  /// Moves a process into a unit: systemd may, where the caller may not.
  package func attach(_ pid: Int32, to unit: String) throws(RuntimeError) {
    let connection = try connect("move a process into", unit)
    try connection.checkProcesses()
    let reply = try connection.reply(
      to: connection.queue("AttachProcessesToUnit", [.string(unit), .string(""), .processes(pid)]))
    if reply.kind == .error { throw connection.failure(reply.errorText) }
  }

  private func connect(_ verb: String, _ unit: String) throws(RuntimeError) -> DBusConnection {
    try DBusConnection(self, "cannot " + verb + " the unit `" + unit + "`")
  }

  /// Asks for the signal with which systemd tells the end of a job, before there is one.
  private func listen(_ connection: DBusConnection, _ unit: String) {
    connection.queue(
      "AddMatch",
      [
        .string(
          "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',"
            + "interface='org.freedesktop.systemd1.Manager',member='JobRemoved',arg2='" + unit + "'")
      ], toBus: true)
  }

  private func reset(_ connection: DBusConnection, _ unit: String) throws(RuntimeError) {
    _ = try connection.reply(to: connection.queue("ResetFailedUnit", [.string(unit)]))
  }

  /// `a(sv)`
  private static func list(_ properties: [UnitProperty]) -> DBusValue {
    .array([0x28, 0x73, 0x76, 0x29], properties.map { .structure([.string($0.name), .variant($0.value)]) })
  }

  /// Takes the property out that an error names, if it may be done without; else the error is thrown.
  private static func drop(
    from properties: inout [UnitProperty], _ reply: DBusMessage, _ connection: DBusConnection
  ) throws(RuntimeError) {
    let text = reply.errorText
    if reply.errorName.utf8.starts(with: "org.freedesktop.DBus.Error.".utf8) {
      // `CPUQuotaPeriodUSec` is said in `Cannot set property CPUQuotaPeriodUSec, or unknown property.`
      let letters = text.utf8.map { ($0 | 0x20) >= 0x61 && ($0 | 0x20) <= 0x7A ? $0 : 0x20 }
      for word in CgroupText.words(letters) {
        guard let index = properties.firstIndex(where: { $0.isOptional && $0.name == word }) else { continue }
        properties.remove(at: index)
        return
      }
    }
    throw connection.failure(
      text, hint: reply.errorName == SystemdName.unitExists ? "another unit of this name is in use" : "")
  }
}
