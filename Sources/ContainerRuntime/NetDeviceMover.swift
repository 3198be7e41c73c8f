import ContainerPlan
import Diagnostics
import Linux

/// Brings network devices of the host into the container (config-linux.md, "Network Devices"), and takes them back while
/// the container is not complete. After that they are the namespace's: nobody moves them back.
struct NetDeviceMover: ~Copyable {
  private let host: NetlinkSocket
  private let container: NetlinkSocket
  private let hostNamespace: FileDescriptor
  private let containerNamespace: FileDescriptor
  private var moved: [Moved] = []

  /// A device that is in the container by now.
  private struct Moved {
    var name: String
    var hostName: String
    var wasUp: Bool
    /// All that were lost with the move.
    var addresses: [NetworkAddress]
  }

  /// `socket` is one of rtnetlink, opened in the container's network namespace.
  static func into(_ socket: consuming FileDescriptor) throws(SystemError) -> NetDeviceMover {
    let container = NetlinkSocket(socket)
    let host = try NetlinkSocket.open()
    let hostNamespace = try host.namespace()
    let containerNamespace = try container.namespace()
    return NetDeviceMover(host, container, hostNamespace, containerNamespace)
  }

  private init(
    _ host: consuming NetlinkSocket, _ container: consuming NetlinkSocket,
    _ hostNamespace: consuming FileDescriptor, _ containerNamespace: consuming FileDescriptor
  ) {
    self.host = host
    self.container = container
    self.hostNamespace = hostNamespace
    self.containerNamespace = containerNamespace
  }

  mutating func move(_ plan: NetDevicePlan) throws(RuntimeError) {
    do throws(SystemError) {
      guard let device = try host.device(named: plan.name) else {
        throw SystemError("rtnetlink", .noDevice, plan.name)
      }
      // Looked at before: the kernel renames a device only when it has arrived.
      let name = try NetDeviceMover.freeName(plan.newName, in: container)
      let addresses = try host.addresses(of: device)
      try host.move(device, to: containerNamespace, as: name)
      moved.append(Moved(name: name, hostName: plan.name, wasUp: device.isUp, addresses: addresses))
      let global = addresses.filter { $0.isGlobal }
      try NetDeviceMover.settle(name, in: container, global, keepsName: name == plan.name, up: true)
    } catch {
      let hint =
        switch error.errno {
        case .exists: "there is a device of this name in the container's network namespace"
        case .invalid: "some devices cannot leave their network namespace"
        default: ""
        }
      throw error.because(
        .network, "cannot move network device `\(plan.name)` into the container", field: plan.field, hint: hint)
    }
  }

  /// Moves everything back, with its addresses; answers what could not be.
  mutating func takeBack() -> [RuntimeError] {
    var failures: [RuntimeError] = []
    while let device = moved.popLast() {
      do throws(SystemError) {
        guard let inside = try container.device(named: device.name) else { continue }
        try container.move(inside, to: hostNamespace, as: device.hostName)
        let own = device.addresses.filter { !$0.isAutomatic }
        try NetDeviceMover.settle(device.hostName, in: host, own, keepsName: true, up: device.wasUp)
      } catch {
        failures.append(error.because(.network, "cannot move network device `\(device.hostName)` back"))
      }
    }
    return failures
  }

  /// The name itself if nobody has it, or the first of a template that is free.
  private static func freeName(
    _ name: String, in socket: borrowing NetlinkSocket
  ) throws(SystemError) -> String {
    guard let percent = name.utf8.firstIndex(of: UInt8(ascii: "%")) else {
      if try socket.device(named: name) != nil { throw SystemError("rtnetlink", .exists, name) }
      return name
    }
    let front = String(decoding: name.utf8[..<percent], as: UTF8.self)
    let back = String(decoding: name.utf8[percent...].dropFirst(2), as: UTF8.self)
    for number in 0..<1000 {
      let candidate = "\(front)\(number)\(back)"
      // IFNAMSIZ: the kernel would cut it off.
      if candidate.utf8.count > 15 { break }
      if try socket.device(named: candidate) == nil { return candidate }
    }
    throw SystemError("rtnetlink", .exists, name)
  }

  private static func settle(
    _ name: String, in socket: borrowing NetlinkSocket, _ addresses: [NetworkAddress], keepsName: Bool, up: Bool
  ) throws(SystemError) {
    // Its number may be another one here.
    guard let device = try socket.device(named: name) else { throw SystemError("rtnetlink", .noDevice, name) }
    for address in addresses { try socket.add(address, to: device, keepingLabel: keepsName) }
    if up { try socket.setUp(device) }
  }
}
