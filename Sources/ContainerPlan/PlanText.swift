import LinuxABI
import OCISpec

extension ContainerPlan {
  /// What `apus plan` prints: one line for each thing that will be done, with who does it, in order.
  public var lines: [PlanLine] {
    var lines: [PlanLine] = []
    func add(_ runner: Runner, _ action: String, _ detail: String = "") {
      lines.append(PlanLine(runner: runner.name, action: action, detail: detail))
    }
    for warning in warnings { add(.runtime, "warn", warning) }
    if let seccomp {
      add(.runtime, "compile seccomp", "\(seccomp.defaultAction), \(seccomp.syscalls?.count ?? 0) rules")
    }
    add(.runtime, "make cgroup", cgroup.path ?? "")
    add(.runtime, "limit devices", "\(cgroup.deviceRules.count) rules")
    if cgroup.resources != nil { add(.runtime, "set resource limits") }
    if let owner = cgroup.owner { add(.runtime, "give cgroup of v2 away", "to user \(owner)") }
    for (map, name) in [(namespaces.uidMap, "uid"), (namespaces.gidMap, "gid")] {
      for range in map {
        add(
          .runtime, namespaces.joins(.newUser) ? "check that \(name) is mapped" : "map \(name)",
          "\(range.inside) to \(range.outside), \(range.count) ids")
      }
    }
    for namespace in namespaces.joined {
      let kind = NamespaceKind.allCases.first { $0.cloneFlag == namespace.kind }
      add(.stage1, "join \(kind?.ociName ?? "") namespace", namespace.path)
    }
    add(.stage1, "make namespaces", namespaces.names)
    if !namespaces.timeOffsets.isEmpty {
      let offsets = namespaces.timeOffsets.utf8.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
      add(.stage1, "set time offsets", offsets.joined(separator: ", "))
    }
    if let rdt = intelRdt {
      let name = rdt.closID.map { $0.isEmpty ? "the default class" : $0 } ?? "a class of its own"
      add(.runtime, "use class of service", name)
      for line in rdt.schemas + rdt.schemata { add(.runtime, "write schemata", line) }
      if rdt.isMonitored { add(.runtime, "make monitoring group") }
    }
    for device in netDevices { add(.runtime, "move network device", "\(device.name) as \(device.newName)") }
    for step in steps {
      step.describe(add)
      if step == .processLabels { agent?.labels.describe(add) }
      if step == .mountsMade {
        for hook in hooks.prestart + hooks.createRuntime { hook.describe(add) }
      }
    }
    guard let agent else {
      add(.stage2, "wait for start", "no process: start will fail")
      return lines
    }
    for limit in agent.limits {
      let name = limit.resource >= 0 ? Resource(rawValue: UInt8(limit.resource))?.name ?? "" : ""
      add(.stage2, "limit resource", "\(name) \(limit.soft) \(limit.hard)")
    }
    agent.attributes.describe(add)
    add(
      .stage2, "become user",
      "\(agent.uid):\(agent.gid) \(agent.additionalGids.map { "\($0)" }.joined(separator: ","))")
    let sets = agent.capabilities
    for (mask, name) in [
      (sets.bounding, "bounding"), (sets.effective, "effective"), (sets.permitted, "permitted"),
      (sets.inheritable, "inheritable"), (sets.ambient, "ambient"),
    ] {
      add(.stage2, "limit \(name) capabilities", CapabilitySet(rawValue: mask).names)
    }
    if agent.noNewPrivileges { add(.stage2, "set no_new_privs") }
    add(.stage2, "enter", agent.workingDirectory)
    add(.stage2, "wait for start")
    for hook in hooks.startContainer { hook.describe(add) }
    landlock?.describe(add)
    if let seccomp {
      add(.stage2, "install seccomp filter")
      if let path = seccomp.listenerPath, (seccomp.syscalls ?? []).contains(where: { $0.action == "SCMP_ACT_NOTIFY" }) {
        add(.runtime, "hand seccomp listener over", path)
      }
    }
    add(.stage2, "execute", agent.arguments.joined(separator: " "))
    for hook in hooks.poststart + hooks.poststop { hook.describe(add) }
    return lines
  }
}

/// One line of a printed plan.
public struct PlanLine: Sendable, Equatable {
  public var runner: String
  public var action: String
  /// On what; empty if the action says it all.
  public var detail: String
}

extension NamespacePlan {
  fileprivate var names: String {
    NamespaceKind.allCases.filter { created.contains($0.cloneFlag) }.map { $0.ociName }.joined(separator: " ")
  }
}

extension ProcessLabels {
  fileprivate func describe(_ add: (Runner, String, String) -> Void) {
    if !appArmorProfile.isEmpty { add(.stage2, "set AppArmor profile", appArmorProfile) }
    if !selinuxLabel.isEmpty { add(.stage2, "set SELinux label", selinuxLabel) }
  }
}

extension ProcessAttributes {
  fileprivate func describe(_ add: (Runner, String, String) -> Void) {
    if let value = oomScoreAdjustment { add(.stage1, "adjust out-of-memory score", "\(value)") }
    if let plan = scheduler {
      var text = SchedulingPolicy(rawValue: plan.policy)?.name ?? ""
      text += " nice \(plan.nice) priority \(plan.priority)"
      if plan.deadline != 0 { text += " runtime \(plan.runtime) deadline \(plan.deadline) period \(plan.period)" }
      if plan.flags != 0 { text += " flags \(plan.flags)" }
      add(.stage2, "set scheduling policy", text)
    }
    if let value = ioPriority { add(.stage2, "set I/O priority", "class \(value >> 13) priority \(value & 7)") }
    if let policy = memoryPolicy {
      let mode = MemoryPolicyMode(rawValue: policy.mode & 0xFFF)?.name ?? ""
      let flags = MemoryPolicyFlag.allCases.filter { policy.mode & $0.rawValue != 0 }.map { " \($0.name)" }.joined()
      add(.stage2, "set memory policy", mode + flags + policy.nodes.map { " \($0)" }.joined())
    }
    if let personality { add(.stage2, "set execution domain", "\(personality)") }
  }
}

extension LandlockPlan {
  fileprivate func describe(_ add: (Runner, String, String) -> Void) {
    let names = LandlockSet.allCases.flatMap { $0.names(of: self[$0]) }
    add(.stage2, "restrict by Landlock", names.joined(separator: " "))
    for path in paths {
      let text = LandlockSet.files.names(of: path.access).joined(separator: " ")
      add(.stage2, path.ifExists ? "allow by Landlock if there" : "allow by Landlock", "\(path.path): \(text)")
    }
    for port in ports {
      let text = LandlockSet.network.names(of: port.access).joined(separator: " ")
      add(.stage2, "allow by Landlock", "port \(port.port): \(text)")
    }
  }
}

extension CapabilitySet {
  fileprivate var names: String {
    capabilities.isEmpty ? "none" : capabilities.map { $0.name }.joined(separator: " ")
  }
}

extension InitStep {
  fileprivate func describe(_ add: (Runner, String, String) -> Void) {
    switch self {
    case .startSession: add(.stage2, "start session", "")
    case .newCgroupNamespace: add(.stage2, "make namespaces", "cgroup")
    case .interfaceUp(let name): add(.stage2, "set interface up", name)
    case .hostname(let name): add(.stage2, "set host name", name)
    case .domainname(let name): add(.stage2, "set domain name", name)
    case .keyring(let name): add(.stage2, "join new session keyring", name)
    case .propagation(let change): add(.stage2, "set propagation of all mounts", change.text)
    case .openRoot(let path, let privateParent):
      add(.stage2, "open root", privateParent ? "\(path), mount around it private" : path)
    case .mount(let mount): add(.stage2, "mount", mount.text)
    case .devices(let nodes):
      for node in nodes { add(.stage2, "make device", "/\(node.path) \(node.major):\(node.minor)") }
    case .deviceLinks: add(.stage2, "link", "/dev/fd /dev/stdin /dev/stdout /dev/stderr /dev/ptmx")
    case .console(let console):
      add(.stage2, "make terminal", console.isMounted ? "on /dev/console" : "")
    case .mountsMade: add(.stage2, "wait for hooks", "")
    case .hooks(let hooks): for hook in hooks { hook.describe(add) }
    case .workingDirectory(let path): add(.stage2, "make directory if missing", "/\(path == "." ? "" : path)")
    case .maskPaths(let paths, _): for path in paths { add(.stage2, "mask if there", "/\(path)") }
    case .readonlyPaths(let paths): for path in paths { add(.stage2, "make read-only if there", "/\(path)") }
    case .readonlyRoot: add(.stage2, "make root read-only", "")
    case .readonlyMount(let path): add(.stage2, "make mount read-only", "/\(path)")
    case .pivotRoot: add(.stage2, "pivot root", "")
    case .changeRoot: add(.stage2, "change root", "no mount namespace")
    case .moveRoot: add(.stage2, "move root onto /", "no pivot_root")
    case .rootPropagation(let change): add(.stage2, "set propagation of the root", change.text)
    case .openProc: add(.stage2, "open own procfs", "")
    case .sysctl(let step): add(.stage2, "set kernel parameter", "\(step.path) = \(step.value)")
    // Its lines are those of the agent command.
    case .processLabels: break
    }
  }
}

extension HookPlan {
  fileprivate func describe(_ add: (Runner, String, String) -> Void) {
    add(kind.runner, "run \(kind.name) hook", timeout == 0 ? path : "\(path), \(timeout) s at most")
  }
}

extension MountStep {
  fileprivate var text: String {
    var text = "/\(destination) "
    switch source {
    case .bind(let path, let recursive): text += recursive ? "rbind \(path)" : "bind \(path)"
    case .fileSystem(let type, _, let parameters):
      text += type
      for parameter in parameters { text += " \(parameter.text)" }
    case .cgroup: text += "cgroup of the container"
    case .remount(let attributesOnly, let parameters):
      text += attributesOnly ? "remount this mount" : "remount"
      for parameter in parameters { text += " \(parameter.text)" }
    case .legacyFileSystem(let type, _, let data): text += "\(type) by mount(2) \(data)"
    }
    let own = MountAttributes(rawValue: set)
    for (flag, name) in [
      (MountAttributes.readOnly, "ro"), (.noSetUserID, "nosuid"), (.noDevices, "nodev"),
      (.noExecute, "noexec"),
      (.noSymlinkFollow, "nosymfollow"),
    ] where own.contains(flag) {
      text += " \(name)"
    }
    if setRecursively & MountAttributes.readOnly.rawValue != 0 { text += " rro" }
    for change in propagation { text += " \(change.text)" }
    for (trait, name) in [
      (MountTraits.copiesUp, "tmpcopyup"), (.copiesSymlink, "copy-symlink"), (.sourceNoFollow, "src-nofollow"),
      (.destinationNoFollow, "dest-nofollow"),
    ] where traits.contains(trait) {
      text += " \(name)"
    }
    if let idMap {
      text += idMap.recursive ? " ridmap" : " idmap"
      for (name, ranges) in [("uids", idMap.uids), ("gids", idMap.gids)] {
        for range in ranges { text += " \(name) \(range.inside) to \(range.outside), \(range.count)" }
      }
    }
    if !label.isEmpty { text += " label \(label)" }
    return text
  }
}
