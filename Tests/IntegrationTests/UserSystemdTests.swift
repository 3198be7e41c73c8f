import Foundation
import Testing

extension Integration {
  /// `--systemd-cgroup` of an ordinary user: the scope is one of the systemd that looks after him.
  @Suite(.needs(.systemd), .views(.v2)) struct UserSystemdTests {
    private static let runtime = "/run/user/\(Rootless.user)"

    /// Runs a program as the user, with his bus in reach.
    private func asUser(_ command: String...) throws -> Outcome {
      try Subprocess("/usr/bin/setpriv", Self.identity + command).wait()
    }

    private static let identity = [
      "--reuid", "\(Rootless.user)", "--regid", "\(Rootless.user)", "--clear-groups", "env",
      "XDG_RUNTIME_DIR=\(runtime)",
    ]

    private func show(_ unit: String, _ property: String) throws -> String {
      try asUser("systemctl", "--user", "show", "--property", property, "--value", unit).stdout
        .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A systemd for the user, as after his login, until `body` is done.
    private func withBus(_ body: () throws -> Void) throws {
      func linger(_ verb: String) throws {
        #expect(try Subprocess("/usr/bin/loginctl", [verb, "\(Rootless.user)"]).wait().code == 0)
      }
      try linger("enable-linger")
      waitUntil { Files.exists(Self.runtime + "/bus") }
      waitUntil { (try? Unit.show("user@\(Rootless.user).service", "ActiveState")) == "active" }
      let result = Result { try body() }
      try linger("disable-linger")
      waitUntil {
        !Files.exists(Self.runtime) && !Files.exists("/sys/fs/cgroup/user.slice/user-\(Rootless.user).slice")
      }
      try result.get()
    }

    private func container(_ resources: JSONValue) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      container.globalFlags = ["--systemd-cgroup"]
      let directory = try Workspace.active().directory
      container.executable = directory + "/as-user"
      let words = (["exec", "setpriv"] + Self.identity + [Runtime.current.path]).joined(separator: " ")
      try Files.write("#!/bin/sh\n\(words) \"$@\"\n", to: container.executable)
      chmod(container.executable, 0o755)
      chown(directory, Rootless.user, Rootless.user)
      container.bundle.config["linux"]["cgroupsPath"] = ""
      for (name, value) in resources.members { container.bundle.config["linux"]["resources"][name] = value }
      try Rootless.adapt(container.bundle)
      return container
    }

    private func value(_ folder: String, _ file: String) throws -> String {
      try Files.read("\(folder)/\(file)").trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Nobody without privilege may move a process out of the session into what his systemd has made: systemd does.
    @Test(.apusOnly("crun of Debian does not know the configuration"))
    func containerOfAUserIsAScopeOfHisSystemd() throws {
      try withBus {
        let container = try container(["memory": ["limit": 67_108_864], "pids": ["limit": 77]])
        try container.runDetached()
        let unit = "apus-\(container.id).scope"
        #expect(try container.state()["systemd-scope"].string == unit)
        let place = try Files.read("/proc/\(container.pid())/cgroup").trimmingCharacters(in: .newlines).dropFirst(3)
        let above = "/user.slice/user-\(Rootless.user).slice/user@\(Rootless.user).service/user.slice"
        #expect(place == "\(above)/\(unit)")
        let folder = "/sys/fs/cgroup" + place
        #expect(try value(folder, "memory.max") == "67108864")
        #expect(try value(folder, "pids.max") == "77")
        #expect(try show(unit, "ActiveState") == "active")
        #expect(try show(unit, "MemoryMax") == "67108864")
        #expect(try show(unit, "TasksMax") == "77")
        #expect(try show(unit, "Delegate") == "yes")
        let own = try container.attempt("exec", rest: ["/bin/cat", "/proc/self/cgroup"]).stdout
        #expect(own == "0::\(place)\n")
        try container.attempt("update", "--pids-limit", "66").expectSuccess()
        #expect(try value(folder, "pids.max") == "66")
        #expect(try asUser("systemctl", "--user", "daemon-reload").code == 0)
        #expect(try value(folder, "pids.max") == "66")
        try container.attempt("pause").expectSuccess()
        #expect(try container.status() == "paused")
        try container.attempt("resume").expectSuccess()
        try container.delete("--force")
        #expect(try show(unit, "LoadState") == "not-found")
        #expect(!Files.exists(folder))
      }
    }

    /// A limit that would silently not hold is an error, and nothing is left behind.
    @Test(.apusOnly("in our words")) func limitOfAControllerThatIsNotDelegatedIsAnError() throws {
      try withBus {
        let service = "/sys/fs/cgroup/user.slice/user-\(Rootless.user).slice/user@\(Rootless.user).service"
        let delegated = try value(service, "cgroup.controllers").split(separator: " ")
        try #require(!delegated.contains("cpuset"))
        let container = try container(["cpu": ["cpus": "0"]])
        expectError(try container.attempt("create"), detail: "(at `/linux/resources/cpu/cpus`)")
        #expect(try show("apus-\(container.id).scope", "LoadState") == "not-found")
      }
    }

    /// The systemd of the machine makes nothing for him, and that of nobody neither.
    @Test(.apusOnly("in our words")) func busOfAnotherIsAnError() throws {
      try withBus {
        let container = try container([:])
        for address in ["/run/dbus/system_bus_socket", Self.runtime + "/none"] {
          var options = Subprocess.Options()
          options.environment = ["PATH": "/usr/bin:/bin", "DBUS_SESSION_BUS_ADDRESS": "unix:path=\(address)"]
          let outcome = try container.attempt("create", options: options)
          expectError(outcome, detail: "cannot start the unit `apus-\(container.id).scope`")
          #expect(!outcome.stderr.contains("left"))
        }
      }
    }
  }
}
