import Cgroups
public import ContainerPlan
public import Diagnostics
import Linux
import LinuxABI
import OCISpec
import Seccomp

/// What `check` is told.
public struct CheckOptions: Sendable {
  /// The folder that holds `config.json`; relative to the working directory or absolute.
  public var bundle: String
  /// As if the caller had no privilege: what a container needs that is made without root.
  public var isRootless = false

  public init(bundle: String) {
    self.bundle = bundle
  }
}

/// What `check` has found.
public struct CheckReport: Sendable {
  /// First what the rules say, in their order, then what this host cannot honour.
  public var findings: [Finding]

  /// How many findings there are of one kind.
  public func count(_ kind: FindingKind) -> Int {
    var count = 0
    for finding in findings where finding.kind == kind { count += 1 }
    return count
  }

  /// Nothing was found that would refuse the container here.
  public var runs: Bool { count(.error) == 0 && count(.host) == 0 }
}

extension ContainerRuntime {
  /// Holds a bundle against every rule and every property of it against this host. Nothing is made and nothing is started.
  ///
  /// Throws only where there is no configuration to look at.
  public func check(_ options: CheckOptions) throws(RuntimeError) -> CheckReport {
    let (path, bytes) = try Bundle.read(options.bundle)
    let config: Config
    do {
      config = try Config.decode(bytes, file: "\(path)/config.json")
    } catch {
      // The reader stops at the first: what stands behind it has no place to be told.
      return CheckReport(findings: [Finding(.document, error)])
    }
    var facts = try facts(for: config)
    // nobody stands for whoever is not root.
    if options.isRootless && facts.effectiveUser == 0 { facts.effectiveUser = 65534 }
    let input = PlanInput(config: config, bundle: path, keyring: nil, facts: facts)
    let (plan, findings) = try Planner.check(input)
    let check = BundleCheck(
      config: config, plan: plan, bundle: Bundle(path: path, config: config),
      caller: Processes.effectiveUser(), callerGroup: Processes.effectiveGroup(), isRootless: facts.effectiveUser != 0,
      doesWithoutCgroups: options.isRootless || self.options.lacksRoot,
      cgroupDriver: self.options.cgroupDriver, stateRoot: self.options.root)
    check.findings = findings
    check.followRules()
    check.lookAtHost()
    return CheckReport(findings: check.findings)
  }
}

/// One run of `check`. A reference: its parts are many, and each would copy the configuration and the plan.
final class BundleCheck {
  let config: Config
  /// Good for looking at; it may be of a configuration that is wrong.
  let plan: ContainerPlan
  let bundle: Bundle
  /// The effective user and group.
  let caller: UInt32
  let callerGroup: UInt32
  let isRootless: Bool
  /// ``RuntimeOptions/isRootless``: a cgroup that is refused for want of permission is done without.
  let doesWithoutCgroups: Bool
  let cgroupDriver: CgroupDriver
  let stateRoot: String
  let files: HostFiles
  var findings: [Finding] = []

  var linux: LinuxConfig { config.linux ?? LinuxConfig() }

  init(
    config: Config, plan: ContainerPlan, bundle: Bundle, caller: UInt32, callerGroup: UInt32, isRootless: Bool,
    doesWithoutCgroups: Bool = false, cgroupDriver: CgroupDriver = .cgroupfs,
    stateRoot: String, files: HostFiles = HostFiles()
  ) {
    self.config = config
    self.plan = plan
    self.bundle = bundle
    self.caller = caller
    self.callerGroup = callerGroup
    self.isRootless = isRootless
    self.doesWithoutCgroups = doesWithoutCgroups
    self.cgroupDriver = cgroupDriver
    self.stateRoot = stateRoot
    self.files = files
  }

  @inline(never)
  func add(_ rule: Rule, _ error: RuntimeError) {
    findings.append(Finding(rule, error))
  }

  func lookAtHost() {
    checkKernel()
    checkUsers()
    checkCgroups()
    checkFiles()
  }

  /// What the modules below know of the configuration.
  func followRules() {
    do {
      try bundle.checkRoot(plan)
    } catch {
      add(.rootDirectory, error)
    }
    do {
      if cgroupDriver == .systemd {
        _ = try UnitName(plan.cgroup.path, id: "check", bus: .system)
        _ = try UnitProperties.annotated(plan.annotations)
      } else {
        _ = try CgroupPath(plan.cgroup.path, id: "check")
      }
    } catch {
      add(.cgroupsPath, error)
    }
    for (index, rule) in (linux.resources?.devices ?? []).enumerated() {
      do {
        _ = try DevicePermissions.permission(rule, "\(DevicePermissions.pointer)/\(index)")
      } catch {
        add(.allowedDevices, error)
      }
    }
    followSeccomp()
  }

  private func followSeccomp() {
    guard let profile = plan.seccomp else { return }
    var errors: [RuntimeError] = []
    do {
      let filter = try SeccompFilter.make(profile) { (error) throws(RuntimeError) in errors.append(error) }
      // The filter is compiled as a whole, and only one that is right.
      if errors.isEmpty, let filter { _ = try SeccompCompiler.compile(filter) }
    } catch {
      errors.append(error)
    }
    for error in errors { add(.seccomp, error) }
  }
}
