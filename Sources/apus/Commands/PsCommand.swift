import ContainerRuntime
import Diagnostics
import Linux

/// `ps`: the processes of a container.
struct PsCommand: Equatable, Sendable {
  var id: String
  var isTable: Bool
  /// For ps(1).
  var options: [String]

  static var specification: CommandSpecification {
    CommandSpecification(
      "ps", "list the processes of a container", operands: "<container-id> [ps options]", operandCount: 1...Int.max,
      // Options of ps(1) begin with a dash too.
      placement: .beforeOperand(1),
      flags: [
        FlagSpecification(.format, "format", short: "f", value: "table|json", "the form of the output (default table)")
      ],
      description: """
        `table` is what ps(1) of the host says with the given options (default -ef), without the lines of other
        processes; `json` is an array of process ids, as the host numbers them.
        """)
  }

  init(_ scanned: ScannedArguments) throws(RuntimeError) {
    id = scanned.operands[0]
    options = [String](scanned.operands.dropFirst())
    switch scanned.text(.format) {
    case nil, "table": isTable = true
    case "json": isTable = false
    case let other?:
      throw RuntimeError(.usage, "invalid format `\(other)`, expected `table` or `json`", field: "--format")
    }
  }

  func run(_ session: Session) throws(RuntimeError) {
    let processes = try session.runtime().processes(id)
    if isTable {
      try StandardStream.print(PsCommand.table(try output(), of: processes))
      return
    }
    var text = "["
    for process in processes { text += text.utf8.count == 1 ? "\(process)" : ",\(process)" }
    try StandardStream.print(text + "]\n")
  }

  /// What ps(1) prints.
  private func output() throws(RuntimeError) -> [UInt8] {
    guard let path = ChildProgram.find("ps") else {
      throw RuntimeError(
        .executableNotFound, "there is no ps(1) in PATH", hint: "install procps, or use `--format json`")
    }
    var program = ChildProgram(
      path: path, arguments: ["ps"] + (options.isEmpty ? ["-ef"] : options),
      environment: Environment.all(),
      input: [])
    program.outputLimit = 64 << 20
    let outcome: ChildOutcome
    do {
      outcome = try program.run()
    } catch {
      throw error.because(.spawn, "cannot run ps(1)")
    }
    if outcome.status == .exited(0) { return outcome.output }
    throw RuntimeError(
      .spawn, "ps(1) failed: \(LogRecord.printable(String(decoding: outcome.output.prefix(1024), as: UTF8.self)))")
  }

  /// The heading, and the lines whose word under PID is one of `processes`.
  static func table(_ output: [UInt8], of processes: [Int32]) throws(RuntimeError) -> String {
    let lines = output.split(separator: 0x0A)
    func words(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] { line.split(separator: 0x20) }
    let heading = lines.first ?? []
    guard let column = words(heading).firstIndex(where: { $0.elementsEqual("PID".utf8) }) else {
      throw RuntimeError(
        .usage, "the output of ps(1) has no column `PID`", hint: "choose options of ps(1) that show it, such as -ef")
    }
    var text = String(decoding: heading, as: UTF8.self) + "\n"
    for line in lines.dropFirst() {
      let words = words(line)
      guard column < words.count else { continue }
      let word = words[column]
      if processes.contains(where: { word.elementsEqual("\($0)".utf8) }) {
        text += String(decoding: line, as: UTF8.self) + "\n"
      }
    }
    return text
  }
}
