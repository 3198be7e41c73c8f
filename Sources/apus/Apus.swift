import CStart
import ContainerInit
import ContainerRuntime
import Diagnostics
import Linux
import LinuxABI

@main
enum Apus {
  static func main() {
    // Before any other work: the init stage must not be traceable for longer than it takes to say so.
    if apus_argument_count() > 0 && String(cString: apus_argument(0)) == InitStage.argument0 {
      InitStage.main()
    }
    if apus_argument_count() > 0 && String(cString: apus_argument(0)) == MountHelper.argument0 {
      MountHelper.main()
    }
    Processes.exit(run())
  }

  private static func run() -> Int32 {
    let early = Logger(format: .text, debug: false)
    let invocation: Invocation
    do {
      try prepareProcess()
      invocation = Invocation(try arguments())
    } catch {
      early.report(error)
      return 1
    }
    do throws(RuntimeError) {
      switch invocation.request {
      case .success(.help(let topic)):
        // podman takes status 0 for a promise.
        if invocation.isProbe && topic == .checkpoint { try ContainerRuntime.checkForCriu() }
        try StandardStream.print(Help.text(topic, program: invocation.program))
        return 0
      case .success(.version):
        try StandardStream.print(Version.text(program: invocation.program))
        return 0
      case .success(.command(let command)):
        return run(command, invocation.options, failureStatus: invocation.failureStatus)
      case .failure(let error):
        let log = try Logger(invocation.options)
        log.report(error)
        return invocation.failureStatus
      }
    } catch {
      early.report(error)
      return 1
    }
  }

  private static func run(_ command: Command, _ options: GlobalOptions, failureStatus: Int32) -> Int32 {
    // The log file would be one of them.
    let openDescriptors = StandardDescriptors.countOfOthers()
    let refused = refusal(command)
    let log: Logger
    do {
      log = try Logger(options)
    } catch {
      Logger(format: options.logFormat, debug: false).report(error)
      return failureStatus
    }
    do throws(RuntimeError) {
      if let refused { throw refused }
      return try command.run(Session(options: options, log: log, openDescriptors: openDescriptors))
    } catch {
      log.report(error)
      return failureStatus
    }
  }

  private static func refusal(_ command: Command) -> RuntimeError? {
    do {
      try command.checkDescriptors()
      return nil
    } catch {
      return error
    }
  }

  private static func prepareProcess() throws(RuntimeError) {
    do {
      // A runtime called with 0, 1 or 2 closed would open a state file under that number and log into it.
      try StandardDescriptors.fill()
      // A reader that went away is an error of the write, and must not end a half-made container's maker.
      try Signals.ignore(Signal.brokenPipe)
    } catch {
      throw error.because(.spawn, "cannot prepare the process")
    }
  }

  /// argv as text. A name that is not UTF-8 could only be used as another name.
  private static func arguments() throws(RuntimeError) -> [String] {
    var list: [String] = []
    let count = apus_argument_count()
    list.reserveCapacity(Int(count))
    for index in 0..<count {
      guard let argument = String(validatingCString: apus_argument(index)) else {
        throw RuntimeError(.usage, "argument \(index) is not valid UTF-8")
      }
      list.append(argument)
    }
    return list
  }
}
