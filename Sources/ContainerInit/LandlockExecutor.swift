import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// Makes the Landlock ruleset of a container, and takes it on.
enum LandlockExecutor {
  /// The ruleset, as an open descriptor that does nothing yet: a path that is missing is an error of `create`. Of the number -1
  /// without one.
  static func prepare(
    _ plan: LandlockPlan?, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) -> LandlockRuleset {
    guard let plan else { return LandlockRuleset(FileDescriptor(owning: -1)) }
    let ruleset = try describe(.landlock, "cannot make the Landlock ruleset", field: LandlockPlan.field("/ruleset")) {
      () throws(SystemError) in
      try LandlockRuleset.make(files: plan.files, network: plan.network, scopes: plan.scopes)
    }
    if !plan.paths.isEmpty { try allow(plan.paths, ruleset, reporter) }
    for port in plan.ports {
      try describe(.landlock, "cannot allow a port", field: LandlockPlan.field("/rules/netPort")) {
        () throws(SystemError) in
        try ruleset.allow(port.access, port: port.port)
      }
    }
    return ruleset
  }

  private static func allow(
    _ paths: [LandlockPath], _ ruleset: borrowing LandlockRuleset, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) {
    let root = try describe(.landlock, "cannot open the root directory") { () throws(SystemError) in
      RootDirectory(try FileDescriptor.open("/", [.path, .directory]))
    }
    var places: [LandlockPlace] = []
    for (index, path) in paths.enumerated() {
      let place = try allow(path, root, ruleset)
      if path.place != nil { continue }
      places.append(place)
      // As many as a packet takes.
      if places.count < 1024 && index < paths.count - 1 { continue }
      let full = places
      try describe(.initProtocol, "cannot tell what the Landlock rules are about") { () throws(SystemError) in
        try reporter.send(.landlockPlaces(full))
      }
      places = []
    }
  }

  /// Adds the rule for one path; what is there.
  private static func allow(
    _ path: LandlockPath, _ root: borrowing RootDirectory, _ ruleset: borrowing LandlockRuleset
  ) throws(RuntimeError) -> LandlockPlace {
    do throws(SystemError) {
      // A symbolic link leads where the container would follow it: rules are about what is there, not about names.
      let file = try root.open(path.path, .path)
      let status = try file.status()
      let place = LandlockPlace(
        device: UInt64(status.deviceMajor) << 32 | UInt64(status.deviceMinor), inode: status.inode)
      // Something else by now: for that the processes of the container have no rule either, and whoever put it there must
      // not give one to a command of `exec`.
      if let known = path.place, known != place { return place }
      var access = path.access
      // What only directories have is no right that others lack (EINVAL); nothing at all is no rule (ENOMSG).
      if !status.isDirectory { access &= LandlockSet.rightsOfFiles }
      if access != 0 { try ruleset.allow(access, beneath: file) }
      return place
    } catch {
      let isMissing = error.errno == .noEntry || error.errno == .notDirectory
      // What has gone since the container was made, or cannot be reached any more, takes its rule with it.
      let isGone = path.place != nil && error.call == "openat2"
      if isGone || isMissing && path.ifExists { return .nowhere }
      throw error.because(
        .landlock, "cannot allow access to `\(path.path)`", field: path.field,
        hint: isMissing ? "`ifExists` of the rule leaves out what is not there" : "")
    }
  }

  /// For good, and for all that this process starts.
  static func apply(_ plan: LandlockPlan, _ ruleset: borrowing LandlockRuleset) throws(RuntimeError) {
    do {
      try ruleset.restrict(flags: plan.flags)
    } catch {
      throw error.because(
        .landlock, "cannot restrict the process", field: LandlockPlan.field(""),
        hint: error.errno == .argumentListTooLong ? "a process can have at most 16 rulesets, one inside the other" : "")
    }
  }

  /// landlock_restrict_self(2) wants one or the other: a ruleset must not hinder a program that has more rights than its
  /// caller.
  static func check(_ plan: LandlockPlan?, hasRight: Bool) throws(RuntimeError) {
    if plan == nil || hasRight { return }
    throw RuntimeError(
      .landlock, "a Landlock ruleset takes no_new_privs, or CAP_SYS_ADMIN in the user namespace",
      field: LandlockPlan.field(""), hint: "set `/process/noNewPrivileges`")
  }

  /// Of a command that is there and cannot be executed; nil where the ruleset has nothing to do with it.
  static func hint(_ plan: LandlockPlan) -> String? {
    if plan.files & (LandlockSet.execute | LandlockSet.readFile) == 0 { return nil }
    return
      "the ruleset at `\(LandlockPlan.field(""))` must allow `execute` and `read_file` on it and on its interpreter"
  }
}
