import Foundation
import Testing

/// What one property of the configuration does when it is absent, `null`, false or empty, and set.
struct FieldRow: Sendable {
  let pointer: String
  /// Written before.
  let given: [(String, JSONValue)]
  let absent: FieldOutcome
  let empty: FieldOutcome
  let value: JSONValue
  let set: FieldOutcome

  init(
    _ pointer: String, given: [(String, JSONValue)] = [], absent: FieldOutcome, empty: FieldOutcome,
    _ value: JSONValue, _ set: FieldOutcome
  ) {
    self.pointer = pointer
    self.given = given
    self.absent = absent
    self.empty = empty
    self.value = value
    self.set = set
  }

  static let all = process + linux

  /// Whether the row is about the field of this pattern.
  func isAbout(_ pattern: String) -> Bool {
    let (own, other) = (pointer.split(separator: "/"), pattern.split(separator: "/"))
    return own.count == other.count && zip(own, other).allSatisfy { $0 == $1 || $1 == "*" }
  }
}

enum FieldOutcome: Sendable {
  /// The agent's report has these values, by their pointers.
  case sees([String: JSONValue])
  /// The report has others than these.
  case seesOther([String: JSONValue])
  /// A line of shell in the container prints this.
  case prints(String, String)
  /// An error at this place of the configuration.
  case refused(String)

  /// The container runs.
  static let runs = FieldOutcome.sees([:])
}

enum FieldState: String, Sendable, CaseIterable {
  case absent, null, empty, set
}

/// One property in one state.
struct FieldCase: Sendable, CustomTestStringConvertible {
  let row: FieldRow
  let state: FieldState

  var testDescription: String { "\(row.pointer) \(state.rawValue)" }

  static let all = FieldRow.all.flatMap { row in FieldState.allCases.map { FieldCase(row: row, state: $0) } }
    .filter { tested in
      !FieldDifference.all.contains {
        $0.leavesThings && $0.runtime == Runtime.current.name && $0.covers(tested.row.pointer, tested.state)
      }
    }

  /// `null` counts as absent.
  var outcome: FieldOutcome {
    switch state {
    case .absent, .null: row.absent
    case .empty: row.empty
    case .set: row.set
    }
  }

  /// Stands for a `null` that is written, which ``JSONValue`` leaves out.
  static let null: JSONValue = "<null>"

  func value(empty: JSONValue) -> JSONValue {
    switch state {
    case .absent: .null
    case .null: FieldCase.null
    case .empty: empty
    case .set: row.value
    }
  }

  /// Why a peer does otherwise.
  var differences: [String: String] {
    let found = FieldDifference.all.filter { $0.covers(row.pointer, state) }
    return Dictionary(found.map { ($0.runtime, $0.reason) }, uniquingKeysWith: { first, _ in first })
  }
}
