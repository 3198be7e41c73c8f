import Diagnostics
import Foundation
import Testing

@testable import apus

/// The texts in `spec` say what the tables say.
@Suite struct DocumentationTests {
  private func document(_ name: String) throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try String(contentsOf: root.appendingPathComponent("spec/\(name)"), encoding: .utf8)
  }

  @Test func everyErrorCodeHasOneRow() throws {
    let rows = try document("errors.md").split(separator: "\n").filter { $0.hasPrefix("| `E_") }
    let names = rows.map { String($0.split(separator: "`")[1]) }
    #expect(Set(names) == Set(ErrorCode.allCases.map(\.name)))
    #expect(Set(names).count == names.count)
    for row in rows {
      let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(cells.count == 4 && cells.allSatisfy { !$0.isEmpty }, "\(row)")
    }
  }

  @Test func everyCommandAndFlagIsDescribed() throws {
    let text = try document("command-line.md")
    for flag in GlobalOptions.flags { #expect(text.contains("| `--\(flag.name)"), "\(flag.name)") }
    for name in CommandName.allCases {
      // One name is the beginning of another.
      let sections = ["`", " "].compactMap {
        text.components(separatedBy: "\n### `\(name.rawValue)\($0)").dropFirst().first
      }
      let section = try #require(sections.first)
      let body = section.components(separatedBy: "\n### ")[0]
      for flag in name.specification.flags {
        #expect(body.contains("`--\(flag.name)"), "\(name.rawValue) \(flag.name)")
      }
    }
  }
}
