import ContainerRuntime
import Diagnostics
import Testing

@testable import apus

@Suite struct GlobalOptionsTests {
  private func options(_ line: String...) throws -> GlobalOptions {
    let invocation = Invocation(["apus"] + line + ["list"])
    _ = try invocation.request.get()
    return invocation.options
  }

  private func error(_ line: String...) -> RuntimeError? {
    guard case .failure(let error) = Invocation(["apus"] + line + ["list"]).request else { return nil }
    return error
  }

  @Test func defaultsAreThoseOfTheManual() throws {
    let options = try options()
    #expect(options.root == nil && options.isRootless == nil)
    #expect(options.log == nil && options.logFormat == .text && !options.debug)
  }

  @Test func whatManagersSendIsUnderstood() throws {
    let shim = try options(
      "--root", "/run/containerd/runc/k8s.io", "--log", "/b/log.json", "--log-format", "json",
      "--systemd-cgroup=false", "--rootless=false", "--debug")
    #expect(shim.root == "/run/containerd/runc/k8s.io")
    #expect(shim.log == "/b/log.json" && shim.logFormat == .json && shim.debug)
    #expect(shim.isRootless == false)
    #expect(try options("--cgroup-manager=cgroupfs", "--rootless", "auto").isRootless == nil)
    #expect(try options("--rootless=true").isRootless == true)
  }

  @Test func wrongValuesAreRefused() {
    #expect(error("--log-format", "xml")?.field == "--log-format")
    #expect(error("--rootless", "maybe")?.field == "--rootless")
    #expect(error("--cgroup-manager", "none")?.field == "--cgroup-manager")
    for root in ["/", "//", "/.", "/../.."] { #expect(error("--root", root)?.field == "--root", "\(root)") }
    #expect(error("--root", "..") == nil)
  }

  @Test func cgroupManagerHasTwoFlags() throws {
    #expect(try options().cgroupDriver == .cgroupfs)
    for flags in [
      ["--systemd-cgroup"], ["--cgroup-manager=systemd"], ["--cgroup-manager", "systemd", "--systemd-cgroup"],
    ] {
      #expect(Invocation(["apus"] + flags + ["list"]).options.cgroupDriver == .systemd)
    }
    #expect(try options("--cgroup-manager=disabled", "--systemd-cgroup=false").cgroupDriver == .disabled)
    for name in ["cgroupfs", "disabled"] {
      let failure = error("--systemd-cgroup", "--cgroup-manager", name)
      #expect(failure?.text == "`\(name)` contradicts `--systemd-cgroup` (at `--cgroup-manager`)")
    }
  }

  @Test func anErrorOfUsageKnowsItsLog() {
    let command = Invocation(["apus", "--log", "/l", "--log-format=json", "create", "--nosuch"])
    #expect(command.options.log == "/l" && command.options.logFormat == .json)
    let global = Invocation(["apus", "--log", "/l", "--log-format=json", "--nosuch", "create"])
    #expect(global.options.log == "/l" && global.options.logFormat == .json)
  }

  @Test func flagsOfACommandThatRunsAnotherStopThere() throws {
    var scanned = ScannedArguments()
    let flags = [
      FlagSpecification(.detach, "detach", short: "d", ""),
      FlagSpecification(.bundle, "cwd", value: "DIR", ""),
    ]
    try scanned.scan(["-d", "id", "--cwd", "/", "ls", "-l", "--", "-d"][...], flags, .beforeOperand(2))
    #expect(scanned.operands == ["id", "ls", "-l", "--", "-d"])
    #expect(scanned.isOn(.detach) && scanned.text(.bundle) == "/")
    var ended = ScannedArguments()
    try ended.scan(["id", "--", "-l"][...], flags, .beforeOperand(2))
    #expect(ended.operands == ["id", "-l"])
  }
}

@Suite struct StateRootTests {
  private func root(_ user: UInt32, _ directory: String?, _ name: String?, initial: Bool) -> String {
    StateRoot.choose(user: user, runtimeDirectory: directory, userName: name) { initial }
  }

  @Test func rootOfTheHostHasOneForAll() {
    #expect(root(0, nil, "root", initial: true) == "/run/apus")
    #expect(root(0, "/run/user/0", nil, initial: true) == "/run/apus")
  }

  @Test func othersHaveTheirOwn() {
    #expect(root(1000, "/run/user/1000", "x", initial: true) == "/run/user/1000/apus")
    #expect(root(1000, nil, "x", initial: true) == "/run/user/1000/apus")
    #expect(root(1000, "", "x", initial: true) == "/run/user/1000/apus")
  }

  @Test func rootOfAUserNamespaceIsTheUserOutside() {
    #expect(root(0, "/run/user/1000", "x", initial: false) == "/run/user/1000/apus")
    #expect(root(0, "/run/user/1000", nil, initial: false) == "/run/user/1000/apus")
    #expect(root(0, "/run/user/1000", "root", initial: false) == "/run/apus")
    #expect(root(0, nil, "x", initial: false) == "/run/apus")
  }
}
