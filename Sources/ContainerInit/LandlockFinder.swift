import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// Finds what the paths of a Landlock ruleset lead to, and adds a rule for it.
struct LandlockFinder {
  let paths: [LandlockPath]

  /// For a container that is being created; what is there, in the order of the paths.
  func allow(
    _ root: borrowing RootDirectory, _ ruleset: borrowing LandlockRuleset, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) -> [LandlockPlace] {
    var places: [LandlockPlace] = []
    var foreign: [(index: Int, end: String)] = []
    for (index, path) in paths.enumerated() {
      var place = LandlockPlace.nowhere
      do throws(SystemError) {
        let found = try allow(path, root, ruleset)
        place = found.place
        if let end = found.foreignEnd { foreign.append((index, end)) }
        if !place.path.isEmpty { try note("`\(path.path)` leads to `\(place.path)`", path, reporter) }
      } catch {
        let isMissing = error.errno == .noEntry || error.errno == .notDirectory
        guard isMissing && path.ifExists else {
          throw error.because(
            .landlock, "cannot allow access to `\(path.path)`", field: path.field,
            hint: isMissing ? "`ifExists` of the rule leaves out what is not there" : "")
        }
        try describe(.initProtocol, "cannot tell what is left out") { () throws(SystemError) in
          try note("`\(path.path)` is not there and left out", path, reporter)
        }
      }
      places.append(place)
    }
    if !foreign.isEmpty { try check(foreign, places, root, reporter) }
    return places
  }

  /// For a command of `exec`: the same files and no others. What is somewhere else by now takes its rule with it: for what has
  /// come to its place the processes of the container have none either, and whoever put it there must not give one to this
  /// command.
  func allowAgain(
    _ root: borrowing RootDirectory, _ ruleset: borrowing LandlockRuleset, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    for path in paths {
      // Without a right there is nothing that the kernel would keep for the container: the number can be another's by now.
      guard let known = path.place, known.inode != 0 else { continue }
      try describe(.landlock, "cannot allow access to `\(path.path)`", field: path.field) { () throws(SystemError) in
        if let change = try allow(path, known, root, ruleset) {
          try note("\(change), and the rule left out", path, reporter)
        }
      }
    }
  }

  /// What has changed since, if the file is there no more; only these errors say so.
  private func allow(
    _ path: LandlockPath, _ known: LandlockPlace, _ root: borrowing RootDirectory, _ ruleset: borrowing LandlockRuleset
  ) throws(SystemError) -> String? {
    let end = known.path.isEmpty ? path.path : known.path
    let file: FileDescriptor
    do {
      file = try root.openWithoutLinks(end, .path)
    } catch {
      guard error.errno == .noEntry || error.errno == .notDirectory || error.errno == .symbolicLinkLoop else {
        throw error
      }
      return "`\(end)` has gone"
    }
    let status = try file.status()
    guard LandlockPlace(status).isSameFile(as: known) else { return "`\(end)` is another file by now" }
    try ruleset.allow(access(path, status), beneath: file)
    return nil
  }

  /// Adds the rule for a path; or answers where it ends, if only a link of the image leads there.
  private func allow(
    _ path: LandlockPath, _ root: borrowing RootDirectory, _ ruleset: borrowing LandlockRuleset
  ) throws(SystemError) -> (place: LandlockPlace, foreignEnd: String?) {
    let file: FileDescriptor
    do {
      file = try root.openWithoutLinks(path.path, .path)
    } catch {
      if error.errno != .symbolicLinkLoop { throw error }
      let end = try root.follow(path.path)
      if !path.followLinks, end.links.contains(where: { !LandlockLinks.isUsual($0.path, target: $0.target) }) {
        return (.nowhere, end.path)
      }
      return (try add(path, try root.openWithoutLinks(end.path, .path), end.path, ruleset), nil)
    }
    return (try add(path, file, "", ruleset), nil)
  }

  /// What the file is, if it has got a right.
  private func add(
    _ path: LandlockPath, _ file: borrowing FileDescriptor, _ end: String, _ ruleset: borrowing LandlockRuleset
  ) throws(SystemError) -> LandlockPlace {
    let status = try file.status()
    let access = access(path, status)
    // That would be no rule (ENOMSG).
    if access == 0 { return .nowhere }
    try ruleset.allow(access, beneath: file)
    var place = LandlockPlace(status)
    place.path = end
    return place
  }

  /// What only directories have is no right that others lack (EINVAL).
  private func access(_ path: LandlockPath, _ status: FileStatus) -> UInt64 {
    status.isDirectory ? path.access : path.access & LandlockSet.rightsOfFiles
  }

  /// A link of the image may say again what another rule allows, and nothing more: it was not the operator who wrote it.
  private func check(
    _ foreign: [(index: Int, end: String)], _ places: [LandlockPlace], _ root: borrowing RootDirectory,
    _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    var grants = LandlockGrants()
    for (path, place) in zip(paths, places) where place.inode != 0 {
      grants.add(place.path.isEmpty ? path.path : place.path, path.access)
    }
    for (index, end) in foreign {
      let path = paths[index]
      do throws(SystemError) {
        let status = try root.openWithoutLinks(end, .path).status()
        if grants.cover(end, access(path, status)) {
          try note("`\(path.path)` leads to `\(end)`, which other rules allow", path, reporter)
          continue
        }
      } catch {
        if (error.errno == .noEntry || error.errno == .notDirectory) && path.ifExists { continue }
        throw error.because(.landlock, "cannot allow access to `\(path.path)`", field: path.field)
      }
      throw RuntimeError(
        .landlock, "a symbolic link leads from `\(path.path)` to `\(end)`, which no rule allows as much",
        field: path.field,
        hint: "name that in the rule, or set `followLinks` where the links of the image are trusted")
    }
  }

  private func note(
    _ text: String, _ path: LandlockPath, _ reporter: borrowing InitReporter
  ) throws(SystemError) {
    try reporter.send(.note("Landlock: \(text) (at `\(path.field)`)"))
  }
}

extension LandlockPlace {
  fileprivate init(_ status: FileStatus) {
    self.init(device: UInt64(status.deviceMajor) << 32 | UInt64(status.deviceMinor), inode: status.inode)
  }
}
