import Diagnostics
import OCISpec

@testable import Cgroups

/// Numbers that are the same in every run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  /// SplitMix64.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}

/// One request for a device: its kind (`b`, `c`), numbers, and what is wanted out of `r`, `w` and `m`.
struct DeviceRequest: CustomStringConvertible {
  var kind: Character
  var major: Int
  var minor: Int
  var access: String

  var description: String { "\(kind) \(major):\(minor) \(access)" }
}

/// Generated rules, and what they mean.
enum DeviceMatrix {
  /// `majors` and `minors` are joined by wildcards.
  static func rules(
    _ count: ClosedRange<Int>, majors: [Int64], minors: [Int64], _ generator: inout SeededGenerator
  ) -> [DeviceRule] {
    (0..<Int.random(in: count, using: &generator)).map { _ in
      // Rules about everything are rare in themselves, and common at the beginning of a list.
      if Int.random(in: 0..<8, using: &generator) == 0 {
        return DeviceRule(
          allow: Bool.random(using: &generator), type: ["a", nil].randomElement(using: &generator) ?? nil,
          access: ["rwm", nil].randomElement(using: &generator) ?? nil)
      }
      return DeviceRule(
        allow: Bool.random(using: &generator), type: ["a", "b", "c", "c", nil].randomElement(using: &generator) ?? nil,
        major: (majors + [-1, nil]).randomElement(using: &generator) ?? nil,
        minor: (minors + [-1, nil]).randomElement(using: &generator) ?? nil,
        access: ["r", "w", "m", "rw", "rm", "wm", "rwm", "", nil].randomElement(using: &generator) ?? nil)
    }
  }

  /// config-linux.md, "Allowed Device list": in order; a device is denied at first, and of each kind of access the last
  /// rule that matches decides.
  static func permits(_ rules: [DeviceRule], _ request: DeviceRequest) -> Bool {
    request.access.allSatisfy { letter in
      var answer = false
      for rule in rules {
        let type = rule.type ?? "a"
        guard type == "a" || type.isEmpty || type == String(request.kind) else { continue }
        guard (rule.major ?? -1) == -1 || rule.major == Int64(request.major) else { continue }
        guard (rule.minor ?? -1) == -1 || rule.minor == Int64(request.minor) else { continue }
        let access = rule.access ?? ""
        guard access.isEmpty || access.contains(letter) else { continue }
        answer = rule.allow
      }
      return answer
    }
  }
}

extension DevicePermissions {
  /// nil for a hole in a wildcard, which the lists of v1 cannot say.
  func linesV1IfAny() throws(RuntimeError) -> [CgroupWrite]? {
    do {
      return try linesV1()
    } catch {
      guard error.code == .configUnsupported else { throw error }
      return nil
    }
  }
}
