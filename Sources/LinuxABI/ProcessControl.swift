/// The operations of prctl(2).
public enum ProcessControl {
  /// PR_SET_PDEATHSIG
  public static var setParentDeathSignal: Int32 { 1 }
  /// PR_GET_DUMPABLE
  public static var getDumpable: Int32 { 3 }
  /// PR_SET_DUMPABLE
  public static var setDumpable: Int32 { 4 }
  /// PR_GET_KEEPCAPS
  public static var getKeepCapabilities: Int32 { 7 }
  /// PR_SET_KEEPCAPS
  public static var setKeepCapabilities: Int32 { 8 }
  /// PR_SET_NAME
  public static var setName: Int32 { 15 }
  /// PR_GET_SECCOMP
  public static var getSeccomp: Int32 { 21 }
  /// PR_SET_SECCOMP
  public static var setSeccomp: Int32 { 22 }
  /// PR_CAPBSET_READ
  public static var readBoundingSet: Int32 { 23 }
  /// PR_CAPBSET_DROP
  public static var dropFromBoundingSet: Int32 { 24 }
  /// PR_GET_SECUREBITS
  public static var getSecureBits: Int32 { 27 }
  /// PR_SET_SECUREBITS
  public static var setSecureBits: Int32 { 28 }
  /// PR_SET_CHILD_SUBREAPER
  public static var setChildSubreaper: Int32 { 36 }
  /// PR_SET_NO_NEW_PRIVS
  public static var setNoNewPrivileges: Int32 { 38 }
  /// PR_GET_NO_NEW_PRIVS
  public static var getNoNewPrivileges: Int32 { 39 }
  /// PR_CAP_AMBIENT
  public static var ambientSet: Int32 { 47 }

  /// The second argument of PR_CAP_AMBIENT.
  public enum Ambient: UInt64, Sendable {
    /// PR_CAP_AMBIENT_IS_SET
    case isSet = 1
    /// PR_CAP_AMBIENT_RAISE
    case raise = 2
    /// PR_CAP_AMBIENT_LOWER
    case lower = 3
    /// PR_CAP_AMBIENT_CLEAR_ALL
    case clearAll = 4
  }
}

/// The securebits of capabilities(7).
public struct SecureBits: OptionSet, Sendable, Hashable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) {
    self.rawValue = rawValue
  }

  /// SECBIT_NOROOT
  public static var noRoot: SecureBits { SecureBits(rawValue: 1 << 0) }
  /// SECBIT_NOROOT_LOCKED
  public static var noRootLocked: SecureBits { SecureBits(rawValue: 1 << 1) }
  /// SECBIT_NO_SETUID_FIXUP
  public static var noSetUserIDFixup: SecureBits { SecureBits(rawValue: 1 << 2) }
  /// SECBIT_NO_SETUID_FIXUP_LOCKED
  public static var noSetUserIDFixupLocked: SecureBits { SecureBits(rawValue: 1 << 3) }
  /// SECBIT_KEEP_CAPS
  public static var keepCapabilities: SecureBits { SecureBits(rawValue: 1 << 4) }
  /// SECBIT_KEEP_CAPS_LOCKED
  public static var keepCapabilitiesLocked: SecureBits { SecureBits(rawValue: 1 << 5) }
  /// SECBIT_NO_CAP_AMBIENT_RAISE
  public static var noAmbientRaise: SecureBits { SecureBits(rawValue: 1 << 6) }
  /// SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED
  public static var noAmbientRaiseLocked: SecureBits { SecureBits(rawValue: 1 << 7) }
}
