import Foundation
import Testing

/// What a runtime could leave behind on the host.
struct Snapshot {
  private let parts: [(name: String, entries: Set<String>)]

  init(stateRoot: String) throws {
    parts = [
      ("mount", Set(try Files.read("/proc/self/mountinfo").split(separator: "\n").map(String.init))),
      ("cgroup", Set(Cgroups.leftovers())), ("unit", Set(CgroupDriver.units())),
      ("process", Set(Processes.descendants().map { "\($0.id) \($0.command)" })),
      ("state", Set(Snapshot.tree(stateRoot, skipping: Snapshot.caches))),
      ("file in /run", TestRun.isPrivate ? Set(Snapshot.tree("/run", skipping: Snapshot.caches)) : []),
    ]
  }

  /// One line for each thing that is there now and was not, or the other way round.
  func differences(from earlier: Snapshot) -> [String] {
    zip(parts, earlier.parts).flatMap { now, before in
      now.entries.subtracting(before.entries).sorted().map { "left over: \(now.name) \($0)" }
        + before.entries.subtracting(now.entries).sorted().map { "gone: \(now.name) \($0)" }
    }
  }

  /// A cache of compiled seccomp profiles is not a left-over, nor is the folder of all containers of a peer.
  static let caches: Set<String> =
    Runtime.current.isPeer ? [".cache", "crun", "runc", "lock", "systemd"] : ["@cache"]

  private static func tree(_ root: String, skipping: Set<String>) -> [String] {
    var found: [String] = []
    for name in Files.names(in: root) where !skipping.contains(name) {
      found.append("\(root)/\(name)")
      var status = stat()
      if lstat("\(root)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
        found += tree("\(root)/\(name)", skipping: [])
      }
    }
    return found
  }
}

/// What the mounts of a process are, whatever their places are called by now: one line for each, sorted.
enum Mountinfo {
  static func lines(of pid: Int) throws -> [String] {
    try Files.read("/proc/\(pid)/mountinfo").split(separator: "\n").map { line in
      let words = line.split(separator: " ").map(String.init)
      let dash = words.firstIndex(of: "-") ?? words.count - 1
      // Number, parent, device and place are other ones each time; so are the numbers of a peer group.
      let kind = words[6..<dash].map { $0.prefix { $0 != ":" } }.joined(separator: ",")
      return "root \(words[3]), \(words[5]), \(kind), \(words[(dash + 1)...].joined(separator: " "))"
    }.sorted()
  }
}

/// The cgroups of this run, on every hierarchy that is mounted.
enum Cgroups {
  /// The paths of the mounted hierarchies with their controllers, from the mount table.
  static func hierarchies() -> [(path: String, options: [Substring])] {
    recorded(or: "") { try Files.read("/proc/self/mountinfo") }.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard let dash = words.firstIndex(of: "-"), words.count > dash + 3 else { return nil }
      guard words[dash + 1] == "cgroup" || words[dash + 1] == "cgroup2", words[4].hasPrefix("/sys/fs/cgroup")
      else {
        return nil
      }
      return (String(words[4]), words[dash + 3].split(separator: ","))
    }
  }

  /// The folder of a v1 controller, or of the unified hierarchy for "".
  static func root(of controller: String) -> String? {
    if controller.isEmpty {
      return Files.exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified"
    }
    return hierarchies().first { $0.options.contains(Substring(controller)) }?.path
  }

  /// Those that the unified hierarchy hands down to where it is mounted; none where it is not there.
  static func unifiedControllers() -> Set<Substring> {
    let text = recorded(or: nil) { try Files.readIfThere("\(root(of: "") ?? "")/cgroup.controllers") }
    return Set((text ?? "").split(whereSeparator: \.isWhitespace))
  }

  static func leftovers() -> [String] {
    hierarchies().flatMap { folders(below: $0.path) }.filter { path in
      path.contains(TestRun.tag) && !path.hasSuffix("/" + TestRun.tag)
    }
  }

  /// Takes away what is left, deepest first; only the folders of this run.
  static func removeAll() {
    for hierarchy in hierarchies() {
      for path in folders(below: hierarchy.path).reversed() where path.contains(TestRun.tag) {
        rmdir(path)
      }
    }
  }

  private static func folders(below path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var found: [String] = []
    while let entry = readdir(directory) {
      guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name != ".", name != ".." else { continue }
      found.append("\(path)/\(name)")
      found += folders(below: "\(path)/\(name)")
    }
    return found
  }
}

/// The processes below this one. Since this process is a subreaper, those are all that any runtime started here.
enum Processes {
  struct Entry {
    let id: Int
    let parent: Int
    let state: String
    let command: String
  }

  static func all() -> [Entry] {
    Files.names(in: "/proc").compactMap { Int($0) }.compactMap(entry)
  }

  /// nil for a process that has gone.
  private static func statLine(_ id: Int) -> String? { recorded(or: nil) { try Files.readIfThere("/proc/\(id)/stat") } }

  static func entry(_ id: Int) -> Entry? {
    guard let text = statLine(id) else { return nil }
    return recorded(or: nil) {
      guard let open = text.firstIndex(of: "("), let end = text.lastIndex(of: ")") else {
        throw HarnessError("no line of /proc/\(id)/stat: \(text)")
      }
      let words = text[text.index(after: end)...].split(separator: " ")
      guard words.count > 1, let parent = Int(words[1]) else { throw HarnessError("no parent of \(id): \(text)") }
      return Entry(id: id, parent: parent, state: String(words[0]), command: String(text[open...end]))
    }
  }

  /// Field 22 of /proc/PID/stat, in clock ticks since boot.
  static func startTime(_ id: Int) -> Int? {
    guard let text = statLine(id) else { return nil }
    return recorded(or: nil) {
      guard let end = text.lastIndex(of: ")") else { throw HarnessError("no line of /proc/\(id)/stat: \(text)") }
      let words = text[text.index(after: end)...].split(separator: " ")
      guard words.count > 19, let time = Int(words[19]) else { throw HarnessError("no start time of \(id): \(text)") }
      return time
    }
  }

  static func descendants() -> [Entry] {
    let children = Dictionary(grouping: all(), by: \.parent)
    var found: [Entry] = []
    var open = [Int(getpid())]
    while let next = open.popLast() {
      for child in children[next] ?? [] {
        found.append(child)
        open.append(child.id)
      }
    }
    return found
  }

  /// Collects every child that has ended.
  static func reap() {
    var status: Int32 = 0
    while waitpid(-1, &status, WNOHANG) > 0 {}
  }
}
