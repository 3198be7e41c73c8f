public import ContainerPlan
public import Diagnostics
import LinuxABI
import Seccomp

extension ContainerRuntime {
  /// The plan of a bundle, worked out and not carried out: nothing is made, nothing is started.
  public func plan(_ options: CreateOptions) throws(RuntimeError) -> [PlanLine] {
    let bundle = try Bundle.load(options.bundle)
    let plan = try makePlan(
      bundle, keyring: options.noNewKeyring ? nil : "_ses", noPivot: options.noPivot)
    // What `create` would refuse is refused here as well; none of it has a side effect.
    try bundle.checkRoot(plan)
    _ = try CgroupSetup(plan, id: "plan", self.options)
    // Not through the cache, which would be written to.
    _ = try SeccompCompiler.program(for: plan.seccomp, stateRoot: "", log: self.options.log)
    return plan.lines
  }
}
