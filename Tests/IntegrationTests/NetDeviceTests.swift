import Foundation
import Testing

extension Integration {
  /// `linux.netDevices`. The runtime gets a network namespace to play host in, with pairs of veth devices in it: `one` and
  /// `two` are to be moved, `far1` and `far2` stay.
  @Suite(.apusOnly("newer than the peers here")) struct NetDeviceTests {
    private static let hostSetUp = """
      ip link add one type veth peer name far1; ip link add two type veth peer name far2
      ip link set one mtu 1400 address 02:00:00:00:00:01 up; ip link set far1 up
      ip addr add 192.0.2.1/24 dev one label one:a; ip addr add 198.51.100.7/32 dev one
      ip addr add 2001:db8::1/64 dev one nodad; ip addr add 169.254.1.1/16 dev one scope link
      """

    /// Runs the container as `create` and `start` would, then says what the host has left.
    private func run(_ container: Container, with devices: JSONValue, setUp: String = "") throws -> Outcome {
      container.bundle.config["linux"]["netDevices"] = devices
      try container.bundle.write()
      let line = """
        \(NetDeviceTests.hostSetUp)
        \(setUp)
        "$@"; code=$?
        echo HOST; ip -o link; ip -o addr; exit $code
        """
      let call = [Runtime.current.path] + container.root + ["run", "--bundle", container.bundle.path]
      let words = ["--net", "/bin/sh", "-c", line, "sh"] + call + [container.id]
      return try Subprocess("/usr/bin/unshare", words).wait()
    }

    private let lookAround = ["/bin/sh", "-c", "ip -o link; ip -o addr"]

    private func inside(_ outcome: Outcome) -> String { outcome.stdout.components(separatedBy: "HOST\n")[0] }
    private func host(_ outcome: Outcome) -> String { outcome.stdout.components(separatedBy: "HOST\n").last ?? "" }

    private func expectWhole(
      _ name: String, in text: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
      let lines = text.split(separator: "\n").filter { $0.contains(": \(name)") }
      for part in [
        "mtu 1400", "02:00:00:00:00:01", "inet 192.0.2.1/24", "inet 198.51.100.7/32", "inet6 2001:db8::1/64", ",UP",
      ] {
        #expect(lines.contains { $0.contains(part) }, "no `\(part)` in:\n\(text)", sourceLocation: sourceLocation)
      }
    }

    @Test func networkDeviceIsMovedWithItsAddresses() throws {
      let container = try Container(args: lookAround)
      let outcome = try run(container, with: ["one": [:]])
      #expect(outcome.code == 0, "\(outcome)")
      expectWhole("one", in: inside(outcome))
      // Only what is global goes along, each with its label.
      #expect(!inside(outcome).contains("169.254.1.1"), "\(outcome)")
      #expect(inside(outcome).contains("one:a"), "\(outcome)")
      #expect(!inside(outcome).contains("two"), "\(outcome)")
      // It ended with the namespace: nobody has moved it back.
      #expect(!host(outcome).contains(": one"), "\(outcome)")
      #expect(host(outcome).contains(": two@far2"), "\(outcome)")
    }

    @Test func networkDeviceGetsAnotherName() throws {
      let outcome = try run(Container(args: lookAround), with: ["one": ["name": "eth0"], "two": ["name": "far1"]])
      #expect(outcome.code == 0, "\(outcome)")
      expectWhole("eth0", in: inside(outcome))
      #expect(inside(outcome).contains(": far1@"), "\(outcome)")
      #expect(!inside(outcome).contains("one:a"), "\(outcome)")
    }

    @Test func templateOfANameTakesTheFirstFreeNumber() throws {
      let outcome = try run(Container(args: lookAround), with: ["one": ["name": "net%d"], "two": ["name": "net%d"]])
      #expect(outcome.code == 0, "\(outcome)")
      for name in ["net0", "net1"] { #expect(inside(outcome).contains(": \(name)@"), "\(outcome)") }
    }

    @Test func nameThatIsTakenInTheContainerIsAnError() throws {
      let outcome = try run(Container(args: lookAround), with: ["one": ["name": "lo"]])
      expectError(outcome, says: "file exists (at `/linux/netDevices/one`)")
      expectWhole("one", in: host(outcome))
      try expectNothingLeft()
    }

    @Test func networkDeviceThatIsNotThereIsAnErrorAndTheOthersComeBack() throws {
      let outcome = try run(Container(args: lookAround), with: ["one": ["name": "eth0"], "zero": [:]])
      expectError(outcome, says: "no such device (at `/linux/netDevices/zero`)")
      expectWhole("one", in: host(outcome))
      try expectNothingLeft()
    }

    @Test func loopbackCannotBeMoved() throws {
      expectError(
        try run(Container(args: lookAround), with: ["lo": ["name": "lo1"]]), says: "(at `/linux/netDevices/lo`)")
      try expectNothingLeft()
    }

    /// Whatever goes wrong later: what was moved is the host's again, up or down as it was.
    @Test func networkDevicesComeBackWhenTheContainerCannotBeMade() throws {
      let outcome = try run(
        Container(args: ["/no/such/command"]), with: ["one": ["name": "eth0"], "two": ["name": "eth%d"]])
      expectError(outcome, says: "no such file or directory")
      expectWhole("one", in: host(outcome))
      #expect(host(outcome).contains("one:a") && host(outcome).contains("169.254.1.1"), "\(outcome)")
      #expect(host(outcome).contains(": two@far2: <BROADCAST,MULTICAST,M-DOWN>"), "\(outcome)")
      try expectNothingLeft()
    }

    /// The runtime cannot reach back into the network of a user namespace: it says so.
    @Test func networkDeviceThatCannotComeBackIsAWarning() throws {
      let container = try Container(args: ["/no/such/command"])
      try container.bundle.mapUsers()
      let outcome = try run(container, with: ["one": [:]])
      #expect(outcome.code != 0 && outcome.stderr.contains("cannot move network device `one` back"), "\(outcome)")
      try expectNothingLeft()
    }

    @Test func networkDeviceInAUserNamespace() throws {
      let container = try Container(args: lookAround)
      try container.bundle.mapUsers()
      let outcome = try run(container, with: ["one": ["name": "eth0"]])
      #expect(outcome.code == 0, "\(outcome)")
      expectWhole("eth0", in: inside(outcome))
    }

    /// With a user namespace too: it has no rights over a network that others made.
    @Test(arguments: [false, true]) func networkDeviceInANamespaceOfAnother(hasUserNamespace: Bool) throws {
      let other = try Subprocess("/usr/bin/unshare", ["--net", "/bin/sh", "-c", "echo ready; exec sleep 1000"])
      try other.stdout.waitFor("ready")
      let path = "/proc/\(other.process)/ns/net"
      let container = try Container(args: lookAround)
      if hasUserNamespace {
        try container.bundle.mapUsers()
        container.bundle.removeMount("/sys")
        container.bundle.removeMount("/sys/fs/cgroup")
      }
      container.bundle.removeNamespace("network")
      container.bundle.config["linux"]["namespaces"].append(["type": "network", "path": .string(path)])
      let outcome = try run(container, with: ["one": ["name": "eth0"]])
      #expect(outcome.code == 0, "\(outcome)")
      expectWhole("eth0", in: inside(outcome))
      let again = try Container(args: lookAround)
      again.bundle.config["linux"]["namespaces"] = container.bundle.config["linux"]["namespaces"]
      if !hasUserNamespace {
        expectError(try run(again, with: ["two": ["name": "lo"]]), says: "file exists")
      }
      other.signal(SIGKILL)
      _ = try other.wait()
    }

    @Test func networkDeviceNeedsANetworkOfTheContainersOwn() throws {
      let container = try Container(args: lookAround)
      container.bundle.removeNamespace("network")
      expectError(try run(container, with: ["one": [:]]), says: "host's network namespace")
      container.bundle.config["linux"]["namespaces"].append(["type": "network", "path": "/proc/self/ns/net"])
      let outcome = try run(container, with: ["one": ["name": "renamed"]])
      expectError(outcome, says: "(at `/linux/netDevices/one`)")
      expectWhole("one", in: host(outcome))
      try expectNothingLeft()
    }

    @Test func parametersOfAMovedDeviceAreSet() throws {
      let container = try Container(args: ["/bin/busybox", "cat", "/proc/sys/net/ipv4/conf/eth0/rp_filter"])
      container.bundle.config["linux"]["sysctl"] = ["net.ipv4.conf.eth0.rp_filter": "2"]
      #expect(inside(try run(container, with: ["one": ["name": "eth0"]])) == "2\n")
    }

    @Test func emptyNetDevicesAreNone() throws {
      let container = try Container(args: lookAround)
      container.bundle.removeNamespace("network")
      expectWhole("one", in: inside(try run(container, with: [:])))
    }
  }
}
