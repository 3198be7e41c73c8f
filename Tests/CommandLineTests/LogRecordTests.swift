import Diagnostics
import Foundation
import Testing

@testable import apus

@Suite struct LogRecordTests {
  private var failure: RuntimeError {
    SystemError("openat", .noEntry, "/b/config.json").because(
      .configMissing, "cannot read `/b/config.json`", field: "--bundle", hint: "make one")
  }

  @Test func textIsAsRuncPrintsIt() {
    let record = LogRecord(RuntimeError(.usage, "no \"such\"\nthing \\"), at: 1_795_233_600)
    #expect(
      record.line(.text) == "time=\"2026-11-21T04:00:00Z\" level=error msg=\"no \\\"such\\\"\\nthing \\\\\"\n"
    )
    #expect(
      LogRecord(.warning, "done", at: 0).line(.text)
        == "time=\"1970-01-01T00:00:00Z\" level=warning msg=done\n")
    #expect(LogRecord(.debug, "", at: 0).line(.text).hasSuffix("msg=\"\"\n"))
  }

  @Test func jsonIsOneObjectWithThePartsOfTheError() throws {
    let line = LogRecord(failure, at: 1_795_233_600).line(.json)
    #expect(line.hasSuffix("}\n") && line.filter { $0 == "\n" }.count == 1)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: NSObject])
    #expect(
      object == [
        "level": "error" as NSString, "time": "2026-11-21T04:00:00Z" as NSString,
        "msg": failure.text as NSString,
        "code": "E_CONFIG_MISSING" as NSString, "field": "--bundle" as NSString,
        "syscall": "openat" as NSString,
        "errno": 2 as NSNumber, "subject": "/b/config.json" as NSString, "hint": "make one" as NSString,
      ])
  }

  @Test func jsonLeavesOutWhatIsNotThere() throws {
    let line = LogRecord(RuntimeError(.usage, "no"), at: 0).line(.json)
    #expect(
      line == #"{"level":"error","msg":"no","time":"1970-01-01T00:00:00Z","code":"E_USAGE"}"# + "\n")
    #expect(
      LogRecord(.warning, "w", at: 0).line(.json)
        == #"{"level":"warning","msg":"w","time":"1970-01-01T00:00:00Z"}"# + "\n")
  }

  @Test func nothingOfAMessageReachesTheTerminalAsAControl() {
    #expect(
      LogRecord.printable("a\u{1B}[31m\u{7F}\u{9B}\u{202E}\r\n\té\"\\")
        == #"a\x1b[31m\x7f\u009b\u202e\r\n\té"\"#)
  }
}
