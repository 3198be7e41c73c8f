import Cgroups
import ContainerPlan
import Diagnostics
import Linux
import OCISpec

/// The scope of a container that is being created. systemd makes none without a process in it, and the container has none yet:
/// an idle one holds the place, so that every limit holds before process 1 is born in it.
final class ScopeSetup {
  let name: UnitName
  let unit: SystemdUnit
  private let id: String
  private let isUnified: Bool
  /// Those that are asked for: annotations, devices, limits.
  private let properties: [UnitProperty]
  private var holder: IdleProcess?
  private var isStarted = false
  /// Whether the process that holds the scope was found in it: else who knows whom systemd has put there.
  private(set) var isAdopted = false

  /// - Throws: `configInvalid` for a name or an annotation that is none; `systemd` for a user where cgroups are not v2 alone.
  init(
    _ plan: CgroupPlan, id: String, _ annotations: [NamedValue<String>], bus: SystemdBus, isUnified: Bool,
    _ writes: [CgroupWrite], _ permissions: DevicePermissions
  ) throws(RuntimeError) {
    // On v1 a user may not be given a controller, and systemd gives him none.
    if bus == .user && !isUnified {
      throw RuntimeError(
        .systemd, "the systemd of a user has cgroups for containers only where cgroups are of version 2 alone",
        hint: "leave out `--systemd-cgroup`")
    }
    name = try UnitName(plan.path, id: id, bus: bus)
    unit = SystemdUnit(bus: bus, name: name.unit)
    try UnitProperties.check(permissions, bus: bus, isUnified: isUnified)
    self.id = id
    self.isUnified = isUnified
    // The systemd of a user may set no device filter.
    properties =
      try UnitProperties.annotated(annotations)
      + (bus == .system ? UnitProperties.devices(permissions, isUnified: isUnified) : [])
      + UnitProperties.limits(writes, isUnified: isUnified)
  }

  private var client: SystemdClient { SystemdClient(unit.bus) }

  func start() throws(RuntimeError) {
    let process: IdleProcess
    do {
      process = try IdleProcess()
    } catch {
      throw error.because(.spawn, "cannot start the process that holds the scope")
    }
    holder = process
    try client.start(
      unit.name,
      UnitProperties.scope(name, id: id, pid: process.pid, isUnified: isUnified)
        + properties.filter { !UnitProperties.isLate($0) })
    isStarted = true
  }

  /// The cgroup of the scope as the container's own.
  func adopt(_ layout: CgroupLayout, _ writes: [CgroupWrite]) throws(RuntimeError) -> CgroupManager {
    let path = try layout.path(ofProcess: holder?.pid ?? 0, in: unit)
    isAdopted = true
    let manager = try CgroupManager.create(path, layout: layout, writes: writes, unit: unit)
    if unit.bus == .user { try manager.checkOwner() }
    return manager
  }

  func attach(_ pid: Int32) throws(RuntimeError) { try client.attach(pid, to: unit.name) }

  /// The container has a process in the scope now.
  func release() throws(RuntimeError) {
    try end()
    try client.set(properties.filter { UnitProperties.isLate($0) }, of: unit.name)
  }

  /// Ends the process that holds the scope; an empty one is gone.
  func end() throws(RuntimeError) {
    do {
      try holder?.end()
    } catch {
      throw error.because(.processesRemain, "cannot end the process that holds the scope")
    }
    holder = nil
  }

  /// Where systemd has never said that it is there, it is not asked again: the answer would not come either.
  func stop() throws(RuntimeError) {
    if isAdopted {
      try client.stop(unit.name)
    } else if isStarted {
      try client.forget(unit.name)
    }
  }
}
