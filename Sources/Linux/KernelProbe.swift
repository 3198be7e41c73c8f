import CLinux
public import Diagnostics
public import LinuxABI

/// What the running kernel has, asked without any effect: each call gets arguments that no kernel accepts, and the kind
/// of refusal tells whether it knows the call.
public enum KernelProbe {
  /// The calls without which nothing works here (Linux 5.12), and that this kernel, or a filter around this process,
  /// does not have.
  public static func missingCalls() -> [String] {
    var how = apus_open_how(flags: 0, mode: 0, resolve: 0)
    var attributes = apus_mount_attr()
    var missing: [String] = []
    func note(_ name: String, _ result: Int64) {
      if result == -38 /* ENOSYS */ { missing.append(name) }
    }
    note("openat2", sys_openat2(-1, "x", &how))
    note("clone3", sys_clone3(nil))
    note("close_range", sys_close_range(1, 0, 0))
    note("pidfd_open", sys_pidfd_open(-1, 0))
    note("open_tree", sys_open_tree(-1, "x", UInt32.max))
    note("move_mount", sys_move_mount(-1, "x", -1, "x", UInt32.max))
    note("fsopen", sys_fsopen("", UInt32.max))
    note("mount_setattr", sys_mount_setattr(-1, "x", UInt32.max, &attributes))
    return missing
  }

  /// Whether a filter can answer with this SECCOMP_RET_*; false for all on a kernel without seccomp filters.
  public static func hasSeccompAction(_ action: UInt32) -> Bool {
    var action = action
    return sys_seccomp(SeccompOperation.getActionAvailable, 0, &action) == 0
  }

  /// Whether a filter can be loaded with these flags: without a filter that is EFAULT, with an unknown flag EINVAL.
  public static func hasSeccompFlags(_ flags: UInt32) -> Bool {
    sys_seccomp(SeccompOperation.setModeFilter, flags, nil) == -14
  }
}

extension Programs {
  /// Whether the effective user may make and remove names in the directory, faccessat2(2).
  public static func isWritableDirectory(_ path: String) throws(SystemError) {
    try check("faccessat2", sys_faccessat2(-100, "\(path)/.", 3 /* W_OK | X_OK */, 0x200 /* AT_EACCESS */), path)
  }

  /// Whether the file gives whoever executes it capabilities, capabilities(7).
  public static func hasFileCapabilities(_ path: String) -> Bool {
    sys_getxattr(path, "security.capability", nil, 0) > 0
  }
}

extension FileDescriptor {
  /// The kind of namespace that this file of /proc/PID/ns stands for, ioctl_ns(2); EINVAL or ENOTTY for any other file.
  public func namespaceKind() throws(SystemError) -> CloneFlags {
    let result = try check("ioctl", sys_ioctl(number, 0xB703 /* NS_GET_NSTYPE */, nil))
    return CloneFlags(rawValue: UInt64(result))
  }
}
