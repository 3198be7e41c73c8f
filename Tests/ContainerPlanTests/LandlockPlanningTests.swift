import ContainerPlan
import Diagnostics
import LinuxABI
import OCISpec
import Testing

@Suite struct LandlockPlanningTests {
  private static let document = #"""
    {"ruleset": {"handledAccessFS": ["all"], "handledAccessNet": ["bind_tcp", "connect_tcp"],
      "scoped": ["abstract_unix_socket", "signal"]},
     "rules": {
       "pathBeneath": [
         {"allowedAccess": ["execute", "read"], "paths": ["/usr", "/bin"]},
         {"allowedAccess": ["truncate"], "paths": ["/log"], "ifExists": true},
         {"allowedAccess": ["write", "ioctl_dev"], "paths": ["/dev"]}],
       "netPort": [{"allowedAccess": ["bind_tcp"], "ports": [0, 65535]}]},
     "flags": ["log_new_exec_on"]}
    """#

  private func plan(
    _ text: String?, _ support: LandlockSupport = .version(7)
  ) throws(RuntimeError) -> ContainerPlan {
    var input = RuleRow.base
    if let text { input.config.annotations?.append(NamedValue("org.apus.landlock", text)) }
    input.facts.landlock = support
    return try Planner.plan(input)
  }

  private func failure(_ text: String, _ support: LandlockSupport) -> RuntimeError? {
    do {
      _ = try plan(text, support)
      return nil
    } catch {
      return error
    }
  }

  @Test func withoutTheAnnotationThereIsNoRuleset() throws {
    let plan = try plan(nil, .missing(.notImplemented))
    #expect(plan.landlock == nil && plan.warnings.isEmpty)
  }

  @Test func documentIsPlannedAsItStands() throws {
    let plan = try plan(Self.document)
    #expect(
      plan.landlock
        == LandlockPlan(
          files: 0xFFFF, network: 3, scopes: 3, flags: 2,
          paths: [
            LandlockPath(path: "/usr", access: 0b1101, ifExists: false, rule: 0, index: 0),
            LandlockPath(path: "/bin", access: 0b1101, ifExists: false, rule: 0, index: 1),
            LandlockPath(path: "/log", access: 1 << 14, ifExists: true, rule: 1, index: 0),
            LandlockPath(path: "/dev", access: 0xFFF2, ifExists: false, rule: 2, index: 0),
          ],
          ports: [LandlockPort(port: 0, access: 1), LandlockPort(port: 65535, access: 1)]))
    #expect(plan.warnings.isEmpty)
    #expect(plan.landlock?.paths[1].field == "/annotations/org.apus.landlock#/rules/pathBeneath/0/paths/1")
  }

  /// What each version of the ABI leaves of a ruleset with everything: rights on files, ports, scopes, flags, and rules.
  @Test(arguments: [
    (1, 0x1FFF, 0, 0, 0, 3, 0), (2, 0x3FFF, 0, 0, 0, 3, 0), (3, 0x7FFF, 0, 0, 0, 4, 0), (4, 0x7FFF, 3, 0, 0, 4, 2),
    (5, 0xFFFF, 3, 0, 0, 4, 2), (6, 0xFFFF, 3, 3, 0, 4, 2), (7, 0xFFFF, 3, 3, 2, 4, 2), (99, 0xFFFF, 3, 3, 2, 4, 2),
  ]) func olderKernelsGetWhatTheyKnow(
    _ abi: Int32, _ files: UInt64, _ network: UInt64, _ scopes: UInt64, _ flags: UInt32, _ paths: Int, _ ports: Int
  ) throws {
    let plan = try plan(Self.document, .version(abi))
    let landlock = try #require(plan.landlock)
    #expect(
      landlock.files == files && landlock.network == network && landlock.scopes == scopes && landlock.flags == flags)
    // A rule that has nothing left to allow is none, and the kernel would refuse it.
    #expect(landlock.paths.count == paths && landlock.ports.count == ports)
    #expect(landlock.paths.allSatisfy { $0.access != 0 && $0.access & ~files == 0 })
    // Each name that is left out is told.
    let told = plan.warnings.joined()
    for (set, kept) in [
      (LandlockSet.files, files), (.network, network), (.scopes, scopes), (.flags, UInt64(flags)),
    ] {
      let wanted: UInt64 = set == .files ? 0xFFFF : set == .flags ? 2 : 3
      for name in set.names(of: wanted) {
        #expect(told.contains("`\(name)`") == !set.names(of: kept).contains(name), "\(name)")
      }
    }
    #expect(told.isEmpty || told.contains("(ABI \(abi))"))
  }

  /// For the record: the version that counts, and each name that is not restricted.
  @Test func planSaysWhatTheKernelEnforces() throws {
    #expect(try plan(nil, .version(7)).landlockState == nil)
    #expect(try plan(Self.document, .version(7)).landlockState == LandlockState(abi: 7))
    #expect(
      try plan(Self.document, .version(5)).landlockState
        == LandlockState(abi: 5, leftOut: ["abstract_unix_socket", "signal", "log_new_exec_on"]))
  }

  /// A flag restricts nothing, whether it is known or not.
  @Test func flagsThatAreLeftOutAreToldAsWhatTheyAre() throws {
    let text = #"{"ruleset":{"handledAccessFS":["read"]},"flags":["log_new_exec_on"]}"#
    let warnings = try plan(text, .version(6)).warnings
    #expect(warnings.count == 1 && warnings[0].contains("`log_new_exec_on`: it logs no refusals"))
    #expect(!warnings.joined().contains("not restricted"))
  }

  @Test func linksAreFollowedWhereTheRuleSaysSo() throws {
    for (text, follows) in [("", false), (#","followLinks":true"#, true), (#","followLinks":false"#, false)] {
      let rule = #"{"allowedAccess":["read"],"paths":["/a"]\#(text)}"#
      let plan = try plan(#"{"ruleset":{"handledAccessFS":["read"]},"rules":{"pathBeneath":[\#(rule)]}}"#)
      #expect(plan.landlock?.paths.map(\.followLinks) == [follows])
    }
  }

  /// Those of Debian, Fedora, Arch and Alpine; and none that leads out of what its name stands for.
  @Test func usualLinksAreThoseOfDistributions() {
    for (link, target) in [
      ("/bin", "/usr/bin"), ("/sbin", "/usr/sbin"), ("/sbin", "/usr/bin"), ("/lib", "/usr/lib"),
      ("/lib64", "/usr/lib64"), ("/lib64", "/usr/lib"), ("/lib32", "/usr/lib32"), ("/libx32", "/usr/libx32"),
      ("/usr/sbin", "/usr/bin"), ("/usr/lib64", "/usr/lib"), ("/usr/bin", "/bin"), ("/var/run", "/run"),
      ("/var/lock", "/run/lock"),
    ] {
      #expect(LandlockLinks.isUsual(link, target: target), "\(link)")
    }
    for (link, target) in [
      ("/bin", "/"), ("/bin", "/usr"), ("/bin", "/usr/lib"), ("/lib", "/usr/bin"), ("/lib", "/usr/lib/x"),
      ("/bin", "/opt/bin"), ("/opt/bin", "/usr/bin"), ("/usr/local/bin", "/usr/bin"), ("/var/run", "/"),
      ("/run", "/var/run"), ("/var/lock", "/run"), ("/etc", "/usr/etc"), ("/work", "/"),
    ] {
      #expect(!LandlockLinks.isUsual(link, target: target), "\(link)")
    }
  }

  @Test func grantsCoverWhatIsBeneathThem() {
    var grants = LandlockGrants()
    grants.add("/a//b/./c/..", 0b01)
    grants.add("/a", 0b10)
    #expect(grants.cover("/a/b", 0b11) && grants.cover("/a/b/x/y", 0b11) && grants.cover("/a/x", 0b10))
    #expect(!grants.cover("/a/bc", 0b01) && !grants.cover("/a/x", 0b01) && !grants.cover("/", 0b10))
    #expect(!grants.cover("/a/b", 0b100))
    grants.add("/..", 0b100)
    #expect(grants.cover("/", 0b100) && grants.cover("/z", 0b100) && !grants.cover("/z", 0b101))
  }

  /// The first version allows it to nobody.
  @Test func referOfTheFirstVersionIsToldApart() throws {
    let warnings = try plan(#"{"ruleset":{"handledAccessFS":["refer","truncate","read"]}}"#, .version(1)).warnings
    #expect(warnings.count == 2)
    #expect(warnings.contains { $0.contains("`refer`: it is allowed nowhere") && !$0.contains("truncate") })
    #expect(warnings.contains { $0.contains("`truncate`: it is not restricted") })
  }

  @Test func withoutBestEffortWhatIsMissingIsAnError() throws {
    let text = #"{"ruleset":{"handledAccessFS":["read","ioctl_dev"]},"disableBestEffort":true}"#
    #expect(try plan(text, .version(5)).warnings.isEmpty)
    let error = try #require(failure(text, .version(4)))
    #expect(error.code == .landlock && error.message.contains("`ioctl_dev`"))
    #expect(error.field == "/annotations/org.apus.landlock#/ruleset/handledAccessFS")
  }

  /// Best effort is not none.
  @Test func rulesetOfWhichNothingIsLeftIsAnError() throws {
    for text in [#"{"ruleset":{"handledAccessNet":["bind_tcp"]}}"#, #"{"ruleset":{"scoped":["signal"]}}"#] {
      #expect(failure(text, .version(3))?.code == .landlock)
      #expect(failure(text, .version(6)) == nil)
    }
  }

  @Test func kernelWithoutLandlockIsAnErrorThatSaysWhy() throws {
    let absent = try #require(failure(Self.document, .missing(.notImplemented)))
    #expect(absent.code == .landlock && absent.hint.contains("CONFIG_SECURITY_LANDLOCK"))
    let disabled = try #require(failure(Self.document, .missing(.notSupported)))
    #expect(disabled.code == .landlock && disabled.hint.contains("`lsm=`"))
    #expect(disabled.cause?.errno == .notSupported)
  }

  @Test func groupsAllowOnlyWhatIsHandled() throws {
    let plan = try plan(
      #"{"ruleset":{"handledAccessFS":["write_file"]},"rules":{"pathBeneath":[{"allowedAccess":["all"],"paths":["/"]}]}}"#
    )
    #expect(plan.landlock?.paths.map(\.access) == [2])
  }

  @Test func planIsPrintedBeforeTheFilter() throws {
    let lines = try plan(Self.document).lines
    let place = try #require(lines.firstIndex { $0.action == "restrict by Landlock" })
    #expect(lines[..<place].contains { $0.action == "wait for start" })
    #expect(lines[place...].contains { $0.action == "execute" })
    #expect(lines.contains { $0.action == "allow by Landlock if there" && $0.detail == "/log: truncate" })
    #expect(lines.contains { $0.action == "allow by Landlock" && $0.detail == "port 65535: bind_tcp" })
  }
}
