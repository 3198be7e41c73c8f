import ContainerPlan
import Diagnostics
import InitChannel
import Linux
import LinuxABI

/// The init stage: the second copy of the program, which becomes process 1 of a container and then the agent command.
public enum InitStage {
  /// argv[0] by which the program knows that it is an init stage.
  public static var argument0: String { InitPayload.argument0 }

  /// Runs the init stage with the descriptors that the runtime gave it; ends in the agent command or in an exit.
  public static func main() -> Never {
    // Before anything else, and above all before a namespace is joined: from then on processes of the container could
    // trace this one and take its descriptors (CVE-2016-9962).
    do {
      try Processes.becomeNotDumpable()
    } catch {
      Processes.exit(1)
    }
    // Started by hand there is no sealed payload, and then this is no init stage whatever argv[0] says.
    guard let payload = readPayload() else { refuse() }
    var descriptors = InitDescriptors(payload)
    var failure: RuntimeError?
    do throws(SystemError) {
      if payload.passedDescriptors > 0 { try descriptors.makeRoom(payload.passedDescriptors) }
    } catch {
      failure = error.because(.spawn, "cannot move the descriptors of the init stage")
    }
    let reporter = InitReporter(FileDescriptor(owning: descriptors.channel))
    if failure == nil { failure = run(payload, descriptors, reporter) }
    do {
      if let failure { try reporter.send(.failed(failure)) }
    } catch {
      // The runtime is gone: there is nobody left to tell.
      Processes.exit(1)
    }
    Processes.exit(1)
  }

  /// Returns only to say what failed.
  private static func run(
    _ payload: InitPayload, _ descriptors: InitDescriptors, _ reporter: borrowing InitReporter
  ) -> RuntimeError {
    let startSocket = FileDescriptor(owning: descriptors.startSocket)
    do {
      // The runtime gave the descriptors without close-on-exec, or they would not be here; from now on none may pass on.
      try describe(.spawn, "cannot mark descriptors close-on-exec") { () throws(SystemError) in
        try Programs.closeRange(from: 3, onExec: true)
        // But for these.
        if payload.passedDescriptors > 0 { try descriptors.placePassed(payload.passedDescriptors) }
      }
      if let join = payload.exec {
        var stage = ExecStage(payload: payload, descriptors: descriptors, join: join)
        return try stage.run(reporter, container: startSocket)
      }
      var stage1 = Stage1(payload: payload, descriptors: descriptors)
      if try stage1.run(reporter) {
        // Stage 2 is on its way; this half has nothing more to do.
        Processes.exit(0)
      }
      var stage2 = Stage2(payload: payload, descriptors: descriptors, callerLimits: stage1.callerLimits)
      return stage2.run(reporter, startSocket)
    } catch {
      return error
    }
  }

  private static func readPayload() -> InitPayload? {
    let file = FileDescriptor(owning: InitDescriptors.payload)
    guard file.isSealed() else { return nil }
    return read(file)
  }

  /// What a sealed file holds; nil if it is no payload.
  static func read(_ file: borrowing FileDescriptor) -> InitPayload? {
    do {
      let bytes = try file.readFromStart()
      do throws(WireError) {
        return try InitPayload(decoding: bytes)
      } catch {
        return nil
      }
    } catch {
      return nil
    }
  }

  static func refuse() -> Never {
    do {
      try FileDescriptor(owning: 2).write("apus: the init stage is started by `apus create`, `run` and `exec` only\n")
    } catch {
      Processes.exit(1)
    }
    Processes.exit(1)
  }
}
