import Diagnostics
import Linux

/// Which systemd: that of the machine, or that of the user.
package enum SystemdBus: UInt8, Equatable, Sendable {
  case system = 1
  case user = 2

  var name: String { self == .system ? "the system bus" : "the user bus" }

  /// Where the bus is, as the environment says it, or where it usually is.
  func address(_ environment: (String) -> String? = { Environment.value($0) }) -> String {
    func given(_ name: String) -> String? {
      guard let value = environment(name), !value.isEmpty else { return nil }
      return value
    }
    if self == .system { return given("DBUS_SYSTEM_BUS_ADDRESS") ?? "unix:path=/run/dbus/system_bus_socket" }
    if let address = given("DBUS_SESSION_BUS_ADDRESS") { return address }
    let folder = given("XDG_RUNTIME_DIR") ?? "/run/user/\(Processes.effectiveUser())"
    return "unix:path=" + DBusAddress.escaped(folder) + "/bus"
  }
}

/// One place of a server address (D-Bus specification, "Server Addresses").
struct DBusAddress: Equatable {
  /// A path, or a name in the abstract namespace of unix(7).
  var name: String
  var isAbstract: Bool

  /// The places that an address names, in order; those that are none of a socket of this machine are left out. Nil where the
  /// text is no address.
  static func places(_ address: String) -> [DBusAddress]? {
    var places: [DBusAddress] = []
    for part in CgroupText.split([UInt8](address.utf8)[...], on: 0x3B) where !part.isEmpty {
      guard let colon = part.firstIndex(of: 0x3A) else { return nil }
      let isUnix = CgroupText.string(part[..<colon]) == "unix"
      for pair in CgroupText.split(part[(colon + 1)...], on: 0x2C) where !pair.isEmpty {
        guard let equals = pair.firstIndex(of: 0x3D), let value = unescaped(pair[(equals + 1)...]) else { return nil }
        if !isUnix { continue }
        let key = CgroupText.string(pair[..<equals])
        if key == "path" || key == "abstract" { places.append(DBusAddress(name: value, isAbstract: key == "abstract")) }
      }
    }
    return places
  }

  /// Takes out `%20` and the like.
  private static func unescaped(_ bytes: ArraySlice<UInt8>) -> String? {
    var plain: [UInt8] = []
    var index = bytes.startIndex
    while index < bytes.endIndex {
      var byte = bytes[index]
      index += 1
      if byte == 0x25 {
        guard bytes.endIndex - index >= 2, let high = hexadecimal(bytes[index]), let low = hexadecimal(bytes[index + 1])
        else { return nil }
        byte = high << 4 | low
        index += 2
      }
      // A NUL would cut the path short.
      if byte == 0 { return nil }
      plain.append(byte)
    }
    return String(decoding: plain, as: UTF8.self)
  }

  static func hexadecimal(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x37
    case 0x61...0x66: byte - 0x57
    default: nil
    }
  }

  static func escaped(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      switch byte {
      case 0x2D...0x39, 0x41...0x5A, 0x5C, 0x5F, 0x61...0x7A: bytes.append(byte)
      default:
        bytes.append(0x25)
        for digit in [byte >> 4, byte & 15] { bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
