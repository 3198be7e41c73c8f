import Diagnostics
import InitChannel
import JSON
import LinuxABI
import OCISpec

@testable import ContainerPlan

/// Root of a host of today, and a user of an older one.
private func facts(_ user: UInt32) -> HostFacts {
  HostFacts(effectiveUser: user, hasSELinux: user != 0, landlock: .version(user == 0 ? LandlockSet.newestABI : 2))
}

/// A ruleset says nothing of what it does not handle, nor of what the kernel does not know.
private func checkLandlock(_ plan: ContainerPlan, _ input: PlanInput) throws(BrokenRule) {
  guard let landlock = plan.landlock else {
    return try hold(plan.landlockState == nil, "a state of no ruleset")
  }
  try hold(plan.landlockState?.abi == input.facts.landlock.abi, "another version of Landlock")
  for set in LandlockSet.allCases {
    try hold(landlock[set] & ~set.known(toABI: input.facts.landlock.abi) == 0, "a right that the kernel has not")
  }
  try hold(landlock.files | landlock.network | landlock.scopes != 0, "a ruleset without a restriction")
  var grants = LandlockGrants()
  for path in landlock.paths {
    let isCovered = grants.cover("/", path.access)
    try hold(!isCovered || grants.cover(path.path, path.access), "a place is not in the root")
    grants.add(path.path, path.access)
    _ = LandlockLinks.isUsual(path.path, target: "/usr/bin")
    try hold(path.access != 0 && path.access & ~landlock.files == 0, "a path with a right that is not handled")
    try hold(path.path.utf8.first == 0x2F, "a path that is not absolute")
  }
  for port in landlock.ports {
    try hold(port.access != 0 && port.access & ~landlock.network == 0, "a port with a right that is not handled")
  }
}

/// What init and `exec` would get of a plan comes back from its wire form.
private func checkPayload(_ plan: ContainerPlan) throws(BrokenRule) {
  let payload = InitPayload(
    namespaces: plan.namespaces, steps: plan.steps, agent: plan.agent, filter: [], filterFlags: 0,
    landlock: plan.landlock, cgroupMounts: [], taskFiles: 0, hasCgroupDirectory: false,
    hooks: InitHooks(
      startContainer: plan.hooks.startContainer, creatingState: [], createdState: [], environment: []))
  do {
    try hold(try InitPayload(decoding: payload.encode()) == payload, "a plan changes on the wire")
  } catch let error as BrokenRule {
    throw error
  } catch {
    throw BrokenRule("a plan has no wire form: \(error)")
  }
}

private func checkPlan(_ input: PlanInput) throws(BrokenRule) {
  let first = outcome { () throws(RuntimeError) in try Planner.plan(input) }
  let second = outcome { () throws(RuntimeError) in try Planner.plan(input) }
  let all = outcome { () throws(RuntimeError) in try Planner.check(input) }
  switch (first, second) {
  case (.success(let plan), .success(let again)):
    try hold(plan.lines == again.lines && plan.steps == again.steps, "two plans of one configuration differ")
    try checkPayload(plan)
    try checkLandlock(plan, input)
    if case .success(let all) = all {
      try hold(all.findings.allSatisfy { $0.kind == .warning }, "`check` refuses what is planned")
    } else {
      throw BrokenRule("`check` fails where there is a plan")
    }
  case (.failure(let error), .failure(let again)):
    try hold(error == again, "two errors of one configuration differ")
    try hold(error.field.isEmpty || error.field.utf8.first == 0x2F, "`\(error.field)` is no pointer")
    if case .success(let all) = all {
      let refusals = all.findings.filter { $0.kind != .warning }
      try hold(refusals.first?.detail == error, "`check` does not name what `create` refuses: \(error.text)")
      _ = all.plan.lines
    }
  default: throw BrokenRule("one configuration has a plan and has none")
  }
}

func fuzzConfig(_ input: [UInt8]) throws(BrokenRule) {
  let config: Config
  switch outcome({ () throws(RuntimeError) in try Config.decode(input, file: "config.json") }) {
  case .failure(let error): return try checkError(error, in: input)
  case .success(let read): config = read
  }
  for layout in [JSONLayout.compact, .tabs] {
    let text = config.document(layout)
    let again = outcome { () throws(RuntimeError) in try Config.decode(text, file: "config.json") }
    try hold(again == .success(config), "the document written is another one")
  }
  try checkPlan(PlanInput(config: config, bundle: "/b", keyring: "_ses.id", facts: facts(0)))
  let other = PlanInput(
    config: config, bundle: "/b", keyring: nil, noPivot: true, notifyFolder: "/run/n", facts: facts(1000))
  if case .success(let plan) = outcome({ () throws(RuntimeError) in try Planner.plan(other) }) {
    try checkPayload(plan)
    try checkLandlock(plan, other)
  }
}

func fuzzProcess(_ input: [UInt8]) throws(BrokenRule) {
  let process: Process
  switch outcome({ () throws(RuntimeError) in try Process.decode(input, file: "process.json") }) {
  case .failure(let error): return try checkError(error, in: input)
  case .success(let read): process = read
  }
  let text = process.encoded(.compact)
  let again = outcome { () throws(RuntimeError) in try Process.decode(text, file: "process.json") }
  try hold(again == .success(process), "the document written is another one")

  // The flags of `exec`, from the same texts.
  var overrides = ExecOverrides()
  overrides.arguments = process.env ?? []
  // What is no variable is refused before anything else is looked at.
  overrides.environment = (process.args ?? []).map { $0.utf8.contains(0x3D) ? $0 : "X=" + $0 }
  overrides.workingDirectory = process.cwd.isEmpty ? nil : process.cwd
  overrides.capabilities = process.capabilities?.bounding ?? []
  overrides.uid = process.user.umask
  overrides.additionalGids = process.user.additionalGids ?? []
  overrides.noNewPrivileges = process.noNewPrivileges
  overrides.terminal = process.terminal
  var namespaces = NamespacePlan(created: [])
  if process.noNewPrivileges == true {
    namespaces = NamespacePlan(
      created: .newUser, uidMap: [IDRange(inside: 0, outside: 1000, count: 1000)],
      gidMap: [IDRange(inside: 0, outside: 1000, count: 1000)])
  }
  var template: AgentPlan?
  for changes in [ExecOverrides(), overrides] {
    for document in [process, nil] {
      let first = outcome { () throws(RuntimeError) in
        try Planner.planExec(document, template, namespaces, process.execCPUAffinity ?? ExecCPUAffinity(), changes)
      }
      let second = outcome { () throws(RuntimeError) in
        try Planner.planExec(document, template, namespaces, process.execCPUAffinity ?? ExecCPUAffinity(), changes)
      }
      switch (first, second) {
      case (.success(let plan), .success(let again)):
        try hold(plan.agent == again.agent && plan.console == again.console, "two plans of one process differ")
        template = plan.agent
      case (.failure(let error), .failure(let again)): try hold(error == again, "two errors of one process differ")
      default: throw BrokenRule("one process has a plan and has none")
      }
    }
  }
}
