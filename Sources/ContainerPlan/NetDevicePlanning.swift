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
  func planNetDevices(_ namespaces: inout NamespacePlan) throws(RuntimeError) -> [NetDevicePlan] {
    var plans: [NetDevicePlan] = []
    for entry in linux.netDevices ?? [] {
      let field = "/linux/netDevices/\(escapeForPointer(entry.name))"
      guard isDeviceName(entry.name, mayBeTemplate: false) else {
        throw RuntimeError(.configInvalid, "`\(entry.name)` is no name of a network device", field: field)
      }
      var newName = entry.value.name ?? ""
      if newName.isEmpty { newName = entry.name }
      guard isDeviceName(newName, mayBeTemplate: true) else {
        throw RuntimeError(
          .configInvalid, "`\(newName)` is no name of a network device", field: "\(field)/name",
          hint: "a name has 1 to 15 bytes without spaces, `/` and `:`, and `%d` at most once")
      }
      let isTemplate = newName.utf8.contains(UInt8(ascii: "%"))
      if !isTemplate && plans.contains(where: { $0.newName == newName }) {
        throw RuntimeError(
          .configInvalid, "two network devices would be `\(newName)` in the container", field: field)
      }
      try namespaces.mayChange(.network, for: field) { "a network device" }
      plans.append(NetDevicePlan(name: entry.name, newName: newName, field: field))
    }
    namespaces.takesNetDevices = !plans.isEmpty
    return plans
  }

  /// What the kernel takes as a name (dev_valid_name), which would only answer EINVAL.
  private func isDeviceName(_ name: String, mayBeTemplate: Bool) -> Bool {
    let bytes = [UInt8](name.utf8)
    guard !bytes.isEmpty, bytes.count <= 15, name != ".", name != ".." else { return false }
    for byte in bytes where byte <= 0x20 || byte == 0x2F || byte == 0x3A || byte == 0x7F { return false }
    guard let percent = bytes.firstIndex(of: UInt8(ascii: "%")) else { return true }
    let rest = bytes[(percent + 1)...]
    return mayBeTemplate && rest.first == UInt8(ascii: "d") && !rest.contains(UInt8(ascii: "%"))
  }
}
