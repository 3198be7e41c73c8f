import Foundation
import Testing

extension Integration {
  @Suite struct LoadTests {
    private func light(_ count: Int) throws -> [Container] {
      let first = try Container(args: ["/bin/agent", "pause"])
      return try [first]
        + (1..<count).map { _ in
          let container = try Container(args: ["/bin/agent", "pause"])
          container.bundle.config["root"]["path"] = .string(first.bundle.rootfs)
          return container
        }
    }

    @Test func hundredContainersAtOnce() throws {
      let containers = try light(100)
      let files = containers.map { $0.bundle.path + "/pid" }
      func all(_ verb: String, _ flags: (Int) -> [String] = { _ in [] }) throws {
        let calls = try containers.indices.map { try containers[$0].spawn(verb, flags($0)) }
        for call in calls { try call.wait(timeout: 120).expectSuccess() }
      }
      try all("create") { ["--pid-file", files[$0]] }
      let pids = try files.map { try #require(Int(try Files.read($0))) }
      #expect(Set(pids).count == 100)
      try all("start")
      #expect(try runtime("list", "--format", "json").json.elements.count == 100)
      try all("delete") { _ in ["--force"] }
      for pid in pids { #expect(waitForEnd(of: pid)) }
      try expectNothingLeft()
    }

    @Test func manyContainersOneAfterAnother() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      for _ in 0..<(TestRun.isFull ? 1000 : 200) {
        let file = container.bundle.path + "/pid"
        try container.create("--pid-file", file)
        let pid = try #require(Int(try Files.read(file)))
        try container.start()
        #expect(waitForEnd(of: pid))
        try container.delete()
        Processes.reap()
      }
      try expectNothingLeft()
    }

    @Test func oneIdForManyCallersIsGivenOnce() throws {
      let containers = try (0..<8).map { _ in
        try Container(id: "one-\(TestRun.tag)", args: ["/bin/agent", "pause"])
      }
      let calls = try containers.map { try $0.spawn("create") }
      let outcomes = try calls.map { try $0.wait() }
      #expect(outcomes.filter { $0.code == 0 }.count == 1, "\(outcomes)")
      try containers[0].delete("--force")
      try expectNothingLeft()
    }
  }
}
