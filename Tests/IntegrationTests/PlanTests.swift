import Foundation
import Testing

extension Integration {
  @Suite struct PlanTests {
    @Test(.apusOnly("no other runtime prints its plan"))
    func planIsPrintedAndNothingIsDone() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      try container.bundle.write()
      let outcome = try runtime("plan", "--bundle", container.bundle.path)
      outcome.expectSuccess()
      for word in ["/proc", "/dev/pts", "pivot"] {
        #expect(outcome.stdout.contains(word), "no `\(word)`: \(outcome)")
      }
      #expect(
        try runtime("plan", "--bundle", container.bundle.path).stdout == outcome.stdout, "the same each time")
      try expectNothingLeft()
    }

    @Test(.apusOnly("no other runtime prints its plan"))
    func planRefusesWhatCreateRefuses() throws {
      let container = try Container()
      container.bundle.addNamespace("pid")
      let refused = try container.attempt("create")
      let outcome = try runtime("plan", "--bundle", container.bundle.path)
      expectError(outcome)
      #expect(outcome.code == refused.code)
    }

    @Test(.peerDiffers("crun", "1.8.1", "has no `features` yet"))
    func featuresNameTheRangeOfVersionsAndTheNamespaces() throws {
      let features = try runtime(bare: ["features"]).json
      #expect(features["ociVersionMin"].string?.hasPrefix("1.0") == true)
      #expect(features["ociVersionMax"].string?.hasPrefix("1.") == true)
      let namespaces = features["linux"]["namespaces"].strings
      for name in ["pid", "network", "ipc", "uts", "mount", "user", "cgroup"] {
        #expect(namespaces.contains(name))
      }
      #expect(features["linux"]["seccomp"]["enabled"].bool == true)
    }
  }
}
