import ContainerPlan
import ContainerRuntime
import Diagnostics
import LinuxABI
import OCISpec
import Seccomp

/// `features`: what this build can do, whatever the machine (features.md); only the flags of seccomp and the second annotation
/// about Landlock are the kernel's.
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

  /// Every property of the document. Only what is carried out is announced: a name that is known and then refused stands
  /// nowhere here. The lists are those that the configuration is read by.
  static var document: Features {
    Features(
      ociVersionMin: OCIVersion.oldest, ociVersionMax: OCIVersion.current,
      hooks: HookKind.allCases.map { $0.name }, mountOptions: MountOption.allNames, linux: linux,
      annotations: [
        NamedValue("io.github.seccomp.libseccomp.version", SeccompCompiler.libraryVersionText),
        NamedValue("\(LandlockConfig.annotation).abi", "\(LandlockSet.newestABI)"),
        NamedValue("\(LandlockConfig.annotation).kernelAbi", "\(LandlockSupport.ofThisKernel.abi)"),
        NamedValue("org.opencontainers.runc.checkpoint.enabled", ContainerRuntime.canCheckpoint ? "true" : "false"),
      ],
      // All others go to the state and change nothing.
      potentiallyUnsafeConfigAnnotations: ["org.systemd.property.", LandlockConfig.annotation, "org.criu.config"])
  }

  private static var linux: LinuxFeatures {
    let yes = EnabledFeature(enabled: true)
    return LinuxFeatures(
      namespaces: NamespaceKind.allCases.map { $0.ociName }, capabilities: Capability.allCases.map { $0.name },
      cgroup: CgroupFeatures(v1: true, v2: true, systemd: true, systemdUser: true, rdma: true),
      seccomp: SeccompFeatures(
        enabled: true, actions: SeccompAction.allCases.map { $0.name },
        operators: SeccompOperator.allCases.map { $0.name }, archs: SeccompCompiler.architectureNames,
        knownFlags: SeccompFilterFlags.knownNames, supportedFlags: SeccompFilterFlags.supportedNames),
      apparmor: yes, selinux: yes,
      intelRdt: IntelRDTFeatures(enabled: true, schemata: true, monitoring: true),
      memoryPolicy: MemoryPolicyFeatures(
        modes: MemoryPolicyMode.allCases.map { $0.name }, flags: MemoryPolicyFlag.allCases.map { $0.name }),
      mountExtensions: MountExtensionFeatures(idmap: yes), netDevices: yes)
  }
}
