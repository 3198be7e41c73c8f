import Diagnostics
import OCISpec
import Testing

@testable import ContainerPlan

private func plan(_ rdt: IntelRDT?) throws(RuntimeError) -> ContainerPlan {
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  config.linux = LinuxConfig(namespaces: [Namespace(type: "mount")], intelRdt: rdt)
  return try Planner.plan(
    PlanInput(config: config, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0)))
}

private func failure(_ rdt: IntelRDT) -> RuntimeError? {
  do {
    _ = try plan(rdt)
    return nil
  } catch {
    return error
  }
}

@Suite struct IntelRdtPlanningTests {
  @Test func withoutIntelRdtNothingIsPlanned() throws {
    let made = try plan(nil)
    #expect(made.intelRdt == nil)
    #expect(!made.lines.contains { $0.action.contains("class of service") })
  }

  @Test func emptyIntelRdtIsAClassOfTheContainer() throws {
    for rdt in [
      IntelRDT(),
      IntelRDT(closID: "", schemata: [], l3CacheSchema: "", memBwSchema: "", enableMonitoring: false),
      IntelRDT(schemata: [""]),
    ] { #expect(try plan(rdt).intelRdt == IntelRdtPlan(closID: nil)) }
  }

  @Test func everythingOfIntelRdtIsPlanned() throws {
    let made = try plan(
      IntelRDT(
        closID: "gold", schemata: ["L2:0=f", "MB:0=30"], l3CacheSchema: "L3:0=ff", memBwSchema: "MB:0=20",
        enableMonitoring: true))
    #expect(
      made.intelRdt
        == IntelRdtPlan(
          closID: "gold", schemas: ["L3:0=ff", "MB:0=20"], schemata: ["L2:0=f", "MB:0=30"], isMonitored: true))
    #expect(made.warnings.isEmpty)
    #expect(made.lines.filter { $0.action == "write schemata" }.count == 4)
    #expect(try plan(IntelRDT(closID: "/")).intelRdt?.closID == "")
  }

  @Test func anL3SchemaOfAnotherFormIsAWarning() throws {
    for schema in ["L3CODE:0=f", "L3:0=f\nMB:0=9", "L3:0=f\nL3CODE:0=f"] {
      #expect(try plan(IntelRDT(l3CacheSchema: schema)).warnings.count == 1, "\(schema)")
    }
    let both = try plan(IntelRDT(l3CacheSchema: "L3:0=f\nMB:0=9\n", memBwSchema: "MB:0=20"))
    #expect(both.intelRdt?.schemas == ["L3:0=f", "MB:0=20"])
  }

  @Test func wrongSchemasAreRefusedWithTheirPlace() {
    let table: [(IntelRDT, String)] = [
      (IntelRDT(memBwSchema: "0=20"), "memBwSchema"), (IntelRDT(memBwSchema: "L3:0=20"), "memBwSchema"),
      (IntelRDT(memBwSchema: "MB:0=20\n"), "memBwSchema"), (IntelRDT(memBwSchema: "MB:0=20\u{0}"), "memBwSchema"),
      (IntelRDT(schemata: ["L3:0=f", "MB:0=2\nL2:0=1"]), "schemata/1"),
      (IntelRDT(l3CacheSchema: "L3:\u{0}"), "l3CacheSchema"),
    ]
    for (rdt, field) in table {
      #expect(failure(rdt)?.field == "/linux/intelRdt/\(field)")
      #expect(failure(rdt)?.code == .configInvalid)
    }
  }

  @Test(arguments: [".", "..", "a/b", "/a", "a/", "info", "mon_groups", "mon_data", "a\nb", "a\u{0}b"])
  func aWrongClosIDIsRefused(name: String) {
    #expect(failure(IntelRDT(closID: name))?.field == "/linux/intelRdt/closID")
  }
}
