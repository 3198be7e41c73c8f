import Diagnostics

/// The flags and operands of one part of a command line, taken apart but not understood: the grammar of runc, which is
/// that of Go's flag package with flags between operands.
///
/// A long name may have one dash or two; a value stands behind `=` or in the next argument; a switch takes a value only
/// behind `=`; `--` ends the flags; the last of several wins.
struct ScannedArguments: Equatable, Sendable {
  private(set) var values: [FlagValue] = []
  private(set) var operands: [String] = []

  struct FlagValue: Equatable, Sendable {
    let flag: Flag
    let text: String
  }

  /// Scans all of `arguments`, or up to a `--help`. When it throws, what stands before the error has been stored: a log
  /// file that was named there gets the error.
  mutating func scan(
    _ arguments: ArraySlice<String>, _ flags: [FlagSpecification], _ placement: FlagPlacement
  ) throws(RuntimeError) {
    var index = arguments.startIndex
    while index < arguments.endIndex {
      let argument = arguments[index]
      index += 1
      guard ScannedArguments.isFlag(argument) else {
        operands.append(argument)
        if case .beforeOperand(let number) = placement, operands.count == number {
          operands += arguments[index...]
          return
        }
        continue
      }
      if argument == "--" {
        operands += arguments[index...]
        return
      }
      let (name, attached) = try ScannedArguments.split(argument)
      let specification = try ScannedArguments.find(name, flags)
      if specification.isSwitch {
        let isOn = try ScannedArguments.boolean(attached ?? "true", specification)
        values.append(FlagValue(flag: specification.flag, text: isOn ? "true" : "false"))
        if isOn && specification.flag == .help { return }
      } else if let attached {
        values.append(FlagValue(flag: specification.flag, text: attached))
      } else if index < arguments.endIndex {
        values.append(FlagValue(flag: specification.flag, text: arguments[index]))
        index += 1
      } else {
        // podman probes for features with a flag that lacks its value, and looks for these words.
        throw RuntimeError(.usage, "flag needs an argument: \(name.utf8.count > 1 ? "--" : "-")\(name)")
      }
    }
  }

  /// The value of a flag; nil where it is not given or empty, which is the same to managers.
  func text(_ flag: Flag) -> String? {
    for value in values.reversed() where value.flag == flag {
      return value.text.isEmpty ? nil : value.text
    }
    return nil
  }

  /// All values of a flag that may stand several times.
  func texts(_ flag: Flag) -> [String] {
    values.filter { $0.flag == flag }.map { $0.text }
  }

  /// Whether the flag is given at all.
  func has(_ flag: Flag) -> Bool { values.contains { $0.flag == flag } }

  func isOn(_ flag: Flag) -> Bool { text(flag) == "true" }

  /// `-` alone is an operand.
  private static func isFlag(_ argument: String) -> Bool {
    argument.utf8.first == 0x2D && argument.utf8.count > 1
  }

  private static func split(_ argument: String) throws(RuntimeError) -> (name: String, value: String?) {
    var rest = argument.utf8[...]
    rest.removeFirst()
    if rest.first == 0x2D { rest.removeFirst() }
    guard rest.first != 0x2D && rest.first != 0x3D else {
      throw RuntimeError(.usage, "bad flag syntax: \(argument)")
    }
    guard let equals = rest.firstIndex(of: 0x3D) else { return (String(Substring(rest)), nil) }
    return (String(Substring(rest[..<equals])), String(Substring(rest[rest.index(after: equals)...])))
  }

  private static func find(
    _ name: String, _ flags: [FlagSpecification]
  ) throws(RuntimeError) -> FlagSpecification {
    for flag in flags where flag.name == name || (!flag.short.isEmpty && flag.short == name) {
      return flag
    }
    if name == "help" || name == "h" { return .help }
    let isGlobal = GlobalOptions.flags.contains { $0.name == name }
    throw RuntimeError(
      .usage, "flag provided but not defined: -\(name)",
      hint: isGlobal ? "`--\(name)` is a global flag, which stands before the command" : "")
  }

  private static func boolean(_ text: String, _ flag: FlagSpecification) throws(RuntimeError) -> Bool {
    guard let value = Boolean.parse(text) else {
      throw RuntimeError(
        .usage, "invalid boolean value `\(text)`, expected `true` or `false`", field: "--\(flag.name)")
    }
    return value
  }
}

/// The spellings of true and false that Go takes, and so every manager may send.
enum Boolean {
  static func parse(_ text: String) -> Bool? {
    switch text {
    case "1", "t", "T", "true", "TRUE", "True": true
    case "0", "f", "F", "false", "FALSE", "False": false
    default: nil
    }
  }
}
