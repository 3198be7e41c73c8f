import Foundation
import Testing

extension Integration {
  @Suite struct LifecycleTests {
    @Test func statusGoesFromCreatedToRunningToStopped() throws {
      let container = try Container(args: ["/bin/agent", "wait"])
      try container.create()
      #expect(try container.status() == "created")
      try container.start()
      try container.stdout.waitFor("ready")
      #expect(try container.status() == "running")
      try container.end()
      #expect(try container.status() == "stopped")
      try container.delete()
      try expectNothingLeft()
    }
    @Test func x() throws {
      let container = try Container()
      print(try container.report().text)
    }
  }
}
