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
    if !plan.paths.isEmpty {
      let root = try describe(.landlock, "cannot open the root directory") { () throws(SystemError) in
        RootDirectory(try FileDescriptor.open("/", [.path, .directory]))
      }
      let finder = LandlockFinder(paths: plan.paths)
      if plan.paths[0].place != nil {
        try finder.allowAgain(root, ruleset, reporter)
      } else {
        let places = try finder.allow(root, ruleset, reporter)
        try tell(places, reporter)
      }
    }
    for port in plan.ports {
      try describe(.landlock, "cannot allow a port", field: LandlockPlan.field("/rules/netPort")) {
        () throws(SystemError) in
        try ruleset.allow(port.access, port: port.port)
      }
    }
    return ruleset
  }

  /// As many at once as a packet takes, which is more than one path of the greatest length.
  private static func tell(_ places: [LandlockPlace], _ reporter: borrowing InitReporter) throws(RuntimeError) {
    var next: [LandlockPlace] = []
    var size = 0
    for (index, place) in places.enumerated() {
      next.append(place)
      size += 20 + place.path.utf8.count
      if size < 32768 && index < places.count - 1 { continue }
      let full = next
      try describe(.initProtocol, "cannot tell what the Landlock rules are about") { () throws(SystemError) in
        try reporter.send(.landlockPlaces(full))
      }
      next = []
      size = 0
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
