import CLinux
public import Diagnostics

/// A ruleset of landlock(7): what is handled is forbidden, unless a rule allows it. It is about nobody until a process takes
/// it on, and then about that one and all that it starts, for ever.
@frozen public struct LandlockRuleset: ~Copyable {
  public var descriptor: FileDescriptor

  @inlinable public init(_ descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }
}

extension LandlockRuleset {
  /// The version of the ABI of the running kernel. ENOSYS where Landlock is not built in, EOPNOTSUPP where it is not
  /// enabled at boot.
  public static func version() throws(SystemError) -> Int32 {
    // LANDLOCK_CREATE_RULESET_VERSION
    Int32(try check("landlock_create_ruleset", sys_landlock_create_ruleset(nil, 0, 1)))
  }

  /// A ruleset that allows nothing of what it handles. An older kernel takes the longer structure as long as what it does
  /// not know is 0.
  public static func make(files: UInt64, network: UInt64, scopes: UInt64) throws(SystemError) -> LandlockRuleset {
    var attributes = apus_landlock_ruleset(handled_access_fs: files, handled_access_net: network, scoped: scopes)
    // Close-on-exec, as the kernel makes it.
    let number = sys_landlock_create_ruleset(&attributes, MemoryLayout<apus_landlock_ruleset>.size, 0)
    return LandlockRuleset(FileDescriptor(owning: Int32(try check("landlock_create_ruleset", number))))
  }

  /// Allows these rights on a file, or on a directory and all that is in it; O_PATH is enough.
  public func allow(_ access: UInt64, beneath place: borrowing FileDescriptor) throws(SystemError) {
    try check("landlock_add_rule", sys_landlock_allow_path(descriptor.number, access, place.number))
  }

  /// Allows these rights on a port of TCP.
  public func allow(_ access: UInt64, port: UInt16) throws(SystemError) {
    try check("landlock_add_rule", sys_landlock_allow_port(descriptor.number, access, port), "port \(port)")
  }

  /// The calling thread takes it on. Takes no_new_privs, or CAP_SYS_ADMIN in the user namespace.
  public func restrict(flags: UInt32) throws(SystemError) {
    try check("landlock_restrict_self", sys_landlock_restrict_self(descriptor.number, flags))
  }
}
