import Diagnostics
import JSON
import LinuxABI
import OCISpec

/// A network device of the host that moves into the container.
public struct NetDevicePlan: Sendable, Equatable {
  /// Its name on the host.
  public var name: String
  /// Its name in the container; `%d` in it stands for the first number that is free.
  public var newName: String
  /// The JSON pointer of it.
  public var field: String

  public init(name: String, newName: String, field: String) {
    self.name = name
    self.newName = newName
    self.field = field
  }
}

extension Planner {
  mutating func planNetDevices() -> [NetDevicePlan] {
    var plans: [NetDevicePlan] = []
    for entry in linux.netDevices ?? [] {
      let field = "/linux/netDevices/\(escapeForPointer(entry.name))"
      namespaces.willChange(.network, for: field)
      plans.append(NetDevicePlan(name: entry.name, newName: NetDevicePlan.newName(entry), field: field))
    }
    namespaces.takesNetDevices = !plans.isEmpty
    return plans
  }
}

extension NetDevicePlan {
  /// An empty name counts as none, and then the device keeps its own.
  static func newName(_ entry: NamedValue<NetDevice>) -> String {
    let name = entry.value.name ?? ""
    return name.isEmpty ? entry.name : name
  }

  /// What the kernel takes as a name (dev_valid_name), which would only answer EINVAL.
  static func isName(_ name: String, mayBeTemplate: Bool) -> Bool {
    let bytes = [UInt8](name.utf8)
    guard !bytes.isEmpty, bytes.count <= 15, name != ".", name != ".." else { return false }
    for byte in bytes where byte <= 0x20 || byte == 0x2F || byte == 0x3A || byte == 0x7F { return false }
    guard let percent = bytes.firstIndex(of: UInt8(ascii: "%")) else { return true }
    let rest = bytes[(percent + 1)...]
    return mayBeTemplate && rest.first == UInt8(ascii: "d") && !rest.contains(UInt8(ascii: "%"))
  }
}
