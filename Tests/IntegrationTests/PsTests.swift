import Foundation
import Testing

extension Integration {
  /// `ps`: the processes of a container.
  @Suite struct PsTests {
    private func running() throws -> Container {
      let container = try Container(args: ["/bin/agent", "children", "2"])
      try container.runDetached()
      try container.stdout.waitFor("ready")
      return container
    }

    @Test func processesAreListedAsNumbers() throws {
      let container = try running()
      let outcome = try container.spawn("ps", ["--format", "json"]).wait()
      let numbers = try outcome.json.elements.compactMap { $0.int }
      let pid = try container.pid()
      #expect(numbers.count == 3 && numbers.contains(pid), "\(outcome)")
      #expect(numbers == numbers.sorted())
    }

    @Test(.peerDiffers("crun", "1.8.1", "prints numbers alone"))
    func processesAreListedAsPsShowsThem() throws {
      let container = try running()
      let pid = try container.pid()
      for (options, words) in [([], "/bin/agent children 2"), (["-o", "pid,comm", "-A"], "agent")] {
        let outcome = try container.spawn("ps", rest: options).wait()
        let lines = outcome.stdout.split(separator: "\n")
        #expect(lines.count == 4 && lines[0].contains("PID"), "\(outcome)")
        #expect(lines.dropFirst().allSatisfy { $0.contains(words) }, "\(outcome)")
        #expect(lines.contains { $0.split(separator: " ").contains("\(pid)") }, "\(outcome)")
      }
    }

    @Test(.apusOnly("in our words"))
    func whatPsCannotShowIsAnError() throws {
      let container = try running()
      expectError(try container.spawn("ps", rest: ["-o", "comm"]).wait(), detail: "PID")
      expectError(try container.spawn("ps", rest: ["--no-such-option"]).wait(), detail: "ps(1) failed")
      expectError(try container.spawn("ps", ["--format", "x"]).wait(), detail: "--format")
      expectError(try Container().spawn("ps").wait(), says: "does not exist")
    }
  }
}
