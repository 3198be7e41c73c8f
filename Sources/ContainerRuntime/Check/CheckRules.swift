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

  // What only this host can tell
  static let rootDirectory = Rule("root-directory", "/root/path", "config.md, Root", .host)
  static let cgroups = Rule("cgroups", "/linux/cgroupsPath", "cgroups(7)", .host)
  static let controllers = Rule("controllers", "/linux/resources/*", "cgroups(7)", .host)
}
