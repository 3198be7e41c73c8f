internal import CSeccomp
package import Diagnostics
internal import Linux
package import LinuxABI
package import OCISpec

/// A filter as the kernel takes it.
package struct SeccompProgram: Sendable, Equatable {
  /// `struct sock_filter` one after the other, 8 bytes each, in the byte order of this machine.
  package var instructions: [UInt8]
  /// For seccomp(2) SECCOMP_SET_MODE_FILTER.
  package var flags: SeccompFilterFlags

  package init(instructions: [UInt8], flags: SeccompFilterFlags) {
    self.instructions = instructions
    self.flags = flags
  }
}

/// Makes programs out of filters with libseccomp.
package enum SeccompCompiler {
  /// BPF_MAXINSNS: the kernel takes no longer program.
  package static var maximumInstructionCount: Int { 4096 }

  /// Above so many rules the program searches the number of the call in a binary tree. Below it a tree gains nothing,
  /// and libseccomp 2.5 makes wrong ones of no rules at all.
  package static var treeThreshold: Int { 32 }

  /// The version of the library, seccomp_version(3).
  package static var libraryVersion: (major: UInt32, minor: UInt32, micro: UInt32) {
    guard let version = seccomp_version() else { return (0, 0, 0) }
    return (version.pointee.major, version.pointee.minor, version.pointee.micro)
  }

  /// `2.5.4`
  package static var libraryVersionText: String {
    let version = libraryVersion
    return "\(version.major).\(version.minor).\(version.micro)"
  }

  /// The names of the architectures that the library knows and that can share a filter with this machine's: `archs` of
  /// the features document.
  package static var architectureNames: [String] {
    guard let context = seccomp_init(SeccompReturn.allow) else { return [] }
    defer { seccomp_release(context) }
    var names: [String] = []
    for architecture in SeccompArchitecture.allCases where add(architecture, to: context) == 0 {
      names.append(architecture.name)
    }
    return names
  }

  /// The program for `linux.seccomp`; nil if it asks for none.
  ///
  /// - Parameters:
  ///   - stateRoot: the directory of `--root`, below which programs are kept; empty for none.
  ///   - log: is told of rules without effect, and of what was wrong with the cache, which never stops anything.
  package static func program(
    for profile: SeccompProfile?, stateRoot: String, log: LogSink
  ) throws(RuntimeError) -> SeccompProgram? {
    guard let profile, let filter = try SeccompFilter.make(profile) else { return nil }
    if log.level >= .debug {
      for sentence in filter.ineffectiveRules() { log.debug(sentence) }
    }
    if stateRoot.isEmpty { return try compile(filter) }
    let key = filter.key(library: libraryVersionText, architecture: seccomp_arch_native())
    do {
      let cache = try SeccompCache(root: stateRoot)
      if let instructions = try cache.read(key) {
        return SeccompProgram(instructions: instructions, flags: filter.loadFlags)
      }
    } catch {
      // It is made anew below, and a damaged file is replaced. Only what somebody may have tampered with is worth a
      // warning.
      if error.code == .stateUnreadable { log.warning(error.text) } else { log.debug(error.text) }
    }
    let program = try compile(filter)
    do {
      try SeccompCache(root: stateRoot).write(program.instructions, key)
    } catch {
      // The state directory is full or read-only: what follows will say so if it matters.
      log.debug(error.text)
    }
    return program
  }

  /// Compiles `filter`. System calls that the library does not know are left out, as runc and crun do: they are those
  /// of newer kernels and of other architectures.
  package static func compile(
    _ filter: SeccompFilter, treeThreshold: Int = treeThreshold
  ) throws(RuntimeError) -> SeccompProgram {
    guard let context = seccomp_init(filter.defaultAction) else {
      throw RuntimeError(
        .seccomp, "libseccomp refuses the default action", field: "/linux/seccomp/defaultAction")
    }
    defer { seccomp_release(context) }
    for index in filter.architectures.indices {
      try add(filter.architectures[index], at: index, to: context)
    }
    var ruleCount = 0
    for rule in filter.rules where try add(rule, to: context) {
      ruleCount += 1
    }
    if ruleCount > treeThreshold {
      try check(
        "seccomp_attr_set", seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2),
        "libseccomp cannot make a binary tree", "/linux/seccomp/syscalls")
    }
    return SeccompProgram(instructions: try export(context), flags: filter.loadFlags)
  }

  private static func add(
    _ architecture: SeccompArchitecture, at index: Int, to context: scmp_filter_ctx
  ) throws(RuntimeError) {
    let pointer = "/linux/seccomp/architectures/\(index)"
    let result = add(architecture, to: context)
    if result == unknownArchitecture {
      throw RuntimeError(
        .configUnsupported,
        "libseccomp \(libraryVersionText) does not know the architecture `\(architecture.name)`",
        field: pointer)
    }
    if result == -33 {  // EDOM
      throw RuntimeError(
        .configInvalid,
        "architecture `\(architecture.name)` has another byte order than this machine and cannot share its filter",
        field: pointer)
    }
    try check(
      "seccomp_arch_add", result, "cannot add the architecture `\(architecture.name)` to the seccomp filter",
      pointer)
  }

  private static var unknownArchitecture: Int32 { 1 }

  /// 0, ``unknownArchitecture``, or the negative errno of seccomp_arch_add(3).
  private static func add(_ architecture: SeccompArchitecture, to context: scmp_filter_ctx) -> Int32 {
    let token = seccomp_arch_resolve_name(architecture.libraryName)
    if token == 0 { return unknownArchitecture }
    let result = seccomp_arch_add(context, token)
    // EEXIST: the native one is there from the start.
    return result == -17 ? 0 : result
  }

  /// Whether the rule was added: false for an unknown system call.
  private static func add(
    _ rule: SeccompFilterRule, to context: scmp_filter_ctx
  ) throws(RuntimeError) -> Bool {
    let number = seccomp_syscall_resolve_name(rule.systemCall)
    // -1 is __NR_SCMP_ERROR. Other negative numbers stand for calls that only other architectures have.
    if number == -1 { return false }
    var comparisons: [scmp_arg_cmp] = []
    for condition in rule.conditions {
      comparisons.append(
        scmp_arg_cmp(
          arg: UInt32(condition.index), op: scmp_compare(UInt32(condition.comparison.rawValue)),
          datum_a: condition.value, datum_b: condition.valueTwo))
    }
    let result = comparisons.withUnsafeBufferPointer {
      seccomp_rule_add_array(context, rule.action, number, UInt32($0.count), $0.baseAddress)
    }
    if result == -17 {  // EEXIST
      throw RuntimeError(
        .configInvalid,
        "the rule for the system call `\(rule.systemCall)` conflicts with an earlier one: same conditions, another action",
        field: rule.pointer)
    }
    try check(
      "seccomp_rule_add_array", result,
      "cannot add a rule for the system call `\(rule.systemCall)` to the seccomp filter", rule.pointer)
    return true
  }

  /// The program as bytes. The library writes to a descriptor only.
  private static func export(_ context: scmp_filter_ctx) throws(RuntimeError) -> [UInt8] {
    let instructions: [UInt8]
    do throws(SystemError) {
      let file = try FileDescriptor.memory("seccomp")
      let result = seccomp_export_bpf(context, file.number)
      if result < 0 { throw SystemError("seccomp_export_bpf", Errno(-result)) }
      instructions = try file.readFromStart()
    } catch {
      throw error.because(.seccomp, "cannot make the seccomp program", field: "/linux/seccomp")
    }
    let count = instructions.count / 8
    if count == 0 || count > maximumInstructionCount || instructions.count % 8 != 0 {
      throw RuntimeError(
        .configInvalid,
        "the seccomp program has `\(count)` instructions, the kernel takes 1 to \(maximumInstructionCount)",
        field: "/linux/seccomp/syscalls")
    }
    return instructions
  }

  private static func check(
    _ call: String, _ result: Int32, _ message: @autoclosure () -> String,
    _ pointer: @autoclosure () -> String
  ) throws(RuntimeError) {
    if result < 0 {
      throw SystemError(call, Errno(-result)).because(.seccomp, message(), field: pointer())
    }
  }
}
