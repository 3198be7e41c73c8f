import Foundation
import Testing

private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

/// What `hack/fuzz` starts from and what it has found, without a fuzzer: every input once.
@Suite struct FuzzTests {
  private static func files(_ name: String, _ target: String) throws -> [URL] {
    let place = folder.appendingPathComponent("\(name)/\(target)")
    guard FileManager.default.fileExists(atPath: place.path) else { return [] }
    return try FileManager.default.contentsOfDirectory(at: place, includingPropertiesForKeys: nil)
      .sorted { $0.path < $1.path }
  }

  /// As the fuzzers start from it: what the program makes of its own fixtures.
  private static let made = Result {
    let tests = folder.deletingLastPathComponent()
    return try Seeds.messages()
      + ["OCISpecTests/Fixtures/full.json", "ContainerPlanTests/Fixtures/managers/docker-default.json"].flatMap {
        Seeds.derived(from: [UInt8](try Data(contentsOf: tests.appendingPathComponent($0))))
      }
  }

  @Test(arguments: FuzzTarget.all.map(\.name)) func seedsAndFindingsKeepTheRules(_ name: String) throws {
    let target = try #require(FuzzTarget.all.first { $0.name == name })
    for file in try Self.files("Corpus", name) + Self.files("Findings", name) {
      let bytes = [UInt8](try Data(contentsOf: file))
      #expect(throws: Never.self, "\(file.lastPathComponent)") { try target.run(bytes) }
    }
    let made = try Self.made.get().filter { $0.target == name }
    for seed in made { #expect(throws: Never.self) { try target.run(seed.bytes) } }
    #expect(try made.count + Self.files("Corpus", name).count >= 4, "too little to start from")
    // Nothing is an input too, and so is what no parser expects.
    for bytes in [[], [0], [0xFF, 0xFE, 0x00], [UInt8](repeating: 0x5B, count: 5000)] {
      #expect(throws: Never.self) { try target.run(bytes) }
    }
  }

  /// A target that keeps no rule would find nothing but traps.
  @Test func ruleThatIsBrokenIsReported() {
    #expect(throws: BrokenRule.self) { try hold(false, "never") }
  }

  @Test func everyTargetSaysWhichSourcesItIsAbout() throws {
    let table = try String(contentsOf: folder.appendingPathComponent("modules.txt"), encoding: .utf8)
    let names = table.split(separator: "\n").filter { !$0.hasPrefix("#") && !$0.hasPrefix(" ") }
      .map { String($0.prefix { $0 != ":" }) }
    #expect(names == FuzzTarget.all.map(\.name))
  }
}
