import Diagnostics
import Foundation
import OCISpec
import Testing

func fixture(_ name: String) throws -> [UInt8] {
  let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
  return Array(try Data(contentsOf: folder.appending(path: name)))
}

func config(_ text: String) throws(RuntimeError) -> Config {
  try Config.decode(Array(text.utf8), file: "config.json")
}

/// A configuration with `members` added to the required ones.
func minimal(_ members: String) -> String {
  #"{"ociVersion":"1.2.0","root":{"path":"rootfs"},"# + members + "}"
}

/// Every object of a JSON text with its names in the opposite order.
private func reversed(_ value: Any) throws -> String {
  if let object = value as? [String: Any] {
    let members = try object.keys.sorted().reversed().map { "\(try reversed($0)):\(try reversed(object[$0] ?? 0))" }
    return "{\(members.joined(separator: ","))}"
  }
  if let list = value as? [Any] { return "[\(try list.map(reversed).joined(separator: ","))]" }
  let data = try JSONSerialization.data(withJSONObject: value, options: .fragmentsAllowed)
  return String(decoding: data, as: UTF8.self)
}

/// The same with the names sorted.
private func sorted(_ value: Any) throws -> [UInt8] {
  Array(try JSONSerialization.data(withJSONObject: value, options: .sortedKeys))
}

@Suite struct ConfigDecodingTests {
  @Test func orderOfNamesMeansNothing() throws {
    let document = try JSONSerialization.jsonObject(with: Data(try fixture("full.json")))
    let read = try [try sorted(document), Array(try reversed(document).utf8)].map { bytes in
      let config = try Config.decode(bytes, file: "config.json")
      return try sorted(JSONSerialization.jsonObject(with: Data(config.document())))
    }
    #expect(read[0] == read[1])
  }

  @Test func commonPartIsReadFieldForField() throws {
    let config = try Config.decode(try fixture("full.json"), file: "config.json")
    #expect(config.ociVersion == "1.3.0")
    #expect(config.root == Root(path: "rootfs", readonly: true))
    #expect(config.hostname == "slartibartfast")
    #expect(config.domainname == "magrathea.example")
    #expect(
      config.mounts == [
        Mount(destination: "/proc", type: "proc", source: "proc"),
        Mount(
          destination: "/data", type: "none", source: "/volumes/testing", options: ["rbind", "rw", "idmap"],
          uidMappings: [IDMapping(containerID: 0, hostID: 1000, size: 10)],
          gidMappings: [IDMapping(containerID: 0, hostID: 2000, size: 20)]),
        Mount(destination: "/empty", options: []),
      ])
    #expect(
      config.hooks
        == Hooks(
          prestart: [
            Hook(
              path: "/usr/bin/fix-mounts", args: ["fix-mounts", "arg1"], env: ["key1=value1"], timeout: 5)
          ],
          createRuntime: [Hook(path: "/usr/bin/create-runtime")],
          createContainer: [Hook(path: "/usr/bin/create-container")],
          startContainer: [Hook(path: "/usr/bin/start-container")],
          poststart: [Hook(path: "/usr/bin/notify-start", timeout: 5)],
          poststop: [Hook(path: "/usr/sbin/cleanup.sh", args: ["cleanup.sh", "-f"])]))
    #expect(
      config.annotations == [
        NamedValue("com.example.z", "last"), NamedValue("com.example.a", "first"),
        NamedValue("with/slash~tilde", "x"),
      ])
    #expect(config.annotations?.value(named: "com.example.a") == "first")
    #expect(config.annotations?.value(named: "com.example") == nil)
  }

  @Test func processIsReadFieldForField() throws {
    let process = try #require(try Config.decode(try fixture("full.json"), file: "config.json").process)
    #expect(
      process
        == OCISpec.Process(
          terminal: true, consoleSize: ConsoleSize(height: 25, width: 80),
          user: User(uid: 1, gid: 2, umask: 0o77, additionalGids: [5, 6]),
          args: ["sh", "-c", "echo \"é😀\\n\""], env: ["PATH=/bin", "GREETING=grüß dich", "EMPTY="],
          cwd: "/root",
          capabilities: Capabilities(
            bounding: ["CAP_AUDIT_WRITE", "CAP_KILL"], effective: ["CAP_KILL"], inheritable: [],
            permitted: ["CAP_AUDIT_WRITE"], ambient: ["CAP_NET_BIND_SERVICE"]),
          rlimits: [
            ResourceLimit(type: "RLIMIT_CORE", soft: 1024, hard: .max),
            ResourceLimit(type: "RLIMIT_NOFILE", soft: 1024, hard: 2048),
          ],
          noNewPrivileges: true, apparmorProfile: "acme_secure_profile", oomScoreAdj: -100,
          scheduler: Scheduler(
            policy: "SCHED_DEADLINE", nice: -5, priority: 10, flags: ["SCHED_FLAG_RESET_ON_FORK"],
            runtime: 1_000_000, deadline: 2_000_000, period: 3_000_000),
          selinuxLabel: "system_u:system_r:container_t:s0:c124,c675",
          ioPriority: IOPriority(class: "IOPRIO_CLASS_BE", priority: 4),
          execCPUAffinity: ExecCPUAffinity(initial: "0-1", final: "2,3")))
  }

  @Test func linuxPartIsReadFieldForField() throws {
    var linux = try #require(try Config.decode(try fixture("full.json"), file: "config.json").linux)
    linux.resources = nil
    #expect(
      linux
        == LinuxConfig(
          namespaces: [
            Namespace(type: "pid", path: "/proc/1234/ns/pid"), Namespace(type: "user"),
            Namespace(type: "time"),
          ],
          uidMappings: [IDMapping(containerID: 0, hostID: 1000, size: 32000)],
          gidMappings: [IDMapping(containerID: 0, hostID: .max, size: 32000)],
          timeOffsets: [
            NamedValue("monotonic", TimeOffset(secs: -172800, nanosecs: 5)),
            NamedValue("boottime", TimeOffset(secs: 604800)),
          ],
          devices: [
            Device(type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 5),
            Device(type: "p", path: "/run/fifo"),
          ],
          netDevices: [
            NamedValue("eth0", NetDevice(name: "container_eth0")), NamedValue("ens4", NetDevice()),
          ],
          cgroupsPath: "/myRuntime/myContainer",
          intelRdt: IntelRDT(
            closID: "guaranteed_group", schemata: ["L3:0=7f0;1=1f", "MB:0=20;1=70"],
            l3CacheSchema: "L3:0=ffff0", memBwSchema: "MB:0=20", enableMonitoring: true),
          memoryPolicy: MemoryPolicy(mode: "MPOL_BIND", nodes: "0-1", flags: ["MPOL_F_STATIC_NODES"]),
          sysctl: [NamedValue("net.ipv4.ip_forward", "1"), NamedValue("kernel.shmmax", "65536")],
          seccomp: SeccompProfile(
            defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 38,
            architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"], flags: ["SECCOMP_FILTER_FLAG_LOG"],
            listenerPath: "/run/listener.sock", listenerMetadata: "meta",
            syscalls: [
              SeccompRule(
                names: ["getcwd", "chmod"], action: "SCMP_ACT_ERRNO", errnoRet: 1,
                args: [
                  SeccompArgument(
                    index: 5, value: 2_114_060_288, valueTwo: .max - 1, op: "SCMP_CMP_MASKED_EQ")
                ]), SeccompRule(names: ["write"], action: "SCMP_ACT_ALLOW"),
            ]),
          rootfsPropagation: "rslave", maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"],
          mountLabel: "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811",
          personality: Personality(domain: "LINUX32", flags: [])))
  }

  @Test func resourcesAreReadFieldForField() throws {
    let resources = try Config.decode(try fixture("full.json"), file: "config.json").linux?.resources
    #expect(
      resources
        == Resources(
          devices: [
            DeviceRule(allow: false, access: "rwm"),
            DeviceRule(allow: true, type: "c", major: 10, minor: -1, access: "rw"),
          ],
          memory: MemoryResources(
            limit: 536_870_912, reservation: 536_870_911, swap: -1, kernel: -2, kernelTCP: -3, swappiness: 60,
            disableOOMKiller: false, useHierarchy: true, checkBeforeUpdate: true),
          cpu: CPUResources(
            shares: 1024, quota: 1_000_000, burst: 1_000_001, period: 500_000, realtimeRuntime: 950_000,
            realtimePeriod: 1_000_002, cpus: "2-3", mems: "0-7", idle: 1),
          pids: PidsResources(limit: 0),
          blockIO: BlockIOResources(
            weight: 10, leafWeight: 11,
            weightDevice: [WeightDevice(major: 8, minor: 0, weight: 500, leafWeight: 300)],
            throttleReadBpsDevice: [ThrottleDevice(major: 8, minor: 1, rate: 600)],
            throttleWriteBpsDevice: [ThrottleDevice(major: 8, minor: 2, rate: 601)],
            throttleReadIOPSDevice: [ThrottleDevice(major: 8, minor: 3, rate: 602)],
            throttleWriteIOPSDevice: [ThrottleDevice(major: 8, minor: 4, rate: 603)]),
          hugepageLimits: [HugepageLimit(pageSize: "2MB", limit: 209_715_200)],
          network: NetworkResources(
            classID: 1_048_577, priorities: [InterfacePriority(name: "eth0", priority: 500)]),
          rdma: [
            NamedValue("mlx5_1", RDMALimit(hcaHandles: 3, hcaObjects: 10000)),
            NamedValue("mlx4_0", RDMALimit(hcaObjects: 1000)),
          ],
          unified: [
            NamedValue("io.max", "259:0 rbps=2097152\n253:0 wiops=120"),
            NamedValue("hugetlb.1GB.max", "1073741824"),
          ]))
  }

  @Test func absentNullAndEmptyAreKeptApart() throws {
    let absent = try config(minimal(#""hostname":null,"mounts":null"#))
    #expect(absent.mounts == nil)
    #expect(absent.hostname == nil)
    #expect(absent.linux == nil)
    let empty = try config(minimal(#""hostname":"","mounts":[],"linux":{"seccomp":null,"resources":{}}"#))
    #expect(empty.mounts == [])
    #expect(empty.hostname == "")
    #expect(empty.linux?.resources == Resources())
    #expect(empty.linux?.seccomp == nil)
  }

  @Test func userIsRootWhereTheProcessNamesNone() throws {
    #expect(try config(minimal(#""process":{"cwd":"/"}"#)).process?.user == User(uid: 0, gid: 0))
  }

  @Test func objectsOfOtherPlatformsAreDropped() throws {
    let other = #""windows":{"layerFolders":[1,{"a":"\u0000"}]},"solaris":[],"vm":"x","zos":1,"freebsd":true"#
    #expect(try config(minimal(other)) == config(#"{"ociVersion":"1.2.0","root":{"path":"rootfs"}}"#))
  }

  @Test func namesAreComparedWithTheirCase() throws {
    #expect(try config(minimal(#""Hostname":"x","HOSTNAME":1"#)).hostname == nil)
  }

  @Test func processAndResourcesDocumentsStandAlone() throws {
    let process = try OCISpec.Process.decode(Array(#"{"cwd":"/","args":["id"]}"#.utf8), file: "process.json")
    #expect(process == OCISpec.Process(args: ["id"], cwd: "/"))
    let resources = try Resources.decode(Array(#"{"pids":{"limit":7}}"#.utf8), file: "-")
    #expect(resources == Resources(pids: PidsResources(limit: 7)))
  }

  @Test(arguments: [
    "1.0.0", "1.0.2-dev", "1.3.0", "1.99.0", "1.2.1+dev", "1.0.0-rc.5+a.b-c", "1.0.0-rc5",
  ])
  func versionOneIsTaken(_ version: String) throws {
    #expect(try config(#"{"ociVersion":"\#(version)","root":{"path":"r"}}"#).ociVersion == version)
  }

  @Test(arguments: [
    "", "1", "1.0", "2.0.0", "0.5.0-dev", "1.0.0.0", "01.0.0", "1.00.0", "1.0.01", "v1.0.0", "1.0.0-",
    "1.0.0+", "1.0.0-a..b", "1.0.0-01", "1.0.x", "1.-1.0", "1.0.0 ", "1.0.0+a+b", "10.0.0", "1.0.0-ä",
  ])
  func otherVersionsAreRefused(_ version: String) throws {
    let error = #expect(throws: RuntimeError.self) {
      try config(#"{"ociVersion":"\#(version)","root":5}"#)
    }
    #expect(error?.code == .versionUnsupported)
    #expect(error?.field == "/ociVersion")
    let expected = "expected a version 1 of the specification such as `1.3.0`, found `\(version)`"
    #expect(error?.message == "`config.json` line 1 column 15: \(expected)")
  }
}
