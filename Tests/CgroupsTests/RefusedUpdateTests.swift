import Diagnostics
import Foundation
import OCISpec
import Testing

@testable import Cgroups

/// What `update` leaves when something is refused, with plain files in the place of a cgroup.
@Suite struct RefusedUpdateTests {
  private final class Folder: TemporaryFolder {
    func manager(_ version: CgroupVersion, _ controllers: [String] = []) -> CgroupManager {
      CgroupManager(
        record: CgroupRecord(directories: [
          .init(version: version, controllers: controllers, path: path + "/one", mountName: "one", made: [])
        ]))
    }
  }

  /// The cgroup above has other children, whose limits would go with the controller.
  @Test func controllerThatWasGivenStays() throws {
    let folder = try Folder([
      "cgroup.controllers": "hugetlb", "cgroup.subtree_control": "", "one/cgroup.controllers": "",
      "one/hugetlb.2MB.max": "max",
    ])
    let resources = Resources(hugepageLimits: [
      HugepageLimit(pageSize: "2MB", limit: 4096), HugepageLimit(pageSize: "3MB", limit: 4096),
    ])
    #expect(throws: RuntimeError.self) { try folder.manager(.v2).update(resources, pointer: "") }
    #expect(try folder.read("cgroup.subtree_control") == "+hugetlb")
    #expect(try folder.read("one/hugetlb.2MB.max").hasPrefix("max"))
  }

  /// Nothing is enabled for their sake, and no file is missed.
  @Test func valueThatHoldsAnywayNeedsNoController() throws {
    let folder = try Folder([
      "cgroup.controllers": "cpu pids memory io", "cgroup.subtree_control": "", "one/cgroup.controllers": "",
    ])
    let resources = Resources(
      memory: .init(limit: -1, reservation: -1), cpu: .init(shares: 1024, quota: -1, period: 100_000, idle: 0),
      pids: .init(limit: -1), blockIO: .init(throttleReadBpsDevice: [.init(major: 8, minor: 0, rate: 0)]))
    try folder.manager(.v2).update(resources, pointer: "")
    #expect(try folder.read("cgroup.subtree_control") == "")
    let error = #expect(throws: RuntimeError.self) {
      try folder.manager(.v2).update(Resources(cpu: .init(shares: 1024), pids: .init(limit: 5)), pointer: "")
    }
    #expect(error?.field == "/pids/limit")
    #expect(try folder.read("cgroup.subtree_control") == "+pids")
  }

  /// A lower limit may end processes, so it waits until nothing can be refused any more.
  @Test func lowerMemoryLimitOfV2ComesLast() throws {
    func order(_ resources: Resources, _ current: CurrentLimits, _ layout: CgroupLayout = Layouts.v2) throws -> [String]
    {
      let writes = try ResourceConversion.writes(resources, layout: layout, current: current)
      let (first, last) = ResourceConversion.keepingForLast(writes, current)
      return first.map { $0.file } + ["|"] + last.map { "\($0.file)=\($0.text)" }
    }
    var resources = Resources(memory: .init(limit: 8192), pids: .init(limit: 5))
    #expect(try order(resources, .init(memory: 8192)) == ["memory.max", "pids.max", "|"])
    #expect(try order(resources, .init(memory: 12_288)) == ["pids.max", "|", "memory.max=8192"])
    #expect(try order(resources, .init()) == ["pids.max", "|", "memory.max=8192"])
    #expect(try order(resources, .init(), Layouts.v1) == ["memory.limit_in_bytes", "pids.max", "|"])
    resources.unified = [NamedValue("memory.max", "4K"), NamedValue("memory.high", "1")]
    #expect(try order(resources, .init(memory: 8192)) == ["pids.max", "memory.high", "|", "memory.max=4K"])
    resources.unified = [NamedValue("memory.max", "max")]
    #expect(try order(resources, .init(memory: 9000)) == ["pids.max", "memory.max", "|"])
  }

  @Test func limitThatWhatIsInUseFillsIsRefusedIfAskedFor() throws {
    let folder = try Folder(["one/memory.current": "4096", "one/memory.max": "max", "one/memory.swap.max": "max"])
    let refused = [
      (MemoryResources(limit: 4096, checkBeforeUpdate: true), "/memory/limit"),
      (MemoryResources(limit: -1, swap: 4096, checkBeforeUpdate: true), "/memory/swap"),
    ]
    for (memory, field) in refused {
      let error = #expect(throws: RuntimeError.self) {
        try folder.manager(.v2).update(Resources(memory: memory), pointer: "")
      }
      #expect(error?.field == field)
    }
    try folder.manager(.v2).update(
      Resources(memory: .init(limit: 4097, checkBeforeUpdate: true)), pointer: "")
    #expect(try folder.read("one/memory.max") == "4097")
  }

  /// Of the tests of this target only this one goes by the environment.
  private func withSystemd(
    _ folder: Folder, _ directory: CgroupRecord.Directory, _ resources: Resources,
    _ answers: @escaping @Sendable (FakeBus.Call, Int) -> [FakeBus.Answer]
  ) throws -> (bus: FakeBus, error: RuntimeError?) {
    let bus = try FakeBus(answers)
    setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address, 1)
    defer { unsetenv("DBUS_SYSTEM_BUS_ADDRESS") }
    var record = CgroupRecord(directories: [directory])
    record.unit = SystemdUnit(bus: .system, name: "x.scope")
    do throws(RuntimeError) {
      try CgroupManager(record: record).update(resources, pointer: "")
      return (bus, nil)
    } catch {
      return (bus, error)
    }
  }

  @Test func systemdIsToldAndHeldMeanwhileAndItsLimitsGoBack() throws {
    let folder = try Folder([
      "one/cgroup.controllers": "pids cpu", "one/pids.max": "7", "one/cpu.weight": "50",
      "two/freezer.state": "THAWED", "two/pids.max": "7",
    ])
    // systemd writes all limits, rounded, also when the old ones are told again.
    let weight = folder.path + "/one/cpu.weight"
    let (bus, error) = try withSystemd(
      folder, .init(version: .v2, controllers: [], path: folder.path + "/one", mountName: "one", made: []),
      Resources(pids: .init(limit: 5))
    ) { call, count in
      if call.member == "SetUnitProperties" && count == 1 {
        return [.error("org.freedesktop.DBus.Error.AccessDenied", "no")]
      }
      do {
        try "99".write(toFile: weight, atomically: false, encoding: .utf8)
      } catch {
        Issue.record("\(error)")
      }
      return [.reply([])]
    }
    #expect(error?.code == .systemd)
    #expect(bus.members == ["SetUnitProperties", "SetUnitProperties"])
    // The value of TasksMax is the last of the message.
    #expect(bus.calls.filter { $0.member == "SetUnitProperties" }.map { $0.body.suffix(8).first } == [5, 7])
    #expect(try folder.read("one/pids.max") == "7")
    #expect(try folder.read("one/cpu.weight") == "50")

    // On v1 it denies all devices for a moment.
    let freezer = folder.path + "/two/freezer.state"
    let (_, other) = try withSystemd(
      folder,
      .init(version: .v1, controllers: ["pids", "freezer"], path: folder.path + "/two", mountName: "two", made: []),
      Resources(pids: .init(limit: 5))
    ) { _, _ in
      do {
        #expect(try String(contentsOfFile: freezer, encoding: .utf8) == "FROZEN")
      } catch {
        Issue.record("\(error)")
      }
      return [.reply([])]
    }
    #expect(other == nil)
    #expect(try folder.read("two/freezer.state") == "THAWED")
    #expect(try folder.read("two/pids.max") == "5")
  }

  private func rules(_ list: (Bool, Int64)...) throws -> DevicePermissions {
    try DevicePermissions(
      list.map { $1 < 0 ? DeviceRule(allow: $0) : DeviceRule(allow: $0, type: "c", major: 1, minor: $1) })
  }

  @Test func rulesThatSystemdCannotSayAreRefusedWithAScopeOnV1() throws {
    let folder = try Folder(["one/devices.list": "a *:* rwm\n", "one/devices.deny": "", "one/devices.allow": ""])
    var record = folder.manager(.v1, ["devices"]).record
    record.unit = SystemdUnit(bus: .system, name: "x.scope")
    let update = DeviceUpdate(try rules((true, -1), (false, 3)), DeviceState(), mayBeLeftOut: false)
    let error = #expect(throws: RuntimeError.self) {
      try CgroupManager(record: record).update(Resources(), devices: update, pointer: "")
    }
    #expect(error?.code == .configUnsupported)
    #expect(try folder.read("one/devices.deny") == "")
  }

  /// The kernel refuses every line for `devices.allow`, which is a folder here.
  @Test(arguments: ["THAWED", "FROZEN"]) func changeOfTheDefaultThatCannotBeUndoneEndsWithNothing(state: String) throws
  {
    let folder = try Folder(
      ["one/devices.list": "a *:* rwm\n", "one/devices.deny": "", "one/freezer.state": state],
      folders: ["one/devices.allow"])
    let manager = folder.manager(.v1, ["devices", "freezer"])
    let update = DeviceUpdate(
      try rules((false, -1), (true, 5)), DeviceState(.inForce, try rules((true, -1), (false, 3))), mayBeLeftOut: false)
    let error = #expect(throws: RuntimeError.self) { try manager.update(Resources(), devices: update, pointer: "") }
    #expect(error?.hint.contains("`a` could not be put back to `\(folder.path)/one/devices.allow`") == true)
    #expect(update.state == DeviceState())
    // The last line of the old list, written over the `a` by which everything is denied.
    #expect(try folder.read("one/devices.deny") == "c 1:3 rwm")
    #expect(try folder.read("one/freezer.state") == state, "as it was before")
  }

  @Test func otherDefaultNeedsAFreezer() throws {
    let folder = try Folder(["one/devices.list": "a *:* rwm\n", "one/devices.deny": "", "one/devices.allow": ""])
    let update = DeviceUpdate(try rules((false, -1)), DeviceState(), mayBeLeftOut: false)
    #expect(throws: RuntimeError.self) {
      try folder.manager(.v1, ["devices"]).update(Resources(), devices: update, pointer: "")
    }
    #expect(try folder.read("one/devices.deny") == "")
    #expect(update.state == DeviceState())
  }

  @Test func rulesThatARefusedCallerMayDoWithoutAreLeftOut() throws {
    let folder = try Folder(["one/pids.max": "max"])
    let wanted = try rules((true, 5))
    for mayBeLeftOut in [true, false] {
      let update = DeviceUpdate(wanted, DeviceState(), mayBeLeftOut: mayBeLeftOut)
      func change() throws {
        try folder.manager(.v1, ["pids"]).update(Resources(pids: .init(limit: 5)), devices: update, pointer: "")
      }
      if mayBeLeftOut { try change() } else { #expect(throws: RuntimeError.self) { try change() } }
      #expect(update.state == (mayBeLeftOut ? DeviceState(.refused, wanted) : DeviceState()))
      #expect((update.refusal != nil) == mayBeLeftOut)
    }
  }

  /// `resume` takes no lock, so it may come while `pause` still waits.
  @Test func pauseEndsWhenSomebodyResumes() throws {
    let folder = try Folder(["one/cgroup.events": "populated 1\nfrozen 0\n", "one/cgroup.freeze": "0"])
    let path = folder.path + "/one/cgroup.freeze"
    Thread.detachNewThread {
      usleep(150_000)
      do {
        try "0".write(toFile: path, atomically: false, encoding: .utf8)
      } catch {
        Issue.record("nobody resumed: \(error)")
      }
    }
    let began = Date()
    let error = #expect(throws: RuntimeError.self) { try folder.manager(.v2).pause(milliseconds: 8000) }
    #expect(error?.code == .wrongStatus)
    #expect(Date().timeIntervalSince(began) < 5)
  }
}
