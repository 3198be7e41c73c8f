import ContainerRuntime
import Diagnostics
import Linux

/// What a command works with.
struct Session {
  let options: GlobalOptions
  let log: Logger
  /// How many descriptors from 3 on the caller left open.
  let openDescriptors: UInt32

  /// The library, with what the global flags say.
  func runtime() throws(RuntimeError) -> ContainerRuntime {
    var root = options.root ?? StateRoot.standard()
    if root.utf8.first != 0x2F {
      do {
        root = "\(try Programs.workingDirectory())/\(root)"
      } catch {
        throw error.because(.usage, "cannot tell where the state directory is", field: "--root")
      }
    }
    var runtimeOptions = RuntimeOptions(root: root, log: log.sink)
    runtimeOptions.isRootless = options.isRootless
    runtimeOptions.cgroupDriver = options.cgroupDriver
    return ContainerRuntime(runtimeOptions)
  }
}
