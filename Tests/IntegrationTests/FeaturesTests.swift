import Foundation
import Testing

extension Integration {
  /// The features document against behaviour: what stands in a list is taken, what does not is refused, and what is said
  /// to be missing is refused as well.
  @Suite(.apusOnly("no other runtime prints its plan")) struct FeaturesTests {
    private func features() throws -> JSONValue {
      let outcome = try runtime(bare: ["features"])
      outcome.expectSuccess()
      return try outcome.json
    }

    /// What `plan` makes of the default configuration with these changes.
    private func plan(_ container: Container, _ edits: [(String, JSONValue)]) throws -> Outcome {
      container.bundle.config = Bundle.defaultConfig
      for (place, value) in edits { container.bundle.config[pointer: place] = value }
      try container.bundle.write()
      return try runtime("plan", "--bundle", container.bundle.path)
    }

    /// The words of the lines of a plan that hold `part`.
    private func words(_ plan: Outcome, _ part: String) -> [String] {
      plan.stdout.split(separator: "\n").filter { $0.contains(part) }.flatMap { $0.split(separator: " ") }
        .map(String.init)
    }

    @Test func everyListAndSwitchIsCompared() throws {
      var lists: [String] = []
      var switches: [String] = []
      func look(_ value: JSONValue, _ place: String) {
        switch value {
        case .array: lists.append(place)
        case .bool: switches.append(place)
        default: for (name, member) in value.members { look(member, "\(place)/\(name)") }
        }
      }
      try look(features(), "")
      let others = [
        "/hooks", "/linux/capabilities", "/linux/seccomp/supportedFlags", "/potentiallyUnsafeConfigAnnotations",
      ]
      #expect(lists.sorted() == (FeatureList.all.map(\.list) + others).sorted())
      #expect(switches.sorted() == (FeatureSwitch.all.map(\.name) + FeatureSwitch.cgroup).sorted())
    }

    @Test(arguments: FeatureList.all) func everyAnnouncedWordIsTaken(row: FeatureList) throws {
      let listed = try features()[pointer: row.list].strings
      try #require(!listed.isEmpty)
      #expect(Set(listed).count == listed.count)
      let container = try Container()
      for word in listed {
        let outcome = try plan(container, row.edits(word))
        #expect(outcome.code == 0, "\(word): \(outcome)")
        if let line = row.line { #expect(words(outcome, line).contains(word), "\(word): \(outcome)") }
      }
    }

    @Test(arguments: FeatureList.all) func wordsThatAreNotAnnouncedAreRefused(row: FeatureList) throws {
      let listed = try features()[pointer: row.list].strings
      let container = try Container()
      for word in row.others where !listed.contains(word) {
        expectError(try plan(container, row.edits(word)), detail: "(at `\(row.place)")
      }
    }

    @Test(arguments: FeatureSwitch.all) func whatIsEnabledIsPlannedAndTheRestIsRefused(row: FeatureSwitch) throws {
      let value = try features()[pointer: row.name].bool
      guard let value else { throw HarnessError("no `\(row.name)`") }
      let container = try Container()
      #expect(try !plan(container, []).stdout.contains(row.line))
      let outcome = try plan(container, [(row.place, row.value)])
      if value && !Files.exists(row.hostFile) {
        expectError(outcome, detail: "not enabled on this host (at `\(row.place)`)")
      } else if value {
        outcome.expectSuccess()
        #expect(outcome.stdout.contains(row.line), "\(outcome)")
      } else {
        expectError(outcome, detail: "(at `\(row.place)`")
      }
    }

    @Test func cgroupsOfThisViewAndTheRdmaControllerAreAnnounced() throws {
      let cgroup = try features()["linux"]["cgroup"]
      // It runs in each of the layouts: v1, v2 and both.
      #expect(try Container(args: ["/bin/agent", "exit", "0"]).run().code == 0)
      if CgroupView.current != .v2 { #expect(cgroup["v1"].bool == true) }
      if CgroupView.current != .v1 { #expect(cgroup["v2"].bool == true) }
      #expect(cgroup["rdma"].bool == true)
      // A host without the controller is told so: the property is known.
      let outcome = try plan(Container(), [("/linux/resources/rdma", ["mlx5_0": ["hcaHandles": 3]])])
      if outcome.code != 0 { expectError(outcome, detail: "(at `/linux/resources/rdma/mlx5_0") }
    }

    @Test func systemdIsAnnouncedAsItIsTaken() throws {
      let cgroup = try features()["linux"]["cgroup"]
      let container = try Container()
      try container.bundle.write()
      container.bundle.config["linux"]["cgroupsPath"] = ""
      try container.bundle.write()
      let outcome = try runtime("--systemd-cgroup", "plan", "--bundle", container.bundle.path)
      for name in ["systemd", "systemdUser"] { #expect(cgroup[name].bool == (outcome.code == 0), "\(outcome)") }
    }

    @Test func everyAnnouncedMountOptionHasARowWithItsEffect() throws {
      #expect(try features()["mountOptions"].strings.sorted() == MountOptionRow.all.map(\.option).sorted())
    }

    @Test func everyAnnouncedNamespaceIsNewInOneContainer() throws {
      let announced = try features()["linux"]["namespaces"].strings
      let container = try Container()
      try container.bundle.mapUsers()
      for type in announced where !["pid", "network", "ipc", "uts", "mount", "user"].contains(type) {
        container.bundle.addNamespace(type)
      }
      let inside = try container.report("namespaces")["namespaces"]
      #expect(announced.count == inside.members.count)
      for type in announced {
        let file = try #require(NamespaceTests.files[type])
        #expect((inside[file].int ?? 0) != 0 && inside[file].int != Files.inode("/proc/self/ns/\(file)"), "\(type)")
      }
    }

    @Test func everyAnnouncedCapabilityIsGivenAndOthersAreWarnedAbout() throws {
      let announced = try features()["linux"]["capabilities"].strings
      // Those of this kernel, as far as the tests have them.
      let host = try Subprocess(RootTemplate.agent(), ["report", "capabilities"]).wait().json
      let possible = host["capabilities"]["bounding"].strings
      #expect(Set(possible).isSubset(of: announced))
      let container = try Container()
      container.bundle.setCapabilities(announced)
      let sets = try container.report("capabilities")["capabilities"]
      for name in ["bounding", "permitted", "effective"] {
        #expect(sets[name].strings == announced.filter(possible.contains), "\(name)")
      }
      let known = try plan(container, [("/process/capabilities", ["bounding": JSONValue(announced)])])
      #expect(Set(announced).isSubset(of: words(known, "limit bounding capabilities")), "\(known)")
      #expect(!known.stdout.contains("is ignored"))
      for name in ["", "CHOWN", "cap_chown", "CAP_EVERYTHING", "ALL"] {
        let outcome = try plan(container, [("/process/capabilities", ["bounding": JSONValue([name])])])
        #expect(outcome.stdout.contains("unknown capability `\(name)` is ignored"), "\(outcome)")
      }
    }

    @Test func everyAnnouncedWordOfSeccompIsLoadedInOneContainer() throws {
      let seccomp = try features()["linux"]["seccomp"]
      #expect(Set(seccomp["supportedFlags"].strings).isSubset(of: seccomp["knownFlags"].strings))
      // System calls that neither the runtime nor the agent makes.
      var unused = [
        "swapon", "swapoff", "reboot", "acct", "quotactl", "sethostname", "setdomainname", "settimeofday",
        "pivot_root", "init_module", "delete_module", "kexec_load", "vhangup", "mbind", "migrate_pages", "mincore",
        "fanotify_init", "perf_event_open",
      ]
      var rules: [JSONValue] = []
      for action in seccomp["actions"].strings {
        rules.append(["names": [.string(unused.removeLast())], "action": .string(action)])
      }
      for (index, name) in seccomp["operators"].strings.enumerated() {
        rules.append([
          "names": [.string(unused.removeLast())], "action": "SCMP_ACT_TRAP",
          "args": [["index": .number(index % 6), "value": 7, "valueTwo": 1, "op": .string(name)]],
        ])
      }
      let agent = try SeccompAgent()
      defer { agent.end() }
      let container = try Container()
      container.bundle.config["linux"]["seccomp"] = [
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": seccomp["archs"], "flags": seccomp["supportedFlags"],
        "syscalls": .array(rules), "listenerPath": .string(agent.path),
      ]
      #expect(try container.report("security")["seccomp"].int == 2)
    }

    @Test func everyAnnouncedHookIsPlannedAndOthersArePassedOver() throws {
      let announced = try features()["hooks"].strings
      #expect(announced == HookFolder.kinds)
      let container = try Container()
      let without = try plan(container, []).stdout
      for kind in announced + ["postcreate", "Prestart", "createruntime"] {
        let outcome = try plan(container, [("/hooks", [kind: [["path": "/bin/true-\(kind)"]]])])
        outcome.expectSuccess()
        if announced.contains(kind) {
          #expect(outcome.stdout.contains("/bin/true-\(kind)"), "\(outcome)")
        } else {
          #expect(outcome.stdout == without)
        }
      }
    }

    @Test func bothAnnouncedVersionsAreTaken() throws {
      let features = try features()
      let container = try Container()
      for name in ["ociVersionMin", "ociVersionMax"] {
        try plan(container, [("/ociVersion", features[name])]).expectSuccess()
      }
      for version in ["0.9.0", "2.0.0", "1.0", ""] {
        expectError(try plan(container, [("/ociVersion", .string(version))]), detail: "(at `/ociVersion`")
      }
    }

    /// Those of systemd change the scope, with its driver: `annotationIsAPropertyOfTheScope`; `LandlockTests` are about
    /// the other one.
    @Test func noAnnotationChangesThePlan() throws {
      #expect(
        try features()["potentiallyUnsafeConfigAnnotations"]
          == ["org.systemd.property.", "org.apus.landlock", "org.criu.config"])
      let container = try Container()
      let plain = try plan(container, [])
      // What changes something in other runtimes.
      let names = [
        "bundle", "org.systemd.property.CPUQuota", "org.criu.config", "run.oci.keep_original_groups",
        "run.oci.mount_context_type", "run.oci.handler", "run.oci.hooks.stdout", "run.oci.systemd.subgroup",
        "module.wasm.image/variant", "io.kubernetes.cri.container-type", "org.opencontainers.image.os",
      ]
      let annotations = JSONValue.object(Dictionary(uniqueKeysWithValues: names.map { ($0, "1") }))
      let annotated = try plan(container, [("/annotations", annotations)])
      plain.expectSuccess()
      #expect(annotated.stdout == plain.stdout)
    }

    /// Without the files that tell about the machine, in another environment and under another name: the same document.
    @Test func featuresDoNotDependOnTheMachine() throws {
      let usual = try runtime(bare: ["features"])
      usual.expectSuccess()
      var options = Subprocess.Options()
      options.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
      options.directory = "/"
      let bare = try Subprocess(
        "/usr/bin/unshare",
        [
          "--mount", "--net", "--ipc", "--uts", "/bin/sh", "-c",
          "mount -n -t tmpfs none /sys && mount -n -t tmpfs none /proc && exec \"$0\" features", Runtime.current.path,
        ], options
      ).wait()
      #expect(bare.stdout == usual.stdout, "\(bare)")
    }
  }
}
