import Foundation
import Testing

extension Integration {
  /// Labels of security modules that this machine does not have. Those that it has are for `AppArmorTests`.
  @Suite struct LabelTests {
    private static let hasAppArmor = Files.exists("/sys/kernel/security/apparmor")
    private static let hasSELinux = Files.exists("/sys/fs/selinux/enforce")

    private static let properties: [(String, String)] = [
      ("/process/apparmorProfile", "AppArmor"), ("/process/selinuxLabel", "SELinux"), ("/linux/mountLabel", "SELinux"),
    ].filter { $0.1 == "AppArmor" ? !hasAppArmor : !hasSELinux }

    @Test(arguments: LabelTests.properties)
    func labelOfAModuleThatIsNotThereIsRefused(pointer: String, module: String) throws {
      let names = pointer.split(separator: "/").map(String.init)
      let reasons = pointer == "/linux/mountLabel" ? ["crun": "runs without the label"] : [:]
      for verb in ["create", "run"] {
        try allowing(reasons, in: "\(verb) \(pointer)") {
          let container = try Container(args: ["/bin/agent", "exit", "0"])
          container.bundle.config[names[0]][names[1]] = "unknown_u:unknown_r:unknown_t:s0"
          expectError(try container.attempt(verb), detail: "\(module) is not enabled on this host (at `\(pointer)`)")
          try expectNothingLeft()
        }
      }
    }

    @Test(.peerDiffers("crun", "1.8.1", "runs without the label"))
    func flagOfAModuleThatIsNotThereIsRefused() throws {
      let container = try Container.running()
      for (flag, module, isThere) in [
        ("--apparmor", "AppArmor", LabelTests.hasAppArmor), ("--process-label", "SELinux", LabelTests.hasSELinux),
      ] where !isThere {
        let outcome = try container.exec(["/bin/agent", "exit", "0"], flag, "unknown_u:unknown_r:unknown_t:s0")
        expectError(outcome, detail: "\(module) is not enabled on this host (at `\(flag)`)")
        #expect(outcome.code == 255, "\(outcome)")
        // An empty one asks for nothing.
        #expect(try container.exec(["/bin/agent", "exit", "7"], flag, "").code == 7)
      }
      #expect(try container.execReport("processes")["processes"].ints.count == 2, "something is left over")
    }

    @Test(.apusOnly("the peers quote it, or leave it to the kernel"))
    func quotationMarkInALabelOfMountsIsRefused() throws {
      let container = try Container(args: ["/bin/agent", "exit", "0"])
      container.bundle.config["linux"]["mountLabel"] = "a:b:c\",size=1g,x=\""
      expectError(try container.run(), detail: "(at `/linux/mountLabel`)")
      try expectNothingLeft()
    }
  }
}
