extension Config {
  /// The configuration that `spec` writes: a shell in a terminal, with few privileges.
  public static var `default`: Config {
    Config(
      ociVersion: OCIVersion.current, root: Root(path: "rootfs", readonly: true), mounts: defaultMounts,
      process: defaultProcess, hostname: "apus",
      linux: LinuxConfig(
        namespaces: [
          Namespace(type: "pid"), Namespace(type: "network"), Namespace(type: "ipc"), Namespace(type: "uts"),
          Namespace(type: "mount"), Namespace(type: "cgroup"),
        ],
        resources: Resources(devices: [DeviceRule(allow: false, access: "rwm")]),
        maskedPaths: [
          "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi", "/sys/devices/virtual/tpm",
        ],
        readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]))
  }

  /// The configuration that `spec --rootless` writes.
  ///
  /// One user can map no id but its own, cannot mount a sysfs for a network namespace that it does not own, and
  /// has no cgroup to limit.
  ///
  /// - Parameters:
  ///   - uid: the effective user id, which becomes root inside.
  ///   - gid: the effective group id.
  public static func rootlessDefault(uid: UInt32, gid: UInt32) -> Config {
    var config = Config.default
    var mounts: [Mount] = []
    for mount in defaultMounts {
      var mount = mount
      if mount.destination == "/sys" {
        mount.type = "none"
        mount.source = "/sys"
        mount.options = ["rbind", "nosuid", "noexec", "nodev", "ro"]
      }
      // The group 5 of terminals is not mapped.
      mount.options?.removeAll { $0 == "gid=5" }
      mounts.append(mount)
    }
    config.mounts = mounts
    config.linux?.namespaces = [
      Namespace(type: "pid"), Namespace(type: "ipc"), Namespace(type: "uts"), Namespace(type: "mount"),
      Namespace(type: "cgroup"), Namespace(type: "user"),
    ]
    config.linux?.uidMappings = [IDMapping(containerID: 0, hostID: uid, size: 1)]
    config.linux?.gidMappings = [IDMapping(containerID: 0, hostID: gid, size: 1)]
    config.linux?.resources = nil
    return config
  }

  private static var defaultProcess: Process {
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    return Process(
      terminal: true, args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"], cwd: "/",
      capabilities: Capabilities(bounding: capabilities, effective: capabilities, permitted: capabilities),
      rlimits: [ResourceLimit(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)], noNewPrivileges: true)
  }

  private static var defaultMounts: [Mount] {
    [
      Mount(destination: "/proc", type: "proc", source: "proc"),
      Mount(
        destination: "/dev", type: "tmpfs", source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
      Mount(
        destination: "/dev/pts", type: "devpts", source: "devpts",
        options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
      Mount(
        destination: "/dev/shm", type: "tmpfs", source: "shm",
        options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
      Mount(
        destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
      Mount(
        destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
      Mount(
        destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
        options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ]
  }
}
