/// The system call filter (config-linux.md, "Seccomp"). Names are those of libseccomp.
public struct SeccompProfile: Equatable, Sendable {
  /// What happens to a call that no rule names, such as `SCMP_ACT_ERRNO`.
  public var defaultAction: String
  /// The errno of the default action, for actions that take one.
  public var defaultErrnoRet: UInt?
  /// Names such as `SCMP_ARCH_X86_64`. Absent: the native one.
  public var architectures: [String]?
  /// Names such as `SECCOMP_FILTER_FLAG_LOG`.
  public var flags: [String]?
  /// The socket that gets the descriptor of `SCMP_ACT_NOTIFY`.
  public var listenerPath: String?
  /// What is sent to that socket along with it.
  public var listenerMetadata: String?
  /// The rules.
  public var syscalls: [SeccompRule]?

  public init(
    defaultAction: String, defaultErrnoRet: UInt? = nil, architectures: [String]? = nil,
    flags: [String]? = nil, listenerPath: String? = nil, listenerMetadata: String? = nil,
    syscalls: [SeccompRule]? = nil
  ) {
    self.defaultAction = defaultAction
    self.defaultErrnoRet = defaultErrnoRet
    self.architectures = architectures
    self.flags = flags
    self.listenerPath = listenerPath
    self.listenerMetadata = listenerMetadata
    self.syscalls = syscalls
  }
}

/// One rule of a filter.
public struct SeccompRule: Equatable, Sendable {
  /// The system calls; at least one.
  public var names: [String]
  /// What happens.
  public var action: String
  /// The errno, for actions that take one.
  public var errnoRet: UInt?
  /// Conditions on the arguments, all of which must hold.
  public var args: [SeccompArgument]?

  public init(names: [String], action: String, errnoRet: UInt? = nil, args: [SeccompArgument]? = nil) {
    self.names = names
    self.action = action
    self.errnoRet = errnoRet
    self.args = args
  }
}

/// A condition on one argument of a system call.
public struct SeccompArgument: Equatable, Sendable {
  /// Which argument, from 0 to 5.
  public var index: UInt
  /// The value to compare with; for `SCMP_CMP_MASKED_EQ` the mask.
  public var value: UInt64
  /// For `SCMP_CMP_MASKED_EQ` the value under the mask.
  public var valueTwo: UInt64?
  /// The comparison, such as `SCMP_CMP_EQ`.
  public var op: String

  public init(index: UInt, value: UInt64, valueTwo: UInt64? = nil, op: String) {
    self.index = index
    self.value = value
    self.valueTwo = valueTwo
    self.op = op
  }
}
