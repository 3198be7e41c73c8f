import ContainerPlan
import ContainerRuntime
import Diagnostics
import JSON

/// `plan`: what `create` and `start` would do with a bundle.
struct PlanCommand: Equatable, Sendable {
  var bundle: String
  var noNewKeyring: Bool
  var noPivot: Bool
  var isJSON: Bool

  static var specification: CommandSpecification {
    CommandSpecification(
      "plan", "print what would be done with a bundle, and do nothing", operands: "", operandCount: 0...0,
      flags: [
        ContainerFlags.bundleFlag,
        FlagSpecification(.noNewKeyring, "no-new-keyring", "as for `create`"),
        FlagSpecification(.noPivot, "no-pivot", "as for `create`"),
        FlagSpecification(.format, "format", short: "f", value: "text|json", "the form of the output (default text)"),
      ],
      description: """
        Reads and checks `config.json`, works out the steps, and prints them in order: who does it, what, and
        on what. A configuration that `create` would refuse is refused with the same error.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    bundle = scanned.text(.bundle) ?? "."
    noNewKeyring = scanned.isOn(.noNewKeyring)
    noPivot = scanned.isOn(.noPivot)
    switch scanned.text(.format) {
    case nil, "text": isJSON = false
    case "json": isJSON = true
    case let other?:
      throw RuntimeError(.usage, "invalid format `\(other)`, expected `text` or `json`", field: "--format")
    }
  }

  func run(_ session: Session) throws(RuntimeError) {
    var options = CreateOptions(bundle: bundle)
    options.noNewKeyring = noNewKeyring
    options.noPivot = noPivot
    let lines = try session.runtime().plan(options)
    if isJSON {
      try StandardStream.print(document: PlanCommand.json(lines))
    } else {
      try StandardStream.print(PlanCommand.text(lines))
    }
  }

  static func text(_ lines: [PlanLine]) -> String {
    var widths = (runner: 0, action: 0)
    for line in lines {
      widths.runner = max(widths.runner, line.runner.utf8.count)
      widths.action = max(widths.action, line.action.utf8.count)
    }
    var text = ""
    for line in lines {
      text += padded(line.runner, widths.runner)
      if line.detail.isEmpty {
        text += line.action
      } else {
        text += padded(line.action, widths.action) + LogRecord.printable(line.detail)
      }
      text += "\n"
    }
    return text
  }

  static func json(_ lines: [PlanLine]) -> [UInt8] {
    var writer = JSONWriter(.spaces)
    writer.beginArray()
    for line in lines {
      writer.beginObject()
      writer.member("runner", line.runner)
      writer.member("action", line.action)
      writer.member("detail", line.detail.isEmpty ? nil : line.detail)
      writer.endObject()
    }
    writer.endArray()
    return writer.bytes
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: width - text.utf8.count + 2)
  }
}
