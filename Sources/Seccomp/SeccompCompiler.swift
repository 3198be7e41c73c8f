package import Diagnostics
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

/// Makes programs out of filters.
///
/// A program answers as that of libseccomp does (spec/deviations.md has the exceptions), and is a fifth as long: it finds
/// the architecture, and then in a binary tree the range of numbers that share an answer. The kernel checks and translates
/// every instruction of it each time a container starts.
///
/// A number above all that the profile names is answered with ENOSYS instead of the default action, as runc has it: the
/// profile was written before there was such a call, and a C library that gets EPERM takes the call for refused where
/// ENOSYS has it fall back to an older one. Not where the default action lets calls pass (``hasNewerCalls(_:)``).
package enum SeccompCompiler {
  /// BPF_MAXINSNS: the kernel takes no longer program.
  package static var maximumInstructionCount: Int { 4096 }

  /// The program for `linux.seccomp`; nil if it asks for none.
  ///
  /// - Parameters:
  ///   - stateRoot: the directory of `--root`, below which programs are kept; empty for none.
  ///   - log: is told of rules without effect, and of what was wrong with the cache, which never stops anything.
  package static func program(
    for profile: SeccompProfile?, stateRoot: String, log: LogSink
  ) throws(RuntimeError) -> SeccompProgram? {
    guard let profile, SeccompFilter.isAskedFor(profile) else { return nil }
    try SeccompFilterFlags.check(profile.flags)
    if log.level >= .debug, let filter = try SeccompFilter.make(profile) {
      for sentence in filter.ineffectiveRules() { log.debug(sentence) }
    }
    if stateRoot.isEmpty { return try compile(profile) }
    let key = profile.key(library: libraryVersion, architecture: SystemCallTable.native)
    let cache = SeccompCache(root: stateRoot)
    do {
      if let program = try cache.read(key) { return program }
    } catch {
      // It is made anew below, and a damaged file is replaced. Somebody may have tampered with it.
      log.warning(error.text)
    }
    let program = try compile(profile)
    do {
      if let program { try cache.write(program, key) }
    } catch {
      // The state directory is full or read-only: what follows will say so if it matters.
      log.debug(error.text)
    }
    return program
  }

  private static func compile(_ profile: SeccompProfile) throws(RuntimeError) -> SeccompProgram? {
    guard let filter = try SeccompFilter.make(profile) else { return nil }
    return try compile(filter)
  }

  /// Compiles `filter`. System calls that libseccomp's tables do not have are left out, as runc and crun do: they are those
  /// of newer kernels and of other architectures.
  package static func compile(_ filter: SeccompFilter) throws(RuntimeError) -> SeccompProgram {
    try compile(filter, native: SystemCallTable.native)
  }

  /// - Parameter native: the token of the architecture that the program is for.
  static func compile(_ filter: SeccompFilter, native: UInt32) throws(RuntimeError) -> SeccompProgram {
    var sections = try self.sections(filter, native)
    try fill(&sections, filter)
    var assembler = SeccompAssembler()
    SeccompTree.put(sections, into: &assembler, newer: hasNewerCalls(filter.defaultAction) ? newer : nil)
    if assembler.count > maximumInstructionCount {
      throw RuntimeError(
        .configInvalid,
        "the seccomp program of `\(filter.rules.count)` rules has `\(assembler.count)` instructions, the kernel takes \(maximumInstructionCount)",
        field: "/linux/seccomp/syscalls")
    }
    return SeccompProgram(instructions: assembler.bytes, flags: filter.loadFlags)
  }

  /// SECCOMP_RET_ERRNO with ENOSYS
  private static var newer: UInt32 { SeccompReturn.errno | 38 }

  /// Whether a call newer than the profile gets ENOSYS: not if the default action lets it pass, and a tracer answers what
  /// it does not know itself.
  static func hasNewerCalls(_ defaultAction: UInt32) -> Bool {
    switch defaultAction & ~SeccompReturn.dataMask {
    case SeccompReturn.allow, SeccompReturn.log, SeccompReturn.trace: false
    default: true
    }
  }

  /// One section for each architecture that is listed and that this kernel can report, the native one first.
  private static func sections(_ filter: SeccompFilter, _ native: UInt32) throws(RuntimeError) -> [SeccompSection] {
    if !SystemCallTable.isReported(native, by: native) {
      throw RuntimeError(
        .configUnsupported, "seccomp filters are made on x86_64, aarch64 and riscv64 only", field: "/linux/seccomp")
    }
    var sections = [SeccompSection(native, defaultAction: filter.defaultAction)]
    for index in filter.architectures.indices {
      let token = SystemCallTable.token(filter.architectures[index])
      try check(filter.architectures[index], at: index, token, native)
      if SystemCallTable.isReported(token, by: native) && !sections.contains(where: { $0.token == token }) {
        sections.append(SeccompSection(token, defaultAction: filter.defaultAction))
      }
    }
    return sections
  }

  private static func check(
    _ architecture: SeccompArchitecture, at index: Int, _ token: UInt32, _ native: UInt32
  ) throws(RuntimeError) {
    if token == 0 {
      throw RuntimeError(
        .configUnsupported,
        "libseccomp \(libraryVersionText) does not know the architecture `\(architecture.name)`",
        field: "/linux/seccomp/architectures/\(index)")
    }
    if !SystemCallTable.shareByteOrder(token, native) {
      throw RuntimeError(
        .configInvalid,
        "architecture `\(architecture.name)` has another byte order than this machine and cannot share its filter",
        field: "/linux/seccomp/architectures/\(index)")
    }
  }

  private static func fill(_ sections: inout [SeccompSection], _ filter: SeccompFilter) throws(RuntimeError) {
    for index in sections.indices {
      let token = sections[index].token
      for order in filter.rules.indices {
        let numbers = SystemCallTable.numbers(filter.rules[order].systemCall, token)
        sections[index].mention(numbers)
        sections[index].add(filter.rules[order], numbers, order: order)
      }
      for name in filter.otherSystemCalls { sections[index].mention(SystemCallTable.numbers(name, token)) }
      var conflict: Int?
      sections[index].order { conflict = min($0, conflict ?? $0) }
      guard let conflict else { continue }
      let rule = filter.rules[conflict]
      throw RuntimeError(
        .configInvalid,
        "the rule for the system call `\(rule.systemCall)` conflicts with an earlier one: same conditions, another action",
        field: rule.pointer)
    }
  }
}
