import Diagnostics

/// A command line, understood: a pure function of the arguments. Nothing is opened or looked at.
struct Invocation: Equatable, Sendable {
  /// The name by which the program was called, without its folder: a link called `runc` is a drop-in for runc.
  var program: String
  /// Complete where `request` is a success; otherwise holds where the error is logged.
  var options: GlobalOptions
  var request: Result<Request, RuntimeError>
  /// The exit status where the request fails.
  private(set) var failureStatus: Int32 = 1
  /// The command itself was asked for its help, and not `help`: managers find out so whether it can be used.
  private(set) var isProbe = false

  enum Request: Equatable, Sendable {
    case help(CommandName?)
    case version
    case command(Command)
  }

  init(_ arguments: [String]) {
    let path = arguments.first ?? ""
    let name = path.utf8.split(separator: 0x2F).last.map { String(Substring($0)) }
    program = name ?? "apus"
    var global = ScannedArguments()
    options = GlobalOptions()
    do throws(RuntimeError) {
      try Invocation.explain(help: "\(program) --help") { () throws(RuntimeError) in
        try global.scan(arguments.dropFirst(), GlobalOptions.flags, .beforeOperand(1))
      }
      options = GlobalOptions(log: global)
      if let name = CommandName(rawValue: global.operands.first ?? "") { failureStatus = name.failureStatus }
      request = .success(try Invocation.request(global, &options, program))
      if case .success(.help(let topic?)) = request { isProbe = topic.rawValue == global.operands.first }
    } catch {
      options = GlobalOptions(log: global)
      request = .failure(error)
    }
  }

  private static func request(
    _ global: ScannedArguments, _ options: inout GlobalOptions, _ program: String
  ) throws(RuntimeError) -> Request {
    if global.isOn(.help) { return .help(nil) }
    if global.isOn(.version) { return .version }
    guard let word = global.operands.first else { return .help(nil) }
    try options.check(global)
    let rest = global.operands.dropFirst()
    if word == "help" || word == "h" { return try help(rest, program) }
    guard let name = CommandName(rawValue: word) else {
      throw RuntimeError(.usage, "unknown command `\(word)`", hint: "see `\(program) help`")
    }
    return try command(name, rest, program)
  }

  private static func help(
    _ arguments: ArraySlice<String>, _ program: String
  ) throws(RuntimeError) -> Request {
    guard let topic = arguments.first, topic.utf8.first != 0x2D else { return .help(nil) }
    guard let name = CommandName(rawValue: topic) else {
      throw RuntimeError(.usage, "no help topic for `\(topic)`", hint: "see `\(program) help`")
    }
    return .help(name)
  }

  private static func command(
    _ name: CommandName, _ arguments: ArraySlice<String>, _ program: String
  ) throws(RuntimeError) -> Request {
    let specification = name.specification
    let called = "\(program) \(specification.name)"
    return try explain(help: "\(called) --help") { () throws(RuntimeError) in
      var scanned = ScannedArguments()
      try scanned.scan(arguments, specification.flags, specification.placement)
      if scanned.isOn(.help) { return .help(name) }
      try checkCount(scanned.operands.count, specification.operandCount, called)
      return .command(try name.parse(scanned))
    }
  }

  private static func checkCount(
    _ count: Int, _ allowed: ClosedRange<Int>, _ called: String
  ) throws(RuntimeError) {
    if allowed.contains(count) { return }
    if allowed.lowerBound == allowed.upperBound {
      throw RuntimeError(.usage, "\"\(called)\" requires exactly \(allowed.lowerBound) argument(s)")
    }
    if count < allowed.lowerBound {
      throw RuntimeError(.usage, "\"\(called)\" requires a minimum of \(allowed.lowerBound) argument(s)")
    }
    throw RuntimeError(.usage, "\"\(called)\" requires a maximum of \(allowed.upperBound) argument(s)")
  }

  /// Points to the help wherever an error of usage has no better advice.
  private static func explain<T>(
    help: String, _ body: () throws(RuntimeError) -> T
  ) throws(RuntimeError) -> T {
    do {
      return try body()
    } catch {
      guard error.code == .usage && error.hint.isEmpty else { throw error }
      var explained = error
      explained.hint = "see `\(help)`"
      throw explained
    }
  }
}
