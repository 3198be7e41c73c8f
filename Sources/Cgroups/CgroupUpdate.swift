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
    _ resources: Resources, devices: DevicePermissions?, pointer: String
  ) throws(RuntimeError) {
    if record.directories.isEmpty {
      throw RuntimeError(
        .cgroup, "the container has no cgroup that could have limits",
        hint: "it was made without one, because its creator could make none")
    }
    var change = try CgroupChange(record)
    let current = try change.limits()
    let writes = try ResourceConversion.writes(
      resources, layout: CgroupLayout(record), current: current, pointer: pointer)
    if let limit = resources.memory?.limit, resources.memory?.checkBeforeUpdate == true {
      try change.checkUse(limit, pointer + "/memory/limit")
    }
    let deviceChange = try devices.map { devices throws(RuntimeError) in try change.prepare(devices) }
    do throws(RuntimeError) {
      try change.enableControllers(writes)
      try change.make(writes)
      // Last, since they need no putting back then.
      if let deviceChange { try change.make(deviceChange) }
    } catch {
      throw change.putBack(error)
    }
  }
}

/// What `update` does with the device controller.
private enum DeviceChange {
  case lines([DeviceLine])
  case program(DeviceProgram, Int)
}

/// A change under way: what was written, and what was there before.
private struct CgroupChange {
  private struct Old {
    var directory: CgroupDirectory
    var path: String
    var file: String
    var text: String
  }

  private let record: CgroupRecord
  private let directories: [CgroupDirectory]
  private var old: [Old] = []

  init(_ record: CgroupRecord) throws(RuntimeError) {
    self.record = record
    directories = try record.directories.map { directory throws(RuntimeError) in
      try CgroupManager.open(directory.path)
    }
  }

  func limits() throws(RuntimeError) -> CurrentLimits {
    var limits = CurrentLimits()
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

  /// Refuses a limit below what is in use. Without being asked for it the kernel is left to decide: v1 refuses, v2 reclaims
  /// what it can and then ends processes.
  func checkUse(_ limit: Int64, _ field: String) throws(RuntimeError) {
    guard limit > 0 else { return }
    for version in [CgroupVersion.v1, .v2] {
      guard let index = index(of: "memory", version) else { continue }
      let file = version == .v1 ? "memory.usage_in_bytes" : "memory.current"
      let text = try describe(.cgroupLimit, "cannot read `\(record.directories[index].path)/\(file)`") {
        () throws(SystemError) in
        try directories[index].descriptor.cgroupFile(file)
      }
      if let text, let use = Int64(CgroupText.trimmed(text)), use > limit {
        throw RuntimeError(
          .cgroupLimit, "the memory limit `\(limit)` is below what is in use, `\(use)`", field: field,
          hint: "checkBeforeUpdate forbids that")
      }
    }
  }

  /// Gives a cgroup of v2 the controllers that its new limits need: in the hybrid layout it has only those that were
  /// needed when it was made. What cannot be given is no error here: the write that needs it names the file.
  mutating func enableControllers(_ writes: [CgroupWrite]) throws(RuntimeError) {
    guard let index = index(of: "", .v2) else { return }
    var wanted: [String] = []
    for write in writes where write.version == .v2 && write.controller != "cgroup" {
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

  private mutating func enable(_ name: String, _ path: String) throws(SystemError) {
    // From the cgroup itself up to the first one whose children have it, and down again.
    var above: [(CgroupDirectory, String)] = []
    var path = path
    while let slash = path.utf8.lastIndex(of: 0x2F), slash > path.utf8.startIndex {
      path = String(path[..<slash])
      let parent = CgroupDirectory(try FileDescriptor.open(path, [.readOnly, .directory, .noFollow]))
      guard let present = try parent.descriptor.cgroupFile("cgroup.controllers") else { return }
      above.append((parent, path))
      if CgroupText.words(present).contains(name) { break }
    }
    for (parent, path) in above.reversed() {
      do {
        try parent.descriptor.writeFile("cgroup.subtree_control", "+" + name)
        old.append(Old(directory: parent, path: path, file: "cgroup.subtree_control", text: "-" + name))
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
    try CgroupWriter.write([write], to: directory.descriptor, path: path)
    old += before
  }

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
  private func read(_ directory: CgroupDirectory, _ file: String) -> [UInt8]? {
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
    for value in old.reversed() {
      do {
        try value.directory.descriptor.writeFile(value.file, value.text)
      } catch {
        let text = "`\(value.path)/\(value.file)` could not be put back to `\(value.text)`: \(error.text)"
        failure.hint += failure.hint.isEmpty ? text : "; \(text)"
      }
    }
    return failure
  }
}

// The device controller
extension CgroupChange {
  fileprivate func prepare(_ permissions: DevicePermissions) throws(RuntimeError) -> DeviceChange {
    guard let index = index(of: "devices", .v1) else {
      if let index = self.index(of: "", .v2) { return .program(DeviceProgram(permissions), index) }
      throw RuntimeError(
        .cgroupLimit, "the controller `devices` is not among those of the container's cgroup",
        field: DevicePermissions.pointer)
    }
    let path = record.directories[index].path
    let list = try describe(.cgroupLimit, "cannot read `\(path)/devices.list`", field: DevicePermissions.pointer) {
      () throws(SystemError) in
      try directories[index].descriptor.readFile("devices.list", limit: 16 << 20)
    }
    return .lines(try permissions.changesV1(from: list))
  }

  fileprivate mutating func make(_ change: DeviceChange) throws(RuntimeError) {
    switch change {
    case .program(let program, let index):
      do {
        try DeviceFilter.attach(program, to: directories[index].descriptor, isNew: false)
      } catch {
        throw error.during("setting the device filter of `\(record.directories[index].path)`")
      }
    case .lines(let lines):
      guard let index = index(of: "devices", .v1) else { return }
      let directory = directories[index]
      let path = record.directories[index].path
      for line in lines {
        try CgroupWriter.write([line.write], to: directory.descriptor, path: path)
        for undo in line.undo {
          old.append(Old(directory: directory, path: path, file: undo.file, text: undo.text))
        }
      }
    }
  }
}

extension CgroupWrite {
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
