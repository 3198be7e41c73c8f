/// Stands for everything that a program depends on.
struct SeccompKey: Equatable {
  /// To be raised with every change of what is made of the same filter: programs of before must not be found again.
  static var version: String { "apus-seccomp-4" }

  /// 32 bytes.
  let digest: [UInt8]

  /// The name of the file: the digest in hexadecimal.
  var name: String {
    var digits: [UInt8] = []
    for byte in digest {
      for half in [byte >> 4, byte & 0xF] { digits.append(half < 10 ? 0x30 + half : 0x61 + half - 10) }
    }
    return String(decoding: digits, as: UTF8.self)
  }
}

extension SeccompFilter {
  /// The key of the program that `library`, a version of libseccomp, makes of this filter on `architecture`, its token
  /// of the native one. The flags are not part of a program.
  func key(library: String, architecture: UInt32) -> SeccompKey {
    var text: [UInt8] = []
    text.reserveCapacity(24 * (rules.count + 4))
    SeccompFilter.put(SeccompKey.version, &text)
    SeccompFilter.put(library, &text)
    SeccompFilter.put(architecture, &text)
    SeccompFilter.put(defaultAction, &text)
    text.append(UInt8(architectures.count))
    for architecture in architectures { text.append(architecture.rawValue) }
    SeccompFilter.put(UInt32(rules.count), &text)
    for rule in rules {
      SeccompFilter.put(rule.systemCall, &text)
      SeccompFilter.put(rule.action, &text)
      text.append(UInt8(rule.conditions.count))
      for condition in rule.conditions {
        text.append(condition.index)
        text.append(condition.comparison.rawValue)
        SeccompFilter.put(condition.value, &text)
        SeccompFilter.put(condition.valueTwo, &text)
      }
    }
    SeccompFilter.put(UInt32(otherSystemCalls.count), &text)
    for name in otherSystemCalls { SeccompFilter.put(name, &text) }
    return SeccompKey(digest: SHA256.digest(text))
  }

  // Every text has its length in front of it, so no two filters have the same bytes.

  private static func put(_ value: String, _ text: inout [UInt8]) {
    put(UInt32(value.utf8.count), &text)
    text.append(contentsOf: value.utf8)
  }

  private static func put<Number: FixedWidthInteger>(_ value: Number, _ text: inout [UInt8]) {
    for byte in 0..<(Number.bitWidth / 8) { text.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
  }
}
