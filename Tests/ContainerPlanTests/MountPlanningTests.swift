import ContainerPlan
import Diagnostics
import LinuxABI
import OCISpec
import Testing

private func config(
  _ mount: Mount, userNamespace: Bool = false, label: String? = nil
) -> Config {
  var linux = LinuxConfig()
  linux.namespaces = ["pid", "mount"].map { Namespace(type: $0) }
  if userNamespace {
    linux.namespaces?.append(Namespace(type: "user"))
    linux.uidMappings = [IDMapping(containerID: 0, hostID: 1000, size: 500)]
    linux.gidMappings = [IDMapping(containerID: 0, hostID: 2000, size: 500)]
  }
  linux.mountLabel = label
  var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
  config.linux = linux
  config.mounts = [mount]
  return config
}

private func step(
  _ mount: Mount, userNamespace: Bool = false, label: String? = nil, selinux: Bool = false
) throws(RuntimeError) -> MountStep {
  let plan = try Planner.plan(
    PlanInput(
      config: config(mount, userNamespace: userNamespace, label: label), bundle: "/b", keyring: nil,
      facts: HostFacts(effectiveUser: 0, hasSELinux: selinux)))
  for case .mount(let step) in plan.steps { return step }
  throw RuntimeError(.configInvalid, "no mount in the plan")
}

private func failure(
  _ mount: Mount, userNamespace: Bool = false, label: String? = nil
) -> RuntimeError? {
  do {
    _ = try step(mount, userNamespace: userNamespace, label: label)
    return nil
  } catch {
    return error
  }
}

private func bind(_ options: String...) -> Mount {
  Mount(destination: "/d", type: "bind", source: "/s", options: options)
}

@Suite struct MountPlanningTests {
  @Test func bindWithOneFlagLosesTheOthersOfItsSource() throws {
    let made = try step(bind("ro", "dev"))
    #expect(MountAttributes(rawValue: made.set) == .readOnly)
    #expect(
      MountAttributes(rawValue: made.clear) == [
        .noDevices, .noSetUserID, .noExecute,
      ])
    #expect(MountAttributes(rawValue: made.clearByName) == .noDevices)
  }

  @Test func bindWithoutFlagsKeepsThoseOfItsSource() throws {
    let made = try step(bind("rbind", "rprivate", "rro"))
    #expect(made.set == 0 && made.clear == 0 && made.clearByName == 0)
    #expect(MountAttributes(rawValue: made.setRecursively) == .readOnly)
  }

  @Test func relativeDestinationIsTakenFromTheRootWithAWarning() throws {
    let mount = Mount(destination: "a/b", type: "tmpfs", source: "t")
    let plan = try Planner.plan(
      PlanInput(config: config(mount), bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0)))
    #expect(try step(mount).destination == "a/b")
    #expect(plan.warnings.contains { $0.contains("`a/b` is not absolute") && $0.contains("/mounts/0/destination") })
  }

  @Test func listInOneOptionIsTakenApart() throws {
    let made = try step(
      Mount(
        destination: "/d", type: "tmpfs", source: "t",
        options: ["size=1m,mode=700", "context=\"a:b:c0,c1\"", "x=a\\,b"]))
    #expect(
      made.source
        == .fileSystem(
          type: "tmpfs", source: "t",
          parameters: [
            MountParameter(key: "size", value: "1m"), MountParameter(key: "mode", value: "700"),
            MountParameter(key: "context", value: "a:b:c0,c1"), MountParameter(key: "x", value: "a\\,b"),
          ]))
  }

  /// podman 5 writes one for `--systemd always`.
  @Test func emptyOptionIsNone() throws {
    let made = try step(
      Mount(destination: "/d", type: "tmpfs", source: "t", options: ["", "rw", "size=1m,,mode=700,"]))
    #expect(
      made.source
        == .fileSystem(
          type: "tmpfs", source: "t",
          parameters: [MountParameter(key: "size", value: "1m"), MountParameter(key: "mode", value: "700")]))
    #expect(try step(bind("bind", "")).source == step(bind("bind")).source)
  }

  @Test func longParameterGoesByMount() throws {
    let layers = String(repeating: "/layer:", count: 40) + "/last"
    let made = try step(
      Mount(destination: "/d", type: "overlay", source: "overlay", options: ["lowerdir=\(layers)", "iversion", "sync"]))
    #expect(
      made.source == .legacyFileSystem(type: "overlay", source: "overlay", data: "lowerdir=\(layers),sync"))
  }

  @Test func remountOfAMountOrOfAFileSystem() throws {
    #expect(
      try step(bind("remount", "ro")).source == .remount(attributesOnly: true, parameters: []))
    #expect(
      try step(Mount(destination: "/d", type: "tmpfs", options: ["remount", "size=1m"])).source
        == .remount(attributesOnly: false, parameters: [MountParameter(key: "size", value: "1m")]))
  }

  @Test func idMappingsOfTheMountAndOfTheContainer() throws {
    var mount = bind("idmap")
    mount.uidMappings = [IDMapping(containerID: 0, hostID: 5, size: 6)]
    mount.gidMappings = [IDMapping(containerID: 1, hostID: 7, size: 8)]
    let map = MountIDMap(
      recursive: false, uids: [IDRange(inside: 0, outside: 5, count: 6)],
      gids: [IDRange(inside: 1, outside: 7, count: 8)])
    #expect(try step(mount).idMap == map)
    // The mappings alone mean the same.
    mount.options = []
    #expect(try step(mount).idMap == map)
    mount.options = ["ridmap"]
    #expect(try step(mount).idMap?.recursive == true)
    #expect(try step(bind("ridmap"), userNamespace: true).idMap == MountIDMap(recursive: true))
    #expect(try step(bind()).idMap == nil)
  }

  @Test func idMappingsInTheOption() throws {
    let plain = try step(bind("idmap=uids=0-1-10#10-11-10;gids=0-100-10"))
    #expect(
      plain.idMap
        == MountIDMap(
          recursive: false,
          uids: [IDRange(inside: 0, outside: 1, count: 10), IDRange(inside: 10, outside: 11, count: 10)],
          gids: [IDRange(inside: 0, outside: 100, count: 10)]))
    let relative = try step(bind("ridmap=uids=@0-5-10;gids=@0-0-500"), userNamespace: true)
    #expect(
      relative.idMap
        == MountIDMap(
          recursive: true, uids: [IDRange(inside: 0, outside: 1005, count: 10)],
          gids: [IDRange(inside: 0, outside: 2000, count: 500)]))
  }

  @Test func mistakesOfIdMappingAreNamed() {
    var oneSided = bind("idmap")
    oneSided.uidMappings = [IDMapping(containerID: 0, hostID: 5, size: 6)]
    #expect(failure(oneSided)?.field == "/mounts/0/gidMappings")
    #expect(failure(bind("idmap"))?.message.contains("no user namespace") == true)
    for type in ["overlay", "proc", "sysfs", "devpts", "cgroup"] {
      let error = failure(
        Mount(destination: "/d", type: type, source: "x", options: ["idmap"]), userNamespace: true)
      #expect(error?.message == "a mount of type `\(type)` cannot be id-mapped")
      #expect(error?.hint.isEmpty == false)
    }
    for text in ["uids=0-1", "uids=0-1-0;gids=0-0-1", "frob=0-0-1", "uids=a-b-c;gids=0-0-1", "uids=0-0-1"] {
      #expect(failure(bind("idmap=\(text)"))?.field == "/mounts/0/options", "\(text)")
    }
    #expect(
      failure(bind("idmap=uids=@400-400-200;gids=@0-0-1"), userNamespace: true)?.message.contains("does not map")
        == true)
  }

  @Test func traitsAreForTheirKindOfMount() throws {
    #expect(
      try step(bind("copy-symlink", "src-nofollow", "dest-nofollow")).traits
        == [.copiesSymlink, .sourceNoFollow, .destinationNoFollow])
    #expect(failure(bind("tmpcopyup"))?.field == "/mounts/0/options")
    #expect(
      failure(Mount(destination: "/d", type: "tmpfs", source: "t", options: ["src-nofollow"]))?.field
        == "/mounts/0/options")
    #expect(failure(Mount(destination: "/d", type: "ramfs", source: "t", options: ["tmpcopyup"])) != nil)
  }

  @Test func labelIsGivenToFileSystemsThatKnowLabels() throws {
    #expect(failure(Mount(destination: "/d", type: "tmpfs", source: "t"), label: "a:b:c")?.field == "/linux/mountLabel")
    let made = try step(Mount(destination: "/d", type: "tmpfs", source: "t"), label: "a:b:c0,c1", selinux: true)
    #expect(
      made.source
        == .fileSystem(
          type: "tmpfs", source: "t", parameters: [MountParameter(key: "context", value: "a:b:c0,c1")]))
    for type in ["proc", "sysfs", "mqueue"] {
      let other = try step(Mount(destination: "/d", type: type, source: "x"), label: "a:b:c", selinux: true)
      #expect(other.source == .fileSystem(type: type, source: "x", parameters: []) && other.label.isEmpty)
    }
    // A label of its own comes first.
    let own = try step(
      Mount(destination: "/d", type: "tmpfs", source: "t", options: ["context=\"d:e:f:c1,c2\""]), label: "a:b:c",
      selinux: true)
    #expect(
      own.source
        == .fileSystem(
          type: "tmpfs", source: "t", parameters: [MountParameter(key: "context", value: "d:e:f:c1,c2")]))
    // What is there already has its label.
    #expect(try step(bind("ro"), label: "a:b:c", selinux: true).source == .bind(path: "/s", recursive: false))
  }

  /// In the text of mount(2) a comma would end the label.
  @Test func labelIsQuotedWhereOptionsAreOneText() throws {
    let long = "lowerdir=/" + String(repeating: "l", count: 300)
    let made = try step(
      Mount(destination: "/d", type: "overlay", source: "o", options: [long]), label: "a:b:c:s0:c1,c2", selinux: true)
    #expect(
      made.source
        == .legacyFileSystem(type: "overlay", source: "o", data: "\(long),context=\"a:b:c:s0:c1,c2\""))
  }

  @Test func labelIsGivenByTheRuntimeWhereNoParameterCan() throws {
    func planned(_ mount: Mount, _ namespaces: [String]) throws -> (step: MountStep, plan: ContainerPlan) {
      var labelled = config(mount, label: "a:b:c")
      labelled.linux?.namespaces = namespaces.map { Namespace(type: $0) }
      labelled.linux?.maskedPaths = ["/proc/acpi"]
      let plan = try Planner.plan(
        PlanInput(
          config: labelled, bundle: "/b", keyring: nil, facts: HostFacts(effectiveUser: 0, hasSELinux: true)))
      for case .mount(let step) in plan.steps { return (step, plan) }
      throw RuntimeError(.configInvalid, "no mount in the plan")
    }
    let queues = Mount(destination: "/dev/mqueue", type: "mqueue", source: "mqueue")
    #expect(try planned(queues, ["mount", "ipc"]).step.label == "a:b:c")
    // Those of the host keep theirs.
    #expect(try planned(queues, ["mount"]).step.label.isEmpty)
    let cgroups = try planned(Mount(destination: "/c", type: "cgroup", source: "cgroup"), ["mount"])
    #expect(cgroups.step.label == "a:b:c")
    #expect(cgroups.plan.steps.contains(.maskPaths(["proc/acpi"], label: "a:b:c")))
  }

  @Test func joinedMountNamespaceComesLastAndCounts() throws {
    var joined = config(Mount(destination: "/d", type: "tmpfs", source: "t"))
    joined.linux?.namespaces = [
      Namespace(type: "mount", path: "/proc/7/ns/mnt"), Namespace(type: "ipc", path: "/proc/7/ns/ipc"),
      Namespace(type: "uts", path: "/proc/7/ns/uts"),
    ]
    let plan = try Planner.plan(
      PlanInput(config: joined, bundle: "/b", keyring: nil, noPivot: true, facts: HostFacts(effectiveUser: 0)))
    #expect(plan.namespaces.joined.map { $0.kind } == [.newIPC, .newUTS, .newMount])
    #expect(plan.steps.contains(.moveRoot) && !plan.steps.contains(.pivotRoot))
  }
}
