import Diagnostics
import JSON
import Linux
import LinuxABI
import OCISpec

@testable import Cgroups

/// A folder that stands for a directory of cgroupfs.
///
/// The input is the files: a line `@ memory.stat` in front of the text of each. A name with a slash is in a folder of its own.
private struct CgroupFolder: ~Copyable {
  let path: String
  private var names: [String] = []

  init(_ input: [UInt8]) throws(SystemError) {
    path = "/dev/shm/apus-fuzz-\(Processes.ownPid())"
    try makeFolder("")
    var name = ""
    var text: [UInt8] = []
    for line in input.split(separator: 0x0A, omittingEmptySubsequences: false) {
      if line.starts(with: [0x40, 0x20]) {
        try write(name, text)
        name = String(decoding: line.dropFirst(2), as: UTF8.self)
        text = []
      } else {
        text += line
        text.append(0x0A)
      }
    }
    try write(name, text)
  }

  private mutating func makeFolder(_ name: String) throws(SystemError) {
    do {
      try FileDescriptor.open("/dev/shm", [.path, .directory])
        .makeDirectory(
          String(decoding: path.utf8.dropFirst(9), as: UTF8.self) + (name.isEmpty ? "" : "/" + name), mode: 0o700)
      names.append(name)
    } catch {
      if error.errno != .exists { throw error }
    }
  }

  private mutating func write(_ name: String, _ text: [UInt8]) throws(SystemError) {
    let parts = name.utf8.split(separator: 0x2F, omittingEmptySubsequences: false)
    let isName = parts.allSatisfy { part in
      !part.isEmpty && part.count < 60 && part.allSatisfy { $0 > 0x20 && $0 < 0x7F } && part.first != 0x2E
    }
    if !isName || parts.count > 4 || names.count > 200 || names.contains(name) { return }
    var folder = ""
    for part in parts.dropLast() {
      folder += (folder.isEmpty ? "" : "/") + String(decoding: part, as: UTF8.self)
      if names.contains(folder) && !isFolder(folder) { return }
      try makeFolder(folder)
    }
    let file = try FileDescriptor.open(path + "/" + name, [.writeOnly, .create, .truncate], mode: 0o600)
    try file.write(text)
    names.append(name)
  }

  private func isFolder(_ name: String) -> Bool {
    do {
      _ = try FileDescriptor.open(path + "/" + name, [.path, .directory])
      return true
    } catch {
      return false
    }
  }

  consuming func remove() throws(SystemError) {
    let top = try FileDescriptor.open("/", [.path, .directory])
    for name in names.reversed() {
      let place = String(decoding: path.utf8.dropFirst(), as: UTF8.self) + (name.isEmpty ? "" : "/" + name)
      if name.isEmpty || isFolder(name) { try top.removeDirectory(place) } else { try top.unlink(place) }
    }
  }
}

private let controllers = ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "hugetlb", "freezer", "devices"]

private func checkFiles(_ path: String) throws(BrokenRule) {
  for version in [CgroupVersion.v1, .v2] {
    let record = CgroupRecord(directories: [
      CgroupRecord.Directory(
        version: version, controllers: version == .v1 ? controllers : [], path: path, mountName: "", made: [])
    ])
    let manager = CgroupManager(record: record)
    switch outcome({ () throws(RuntimeError) in try manager.statistics() }) {
    case .success(let statistics): try checkDocument(statistics.encoded(.compact))
    case .failure(let error): try checkRefusal(error, path)
    }
    for result in [
      outcome { () throws(RuntimeError) in _ = try manager.limitEvents() },
      outcome { () throws(RuntimeError) in _ = try manager.freezerState() },
      outcome { () throws(RuntimeError) in try manager.keepCounts() },
    ] {
      if case .failure(let error) = result { try checkRefusal(error, path) }
    }
    do throws(SystemError) {
      let directory = CgroupDirectory(try FileDescriptor.open(path, [.readOnly, .directory]))
      var limits = CurrentLimits()
      try limits.read(record.directories[0], directory.descriptor)
      _ = try directory.descriptor.isPopulated()
      _ = try directory.descriptor.cgroupProcesses()
    } catch {
      try checkRefusal(error.because(.cgroup, "`\(path)`"), path)
    }
  }
  for joined in [[path], [path, path + "/mon_groups/x"], [path + "/class"]] {
    if case .failure(let error) = outcome({ () throws(RuntimeError) in try ResctrlGroup.statistics(joined) }) {
      try checkRefusal(error, path)
    }
  }
}

private func checkRefusal(_ error: RuntimeError, _ path: String) throws(BrokenRule) {
  try hold(error.text.contains(path) || error.cause != nil, "the error names no file: \(error.text)")
}

/// `devices.list` of v1, and what makes other rules of it.
private func checkDeviceList(_ text: [UInt8]) throws(BrokenRule) {
  let shown = DeviceList(text)
  let rules = shown.exceptions.prefix(40).enumerated().map { index, rule in
    var changed = rule
    changed.allow = index % 3 != 0
    return changed
  }
  let wanted = DevicePermissions(checked: rules)
  for last in [nil, wanted, DevicePermissions(checked: [])] {
    guard
      case .success(let change) = outcome({ () throws(RuntimeError) in try wanted.changeV1(from: text, last: last) })
    else { continue }
    for line in change.lines { try hold(!line.write.text.isEmpty, "an empty line for the device controller") }
  }
}

func fuzzCgroup(_ input: [UInt8]) throws(BrokenRule) {
  do throws(SystemError) {
    let folder = try CgroupFolder(input)
    var broken: BrokenRule?
    do throws(BrokenRule) {
      try checkFiles(folder.path)
    } catch {
      broken = error
    }
    try folder.remove()
    if let broken { throw SystemError(broken.description, Errno(0)) }
  } catch {
    throw BrokenRule(error.text)
  }
  try checkDeviceList(input)
}
