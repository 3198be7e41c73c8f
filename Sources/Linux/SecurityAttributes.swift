import CLinux
public import Diagnostics
public import LinuxABI

/// The directory `attr` of this process in procfs, proc_pid_attr(5): what the security modules of the kernel make of the
/// program that is executed next, and of what is made until then. Processes that are made later inherit it.
@frozen public struct SecurityAttributes: ~Copyable {
  @usableFromInline let directory: FileDescriptor

  init(directory: consuming FileDescriptor) {
    self.directory = directory
  }
}

extension SecurityAttributes {
  public init(of proc: borrowing ProcFileSystem) throws(SystemError) {
    // Written to by `self`, the process: the runtime and its init stage have one thread.
    self.init(directory: try proc.open("\(proc.ownDirectory())/attr", [.path, .directory]))
  }

  /// The AppArmor profile that the next program is confined by. ENOENT of write(2): it is not loaded.
  public func setProfile(_ name: String) throws(SystemError) {
    let path = try appArmorFile()
    try open(path, .writeOnly).writeOnce("exec \(name)", path)
    guard SecurityAttributes.isProfile(try read(path), name) else {
      throw SystemError("read", .inputOutput, "\(path) is not what was written")
    }
  }

  /// The SELinux context of the next program. EINVAL of write(2): the policy does not know it.
  public func setLabel(_ label: String) throws(SystemError) {
    try open("exec", .writeOnly).writeOnce(label, "attr/exec")
    guard SecurityAttributes.isLabel(try read("exec"), label) else {
      throw SystemError("read", .inputOutput, "attr/exec is not what was written")
    }
  }

  /// The SELinux context of the keys that are made until execve(2), which sets it back.
  public func setKeyLabel(_ label: String) throws(SystemError) {
    try open("keycreate", .writeOnly).writeOnce(label, "attr/keycreate")
    guard SecurityAttributes.isLabel(try read("keycreate"), label) else {
      throw SystemError("read", .inputOutput, "attr/keycreate is not what was written")
    }
  }

  /// That of AppArmor alone where the kernel has it (Linux 5.8), else the one that it shares with other modules.
  private func appArmorFile() throws(SystemError) -> String {
    do {
      _ = try open("apparmor/exec", .path)
      return "apparmor/exec"
    } catch {
      guard error.errno == .noEntry else { throw error }
      return "exec"
    }
  }

  /// No mount point is crossed, so what is opened belongs to the procfs of the directory.
  private func open(_ path: String, _ flags: OpenFlags) throws(SystemError) -> FileDescriptor {
    // RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
    try RootDirectory.resolve(directory.number, path, flags, mode: 0, 0x01 | 0x02 | 0x04 | 0x08)
  }

  private func read(_ path: String) throws(SystemError) -> [UInt8] {
    try open(path, .readOnly).readAll(limit: 1 << 16)
  }

  /// Whether the kernel's answer is about this profile: the name, then the mode in parentheses unless it is `unconfined`. Names
  /// with a policy namespace, and stacks of profiles, it spells in another way.
  static func isProfile(_ answer: [UInt8], _ name: String) -> Bool {
    var answer = answer[...]
    while answer.last == 0x0A || answer.last == 0 { answer.removeLast() }
    if name.utf8.first == 0x3A || name.utf8.contains(0x26) { return !answer.isEmpty }
    guard answer.starts(with: name.utf8) else { return false }
    let rest = answer.dropFirst(name.utf8.count)
    return rest.isEmpty || rest.starts(with: " (".utf8)
  }

  /// Whether the kernel's answer is this context. Categories it orders and joins, so only user, role and type are compared.
  static func isLabel(_ answer: [UInt8], _ label: String) -> Bool {
    var answer = answer[...]
    while answer.last == 0x0A || answer.last == 0 { answer.removeLast() }
    return answer.split(separator: 0x3A, omittingEmptySubsequences: false).prefix(3).elementsEqual(
      label.utf8.split(separator: 0x3A, omittingEmptySubsequences: false).prefix(3)
    ) { $0.elementsEqual($1) }
  }
}

extension FileDescriptor {
  /// Gives the file an SELinux context, as setfilecon(3).
  public func setLabel(_ label: String) throws(SystemError) {
    var label = label
    let number = number
    let result = label.withUTF8 { sys_fsetxattr(number, "security.selinux", $0.baseAddress, $0.count) }
    try check("fsetxattr", result, "security.selinux")
  }
}
