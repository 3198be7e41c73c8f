public import ContainerPlan
public import Diagnostics

extension ContainerRuntime {
  /// The plan of a bundle, worked out and not carried out: nothing is made, nothing is started.
  public func plan(_ options: CreateOptions) throws(RuntimeError) -> [PlanLine] {
    let bundle = try Bundle.load(options.bundle)
    let plan = try makePlan(bundle, keyring: options.noNewKeyring ? nil : "_ses")
    return plan.lines
  }
}
