import Cgroups
import ContainerPlan
import Diagnostics
import Linux
import LinuxABI
import OCISpec

// What has to be there on the host: files, devices, places to write to.
extension BundleCheck {
  func checkFiles() {
    checkStateRoot()
    // The paths are those of the mount namespace that is joined.
    if !plan.namespaces.joins(.newMount) {
      checkSources()
      checkExecutable()
    }
    checkHooks()
    checkDevices()
    checkHostNodes()
    checkNetDevices()
    checkResctrl()
  }

  private func checkStateRoot() {
    var path = stateRoot
    while path.utf8.count > 1 && !HostFiles().exists(path) { path = "/\(splitLast(path).parent)" }
    do {
      try Programs.isWritableDirectory(path)
    } catch {
      add(
        .stateRoot,
        error.because(
          .stateUnwritable, "the state directory `\(stateRoot)` cannot be written", field: "",
          hint: "name another one with `--root`"))
    }
  }

  // MARK: Mounts

  private func checkSources() {
    for step in plan.steps {
      guard case .mount(let mount) = step, case .bind(let path, _) = mount.source,
        !(sourceOfMount(mount.index) ?? "").isEmpty
      else { continue }
      let isLink = !mount.traits.isDisjoint(with: [.copiesSymlink, .sourceNoFollow])
      do {
        _ = try FileDescriptor.open(path, isLink ? [.path, .noFollow] : .path)
      } catch {
        add(.mountSource, error.because(.mount, "cannot open the source", field: "/mounts/\(mount.index)/source"))
      }
    }
  }

  private func sourceOfMount(_ index: UInt32) -> String? {
    guard let mounts = config.mounts, Int(index) < mounts.count else { return nil }
    return mounts[Int(index)].source
  }

  // MARK: The command

  private func checkExecutable() {
    guard let command = plan.agent?.arguments.first, !command.isEmpty, let root = openRoot() else { return }
    var candidates = [command]
    if !command.utf8.contains(0x2F) {
      var path = ""
      for entry in plan.agent?.environment ?? [] where entry.utf8.starts(with: "PATH=".utf8) { path = entry }
      candidates = path.utf8.dropFirst(5).split(separator: 0x3A).map { "\(String(Substring($0)))/\(command)" }
    } else if command.utf8.first != 0x2F {
      candidates = ["\(config.process?.cwd ?? "")/\(command)"]
    }
    for candidate in candidates where isExecutable(candidate, in: root) { return }
    add(
      .executable,
      RuntimeError(
        .executableNotFound, "`\(command)` is no program of the root file system", field: "/process/args/0",
        hint: "a mount may bring it"))
  }

  private func openRoot() -> RootDirectory? {
    do {
      return RootDirectory(try FileDescriptor.open(plan.rootPath, [.path, .directory]))
    } catch {
      // Reported by the rule about the root.
      return nil
    }
  }

  /// Links are followed as the container would follow them.
  private func isExecutable(_ path: String, in root: borrowing RootDirectory) -> Bool {
    do {
      let status = try root.open(path, .path).status()
      return status.isRegularFile && status.mode & 0o111 != 0
    } catch {
      return false
    }
  }

  // MARK: Hooks

  private func checkHooks() {
    let hooks = plan.hooks
    for hook in hooks.prestart + hooks.createRuntime + hooks.createContainer + hooks.poststart + hooks.poststop
    where hook.path.utf8.first == 0x2F {
      do throws(SystemError) {
        if try FileDescriptor.open(hook.path, .path).status().isDirectory {
          throw SystemError("execve", .isDirectory, hook.path)
        }
        try Programs.isExecutable(hook.path)
      } catch {
        add(.hook, error.because(.hook, "the hook cannot be executed", field: "\(hook.field)/path"))
      }
    }
    if hooks.startContainer.isEmpty || plan.namespaces.joins(.newMount) { return }
    guard let root = openRoot() else { return }
    for hook in hooks.startContainer where !isExecutable(hook.path, in: root) {
      add(
        .startHook,
        RuntimeError(
          .hook, "`\(hook.path)` is no program of the root file system", field: "\(hook.field)/path",
          hint: "a mount may bring it"))
    }
  }

  // MARK: Devices

  private func checkDevices() {
    var drivers: [(kind: String, major: String)] = []
    var kind = ""
    for line in files.table("/proc/devices") {
      if line.first == "Character" || line.first == "Block" {
        kind = line[0]
      } else if let major = line.first {
        drivers.append((kind, major))
      }
    }
    if drivers.isEmpty { return }
    for (index, device) in (linux.devices ?? []).enumerated() where device.type != "p" {
      guard let major = device.major else { continue }
      let kind = device.type == "b" ? "Block" : "Character"
      if drivers.contains(where: { $0.kind == kind && $0.major == "\(major)" }) { continue }
      add(
        .device,
        RuntimeError(
          .device, "no driver has the devices of major number \(major)", field: "/linux/devices/\(index)/major",
          hint: "the node will be there and cannot be opened"))
    }
  }

  /// In a user namespace nobody makes device nodes, so that of the host is bound.
  private func checkHostNodes() {
    guard plan.namespaces.hasUserNamespace else { return }
    for (index, device) in (linux.devices ?? []).enumerated()
    where device.type != "p" && !files.exists(device.path) {
      add(
        .deviceNode,
        RuntimeError(
          .device, "`\(device.path)` is not there on the host, and in a user namespace it cannot be made",
          field: "/linux/devices/\(index)/path"))
    }
  }

  private func checkNetDevices() {
    if plan.netDevices.isEmpty { return }
    do throws(SystemError) {
      let host = try NetlinkSocket.open()
      for device in plan.netDevices where try host.device(named: device.name) == nil {
        add(.netDevice, RuntimeError(.network, "there is no network device `\(device.name)`", field: device.field))
      }
    } catch {
      add(.netDevice, error.because(.network, "cannot look at network devices", field: "/linux/netDevices"))
    }
  }

  private func checkResctrl() {
    guard let rdt = plan.intelRdt else { return }
    do {
      _ = try ResctrlGroup.find(rdt, id: "check")
    } catch {
      add(.resctrl, error)
    }
  }
}
