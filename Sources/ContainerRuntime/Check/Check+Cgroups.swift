import Cgroups
import ContainerPlan
import Diagnostics
import Linux
import LinuxABI
import OCISpec

// Where the cgroup would be, and what can be limited there.
extension BundleCheck {
  func checkCgroups() {
    let layout: CgroupLayout
    do {
      layout = try CgroupLayout.read()
    } catch {
      return add(.cgroups, error)
    }
    if layout.hierarchies.isEmpty && layout.unified == nil {
      return add(
        .cgroups,
        RuntimeError(.cgroup, "no cgroup file system is mounted", hint: "mount cgroup2 on /sys/fs/cgroup"))
    }
    let writes = followResources(layout)
    if cgroupDriver != .cgroupfs { return checkDriver(writes) }
    let path: CgroupPath
    do {
      path = try CgroupPath(plan.cgroup.path, id: "check")
    } catch {
      // Reported by the rule about the path.
      return
    }
    var refused: [RefusedCgroup] = []
    let directories = CgroupManager.planned(path, layout: layout).directories
    checkFree(directories)
    for directory in directories {
      // `made` holds what is not there yet, the outermost first.
      let parent = directory.made.first.map { "/\(splitLast($0).parent)" } ?? directory.path
      if directory.version == .v2 { checkControllers(in: parent, writes, layout) }
      if directory.made.isEmpty { continue }
      do {
        try Programs.isWritableDirectory(parent)
      } catch {
        refused.append(RefusedCgroup(directory: directory, parent: parent, reason: error))
      }
    }
    report(refused, writes)
  }

  /// systemd gives a scope whatever controllers there are; without cgroups there is none.
  private func checkDriver(_ writes: [CgroupWrite]) {
    if cgroupDriver == .systemd {
      do {
        try SystemdClient(doesWithoutCgroups ? .user : .system).checkPresence()
      } catch {
        add(.cgroups, error)
      }
      return
    }
    for write in writes where !write.isDefault {
      add(.controllers, RuntimeError(.cgroupLimit, "cgroups are disabled", field: write.pointer))
    }
  }

  /// A hierarchy in which the caller may make nothing.
  private struct RefusedCgroup {
    var directory: CgroupRecord.Directory
    var parent: String
    var reason: SystemError
  }

  /// How a limit is written differs from one version of cgroups to the other, and so does what is refused. Answers the
  /// writes of what is right.
  private func followResources(_ layout: CgroupLayout) -> [CgroupWrite] {
    guard let resources = linux.resources else { return [] }
    for warning in ResourceConversion.warnings(resources) { add(.resourcesIgnored, warning) }
    let (writes, errors) = ResourceConversion.gather(resources, layout: layout)
    for error in errors { add(error.code == .configInvalid ? .resources : .controllers, error) }
    if layout.version(of: "devices") == .v1 {
      do throws(RuntimeError) {
        _ = try DevicePermissions(plan.cgroup.deviceRules).linesV1()
      } catch {
        // A rule that is wrong by itself is found elsewhere.
        if error.code == .configUnsupported { add(.controllers, error) }
      }
    }
    return writes
  }

  private func checkFree(_ directories: [CgroupRecord.Directory]) {
    for directory in directories where directory.made.isEmpty {
      guard let processes = files.text("\(directory.path)/cgroup.procs"), !processes.isEmpty else { continue }
      // The others will hold the same.
      return add(
        .cgroupFree,
        RuntimeError(
          .cgroup, "the cgroup `\(directory.path)` holds processes already", field: CgroupPath.pointer,
          hint: "give the container a cgroup of its own"))
    }
  }

  /// Without root a container does without a cgroup that nobody has asked for; not without a limit.
  private func report(_ refused: [RefusedCgroup], _ writes: [CgroupWrite]) {
    guard let first = refused.first else { return }
    let others = refused.count > 1 ? " and \(refused.count - 1) more" : ""
    let isNamed = !(plan.cgroup.path ?? "").isEmpty
    if !doesWithoutCgroups || isNamed {
      add(
        .cgroupWritable,
        first.reason.because(
          .cgroup, "no cgroup can be made in `\(first.parent)`\(others)", field: CgroupPath.pointer,
          hint: doesWithoutCgroups ? "leave cgroupsPath out, or have the cgroup delegated to the caller" : ""))
      return
    }
    add(
      .cgroupDelegation,
      RuntimeError(
        .cgroup, "the caller may make no cgroup in `\(first.parent)`\(others): the container does without",
        field: CgroupPath.pointer, hint: "`systemd-run --user --scope -p Delegate=yes` gives one"))
    for write in writes where !write.isDefault {
      let isRefused = refused.contains {
        $0.directory.version == write.version
          && (write.version == .v2 || $0.directory.controllers.contains(write.controller))
      }
      if !isRefused { continue }
      add(
        .controllers,
        RuntimeError(
          .cgroupLimit, "the caller may not make a cgroup with the controller `\(write.controller)`",
          field: write.pointer, hint: "have a cgroup delegated, or leave the limit out"))
    }
  }

  /// A controller of v2 comes from above, each cgroup can only give what it has.
  private func checkControllers(
    in parent: String, _ writes: [CgroupWrite], _ layout: CgroupLayout
  ) {
    let present = files.table("\(parent)/cgroup.controllers").first ?? []
    var seen: [String] = []
    for write in writes where write.version == .v2 && !write.isDefault && write.controller != "cgroup" {
      let name = write.controller == "blkio" ? "io" : write.controller
      if present.contains(name) || seen.contains(name) { continue }
      seen.append(name)
      let isV1 = layout.version(of: write.controller) == .v1
      add(
        .controllers,
        RuntimeError(
          .cgroupLimit, "the controller `\(name)` of cgroup v2 is not there in `\(parent)`", field: write.pointer,
          hint: isV1 ? "it is mounted as v1" : "the cgroup above does not give it, or the kernel does not have it"))
    }
  }
}
