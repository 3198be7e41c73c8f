package import Diagnostics

/// Where systemd makes the container's cgroup: `linux.cgroupsPath` in the form `slice:prefix:name`, as in runc.
package struct UnitName: Equatable, Sendable {
  /// `PREFIX-NAME.scope`
  package var unit: String
  package var slice: String

  /// - Parameter path: absent or empty is `:apus:ID`.
  /// - Throws: `configInvalid` for what is no name of a unit.
  package init(_ path: String?, id: String, bus: SystemdBus) throws(RuntimeError) {
    slice = bus == .system ? "system.slice" : "user.slice"
    guard let path, !path.isEmpty else {
      unit = "apus-" + UnitName.escaped(id) + ".scope"
      try UnitName.check(unit)
      return
    }
    let parts = CgroupText.split([UInt8](path.utf8)[...], on: 0x3A)
    guard parts.count == 3 else {
      throw UnitName.invalid("expected cgroupsPath to be of format `slice:prefix:name` for systemd, found `", path, "`")
    }
    if !parts[0].isEmpty { slice = CgroupText.string(parts[0]) }
    if slice == "-" { slice = "-.slice" }
    let name = CgroupText.string(parts[2])
    unit = CgroupText.string(parts[1]) + "-" + name + ".scope"
    if name.isEmpty { throw UnitName.invalid("`", path, "` has no name behind the second colon") }
    if UnitName.sliceName(name) != nil {
      throw UnitName.invalid("`", name, "` is a slice, which holds no processes: expected the name of a scope")
    }
    try UnitName.check(unit)
    try UnitName.check(slice)
    _ = try components()
  }

  /// The directories of the slice and of the scope: `a-b.slice` is `a.slice/a-b.slice` (systemd.slice(5)).
  package func components() throws(RuntimeError) -> [String] {
    guard let short = UnitName.sliceName(slice) else {
      throw UnitName.invalid("`", slice, "` is no name of a slice: expected one that ends with `.slice`")
    }
    var components: [String] = []
    if slice == "-.slice" { return [unit] }
    var name = ""
    for part in CgroupText.split(short, on: 0x2D) {
      if part.isEmpty {
        throw UnitName.invalid("`", slice, "` is no name of a slice: there is nothing between two `-`")
      }
      if !name.isEmpty { name += "-" }
      name += CgroupText.string(part)
      components.append(name + ".slice")
    }
    components.append(unit)
    return components
  }

  /// The name without its ending; nil where it is another one.
  private static func sliceName(_ name: String) -> ArraySlice<UInt8>? {
    let bytes = [UInt8](name.utf8)
    let length = bytes.count - 6
    return length > 0 && CgroupText.string(bytes[length...]) == ".slice" ? bytes[..<length] : nil
  }

  /// What systemd takes for the name of a unit: at most 255 letters, digits and a few signs.
  private static func check(_ name: String) throws(RuntimeError) {
    var isValid = name.utf8.count <= 255
    for byte in name.utf8 {
      switch byte {
      case 0x2D, 0x2E, 0x30...0x39, 0x40, 0x41...0x5A, 0x5C, 0x5F, 0x61...0x7A: break
      default: isValid = false
      }
    }
    if isValid { return }
    throw invalid("`", name, "` is no name of a unit: expected at most 255 letters, digits and `-_.@\\`")
  }

  /// An id may have a `+` in it, which a unit may not: as systemd-escape(1) writes it.
  private static func escaped(_ id: String) -> String {
    var bytes: [UInt8] = []
    for byte in id.utf8 { if byte == 0x2B { bytes += "\\x2b".utf8 } else { bytes.append(byte) } }
    return String(decoding: bytes, as: UTF8.self)
  }

  @inline(never)
  private static func invalid(_ before: String, _ name: String, _ behind: String) -> RuntimeError {
    RuntimeError(.configInvalid, before + name + behind, field: CgroupPath.pointer)
  }
}
