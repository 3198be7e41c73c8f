package import Diagnostics
package import OCISpec

/// The kinds of device nodes that a rule is about. The numbers are those of the kernel's `BPF_DEVCG_DEV_*`.
package enum DeviceKind: UInt8, Equatable, Sendable {
  case block = 1
  case character = 2

  var letter: String { self == .block ? "b" : "c" }
}

/// What may be done with a device, with the bits of the kernel's `BPF_DEVCG_ACC_*`.
package struct DeviceAccess: OptionSet, Equatable, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }
  package static let makeNode = DeviceAccess(rawValue: 1)
  package static let read = DeviceAccess(rawValue: 2)
  package static let write = DeviceAccess(rawValue: 4)
  package static let all: DeviceAccess = [.makeNode, .read, .write]

  var letters: String {
    (contains(.read) ? "r" : "") + (contains(.write) ? "w" : "") + (contains(.makeNode) ? "m" : "")
  }
}

/// A rule of `linux.resources.devices`, checked. Nil stands for "every".
package struct DevicePermission: Equatable, Sendable {
  package var allow: Bool
  package var kind: DeviceKind?
  package var major: UInt32?
  package var minor: UInt32?
  package var access: DeviceAccess

  package init(allow: Bool, kind: DeviceKind?, major: UInt32?, minor: UInt32?, access: DeviceAccess) {
    self.allow = allow
    self.kind = kind
    self.major = major
    self.minor = minor
    self.access = access
  }

  var isAboutEverything: Bool { kind == nil && major == nil && minor == nil && access == .all }

  /// Whether every device of `other` is one of this rule's.
  func covers(_ other: DevicePermission) -> Bool {
    (kind == nil || kind == other.kind) && (major == nil || major == other.major)
      && (minor == nil || minor == other.minor)
  }

  /// Whether some device is one of both rules.
  func overlaps(_ other: DevicePermission) -> Bool {
    func meet<T: Equatable>(_ left: T?, _ right: T?) -> Bool { left == nil || right == nil || left == right }
    return meet(kind, other.kind) && meet(major, other.major) && meet(minor, other.minor)
  }
}

/// The rules in order. A device is denied at first; then, for each kind of access on its own, the last rule that
/// matches decides.
package struct DevicePermissions: Equatable, Sendable {
  package static let pointer = "/linux/resources/devices"
  package var rules: [DevicePermission]

  /// Rules that were checked before.
  package init(checked rules: [DevicePermission]) { self.rules = rules }

  package init(_ rules: [DeviceRule], pointer: String = DevicePermissions.pointer) throws(RuntimeError) {
    self.rules = []
    self.rules.reserveCapacity(rules.count)
    for (index, rule) in rules.enumerated() {
      self.rules.append(try DevicePermissions.permission(rule, "\(pointer)/\(index)"))
    }
  }

  /// One rule, checked; `field` is its place.
  package static func permission(_ rule: DeviceRule, _ field: String) throws(RuntimeError) -> DevicePermission {
    let kind: DeviceKind?
    switch rule.type ?? "" {
    case "", "a": kind = nil
    case "b": kind = .block
    case "c": kind = .character
    default:
      throw RuntimeError(
        .configInvalid, "unknown device type `\(rule.type ?? "")`: expected a, b or c",
        field: field + "/type")
    }
    return DevicePermission(
      allow: rule.allow, kind: kind, major: try number(rule.major, field + "/major"),
      minor: try number(rule.minor, field + "/minor"), access: try access(rule.access, field + "/access"))
  }

  private static func number(_ number: Int64?, _ field: String) throws(RuntimeError) -> UInt32? {
    guard let number, number != -1 else { return nil }
    guard let value = UInt32(exactly: number) else {
      throw RuntimeError(.configInvalid, "`\(number)` is no device number, nor -1 for all", field: field)
    }
    return value
  }

  private static func access(_ letters: String?, _ field: String) throws(RuntimeError) -> DeviceAccess {
    guard let letters, !letters.isEmpty else { return .all }
    var access: DeviceAccess = []
    for letter in letters.utf8 {
      switch letter {
      case 0x72: access.insert(.read)
      case 0x77: access.insert(.write)
      case 0x6D: access.insert(.makeNode)
      default:
        throw RuntimeError(
          .configInvalid, "unknown access `\(letters)`: expected letters out of rwm", field: field)
      }
    }
    return access
  }
}

extension DevicePermissions {
  /// The lines for `devices.allow` and `devices.deny` of v1, first to last.
  ///
  /// The kernel keeps a default and a list of exceptions, takes an exception away only by its very numbers, and wants
  /// one exception that grants the whole of an access. So the rules are played through here, and what comes out is the
  /// final list.
  ///
  /// - Throws: `configUnsupported` for a rule that makes a hole into one with wildcards: v1 cannot say that, and would
  ///   leave the device open.
  package func linesV1(pointer: String = DevicePermissions.pointer) throws(RuntimeError) -> [CgroupWrite] {
    try DeviceList(self, pointer).lines(pointer)
  }

  /// The rules played through; nil for a hole in a wildcard, which no list says.
  func list() -> DeviceList? {
    do {
      return try DeviceList(self, "")
    } catch {
      return nil
    }
  }

  static func write(_ allow: Bool, _ text: String, _ pointer: String) -> CgroupWrite {
    CgroupWrite(
      controller: "devices", version: .v1, file: allow ? "devices.allow" : "devices.deny", text: text,
      pointer: pointer)
  }

  static func line(_ rule: DevicePermission) -> String {
    func text(_ number: UInt32?) -> String { number.map { "\($0)" } ?? "*" }
    return "\(rule.kind?.letter ?? "a") \(text(rule.major)):\(text(rule.minor)) \(rule.access.letters)"
  }

  static func take(
    _ rule: DevicePermission, from exceptions: inout [DevicePermission], _ field: String
  ) throws(RuntimeError) {
    for index in exceptions.indices.reversed() {
      let exception = exceptions[index]
      if !rule.overlaps(exception) || rule.access.isDisjoint(with: exception.access) { continue }
      guard rule.covers(exception) else {
        throw RuntimeError(
          .configUnsupported,
          "the device controller of cgroup v1 cannot take `\(line(rule))` out of `\(line(exception))`",
          field: field)
      }
      exceptions[index].access.subtract(rule.access)
      if exceptions[index].access.isEmpty { exceptions.remove(at: index) }
    }
  }

  static func add(_ rule: DevicePermission, to exceptions: inout [DevicePermission]) {
    var added = rule
    for index in exceptions.indices.reversed() {
      if exceptions[index].covers(added) {
        // What a wider exception grants counts here too; see above why the kernel does not add them up.
        if exceptions[index].access.isSuperset(of: added.access) { return }
        let isSame = added.covers(exceptions[index])
        added.access.formUnion(exceptions[index].access)
        if isSame { exceptions.remove(at: index) }
      } else if added.covers(exceptions[index]) {
        exceptions[index].access.formUnion(added.access)
        if exceptions[index].access == added.access { exceptions.remove(at: index) }
      }
    }
    exceptions.append(added)
    // `c 1:* r` and `c *:3 w` give 1:3 both, which the kernel wants to find in one exception.
    for other in exceptions.dropLast() where other.overlaps(added) && !other.covers(added) && !added.covers(other) {
      var both = added
      both.major = added.major ?? other.major
      both.minor = added.minor ?? other.minor
      both.access.formUnion(other.access)
      add(both, to: &exceptions)
    }
  }
}
