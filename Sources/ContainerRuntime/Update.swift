import Cgroups
import ContainerPlan
public import Diagnostics
import Linux
import LinuxABI
public import OCISpec

/// What `update` is told.
public struct UpdateOptions: Sendable {
  /// The document with the new limits (config-linux.md, "Control groups"), `-` for standard input; nil to take `resources`.
  public var resourcesFile: String?
  /// The new limits. What is absent stays as it is.
  public var resources = Resources()
  /// A new line for the class of service of the container in resctrl: the L3 cache (`L3:0=f`).
  public var cacheSchema: String?
  /// The same for the memory bandwidth (`MB:0=20`).
  public var bandwidthSchema: String?

  public init() {}
}

extension ContainerRuntime {
  /// Changes the limits of a container that is created, running or paused: all that are given, or none.
  ///
  /// Rules for devices take the place of all that were there before, but for those of the default devices. An empty list
  /// changes nothing.
  ///
  /// - Throws: an error whose field is the JSON pointer into the resources.
  public func update(_ id: String, _ options: UpdateOptions) throws(RuntimeError) {
    try checkID(id)
    guard let path = options.resourcesFile else {
      try apply(options.resources, to: id, options)
      return
    }
    let name = path == "-" ? "standard input" : path
    // Before the lock: whoever writes it may take his time.
    let resources = try Resources.decode(try readDocument(path, name), file: name)
    do {
      try apply(resources, to: id, options)
    } catch {
      throw error.field.utf8.first == 0x2F ? error.during("`\(name)`") : error
    }
  }

  private func readDocument(_ path: String, _ name: String) throws(RuntimeError) -> [UInt8] {
    do {
      if path == "-" { return try FileDescriptor.duplicate(of: 0).readAll(limit: Bundle.sizeLimit) }
      // Of a pipe the writer is waited for.
      return try FileDescriptor.open(path, [.readOnly, .noControllingTerminal]).readAll(limit: Bundle.sizeLimit)
    } catch {
      throw error.because(.configMissing, "cannot read the resources from `\(name)`", field: "--resources")
    }
  }

  private func apply(_ resources: Resources, to id: String, _ options: UpdateOptions) throws(RuntimeError) {
    // Two at once would each put back what the other has written.
    let entry = try openSoon(id)
    guard let record = try entry.read(), try isAlive(record) else {
      throw RuntimeError(.containerNotRunning, "container not running: `\(id)` is stopped")
    }
    let resctrl = try changeClass(record, options)
    do throws(RuntimeError) {
      try apply(resources, to: record, entry)
    } catch {
      guard let text = resctrl?.putBack() else { throw error }
      var error = error
      error.hint += error.hint.isEmpty ? text : "; \(text)"
      throw error
    }
  }

  /// The pointers of errors are those of the configuration until here; the document is a part of it.
  private func apply(
    _ resources: Resources, to record: ContainerRecord, _ entry: borrowing StateStore.Entry
  ) throws(RuntimeError) {
    do throws(RuntimeError) {
      let manager = CgroupManager(record: record.cgroup)
      if let devices = try deviceUpdate(resources.devices ?? [], record) {
        try apply(resources, devices, manager, record, entry)
      } else {
        try manager.update(resources, pointer: ContainerRuntime.base)
      }
      for warning in ResourceConversion.warnings(resources, pointer: "") { options.log.warning(warning.text) }
    } catch {
      guard error.field.utf8.starts(with: ContainerRuntime.base.utf8) else { throw error }
      var error = error
      error.field = String(decoding: error.field.utf8.dropFirst(ContainerRuntime.base.utf8.count), as: UTF8.self)
      throw error
    }
  }

  /// Nil where nothing changes: managers send the rules with every update, and what a hook has added since, by itself, has
  /// to stay.
  private func deviceUpdate(_ rules: [DeviceRule], _ record: ContainerRecord) throws(RuntimeError) -> DeviceUpdate? {
    if rules.isEmpty { return nil }
    let permissions = try DevicePermissions(Planner.deviceRules(rules))
    let mayBeLeftOut = options.lacksRoot
    if record.devices.isSame(as: permissions, mayBeLeftOut: mayBeLeftOut) { return nil }
    return DeviceUpdate(permissions, record.devices, mayBeLeftOut: mayBeLeftOut)
  }

  private func apply(
    _ resources: Resources, _ devices: DeviceUpdate, _ manager: CgroupManager, _ record: ContainerRecord,
    _ entry: borrowing StateStore.Entry
  ) throws(RuntimeError) {
    // Should this process be killed, nobody is to rely on what may not hold any more.
    var record = record
    record.devices = DeviceState()
    try entry.write(record)
    var failure: RuntimeError?
    do throws(RuntimeError) {
      try manager.update(resources, devices: devices, pointer: ContainerRuntime.base)
    } catch {
      failure = error
    }
    if let refusal = devices.refusal { options.log.debug("no device filter: \(refusal.text)") }
    record.devices = devices.state
    do {
      try entry.write(record)
    } catch {
      // The next update of devices takes the long way.
      options.log.warning(error.text)
    }
    if let failure { throw failure }
  }

  private func changeClass(
    _ record: ContainerRecord, _ options: UpdateOptions
  ) throws(RuntimeError) -> ResctrlUpdate? {
    var lines: [String] = []
    if let schema = options.cacheSchema { lines.append(schema) }
    if let schema = options.bandwidthSchema { lines.append(schema) }
    if lines.isEmpty { return nil }
    return try ResctrlUpdate(
      record.resctrl, lines: lines, field: options.cacheSchema != nil ? "--l3-cache-schema" : "--mem-bw-schema")
  }

  private static var base: String { "/linux/resources" }
}
