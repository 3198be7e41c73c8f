import CSeccomp
import Foundation
import Testing

@testable import Seccomp

/// The program that libseccomp itself makes of a filter: what ours must answer like.
enum Library {
  enum Refusal: Error, Equatable {
    case call(String, Int32)
  }

  static func compile(_ filter: SeccompFilter, native: UInt32 = SystemCallTable.native) throws -> ClassicBPF {
    guard let context = seccomp_init(filter.defaultAction) else { throw Refusal.call("seccomp_init", 0) }
    defer { seccomp_release(context) }
    if native != SystemCallTable.native {
      var result = seccomp_arch_add(context, native)
      if result == 0 { result = seccomp_arch_remove(context, SystemCallTable.native) }
      if result < 0 { throw Refusal.call("seccomp_arch_add", result) }
    }
    for architecture in filter.architectures {
      let result = seccomp_arch_add(context, seccomp_arch_resolve_name(architecture.libraryName))
      if result < 0 && result != -EEXIST { throw Refusal.call("seccomp_arch_add", result) }
    }
    for rule in filter.rules {
      let number = seccomp_syscall_resolve_name(rule.systemCall)
      if number == -1 { continue }
      let comparisons = rule.conditions.map {
        scmp_arg_cmp(
          arg: UInt32($0.index), op: scmp_compare(UInt32($0.comparison.rawValue)), datum_a: $0.value,
          datum_b: $0.valueTwo)
      }
      let result = comparisons.withUnsafeBufferPointer {
        seccomp_rule_add_array(context, rule.action, number, UInt32($0.count), $0.baseAddress)
      }
      if result < 0 { throw Refusal.call(rule.systemCall, result) }
    }
    // libseccomp 2.5.4 forgets to load the number where the first call of i386 has only socketcall(2) or ipc(2).
    if filter.rules.contains(where: { $0.systemCall == "getpid" }) {
      seccomp_syscall_priority(context, seccomp_syscall_resolve_name("getpid"), 255)
    }
    let file = try #require(tmpfile())
    defer { fclose(file) }
    let result = seccomp_export_bpf(context, fileno(file))
    if result < 0 { throw Refusal.call("seccomp_export_bpf", result) }
    rewind(file)
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
    return ClassicBPF(bytes)
  }

  /// Every name that the library has, of any of these architectures.
  static func names() -> [String] {
    var names: Set<String> = []
    for token in [SystemCallTable.amd64, SystemCallTable.i386, SystemCallTable.arm, SystemCallTable.aarch64] {
      for number in Array(Int32(-300)...1024) + Array(Int32(-12000) ... -9900) {
        guard let name = seccomp_syscall_resolve_num_arch(token, number) else { continue }
        names.insert(String(cString: name))
        free(name)
      }
    }
    return names.sorted()
  }

  static func token(_ architecture: SeccompArchitecture) -> UInt32 {
    seccomp_arch_resolve_name(architecture.libraryName)
  }

  /// The largest number that a call of this name can be made by; 0 for none.
  static func largestNumber(_ name: String, _ token: UInt32) -> UInt32 { allNumbers(name, token).max() ?? 0 }

  /// All numbers that a call of this name can be made by, those of socketcall(2) and ipc(2) included. The library says the
  /// name of a number of i386, but not the number of such a name.
  static func allNumbers(_ name: String, _ token: UInt32) -> [UInt32] {
    let number = seccomp_syscall_resolve_name_arch(token, name)
    if number >= 0 { return [UInt32(number)] }
    guard token == SystemCallTable.i386, -224 ... -101 ~= number else { return [] }
    let direct = i386Names.firstIndex(of: name).map { [UInt32($0)] } ?? []
    return direct + [number > -200 ? 102 : 117]
  }

  /// The first argument of socketcall(2) or ipc(2) that a call of this name has; nil if the number is its own.
  static func selector(_ name: String, _ token: UInt32, _ number: UInt32) -> UInt32? {
    let pseudo = seccomp_syscall_resolve_name_arch(token, name)
    guard token == SystemCallTable.i386, [102, 117].contains(number), pseudo < -100 else { return nil }
    return UInt32(-pseudo - (number == 102 ? 100 : 200))
  }

  /// Whether a call of this name can be made by this number on any of the architectures.
  static func isNumber(_ number: Int32, of name: String) -> Bool {
    Machine.all.flatMap(\.tokens).contains { allNumbers(name, $0).contains(UInt32(bitPattern: number)) }
  }

  private static let i386Names: [String] = (Int32(0)..<1024).map { number in
    guard let name = seccomp_syscall_resolve_num_arch(SystemCallTable.i386, number) else { return "" }
    defer { free(name) }
    return String(cString: name)
  }
}
