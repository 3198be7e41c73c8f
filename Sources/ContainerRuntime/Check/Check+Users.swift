import ContainerPlan
import Diagnostics
import Linux
import LinuxABI
import OCISpec

// User namespaces: which ids may be mapped, and what takes more than the caller has.
extension BundleCheck {
  func checkUsers() {
    checkOwnMap(plan.namespaces.uidMap, "/proc/self/uid_map", "/linux/uidMappings")
    checkOwnMap(plan.namespaces.gidMap, "/proc/self/gid_map", "/linux/gidMappings")
    if plan.namespaces.created.contains(.newUser) || isRootless { checkOwnedNamespaces() }
    if isRootless { checkRootless() }
  }

  /// In a user namespace there are no other ids than those that it maps.
  private func checkOwnMap(_ map: [IDRange], _ file: String, _ field: String) {
    guard plan.namespaces.created.contains(.newUser) else { return }
    let own = SubordinateIDs(map: files.table(file))
    if own.ranges.isEmpty { return }
    for (index, range) in map.enumerated() where !own.contain(range.outside, range.count) {
      add(
        .ownMap,
        RuntimeError(
          .idMapping, "the user namespace of the caller does not have the ids \(text(range))",
          field: "\(field)/\(index)/hostID", hint: "see `\(file)`"))
    }
  }

  private func text(_ range: IDRange) -> String {
    "\(range.outside) to \(UInt64(range.outside) + UInt64(range.count) - 1)"
  }

  /// File systems that show a namespace are mounted by who owns it (mount_namespaces(7), proc(5)). Where `create` may bind
  /// the host's instead, nothing is unmet.
  private func checkOwnedNamespaces() {
    for step in plan.steps {
      guard case .mount(let mount) = step, case .fileSystem(let type, _, _) = mount.source else { continue }
      let owned: (CloneFlags, String)
      switch type {
      case "mqueue": owned = (.newIPC, "ipc")
      default: continue
      }
      if plan.namespaces.created.contains(owned.0) || plan.namespaces.joins(owned.0) { continue }
      add(
        .ownedNamespace,
        RuntimeError(
          .mount, "a mount of \(type) in a user namespace needs a \(owned.1) namespace that belongs to it",
          field: "/mounts/\(mount.index)/type", hint: "add {\"type\": \"\(owned.1)\"} to `linux.namespaces`"))
    }
  }

  // MARK: Without root

  private func checkRootless() {
    // Without a user namespace a rule is broken, and nothing below matters.
    guard plan.namespaces.hasUserNamespace else { return }
    if plan.namespaces.created.contains(.newUser) {
      checkUserNamespacesAllowed()
      checkMaps()
    }
    checkPrivilegedMounts()
    for device in plan.netDevices {
      add(
        .rootlessNetDevice,
        RuntimeError(.network, "a network device of the host can only be moved by root", field: device.field))
    }
    checkLimits()
  }

  private func checkUserNamespacesAllowed() {
    let field = "/linux/namespaces"
    if files.number("/proc/sys/kernel/unprivileged_userns_clone") == 0 {
      add(
        .userNamespaceAllowed,
        RuntimeError(
          .namespace, "user namespaces are for root only on this host", field: field,
          hint: "`/proc/sys/kernel/unprivileged_userns_clone` is 0"))
    }
    if files.number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 {
      add(
        .userNamespaceAllowed,
        RuntimeError(
          .namespace, "AppArmor takes the rights in a user namespace away", field: field,
          hint: "give `apus` a profile with `userns,`, or set "
            + "`/proc/sys/kernel/apparmor_restrict_unprivileged_userns` to 0"))
    }
  }

  private func checkMaps() {
    var user: String?
    for line in (files.text("/etc/passwd") ?? "").utf8.split(separator: 0x0A) {
      let fields = line.split(separator: 0x3A, omittingEmptySubsequences: false)
      if fields.count > 2, fields[2].elementsEqual("\(caller)".utf8) { user = String(Substring(fields[0])) }
    }
    checkMap(
      plan.namespaces.uidMap, own: caller, SubordinateIDs(files.text("/etc/subuid") ?? "", user: user, id: caller),
      "/etc/subuid", "newuidmap", "/linux/uidMappings")
    let isSingle = checkMap(
      plan.namespaces.gidMap, own: callerGroup, SubordinateIDs(files.text("/etc/subgid") ?? "", user: user, id: caller),
      "/etc/subgid", "newgidmap", "/linux/gidMappings")
    if isSingle && !(plan.agent?.additionalGids ?? []).isEmpty {
      add(
        .setgroups,
        RuntimeError(
          .configInvalid, "without root and with a single group there are no supplementary groups",
          field: "/process/user/additionalGids", hint: "map a range of /etc/subgid, or leave the groups out"))
    }
  }

  /// Answers whether the map is the one that needs no help: the caller's own id alone.
  @discardableResult
  private func checkMap(
    _ map: [IDRange], own: UInt32, _ subordinate: SubordinateIDs, _ file: String, _ helper: String, _ field: String
  ) -> Bool {
    if map.count == 1 && map[0].count == 1 && map[0].outside == own { return true }
    if map.isEmpty { return false }
    checkHelper(helper, field)
    // Of root, who only asks how it would be, no user is known.
    if caller == 0 { return false }
    for (index, range) in map.enumerated() {
      if range.count == 1 && range.outside == own { continue }
      if subordinate.contain(range.outside, range.count) { continue }
      add(
        .subordinateIDs,
        RuntimeError(
          .idMapping, "the ids \(text(range)) are not given to the caller", field: "\(field)/\(index)/hostID",
          hint: subordinate.ranges.isEmpty
            ? "`\(file)` has no line for him" : "see his line in `\(file)`"))
    }
    return false
  }

  private func checkHelper(_ name: String, _ field: String) {
    // As `ChildProgram.find`.
    for folder in (Environment.value("PATH") ?? "").utf8.split(separator: 0x3A) where folder.first == 0x2F {
      let program = "\(files.prefix)\(String(Substring(folder)))/\(name)"
      let status: FileStatus
      do {
        status = try FileDescriptor.open(program, .path).status()
      } catch {
        continue
      }
      if status.mode & 0o4000 != 0 || Programs.hasFileCapabilities(program) { return }
      return add(
        .mapHelper,
        RuntimeError(
          .idMapping, "`\(program)` is neither set-user-ID nor has it file capabilities", field: field))
    }
    add(
      .mapHelper,
      RuntimeError(
        .idMapping, "`\(name)` is not in a folder of PATH, and only it can map other ids than the caller's own",
        field: field,
        hint: "on Debian it is in the package uidmap"))
  }

  /// The file systems that the root of a user namespace may mount.
  private static var mountable: [String] {
    [
      "binfmt_misc", "bpf", "cgroup", "cgroup2", "devpts", "fuse", "mqueue", "overlay", "proc", "ramfs", "sysfs",
      "tmpfs",
    ]
  }

  private func checkPrivilegedMounts() {
    for step in plan.steps {
      guard case .mount(let mount) = step else { continue }
      if mount.idMap != nil {
        add(
          .rootlessMount,
          RuntimeError(
            .mount, "only root can id-map a mount of the host", field: "/mounts/\(mount.index)/options"))
      }
      switch mount.source {
      case .fileSystem(let type, _, _), .legacyFileSystem(let type, _, _):
        if BundleCheck.mountable.contains(String(Substring(type.utf8.prefix { $0 != 0x2E }))) { continue }
        add(
          .rootlessMount,
          RuntimeError(
            .mount, "only root can mount a file system of type `\(type)`", field: "/mounts/\(mount.index)/type"))
      case .bind, .cgroup, .remount: continue
      }
    }
  }

  /// Nobody but root raises a hard limit or makes himself less likely to be killed.
  private func checkLimits() {
    if caller == 0 { return }
    for (index, limit) in (plan.agent?.limits ?? []).enumerated() {
      do {
        let own = try Credentials.limit(limit.resource)
        if limit.hard <= own.hard { continue }
        add(
          .rootlessLimit,
          RuntimeError(
            .rlimit, "the hard limit \(limit.hard) is above the caller's own, \(own.hard)",
            field: "/process/rlimits/\(index)/hard"))
      } catch {
        // A resource that the kernel does not know.
        add(
          .rootlessLimit,
          error.because(.rlimit, "cannot read the caller's limit", field: "/process/rlimits/\(index)"))
      }
    }
    guard let wanted = config.process?.oomScoreAdj, let text = files.text("/proc/self/oom_score_adj"),
      let own = Int(text), wanted < own
    else { return }
    add(
      .rootlessLimit,
      RuntimeError(
        .processAttribute, "only root can go below the caller's own score, \(own)", field: "/process/oomScoreAdj"))
  }
}
