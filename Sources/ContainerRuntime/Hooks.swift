import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI
import OCISpec

/// The hooks that run in the namespaces of the runtime (config.md, "POSIX-platform Hooks").
extension ContainerRuntime {
  /// Runs hooks one after another, in the bundle as working directory; the first that fails is the error.
  func run(
    _ hooks: [HookPlan], _ record: ContainerRecord, _ status: ContainerStatus, pid: Int32?
  ) throws(RuntimeError) {
    if hooks.isEmpty { return }
    let bundle = openBundle(record)
    let runner = HookRunner(
      environment: Environment.all(), state: record.hookState(status, pid: pid), directory: bundle.number)
    for hook in hooks {
      try runner.run(hook)
      options.log.debug("\(hook.kind.name) hook `\(hook.path)` has run")
    }
  }

  /// A failure is a warning, and the others run all the same (runtime.md, "Lifecycle").
  func runPoststop(_ record: ContainerRecord) {
    for hook in record.poststop {
      do {
        try run([hook], record, .stopped, pid: nil)
      } catch {
        options.log.warning(error.text)
      }
    }
  }

  /// As the peers have it. A bundle that is gone by now must not keep the hooks from running.
  private func openBundle(_ record: ContainerRecord) -> FileDescriptor {
    do {
      return try FileDescriptor.open(record.bundle, [.path, .directory])
    } catch {
      options.log.debug("hooks do not start in the bundle: \(error.text)")
      return FileDescriptor(owning: -1)
    }
  }

  /// What the init stage is told of its hooks.
  func initHooks(_ hooks: HookPlans, _ record: ContainerRecord) -> InitHooks {
    if hooks.createContainer.isEmpty && hooks.startContainer.isEmpty { return InitHooks() }
    return InitHooks(
      startContainer: hooks.startContainer, creatingState: record.hookState(.creating, pid: nil),
      createdState: record.hookState(.created, pid: nil),
      environment: hooks.createContainer.contains { $0.environment.isEmpty } ? Environment.all() : [])
  }
}

extension ContainerRecord {
  /// The state document that hooks read.
  func hookState(_ status: ContainerStatus, pid: Int32?) -> [UInt8] {
    state(status, pid: pid).document()
  }

  /// The state of the specification (runtime.md, "State").
  func state(_ status: ContainerStatus, pid: Int32?) -> State {
    State(
      ociVersion: ociVersion, id: id, status: status.name, pid: pid, bundle: bundle,
      annotations: annotations.isEmpty ? nil : annotations)
  }
}
