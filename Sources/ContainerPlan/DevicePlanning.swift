import Diagnostics
import LinuxABI
package import OCISpec

/// The device nodes of a container.
struct DevicePlan {
  /// False where /dev is a bind mount: then it is somebody else's, and nothing is made in it.
  var isSetUp: Bool
  var nodes: [DeviceNode]
}

extension Planner {
  /// Default devices (config-linux.md, "Default Devices"), then `linux.devices`.
  func planDevices() -> DevicePlan {
    let nodes = configuredDevices()
    var all = Planner.defaultDevices
    for node in nodes {
      // An entry of the configuration takes the place of a default device.
      all.removeAll { $0.path == node.path }
      all.append(node)
    }
    return DevicePlan(isSetUp: !bindsDev, nodes: all)
  }

  private var bindsDev: Bool {
    (config.mounts ?? []).contains { mount in
      relative(mount.destination) == "dev"
        && (mount.type == "bind" || (mount.options ?? []).contains { $0 == "bind" || $0 == "rbind" })
    }
  }

  static var defaultDevices: [DeviceNode] {
    [
      device("null", 1, 3), device("zero", 1, 5), device("full", 1, 7), device("random", 1, 8),
      device("urandom", 1, 9), device("tty", 5, 0),
    ]
  }

  private static func device(_ name: String, _ major: UInt32, _ minor: UInt32) -> DeviceNode {
    DeviceNode(path: "dev/\(name)", mode: DeviceNode.characterDevice | 0o666, major: major, minor: minor)
  }

  private func configuredDevices() -> [DeviceNode] {
    var nodes: [DeviceNode] = []
    for (index, device) in (linux.devices ?? []).enumerated() {
      guard let kind = DeviceNode.kind(device.type) else { continue }
      var numbers: (UInt32, UInt32) = (0, 0)
      if device.type != "p" {
        numbers = (UInt32(clamping: device.major ?? 0), UInt32(clamping: device.minor ?? 0))
      }
      nodes.append(
        DeviceNode(
          path: relative(device.path), mode: kind | (device.fileMode ?? 0o666) & 0o7777, major: numbers.0,
          minor: numbers.1, uid: device.uid ?? 0, gid: device.gid ?? 0, index: UInt32(index)))
    }
    return nodes
  }

  /// The rules of the configuration, then those without which the default devices would be dead files. As in runc the
  /// default devices win over a rule that denies all.
  package static func deviceRules(_ configured: [DeviceRule]) -> [DeviceRule] {
    var rules = configured
    func allow(_ type: String, _ major: Int64?, _ minor: Int64?, _ access: String) {
      rules.append(DeviceRule(allow: true, type: type, major: major, minor: minor, access: access))
    }
    // Nodes may be made, not used, for every device: mknod(2) alone gives nothing.
    allow("c", nil, nil, "m")
    allow("b", nil, nil, "m")
    for node in Planner.defaultDevices { allow("c", Int64(node.major), Int64(node.minor), "rwm") }
    allow("c", 5, 1, "rwm")  // console
    allow("c", 136, nil, "rwm")  // the terminals of devpts
    allow("c", 5, 2, "rwm")  // ptmx
    allow("c", 10, 200, "rwm")  // tun and tap
    return rules
  }
}

extension DeviceNode {
  static var characterDevice: UInt32 { 0o020000 }
  static var majorLimit: Int64 { 0xFFF }
  static var minorLimit: Int64 { 0xF_FFFF }

  /// The bits of the mode for a type of `linux.devices`; nil for one that there is not.
  static func kind(_ type: String) -> UInt32? {
    switch type {
    case "c", "u": characterDevice
    case "b": 0o060000
    case "p": 0o010000
    default: nil
    }
  }
}
