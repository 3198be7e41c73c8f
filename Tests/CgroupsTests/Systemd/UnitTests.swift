import Diagnostics
import OCISpec
import Testing

@testable import Cgroups

@Suite struct UnitNameTests {
  @Test(arguments: [
    (nil, "web", "system.slice", "apus-web.scope", ["system.slice"]),
    ("", "a+b", "system.slice", #"apus-a\x2bb.scope"#, ["system.slice"]),
    ("::web", "x", "system.slice", "-web.scope", ["system.slice"]),
    ("machine.slice:libpod:1234", "x", "machine.slice", "libpod-1234.scope", ["machine.slice"]),
    (
      "kubepods-burstable-pod12.slice:cri-containerd:ab", "x", "kubepods-burstable-pod12.slice",
      "cri-containerd-ab.scope",
      ["kubepods.slice", "kubepods-burstable.slice", "kubepods-burstable-pod12.slice"]
    ),
    ("-.slice:a:b", "x", "-.slice", "a-b.scope", []), ("-:a:b", "x", "-.slice", "a-b.scope", []),
    ("user-1000.slice:a:b@c", "x", "user-1000.slice", "a-b@c.scope", ["user.slice", "user-1000.slice"]),
  ])
  func pathIsSliceAndScope(
    _ path: String?, _ id: String, _ slice: String, _ unit: String, _ above: [String]
  ) throws {
    let name = try UnitName(path, id: id, bus: .system)
    #expect(name.slice == slice && name.unit == unit)
    #expect(try name.components() == above + [unit])
  }

  @Test func scopesOfAUserAreInHisSlice() throws {
    #expect(try UnitName(nil, id: "web", bus: .user).slice == "user.slice")
    #expect(try UnitName("app.slice:a:b", id: "web", bus: .user).slice == "app.slice")
  }

  @Test(arguments: [
    ("/a/b", "expected cgroupsPath to be of format `slice:prefix:name`"), ("a:b", "`slice:prefix:name`"),
    ("a.slice:b:c:d", "`slice:prefix:name`"), ("a:b:c", "ends with `.slice`"), (".slice:b:c", "ends with `.slice`"),
    ("a/b.slice:b:c", "is no name of a unit"), ("a--b.slice:b:c", "nothing between two `-`"),
    ("-a.slice:b:c", "nothing between two `-`"), ("a-.slice:b:c", "nothing between two `-`"),
    ("a.slice:b:", "has no name"),
    ("a.slice:b:../c", "is no name of a unit"), ("a.slice:b:c d", "is no name of a unit"),
    ("a.slice:b:c'd", "is no name of a unit"), ("a.slice:b:c\u{0}", "is no name of a unit"),
    ("a.slice:b:\u{e9}", "is no name of a unit"), ("a.slice:b:pod.slice", "is a slice, which holds no processes"),
  ])
  func pathThatNamesNoScopeIsRefused(_ path: String, _ reason: String) {
    #expect {
      try UnitName(path, id: "x", bus: .system)
    } throws: { error in
      let error = error as? RuntimeError
      return error?.code == .configInvalid && error?.field == "/linux/cgroupsPath"
        && error?.text.contains(reason) == true
    }
  }

  @Test func nameThatIsTooLongIsRefused() throws {
    _ = try UnitName("a.slice:b:" + String(repeating: "c", count: 247), id: "x", bus: .system)
    #expect(throws: RuntimeError.self) {
      try UnitName("a.slice:b:" + String(repeating: "c", count: 248), id: "x", bus: .system)
    }
  }
}

@Suite struct UnitPropertyTests {
  private func limits(_ resources: Resources, v1: Bool = false) throws -> [String: DBusValue] {
    let v2 = CgroupHierarchy(version: .v2, mountPoint: "/sys/fs/cgroup")
    let old = ["memory", "cpu", "pids", "blkio", "cpuset"].map {
      CgroupHierarchy(version: .v1, controllers: [$0], mountPoint: "/sys/fs/cgroup/\($0)")
    }
    let layout = v1 ? CgroupLayout(hierarchies: old, unified: nil) : CgroupLayout(hierarchies: [], unified: v2)
    let writes = try ResourceConversion.writes(resources, layout: layout)
    let properties = UnitProperties.limits(writes, isUnified: !v1)
    #expect(properties.allSatisfy { $0.isOptional })
    return Dictionary(uniqueKeysWithValues: properties.map { ($0.name, $0.value) })
  }

  @Test func limitsOfV2ArePropertiesToo() throws {
    #expect(
      try limits(
        Resources(
          memory: MemoryResources(limit: 1 << 20, reservation: 4096, swap: 3 << 20),
          cpu: CPUResources(shares: 1024, quota: 25_500, period: 100_000, cpus: "0-1,9", mems: "0"),
          pids: PidsResources(limit: 100), blockIO: BlockIOResources(weight: 200)))
        == [
          "MemoryMax": .uint64(1 << 20), "MemoryLow": .uint64(4096), "MemorySwapMax": .uint64(2 << 20),
          "CPUWeight": .uint64(100), "CPUQuotaPerSecUSec": .uint64(260_000), "CPUQuotaPeriodUSec": .uint64(100_000),
          "AllowedCPUs": .bytes([3, 2]), "AllowedMemoryNodes": .bytes([1]), "TasksMax": .uint64(100),
          "IOWeight": .uint64(1200),
        ])
  }

  @Test func noLimitIsInfinity() throws {
    #expect(
      try limits(
        Resources(
          memory: MemoryResources(limit: -1), cpu: CPUResources(quota: -1), pids: PidsResources(limit: -1)))
        == [
          "MemoryMax": .uint64(.max), "MemorySwapMax": .uint64(.max), "CPUQuotaPerSecUSec": .uint64(.max),
          "CPUQuotaPeriodUSec": .uint64(100_000), "TasksMax": .uint64(.max),
        ])
  }

  @Test func limitsOfV1HaveTheirOldNames() throws {
    #expect(
      try limits(
        Resources(
          memory: MemoryResources(limit: 1 << 20, swap: 2 << 20),
          cpu: CPUResources(shares: 300, quota: 50_000, period: 200_000), pids: PidsResources(limit: 70),
          blockIO: BlockIOResources(weight: 200)), v1: true)
        == [
          "MemoryLimit": .uint64(1 << 20), "CPUShares": .uint64(300), "CPUQuotaPerSecUSec": .uint64(250_000),
          "CPUQuotaPeriodUSec": .uint64(200_000), "TasksMax": .uint64(70), "BlockIOWeight": .uint64(200),
        ])
  }

  @Test func filesOfUnifiedWinAndOthersAreLeftToTheKernel() throws {
    #expect(
      try limits(
        Resources(
          memory: MemoryResources(limit: 1 << 20),
          unified: [
            NamedValue("memory.max", "max"), NamedValue("memory.high", " 5000\n"), NamedValue("memory.min", "6"),
            NamedValue("cpu.max", "10000 50000"), NamedValue("pids.max", "5"), NamedValue("memory.oom.group", "1"),
            NamedValue("hugetlb.2MB.max", "0"), NamedValue("memory.low", "nonsense"), NamedValue("cpuset.cpus", "2-1"),
          ]))
        == [
          "MemoryMax": .uint64(.max), "MemoryHigh": .uint64(5000), "MemoryMin": .uint64(6),
          "CPUQuotaPerSecUSec": .uint64(200_000), "CPUQuotaPeriodUSec": .uint64(50_000), "TasksMax": .uint64(5),
          "OOMPolicy": .string("kill"),
        ])
  }

  @Test func idleIsAWeightOfNothing() throws {
    #expect(try limits(Resources(cpu: CPUResources(idle: 1))) == ["CPUWeight": .uint64(0)])
    #expect(try limits(Resources(cpu: CPUResources(idle: 0))) == ["CPUWeight": .uint64(.max)])
  }

  /// No scope could be set up with it; and systemd has no limit of 0.
  @Test func lowLimitOfTasksComesLate() throws {
    for (limit, isLate) in [(Int64(0), true), (1, true), (63, true), (64, false), (-1, false)] {
      let writes = try ResourceConversion.writes(
        Resources(pids: PidsResources(limit: limit)),
        layout: CgroupLayout(hierarchies: [], unified: CgroupHierarchy(version: .v2, mountPoint: "/c")))
      let property = try #require(UnitProperties.limits(writes, isUnified: true).first)
      #expect(UnitProperties.isLate(property) == isLate)
      #expect(property.value == .uint64(limit == -1 ? .max : UInt64(max(limit, 1))))
    }
  }

  private func devices(_ rules: [DeviceRule], isUnified: Bool = true) throws -> [UnitProperty] {
    UnitProperties.devices(try DevicePermissions(rules), isUnified: isUnified)
  }

  private func rule(_ allow: Bool, _ type: String, _ major: Int64?, _ minor: Int64?, _ access: String) -> DeviceRule {
    DeviceRule(allow: allow, type: type, major: major, minor: minor, access: access)
  }

  @Test func deviceRulesAreAListOfWhatIsAllowed() throws {
    let list = try devices([
      rule(false, "a", nil, nil, "rwm"), rule(true, "c", nil, nil, "m"), rule(true, "c", 1, 3, "rw"),
      rule(true, "b", 8, nil, "r"), rule(true, "c", 5, 0, "rwm"), rule(false, "c", 5, 0, "w"),
    ])
    #expect(list.map(\.name) == ["DevicePolicy", "DeviceAllow", "DeviceAllow"])
    #expect(list[0].value == .string("strict"))
    #expect(list[1].value == .array(Array("(ss)".utf8), []))
    func entry(_ device: String, _ access: String) -> DBusValue { .structure([.string(device), .string(access)]) }
    #expect(
      list[2].value
        == .array(
          Array("(ss)".utf8),
          [
            entry("char-*", "m"), entry("/dev/char/1:3", "rwm"), entry("block-8", "r"), entry("/dev/char/5:0", "rm"),
          ]))
  }

  /// systemd cannot say these, and would deny what is allowed: our own filter alone holds then.
  @Test func rulesThatSystemdCannotSayAreOursAlone() throws {
    let some = [rule(false, "c", 1, 3, "w"), rule(true, "c", nil, 3, "rwm")]
    for rules in [
      [rule(true, "a", nil, nil, "rwm")], [rule(true, "a", nil, nil, "rwm"), some[0]],
      [rule(true, "c", 1, nil, "rwm"), some[0]], [some[1]],
    ] {
      #expect(
        try devices(rules) == [
          UnitProperty("DevicePolicy", .string("auto")), UnitProperty("DeviceAllow", .array(Array("(ss)".utf8), [])),
        ])
    }
  }

  /// On v1 there is one list, and what systemd writes there must never open what the rules deny.
  @Test func rulesThatSystemdCannotSayAreClosedOnV1() throws {
    let all = rule(true, "a", nil, nil, "rwm")
    #expect(try devices([all], isUnified: false)[0].value == .string("auto"))
    let none: DBusValue = .array(Array("(ss)".utf8), [])
    let denial = try devices([all, rule(false, "c", 1, 3, "w")], isUnified: false)
    #expect(denial.map(\.value) == [.string("strict"), none, none])
    let wild = try devices([rule(true, "c", nil, 3, "rwm")], isUnified: false)
    #expect(wild.map(\.value) == [.string("strict"), none, none])
    #expect(UnitProperties.canSay(try DevicePermissions([all])))
    let unsayable = try DevicePermissions([all, rule(false, "c", 1, 3, "w")])
    #expect(!UnitProperties.canSay(unsayable))
    #expect(throws: RuntimeError.self) { try UnitProperties.check(unsayable, bus: .system, isUnified: false) }
    try UnitProperties.check(unsayable, bus: .system, isUnified: true)
  }

  @Test func scopeHasAProcessAndIsDelegated() throws {
    let list = UnitProperties.scope(
      try UnitName("a.slice:b:c", id: "c", bus: .system), id: "c", pid: 77, isUnified: true)
    let values = Dictionary(uniqueKeysWithValues: list.map { ($0.name, $0.value) })
    #expect(values["PIDs"] == .array([0x75], [.uint32(77)]))
    #expect(values["Delegate"] == .bool(true) && values["DefaultDependencies"] == .bool(false))
    #expect(values["Slice"] == .string("a.slice") && values["IOAccounting"] == .bool(true))
    for name in ["MemoryAccounting", "CPUAccounting", "TasksAccounting"] { #expect(values[name] == .bool(true)) }
    #expect(values["CollectMode"] == .string("inactive-or-failed"))
    // One too old for it does without.
    #expect(list.first { $0.name == "CollectMode" }?.isOptional == true)
  }
}

@Suite struct PropertyTextTests {
  private func annotated(_ name: String, _ value: String) throws -> [UnitProperty] {
    try UnitProperties.annotated([NamedValue("org.systemd.property." + name, value), NamedValue("other", "x")])
  }

  private static let strings = Array("s".utf8)
  static let values: [(String, DBusValue)] = [
    ("true", .bool(true)), (" false ", .bool(false)), ("5", .number(0x69, 5)), ("-5", .number(0x69, 0 &- 5)),
    ("0x1F", .number(0x69, 31)), ("uint64 18446744073709551615", .uint64(.max)), ("@t 7", .uint64(7)),
    ("int64 -9223372036854775808", .number(0x78, 1 << 63)), ("byte 255", .number(0x79, 255)),
    ("uint32 7", .uint32(7)), ("'a text'", .string("a text")), (#""it's""#, .string("it's")),
    (#"'it\'s \\ \n'"#, .string("it's \\ \n")), ("['a', 'b']", .array(strings, [.string("a"), .string("b")])),
    ("@as []", .array(strings, [])), ("@a{sv} []", .array(Array("{sv}".utf8), [])),
    ("@aa(s(ut)) []", .array(Array("a(s(ut))".utf8), [])), ("[uint32 1, 2]", .array([0x75], [.uint32(1), .uint32(2)])),
    ("@au [1,2]", .array([0x75], [.uint32(1), .uint32(2)])), ("[byte 0x1, 0xff]", .bytes([1, 255])),
    (
      "[('/dev/null', 'rw')]",
      .array(Array("(ss)".utf8), [.structure([.string("/dev/null"), .string("rw")])])
    ),
    ("<uint64 1>", .variant(.uint64(1))), ("objectpath '/a'", .text(0x6F, "/a")), ("objectpath '/'", .text(0x6F, "/")),
    ("objectpath '/a_1/B'", .text(0x6F, "/a_1/B")), ("signature 'a(sv)s'", .text(0x67, "a(sv)s")),
    ("string 'a'", .string("a")),
    (
      "[[1], [2, 3]]",
      .array(
        Array("ai".utf8), [.array([0x69], [.number(0x69, 1)]), .array([0x69], [.number(0x69, 2), .number(0x69, 3)])])
    ),
  ]

  @Test(arguments: values) func valueIsReadInItsType(_ row: (String, DBusValue)) throws {
    #expect(try annotated("CollectMode", row.0) == [UnitProperty("CollectMode", row.1)])
  }

  @Test(arguments: [
    "", "'", "'abc", "abc", "[1, 'a']", "[", "[1", "[1,", "[]", "1 2", "uint64", "uint64 -1", "uint64 x", "byte 256",
    "2147483648", "uint32 4294967296", "int16 40000", "uint64 18446744073709551616", "(1", "<1", "@", "@as", "@as [1]",
    "@t 'a'", "1.5", "true false", "'a' 'b'", "0x", "--1", "'\\x'", "'a\u{0}b'", "boolean 1", "[1]]",
    // An empty list of what is no type, or more than one: the bus hangs up on whoever sends it.
    "@aargss []", "@a []", "@ass []", "@ar []", "@a(s []", "@a() []", "@a{s} []", "@a{vs} []", "@a{sss} []",
    "@a\u{0} []",
    // And texts that are not what their type says.
    "objectpath 'a'", "objectpath ''", "objectpath '/a/'", "objectpath '//a'", "objectpath '/a b'", "signature 'r'",
    "signature 'sa'", "signature '" + String(repeating: "s", count: 256) + "'",
    String(repeating: "[", count: 100), String(repeating: "<", count: 10_000),
  ])
  func malformedValueIsRefusedWithItsAnnotation(_ text: String) {
    #expect {
      try annotated("CollectMode", text)
    } throws: { error in
      (error as? RuntimeError)?.field == "/annotations/org.systemd.property.CollectMode"
    }
  }

  @Test(
    arguments: [
      ("5", 5_000_000), ("uint64 5", 5_000_000), ("byte 1", 1_000_000), ("1.5", 1_500_000), ("double 0.25", 250_000),
      ("2.1234567", 2_123_456), ("0", 0), ("uint64 9223372036854", 9_223_372_036_854_000_000),
    ] as [(String, UInt64)])
  func secondsAreMicrosecondsOnTheBus(_ row: (String, UInt64)) throws {
    #expect(try annotated("TimeoutStopSec", row.0) == [UnitProperty("TimeoutStopUSec", .uint64(row.1))])
  }

  @Test(arguments: ["'5'", "true", "-5", "int64 -1", "uint64 18446744073709551615", "1.x", ".", "[5]", "1.5.5"])
  func secondsThatAreNoneAreRefused(_ text: String) {
    #expect(throws: RuntimeError.self) { try annotated("TimeoutStopSec", text) }
  }

  @Test func microsecondsStayWhatTheyAre() throws {
    #expect(try annotated("TimeoutStopUSec", "uint64 5") == [UnitProperty("TimeoutStopUSec", .uint64(5))])
    #expect(try annotated("Sec", "5") == [UnitProperty("Sec", .number(0x69, 5))])
  }

  @Test(arguments: ["", "Ab", "A.b", "Memory Max", "Mem1", "PIDs", "Müller"])
  func nameThatIsNoneOfAPropertyIsRefused(_ name: String) {
    #expect(throws: RuntimeError.self) { try annotated(name, "true") }
  }
}
