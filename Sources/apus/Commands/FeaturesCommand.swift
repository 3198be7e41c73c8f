import ContainerPlan
import Diagnostics
import LinuxABI
import OCISpec
import Seccomp

/// `features`: what this build can do, whatever the machine (features.md).
struct FeaturesCommand: Equatable, Sendable {
  static var specification: CommandSpecification {
    CommandSpecification(
      "features", "print what this build supports as JSON", operands: "", operandCount: 0...0, flags: [],
      description: """
        The features document of the runtime specification. Managers decide by it what they may ask for.
        """)
  }

  func run(_ session: Session) throws(RuntimeError) {
    try StandardStream.print(document: FeaturesCommand.document.document())
  }

  /// Only what is carried out is announced: a name that is known and then refused stands nowhere here.
  static var document: Features {
    Features(
      ociVersionMin: OCIVersion.oldest, ociVersionMax: OCIVersion.current, hooks: HookKind.allCases.map { $0.name },
      mountOptions: mountOptions, linux: linux,
      annotations: [NamedValue("io.github.seccomp.libseccomp.version", SeccompLibrary.version)])
  }

  private static var linux: LinuxFeatures {
    LinuxFeatures(
      namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
      capabilities: Capability.allCases.map { $0.name },
      cgroup: CgroupFeatures(v1: true, v2: true, systemd: false, systemdUser: false),
      seccomp: SeccompFeatures(
        enabled: true,
        actions: SeccompAction.allCases.filter { $0 != .notify }.map { $0.name },
        operators: SeccompOperator.allCases.map { $0.name },
        archs: SeccompCompiler.knownArchitectureNames,
        knownFlags: SeccompFilterFlags.knownNames),
      apparmor: EnabledFeature(enabled: false), selinux: EnabledFeature(enabled: false),
      intelRdt: IntelRDTFeatures(enabled: true, schemata: true, monitoring: true),
      memoryPolicy: MemoryPolicyFeatures(
        modes: MemoryPolicyMode.allCases.map { $0.name }, flags: MemoryPolicyFlag.allCases.map { $0.name }),
      mountExtensions: MountExtensionFeatures(idmap: EnabledFeature(enabled: false)),
      netDevices: EnabledFeature(enabled: true))
  }

  static var mountOptions: [String] {
    [
      "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "lazytime", "loud", "mand",
      "noatime", "nodev", "nodiratime", "noexec", "nolazytime", "nomand", "norelatime", "nostrictatime",
      "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "rexec",
      "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid",
      "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime",
      "rsuid",
      "rsymfollow", "runbindable", "rw", "shared", "silent", "slave", "strictatime", "suid", "symfollow",
      "sync",
      "tmpcopyup", "unbindable",
    ]
  }
}
