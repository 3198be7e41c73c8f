import Diagnostics

/// The rules as v1 keeps them: a default, and what is different from it.
struct DeviceList: Equatable {
  var allowsByDefault = false
  var exceptions: [DevicePermission] = []

  init(_ permissions: DevicePermissions, _ pointer: String) throws(RuntimeError) {
    for (index, rule) in permissions.rules.enumerated() {
      if rule.isAboutEverything {
        allowsByDefault = rule.allow
        exceptions = []
        continue
      }
      for kind in rule.kind.map({ [$0] }) ?? [DeviceKind.character, .block] {
        var single = rule
        single.kind = kind
        if rule.allow == allowsByDefault {
          try DevicePermissions.take(single, from: &exceptions, "\(pointer)/\(index)")
        } else {
          DevicePermissions.add(single, to: &exceptions)
        }
      }
    }
  }

  /// The text of `devices.list`. Where everything is allowed by default, the file does not show what is denied.
  init(_ text: [UInt8]) {
    for line in CgroupText.lines(text) {
      let words = CgroupText.split(line, on: 0x20)
      guard words.count == 3 else { continue }
      if words[0].first == 0x61 /* a */ {
        allowsByDefault = true
        continue
      }
      let numbers = CgroupText.split(words[1], on: 0x3A).map { CgroupText.number($0).flatMap { UInt32(exactly: $0) } }
      guard numbers.count == 2 else { continue }
      var access: DeviceAccess = []
      if words[2].contains(0x72) { access.insert(.read) }
      if words[2].contains(0x77) { access.insert(.write) }
      if words[2].contains(0x6D) { access.insert(.makeNode) }
      exceptions.append(
        DevicePermission(
          allow: true, kind: words[0].first == 0x62 ? .block : .character, major: numbers[0], minor: numbers[1],
          access: access))
    }
  }

  /// The lines that make this list out of any other one.
  func lines(_ pointer: String) -> [CgroupWrite] {
    [DevicePermissions.write(allowsByDefault, "a", pointer)]
      + exceptions.map { DevicePermissions.write(!allowsByDefault, DevicePermissions.line($0), pointer) }
  }

  /// What `other` lacks of the exceptions.
  fileprivate func exceptions(but other: DeviceList) -> [DevicePermission] {
    var left: [DevicePermission] = []
    for exception in exceptions {
      var changed = exception
      for same in other.exceptions
      where same.kind == exception.kind && same.major == exception.major && same.minor == exception.minor {
        changed.access.subtract(same.access)
      }
      if !changed.access.isEmpty { left.append(changed) }
    }
    return left
  }
}

/// One line for the device controller of v1, and what takes it back, the last first.
struct DeviceLine: Equatable {
  var write: CgroupWrite
  var undo: [CgroupWrite]
}

/// The way from one list of v1 to another.
struct DeviceListChange: Equatable {
  var lines: [DeviceLine] = []
  /// Between the lines another default holds without its exceptions: devices are open that are denied before and after, or
  /// denied that are allowed. Nobody may use any while they are written.
  var holds = false
  /// What holds before is known and comes back with the undoing. Else all is denied then.
  var restores = true
}

extension DevicePermissions {
  /// The lines that turn the list in force into this one.
  ///
  /// Where the default stays, only the difference is written, new exceptions before those that go: what both lists allow can
  /// be used all the time, what both deny never, and what somebody else has added stays.
  ///
  /// - Parameter text: `devices.list` of the cgroup.
  /// - Parameter last: the rules that were set last, as far as they are known.
  func changeV1(
    from text: [UInt8], last: DevicePermissions?, pointer: String = DevicePermissions.pointer
  ) throws(RuntimeError) -> DeviceListChange {
    let new = try DeviceList(self, pointer)
    let shown = DeviceList(text)
    var known: DeviceList?
    if let last { known = try DeviceList(last, pointer) }
    // With another default than the one that was set somebody else has changed it.
    if known?.allowsByDefault != shown.allowsByDefault { known = shown.allowsByDefault ? nil : shown }
    guard let known, known.allowsByDefault == new.allowsByDefault else {
      // What others have added is in the file, if only that is allowed what is named.
      return change(to: new, from: shown.allowsByDefault ? known : shown, pointer)
    }
    var change = DeviceListChange()
    func add(_ allow: Bool, _ exceptions: [DevicePermission]) {
      for exception in exceptions {
        let line = DevicePermissions.line(exception)
        change.lines.append(
          DeviceLine(
            write: DevicePermissions.write(allow, line, pointer), undo: [DevicePermissions.write(!allow, line, pointer)]
          ))
      }
    }
    add(!new.allowsByDefault, new.exceptions(but: known))
    add(new.allowsByDefault, known.exceptions(but: new))
    return change
  }

  /// All of the new list, whatever was there.
  private func change(to new: DeviceList, from old: DeviceList?, _ pointer: String) -> DeviceListChange {
    let undo = old.map { $0.lines(pointer) } ?? [DevicePermissions.write(false, "a", pointer)]
    var change = DeviceListChange(holds: true, restores: old != nil)
    for (index, write) in new.lines(pointer).enumerated() {
      change.lines.append(DeviceLine(write: write, undo: index == 0 ? undo.reversed() : []))
    }
    return change
  }
}
