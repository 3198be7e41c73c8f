import ContainerPlan
import Diagnostics
import Foundation
import OCISpec
import Testing

@testable import ContainerRuntime

/// A host or a configuration in which one thing is wrong.
struct HostRow: Sendable, CustomTestStringConvertible {
  let rule: String
  let pointer: String
  /// A word of the text.
  let says: String
  /// Files of the host; nil for one that is not there.
  var files: [String: String?] = [:]
  var isRootless = false
  var change: @Sendable (inout Config) -> Void = { _ in }

  var testDescription: String { "\(rule) at \(pointer): \(says)" }

  static let all: [HostRow] = kernel + users + onDisk

  private static let kernel: [HostRow] = [
    HostRow(
      rule: "namespace-kind", pointer: "/linux/namespaces/6", says: "no time namespaces",
      files: ["proc/self/ns/time": nil]),
    HostRow(
      rule: "namespace-kind", pointer: "/linux/namespaces/1", says: "max_net_namespaces",
      files: ["proc/sys/user/max_net_namespaces": "0\n"]),
    HostRow(
      rule: "namespace-file", pointer: "/linux/namespaces/2/path", says: "no such file"
    ) { $0.linux?.namespaces?[2].path = "/run/none" },
    HostRow(rule: "namespace-file", pointer: "/linux/namespaces/2/path", says: "is no namespace") {
      $0.linux?.namespaces?[2].path = "/etc/passwd"
    },
    HostRow(rule: "file-system", pointer: "/mounts/0/type", says: "`zfs`") { $0.mounts?[0].type = "zfs" },
    HostRow(
      rule: "file-system", pointer: "/mounts/1/type", says: "`xfs`",
      files: ["lib/modules/6.1.0/modules.alias": "alias fs-nfs4 nfs\n"]),
    HostRow(
      rule: "apparmor-profile", pointer: "/process/apparmorProfile", says: "`p` is not loaded",
      files: ["sys/kernel/security/apparmor/profiles": "pp (enforce)\n/usr/bin/p (complain)\n"]),
    HostRow(
      rule: "apparmor-profile", pointer: "/process/apparmorProfile", says: "`p` is not loaded",
      files: ["sys/kernel/security/apparmor/profiles": ""]),
    HostRow(
      rule: "capability", pointer: "/process/capabilities/bounding/1", says: "kernel",
      files: ["proc/sys/kernel/cap_last_cap": "37\n"]
    ) { $0.process?.capabilities?.bounding?.append("CAP_BPF") },
    HostRow(
      rule: "capability", pointer: "/process/capabilities/bounding/0", says: "caller does not have `CAP_KILL`",
      files: ["proc/self/status": "CapBnd:\t0000000000000000\nCapPrm:\t0000000000000020\n"]),
    HostRow(
      rule: "sysctl", pointer: "/linux/sysctl/net.ipv4.ip_forward", says: "/proc/sys/net/ipv4/ip_forward",
      files: ["proc/sys/net/ipv4/ip_forward": nil]),
  ]

  private static let users: [HostRow] = [
    HostRow(
      rule: "id-mapping-parent", pointer: "/linux/uidMappings/1/hostID", says: "100000 to 165535",
      files: ["proc/self/uid_map": "0 0 2000\n"], isRootless: true),
    HostRow(
      rule: "mount-owned-namespace", pointer: "/mounts/0/type", says: "ipc namespace", isRootless: true
    ) {
      $0.linux?.namespaces?.removeAll { $0.type == "ipc" }
      $0.mounts?[0] = Mount(destination: "/dev/mqueue", type: "mqueue", source: "mqueue")
    },
    HostRow(
      rule: "user-namespace-allowed", pointer: "/linux/namespaces", says: "unprivileged_userns_clone",
      files: ["proc/sys/kernel/unprivileged_userns_clone": "0"], isRootless: true),
    HostRow(
      rule: "user-namespace-allowed", pointer: "/linux/namespaces", says: "AppArmor",
      files: ["proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"], isRootless: true),
    HostRow(
      rule: "subordinate-ids", pointer: "/linux/uidMappings/1/hostID", says: "no line",
      files: ["etc/subuid": "other:100000:65536\n"], isRootless: true),
    HostRow(
      rule: "subordinate-ids", pointer: "/linux/gidMappings/1/hostID", says: "see his line",
      files: ["etc/subgid": "user:100000:65535\n"], isRootless: true),
    HostRow(
      rule: "setgroups", pointer: "/process/user/additionalGids", says: "supplementary groups", isRootless: true
    ) {
      $0.linux?.gidMappings?.removeLast()
      $0.process?.user.additionalGids = [0]
    },
    HostRow(rule: "rootless-mount", pointer: "/mounts/0/type", says: "`ext4`", isRootless: true) {
      $0.mounts?[0].type = "ext4"
    },
    HostRow(rule: "rootless-mount", pointer: "/mounts/2/options", says: "id-map", isRootless: true) {
      $0.mounts?[2].options?.append("idmap")
    },
    HostRow(rule: "rootless-limit", pointer: "/process/rlimits/0/hard", says: "above", isRootless: true) {
      // More than fs.nr_open lets anybody have.
      $0.process?.rlimits = [ResourceLimit(type: "RLIMIT_NOFILE", soft: 1, hard: 1 << 40)]
    },
    HostRow(rule: "rootless-limit", pointer: "/process/oomScoreAdj", says: "below", isRootless: true) {
      $0.process?.oomScoreAdj = -1
    },
    HostRow(
      rule: "device-node", pointer: "/linux/devices/0/path", says: "`/dev/fuse`", files: ["dev/fuse": nil],
      isRootless: true),
  ]

  private static let onDisk: [HostRow] = [
    HostRow(rule: "mount-source", pointer: "/mounts/4/source", says: "no such file") { $0.mounts?[4].source = "none" },
    HostRow(rule: "executable", pointer: "/process/args/0", says: "`false`") { $0.process?.args = ["false"] },
    HostRow(rule: "executable", pointer: "/process/args/0", says: "`./true`") { $0.process?.args = ["./true"] },
    HostRow(rule: "hook", pointer: "/hooks/createRuntime/0/path", says: "no such file") {
      $0.hooks?.createRuntime?[0].path = "/none"
    },
    HostRow(rule: "hook", pointer: "/hooks/poststop/0/path", says: "is a directory") {
      $0.hooks?.poststop = [Hook(path: "/usr")]
    },
    HostRow(rule: "start-hook", pointer: "/hooks/startContainer/0/path", says: "`/bin/sh`") {
      $0.hooks?.startContainer?[0].path = "/bin/sh"
    },
    HostRow(
      rule: "device", pointer: "/linux/devices/0/major", says: "major number 10",
      files: ["proc/devices": "Character devices:\n  1 mem\n\nBlock devices:\n 10 x\n"]),
    HostRow(rule: "net-device", pointer: "/linux/netDevices/none9", says: "`none9`") {
      $0.linux?.netDevices = [NamedValue("none9", NetDevice())]
    },
  ]
}

@Suite struct HostCheckTests {
  @Test func whatAHostCanHonourIsNoFinding() throws {
    let host = try HostFolder()
    #expect(try host.findings(HostFolder.config, caller: 0) == [])
    #expect(try host.findings(HostFolder.rootless, caller: 1000).filter { $0.rule != "map-helper" } == [])
  }

  @Test(arguments: HostRow.all)
  func whatAHostLacksIsOneFinding(row: HostRow) throws {
    let host = try HostFolder(row.files)
    var config = row.isRootless ? HostFolder.rootless : HostFolder.config
    row.change(&config)
    // Whether this machine has newuidmap(1) is none of the row's business.
    let findings = try host.findings(config, caller: row.isRootless ? 1000 : 0).filter { $0.rule != "map-helper" }
    #expect(findings.map { $0.rule } == [row.rule], "\(findings.map { $0.detail.text })")
    #expect(findings.first?.detail.field == row.pointer)
    #expect(findings.first?.detail.text.contains(row.says) == true, "\(findings.map { $0.detail.text })")
    #expect(findings.first?.kind == Rule.catalogue.first { $0.name == row.rule }?.kind)
  }

  @Test func profilesThatAreNotInTheListAreNotTold() throws {
    var config = HostFolder.config
    for (profile, list) in [
      ("unconfined", ""), (":ns:q", ""), ("a//&b", ""), ("", ""), ("q", nil), ("a (b)", "a (b) (enforce)\n"),
    ] as [(String, String?)] {
      config.process?.apparmorProfile = profile
      let host = try HostFolder(["sys/kernel/security/apparmor/profiles": list])
      #expect(try host.findings(config, caller: 0) == [], "\(profile)")
    }
  }

  @Test func appArmorIsOnWhereItsFilesSaySo() throws {
    func isOn(_ host: HostFolder) throws -> Bool {
      try withExtendedLifetime(host) { try SecurityModules.hasAppArmor(host.path) }
    }
    #expect(try isOn(HostFolder()))
    // podman hides the list of profiles from a runtime.
    #expect(try isOn(HostFolder(["sys/kernel/security/apparmor/profiles": nil])))
    for text in ["N\n", "", nil] {
      #expect(try !isOn(HostFolder(["sys/module/apparmor/parameters/enabled": text])), "\(text ?? "is not there")")
    }
  }

  @Test func helpersThatCannotMapAreTold() throws {
    // The folders of PATH, all without newuidmap(1), then with one that has no rights.
    let host = try HostFolder()
    func helpers() throws -> [Finding] {
      try host.findings(HostFolder.rootless, caller: 1000).filter { $0.rule == "map-helper" }
    }
    #expect(try helpers().map { $0.detail.field } == ["/linux/uidMappings", "/linux/gidMappings"])
    #expect(try helpers().allSatisfy { $0.detail.text.contains("is not in a folder of PATH") })
    let folder = host.path + "/usr/bin"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in ["newuidmap", "newgidmap"] {
      try "".write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
    }
    #expect(try helpers().allSatisfy { $0.detail.text.contains("neither set-user-ID") })
    chmod("\(folder)/newuidmap", 0o4755)
    #expect(try helpers().map { $0.detail.field } == ["/linux/gidMappings"])
    // One's own id takes no help.
    var single = HostFolder.rootless
    single.linux?.uidMappings?.removeLast()
    single.linux?.gidMappings?.removeLast()
    #expect(try host.findings(single, caller: 1000) == [])
  }

  @Test func aStateDirectoryThatCannotBeMadeIsTold() throws {
    let host = try HostFolder()
    let findings = try host.findings(HostFolder.config, caller: 0, stateRoot: host.path + "/etc/passwd/x")
    #expect(findings.map { $0.rule } == ["state-root"])
  }

  @Test func rangesOfIdsMayJoin() {
    let ids = SubordinateIDs("a:100:10\na:105:20\nb:125:5\n7:125:1\na:x:1\na:1\n", user: "a", id: 7)
    #expect(ids.contain(100, 26) && ids.contain(110, 1))
    #expect(!ids.contain(100, 27) && !ids.contain(99, 2) && !ids.contain(126, 1))
    #expect(!SubordinateIDs("", user: nil, id: 0).contain(0, 1))
  }

  @Test func everyRuleStandsInTheCatalogueAndInItsDocument() throws {
    let rules = Rule.catalogue
    #expect(Set(rules.map { $0.name }).count == rules.count)
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../spec/rules.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    let lines = text.split(separator: "\n").filter { $0.hasPrefix("| `") }.map(String.init)
    let expected = rules.map { rule in
      "| `\(rule.name)` | \(rule.kind.name) | \(rule.pointer.isEmpty ? "" : "`\(rule.pointer)`") | \(rule.section) |"
    }
    if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
      let head = text.components(separatedBy: "|---|---|---|---|\n")[0] + "|---|---|---|---|\n"
      try (head + expected.joined(separator: "\n") + "\n").write(to: file, atomically: true, encoding: .utf8)
    }
    #expect(lines == expected)
  }
}
