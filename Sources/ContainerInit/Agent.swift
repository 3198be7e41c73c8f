import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The agent command, ready to be executed: all privileges are what they will be, but for what installing the seccomp
/// filter still needs.
struct Agent: ~Copyable {
  let path: String
  let arguments: CStringList
  let environment: CStringList
  let filter: [UInt8]
  let filterFlags: UInt32
  /// The capabilities still to be given up behind the filter, as capset(2) wants them; empty for none. Only where
  /// no_new_privs is not set and ruleset and filter therefore want CAP_SYS_ADMIN; a profile must let capset pass then.
  let lateCapabilities: [UInt32]
  /// The Landlock ruleset, ready to be taken on; of the number -1 without one.
  private let ruleset: LandlockRuleset
  private let landlock: LandlockPlan?
  private let hooks: StartHooks
  private let limits: LateLimits

  /// CAP_SYS_ADMIN of capabilities(7).
  private static var systemAdministration: UInt64 { 1 << 21 }

  /// Gives up what the plan says, in the order in which the kernel allows it. Nil where there is no `process`.
  static func prepare(
    _ payload: InitPayload, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) -> Agent? {
    guard let plan = payload.agent else { return nil }
    try StandardStreams.prepare(
      uid: plan.uid, hasOwnRoot: payload.namespaces.hasMountNamespace)
    let limits = try LateLimits(plan.limits)
    try AttributeExecutor.apply(plan.attributes)
    var environment = plan.environment
    if plan.looksUpHome { environment.append("HOME=\(HomeDirectory.find(uid: plan.uid))") }
    // Before the user changes: a directory that only root may enter is a valid working directory, as in runc.
    let enteredEarly = enter(plan.workingDirectory)
    // Its paths too are looked up with every right.
    let ruleset = try LandlockExecutor.prepare(payload.landlock, reporter)
    let late = try giveUpPrivileges(plan, payload, reporter)
    if let failure = enteredEarly {
      // Root of a user namespace may lack the right that the user has (a directory on NFS).
      if enter(plan.workingDirectory) != nil {
        throw failure.because(
          .workingDirectory, "cannot enter `\(plan.workingDirectory)`", field: "/process/cwd")
      }
    }
    try checkWorkingDirectory(plan.workingDirectory)
    let path = try Executable.find(plan.arguments, environment: environment)
    Credentials.setUmask(plan.umask)
    return Agent(
      path: path, arguments: CStringList(plan.arguments), environment: CStringList(environment),
      filter: payload.filter, filterFlags: payload.filterFlags, lateCapabilities: late,
      ruleset: ruleset, landlock: payload.landlock, hooks: StartHooks(payload.hooks, environment: environment),
      limits: limits)
  }

  private static func enter(_ path: String) -> SystemError? {
    do {
      try Programs.changeDirectory(path)
      return nil
    } catch {
      return error
    }
  }

  /// A working directory outside of the root (through a descriptor of the host that was left open) is the attack of
  /// CVE-2024-21626; the kernel then answers a path that does not start with a slash.
  private static func checkWorkingDirectory(_ path: String) throws(RuntimeError) {
    let current = try describe(.workingDirectory, "cannot verify `\(path)`", field: "/process/cwd") {
      () throws(SystemError) in
      try Programs.workingDirectory()
    }
    guard current.utf8.first == 0x2F else {
      throw RuntimeError(
        .workingDirectory, "`\(path)` is outside of the container's root file system", field: "/process/cwd")
    }
  }

  /// Groups, user, bounding set, capabilities, no_new_privs. What is left to do behind the filter is answered.
  private static func giveUpPrivileges(
    _ plan: AgentPlan, _ payload: InitPayload, _ reporter: borrowing InitReporter
  ) throws(RuntimeError) -> [UInt32] {
    var sets = plan.capabilities
    try describe(.credentials, "cannot set the groups", field: "/process/user") { () throws(SystemError) in
      // Always, also for an empty list: the caller's groups must not stay.
      try setGroups(plan.additionalGids, payload.namespaces)
      try Credentials.setGroup(plan.gid)
      // A change of ids makes the process dumpable again where the kernel's suid_dumpable says so (prctl(2)).
      try Processes.becomeNotDumpable()
    }
    let held = try describe(.capabilities, "cannot read the capabilities") { () throws(SystemError) in
      try Capabilities.permitted()
    }
    try describe(.capabilities, "cannot limit the bounding set", field: "/process/capabilities/bounding") {
      () throws(SystemError) in
      try Capabilities.limitBounding(to: sets.bounding)
      try Credentials.keepCapabilities(true)
    }
    try describe(.credentials, "cannot become user \(plan.uid)", field: "/process/user/uid") {
      () throws(SystemError) in
      try Credentials.setUser(plan.uid)
      try Processes.becomeNotDumpable()
    }
    // What this process does not hold cannot be granted, nor can the inheritable set go beyond the bounding set; the
    // specification wants a warning, not an error.
    let wanted = sets
    sets.permitted &= held
    sets.effective &= sets.permitted
    sets.inheritable &= held & sets.bounding
    let left =
      (wanted.permitted & ~sets.permitted) | (wanted.effective & ~sets.effective)
      | (wanted.inheritable & ~sets.inheritable)
    if left != 0 { try warn(reporter, "capabilities that cannot be granted are left out: \(names(left))") }
    if plan.noNewPrivileges {
      try describe(.credentials, "cannot set no_new_privs") { () throws(SystemError) in
        try Credentials.setNoNewPrivileges()
      }
    }
    try LandlockExecutor.check(payload.landlock, hasRight: plan.noNewPrivileges || held & systemAdministration != 0)
    let isConfined = !payload.filter.isEmpty || payload.landlock != nil
    let isLate = isConfined && !plan.noNewPrivileges && sets.effective & systemAdministration == 0
    let early = isLate ? systemAdministration & held : 0
    try describe(.capabilities, "cannot set the capabilities", field: "/process/capabilities") {
      () throws(SystemError) in
      try Capabilities.set(
        effective: sets.effective | early, permitted: sets.permitted | early, inheritable: sets.inheritable)
    }
    let refused = try describe(
      .capabilities, "cannot set the ambient set", field: "/process/capabilities/ambient"
    ) {
      () throws(SystemError) in
      // The kernel takes no others (capabilities(7)), which some managers ask for in every document.
      try Capabilities.setAmbient(sets.ambient & wanted.permitted & wanted.inheritable)
    }
    if refused != 0 { try warn(reporter, "ambient capabilities that cannot be raised: \(names(refused))") }
    if !isLate { return [] }
    return Capabilities.words(
      effective: sets.effective, permitted: sets.permitted, inheritable: sets.inheritable)
  }

  /// A user namespace may deny setgroups(2) to everybody in it. Stage 1 has given up all groups before it went in, or had
  /// no right to: then they are the caller's own, who is not root, and stay (user_namespaces(7)).
  private static func setGroups(_ gids: [UInt32], _ namespaces: NamespacePlan) throws(SystemError) {
    do {
      try Credentials.setGroups(gids)
    } catch {
      guard error.errno == .notPermitted, gids.isEmpty else { throw error }
      if namespaces.hasUserNamespace { return }
      if try Credentials.hasGroups() { throw error }
    }
  }

  private static func warn(_ reporter: borrowing InitReporter, _ text: String) throws(RuntimeError) {
    try describe(.initProtocol, "cannot warn") { () throws(SystemError) in
      try reporter.send(.warning(text))
    }
  }

  private static func names(_ mask: UInt64) -> String {
    var text = ""
    for number in 0..<64 where mask & (1 << UInt64(number)) != 0 {
      if !text.isEmpty { text += ", " }
      text += Capability(rawValue: UInt8(number))?.name ?? "\(number)"
    }
    return text
  }

  /// Installs the filter and becomes the command. After the filter only write, capset, execve and exit are called, and what
  /// `terms` say of its listener; that is why this does not return either way. `status` is that of the process if the command
  /// cannot be executed.
  mutating func run(
    _ connection: borrowing InitReporter, _ terms: ListenerTerms, status: (RuntimeError) -> Int32
  ) -> Never {
    let failure = execute(connection, terms)
    connection.end(failure, status: status(failure))
  }

  private mutating func execute(_ connection: borrowing InitReporter, _ terms: ListenerTerms) -> RuntimeError {
    do {
      // With every privilege of the command, and without its filter, whose profile need not allow what a hook does.
      try hooks.run()
      try limits.set()
      // From here to execve a signal may end this process as it would end the command.
      try describe(.spawn, "cannot unblock signals") { () throws(SystemError) in _ = try Signals.setMask(0) }
      // Behind the hooks, which are not the command. Before the filter, whose profile need not allow it.
      if let landlock { try LandlockExecutor.apply(landlock, ruleset) }
      if !filter.isEmpty { try loadFilter(connection, terms) }
      if !lateCapabilities.isEmpty {
        let words = lateCapabilities
        try describe(.capabilities, "cannot set the capabilities behind the seccomp filter") {
          () throws(SystemError) in
          try Capabilities.setBehindFilter(words)
        }
      }
    } catch {
      return error
    }
    let failure = Programs.execute(path, arguments, environment)
    var error = Executable.explain(failure, path)
    if failure.errno == .accessDenied, let landlock, let hint = LandlockExecutor.hint(landlock) { error.hint = hint }
    return error
  }

  /// With SCMP_ACT_NOTIFY what comes next may have to be answered by whoever listens, and he has to be there first.
  private func loadFilter(
    _ connection: borrowing InitReporter, _ terms: ListenerTerms
  ) throws(RuntimeError) {
    var packets = ListenerPackets()
    let hasListener = SeccompFilterFlags(rawValue: filterFlags).contains(.newListener)
    if hasListener {
      try describe(.initProtocol, "cannot prepare the handover of the listener") { () throws(SystemError) in
        try connection.prepareHandover()
      }
    }
    let listener: Int32
    do {
      listener = try Programs.loadFilter(filter, flags: filterFlags)
    } catch {
      throw error.because(
        .seccomp, "cannot install the seccomp filter", field: "/linux/seccomp",
        hint: hasListener && error.errno == .busy ? "a filter around this program has a listener already" : "")
    }
    if hasListener { try connection.handOver(listener: listener, terms, &packets) }
  }
}
