import Foundation
import Testing

extension Integration {
  /// Mounts of the types `cgroup` and `cgroup2`, in every layout. `hack/test` finds the tests for v1 and v2 by the
  /// beginning of their names.
  @Suite struct CgroupMountTests {
    private func container(
      type: String = "cgroup", options: [String] = ["nosuid", "noexec", "nodev", "relatime", "ro"],
      namespace: Bool = false
    ) throws -> Container {
      let container = try Container()
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.addMount("/sys/fs/cgroup", type: type, source: "cgroup", options: options)
      if namespace { container.bundle.addNamespace("cgroup") }
      return container
    }

    /// The mounts of cgroups inside, by their destination.
    private func mounts(_ container: Container) throws -> [(path: String, mount: JSONValue)] {
      try container.report("mounts")["mounts"].elements.compactMap { mount in
        guard let path = mount["destination"].string, path.hasPrefix("/sys/fs/cgroup"),
          mount["type"].string?.hasPrefix("cgroup") == true
        else { return nil }
        return (path, mount)
      }
    }

    private static let types = CgroupView.current == .v2 ? ["cgroup", "cgroup2"] : ["cgroup"]

    @Test(arguments: types, [false, true])
    func mountOfCgroupShowsEveryHierarchyOfTheHost(type: String, namespace: Bool) throws {
      let found = try mounts(container(type: type, namespace: namespace))
      var wanted = Set(Cgroups.hierarchies().map(\.path))
      // crun and runc leave the v2 hierarchy of the hybrid layout out.
      if CgroupView.current == .hybrid { wanted.remove("/sys/fs/cgroup/unified") }
      #expect(Set(found.map(\.path)).isSuperset(of: wanted), "\(found)")
      for (path, mount) in found {
        #expect(
          Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(path): \(mount.text)")
      }
    }

    @Test(arguments: [false, true]) func mountOfCgroupHoldsTheContainersCgroupOnly(namespace: Bool) throws {
      let container = try container(namespace: namespace)
      let outcome = try container.shell(
        "for file in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do [ -e $file ] && cat $file; done | busybox sort -u"
      )
      #expect(outcome.code == 0, "\(outcome)")
      // The shell, and the processes of its pipe.
      let ids = outcome.stdout.split(separator: "\n").compactMap { Int($0) }
      #expect(ids.contains(1) && !ids.contains(0), "\(outcome)")
    }

    @Test func mountOfCgroupCannotBeWrittenTo() throws {
      let container = try container()
      container.allowProbing()
      let folder = CgroupView.current == .v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
      let outcome = try container.shell("mkdir \(folder)/made && echo made || echo refused")
      #expect(outcome.stdout == "refused\n", "\(outcome)")
    }

    @Test func mountOfCgroupWithoutReadOnlyCanBeWrittenTo() throws {
      let container = try container(options: ["nosuid", "noexec", "nodev"], namespace: true)
      container.allowProbing()
      let folder = CgroupView.current == .v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
      let outcome = try container.shell("mkdir \(folder)/made && echo made; busybox rmdir \(folder)/made")
      #expect(outcome.stdout == "made\n", "\(outcome)")
    }

    @Test(arguments: [false, true]) func mountOfCgroupInAUserNamespace(namespace: Bool) throws {
      let container = try container(namespace: namespace)
      try container.bundle.mapUsers()
      let found = try mounts(container)
      #expect(!found.isEmpty)
      for (path, mount) in found {
        #expect(
          Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(path): \(mount.text)")
      }
    }

    @Test(.views(.v1, .hybrid)) func mountOfCgroupOfOneController() throws {
      let container = try container()
      let memory = try #require(Cgroups.root(of: "memory"))
      let outcome = try container.shell(
        "cat \(memory)/cgroup.procs; ls -d /sys/fs/cgroup/cpu,cpuacct 2> /dev/null; echo")
      #expect(outcome.stdout.hasPrefix("1\n"), "\(outcome)")
    }

    /// The folder around the hierarchies is as strict as the options say.
    @Test(
      .views(.v1, .hybrid), .peerDiffers("runc", "1.1.5", "leaves it writable"),
      .peerDiffers("crun", "1.8.1", "leaves it writable"))
    func mountOfCgroupHasAReadOnlyFolderAround() throws {
      let mount = try #require(
        try container().report("mounts")["mounts"].elements.first { $0["destination"].string == "/sys/fs/cgroup" })
      #expect(mount["type"].string == "tmpfs")
      #expect(Set(mount.words("options")).isSuperset(of: ["ro", "nosuid", "nodev", "noexec"]), "\(mount.text)")
    }
  }
}
