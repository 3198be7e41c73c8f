import Diagnostics
import Foundation
import Linux
import LinuxABI
import OCISpec
import Testing

@testable import Cgroups

/// Nodes that are made in a folder, and what the kernel says of them to this thread. Numbers that no driver has: what a
/// process may do with them is decided before the driver is asked.
private final class DeviceNodes: TemporaryFolder {
  /// Free among the drivers of characters and of blocks.
  let majors: [Int]
  let minors = [3, 5]

  init() throws {
    let taken = try String(contentsOfFile: "/proc/devices", encoding: .utf8).split(separator: "\n").compactMap {
      $0.split(separator: " ").first.flatMap { Int($0) }
    }
    majors = Array((200..<240).filter { !taken.contains($0) }.prefix(2))
    try super.init()
    for (path, kind, major, minor) in nodes where mknod(path, kind | 0o666, makedev(major, minor)) != 0 {
      throw SystemError("mknod", Errno(errno), path)
    }
  }

  private var nodes: [(String, mode_t, Int, Int)] {
    [("c", S_IFCHR), ("b", S_IFBLK)].flatMap { letter, kind in
      majors.flatMap { major in minors.map { ("\(path)/\(letter)\(major)-\($0)", kind, major, $0) } }
    } + [("\(path)/c1-3", S_IFCHR, 1, 3), ("\(path)/c1-5", S_IFCHR, 1, 5)]
  }

  private func makedev(_ major: Int, _ minor: Int) -> dev_t { dev_t(major << 8 | minor) }

  /// Every request, with the answer.
  func answers() -> [(DeviceRequest, Bool)] {
    nodes.flatMap { path, kind, major, minor -> [(DeviceRequest, Bool)] in
      func request(_ access: String) -> DeviceRequest {
        DeviceRequest(kind: kind == S_IFCHR ? "c" : "b", major: major, minor: minor, access: access)
      }
      var found = [("r", O_RDONLY), ("w", O_WRONLY), ("rw", O_RDWR)].map { access, flags -> (DeviceRequest, Bool) in
        let file = open(path, flags | O_NONBLOCK | O_CLOEXEC)
        let isAllowed = file >= 0 || errno != EPERM
        if file >= 0 { close(file) }
        return (request(access), isAllowed)
      }
      let made = mknod(path + "-new", kind | 0o666, makedev(major, minor)) == 0
      if made { unlink(path + "-new") }
      found.append((request("m"), made))
      return found
    }
  }
}

/// Our program and the kernel against the meaning of generated rules: `APUS_CGROUP_TESTS=1`, as root, in whatever layout
/// this process sees.
@Suite(
  .enabled(if: ProcessInfo.processInfo.environment["APUS_CGROUP_TESTS"] == "1"), .serialized)
struct DeviceMatrixTests {
  private let layout: CgroupLayout
  private let hierarchy: CgroupHierarchy
  private let manager: CgroupManager

  init() throws {
    layout = try CgroupLayout.read()
    let found = layout.hierarchies.first { $0.controllers.contains("devices") } ?? layout.unified
    hierarchy = try #require(found)
    manager = try CgroupManager.create(
      CgroupPath("/apus-cgmatrix", id: "matrix"), layout: layout, writes: [])
  }

  /// This thread on v1, this process on v2, for as long as the body takes.
  private func inside(_ body: () throws -> Void) throws {
    let directory = try #require(manager.record.directory(of: "devices"))
    let file = directory.version == .v1 ? "tasks" : "cgroup.procs"
    func enter(_ path: String) throws {
      let handle = open(path, O_WRONLY | O_CLOEXEC)
      defer { close(handle) }
      #expect(write(handle, "0", 1) == 1, "\(path) \(errno)")
    }
    try enter("\(directory.path)/\(file)")
    defer {
      do {
        try enter("\(hierarchy.mountPoint)/\(hierarchy.ownPath)/\(file)")
      } catch {
        Issue.record("still inside: \(error)")
      }
    }
    try body()
  }

  private func removeCgroup() {
    do {
      try manager.remove()
    } catch {
      Issue.record("left behind: \(error)")
    }
  }

  private func context(_ request: DeviceRequest) -> [UInt32] {
    let access =
      (request.access.contains("m") ? 1 : 0) | (request.access.contains("r") ? 2 : 0)
      | (request.access.contains("w") ? 4 : 0)
    return [UInt32(access << 16 | (request.kind == "b" ? 1 : 2)), UInt32(request.major), UInt32(request.minor)]
  }

  /// Each set replaces the one before, as `update` does it; on v1 every third is set as in a new container.
  @Test func kernelAnswersAsGeneratedRulesSay() throws {
    let nodes = try DeviceNodes()
    defer { removeCgroup() }
    var state = DeviceState(.inForce, try DevicePermissions([]))
    try manager.setDevices(state.permissions)
    var generator = SeededGenerator(2026)
    var played = 0
    var refused = 0
    try inside {
      for round in 0..<400 {
        let rules = DeviceMatrix.rules(
          0...7, majors: nodes.majors.map { Int64($0) } + [1], minors: nodes.minors.map { Int64($0) }, &generator)
        let permissions = try DevicePermissions(rules)
        do {
          if hierarchy.version == .v1 && round % 3 == 0 {
            try manager.setDevices(permissions)
            state = DeviceState(.inForce, permissions)
          } else {
            let update = DeviceUpdate(permissions, state, mayBeLeftOut: false)
            try manager.update(Resources(), devices: update, pointer: "")
            state = update.state
          }
        } catch let error as RuntimeError {
          // A hole in a wildcard is more than the lists of v1 can say.
          #expect(error.code == .configUnsupported && hierarchy.version == .v1, "\(error.text) \(rules)")
          refused += 1
          continue
        }
        played += 1
        let program = DeviceProgram(permissions).bytes
        for (request, answer) in nodes.answers() {
          let meant = DeviceMatrix.permits(rules, request)
          #expect(answer == meant, "the kernel, \(request): \(rules)")
          #expect(try BPFInterpreter.run(program, context: context(request)) == (meant ? 1 : 0), "\(request): \(rules)")
        }
      }
    }
    #expect(hierarchy.version == .v1 ? played > 200 : refused == 0)
  }

  /// One program at every moment: the next takes the place of the last, and does not join it.
  @Test func programIsReplacedByEachUpdate() throws {
    defer { removeCgroup() }
    guard let unified = manager.record.unified, hierarchy.version == .v2 else { return }
    try manager.setDevices(DevicePermissions([]))
    let directory = try FileDescriptor.open(unified.path, [.readOnly, .directory])
    var seen = try BPF.devicePrograms(of: directory)
    for major in 0..<5 {
      let rules = try DevicePermissions([DeviceRule(allow: true, type: "c", major: Int64(major))])
      let update = DeviceUpdate(rules, DeviceState(), mayBeLeftOut: false)
      try manager.update(Resources(), devices: update, pointer: "")
      #expect(update.state == DeviceState(.inForce, rules))
      let now = try BPF.devicePrograms(of: directory)
      #expect(now.count == 1 && !seen.contains(now[0]))
      seen += now
    }
    // What comes behind it is refused: the very program that was there before, whoever has attached it.
    let before = try BPF.devicePrograms(of: directory)
    for count in 1...2 {
      if count == 2 {
        try BPF.attachDeviceProgram(
          BPF.loadDeviceProgram(DeviceProgram(DevicePermissions([])).bytes), to: directory)
      }
      let all = try BPF.devicePrograms(of: directory)
      #expect(all.count == count && all.starts(with: before))
      let filter = try LoadedDeviceFilter(DeviceProgram(DevicePermissions([DeviceRule(allow: true)])))
      try filter.attach(to: directory, isNew: false)
      #expect(try BPF.devicePrograms(of: directory).allSatisfy { !all.contains($0) })
      try filter.takeBack(from: directory)
      #expect(try BPF.devicePrograms(of: directory) == all)
    }
  }
}
