import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `check` starts nothing: every test ends with the comparison of mounts, cgroups, processes and state.
  @Suite struct CheckTests {
    private func check(_ container: Container, _ flags: String...) throws -> Outcome {
      try container.bundle.write()
      return try runtime(bare: container.root + ["check", "--bundle", container.bundle.path] + flags)
    }

    /// The kinds and pointers of the lines, without the last one.
    private func findings(_ outcome: Outcome) -> [String] {
      outcome.stdout.split(separator: "\n").dropLast().map { line in
        line.split(separator: ":", omittingEmptySubsequences: false).prefix(2).joined(separator: ":")
      }
    }

    @Test(.apusOnly("no other runtime has it"))
    func aGoodBundleHasNoFindings() throws {
      let container = try Container()
      let outcome = try check(container)
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.stdout == "0 errors, 0 warnings, 0 unmet by this host\n")
      #expect(outcome.stderr.isEmpty)
      // Nothing at all, not even the state directory.
      try expectNothingLeft()
      try container.create()
      try container.delete("--force")
    }

    @Test(.apusOnly("no other runtime has it"))
    func everyMistakeOfABundleIsListed() throws {
      let container = try Container()
      container.bundle.addNamespace("pid")
      container.bundle.addMount("/x", type: "bind", source: "/tmp", options: ["rbind", "size=1"])
      container.bundle.config["process"]["cwd"] = "tmp"
      container.bundle.config["linux"]["sysctl"] = ["kernel.panic": "1"]
      container.bundle.config["linux"]["seccomp"] = ["defaultAction": "SCMP_ACT_NONE"]
      container.bundle.config["process"]["capabilities"]["ambient"] = ["CAP_NONE"]
      let outcome = try check(container)
      #expect(outcome.code == 1)
      #expect(
        findings(outcome) == [
          "error: /linux/namespaces/5", "error: /linux/sysctl/kernel.panic", "error: /mounts/7/options",
          "error: /process/cwd", "warning: /process/capabilities", "error: /linux/seccomp/defaultAction",
        ])
      #expect(outcome.stdout.hasSuffix("\n5 errors, 1 warning, 0 unmet by this host\n"), "\(outcome)")
      try expectNothingLeft()
      // `create` stops at the first, in the same words.
      let refused = try container.attempt("create")
      expectError(refused, detail: "malformed spec file: duplicated ns `pid` (at `/linux/namespaces/5`)")
    }

    @Test(.apusOnly("no other runtime has it"))
    func everyGapOfTheHostIsListed() throws {
      let container = try Container()
      container.bundle.addMount("/x", type: "bind", source: "/no/such/source", options: ["rbind"])
      container.bundle.addMount("/y", type: "nosuchfs", source: "none")
      container.bundle.config["linux"]["netDevices"] = ["none9": [:]]
      container.bundle.config["linux"]["intelRdt"] = ["closID": "gold"]
      container.bundle.config["linux"]["sysctl"] = ["net.ipv4.no_such": "1"]
      container.bundle.config["linux"]["resources"]["rdma"] = ["card": ["hcaHandles": 1]]
      container.bundle.config["hooks"] = ["prestart": [["path": "/no/such/hook"]]]
      container.bundle.config["linux"]["namespaces"].append(["type": "time", "path": "/proc/self/ns/net"])
      container.bundle.args = ["no-such-command"]
      var gaps: Set = [
        "host: /mounts/7/source", "host: /mounts/8/type", "host: /linux/netDevices/none9", "host: /linux/intelRdt",
        "host: /linux/sysctl/net.ipv4.no_such", "host: /hooks/prestart/0/path", "host: /linux/namespaces/5/path",
      ]
      // Which cards there are is known to the kernel alone, if it has the controller.
      let hasRDMA = Cgroups.root(of: "rdma") != nil || Cgroups.unifiedControllers().contains("rdma")
      if !hasRDMA { gaps.insert("host: /linux/resources/rdma/card") }
      let outcome = try check(container)
      #expect(outcome.code == 1)
      #expect(Set(findings(outcome)) == gaps.union(["warning: /process/args/0"]), "\(outcome)")
      #expect(outcome.stdout.contains("`/proc/self/ns/net` is a network namespace, not a time namespace"))
      #expect(outcome.stdout.hasSuffix("\n0 errors, 1 warning, \(gaps.count) unmet by this host\n"), "\(outcome)")
      try expectNothingLeft()
    }

    /// What `check` says this host cannot is what `create` then fails with, at the same place.
    @Test(
      .apusOnly("no other runtime has it"),
      arguments: ["source", "device", "namespace", "resctrl", "root", "hook"])
    func whatTheHostLacksFailsInCreateAtTheSamePlace(gap: String) throws {
      let container = try Container()
      switch gap {
      case "source": container.bundle.addMount("/x", type: "bind", source: "/no/such", options: ["rbind"])
      case "device": container.bundle.config["linux"]["netDevices"] = ["none9": [:]]
      case "namespace":
        container.bundle.config["linux"]["namespaces"].append(["type": "time", "path": "/proc/self/ns/net"])
      case "resctrl": container.bundle.config["linux"]["intelRdt"] = ["closID": "gold"]
      case "root": container.bundle.config["root"]["path"] = "nothing"
      default: container.bundle.config["hooks"] = ["createContainer": [["path": "/no/such/hook"]]]
      }
      let found = findings(try check(container)).filter { $0.hasPrefix("host: ") }
      #expect(found.count == 1, "\(found)")
      let place = found.first?.dropFirst("host: ".count) ?? ""
      let outcome = try container.attempt("create")
      expectError(outcome, detail: String(gap == "hook" ? place.dropLast("/path".count) : place))
      try expectNothingLeft()
    }

    @Test(.apusOnly("no other runtime has it"))
    func aCgroupThatAnotherContainerHasIsTold() throws {
      let first = try Container()
      try first.create()
      let second = try Container()
      second.bundle.config["linux"]["cgroupsPath"] = first.bundle.config["linux"]["cgroupsPath"]
      let outcome = try check(second)
      #expect(findings(outcome) == ["host: /linux/cgroupsPath"], "\(outcome)")
      #expect(outcome.stdout.contains("holds processes already"))
      expectError(try second.attempt("create"), detail: "/linux/cgroupsPath")
      try first.delete("--force")
    }

    @Test(.apusOnly("no other runtime has it"))
    func findingsAreJSONForPrograms() throws {
      let container = try Container()
      container.bundle.config["process"]["cwd"] = "tmp"
      container.bundle.addMount("y", type: "nosuchfs", source: "none")
      let outcome = try check(container, "--format", "json")
      #expect(outcome.code == 1)
      let report = try outcome.json
      #expect(report["runs"].bool == false)
      #expect(["errors", "warnings", "unmet"].map { report[$0].int } == [1, 1, 1])
      let rules = report["findings"].elements.map { $0["rule"].string }
      #expect(rules == ["mount-destination-absolute", "process-cwd", "file-system"])
      let wrong = report["findings"].elements[1]
      #expect(wrong["kind"].string == "error" && wrong["pointer"].string == "/process/cwd")
      #expect(wrong["code"].string == "E_CONFIG_INVALID" && wrong["section"].string == "config.md, Process")
      #expect(wrong["message"].string == "Cwd must be an absolute path: `tmp`")
      let good = try Container()
      let clean = try check(good, "-f", "json")
      #expect(clean.code == 0)
      #expect(try clean.json["runs"].bool == true)
      #expect(try clean.json["findings"].elements.isEmpty)
      expectError(try check(good, "-f", "xml"), detail: "--format")
    }

    @Test(.apusOnly("no other runtime has it"))
    func aDocumentThatCannotBeReadIsOneFinding() throws {
      let container = try Container()
      container.bundle.text = "{\"ociVersion\": \"1.0.2\",\n \"root\": {\"path\": 7}}"
      let outcome = try check(container)
      #expect(outcome.code == 1 && findings(outcome) == ["error: /root/path"], "\(outcome)")
      #expect(outcome.stdout.contains("line 2 column 19: expected a string, found a number"))
      expectError(
        try runtime("check", "--bundle", container.bundle.path + "/none"), detail: "cannot open the bundle")
    }

    /// A container for somebody without root, as seen by him and as asked for by root.
    @Test(.apusOnly("no other runtime has it"))
    func withoutRootIdsAndRightsAreLookedAt() throws {
      let container = try Container()
      container.bundle.config["linux"]["cgroupsPath"] = .null
      #expect(findings(try check(container, "--rootless")) == ["host: /linux/namespaces"])
      container.bundle.addNamespace("user")
      let own: JSONValue = ["containerID": 0, "hostID": 54321, "size": 1]
      container.bundle.config["linux"]["uidMappings"] = [own]
      container.bundle.config["linux"]["gidMappings"] = [
        own, ["containerID": 1, "hostID": 4_000_000_000, "size": 9],
      ]
      container.bundle.config["linux"]["netDevices"] = ["lo": [:]]
      try container.bundle.write()
      let user = ["--reuid", "54321", "--regid", "54321", "--clear-groups", Runtime.current.path]
      let outcome = try Subprocess(
        "/usr/bin/setpriv", user + container.root + ["check", "--bundle", container.bundle.path]
      ).wait()
      #expect(outcome.code == 1, "\(outcome)")
      let found = findings(outcome)
      for place in ["/linux/gidMappings/1/hostID", "/linux/netDevices/lo"] {
        #expect(found.contains("host: \(place)"), "no \(place): \(outcome)")
      }
      #expect(outcome.stdout.contains("the ids 4000000000 to 4000000008 are not given to the caller"))
      #expect(outcome.stdout.contains("the container does without"))
      // One's own user takes no range.
      #expect(!found.contains { $0.contains("/linux/uidMappings") }, "\(outcome)")
      try expectNothingLeft()
    }
  }
}
