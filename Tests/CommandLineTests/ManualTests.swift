import Foundation
import Testing

@testable import apus

/// What `hack/manual` makes of the help knows each flag of the table.
@Suite struct ManualTests {
  @Test func everyFlagIsDescribed() {
    var specifications = GlobalOptions.flags
    for name in CommandName.allCases {
      #expect(!name.specification.summary.isEmpty && !name.specification.description.isEmpty, "\(name)")
      specifications += name.specification.flags
    }
    for flag in specifications { #expect(!flag.summary.isEmpty, "\(flag.name)") }
  }

  @Test func everyFlagIsInTheManualAndTheCompletions() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent(
      "apus")
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("apus-manual.\(UUID().uuidString)")
    defer { #expect(throws: Never.self) { try FileManager.default.removeItem(at: folder) } }
    let process = Process()
    process.executableURL = root.appendingPathComponent("hack/manual")
    process.arguments = [program.path, folder.path]
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0)
    func text(_ path: String) throws -> String {
      try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8)
    }
    let bash = try text("bash-completion/completions/apus").split(separator: "\n")
    let zsh = try text("zsh/site-functions/_apus")
    let fish = try text("fish/vendor_completions.d/apus.fish").split(separator: "\n")
    func check(_ command: String, _ flags: [FlagSpecification], page: String, zsh: String) throws {
      let page = try text("man/man8/\(page).8")
      // The first table of that name is the one of flags; a valued flag is in the other one too.
      let words = bash.first { $0.hasPrefix("    \(command.isEmpty ? "''" : command)) echo") }
      let options = Set((words ?? "").split { " '".contains($0) })
      for flag in flags {
        let dashes = "\\-\\-" + flag.name.split(separator: "-").joined(separator: "\\-")
        #expect(page.contains("\n\\fB\(dashes)\\fR"), "manual: \(command) \(flag.name)")
        #expect(options.contains("--\(flag.name)"), "bash: \(command) \(flag.name)")
        #expect(
          flag.isSwitch || bash.contains { $0.contains("\(command):\(flag.name)") && $0.contains(") _apus_kind=") })
        #expect(zsh.contains("--\(flag.name)\(flag.isSwitch ? "" : "=")["), "zsh: \(command) \(flag.name)")
        let place = command.isEmpty ? "'__apus_is 0'" : "'__apus_in \(command)"
        #expect(
          fish.contains { $0.contains(place) && $0.contains(" -l \(flag.name) ") }, "fish: \(command) \(flag.name)")
      }
    }
    try check("", GlobalOptions.flags, page: "apus", zsh: zsh.components(separatedBy: "'1:command:")[0])
    for name in CommandName.allCases {
      let part = try #require(zsh.components(separatedBy: "\n        \(name.rawValue))\n").dropFirst().first)
      try check(
        name.rawValue, name.specification.flags + [.help], page: "apus-\(name.rawValue)",
        zsh: part.components(separatedBy: ";;")[0])
    }
  }
}
