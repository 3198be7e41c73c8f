import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// Values out of range and in combinations that the man pages forbid: one clear error with its place, and nothing is made.
  @Suite struct BadValueTests {
    @Test(arguments: BadValueRow.all)
    func badValueIsRefusedByItsPlace(row: BadValueRow) throws {
      try allowing(row.differences, in: row.testDescription, isIntermittent: row.needs.contains(.time)) {
        try check(row)
      }
    }

    private func check(_ row: BadValueRow) throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      if row.needs.contains(.users) { try container.bundle.mapUsers() }
      if row.needs.contains(.time) { container.bundle.addNamespace("time") }
      for (pointer, value) in row.edits { container.bundle.config[pointer: pointer] = value }
      let outcome = try container.attempt("create")
      expectError(outcome, detail: "(at `\(row.place)`")
      if outcome.code != 0 { try expectNothingLeft() }
      guard !Runtime.current.isPeer, !row.isOfKernel else { return }
      // What makes nothing at all finds it too.
      let plan = try runtime("plan", "--bundle", container.bundle.path)
      expectError(plan, detail: "(at `\(row.place)`")
      let check = try runtime("check", "--bundle", container.bundle.path)
      #expect(check.code == 1 && check.stdout.contains("error: \(row.place): "), "\(check)")
    }

    @Test func threeHundredAndFortyMappingsAreTaken() throws {
      let container = try Container()
      try container.bundle.mapUsers(host: 1000)
      for name in ["uidMappings", "gidMappings"] {
        container.bundle.config["linux"][name] = BadValueRow.mappings(count: 340)
      }
      let report = try container.report("host")
      for map in ["uidMap", "gidMap"] {
        let lines = report[map].string?.split(separator: "\n") ?? []
        #expect(lines.count == 340)
        #expect(lines.last?.split(separator: " ") == ["339", "1678", "1"])
      }
    }

    @Test(.peerDiffers("runc", "1.1.5", "takes no uid above 2147483647"))
    func valuesAtTheirLimitsAreTaken() throws {
      let container = try Container(args: ["/bin/agent", "report", "user", "attributes"])
      try container.bundle.mapUsers()
      container.bundle.config["linux"]["uidMappings"] = BadValueRow.mappings((0, 100_000, 10), (4_294_967_294, 1, 1))
      container.bundle.config["process"]["user"] = ["uid": 4_294_967_294, "gid": 65_535, "umask": 0o777]
      container.bundle.config["process"]["oomScoreAdj"] = 1000
      let report = try container.report("user", "attributes")
      #expect(report["uids"].ints == [4_294_967_294, 4_294_967_294, 4_294_967_294])
      #expect(report["gids"].ints == [65_535, 65_535, 65_535])
      #expect(report["umask"].int == 0o777)
      #expect(report["oomScoreAdj"].int == 1000)
    }
  }
}
