import Diagnostics
import LinuxABI
import OCISpec
import Testing

@testable import ContainerPlan

private let allKinds = ["pid", "network", "ipc", "uts", "mount"]

private func plan(
  _ sysctl: [(String, String)]?, kinds: [String] = allKinds, change: (inout Config) -> Void = { _ in }
) throws(RuntimeError) -> ContainerPlan {
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  var linux = LinuxConfig(namespaces: kinds.map { Namespace(type: $0) })
  linux.sysctl = sysctl.map { entries in entries.map { NamedValue($0.0, $0.1) } }
  config.linux = linux
  change(&config)
  return try Planner.plan(
    PlanInput(config: config, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0)))
}

private func failure(
  _ name: String, _ value: String = "1", kinds: [String] = allKinds, change: (inout Config) -> Void = { _ in }
) -> RuntimeError? {
  do {
    _ = try plan([(name, value)], kinds: kinds, change: change)
    return nil
  } catch {
    return error
  }
}

extension ContainerPlan {
  fileprivate var sysctls: [SysctlStep] {
    steps.compactMap { if case .sysctl(let step) = $0 { step } else { nil } }
  }
}

@Suite struct SysctlPlanningTests {
  @Test func absentAndEmptySysctlsPlanNothing() throws {
    for sysctl in [nil, []] as [[(String, String)]?] {
      let steps = try plan(sysctl).steps
      #expect(!steps.contains(.openProc))
      #expect(try plan(sysctl).sysctls.isEmpty)
    }
  }

  /// The procfs is opened before any mount can lie over it, and what is written comes last.
  @Test func sysctlsAreWrittenLastThroughAProcfsOpenedFirst() throws {
    let made = try plan([("net.ipv4.ip_forward", "1"), ("kernel.shmmax", "0"), ("kernel.domainname", "")])
    let opened = try #require(made.steps.firstIndex(of: .openProc))
    let mounted = try #require(made.steps.firstIndex { if case .openRoot = $0 { true } else { false } })
    #expect(opened < mounted)
    #expect(
      Array(made.steps.suffix(3)) == [
        .sysctl(
          SysctlStep(path: "net/ipv4/ip_forward", value: "1", field: "/linux/sysctl/net.ipv4.ip_forward")),
        .sysctl(SysctlStep(path: "kernel/shmmax", value: "0", field: "/linux/sysctl/kernel.shmmax")),
        .sysctl(SysctlStep(path: "kernel/domainname", value: "", field: "/linux/sysctl/kernel.domainname")),
      ])
  }

  /// sysctl.d(5).
  @Test func theFirstSeparatorOfASysctlDecides() throws {
    let forms = [
      ("net.ipv4.conf.eno2/100.rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
      ("net/ipv4/conf/eno2.100/rp_filter", "net/ipv4/conf/eno2.100/rp_filter"),
      ("kernel/msgmax", "kernel/msgmax"), ("fs.mqueue.msg_max", "fs/mqueue/msg_max"),
    ]
    for (name, path) in forms { #expect(try plan([(name, "1")]).sysctls.first?.path == path, "\(name)") }
    let error = failure("net/core/somaxconn", kinds: ["mount"])
    #expect(error?.field == "/linux/sysctl/net~1core~1somaxconn")
  }

  private static let owners: [(String, String)] = [
    ("kernel.msgmax", "ipc"), ("kernel.msgmnb", "ipc"), ("kernel.msgmni", "ipc"), ("kernel.sem", "ipc"),
    ("kernel.shmall", "ipc"), ("kernel.shmmax", "ipc"), ("kernel.shmmni", "ipc"),
    ("kernel.shm_rmid_forced", "ipc"), ("fs.mqueue.queues_max", "ipc"), ("net.core.somaxconn", "network"),
    ("kernel.domainname", "uts"), ("user.max_net_namespaces", "user"),
  ]

  @Test(arguments: owners) func aSysctlNeedsItsNamespace(name: String, kind: String) throws {
    let error = failure(name, kinds: ["pid", "network", "ipc", "uts", "mount"].filter { $0 != kind })
    #expect(error?.code == .configInvalid)
    #expect(error?.field == "/linux/sysctl/\(name)")
    #expect(error?.message.contains("host's \(kind) namespace") == true, "\(error?.text ?? "none")")
    let own = failure(name, kinds: allKinds.filter { $0 != kind } + [kind]) { config in
      if kind != "user" { return }
      config.linux?.uidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
      config.linux?.gidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 1)]
    }
    #expect(own == nil, "\(own?.text ?? "")")
  }

  /// A joined namespace may be the host's own: the init stage is told to look.
  @Test func aSysctlMarksTheNamespaceThatIsJoined() throws {
    let made = try plan([("net.core.somaxconn", "9")]) { config in
      config.linux?.namespaces?[1].path = "/run/netns/x"
      config.linux?.namespaces?[2].path = "/proc/1/ns/ipc"
    }
    #expect(made.namespaces.joined.map(\.changedBy) == ["/linux/sysctl/net.core.somaxconn", ""])
  }

  @Test(arguments: [
    "vm.swappiness", "kernel.core_pattern", "kernel.sysrq", "kernel.msg_next_id", "fs.file-max", "kernel",
    "network.core.x", "kernel.hostname.x", "user",
  ])
  func aSysctlOfTheWholeHostIsRefused(name: String) {
    let error = failure(name)
    #expect(error?.code == .configInvalid)
    #expect(error?.field == "/linux/sysctl/\(name)")
  }

  /// These begin like a parameter of a namespace and lead to one of the host.
  @Test(arguments: [
    "net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net/./../kernel/sysrq", "net//ipv4",
    "net.ipv4.", ".net.ipv4.ip_forward", "/net/ipv4/ip_forward", "fs/mqueue/../../kernel/core_pattern", "",
    "..", "net", "net.", "net.ipv4..x",
  ])
  func aSysctlThatLeavesItsFolderIsRefused(name: String) {
    #expect(failure(name)?.code == .configInvalid, "\(name)")
  }

  @Test func namesOfTheHostHaveTheirOwnProperties() {
    #expect(failure("kernel.hostname", "x")?.message.contains("conflicts") == true)
    #expect(failure("kernel/hostname", "x")?.field == "/linux/sysctl/kernel~1hostname")
    #expect(failure("kernel.domainname", "x") { $0.domainname = "y" }?.message.contains("conflicts") == true)
    #expect(failure("kernel.domainname", "x") { $0.domainname = "x" } == nil)
    #expect(failure("kernel.domainname", "x") { $0.domainname = "" } == nil)
  }

  @Test func aSysctlThatStandsTwiceOrHoldsANulIsRefused() {
    #expect(
      throws: RuntimeError.self, "two forms of one name",
      performing: { try plan([("net.core.somaxconn", "1"), ("net/core/somaxconn", "2")]) })
    #expect(failure("net.core.somaxconn", "1\u{0}2")?.message.contains("NUL") == true)
    #expect(failure("net.core.\u{0}")?.message.contains("NUL") == true)
  }
}
