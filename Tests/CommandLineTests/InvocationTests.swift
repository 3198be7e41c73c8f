import Diagnostics
import OCISpec
import Testing

@testable import apus

@Suite struct InvocationTests {
  private func parse(_ line: String...) throws -> Invocation.Request {
    try Invocation(["/usr/bin/apus"] + line).request.get()
  }

  private func error(_ line: String...) -> RuntimeError? {
    guard case .failure(let error) = Invocation(["apus"] + line).request else { return nil }
    return error
  }

  private func create(_ id: String, bundle: String = ".", pidFile: String? = nil) -> Invocation.Request {
    var scanned = ScannedArguments.filled([id], [(.bundle, bundle)])
    if let pidFile { scanned = .filled([id], [(.bundle, bundle), (.pidFile, pidFile)]) }
    return .command(.create(created(scanned)))
  }

  private func created(_ scanned: ScannedArguments) -> CreateCommand {
    do {
      return try CreateCommand(scanned)
    } catch {
      preconditionFailure(error.text)
    }
  }

  @Test func everySpellingOfAFlagWithAValueIsTheSame() throws {
    let lines = [
      ["--bundle", "/b", "x"], ["--bundle=/b", "x"], ["-bundle", "/b", "x"], ["-bundle=/b", "x"],
      ["-b", "/b", "x"], ["-b=/b", "x"], ["--b", "/b", "x"], ["x", "--bundle", "/b"], ["x", "-b=/b"],
      ["--bundle", "/a", "x", "--bundle", "/b"], ["--bundle", "/b", "--", "x"],
    ]
    for line in lines {
      let request = try Invocation(["apus", "create"] + line).request.get()
      #expect(request == create("x", bundle: "/b"), "\(line)")
    }
  }

  @Test func switchesTakeAValueOnlyBehindAnEqualsSign() throws {
    for line in [
      ["--force", "x"], ["-f", "x"], ["x", "-f"], ["-force=true", "x"], ["--force=1", "x"], ["-f=T", "x"],
    ] {
      let request = try Invocation(["apus", "delete"] + line).request.get()
      #expect(request == .command(.delete(DeleteCommand(.filled(["x"], [(.force, "true")])))), "\(line)")
    }
    for line in [["--force=false", "x"], ["--force", "--force=0", "x"]] {
      let request = try Invocation(["apus", "delete"] + line).request.get()
      #expect(request == .command(.delete(DeleteCommand(.filled(["x"])))), "\(line)")
    }
    #expect(error("delete", "--force=maybe", "x")?.field == "--force")
    #expect(
      error("delete", "--force", "true", "x")?.message == "\"apus delete\" requires exactly 1 argument(s)")
  }

  @Test(arguments: [
    ("0", 0), ("1024", 1024), ("1k", 1024), ("1K", 1024), ("1kb", 1024), ("1KiB", 1024), ("2 m", 2 << 20),
    ("1.5g", 3 << 29), ("0.5 MiB", 1 << 19), ("3t", 3 << 40), ("1P", 1 << 50), ("7b", 7), ("7 B", 7),
  ])
  func bytesMayHaveAUnitOfAPowerOf1024(_ text: String, _ bytes: Int64) {
    #expect(ByteSize.parse(text) == bytes)
  }

  @Test(arguments: [
    "", "x", "k", "-1", "1.", "1.k", ".5m", "1kk", "1i", "1  k", "1kib5", "9223372036854775808", "9000p", "1e3",
  ])
  func whatIsNoNumberOfBytesIsRefused(_ text: String) {
    #expect(ByteSize.parse(text) == nil)
  }

  @Test(arguments: [
    ("0", 0), ("5s", 5_000_000_000), ("1.5s", 1_500_000_000), ("300ms", 300_000_000), ("1h2m3s", 3_723_000_000_000),
    ("2us", 2000), ("2µs", 2000), ("7ns", 7), (".5m", 30_000_000_000), ("1.s", 1_000_000_000), ("-1s", -1_000_000_000),
    ("+1s", 1_000_000_000), ("0.000000001s", 1),
  ])
  func timesAreThoseOfGo(_ text: String, _ nanoseconds: Int64) {
    #expect(TimeSpan.parse(text) == nanoseconds)
  }

  @Test(arguments: ["", "x", "5", "5x", "s", ".", ".s", "-", "1s2", "1 s", "9999999h", "99999999999999999999s", "1S"])
  func whatIsNoTimeIsRefused(_ text: String) {
    #expect(TimeSpan.parse(text) == nil)
  }

  @Test func eventsTakeTheFlagsOfRunc() throws {
    for (line, wanted) in [
      (["x"], (false, 5000)), (["--stats", "x"], (true, 5000)), (["--interval=2s", "x"], (false, 2000)),
      (["x", "--interval", "1500us"], (false, 2)),
    ] {
      guard case .command(.events(let events)) = try Invocation(["apus", "events"] + line).request.get() else {
        Issue.record("\(line)")
        continue
      }
      #expect(events.id == "x" && events.isOnce == wanted.0 && events.interval == wanted.1, "\(line)")
    }
    for text in ["0", "0s", "-5s"] {
      #expect(error("events", "--interval", text, "x")?.message == "duration interval must be greater than 0")
    }
    #expect(error("events", "--interval", "5", "x")?.field == "--interval")
  }

  @Test func limitsOfUpdateAreReadFromItsFlags() throws {
    let request = try parse(
      "update", "--memory", "1m", "x", "--memory-swap=-1", "--cpu-shares", "5", "--cpu-quota=-1", "--cpuset-cpus=0-1",
      "--pids-limit", "-1", "--blkio-weight", "20", "--kernel-memory", "1")
    guard case .command(.update(let update)) = request else { throw Unexpected(request) }
    #expect(update.id == "x" && update.resourcesFile == nil)
    #expect(update.resources.memory == .init(limit: 1 << 20, swap: -1))
    #expect(update.resources.cpu == .init(shares: 5, quota: -1, cpus: "0-1"))
    #expect(update.resources.pids == .init(limit: -1) && update.resources.blockIO == .init(weight: 20))
    #expect(update.ignored == ["--kernel-memory"])
    #expect(error("update", "--cpu-period", "-1", "x")?.field == "--cpu-period")
  }

  @Test func singleDashLongNamesAreFlags() throws {
    let request = try parse("run", "-no-subreaper", "--keep", "-detach", "x")
    guard case .command(.run(let run)) = request else { throw Unexpected(request) }
    #expect(run.noSubreaper && run.keep && run.detach && run.id == "x")
  }

  @Test func aValueMayLookLikeAFlag() throws {
    #expect(try parse("create", "--bundle", "--help", "x") == create("x", bundle: "--help"))
    #expect(try parse("create", "--bundle=a=b", "x") == create("x", bundle: "a=b"))
  }

  @Test func emptyValueIsNoValue() throws {
    #expect(try parse("create", "--console-socket=", "--pid-file", "", "x") == create("x"))
  }

  @Test func twoDashesEndTheFlags() throws {
    let request = try parse("create", "--", "--bundle")
    #expect(request == create("--bundle"))
  }

  @Test func aDashAloneIsAnOperand() throws {
    #expect(try parse("create", "-") == create("-"))
  }

  @Test func flagWithoutItsValueIsNamed() {
    #expect(error("create", "x", "--bundle")?.message == "flag needs an argument: --bundle")
    #expect(error("create", "x", "-b")?.message == "flag needs an argument: -b")
    #expect(error("--root")?.message == "flag needs an argument: --root")
  }

  @Test func unknownFlagIsNamed() {
    #expect(error("create", "--nosuch", "x")?.message == "flag provided but not defined: -nosuch")
    #expect(error("--nosuch")?.message == "flag provided but not defined: -nosuch")
    #expect(error("list", "-fq")?.message == "flag provided but not defined: -fq")
    #expect(error("create", "---b", "x")?.message == "bad flag syntax: ---b")
    #expect(error("create", "-=b", "x")?.message == "bad flag syntax: -=b")
  }

  @Test func globalFlagBehindTheCommandIsExplained() {
    #expect(error("state", "--root", "/r", "x")?.hint.contains("before the command") == true)
  }

  @Test func wrongNumberOfArgumentsIsSaidAsRuncDoes() {
    #expect(error("create")?.message == "\"apus create\" requires exactly 1 argument(s)")
    #expect(error("start", "a", "b")?.message == "\"apus start\" requires exactly 1 argument(s)")
    #expect(error("list", "a")?.message == "\"apus list\" requires exactly 0 argument(s)")
    #expect(error("kill")?.message == "\"apus kill\" requires a minimum of 1 argument(s)")
    #expect(error("kill", "a", "b", "c")?.message == "\"apus kill\" requires a maximum of 2 argument(s)")
  }

  @Test func noCommandIsHelp() throws {
    #expect(try parse() == .help(nil))
    #expect(try parse("--root", "/r") == .help(nil))
    #expect(try Invocation([]).request.get() == .help(nil))
  }

  @Test func helpIsEverywhere() throws {
    for line in [["--help"], ["-h"], ["help"], ["h"], ["-help"], ["--debug", "--help"], ["help", "--help"]] {
      #expect(try Invocation(["apus"] + line).request.get() == .help(nil), "\(line)")
    }
    for name in CommandName.allCases {
      // What stands behind the id is for the command of `exec`, or for ps(1).
      let ends = name == .exec || name == .ps
      for line in [["--help"], ["-h"], ["x", "y", "z", "--help"], ["--help", "--nosuch"]]
      where !(ends && line[0] == "x") {
        #expect(
          try Invocation(["apus", name.rawValue] + line).request.get() == .help(name), "\(name) \(line)")
      }
      #expect(try parse("help", name.rawValue) == .help(name))
    }
    #expect(error("help", "nosuch")?.message == "no help topic for `nosuch`")
    // Managers take `checkpoint --help` with status 0 as a promise.
    #expect(Invocation(["apus", "checkpoint", "--help"]).isProbe)
    #expect(Invocation(["apus", "--debug", "checkpoint", "-h"]).isProbe)
    #expect(!Invocation(["apus", "help", "checkpoint"]).isProbe)
    #expect(!Invocation(["apus", "checkpoint", "web"]).isProbe)
  }

  @Test func versionIsAGlobalFlag() throws {
    #expect(try parse("--version") == .version)
    #expect(try parse("-v") == .version)
    #expect(try parse("--version", "create") == .version)
  }

  @Test func programIsTheNameItWasCalledBy() {
    #expect(Invocation(["/usr/local/bin/runc"]).program == "runc")
    #expect(Invocation(["apus"]).program == "apus")
    #expect(Invocation([""]).program == "apus")
  }

  @Test func signalsAreNumbersAndNames() throws {
    for (text, number) in [("9", 9), ("KILL", 9), ("SIGKILL", 9), ("sigkill", 9), ("RTMIN+3", 37), ("", 15)] {
      guard case .command(.kill(let kill)) = try parse("kill", "x", text) else { throw Unexpected(text) }
      #expect(kill.signal == Int32(number))
    }
    guard case .command(.kill(let kill)) = try parse("kill", "--all", "x") else { throw Unexpected("kill") }
    #expect(kill.signal == 15 && kill.all)
    #expect(error("kill", "x", "FOO")?.message == "unknown signal \"FOO\"")
    #expect(error("kill", "x", "FOO")?.code == .signalInvalid)
    #expect(error("kill", "x", "99")?.message == "unknown signal \"99\"")
  }

  @Test func formsOfTheList() throws {
    for (line, form) in [
      ([], ListCommand.Form.table), (["--format=json"], .json), (["-f", "table"], .table), (["-q"], .ids),
      (["--quiet", "-f", "json"], .ids),
    ] {
      guard case .command(.list(let list)) = try Invocation(["apus", "list"] + line).request.get() else {
        throw Unexpected(line)
      }
      #expect(list.form == form, "\(line)")
    }
    #expect(error("list", "--format", "xml")?.field == "--format")
  }

  @Test func descriptorsAreCounted() {
    #expect(error("create", "--preserve-fds=0", "--no-pivot=false", "--no-new-keyring", "-d", "x") == nil)
    #expect(error("create", "--preserve-fds=two", "x")?.field == "--preserve-fds")
    #expect(error("create", "--preserve-fds=-1", "x")?.field == "--preserve-fds")
    #expect(error("run", "--preserve-fds=1024", "x") == nil)
    #expect(error("run", "--preserve-fds=1025", "x")?.field == "--preserve-fds")
  }

  private struct Unexpected: Error {
    let value: String
    init(_ value: Any) { self.value = "\(value)" }
  }
}

extension ScannedArguments {
  /// As if it had been scanned.
  static func filled(_ operands: [String], _ values: [(Flag, String)] = []) -> ScannedArguments {
    var scanned = ScannedArguments()
    let flags = values.map { FlagSpecification($0.0, "f\($0.0.rawValue)", value: "V", "") }
    let words = values.map { "--f\($0.0.rawValue)=\($0.1)" }
    do {
      try scanned.scan((words + ["--"] + operands)[...], flags, .anywhere)
    } catch {
      preconditionFailure(error.text)
    }
    return scanned
  }
}
