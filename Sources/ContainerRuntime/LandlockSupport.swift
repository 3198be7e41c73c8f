public import ContainerPlan
import Diagnostics
import Linux

extension LandlockSupport {
  /// What the kernel that runs has, and lets this process use.
  public static var ofThisKernel: LandlockSupport {
    do {
      return .version(try LandlockRuleset.version())
    } catch {
      return .missing(error.errno)
    }
  }
}
