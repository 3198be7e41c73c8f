package import Diagnostics
import Linux
import LinuxABI
package import OCISpec

extension CgroupManager {
  /// Changes limits of a cgroup in use: all of them or none. If one is refused, those that were set before it are put back.
  ///
  /// - Parameter devices: the new rules of the device controller; nil leaves them as they are.
  /// - Parameter pointer: where the resources stand in the document.
  package func update(
    _ resources: Resources, devices: DeviceUpdate? = nil, pointer: String
  ) throws(RuntimeError) {
    if record.directories.isEmpty {
      var limits = resources
      limits.devices = nil
      if limits == Resources() && devices?.mayBeLeftOut ?? true { return }
      throw RuntimeError(
        .cgroup, "the container has no cgroup that could have limits",
        hint: "it was made without one, because its creator could make none")
    }
    var change = try CgroupChange(record)
    let current = try change.limits()
    let (writes, last) = ResourceConversion.keepingForLast(
      try ResourceConversion.writes(resources, layout: CgroupLayout(record), current: current, pointer: pointer),
      current)
    if let memory = resources.memory, memory.checkBeforeUpdate == true {
      try change.checkUse(memory, pointer + "/memory")
    }
    if let devices {
      if let unit = record.unit {
        try UnitProperties.check(devices.permissions, bus: unit.bus, isUnified: record.isUnified)
      }
      try change.prepare(devices)
    }
    do throws(RuntimeError) {
      try change.enableControllers(writes + last)
      try change.make(writes)
      try change.makeDevices()
      try change.tell(writes, devices?.permissions)
      try change.make(last)
      try change.tell(last, nil)
    } catch {
      throw change.putBack(error)
    }
  }
}

extension CgroupRecord {
  fileprivate var isUnified: Bool { directories.allSatisfy { $0.version == .v2 } }
}

extension ResourceConversion {
  /// Splits the writes of an update: a lower memory limit of v2 comes behind everything that can be refused. It may end
  /// processes, which nothing puts back.
  static func keepingForLast(
    _ writes: [CgroupWrite], _ current: CurrentLimits
  ) -> (writes: [CgroupWrite], last: [CgroupWrite]) {
    guard let place = writes.lastIndex(where: { $0.isMemoryLimitV2 }) else { return (writes, []) }
    // Two of them, one by its name as a file: only the last one counts.
    let others = writes.enumerated().filter { $0 == place || !$1.isMemoryLimitV2 }.map { $1 }
    let last = writes[place]
    if last.text == "max" { return (others, []) }
    // A number with a unit, which the kernel takes, may be a lower one.
    if let bytes = UInt64(last.text), let memory = current.memory, bytes >= memory { return (others, []) }
    return (others.filter { !$0.isMemoryLimitV2 }, [last])
  }
}

/// A change under way: what was written, and what was there before.
private struct CgroupChange {
  fileprivate struct Old {
    var directory: CgroupDirectory
    var path: String
    var file: String
    var text: String
  }

  fileprivate let record: CgroupRecord
  fileprivate let directories: [CgroupDirectory]
  private var old: [Old] = []
  /// What stood in the files that systemd writes.
  private var atFirst: [Old] = []
  /// What systemd was told, as it was before.
  private var told: [UnitProperty] = []
  private var devices: DeviceChange?

  init(_ record: CgroupRecord) throws(RuntimeError) {
    self.record = record
    directories = try record.directories.map { directory throws(RuntimeError) in
      try CgroupManager.open(directory.path)
    }
    if record.unit != nil { atFirst = values() }
  }

  func limits() throws(RuntimeError) -> CurrentLimits {
    var limits = CurrentLimits()
    limits.pageSize = System.pageSize()
    for (index, directory) in record.directories.enumerated() {
      do {
        try limits.read(directory, directories[index].descriptor)
      } catch {
        throw error.because(.cgroupLimit, "cannot read the limits of `\(directory.path)`")
      }
    }
    return limits
  }

  private func index(of controller: String, _ version: CgroupVersion) -> Int? {
    record.directories.firstIndex {
      $0.version == version && (version == .v2 || $0.controllers.contains(controller))
    }
  }

  /// Refuses a limit that what is in use does not fit into, as runc does. Without being asked for it the kernel is left to
  /// decide: v1 refuses, v2 reclaims what it can and then ends processes.
  func checkUse(_ memory: MemoryResources, _ pointer: String) throws(RuntimeError) {
    for version in [CgroupVersion.v1, .v2] {
      guard let index = index(of: "memory", version) else { continue }
      let file = version == .v1 ? "memory.usage_in_bytes" : "memory.current"
      let text = try describe(.cgroupLimit, "cannot read `\(record.directories[index].path)/\(file)`") {
        () throws(SystemError) in
        try directories[index].descriptor.cgroupFile(file)
      }
      guard let text, let use = Int64(CgroupText.trimmed(text)) else { continue }
      for (limit, name, what) in [
        (memory.limit, "/limit", "memory"), (memory.swap, "/swap", "memory and swap"),
      ] {
        if let limit, limit > 0, limit <= use {
          throw RuntimeError(
            .cgroupLimit, "the limit of \(what), `\(limit)`, is not above what is in use, `\(use)`",
            field: pointer + name, hint: "checkBeforeUpdate forbids that")
        }
      }
    }
  }

  /// Gives a cgroup of v2 the controllers that its new limits need: in the hybrid layout it has only those that were
  /// needed when it was made. What cannot be given is no error here: the write that needs it names the file.
  ///
  /// None is ever taken away again: the cgroup above has other children, whose limits would go with it.
  func enableControllers(_ writes: [CgroupWrite]) throws(RuntimeError) {
    guard let index = index(of: "", .v2) else { return }
    var wanted: [String] = []
    for write in writes where write.version == .v2 && write.controller != "cgroup" && !write.isDefault {
      let name = write.controller == "blkio" ? "io" : write.controller
      if !wanted.contains(name) { wanted.append(name) }
    }
    if wanted.isEmpty { return }
    do throws(SystemError) {
      let leaf = CgroupText.words(try directories[index].descriptor.cgroupFile("cgroup.controllers") ?? [])
      wanted.removeAll { leaf.contains($0) }
      for name in wanted { try enable(name, record.directories[index].path) }
    } catch {
      throw error.because(.cgroupLimit, "cannot read the controllers of `\(record.directories[index].path)`")
    }
  }

  private func enable(_ name: String, _ path: String) throws(SystemError) {
    // From the cgroup itself up to the first one whose children have it, and down again.
    var above: [CgroupDirectory] = []
    var path = path
    while let slash = path.utf8.lastIndex(of: 0x2F), slash > path.utf8.startIndex {
      path = String(path[..<slash])
      let parent = CgroupDirectory(try FileDescriptor.open(path, [.readOnly, .directory, .noFollow]))
      guard let present = try parent.descriptor.cgroupFile("cgroup.controllers") else { return }
      above.append(parent)
      if CgroupText.words(present).contains(name) { break }
    }
    for parent in above.reversed() {
      do {
        try parent.descriptor.writeFile("cgroup.subtree_control", "+" + name)
      } catch {
        return
      }
    }
  }

  mutating func make(_ writes: [CgroupWrite]) throws(RuntimeError) {
    var writes = writes
    var place = 0
    while place < writes.count {
      do throws(RuntimeError) {
        try make(writes[place])
      } catch {
        // Quota and period of v1: between the two writes the share must fit into that of the cgroup above and hold those of
        // the ones below. The first order is for the former, the other one is for the latter.
        guard error.cause?.errno == .invalid, place + 1 < writes.count, writes[place].isBandwidthV1,
          writes[place + 1].isBandwidthV1
        else { throw error }
        try make(writes[place + 1])
        writes.swapAt(place, place + 1)
        place += 1
        continue
      }
      place += 1
    }
  }

  private mutating func make(_ write: CgroupWrite) throws(RuntimeError) {
    guard let index = index(of: write.controller, write.version) else { return }
    let directory = directories[index]
    let path = record.directories[index].path
    let before = remember(write, directory, path)
    do throws(RuntimeError) {
      try CgroupWriter.write([write], to: directory.descriptor, path: path)
    } catch {
      // Without the controller the default holds.
      if write.isDefault, let cause = error.cause, cause.errno == .noEntry, cause.call == "openat" { return }
      throw error
    }
    old += before
  }

  mutating func prepare(_ update: DeviceUpdate) throws(RuntimeError) {
    devices = try DeviceChange.prepare(update, record, directories)
  }

  func makeDevices() throws(RuntimeError) { try devices?.make() }

  /// What was there before, in the order in which it is pushed.
  private func remember(_ write: CgroupWrite, _ directory: CgroupDirectory, _ path: String) -> [Old] {
    var before: [Old] = []
    func remember(_ file: String, _ text: String) -> Bool {
      guard let bytes = read(directory, file) else { return false }
      if let text = CgroupText.restoring(bytes, file: file, written: text) {
        before.append(Old(directory: directory, path: path, file: file, text: text))
      }
      return true
    }
    // With idle the kernel forgets the weight.
    if write.file == "cpu.idle", let idle = read(directory, write.file), CgroupText.trimmed(idle) == "0" {
      _ = remember(write.version == .v1 ? "cpu.shares" : "cpu.weight", "")
    }
    if !remember(write.file, write.text), case .alternative(let file, let text) = write.missing {
      _ = remember(file, text)
    }
    return before
  }

  /// Nil where there is no such file, or one that is only written, such as `memory.reclaim`: nothing holds there that could
  /// be put back.
  fileprivate func read(_ directory: CgroupDirectory, _ file: String) -> [UInt8]? {
    do {
      return try directory.descriptor.cgroupFile(file)
    } catch {
      return nil
    }
  }

  /// Writes the old values again, the last first, so that each write meets what it met on the way in. Answers the error
  /// with what could not be put back.
  func putBack(_ failure: RuntimeError) -> RuntimeError {
    var failure = failure
    if let unit = record.unit, !told.isEmpty {
      do {
        try SystemdClient(unit.bus).set(told, of: unit.name)
        try putRight(atFirst)
      } catch {
        failure.add(hint: "systemd may keep new limits of `\(unit.name)`: \(error.text)")
      }
    }
    for text in devices?.takeBack() ?? [] { failure.add(hint: text) }
    for value in old.reversed() {
      do {
        try value.directory.descriptor.writeFile(value.file, value.text)
      } catch {
        failure.add(hint: "`\(value.path)/\(value.file)` could not be put back to `\(value.text)`: \(error.text)")
      }
    }
    return failure
  }
}

// The same limits as properties of the unit, or systemd would put back the old ones
extension CgroupChange {
  fileprivate mutating func tell(
    _ writes: [CgroupWrite], _ devices: DevicePermissions?
  ) throws(RuntimeError) {
    guard let unit = record.unit else { return }
    let isUnified = record.isUnified
    var properties = UnitProperties.limits(writes + otherBandwidth(writes), isUnified: isUnified)
    if let devices, unit.bus == .system {
      properties += UnitProperties.devices(devices, isUnified: isUnified)
      if let last = self.devices?.permissionsBefore { told += UnitProperties.devices(last, isUnified: isUnified) }
    }
    if properties.isEmpty { return }
    // Whatever becomes of the call, it may be on its way.
    told += UnitProperties.limits(before(writes), isUnified: isUnified)
    let values = values()
    // On v1 systemd denies every device for a moment before it allows some again, whatever it was told.
    let manager = CgroupManager(record: record)
    let isThawed = try manager.freezerState() == .thawed
    let holds = unit.bus == .system && !isUnified && isThawed
    if holds { try manager.pause() }
    var failure: RuntimeError?
    do throws(RuntimeError) {
      try SystemdClient(unit.bus).set(properties, of: unit.name)
    } catch {
      failure = error
    }
    if holds { try manager.resume() }
    if let failure { throw failure }
    try putRight(values)
  }

  /// With one limit systemd writes all of them, rounded as it keeps them.
  private func putRight(_ values: [Old]) throws(RuntimeError) {
    for value in values {
      guard let now = read(value.directory, value.file), CgroupChange.shown(now, value.file) != value.text else {
        continue
      }
      try describe(.cgroupLimit, "cannot write `\(value.text)` to `\(value.path)/\(value.file)`") {
        () throws(SystemError) in
        try value.directory.descriptor.writeFile(value.file, value.text.isEmpty ? "\n" : value.text)
      }
    }
  }

  /// The same writes with what was there before them.
  private func before(_ writes: [CgroupWrite]) -> [CgroupWrite] {
    var before: [CgroupWrite] = []
    for var write in writes {
      guard let value = old.first(where: { $0.file == write.file }) else { continue }
      write.text = value.text
      before.append(write)
    }
    return before + otherBandwidth(before)
  }

  /// A file of weights goes on with a line for each device, of which systemd is told nothing.
  private static func shown(_ text: [UInt8], _ file: String) -> String {
    let isWeight = file == "io.weight" || file == "io.bfq.weight"
    return isWeight ? CgroupText.string(CgroupText.line(text)) : CgroupText.trimmed(text)
  }

  /// Quota and period of v1 are two files, and for systemd they are one share: the one that is not written, as it is.
  private func otherBandwidth(_ writes: [CgroupWrite]) -> [CgroupWrite] {
    guard var other = writes.first(where: { $0.isBandwidthV1 }), let index = index(of: "cpu", .v1) else { return [] }
    other.file = other.file == "cpu.cfs_quota_us" ? "cpu.cfs_period_us" : "cpu.cfs_quota_us"
    guard !writes.contains(where: { $0.file == other.file }), let text = read(directories[index], other.file) else {
      return []
    }
    other.text = CgroupText.trimmed(text)
    return [other]
  }

  /// What systemd may write.
  private func values() -> [Old] {
    let files = [
      "memory.min", "memory.low", "memory.high", "memory.max", "memory.swap.max", "memory.limit_in_bytes", "pids.max",
      "cpu.max", "cpu.weight", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares", "cpuset.cpus", "cpuset.mems",
      "io.weight", "io.bfq.weight",
    ]
    var values: [Old] = []
    for (index, directory) in directories.enumerated() {
      for file in files {
        guard let text = read(directory, file) else { continue }
        values.append(
          Old(
            directory: directory, path: record.directories[index].path, file: file,
            text: CgroupChange.shown(text, file)))
      }
    }
    return values
  }
}

extension CgroupWrite {
  fileprivate var isMemoryLimitV2: Bool { version == .v2 && file == "memory.max" }
  fileprivate var isBandwidthV1: Bool { file == "cpu.cfs_quota_us" || file == "cpu.cfs_period_us" }
}

extension CgroupText {
  /// What to write to `file` so that the value which it shows as `old` holds again after `written` was written: for files
  /// with a line for each device or key, only that line. Nil where the text does not say it.
  static func restoring(_ old: [UInt8], file: String, written: String) -> String? {
    if file == "memory.oom_control" { return value(of: "oom_kill_disable", in: old) }
    let words = self.words([UInt8](written.utf8))
    let key = words.first ?? ""
    let lines = self.lines(old)
    let isDevice = isDeviceNumber(key)
    if isDevice || words.count > 1 {
      for line in lines where split(line, on: 0x20).first.map({ string($0) }) == key { return string(line) }
    }
    if isDevice { return unset(file, key) }
    for line in lines where split(line, on: 0x20).first.map({ string($0) }) == "default" { return string(line) }
    if lines.count > 1 { return nil }
    // A write of no bytes at all does nothing.
    return lines.isEmpty ? "\n" : trimmed(old)
  }

  /// `8:16`
  private static func isDeviceNumber(_ text: String) -> Bool {
    let parts = split([UInt8](text.utf8)[...], on: 0x3A)
    return parts.count == 2 && parts.allSatisfy { number($0) != nil }
  }

  /// How a device gets no setting of its own.
  private static func unset(_ file: String, _ device: String) -> String {
    if file == "io.max" { return device + " rbps=max wbps=max riops=max wiops=max" }
    if file.utf8.starts(with: "blkio.throttle.".utf8) { return device + " 0" }
    return device + " default"
  }
}
