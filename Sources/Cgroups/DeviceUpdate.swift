package import Diagnostics
import Linux

/// New rules for the device controller of a container in use, and what becomes of them.
package final class DeviceUpdate {
  package let permissions: DevicePermissions
  /// What was set last; after the update what holds then.
  package fileprivate(set) var state: DeviceState
  /// Whether the container does without where the caller may not change the controller.
  let mayBeLeftOut: Bool
  /// Why it does without.
  package fileprivate(set) var refusal: RuntimeError?

  package init(_ permissions: DevicePermissions, _ state: DeviceState, mayBeLeftOut: Bool) {
    self.permissions = permissions
    self.state = state
    self.mayBeLeftOut = mayBeLeftOut
  }

  fileprivate func doWithout(_ refusal: RuntimeError) {
    self.refusal = refusal
    state = DeviceState(.refused, permissions)
  }
}

/// A change of the device controller under way.
final class DeviceChange {
  private enum Way {
    case lines(DeviceListChange)
    case program(LoadedDeviceFilter)
  }

  private let update: DeviceUpdate
  private let before: DeviceState
  private let record: CgroupRecord
  private let directory: CgroupDirectory
  private let path: String
  private let way: Way
  private var isMade = false
  /// What was written of v1, in that order.
  private var undo: [CgroupWrite] = []

  /// Whatever can be refused before anything changes, is: a program is checked by the kernel when it is loaded. Nil where
  /// the container does without.
  static func prepare(
    _ update: DeviceUpdate, _ record: CgroupRecord, _ directories: [CgroupDirectory]
  ) throws(RuntimeError) -> DeviceChange? {
    do {
      return try DeviceChange(update, record, directories)
    } catch {
      guard update.mayBeLeftOut, error.isRefusal || error.cause == nil && error.code == .cgroupLimit else {
        throw error
      }
      update.doWithout(error)
      return nil
    }
  }

  private init(
    _ update: DeviceUpdate, _ record: CgroupRecord, _ directories: [CgroupDirectory]
  ) throws(RuntimeError) {
    let indexV1 = record.directories.firstIndex { $0.version == .v1 && $0.controllers.contains("devices") }
    guard let index = indexV1 ?? record.directories.firstIndex(where: { $0.version == .v2 }) else {
      throw RuntimeError(
        .cgroupLimit, "the controller `devices` is not among those of the container's cgroup",
        field: DevicePermissions.pointer)
    }
    let directory = directories[index]
    let path = record.directories[index].path
    if indexV1 != nil {
      let list = try describe(.cgroupLimit, "cannot read `\(path)/devices.list`", field: DevicePermissions.pointer) {
        () throws(SystemError) in
        try directory.descriptor.readFile("devices.list", limit: 16 << 20)
      }
      let last = update.state.force == .inForce ? update.state.permissions : nil
      way = .lines(try update.permissions.changeV1(from: list, last: last))
    } else {
      do {
        way = .program(try LoadedDeviceFilter(DeviceProgram(update.permissions)))
      } catch {
        throw DeviceFilter.failure(error).during("setting the device filter of `\(path)`")
      }
    }
    self.update = update
    self.before = update.state
    self.record = record
    self.directory = directory
    self.path = path
  }

  /// The rules that held before, where they are known.
  var permissionsBefore: DevicePermissions? { before.force == .inForce ? before.permissions : nil }

  func make() throws(RuntimeError) {
    do throws(RuntimeError) {
      switch way {
      case .program(let filter):
        do {
          try filter.attach(to: directory.descriptor, isNew: false)
        } catch {
          throw DeviceFilter.failure(error).during("setting the device filter of `\(path)`")
        }
      case .lines(let change): try make(change)
      }
      isMade = true
      update.state = DeviceState(.inForce, update.permissions)
    } catch {
      guard update.mayBeLeftOut, error.isRefusal, update.state == before else { throw error }
      update.doWithout(error)
    }
  }

  /// All lines or none; the container stands still meanwhile, where it must not see what is between them.
  private func make(_ change: DeviceListChange) throws(RuntimeError) {
    if change.lines.isEmpty { return }
    let held = change.holds ? try hold() : false
    var failure: RuntimeError?
    do throws(RuntimeError) {
      for line in change.lines {
        try CgroupWriter.write([line.write], to: directory.descriptor, path: path)
        undo += line.undo
      }
    } catch {
      failure = error
      for text in writeBack(change) { failure?.add(hint: text) }
    }
    if held, let text = letGo() {
      if failure == nil {
        failure = RuntimeError(.cgroup, "the devices of the container have changed, and it stays paused")
      }
      failure?.add(hint: text)
    }
    if let failure { throw failure }
  }

  /// Undoes ``make()``; answers what could not be undone.
  func takeBack() -> [String] {
    guard isMade || !undo.isEmpty else { return [] }
    isMade = false
    switch way {
    case .program(let filter):
      do {
        try filter.takeBack(from: directory.descriptor)
        update.state = before
        return []
      } catch {
        update.state = DeviceState()
        return ["the device filter of `\(path)` could not be put back: \(error.text)"]
      }
    case .lines(let change):
      var texts: [String] = []
      var held = false
      if change.holds {
        do throws(RuntimeError) {
          held = try hold()
        } catch {
          // It goes on with the devices that both lists deny closed.
          texts.append(error.text)
        }
      }
      texts += writeBack(change, isHeld: !change.holds || texts.isEmpty)
      if held, let text = letGo() { texts.append(text) }
      return texts
    }
  }

  /// Writes the old list again. Where that fails it ends with everything denied: too little can be mended, what was opened
  /// meanwhile not.
  private func writeBack(_ change: DeviceListChange, isHeld: Bool = true) -> [String] {
    if undo.isEmpty { return [] }
    var texts: [String] = []
    if !isHeld || !change.restores {
      undo = [DevicePermissions.write(false, "a", DevicePermissions.pointer)]
      texts.append("which devices were allowed before is not known, or cannot be set: all are denied now")
    }
    for write in undo.reversed() {
      do {
        try directory.descriptor.writeFile(write.file, write.text)
      } catch {
        texts.append("`\(write.text)` could not be put back to `\(path)/\(write.file)`: \(error.text)")
        // One device that stays denied is no danger.
        if write.file == "devices.allow" && write.text != "a" { continue }
        do {
          try directory.descriptor.writeFile("devices.deny", "a")
        } catch {
          texts.append("`a` could not be written to `\(path)/devices.deny`: \(error.text)")
        }
      }
    }
    undo = []
    update.state = texts.isEmpty ? before : DeviceState()
    return texts
  }

  /// Stops the container; false where it was stopped already and has to stay so.
  private func hold() throws(RuntimeError) -> Bool {
    let manager = CgroupManager(record: record)
    do {
      let state = try manager.freezerState()
      if state == .frozen { return false }
      try manager.pause()
      return state == .thawed
    } catch {
      throw error.during("stopping the container while its devices change")
    }
  }

  private func letGo() -> String? {
    do throws(RuntimeError) {
      try CgroupManager(record: record).resume()
      return nil
    } catch {
      return "it stays paused, `resume` it: \(error.text)"
    }
  }
}

extension RuntimeError {
  mutating func add(hint text: String) {
    hint += hint.isEmpty ? text : "; \(text)"
  }
}
