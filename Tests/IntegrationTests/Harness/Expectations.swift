import Foundation
import Testing

/// A failure as it has to be: not zero and not ended by a signal, and one clear line on standard error that
/// contains `part`, and with our own runtime also `detail`.
func expectError(
  _ outcome: Outcome, says part: String? = nil, detail: String? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    outcome.code != 0 && outcome.code < 128 || outcome.code == 255, "\(outcome)",
    sourceLocation: sourceLocation)
  let lines = outcome.stderr.split(separator: "\n")
  #expect(!lines.isEmpty, "an error without a word: \(outcome)", sourceLocation: sourceLocation)
  if !Runtime.current.isPeer {
    if let detail {
      #expect(outcome.stderr.contains(detail), "no `\(detail)`: \(outcome)", sourceLocation: sourceLocation)
    }
    #expect(lines.count == 1, "one line, not \(lines.count): \(outcome)", sourceLocation: sourceLocation)
  }
  if let part {
    #expect(Words.has(outcome.stderr, part), "no `\(part)`: \(outcome)", sourceLocation: sourceLocation)
  }
}

/// The words that managers look for, as runc has them; crun says the same in its own words.
enum Words {
  private static let crun = [
    "does not exist": "No such file or directory",
    "container with given ID already exists": "already exists",
    "container not running": "No such process",
    "flag needs an argument": "requires an argument",
    "executable file not found in $PATH": "not found in $PATH",
    "no such file or directory": "No such file or directory",
    "permission denied": "Permission denied",
    "exec format error": "Exec format error",
    "argument list too long": "Argument list too long",
    "not a directory": "Not a directory",
    "no such device": "No such device",
  ]

  static func has(_ text: String, _ part: String) -> Bool {
    if text.contains(part) { return true }
    guard Runtime.current.name == "crun", let other = crun[part] else { return false }
    return text.contains(other)
  }
}
