import ContainerPlan
import Diagnostics
import JSON
import Linux
import LinuxABI
import OCISpec
import Seccomp

// What the kernel has to have for a configuration.
extension BundleCheck {
  func checkKernel() {
    let missing = KernelProbe.missingCalls()
    if !missing.isEmpty {
      add(
        .kernel,
        RuntimeError(
          .kernelTooOld, "the kernel does not have \(missing.joined(separator: ", "))",
          hint: "Linux 5.12 is the oldest that works; a filter around this process hides calls as well"))
    }
    checkNamespaces()
    checkFileSystems()
    checkSeccomp()
    checkLabels()
    checkCapabilities()
    checkSysctls()
  }

  // MARK: Namespaces

  private func checkNamespaces() {
    for (index, namespace) in (linux.namespaces ?? []).enumerated() {
      guard let kind = NamespaceKind(ociName: namespace.type) else { continue }
      let field = "/linux/namespaces/\(index)"
      if let path = namespace.path, !path.isEmpty {
        if path.utf8.first == 0x2F { checkJoin(kind, path, "\(field)/path") }
      } else if !files.exists("/proc/self/ns/\(kind.fileName)") {
        add(.namespaceKind, RuntimeError(.namespace, "the kernel has no \(kind.ociName) namespaces", field: field))
      } else if files.number("/proc/sys/user/max_\(kind.fileName)_namespaces") == 0 {
        add(
          .namespaceKind,
          RuntimeError(
            .namespace, "no \(kind.ociName) namespace can be made here", field: field,
            hint: "`/proc/sys/user/max_\(kind.fileName)_namespaces` is 0"))
      }
    }
  }

  private func checkJoin(_ kind: NamespaceKind, _ path: String, _ field: String) {
    do {
      // Not opened before it is known to be a namespace: to open a device may do something.
      let place = try FileDescriptor.open(files.prefix + path, .path)
      guard try place.fileSystemType() == FileSystemMagic.nsfs.rawValue else {
        return add(.namespaceFile, RuntimeError(.namespace, "`\(path)` is no namespace", field: field))
      }
      let found = try place.reopen(.readOnly).namespaceKind()
      if found == kind.cloneFlag { return }
      let name = NamespaceKind.allCases.first { $0.cloneFlag == found }?.ociName ?? "other"
      add(
        .namespaceFile,
        RuntimeError(.namespace, "`\(path)` is a \(name) namespace, not a \(kind.ociName) namespace", field: field))
    } catch {
      add(.namespaceFile, error.because(.namespace, "cannot open the namespace", field: field))
    }
  }

  // MARK: File systems

  private func checkFileSystems() {
    let known = files.table("/proc/filesystems").compactMap { $0.last }
    if known.isEmpty { return }
    var modules: ModuleNames?
    var missing: [String] = []
    for step in plan.steps {
      guard case .mount(let mount) = step else { continue }
      let name: String
      switch mount.source {
      case .fileSystem(let type, _, _), .legacyFileSystem(let type, _, _): name = type
      default: continue
      }
      // `fuse.sshfs` is fuse; what stands behind the dot is for its user.
      let type = String(Substring(name.utf8.prefix { $0 != 0x2E }))
      if type.isEmpty || known.contains(type) { continue }
      if !missing.contains(type) {
        // Long lists: read once, and only where one is needed.
        let names = modules ?? ModuleNames(files)
        modules = names
        if names.has(type) { continue }
        // A configuration may name a different one for each of very many mounts: some will do.
        if missing.count == 64 { return }
        missing.append(type)
      }
      add(
        .fileSystem,
        RuntimeError(
          .mount, "the kernel has no file system `\(type)`", field: "/mounts/\(mount.index)/type",
          hint: "it is not in `/proc/filesystems`, and no module has the alias `fs-\(type)`"))
    }
  }

  // MARK: Seccomp

  private func checkSeccomp() {
    guard let profile = plan.seccomp else { return }
    var actions: [(name: String, field: String)] = []
    if !profile.defaultAction.isEmpty { actions.append((profile.defaultAction, "/linux/seccomp/defaultAction")) }
    for (index, rule) in (profile.syscalls ?? []).enumerated()
    where !actions.contains(where: { $0.name == rule.action }) {
      actions.append((rule.action, "/linux/seccomp/syscalls/\(index)/action"))
    }
    for (name, field) in actions {
      guard let action = SeccompAction(name: name) else { continue }
      if KernelProbe.hasSeccompAction(action.returnValue(errnoRet: 0)) { continue }
      add(
        .seccompKernel,
        RuntimeError(.seccomp, "the kernel does not have the seccomp action `\(name)`", field: field))
    }
    for (index, name) in (profile.flags ?? []).enumerated() {
      guard let flag = SeccompFilterFlags.parse(name), !flag.isSupported else { continue }
      add(
        .seccompKernel,
        RuntimeError(
          .seccomp, "the kernel does not have the seccomp flag `\(name)`", field: "/linux/seccomp/flags/\(index)"))
    }
    guard actions.contains(where: { $0.name == SeccompAction.notify.name }) else { return }
    do {
      _ = try SeccompListener.find(profile, bundle: bundle.path, root: plan.rootPath)
    } catch {
      add(.seccompKernel, error)
    }
  }

  // MARK: Security modules

  private func checkLabels() {
    let profile = config.process?.apparmorProfile ?? ""
    // Names in another policy namespace, and stacks of profiles, are not in the list under their name.
    if profile.isEmpty || profile == "unconfined" || profile.utf8.first == 0x3A || profile.utf8.contains(0x26) {
      return
    }
    // The list is for root only; each line has a name and a mode in parentheses.
    guard let list = files.text("/sys/kernel/security/apparmor/profiles", limit: 16 << 20) else { return }
    let start = "\(profile) ("
    if list.utf8.split(separator: 0x0A).contains(where: { $0.starts(with: start.utf8) }) { return }
    add(
      .appArmorProfile,
      RuntimeError(
        .securityLabel, "the AppArmor profile `\(profile)` is not loaded", field: "/process/apparmorProfile",
        hint: "load it with apparmor_parser(8)"))
  }

  // MARK: Capabilities

  /// What is lacking is left out with a warning when the container starts. In a user namespace of its own a process has
  /// all that there are.
  private func checkCapabilities() {
    guard let sets = config.process?.capabilities else { return }
    let last = files.number("/proc/sys/kernel/cap_last_cap") ?? 63
    let isOwn = plan.namespaces.hasUserNamespace
    let bounding = isOwn ? UInt64.max : mask("CapBnd:")
    let permitted = isOwn ? UInt64.max : mask("CapPrm:")
    let lists = [
      (sets.bounding, "bounding", bounding), (sets.effective, "effective", permitted),
      (sets.permitted, "permitted", permitted),
    ]
    for (names, set, allowed) in lists {
      for (index, name) in (names ?? []).enumerated() {
        guard let capability = Capability(name: name) else { continue }
        let number = UInt64(capability.rawValue)
        let field = "/process/capabilities/\(set)/\(index)"
        if number > last {
          add(.capability, RuntimeError(.capabilities, "the kernel does not have `\(name)`", field: field))
        } else if allowed & (1 << number) == 0 {
          add(
            .capability,
            RuntimeError(.capabilities, "the caller does not have `\(name)` and cannot give it", field: field))
        }
      }
    }
  }

  private func mask(_ name: String) -> UInt64 {
    files.value(name, in: "/proc/self/status").flatMap { UInt64($0, radix: 16) } ?? UInt64.max
  }

  // MARK: Kernel parameters

  /// Looked for in the namespaces of the caller. What is about one network device is there only with the device.
  private func checkSysctls() {
    for step in plan.steps {
      guard case .sysctl(let sysctl) = step else { continue }
      let parts = sysctl.path.utf8.split(separator: 0x2F).map { String(Substring($0)) }
      if parts.count > 4, parts[0] == "net", parts[2] == "conf" || parts[2] == "neigh",
        parts[3] != "all" && parts[3] != "default" && parts[3] != "lo"
      {
        continue
      }
      if files.exists("/proc/sys/\(sysctl.path)") { continue }
      add(
        .sysctl,
        RuntimeError(.sysctl, "the kernel has no parameter `/proc/sys/\(sysctl.path)`", field: sysctl.field))
    }
  }
}

extension NamespaceKind {
  /// The name in /proc/PID/ns and in /proc/sys/user.
  var fileName: String {
    switch self {
    case .network: "net"
    case .mount: "mnt"
    default: ociName
    }
  }
}

/// The file systems whose modules mount(2) may load: it asks modprobe(8) for `fs-TYPE`, an alias.
private struct ModuleNames {
  private var names: [String] = []

  init(_ files: HostFiles) {
    guard let release = files.text("/proc/sys/kernel/osrelease") else { return }
    let list = files.text("/lib/modules/\(release)/modules.alias", limit: 16 << 20) ?? ""
    for line in list.utf8.split(separator: 0x0A) where line.starts(with: "alias fs-".utf8) {
      let name = String(Substring(line.dropFirst("alias fs-".utf8.count).prefix { $0 != 0x20 }))
      if !names.contains(name) { names.append(name) }
    }
  }

  func has(_ type: String) -> Bool { names.contains(type) }
}
