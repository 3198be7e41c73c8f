import ContainerPlan
import Diagnostics
import InitSupport
import Linux
import LinuxABI
import Testing

@testable import ContainerRuntime
@testable import InitChannel

/// A step of the init stage of `InitSupport`.
enum StageStep {
  case child, announce, announceAnother, announceParent, wait, exit
  case send([UInt8])

  var bytes: [UInt8] {
    switch self {
    case .child: Array("F".utf8)
    case .announce: Array("A".utf8)
    case .announceAnother: Array("B".utf8)
    case .announceParent: Array("P".utf8)
    case .wait: Array("W".utf8)
    case .exit: Array("X".utf8)
    case .send(let report): Array("S".utf8) + [UInt8(report.count)] + report
    }
  }
}

/// The runtime's side of the ladder, opposite to init stages that do not keep to it.
@Suite struct InitLaunchTests {
  /// What following the ladder up to the first rung comes to; `prepared` is the only one of these stages.
  private func follow(_ steps: [StageStep]) throws -> RuntimeError? {
    var script = Array(INIT_SCRIPT_WORD.utf8)
    for step in steps { script += step.bytes }
    let payload = InitPayload(
      namespaces: NamespacePlan(created: []), steps: [], agent: nil, filter: script, filterFlags: 0, cgroupMounts: [],
      taskFiles: 0, hasCgroupDirectory: false)
    var launch = try InitLaunch(
      try SelfExecutable.open(nil), payload: payload, startSocket: FileDescriptor.open("/dev/null", .readOnly),
      others: [], log: LogSink(level: .error) { _, _ in })
    var failure: RuntimeError?
    do {
      _ = try launch.advance(nil)
    } catch {
      failure = error
    }
    if let left = launch.abort() { throw left }
    return failure
  }

  /// The child holds a copy of the channel: there is no end of file that would tell.
  @Test func endOfStage1BehindItsCloneIsSeen() throws {
    let start = Clock.monotonicMilliseconds()
    for steps in [[StageStep.child, .exit], [.child, .send(encodeReport(.prepared)), .exit]] {
      let failure = try #require(try follow(steps))
      #expect(failure.code == .initDied && failure.text.contains("status 3"), "\(failure.text)")
    }
    let reason = RuntimeError(.initProtocol, "cannot announce the process")
    #expect(try follow([.child, .send(encodeReport(.failed(reason))), .exit])?.text == reason.text)
    #expect(Clock.monotonicMilliseconds() - start < 5000)
  }

  @Test func stageThatKeepsToTheLadderIsPrepared() throws {
    #expect(try follow([.child, .announce, .send(encodeReport(.prepared)), .exit]) == nil)
    // The halves write to one socket, without an order between them.
    #expect(try follow([.child, .send(encodeReport(.prepared)), .announce, .exit]) == nil)
  }

  /// With another number or descriptor the runtime would write, pass on and signal a process of somebody else's choice.
  @Test(arguments: [
    [StageStep.child, .announceAnother, .wait], [.announceParent, .wait], [.child, .announce, .announce, .wait],
  ])
  func processThatIsNotTheChildIsRefused(steps: [StageStep]) throws {
    let failure = try #require(try follow(steps))
    #expect(failure.code == .initProtocol, "\(failure.text)")
  }

  /// What is said from inside of a container that runs must not start a helper with the rights of the host.
  @Test(arguments: [[UInt8]](arrayLiteral: [1], [7], [20], [6, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
  func reportsOfACreationAreRefusedInExec(report: [UInt8]) throws {
    for steps in [[StageStep.child, .announce, .send(report), .wait], [.send(report), .wait]] {
      let failure = try #require(try follow(steps))
      #expect(failure.code == .initProtocol && failure.text.contains("out of turn"), "\(failure.text)")
    }
  }
}
