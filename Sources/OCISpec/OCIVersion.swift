/// The version of the runtime specification that this program implements, and which others it takes.
public enum OCIVersion {
  /// The version whose properties are known.
  public static let current = "1.3.0"
  /// The oldest version that is taken (`features`).
  public static let oldest = "1.0.0"

  /// Whether `version` is a version 1 in SemVer 2.0 form. The specification promises that all of them can be read;
  /// what a later one adds is unknown here and so ignored.
  package static func isSupported(_ version: String) -> Bool {
    let text = Array(version.utf8)
    let plus = text.firstIndex(of: UInt8(ascii: "+")) ?? text.count
    if plus < text.count && !isIdentifiers(text[(plus + 1)...], build: true) {
      return false
    }
    let hyphen = text[..<plus].firstIndex(of: UInt8(ascii: "-")) ?? plus
    if hyphen < plus && !isIdentifiers(text[(hyphen + 1)..<plus], build: false) {
      return false
    }
    let numbers = text[..<hyphen].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard numbers.count == 3, numbers[0].elementsEqual([UInt8(ascii: "1")]) else { return false }
    for number in numbers where !isNumber(number) || number.count > 1 && number.first == UInt8(ascii: "0") {
      return false
    }
    return true
  }

  private static func isNumber(_ text: ArraySlice<UInt8>) -> Bool {
    for byte in text where byte < UInt8(ascii: "0") || byte > UInt8(ascii: "9") {
      return false
    }
    return !text.isEmpty
  }

  /// Identifiers between dots, of letters, digits and hyphens; a number in a pre-release has no leading zero.
  private static func isIdentifiers(_ text: ArraySlice<UInt8>, build: Bool) -> Bool {
    for identifier in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
      if identifier.isEmpty { return false }
      for byte in identifier {
        switch byte {
        case 0x2D, 0x30...0x39, 0x41...0x5A, 0x61...0x7A: continue
        default: return false
        }
      }
      if !build && identifier.count > 1 && identifier.first == UInt8(ascii: "0") && isNumber(identifier) {
        return false
      }
    }
    return true
  }
}
