/// The texts of `--help`, printed from the tables.
enum Help {
  static func text(_ topic: CommandName?, program: String) -> String {
    if let topic { return command(topic.specification, program) }
    var text = "\(program) - makes and runs containers from OCI bundles\n"
    text += "\nusage: \(program) [global flags] <command> [flags] [arguments]\n\ncommands:\n"
    var rows = CommandName.allCases.map { name in
      let specification = name.specification
      return Row(left: specification.name, right: specification.summary)
    }
    rows.append(Row(left: "help", right: "print the help of a command"))
    text += columns(rows)
    text += "\nglobal flags:\n"
    text += columns(GlobalOptions.flags.map(row))
    text += "\n`\(program) help <command>` tells more about one command.\n"
    return text
  }

  private static func command(_ specification: CommandSpecification, _ program: String) -> String {
    var text = "\(program) \(specification.name) - \(specification.summary)\n"
    text += "\nusage: \(program) [global flags] \(specification.name) [flags]"
    if !specification.operands.isEmpty { text += " \(specification.operands)" }
    text += "\n\n\(specification.description)\n\nflags:\n"
    text += columns(specification.flags.map(row) + [row(.help)])
    return text
  }

  private struct Row {
    var left: String
    var right: String
  }

  private static func row(_ flag: FlagSpecification) -> Row {
    let value = flag.isSwitch ? "" : " \(flag.value)"
    var left = "--\(flag.name)\(value)"
    if !flag.short.isEmpty { left += ", -\(flag.short)\(value)" }
    return Row(left: left, right: flag.summary)
  }

  private static func columns(_ rows: [Row]) -> String {
    var width = 0
    for row in rows { width = max(width, row.left.utf8.count) }
    var text = ""
    for row in rows {
      text += "  \(row.left)"
      text += String(repeating: " ", count: width - row.left.utf8.count + 2)
      text += "\(row.right)\n"
    }
    return text
  }
}
