import Foundation
import IntegrationSupport
import Testing

/// What one test works with: a folder, a state root, and the containers it has made. At the end everything has
/// to be as it was, or the test fails.
final class Workspace: @unchecked Sendable {
  @TaskLocal static var current: Workspace?

  let directory: String
  let stateRoot: String
  private let before: Snapshot
  private let units = Set(CgroupDriver.units())
  private var containers: [Container] = []
  nonisolated(unsafe) private static var count = 0

  init() throws {
    Workspace.count += 1
    if Workspace.count == 1 { _ = support_become_subreaper() }
    directory = "\(TestRun.directory)/\(Workspace.count)"
    stateRoot = directory + "/state"
    mkdir(directory, 0o711)
    if Rootless.isOn { chown(directory, Rootless.user, Rootless.user) }
    before = try Snapshot(stateRoot: stateRoot)
  }

  static func active() throws -> Workspace {
    guard let workspace = current else { throw HarnessError("a test outside of `Integration`") }
    return workspace
  }

  func add(_ container: Container) -> Int {
    containers.append(container)
    return containers.count
  }

  func number() -> String { "\(Workspace.count)-\(containers.count + 1)" }

  /// What is different from before the test. Processes that are being killed get a moment to end.
  func differences() throws -> [String] {
    for process in Processes.descendants() where process.state != "Z" {
      _ = waitForEnd(of: process.id, timeout: 2)
    }
    Processes.reap()
    // systemd takes the scope of a container that has ended by itself away a moment later. One that stays is a difference.
    let deadline = Deadline(15)
    while !units.isSuperset(of: CgroupDriver.units()) && !deadline.hasPassed { usleep(20_000) }
    return try Snapshot(stateRoot: stateRoot).differences(from: before)
  }

  /// Deletes what the test has left, then compares; what is wrong is put right by force for the next test.
  func finish() {
    let known = Set(Files.names(in: stateRoot))
    // The last first, and collected: a pid namespace that others have joined ends only when all of them are gone.
    for container in containers.reversed() where known.contains(container.id) {
      Processes.reap()
      cleanUp {
        let outcome = try container.attempt("delete", "--force")
        if outcome.code != 0 { throw HarnessError("\(outcome)") }
      }
    }
    cleanUp {
      let differences = try differences()
      if differences.isEmpty { return }
      Issue.record("\(differences.count) things are not as before:\n\(differences.joined(separator: "\n"))")
      try cleanByForce()
    }
    Cgroups.removeAll()
    cleanUp { try FileManager.default.removeItem(atPath: directory) }
    // They hold this workspace, and the ends of their pipes.
    containers = []
  }

  private func cleanByForce() throws {
    for process in Processes.descendants() { kill(pid_t(process.id), SIGKILL) }
    for process in Processes.descendants() { _ = waitForEnd(of: process.id, timeout: 2) }
    Processes.reap()
    for line in try Snapshot(stateRoot: stateRoot).differences(from: before) {
      let words = line.split(separator: " ")
      if line.hasPrefix("left over: mount"), words.count > 7 { _ = support_unmount(String(words[7])) }
    }
  }
}

/// Everything as it was before the test, right now, without the harness's own clean-up.
func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) throws {
  let differences = try Workspace.active().differences()
  #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))", sourceLocation: sourceLocation)
}

/// Calls the runtime with arguments as they are, without `--root`.
func runtime(
  bare arguments: [String], options: Subprocess.Options = Subprocess.Options(), timeout: Double = Limits.call
) throws -> Outcome {
  try Subprocess(Runtime.current.path, arguments, options).wait(timeout: timeout)
}

/// Calls the runtime with this test's state root.
func runtime(
  _ arguments: String..., options: Subprocess.Options = Subprocess.Options(), timeout: Double = Limits.call
) throws -> Outcome {
  try runtime(
    bare: ["--root", try Workspace.active().stateRoot] + arguments, options: options, timeout: timeout)
}

/// One container of one test.
final class Container {
  let bundle: Bundle
  let id: String
  /// Another copy of the runtime, where the attack is on its file.
  var executable = Runtime.current.path
  /// What stands in front of each command besides `--root`.
  var globalFlags: [String] = []
  private let workspace: Workspace
  /// The output of the last `create` or `run`, that the container goes on writing to.
  private(set) var process: Subprocess?

  init(id: String? = nil, args: [String]? = nil) throws {
    workspace = try Workspace.active()
    let number = workspace.number()
    self.id = id ?? "\(TestRun.tag)-\(number)"
    bundle = try Bundle(
      path: "\(workspace.directory)/bundle\(number)", cgroupsPath: CgroupDriver.current.cgroupsPath(number: number))
    if let args { bundle.args = args }
    _ = workspace.add(self)
  }

  var stdout: OutputStream {
    get throws {
      guard let process else { throw HarnessError("nothing was started") }
      return process.stdout
    }
  }
  var stderr: OutputStream {
    get throws {
      guard let process else { throw HarnessError("nothing was started") }
      return process.stderr
    }
  }

  var root: [String] { ["--root", workspace.stateRoot] + CgroupDriver.current.flags + globalFlags }

  /// `VERB [FLAGS] ID [REST]`, whatever comes of it.
  func attempt(
    _ verb: String, _ flags: String..., rest: [String] = [],
    options: Subprocess.Options = Subprocess.Options(),
    timeout: Double = Limits.call
  ) throws -> Outcome {
    try spawn(verb, flags, rest: rest, options: options).wait(timeout: timeout)
  }

  /// Starts a call and does not wait for it.
  @discardableResult
  func spawn(
    _ verb: String, _ flags: [String] = [], rest: [String] = [],
    options: Subprocess.Options = Subprocess.Options()
  ) throws -> Subprocess {
    var words = root + [verb] + flags
    let makes = verb == "create" || verb == "run"
    if makes {
      try bundle.write()
      words += ["--bundle", bundle.path]
    }
    let child = try Subprocess(executable, words + [id] + rest, options)
    if makes { process = child }
    return child
  }

  private func succeed(_ outcome: Outcome, _ location: SourceLocation) throws -> Outcome {
    try #require(outcome.code == 0, "\(outcome)", sourceLocation: location)
    return outcome
  }

  @discardableResult
  func create(_ flags: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    try succeed(spawn("create", flags).wait(), sourceLocation)
  }

  @discardableResult
  func start(sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    try succeed(attempt("start"), sourceLocation)
  }

  @discardableResult
  func runDetached(_ flags: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    try succeed(spawn("run", ["--detach"] + flags).wait(), sourceLocation)
  }

  /// In the foreground, up to its end.
  func run(_ flags: String..., timeout: Double = Limits.call) throws -> Outcome {
    try spawn("run", flags).wait(timeout: timeout)
  }

  @discardableResult
  func kill(_ signal: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    try succeed(attempt("kill", rest: [signal]), sourceLocation)
  }

  @discardableResult
  func delete(_ flags: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> Outcome {
    try succeed(spawn("delete", flags).wait(), sourceLocation)
  }

  func state(sourceLocation: SourceLocation = #_sourceLocation) throws -> JSONValue {
    try succeed(attempt("state"), sourceLocation).json
  }

  func status() throws -> String { try state()["status"].string ?? "no status" }

  func pid() throws -> Int {
    guard let pid = try state()["pid"].int, pid > 0 else { throw HarnessError("the state has no pid") }
    return pid
  }

  /// Ends the container's first process and waits until it has ended.
  func end() throws {
    let pid = try pid()
    try kill("KILL")
    guard waitForEnd(of: pid) else { throw HarnessError("process \(pid) did not end") }
  }

  /// Runs the agent and gives back what it saw.
  func report(_ sections: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> JSONValue {
    bundle.args = ["/bin/agent", "report"] + sections
    return try succeed(run(), sourceLocation).json
  }

  /// Runs a line of shell in the container.
  func shell(_ line: String) throws -> Outcome {
    bundle.args = ["/bin/sh", "-c", line]
    return try run()
  }

  /// Runs one verb of the agent that answers with JSON lines.
  func agent(_ words: String..., sourceLocation: SourceLocation = #_sourceLocation) throws -> [JSONValue] {
    bundle.args = ["/bin/agent"] + words
    let outcome = try run()
    let answers = try outcome.stdout.split(separator: "\n").filter { $0.hasPrefix("{") }.map {
      try JSONValue(parsing: String($0))
    }
    try #require(!answers.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
    return answers
  }

  /// Where the container's cgroup is, below the root of each hierarchy.
  var cgroupPath: String {
    get throws {
      guard let path = bundle.config["linux"]["cgroupsPath"].string else { throw HarnessError("no `cgroupsPath`") }
      return CgroupDriver.current.place(of: path)
    }
  }

  /// The folder of the container's cgroup on the hierarchy of a controller.
  func cgroup(_ controller: String) throws -> String {
    guard let root = Cgroups.root(of: controller) else { throw HarnessError("no hierarchy for `\(controller)`") }
    return try root + cgroupPath
  }
}
