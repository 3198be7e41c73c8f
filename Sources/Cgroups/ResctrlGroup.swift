package import ContainerPlan
package import Diagnostics
import Linux
import LinuxABI

/// The place of a container in resctrl, the kernel's interface to cache and memory bandwidth allocation: a class of service
/// and perhaps a monitoring group in it. It looks like a cgroup hierarchy of one level.
package struct ResctrlGroup: Sendable {
  private let plan: IntelRdtPlan
  private let id: String
  /// Where resctrl is mounted.
  private let root: String
  /// What ``make()`` has made, the innermost last.
  private var made: [String] = []

  package init(_ plan: IntelRdtPlan, id: String, root: String) {
    self.plan = plan
    self.id = id
    self.root = root
  }

  /// The group where resctrl is mounted on this machine; an error where it is not.
  package static func find(_ plan: IntelRdtPlan, id: String) throws(RuntimeError) -> ResctrlGroup {
    do throws(SystemError) {
      let usual = try FileDescriptor.open("/sys/fs/resctrl", [.path, .directory])
      if try usual.fileSystemType() == 0x0765_5821 /* RDTGROUP_SUPER_MAGIC */ {
        return ResctrlGroup(plan, id: id, root: "/sys/fs/resctrl")
      }
    } catch {
      // No such directory: it may be mounted elsewhere.
    }
    let mounts = try describe(.intelRdt, "cannot read the mounts", field: "/linux/intelRdt") {
      () throws(SystemError) in
      try FileDescriptor.open("/proc/self/mountinfo", .readOnly).readAll(limit: 64 << 20)
    }
    guard let root = mountPoint(in: mounts) else {
      throw RuntimeError(
        .intelRdt, "no resctrl file system is mounted", field: "/linux/intelRdt",
        hint: "it needs a processor with the feature, and `mount -t resctrl resctrl /sys/fs/resctrl`")
    }
    return ResctrlGroup(plan, id: id, root: root)
  }

  /// The first mount of resctrl in the text of /proc/self/mountinfo.
  package static func mountPoint(in mountinfo: [UInt8]) -> String? {
    for line in CgroupText.lines(mountinfo) {
      let fields = CgroupText.split(line, on: 0x20)
      guard fields.count > 6, let hyphen = fields[6...].firstIndex(where: { $0.elementsEqual("-".utf8) }),
        hyphen + 1 < fields.count, fields[hyphen + 1].elementsEqual("resctrl".utf8)
      else { continue }
      return CgroupText.unescaped(fields[4])
    }
    return nil
  }

  private var classPath: String {
    let name = plan.closID ?? id
    return name.isEmpty ? root : "\(root)/\(name)"
  }
  private var className: String { plan.closID == "" ? "/" : plan.closID ?? id }
  private var monitorPath: String { "\(classPath)/mon_groups/\(id)" }
  private var hasSchema: Bool { !plan.schemas.isEmpty || !plan.schemata.isEmpty }

  /// What goes with the container, the innermost first: a class that bears its id, and its monitoring group. Known once it
  /// is made; a class that has a name of its own stays for others.
  package var removedWithContainer: [String] {
    made.reversed().filter { $0 == monitorPath || plan.closID == nil }
  }

  /// What the processes of the container are in, in the order in which they have to go in: a task can only be in a monitoring
  /// group of its class.
  package var joined: [String] { [classPath] + (plan.isMonitored ? [monitorPath] : []) }

  /// Makes or finds the class and the monitoring group, and sets the class up.
  package mutating func make() throws(RuntimeError) {
    if try makeClass() {
      try writeSchemata()
    } else if hasSchema {
      try compareSchemata()
    }
    guard plan.isMonitored else { return }
    do {
      try ResctrlGroup.makeDirectory(monitorPath)
    } catch {
      throw error.because(
        .intelRdt, "cannot make the monitoring group", field: "/linux/intelRdt/enableMonitoring",
        hint: lastStatus)
    }
    made.append(monitorPath)
  }

  /// Answers whether the class is new.
  private mutating func makeClass() throws(RuntimeError) -> Bool {
    let field = "/linux/intelRdt/closID"
    if plan.closID == "" || (plan.closID != nil && !hasSchema) {
      // Set up by somebody else: it has to be there.
      try describe(.intelRdt, "cannot find the class of service `\(className)`", field: field) {
        () throws(SystemError) in
        _ = try FileDescriptor.open(classPath, [.path, .directory, .noFollow])
      }
      return false
    }
    do {
      try ResctrlGroup.makeDirectory(classPath)
    } catch {
      // Only a class with a name of its own is shared.
      if error.errno == .exists && plan.closID != nil { return false }
      throw error.because(
        .intelRdt, "cannot make the class of service `\(className)`", field: field, hint: lastStatus)
    }
    made.append(classPath)
    return true
  }

  /// Lets a process into the class and the monitoring group.
  package func add(_ pid: Int32) throws(RuntimeError) {
    try ResctrlGroup.add(pid, to: joined, root)
  }

  /// The same for the groups ``joined`` of a container that is there. What the process starts later is in them too.
  package static func add(_ pid: Int32, to joined: [String]) throws(RuntimeError) {
    try add(pid, to: joined, "")
  }

  private static func add(_ pid: Int32, to joined: [String], _ root: String) throws(RuntimeError) {
    for path in joined {
      try write("\(path)/tasks", ["\(pid)"], "cannot move process \(pid) into the class of service", root)
    }
  }

  private func writeSchemata() throws(RuntimeError) {
    if !hasSchema { return }
    // Each list by a write of its own: within one the kernel refuses a domain that stands twice.
    let texts = [plan.schemas, plan.schemata].filter { !$0.isEmpty }.map { $0.joined(separator: "\n") + "\n" }
    try ResctrlGroup.write(
      "\(classPath)/schemata", texts, "cannot set the class of service `\(className)` up", root)
  }

  private static func write(
    _ path: String, _ texts: [String], _ message: String, _ root: String
  ) throws(RuntimeError) {
    do {
      // The file is always there in resctrl.
      let file = try FileDescriptor.open(path, [.writeOnly, .create, .noFollow], mode: 0o600)
      for text in texts { try file.write(text) }
    } catch {
      throw error.because(.intelRdt, message, field: "/linux/intelRdt", hint: lastStatus(root))
    }
  }

  /// What the kernel has to say about the last thing that it refused.
  private var lastStatus: String { ResctrlGroup.lastStatus(root) }

  /// Nothing where it is not known where resctrl is mounted.
  private static func lastStatus(_ root: String) -> String {
    if root.isEmpty { return "" }
    do {
      let bytes = try FileDescriptor.open("\(root)/info/last_cmd_status", .readOnly).readAll(limit: 4096)
      let text = CgroupText.trimmed(bytes)
      return text == "ok" ? "" : text
    } catch {
      // It only explains an error that is reported anyway.
      return ""
    }
  }

  /// Takes back what was made for a container that cannot be.
  package func undo() throws(RuntimeError) {
    try ResctrlGroup.remove(made.reversed())
  }

  /// Removes directories that ``make()`` made; one that is gone already is no error.
  package static func remove(_ paths: [String]) throws(RuntimeError) {
    for path in paths {
      do {
        let (parent, name) = splitLast(path)
        try FileDescriptor.open("/\(parent)", [.path, .directory]).removeDirectory(name)
      } catch {
        if error.errno != .noEntry { throw error.because(.cleanup, "cannot remove `\(path)`") }
      }
    }
  }

  private static func makeDirectory(_ path: String) throws(SystemError) {
    let (parent, name) = splitLast(path)
    try FileDescriptor.open("/\(parent)", [.path, .directory]).makeDirectory(name, mode: 0o755)
  }
}

// What a class has, against what is asked for
extension ResctrlGroup {
  /// `L3:0=ff` as resource, domain and value.
  private struct Setting {
    var resource: String
    var domain: String
    var value: String
  }

  /// A class that is there is shared, so it is not changed; it has to be what the configuration says.
  private func compareSchemata() throws(RuntimeError) {
    let path = "\(classPath)/schemata"
    let present = try describe(.intelRdt, "cannot read `\(path)`", field: "/linux/intelRdt/closID") {
      () throws(SystemError) in
      try FileDescriptor.open(path, .readOnly).readAll(limit: 1 << 20)
    }
    let existing = CgroupText.lines(present).flatMap { ResctrlGroup.settings($0) }
    for line in plan.schemas + plan.schemata {
      for wanted in ResctrlGroup.settings([UInt8](line.utf8)[...]) {
        let found = existing.first { $0.resource == wanted.resource && $0.domain == wanted.domain }
        if found?.value == wanted.value { continue }
        throw RuntimeError(
          .intelRdt,
          "the class of service `\(className)` is there with another value: "
            + "`\(wanted.resource):\(wanted.domain)=\(found?.value ?? "")`, not `\(wanted.value)`",
          field: "/linux/intelRdt/closID")
      }
    }
  }

  /// The kernel pads the names of resources with spaces, and prints masks with leading zeros or without.
  private static func settings(_ line: ArraySlice<UInt8>) -> [Setting] {
    guard let colon = line.firstIndex(of: 0x3A) else { return [] }
    let resource = CgroupText.trimmed([UInt8](line[..<colon]))
    var found: [Setting] = []
    for part in CgroupText.split(line[(colon + 1)...], on: 0x3B) {
      guard let equals = part.firstIndex(of: 0x3D) else { continue }
      let digits = CgroupText.trimmed([UInt8](part[(equals + 1)...])).utf8.drop { $0 == 0x30 }
      let value = digits.map { $0 >= 0x41 && $0 <= 0x46 ? $0 + 0x20 : $0 }
      found.append(
        Setting(
          resource: resource, domain: CgroupText.trimmed([UInt8](part[..<equals])),
          value: value.isEmpty ? "0" : String(decoding: value, as: UTF8.self)))
    }
    return found
  }
}
