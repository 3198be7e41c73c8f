import ContainerRuntime
import Diagnostics
import OCISpec

/// `list`: the containers of a state directory.
struct ListCommand: Equatable, Sendable {
  enum Form: Equatable, Sendable {
    case table
    case json
    case ids
  }

  var form: Form

  static var specification: CommandSpecification {
    CommandSpecification(
      "list", "list the containers", operands: "", operandCount: 0...0,
      flags: [
        FlagSpecification(.format, "format", short: "f", value: "table|json", "the form of the output (default table)"),
        FlagSpecification(.quiet, "quiet", short: "q", "print the ids alone"),
      ],
      description: """
        Lists the containers whose state is kept under the global flag --root.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    switch scanned.text(.format) {
    case nil, "table": form = .table
    case "json": form = .json
    case let other?:
      throw RuntimeError(.usage, "invalid format `\(other)`, expected `table` or `json`", field: "--format")
    }
    if scanned.isOn(.quiet) { form = .ids }
  }

  func run(_ session: Session) throws(RuntimeError) {
    let containers = try session.runtime().list(isWhole: form == .json)
    switch form {
    case .table: try StandardStream.print(ListCommand.table(containers))
    case .json: try StandardStream.print(document: ContainerState.document(of: containers))
    case .ids:
      var text = ""
      for container in containers { text += "\(container.id)\n" }
      try StandardStream.print(text)
    }
  }

  /// Columns as runc prints them: at least 12 wide, 3 apart.
  static func table(_ containers: [ContainerState]) -> String {
    var rows = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
    for container in containers {
      rows.append([
        container.id, "\(container.pid)", container.status, LogRecord.printable(container.bundle),
        container.created, container.owner,
      ])
    }
    var widths = [Int](repeating: 12, count: 5)
    for row in rows {
      for column in 0..<5 { widths[column] = max(widths[column], row[column].unicodeScalars.count + 3) }
    }
    var text = ""
    for row in rows {
      for column in 0..<5 {
        text += row[column]
        text += String(repeating: " ", count: widths[column] - row[column].unicodeScalars.count)
      }
      text += "\(row[5])\n"
    }
    return text
  }
}
