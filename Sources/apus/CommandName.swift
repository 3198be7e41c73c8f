import Diagnostics

/// The commands, in the order in which the help lists them. A new one gets a file in `Commands` and a line in each of
/// the four switches; nothing else looks at command names.
enum CommandName: String, CaseIterable, Sendable {
  case create
  case start
  case state
  case kill
  case delete
  case pause
  case resume
  case update
  case run
  case exec
  case ps
  case events
  case checkpoint
  case restore
  case list
  case spec
  case plan
  case check
  case features

  /// The exit status for an error of this program. That of `exec` is told from one of the command that it runs.
  var failureStatus: Int32 { self == .exec ? 255 : 1 }

  var specification: CommandSpecification {
    switch self {
    case .create: CreateCommand.specification
    case .start: StartCommand.specification
    case .state: StateCommand.specification
    case .kill: KillCommand.specification
    case .delete: DeleteCommand.specification
    case .pause: PauseCommand.specification
    case .resume: ResumeCommand.specification
    case .update: UpdateCommand.specification
    case .run: RunCommand.specification
    case .exec: ExecCommand.specification
    case .ps: PsCommand.specification
    case .events: EventsCommand.specification
    case .checkpoint: CheckpointCommand.specification
    case .restore: RestoreCommand.specification
    case .list: ListCommand.specification
    case .spec: SpecCommand.specification
    case .plan: PlanCommand.specification
    case .check: CheckCommand.specification
    case .features: FeaturesCommand.specification
    }
  }

  func parse(_ scanned: ScannedArguments) throws(RuntimeError) -> Command {
    switch self {
    case .create: .create(try CreateCommand(scanned))
    case .start: .start(StartCommand(scanned))
    case .state: .state(StateCommand(scanned))
    case .kill: .kill(try KillCommand(scanned))
    case .delete: .delete(DeleteCommand(scanned))
    case .pause: .pause(PauseCommand(scanned))
    case .resume: .resume(ResumeCommand(scanned))
    case .update: .update(try UpdateCommand(scanned))
    case .run: .run(try RunCommand(scanned))
    case .exec: .exec(try ExecCommand(scanned))
    case .ps: .ps(try PsCommand(scanned))
    case .events: .events(try EventsCommand(scanned))
    case .checkpoint: .checkpoint(try CheckpointCommand(scanned))
    case .restore: .restore(try RestoreCommand(scanned))
    case .list: .list(try ListCommand(scanned))
    case .spec: .spec(SpecCommand(scanned))
    case .plan: .plan(try PlanCommand(scanned))
    case .check: .check(try CheckCommand(scanned))
    case .features: .features(FeaturesCommand())
    }
  }
}

/// A command with its flags and operands, understood and checked.
enum Command: Equatable, Sendable {
  case create(CreateCommand)
  case start(StartCommand)
  case state(StateCommand)
  case kill(KillCommand)
  case delete(DeleteCommand)
  case pause(PauseCommand)
  case resume(ResumeCommand)
  case update(UpdateCommand)
  case run(RunCommand)
  case exec(ExecCommand)
  case ps(PsCommand)
  case events(EventsCommand)
  case checkpoint(CheckpointCommand)
  case restore(RestoreCommand)
  case list(ListCommand)
  case spec(SpecCommand)
  case plan(PlanCommand)
  case check(CheckCommand)
  case features(FeaturesCommand)

  /// Looks at the descriptors of the caller that it names, before this program opens any: those that are not open are the
  /// numbers of the next ones.
  func checkDescriptors() throws(RuntimeError) {
    if case .checkpoint(let command) = self { try command.checkDescriptors() }
  }

  /// Carries it out; the exit status of the program.
  func run(_ session: Session) throws(RuntimeError) -> Int32 {
    switch self {
    case .create(let command): try command.run(session)
    case .start(let command): try command.run(session)
    case .state(let command): try command.run(session)
    case .kill(let command): try command.run(session)
    case .delete(let command): try command.run(session)
    case .pause(let command): try command.run(session)
    case .resume(let command): try command.run(session)
    case .update(let command): try command.run(session)
    case .run(let command): return try command.run(session)
    case .exec(let command): return try command.run(session)
    case .ps(let command): try command.run(session)
    case .events(let command): try command.run(session)
    case .checkpoint(let command): try command.run(session)
    case .restore(let command): return try command.run(session)
    case .list(let command): try command.run(session)
    case .spec(let command): try command.run(session)
    case .plan(let command): try command.run(session)
    case .check(let command): return try command.run(session)
    case .features(let command): try command.run(session)
    }
    return 0
  }
}
