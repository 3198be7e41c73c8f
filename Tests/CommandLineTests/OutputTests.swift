import LinuxABI
import OCISpec
import Testing

@testable import ContainerPlan
@testable import apus

@Suite struct OutputTests {
  @Test func onlyTheFirstLineOfTheVersionHoldsTheWord() {
    let lines = Version.text(program: "runc").split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines[0] == "runc version \(Version.number)")
    #expect(lines[1].hasPrefix("commit: ") && lines[1] != "commit: ")
    #expect(lines[2] == "spec: 1.3.0")
    #expect(lines[3].hasPrefix("libseccomp: 2."))
    #expect(lines.dropFirst().allSatisfy { !$0.contains("version") })
    #expect(lines.last == "")
  }

  @Test func helpNamesEveryCommandAndFlag() {
    let text = Help.text(nil, program: "apus")
    for name in CommandName.allCases { #expect(text.contains("\n  \(name.rawValue) ")) }
    for flag in GlobalOptions.flags { #expect(text.contains("\n  --\(flag.name)")) }
    for name in CommandName.allCases {
      let help = Help.text(name, program: "apus")
      #expect(help.contains("usage: apus [global flags] \(name.rawValue) [flags]"))
      for flag in name.specification.flags {
        #expect(help.contains("\n  --\(flag.name)"), "\(name) \(flag.name)")
      }
      #expect(help.contains("--help, -h"))
    }
  }

  @Test func networkDevicesAndResctrlAreAnnounced() {
    let linux = FeaturesCommand.document.linux
    #expect(linux?.netDevices?.enabled == true)
    #expect(linux?.intelRdt == IntelRDTFeatures(enabled: true, schemata: true, monitoring: true))
  }

  @Test func namesOfMemoryPoliciesInFeaturesAreKnown() {
    let policies = FeaturesCommand.document.linux?.memoryPolicy
    #expect(policies?.modes?.count == 7)
    for name in policies?.modes ?? [] { #expect(MemoryPolicyMode(name: name) != nil, "\(name)") }
    #expect(policies?.flags == ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"])
    for name in policies?.flags ?? [] { #expect(MemoryPolicyFlag(name: name) != nil, "\(name)") }
  }

  @Test func tablesHaveNoNameTwice() {
    for flags in [GlobalOptions.flags] + CommandName.allCases.map({ $0.specification.flags }) {
      let names = flags.flatMap { [$0.name, $0.short] }.filter { !$0.isEmpty }
      #expect(Set(names).count == names.count)
      #expect(Set(flags.map(\.flag)).count == flags.count)
    }
    for name in CommandName.allCases { #expect(name.specification.name == name.rawValue) }
  }

  @Test func listIsAlignedAsInRunc() {
    #expect(ListCommand.table([]) == "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n")
    let state = ContainerState(
      id: "a-long-container-id", pid: 7, status: "running", bundle: "/b\u{1B}", rootfs: "/b/r",
      created: "2026-11-21",
      owner: "root")
    #expect(
      ListCommand.table([state]) == """
        ID                    PID         STATUS      BUNDLE      CREATED      OWNER
        a-long-container-id   7           running     /b\\x1b      2026-11-21   root

        """)
  }

  @Test func planIsPrintedInColumnsAndAsJSON() {
    let lines = [
      PlanLine(runner: "runtime", action: "make cgroup", detail: ""),
      PlanLine(runner: "init stage 2", action: "mount", detail: "/proc"),
    ]
    #expect(
      PlanCommand.text(lines) == """
        runtime       make cgroup
        init stage 2  mount        /proc

        """)
    #expect(
      String(decoding: PlanCommand.json(Array(lines.suffix(1))), as: UTF8.self) == """
        [
          {
            "runner": "init stage 2",
            "action": "mount",
            "detail": "/proc"
          }
        ]
        """)
  }

  @Test func everySeccompActionIsAnnounced() {
    let actions = FeaturesCommand.document.linux?.seccomp?.actions ?? []
    #expect(Set(actions).count == 9 && actions.contains("SCMP_ACT_NOTIFY"))
  }
}
