import ContainerPlan
import Diagnostics
import Foundation
import Testing

@testable import Cgroups

/// A folder that looks like resctrl, with a default class and one called `gold`. What the kernel would put into a new
/// folder is missing, but for `schemata` and `tasks`, which are made when they are written.
private final class Tree: TemporaryFolder {
  var root: String { path }

  init() throws {
    try super.init(
      [
        "info/last_cmd_status": "ok\n", "schemata": "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n",
        "gold/schemata": "    MB:0= 20;1= 70\n    L3:0=00ff;1=fffff\n", "tasks": "", "gold/tasks": "",
      ], folders: ["mon_groups", "gold/mon_groups"])
  }

  func group(_ plan: IntelRdtPlan) -> ResctrlGroup { ResctrlGroup(plan, id: "box", root: root) }

  func failure(_ plan: IntelRdtPlan) -> RuntimeError? {
    do {
      var group = group(plan)
      try group.make()
      return nil
    } catch {
      return error
    }
  }
}

@Suite struct ResctrlTests {
  @Test func withoutAClosIDTheClassHasTheNameOfTheContainer() throws {
    let tree = try Tree()
    var group = tree.group(
      IntelRdtPlan(closID: nil, schemas: ["L3:0=f;1=f", "MB:0=20;1=70"], schemata: ["L2:0=3", "L3:0=7"]))
    try group.make()
    // l3CacheSchema, memBwSchema, then schemata.
    #expect(try tree.read("box/schemata") == "L3:0=f;1=f\nMB:0=20;1=70\nL2:0=3\nL3:0=7\n")
    try group.add(4711)
    #expect(try tree.read("box/tasks") == "4711")
    #expect(try tree.read("tasks") == "" && tree.read("gold/tasks") == "")
    #expect(group.removedWithContainer == ["\(tree.root)/box"])
    // As a later command knows it.
    try ResctrlGroup.add(4712, to: group.joined)
    #expect(try tree.read("box/tasks") == "4712")
    for file in ["box/schemata", "box/tasks"] { try tree.remove(file) }
    try ResctrlGroup.remove(group.removedWithContainer)
    #expect(!tree.has("box"))
    try ResctrlGroup.remove(group.removedWithContainer)
  }

  @Test func eachSchemaAloneIsWritten() throws {
    for plan in [
      IntelRdtPlan(closID: nil, schemas: ["L3:0=f"]), IntelRdtPlan(closID: nil, schemas: ["MB:0=20"]),
      IntelRdtPlan(closID: nil, schemata: ["MB:0=20"]),
    ] {
      let tree = try Tree()
      var group = tree.group(plan)
      try group.make()
      #expect(try tree.read("box/schemata") == "\((plan.schemas + plan.schemata)[0])\n")
    }
  }

  @Test func withoutASchemaNoSchemataIsWritten() throws {
    let tree = try Tree()
    for closID in [nil, "gold", ""] as [String?] {
      let before = try tree.content()
      var group = tree.group(IntelRdtPlan(closID: closID))
      try group.make()
      #expect(!tree.has("box/schemata"))
      if closID == nil { try group.undo() }
      #expect(try tree.content() == before)
    }
  }

  @Test func aClassThatIsMissingIsMadeAndStays() throws {
    let tree = try Tree()
    var group = tree.group(IntelRdtPlan(closID: "silver", schemata: ["L3:0=f"]))
    try group.make()
    try group.add(1)
    #expect(try tree.read("silver/schemata") == "L3:0=f\n")
    #expect(try tree.read("silver/tasks") == "1")
    #expect(group.removedWithContainer.isEmpty)
  }

  @Test func aClassThatIsThereHasToHaveTheValues() throws {
    let tree = try Tree()
    let before = try tree.content()
    for lines in [["L3:0=ff;1=fffff"], ["L3:1=FFFFF"], ["MB:0=20"], ["MB:1=70;0=20", "L3:0=0000ff"]] {
      #expect(tree.failure(IntelRdtPlan(closID: "gold", schemas: lines)) == nil, "\(lines)")
      #expect(tree.failure(IntelRdtPlan(closID: "gold", schemata: lines)) == nil, "\(lines)")
    }
    for lines in [["L3:0=f"], ["MB:0=21"], ["L3:0=ff;2=ff"], ["L2:0=1"], ["MB:0=20", "L3:1=ff"]] {
      for plan in [
        IntelRdtPlan(closID: "gold", schemas: lines), IntelRdtPlan(closID: "gold", schemata: lines),
      ] {
        let error = tree.failure(plan)
        #expect(error?.code == .intelRdt, "\(lines)")
        #expect(error?.field == "/linux/intelRdt/closID")
      }
    }
    #expect(try tree.content() == before)
  }

  @Test func aClosIDAloneHasToBeThere() throws {
    let tree = try Tree()
    let error = tree.failure(IntelRdtPlan(closID: "silver"))
    #expect(error?.code == .intelRdt && error?.cause?.errno == .noEntry)
    #expect(!tree.has("silver"))
    var group = tree.group(IntelRdtPlan(closID: "gold"))
    try group.make()
    try group.add(12)
    #expect(try tree.read("gold/tasks") == "12")
    #expect(group.removedWithContainer.isEmpty)
  }

  @Test func theSlashIsTheDefaultClass() throws {
    let tree = try Tree()
    var group = tree.group(IntelRdtPlan(closID: "", schemas: ["L3:0=fffff"]))
    try group.make()
    try group.add(99)
    #expect(try tree.read("tasks") == "99")
    #expect(group.removedWithContainer.isEmpty)
    #expect(tree.failure(IntelRdtPlan(closID: "", schemas: ["L3:0=f"]))?.message.contains("`/`") == true)
  }

  @Test func aClassOfTheContainersNameIsNotTakenFromSomebodyElse() throws {
    let tree = try Tree()
    try FileManager.default.createDirectory(atPath: "\(tree.root)/box", withIntermediateDirectories: false)
    #expect(tree.failure(IntelRdtPlan(closID: nil))?.cause?.errno == .exists)
    #expect(tree.has("box"))
  }

  @Test func aMonitoringGroupLiesInTheClassAndGoesWithTheContainer() throws {
    for (closID, folder) in [("gold", "gold/mon_groups"), ("", "mon_groups")] {
      let tree = try Tree()
      var group = tree.group(IntelRdtPlan(closID: closID, isMonitored: true))
      try group.make()
      try group.add(5)
      #expect(try tree.read("\(folder)/box/tasks") == "5")
      #expect(group.removedWithContainer == ["\(tree.root)/\(folder)/box"])
      try tree.remove("\(folder)/box/tasks")
      try ResctrlGroup.remove(group.removedWithContainer)
      #expect(!tree.has("\(folder)/box") && tree.has(folder))
    }
  }

  @Test func aMonitoringGroupThatCannotBeMadeIsAnError() throws {
    let tree = try Tree()
    try tree.write("info/last_cmd_status", "Out of monitoring groups\n")
    // The folder of groups is missing in a new class here.
    var group = tree.group(IntelRdtPlan(closID: nil, isMonitored: true))
    do {
      try group.make()
      Issue.record("no error")
    } catch {
      #expect(error.field == "/linux/intelRdt/enableMonitoring")
      #expect(error.hint == "Out of monitoring groups")
    }
    try group.undo()
    #expect(!tree.has("box"))
  }

  @Test func whatAFailedContainerMadeIsTakenBack() throws {
    let tree = try Tree()
    let before = try tree.content()
    var group = tree.group(IntelRdtPlan(closID: "silver", schemata: ["L3:0=f"]))
    try group.make()
    try tree.remove("silver/schemata")
    try group.undo()
    #expect(try tree.content() == before)
  }

  @Test func theMountOfResctrlIsFoundWhereverItIs() {
    let mounts = Layouts.root + "40 23 0:50 / /mnt/res\\040ctrl rw,relatime shared:7 - resctrl resctrl rw\n"
    #expect(ResctrlGroup.mountPoint(in: Array(mounts.utf8)) == "/mnt/res ctrl")
    #expect(ResctrlGroup.mountPoint(in: Array(Layouts.hybridMounts.utf8)) == nil)
    #expect(ResctrlGroup.mountPoint(in: Array("resctrl - resctrl\n1 2 3 4 5 6 - resctrl".utf8)) == "5")
  }

  @Test func classOfTheContainerIsChangedAndPutBack() throws {
    let tree = try Tree()
    let path = "\(tree.root)/gold"
    let update = try ResctrlUpdate(
      [path + "/mon_groups/box", path], lines: ["L3:0=1;1=1", "MB:0=50"], field: "--l3-cache-schema")
    #expect(try tree.read("gold/schemata").hasPrefix("L3:0=1;1=1\nMB:0=50\n"))
    #expect(update.putBack() == nil)
    #expect(try tree.read("gold/schemata") == "    MB:0= 20;1= 70\n    L3:0=00ff;1=fffff\n")
    for made in [[], [path + "/mon_groups/box"]] {
      let error = #expect(throws: RuntimeError.self) {
        try ResctrlUpdate(made, lines: ["L3:0=1"], field: "--l3-cache-schema")
      }
      #expect(error?.code == .intelRdt && error?.field == "--l3-cache-schema")
    }
  }
}
