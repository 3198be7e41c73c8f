import ContainerPlan
import Foundation
import OCISpec
import Testing

@testable import ContainerRuntime

/// A folder in the place of `/`, and a bundle beside it; gone with this object.
final class HostFolder {
  let path: String
  var bundle: String { path + "/bundle" }

  init(_ changes: [String: String?] = [:]) throws {
    path = NSTemporaryDirectory() + "apus-host-\(UUID().uuidString)"
    var files = HostFolder.files
    for (name, text) in changes { files[name] = text }
    files["bundle/rootfs/bin/true"] = ""
    for (name, text) in files {
      let file = URL(filePath: path).appending(path: name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: false, encoding: .utf8)
    }
    chmod(bundle + "/rootfs/bin/true", 0o755)
    // By a link that leads out of the host's view and not out of the container's.
    symlink("/bin/true", bundle + "/rootfs/bin/link")
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      Issue.record("left behind: \(error)")
    }
  }

  /// What a usual host tells.
  private static let files: [String: String] = {
    var files: [String: String] = [
      "proc/filesystems": "nodev\tproc\nnodev\ttmpfs\nnodev\tsysfs\nnodev\tmqueue\nnodev\tfuse\n\text4\n",
      "proc/sys/kernel/osrelease": "6.1.0\n", "proc/sys/kernel/cap_last_cap": "40\n",
      "proc/sys/kernel/unprivileged_userns_clone": "1\n",
      "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0\n",
      "proc/self/status": "Name:\tapus\nCapPrm:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\n",
      "proc/self/uid_map": "         0          0 4294967295\n",
      "proc/self/gid_map": "         0          0 4294967295\n", "proc/self/oom_score_adj": "0\n",
      "proc/sys/net/ipv4/ip_forward": "0\n",
      "proc/devices": "Character devices:\n  1 mem\n 10 misc\n\nBlock devices:\n  7 loop\n",
      "sys/module/apparmor/parameters/enabled": "Y\n",
      "sys/kernel/security/apparmor/profiles": "/usr/sbin/x (enforce)\np (enforce)\n",
      "dev/fuse": "", "etc/passwd": "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n",
      "etc/subuid": "other:1:9\nuser:100000:65536\n", "etc/subgid": "1000:100000:65536\n",
      "lib/modules/6.1.0/modules.alias": "# aliases\nalias fs-xfs xfs\nalias pci:v1 a\nalias fs-nfs4 nfs\n",
    ]
    for name in ["pid", "net", "mnt", "ipc", "uts", "user", "cgroup", "time"] {
      files["proc/self/ns/\(name)"] = ""
      files["proc/sys/user/max_\(name)_namespaces"] = "100\n"
    }
    return files
  }()

  /// What this host can honour.
  static let config: Config = {
    var process = OCISpec.Process(args: ["true"], env: ["PATH=/sbin:/bin"], cwd: "/")
    process.capabilities = Capabilities(bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"])
    process.apparmorProfile = "p"
    process.selinuxLabel = "l"
    var linux = LinuxConfig()
    linux.namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup", "time"].map { Namespace(type: $0) }
    linux.devices = [Device(type: "c", path: "/dev/fuse", major: 10, minor: 229)]
    linux.sysctl = [NamedValue("net.ipv4.ip_forward", "1"), NamedValue("net.ipv4.conf.eth0.forwarding", "1")]
    linux.seccomp = SeccompProfile(defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG"])
    var config = Config(ociVersion: "1.3.0", root: Root(path: "rootfs"))
    config.process = process
    config.linux = linux
    config.hooks = Hooks(
      createRuntime: [Hook(path: "/bin/sh")], startContainer: [Hook(path: "/bin/link")])
    config.mounts = [
      Mount(destination: "/proc", type: "proc", source: "proc"),
      Mount(destination: "/xfs", type: "xfs", source: "/dev/vda"),
      Mount(destination: "/nfs", type: "nfs4", source: "h:/"),
      Mount(destination: "/sshfs", type: "fuse.sshfs", source: "x"),
      Mount(destination: "/data", type: "bind", source: "rootfs", options: ["bind"]),
    ]
    return config
  }()

  /// The same in a user namespace, made by user 1000.
  static let rootless: Config = {
    var config = HostFolder.config
    config.linux?.namespaces?.append(Namespace(type: "user"))
    let mappings = [
      IDMapping(containerID: 0, hostID: 1000, size: 1), IDMapping(containerID: 1, hostID: 100_000, size: 65536),
    ]
    config.linux?.uidMappings = mappings
    config.linux?.gidMappings = mappings
    config.mounts?.removeSubrange(1...2)
    return config
  }()

  func findings(_ config: Config, caller: UInt32, stateRoot: String = "/run/apus") throws -> [Finding] {
    let input = PlanInput(config: config, bundle: bundle, keyring: nil, facts: HostFacts(effectiveUser: caller))
    let check = BundleCheck(
      config: config, plan: try Planner.check(input).plan, bundle: Bundle(path: bundle, config: config), caller: caller,
      callerGroup: caller, isRootless: caller != 0, stateRoot: stateRoot, files: HostFiles(prefix: path))
    check.checkKernel()
    check.checkUsers()
    check.checkFiles()
    return check.findings
  }
}
