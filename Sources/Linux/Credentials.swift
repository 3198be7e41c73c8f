import CCapability
import CLinux
public import Diagnostics
import LinuxABI

/// Who a process is and what it may do. All of it is about the calling thread, which is the only one of an init stage.
public enum Credentials {
  /// setresuid(2) with all three ids.
  public static func setUser(_ uid: UInt32) throws(SystemError) {
    try check("setresuid", sys_setresuid(uid, uid, uid), "\(uid)")
  }

  public static func setGroup(_ gid: UInt32) throws(SystemError) {
    try check("setresgid", sys_setresgid(gid, gid, gid), "\(gid)")
  }

  /// setgroups(2): these and no others.
  public static func setGroups(_ gids: [UInt32]) throws(SystemError) {
    try check("setgroups", gids.withUnsafeBufferPointer { sys_setgroups($0.count, $0.baseAddress) })
  }

  /// Leaves every supplementary group. Who is not root keeps his own, and so does everybody where setgroups(2) is denied in
  /// the user namespace: the kernel lets nobody out of them.
  public static func giveUpGroups() throws(SystemError) {
    do {
      try setGroups([])
    } catch {
      guard error.errno == .notPermitted else { throw error }
      if Processes.effectiveUser() != 0 { return }
      if try !hasGroups() { return }
      let rule = try FileDescriptor.open("/proc/self/setgroups", .readOnly).read(upTo: 16)
      if !rule.starts(with: "deny".utf8) { throw error }
    }
  }

  /// getgroups(2): whether this process has supplementary groups.
  public static func hasGroups() throws(SystemError) -> Bool {
    try check("getgroups", sys_getgroups(0, nil)) > 0
  }

  /// PR_SET_KEEPCAPS: a change of the user leaves the permitted capabilities as they are.
  public static func keepCapabilities(_ keep: Bool) throws(SystemError) {
    try check("prctl", sys_prctl(8, keep ? 1 : 0, 0, 0, 0), "PR_SET_KEEPCAPS")
  }

  /// PR_SET_NO_NEW_PRIVS: execve(2) gives nothing from now on.
  public static func setNoNewPrivileges() throws(SystemError) {
    try check("prctl", sys_prctl(38, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
  }

  @discardableResult
  public static func setUmask(_ mask: UInt32) -> UInt32 {
    // umask(2) cannot fail.
    UInt32(truncatingIfNeeded: sys_umask(mask))
  }

  /// setrlimit(2) for this process.
  public static func setLimit(_ resource: Int32, soft: UInt64, hard: UInt64) throws(SystemError) {
    let limit: [UInt64] = [soft, hard]
    try check("prlimit64", limit.withUnsafeBufferPointer { sys_prlimit64(0, resource, $0.baseAddress, nil) })
  }

  /// getrlimit(2) for this process.
  public static func limit(_ resource: Int32) throws(SystemError) -> (soft: UInt64, hard: UInt64) {
    var limit: [UInt64] = [0, 0]
    try check("prlimit64", limit.withUnsafeMutableBufferPointer { sys_prlimit64(0, resource, nil, $0.baseAddress) })
    return (limit[0], limit[1])
  }

  /// The session keyring of this name, keyctl(2) KEYCTL_JOIN_SESSION_KEYRING; a new one where there is none. It gets
  /// permission to be searched for, by the user, or with `searchableByOthers` by everybody, so that a process that comes to
  /// the container later can join it too: without, the kernel would make that one a keyring of its own.
  public static func joinSessionKeyring(_ name: String, searchableByOthers: Bool) throws(SystemError) {
    let result = name.withCString { sys_keyctl(1, UInt64(UInt(bitPattern: $0)), 0, 0, 0) }
    let keyring = UInt64(try check("keyctl", result, name))
    // What the kernel gives a new one: everything for who possesses it, view, read and link for the user.
    let usual: UInt64 = 0x3F13_0000
    let search: UInt64 = searchableByOthers ? 0x8 : 0x8_0000
    try check("keyctl", sys_keyctl(5 /* KEYCTL_SETPERM */, keyring, usual | search, 0, 0), name)
  }
}

/// The capability sets of this process, by libcap.
public enum Capabilities {
  /// Takes every capability that is not in `keep` out of the bounding set, cap_drop_bound(3).
  public static func limitBounding(to keep: UInt64) throws(SystemError) {
    for number in UInt64(0)..<64 where keep & (1 << number) == 0 {
      let result = sys_prctl(24 /* PR_CAPBSET_DROP */, number, 0, 0, 0)
      // EINVAL is the end of the capabilities that this kernel has.
      if result == -22 { return }
      try check("prctl", result, "capability \(number)")
    }
  }

  /// Replaces the permitted, effective and inheritable sets, cap_set_proc(3).
  public static func set(
    effective: UInt64, permitted: UInt64, inheritable: UInt64
  ) throws(SystemError) {
    guard let state = cap_init() else { throw SystemError("cap_init", .noMemory) }
    defer { cap_free(UnsafeMutableRawPointer(state)) }
    for (kind, mask) in [
      (CAP_EFFECTIVE, effective), (CAP_PERMITTED, permitted), (CAP_INHERITABLE, inheritable),
    ] {
      var values: [cap_value_t] = []
      for number in 0..<64 where mask & (1 << UInt64(number)) != 0 { values.append(cap_value_t(number)) }
      if values.isEmpty { continue }
      if cap_set_flag(state, kind, Int32(values.count), values, CAP_SET) != 0 {
        throw SystemError("cap_set_flag", .invalid)
      }
    }
    if cap_set_proc(state) != 0 { throw SystemError("capset", lastError()) }
  }

  /// The permitted set of this process, cap_get_proc(3).
  public static func permitted() throws(SystemError) -> UInt64 {
    guard let state = cap_get_proc() else { throw SystemError("capget", lastError()) }
    defer { cap_free(UnsafeMutableRawPointer(state)) }
    var mask: UInt64 = 0
    for number in 0..<64 {
      var value = CAP_CLEAR
      // EINVAL: the library does not know the number, so nobody holds it.
      if cap_get_flag(state, cap_value_t(number), CAP_PERMITTED, &value) != 0 { break }
      if value == CAP_SET { mask |= 1 << UInt64(number) }
    }
    return mask
  }

  /// Empties the ambient set, then raises `mask` in it, one by one. Those that cannot be raised are answered.
  public static func setAmbient(_ mask: UInt64) throws(SystemError) -> UInt64 {
    try check("prctl", sys_prctl(47, 4 /* PR_CAP_AMBIENT_CLEAR_ALL */, 0, 0, 0), "PR_CAP_AMBIENT")
    var refused: UInt64 = 0
    for number in UInt64(0)..<64 where mask & (1 << number) != 0 {
      if sys_prctl(47, 2 /* PR_CAP_AMBIENT_RAISE */, number, 0, 0) < 0 { refused |= 1 << number }
    }
    return refused
  }

  /// The same as ``set(effective:permitted:inheritable:)`` by one capset(2), with no call besides: for behind a seccomp
  /// filter.
  public static func setBehindFilter(_ words: [UInt32]) throws(SystemError) {
    try check("capset", words.withUnsafeBufferPointer { sys_capset($0.baseAddress) })
  }

  /// The words of capset(2) for ``setBehindFilter(_:)``.
  public static func words(effective: UInt64, permitted: UInt64, inheritable: UInt64) -> [UInt32] {
    let sets = [effective, permitted, inheritable]
    return sets.map { UInt32(truncatingIfNeeded: $0) } + sets.map { UInt32(truncatingIfNeeded: $0 >> 32) }
  }

  private static func lastError() -> Errno {
    Errno(apus_errno())
  }
}
