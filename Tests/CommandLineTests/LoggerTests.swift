import Diagnostics
import Foundation
import Testing

@testable import apus

@Suite struct LoggerTests {
  private let path = FileManager.default.temporaryDirectory
    .appendingPathComponent("apus-log-\(UUID().uuidString)").path

  private func lines(debug: Bool, format: LogFormat, _ body: (Logger) -> Void) throws -> [Substring] {
    defer { unlink(path) }
    var options = GlobalOptions()
    options.log = path
    options.logFormat = format
    options.debug = debug
    body(try Logger(options))
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
  }

  @Test func theLogFileHoldsNothingButTheError() throws {
    let lines = try lines(debug: false, format: .json) { logger in
      logger.sink.warning("a warning")
      logger.sink.debug("a step")
      logger.report(RuntimeError(.usage, "an error"))
    }
    #expect(lines.count == 1)
    #expect(lines[0].contains("\"level\":\"error\",\"msg\":\"an error\""))
  }

  @Test func debugPutsEverythingIntoTheLogFile() throws {
    let lines = try lines(debug: true, format: .text) { logger in
      logger.sink.warning("a warning")
      logger.sink.debug("a step")
      logger.report(RuntimeError(.usage, "an error"))
    }
    #expect(lines.map { $0.split(separator: " ")[1] } == ["level=warning", "level=debug", "level=error"])
  }

  @Test func anExistingLogIsAppendedTo() throws {
    try "before\n".write(toFile: path, atomically: false, encoding: .utf8)
    let lines = try lines(debug: false, format: .text) { $0.report(RuntimeError(.usage, "after")) }
    #expect(lines.count == 2 && lines[0] == "before" && lines[1].hasSuffix("msg=after"))
  }

  @Test func aFolderIsNoLogFile() {
    var options = GlobalOptions()
    options.log = "/"
    do {
      _ = try Logger(options)
      Issue.record("a folder was opened")
    } catch {
      #expect(error.code == .logFile && error.text.contains("is a directory"))
    }
  }
}
