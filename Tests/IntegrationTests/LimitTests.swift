import Foundation
import Testing

extension Integration {
  /// Hard limits of containers that have a user namespace. In there nobody may raise one.
  @Suite struct LimitTests {
    /// More descriptors than the kernel gives anybody: with all rights, too, this limit may not be raised.
    private static let impossible: JSONValue = ["type": "RLIMIT_NOFILE", "soft": 10, "hard": .number(1 << 40)]

    /// Where it is set early enough it also fails early: no hook has run.
    @Test(.apusOnly("the peers run hooks first"))
    func hardLimitIsRaisedBeforeTheUserNamespace() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.mapUsers()
      let hooks = try HookFolder(container)
      for kind in ["prestart", "createRuntime", "createContainer"] { hooks.add(kind, "log \(kind)") }
      container.bundle.config["process"]["rlimits"][0] = Self.impossible
      expectError(try container.attempt("create"), says: "not permitted", detail: "`RLIMIT_NOFILE`")
      try hooks.expect([])
      try expectNothingLeft()
    }

    /// Behind the namespaces the CPU that is not there would be found first.
    @Test(.apusOnly("in our order"))
    func hardLimitOfACommandIsRaisedBeforeTheUserNamespace() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.mapUsers()
      try container.runDetached()
      let outcome = try container.exec(document: [
        "args": ["/bin/agent", "report"], "cwd": "/", "execCPUAffinity": ["final": "1000"],
        "rlimits": [Self.impossible],
      ])
      expectError(outcome, detail: "`RLIMIT_NOFILE`")
    }

    @Test(.needs(.resourceLimits), .apusOnly("crun lets hooks have what it raised"))
    func hardLimitsAreRaisedWithUsers() throws {
      let container = try Container(args: ["/bin/agent", "pause"])
      try container.bundle.mapUsers()
      let hooks = try HookFolder(container)
      hooks.add("createContainer", "log \"$(ulimit -Hn) $(ulimit -Sn)\"")
      hooks.add("startContainer", "log \"$(ulimit -Hn) $(ulimit -Sn)\"")
      container.bundle.config["process"]["rlimits"] = [
        ["type": "RLIMIT_NOFILE", "soft": 1500, "hard": 2000]
      ]
      let script = "\(container.bundle.path)/limited"
      try Files.write("#!/bin/sh\nexec prlimit --nofile=900:1000 \(container.executable) \"$@\"\n", to: script)
      chmod(script, 0o755)
      container.executable = script
      try container.runDetached()
      // What the command gets is no matter of the hooks before it.
      try hooks.expect(["1000 900", "2000 900"])
      let limit = try container.execReport("limits")["rlimits"]["RLIMIT_NOFILE"]
      #expect([limit["soft"].int, limit["hard"].int] == [1500, 2000])
      let words = try Files.read("/proc/\(try container.pid())/limits").split(separator: "\n")
        .first { $0.hasPrefix("Max open files") }?.split(separator: " ")
      #expect(words?.dropFirst(3).prefix(2) == ["1500", "2000"])
    }
  }
}
