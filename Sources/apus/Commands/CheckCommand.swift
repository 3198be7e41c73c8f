import ContainerPlan
import ContainerRuntime
import Diagnostics
import JSON

/// `check`: everything that is wrong with a bundle, and everything that this host cannot honour.
struct CheckCommand: Equatable, Sendable {
  var bundle: String
  var isRootless: Bool
  var isJSON: Bool

  static var specification: CommandSpecification {
    CommandSpecification(
      "check", "tell everything that is wrong with a bundle on this host", operands: "", operandCount: 0...0,
      flags: [
        ContainerFlags.bundleFlag,
        FlagSpecification(.rootless, "rootless", "as for a container that is made without root"),
        FlagSpecification(.format, "format", short: "f", value: "text|json", "the form of the output (default text)"),
      ],
      description: """
        Holds `config.json` against every rule that `create` follows and does not stop at the first that is
        broken; then holds every property that it uses against this host: kernel, cgroups, file systems, ids.
        Nothing is made and nothing is started. The exit status is 0 where the container would run.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    bundle = scanned.text(.bundle) ?? "."
    isRootless = scanned.isOn(.rootless)
    switch scanned.text(.format) {
    case nil, "text": isJSON = false
    case "json": isJSON = true
    case let other?:
      throw RuntimeError(.usage, "invalid format `\(other)`, expected `text` or `json`", field: "--format")
    }
  }

  /// The exit status.
  func run(_ session: Session) throws(RuntimeError) -> Int32 {
    var options = CheckOptions(bundle: bundle)
    options.isRootless = isRootless
    let report = try session.runtime().check(options)
    if isJSON {
      try StandardStream.print(document: CheckCommand.json(report))
    } else {
      try StandardStream.print(CheckCommand.text(report))
    }
    return report.runs ? 0 : 1
  }

  static func text(_ report: CheckReport) -> String {
    var text = ""
    for finding in report.findings {
      var line = "\(finding.kind.name): "
      // The place stands in front, so not behind the message as in a log.
      var detail = finding.detail
      if !detail.field.isEmpty { line += "\(detail.field): " }
      detail.field = ""
      text += LogRecord.printable(line + detail.text) + "\n"
    }
    let (errors, warnings) = (report.count(.error), report.count(.warning))
    text += "\(errors) error\(errors == 1 ? "" : "s"), \(warnings) warning\(warnings == 1 ? "" : "s"), "
    return text + "\(report.count(.host)) unmet by this host\n"
  }

  static func json(_ report: CheckReport) -> [UInt8] {
    var writer = JSONWriter(.spaces)
    writer.beginObject()
    writer.member("runs", report.runs)
    writer.member("errors", report.count(.error))
    writer.member("warnings", report.count(.warning))
    writer.member("unmet", report.count(.host))
    writer.name("findings")
    writer.beginArray()
    for finding in report.findings {
      let detail = finding.detail
      writer.beginObject()
      writer.member("kind", finding.kind.name)
      writer.member("rule", finding.rule)
      writer.member("pointer", detail.field)
      writer.member("code", detail.code.name)
      writer.member("message", detail.cause.map { "\(detail.message): \($0.text)" } ?? detail.message)
      writer.member("hint", detail.hint.isEmpty ? nil : detail.hint)
      writer.member("section", finding.section.isEmpty ? nil : finding.section)
      writer.endObject()
    }
    writer.endArray()
    writer.endObject()
    return writer.bytes
  }
}
