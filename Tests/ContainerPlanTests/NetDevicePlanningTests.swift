import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import ContainerPlan

private func plan(
  _ devices: [(String, String?)]?, network: Namespace? = Namespace(type: "network")
) throws(RuntimeError) -> ContainerPlan {
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  config.linux = LinuxConfig(
    namespaces: [Namespace(type: "pid"), Namespace(type: "mount")] + (network.map { [$0] } ?? []),
    netDevices: devices.map { list in list.map { NamedValue($0.0, NetDevice(name: $0.1)) } })
  return try Planner.plan(
    PlanInput(config: config, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0)))
}

private func failure(
  _ devices: [(String, String?)], network: Namespace? = Namespace(type: "network")
) -> RuntimeError? {
  do {
    _ = try plan(devices, network: network)
    return nil
  } catch {
    return error
  }
}

@Suite struct NetDevicePlanningTests {
  @Test func absentAndEmptyNetDevicesMoveNothing() throws {
    for devices in [nil, []] as [[(String, String?)]?] {
      let made = try plan(devices, network: nil)
      #expect(made.netDevices.isEmpty && !made.namespaces.takesNetDevices)
    }
  }

  @Test func aNetDeviceKeepsItsNameOrGetsAnother() throws {
    let made = try plan(
      [("eth0", nil), ("eth1", ""), ("ens/4", "x"), ("eth2", "net%d"), ("eth3", "net%d")].filter { $0.0 != "ens/4" })
    #expect(made.namespaces.takesNetDevices)
    #expect(made.netDevices.map(\.name) == ["eth0", "eth1", "eth2", "eth3"])
    #expect(made.netDevices.map(\.newName) == ["eth0", "eth1", "net%d", "net%d"])
    #expect(made.netDevices[3].field == "/linux/netDevices/eth3")
    #expect(made.lines.contains { $0.action == "move network device" && $0.detail == "eth2 as net%d" })
  }

  @Test func aNetDeviceNeedsANetworkNamespaceOfTheContainer() throws {
    let error = failure([("eth0", nil)], network: nil)
    #expect(error?.field == "/linux/netDevices/eth0")
    #expect(error?.message.contains("host's network namespace") == true)
    let joined = try plan([("eth0", nil)], network: Namespace(type: "network", path: "/run/netns/x"))
    #expect(joined.namespaces.joined.first?.changedBy == "/linux/netDevices/eth0")
  }

  @Test(arguments: ["", ".", "..", "a b", "a/b", "a:b", "sixteenletters16", "a%d", "a\tb", "a\u{0}b"])
  func aNameThatNoDeviceHasIsRefused(name: String) {
    let pointer = name.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
    #expect(failure([(name, nil)])?.field == "/linux/netDevices/\(pointer)")
  }

  @Test(arguments: [".", "..", "a b", "a/b", "a:b", "sixteenletters16", "a%s", "%d%d", "a%", "a%%d"])
  func aNewNameThatNoDeviceCanHaveIsRefused(name: String) {
    #expect(failure([("eth0", name)])?.field == "/linux/netDevices/eth0/name")
  }

  @Test func twoDevicesOfOneNameAreRefused() {
    #expect(failure([("eth0", "x"), ("eth1", "x")])?.field == "/linux/netDevices/eth1")
    #expect(failure([("eth0", nil), ("eth1", "eth0")])?.field == "/linux/netDevices/eth1")
    #expect(failure([("eth0", "eth1"), ("eth1", "eth0")]) == nil)
  }
}
