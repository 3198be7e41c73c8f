import Diagnostics
import JSON
import LinuxABI
import OCISpec

@testable import Cgroups

private let controllers = [
  "cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "hugetlb", "net_cls", "net_prio", "rdma",
]

private func hierarchy(_ version: CgroupVersion) -> CgroupHierarchy {
  CgroupHierarchy(
    version: version, controllers: version == .v1 ? controllers : [], mountPoint: "/sys/fs/cgroup", mountRoot: "/",
    ownPath: "/own/cgroup")
}

private let layouts = [
  CgroupLayout(hierarchies: [hierarchy(.v1)], unified: nil), CgroupLayout(hierarchies: [], unified: hierarchy(.v2)),
  CgroupLayout(hierarchies: [hierarchy(.v1)], unified: hierarchy(.v2)),
]

private func checkPointer(_ error: RuntimeError) throws(BrokenRule) {
  try hold(error.field.utf8.starts(with: "/".utf8), "`\(error.field)` is no pointer: \(error.message)")
}

private func checkResources(_ input: [UInt8]) throws(BrokenRule) {
  let resources: Resources
  switch outcome({ () throws(RuntimeError) in try Resources.decode(input, file: "r") }) {
  case .failure(let error): return try checkError(error, in: input)
  case .success(let read): resources = read
  }
  let text = resources.encoded(.compact)
  let again = outcome { () throws(RuntimeError) in try Resources.decode(text, file: "r") }
  try hold(again == .success(resources), "the document written is another one")
  // Values in use that the new ones have to be ordered against.
  let used = CurrentLimits(
    memory: 1 << 30, memoryAndSwap: 1 << 31, quota: 100_000, period: 100_000, burst: 10, isIdle: false,
    realtimeRuntime: 950_000)
  for layout in layouts {
    _ = ResourceConversion.warnings(resources)
    let (gathered, errors) = ResourceConversion.gather(resources, layout: layout)
    for current in [nil, used] {
      switch outcome({ () throws(RuntimeError) in
        try ResourceConversion.writes(resources, layout: layout, current: current)
      }) {
      case .failure(let error):
        try checkPointer(error)
        try hold(!errors.isEmpty || current != nil, "`check` does not name what `create` refuses: \(error.text)")
      case .success(let writes):
        for write in writes {
          try hold(!write.file.isEmpty && !write.file.utf8.contains(0x2F), "`\(write.file)` is no file of a cgroup")
        }
        for property in UnitProperties.limits(writes, isUnified: layout.kind == .v2) {
          try checkValue(property.value)
          _ = UnitProperties.isLate(property)
        }
        if current == nil { try hold(gathered == writes, "`check` writes something else") }
      }
    }
  }
  try checkDevices(resources.devices ?? [])
}

private func checkDevices(_ rules: [DeviceRule]) throws(BrokenRule) {
  let permissions: DevicePermissions
  switch outcome({ () throws(RuntimeError) in try DevicePermissions(rules) }) {
  case .failure(let error): return try checkPointer(error)
  case .success(let checked): permissions = checked
  }
  let program = DeviceProgram(permissions)
  try hold(program == DeviceProgram(permissions), "two programs of the same rules differ")
  if case .failure(let error) = outcome({ () throws(RuntimeError) in try permissions.linesV1() }) {
    try checkPointer(error)
  }
  for isUnified in [false, true] where UnitProperties.canSay(permissions) {
    for property in UnitProperties.devices(permissions, isUnified: isUnified) { try checkValue(property.value) }
  }
}

/// A value that is written is passed over as a whole by the reader.
func checkValue(_ value: DBusValue) throws(BrokenRule) {
  var writer = DBusWriter()
  writer.put(.variant(value))
  var reader = DBusReader(writer.bytes)
  do {
    try reader.skipVariant()
  } catch {
    throw BrokenRule("a value that was written cannot be read: \(value)")
  }
  try hold(reader.position == writer.bytes.count, "a value that was written is not read to its end: \(value)")
}

/// The texts of cgroupsPath, of annotations, of the address of a bus.
private func checkTexts(_ text: String) throws(BrokenRule) {
  for bus in [SystemdBus.system, .user] {
    if case .success(let name) = outcome({ () throws(RuntimeError) in try UnitName(text, id: "x", bus: bus) }) {
      try hold(name.unit.utf8.count <= 255 && !name.unit.utf8.contains(0x2F), "`\(name.unit)` is no name of a unit")
      // A refused name is an answer as good as any.
      if case .success(let components) = outcome({ () throws(RuntimeError) in try name.components() }) {
        for component in components {
          try hold(!component.utf8.contains(0x2F) && !component.isEmpty, "`\(component)` is no directory")
        }
      }
      for property in UnitProperties.scope(name, id: text, pid: 1, isUnified: true) { try checkValue(property.value) }
    }
    _ = outcome { () throws(RuntimeError) in try UnitName(nil, id: text, bus: bus) }
  }
  if case .success(let path) = outcome({ () throws(RuntimeError) in try CgroupPath(text, id: "x") }) {
    for name in path.components {
      try hold(name != ".." && name != "." && !name.isEmpty && !name.utf8.contains(0x2F), "`\(name)` leaves its folder")
    }
    for layout in layouts { for hierarchy in layout.joined { _ = path.below(hierarchy, kind: layout.kind) } }
  }
  for name in ["org.systemd.property.MemoryMax", "org.systemd.property.TimeoutStopSec"] {
    let properties = outcome { () throws(RuntimeError) in
      try UnitProperties.annotated([NamedValue(name, text), NamedValue(text, "true")])
    }
    if case .success(let properties) = properties {
      for property in properties { try checkValue(property.value) }
    }
  }
  if let places = DBusAddress.places(text) {
    for place in places { try hold(!place.name.utf8.contains(0), "a NUL cuts the path `\(place.name)` short") }
  }
  // A NUL would cut the path short, and is refused.
  let place = DBusAddress.places("unix:path=" + DBusAddress.escaped(text))?.first
  try hold(place?.name == (text.utf8.contains(0) ? nil : text), "the path `\(text)` is another one once it is escaped")
}

func fuzzResources(_ input: [UInt8]) throws(BrokenRule) {
  if input.first(where: { $0 > 0x20 }) == 0x7B { return try checkResources(input) }
  try checkTexts(String(decoding: input, as: UTF8.self))
}
