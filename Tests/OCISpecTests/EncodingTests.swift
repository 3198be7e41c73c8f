import Diagnostics
import Foundation
import JSON
import OCISpec
import Testing

func text(_ bytes: [UInt8]) -> String {
  String(decoding: bytes, as: UTF8.self)
}

@Suite struct EncodingTests {
  @Test(arguments: [JSONLayout.compact, .spaces, .tabs])
  func writtenConfigurationReadsBackTheSame(_ layout: JSONLayout) throws {
    let original = try Config.decode(try fixture("full.json"), file: "config.json")
    #expect(try Config.decode(original.document(layout), file: "copy") == original)
  }

  @Test func everythingOfTheFixtureIsWritten() throws {
    let bytes = try fixture("full.json")
    let config = try Config.decode(bytes, file: "config.json")
    var expected = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    expected["windows"] = nil
    expected["futureProperty"] = nil
    let written = try JSONSerialization.jsonObject(with: Data(config.document()))
    #expect(NSDictionary(dictionary: expected).isEqual(written))
  }

  @Test func stateIsPrintedAsManagersReadIt() {
    let state = ContainerState(
      id: "c1", pid: 42, status: "running", bundle: "/b", rootfs: "/b/rootfs",
      created: "2026-01-02T03:04:05.000000006Z", annotations: [NamedValue("k", "v\n")], owner: "root")
    #expect(
      text(state.document()) == """
        {
          "ociVersion": "1.3.0",
          "id": "c1",
          "pid": 42,
          "status": "running",
          "bundle": "/b",
          "rootfs": "/b/rootfs",
          "created": "2026-01-02T03:04:05.000000006Z",
          "annotations": {
            "k": "v\\n"
          },
          "owner": "root"
        }
        """)
    var stopped = state
    stopped.pid = 0
    stopped.annotations = nil
    #expect(
      text(ContainerState.document(of: [stopped]))
        == #"[{"ociVersion":"1.3.0","id":"c1","pid":0,"status":"running","bundle":"/b","rootfs":"/b/rootfs","#
        + #""created":"2026-01-02T03:04:05.000000006Z","owner":"root"}]"#)
    #expect(text(ContainerState.document(of: [])) == "[]")
  }

  @Test func endOfAContainerAndItsLimitsAreInItsState() {
    var state = ContainerState(id: "c1", status: "stopped", bundle: "/b", rootfs: "/b/r", created: "t", owner: "root")
    state.exit = .signal(9)
    state.limitEvents = LimitEvents(oomKills: 1, isMemoryLimitMet: true, pidsLimitHits: 0)
    let start =
      #"{"ociVersion":"1.3.0","id":"c1","pid":0,"status":"stopped","bundle":"/b","rootfs":"/b/r","created":"t","#
    #expect(
      text(state.document(.compact))
        == start + #""owner":"root","exit":{"signal":9},"#
        + #""limitEvents":{"oomKills":1,"memoryLimitMet":true,"pidsLimitHits":0}}"#)
    state.exit = .status(3)
    state.limitEvents = LimitEvents(pidsLimitHits: 2)
    #expect(
      text(state.document(.compact))
        == start + #""owner":"root","exit":{"status":3},"limitEvents":{"pidsLimitHits":2}}"#)
  }

  @Test func hooksAndListenersGetTheStateOfTheSpecification() {
    let state = State(id: "c1", status: "creating", bundle: "/b")
    let inner = #"{"ociVersion":"1.3.0","id":"c1","status":"creating","bundle":"/b"}"#
    #expect(text(state.document()) == inner)
    let notice = ContainerProcessState(fds: ["seccompFd"], pid: 7, metadata: "m", state: state)
    let expected = #"{"ociVersion":"1.3.0","fds":["seccompFd"],"pid":7,"metadata":"m","state":"# + inner + "}"
    #expect(text(notice.document()) == expected)
  }

  @Test func featuresAreWrittenUnderTheirNames() {
    let features = Features(
      ociVersionMin: OCIVersion.oldest, ociVersionMax: OCIVersion.current, hooks: ["prestart"],
      mountOptions: ["rro"],
      linux: LinuxFeatures(
        namespaces: ["user"], cgroup: CgroupFeatures(v2: true, rdma: false), seccomp: nil,
        apparmor: EnabledFeature(enabled: true),
        intelRdt: IntelRDTFeatures(enabled: true, schemata: true, monitoring: true),
        memoryPolicy: MemoryPolicyFeatures(modes: ["MPOL_BIND"], flags: []),
        mountExtensions: MountExtensionFeatures(idmap: EnabledFeature(enabled: true)),
        netDevices: EnabledFeature(enabled: true)),
      annotations: [NamedValue("v", "1")], potentiallyUnsafeConfigAnnotations: ["org.systemd.property."])
    #expect(
      text(features.document(.compact))
        == #"{"ociVersionMin":"1.0.0","ociVersionMax":"1.3.0","hooks":["prestart"],"mountOptions":["rro"],"#
        + #""linux":{"namespaces":["user"],"cgroup":{"v2":true,"rdma":false},"apparmor":{"enabled":true},"#
        + #""intelRdt":{"enabled":true,"schemata":true,"monitoring":true},"#
        + #""memoryPolicy":{"modes":["MPOL_BIND"],"flags":[]},"#
        + #""mountExtensions":{"idmap":{"enabled":true}},"netDevices":{"enabled":true}},"#
        + #""annotations":{"v":"1"},"potentiallyUnsafeConfigAnnotations":["org.systemd.property."]}"#)
  }

  @Test func defaultConfigurationHasTheUsualSettings() throws {
    let written = text(Config.default.document())
    #expect(written.hasPrefix("{\n\t\"ociVersion\": \"1.3.0\",\n\t\"process\": {\n\t\t\"terminal\": true,\n"))
    let config = try Config.decode(Array(written.utf8), file: "config.json")
    #expect(config == Config.default)
    #expect(config.hostname == "apus")
    #expect(config.mounts?.count == 7)
    #expect(
      config.linux?.namespaces?.map(\.type) == ["pid", "network", "ipc", "uts", "mount", "cgroup"])
  }

  @Test func rootlessConfigurationMapsTheUserAndDropsWhatOneIdCannotDo() throws {
    let config = Config.rootlessDefault(uid: 1000, gid: 100)
    #expect(config.linux?.namespaces?.map(\.type) == ["pid", "ipc", "uts", "mount", "cgroup", "user"])
    #expect(config.linux?.uidMappings == [IDMapping(containerID: 0, hostID: 1000, size: 1)])
    #expect(config.linux?.gidMappings == [IDMapping(containerID: 0, hostID: 100, size: 1)])
    #expect(config.linux?.resources == nil)
    let mounts = try #require(config.mounts)
    #expect(mounts.allSatisfy { $0.options?.contains("gid=5") != true })
    #expect(
      mounts.contains(
        Mount(
          destination: "/sys", type: "none", source: "/sys",
          options: ["rbind", "nosuid", "noexec", "nodev", "ro"])))
  }
}
