import Foundation
import Testing

extension Integration {
  /// Generated rules for devices, and the words that a container may do with nodes that it makes itself.
  @Suite struct DeviceRuleTests {
    /// SplitMix64: the same rules in every run.
    private struct Generator: RandomNumberGenerator {
      var state: UInt64

      mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
      }
    }

    /// Besides those that no driver has, some that every container may use.
    private static let nodes = [
      "c221:3", "c221:5", "c222:3", "b221:3", "b221:5", "b222:3", "c1:3", "c1:5", "c136:7", "c10:200",
    ]

    private func rules(_ generator: inout Generator) -> [JSONValue] {
      func one(_ values: [JSONValue]) -> JSONValue { values.randomElement(using: &generator) ?? .null }
      return (0..<Int.random(in: 0...6, using: &generator)).map { index in
        var rule: JSONValue = ["allow": one([true, false])]
        if index == 0 && Int.random(in: 0..<3, using: &generator) == 0 { return rule }
        rule["type"] = one(["a", "b", "c", "c", .null])
        rule["major"] = one([221, 222, 1, -1, .null])
        rule["minor"] = one([3, 5, -1, .null])
        rule["access"] = one(["r", "w", "m", "rw", "rm", "wm", "rwm", .null])
        return rule
      }
    }

    /// In order, and the last rule that matches wins; the default devices come after those of the configuration.
    private func meaning(_ rules: [JSONValue], _ node: String) -> String {
      let numbers = node.dropFirst().split(separator: ":").compactMap { Int($0) }
      func permits(_ letter: Character) -> Bool {
        let defaults = ["c1:3", "c1:5", "c136:7", "c10:200"]
        if letter == "m" || defaults.contains(node) { return true }
        var answer = false
        for rule in rules {
          let type = rule["type"].string ?? "a"
          guard type == "a" || type == String(node.prefix(1)) else { continue }
          guard [-1, numbers[0]].contains(rule["major"].int ?? -1) else { continue }
          guard [-1, numbers[1]].contains(rule["minor"].int ?? -1) else { continue }
          if (rule["access"].string ?? "rwm").contains(letter) { answer = rule["allow"] == .bool(true) }
        }
        return answer
      }
      let read = permits("r")
      let write = permits("w")
      return "\(node) m" + (read ? "r" : "") + (write ? "w" : "") + (read && write ? "b" : "")
    }

    private func prepare(_ container: Container, _ rules: [JSONValue]) {
      container.bundle.setCapabilities(["CAP_MKNOD", "CAP_DAC_OVERRIDE"])
      container.bundle.config["root"]["readonly"] = false
      container.bundle.config["linux"]["resources"]["devices"] = .array(rules)
    }

    private func expect(_ outcome: Outcome, _ rules: [JSONValue]) {
      let expected = Self.nodes.map { meaning(rules, $0) }
      #expect(
        outcome.stdout.split(separator: "\n").map(String.init) == expected, "\(JSONValue.array(rules).text) \(outcome)")
    }

    /// The list of v1 has no holes; such rules are refused there, with the rule that would make one.
    private func isHole(_ outcome: Outcome) -> Bool {
      guard outcome.code != 0, CgroupView.current != .v2 else { return false }
      #expect(outcome.stderr.contains("cannot take `"), "\(outcome)")
      return true
    }

    @Test(
      .peerMayDiffer("runc", "1.1.5", "merges some of them otherwise"),
      .peerMayDiffer("crun", "1.8.1", "writes them as they are"))
    func generatedRulesHoldInContainers() throws {
      var generator = Generator(state: 7)
      let container = try Container(args: ["/bin/agent", "devices"] + Self.nodes)
      var played = 0
      for _ in 0..<60 {
        let rules = rules(&generator)
        prepare(container, rules)
        let outcome = try container.run()
        if isHole(outcome) { continue }
        expect(outcome, rules)
        played += 1
      }
      #expect(played > 25)
      try expectNothingLeft()
    }

    @Test(.apusOnly("the peers leave the devices as they are")) func generatedRulesHoldAfterUpdates() throws {
      var generator = Generator(state: 11)
      let container = try Container(args: ["/bin/agent", "pause"])
      prepare(container, [])
      try container.runDetached()
      var current: [JSONValue] = []
      var played = 0
      for _ in 0..<120 {
        let next = rules(&generator)
        let text = JSONValue.object(["devices": .array(next)]).text
        let outcome = try container.spawn("update", ["-r", "-"], options: .init(input: text)).wait()
        // An empty list changes nothing, and what is refused neither.
        if !isHole(outcome) && !next.isEmpty {
          #expect(outcome.code == 0, "\(outcome)")
          current = next
          played += 1
        }
        expect(try container.exec(["/bin/agent", "devices"] + Self.nodes), current)
      }
      #expect(played > 50)
    }
  }
}
