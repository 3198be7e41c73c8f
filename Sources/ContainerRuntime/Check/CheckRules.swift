import ContainerPlan

// The rules that are followed outside of the planner. What they are about is checked where it is carried out; `create`
// goes the same way.
extension Rule {
  static let document = Rule("document", "/*", "config.md")
  static let cgroupsPath = Rule("cgroups-path", "/linux/cgroupsPath", "config-linux.md, Cgroups Path")
  static let allowedDevices = Rule(
    "device-rule", "/linux/resources/devices/*", "config-linux.md, Allowed Device list")
  static let resources = Rule("resources", "/linux/resources/*", "config-linux.md, Control groups")
  static let resourcesIgnored = Rule(
    "resources-ignored", "/linux/resources/memory/*", "config-linux.md, Memory", .warning)
  static let seccomp = Rule("seccomp", "/linux/seccomp/*", "config-linux.md, Seccomp")
}

// What a host has to have. `create` finds the same on its way, and fails.
extension Rule {
  static let kernel = Rule("kernel", "", "", .host)
  static let namespaceKind = Rule("namespace-kind", "/linux/namespaces/*", "namespaces(7)", .host)
  static let namespaceFile = Rule("namespace-file", "/linux/namespaces/*/path", "config-linux.md, Namespaces", .host)
  static let fileSystem = Rule("file-system", "/mounts/*/type", "filesystems(5)", .host)
  static let seccompKernel = Rule("seccomp-kernel", "/linux/seccomp/*", "seccomp(2)", .host)
  static let appArmorProfile = Rule(
    "apparmor-profile", "/process/apparmorProfile", "config.md, Linux Process", .host)
  static let capability = Rule("capability", "/process/capabilities/*/*", "config.md, Linux Process", .warning)
  static let sysctl = Rule("sysctl", "/linux/sysctl/*", "proc(5)", .host)
  static let cgroups = Rule("cgroups", "", "cgroups(7)", .host)
  static let cgroupWritable = Rule("cgroup-writable", "/linux/cgroupsPath", "cgroups(7)", .host)
  static let cgroupDelegation = Rule("cgroup-delegation", "/linux/cgroupsPath", "cgroups(7)", .warning)
  static let cgroupFree = Rule("cgroup-free", "/linux/cgroupsPath", "config-linux.md, Control groups", .host)
  static let controllers = Rule("controllers", "/linux/resources/*", "cgroups(7)", .host)
  static let resctrl = Rule("resctrl", "/linux/intelRdt", "config-linux.md, IntelRdt", .host)
  static let rootDirectory = Rule("root-directory", "/root/path", "config.md, Root", .host)
  static let stateRoot = Rule("state-root", "", "", .host)
  static let mountSource = Rule("mount-source", "/mounts/*/source", "config.md, Mounts", .host)
  static let executable = Rule("executable", "/process/args/0", "config.md, Process", .warning)
  static let hook = Rule("hook", "/hooks/*/*/path", "config.md, POSIX-platform Hooks", .host)
  static let startHook = Rule(
    "start-hook", "/hooks/startContainer/*/path", "config.md, POSIX-platform Hooks", .warning)
  static let device = Rule("device", "/linux/devices/*/major", "proc(5)", .warning)
  static let deviceNode = Rule("device-node", "/linux/devices/*/path", "user_namespaces(7)", .host)
  static let netDevice = Rule("net-device", "/linux/netDevices/*", "config-linux.md, Network Devices", .host)
}

// What takes root, or rights that root has given.
extension Rule {
  static let ownMap = Rule("id-mapping-parent", "/linux/uidMappings/*/hostID", "user_namespaces(7)", .host)
  static let ownedNamespace = Rule("mount-owned-namespace", "/mounts/*/type", "user_namespaces(7)", .host)
  static let userNamespaceAllowed = Rule("user-namespace-allowed", "/linux/namespaces", "user_namespaces(7)", .host)
  static let subordinateIDs = Rule("subordinate-ids", "/linux/uidMappings/*/hostID", "subuid(5)", .host)
  static let mapHelper = Rule("map-helper", "/linux/uidMappings", "newuidmap(1)", .host)
  static let setgroups = Rule("setgroups", "/process/user/additionalGids", "user_namespaces(7)", .host)
  static let rootlessMount = Rule("rootless-mount", "/mounts/*", "user_namespaces(7)", .host)
  static let rootlessNetDevice = Rule("rootless-net-device", "/linux/netDevices/*", "user_namespaces(7)", .host)
  static let rootlessLimit = Rule("rootless-limit", "/process/*", "setrlimit(2)", .host)
}

extension Rule {
  /// Every rule that `check` can name, in the order of `spec/rules.md`.
  static var catalogue: [Rule] {
    all + [
      .document, .cgroupsPath, .allowedDevices, .resources, .resourcesIgnored, .seccomp, .kernel, .namespaceKind,
      .namespaceFile, .fileSystem, .seccompKernel, .appArmorProfile, .capability, .sysctl, .cgroups, .cgroupWritable,
      .cgroupDelegation, .cgroupFree, .controllers, .resctrl, .rootDirectory, .stateRoot, .mountSource, .executable,
      .hook, .startHook, .device, .deviceNode, .netDevice, .ownMap, .ownedNamespace, .userNamespaceAllowed,
      .subordinateIDs, .mapHelper, .setgroups, .rootlessMount, .rootlessNetDevice, .rootlessLimit,
    ]
  }
}
