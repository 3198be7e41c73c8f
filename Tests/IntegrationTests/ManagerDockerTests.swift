import Foundation
import Testing

extension Integration {
  /// dockerd: what it asks the runtime itself, and the exit status that its users see for an error.
  @Suite struct ManagerDockerTests {
    /// A mistake of a user, and what `docker run` ends with.
    struct Mistake: CustomTestStringConvertible, Sendable {
      let testDescription: String
      let code: Int
      var explainsMounts = false
      /// Why a peer differs.
      var peers: [String: String] = [:]
      let make: @Sendable (Container) throws -> Void

      init(
        _ description: String, _ code: Int, explainsMounts: Bool = false, peers: [String: String] = [:],
        _ make: @escaping @Sendable (Container) throws -> Void
      ) {
        testDescription = description
        self.code = code
        self.explainsMounts = explainsMounts
        self.peers = peers
        self.make = make
      }
    }

    static let mistakes: [Mistake] = [
      Mistake("a command that is in no folder of PATH", 127) { $0.bundle.args = ["no-such-command"] },
      Mistake("an empty command", 127, peers: ["crun": "looks for it as a path"]) { $0.bundle.args = [""] },
      Mistake("a path that is not there", 127) { $0.bundle.args = ["/no/such/command"] },
      Mistake("a path through a file", 127, explainsMounts: true) {
        $0.bundle.args = ["/etc/passwd/command"]
      },
      Mistake("a file that cannot be executed", 126) { $0.bundle.args = ["/etc/passwd"] },
      Mistake("a folder", 126, peers: ["crun": "in words that nobody looks for"]) { $0.bundle.args = ["/etc"] },
      Mistake("a command that the user may not reach", 126, peers: ["crun": "found by `start`"]) {
        let folder = $0.bundle.rootfs + "/closed"
        mkdir(folder, 0o700)
        try Files.copy(try RootTemplate.agent(), to: folder + "/agent")
        $0.bundle.args = ["/closed/agent"]
        $0.bundle.config["process"]["user"] = ["uid": 1000, "gid": 1000]
      },
      Mistake("a folder mounted on a file", 127, explainsMounts: true) {
        $0.bundle.addMount("/etc/passwd", type: "bind", source: "/tmp", options: ["rbind"])
      },
      Mistake("a file mounted on a folder", 127, explainsMounts: true) {
        $0.bundle.addMount("/home", type: "bind", source: $0.bundle.rootfs + "/etc/passwd", options: ["rbind"])
      },
      Mistake("a source that is not there", 127) {
        $0.bundle.addMount("/home", type: "bind", source: "/no/such/source", options: ["rbind"])
      },
      Mistake("a working directory that is a file", 127, explainsMounts: true) {
        $0.bundle.config["process"]["cwd"] = "/etc/passwd"
      },
      Mistake("a sysctl of the host", 128) { $0.bundle.config["linux"]["sysctl"] = ["kernel.panic": "1"] },
      Mistake("a file system that nobody knows", 128) {
        $0.bundle.addMount("/home", type: "no-such-type", source: "none")
      },
    ]

    private func said(_ mistake: Mistake) throws -> (message: String, stderr: String) {
      let client = try GoRunc(Container(args: ["/bin/agent", "pause"]))
      try mistake.make(client.container)
      try client.container.bundle.write()
      let outcome = try client.call(
        "create", "--bundle", client.container.bundle.path, "--pid-file", client.pidFile, client.container.id)
      #expect(outcome.code == 1 && !Files.exists(client.pidFile), "\(outcome)")
      return (try client.lastError(), outcome.stderr)
    }

    @Test(arguments: mistakes) func mistakeOfAUserHasItsExitStatus(_ mistake: Mistake) throws {
      try allowing(mistake.peers, in: "the exit status for \(mistake)") {
        let said = try said(mistake)
        let (code, explainsMounts) = Dockerd.status("failed to create task for container: " + said.message)
        #expect(code == mistake.code && explainsMounts == mistake.explainsMounts, "\(said.message)")
      }
      if mistake.peers[Runtime.current.name] == nil { try expectNothingLeft() }
    }

    /// Its words are there for people, too: where it stands, and what it is about.
    @Test(.apusOnly("in our words"), arguments: mistakes) func mistakeOfAUserIsNamedWithItsPlace(_ mistake: Mistake)
      throws
    {
      let said = try said(mistake)
      #expect(said.message.contains("(at `/"), "\(said.message)")
      #expect(said.stderr.split(separator: "\n").count == 1, "\(said.stderr)")
    }

    /// dockerd gives `exec` 126 unless the text says otherwise.
    @Test(arguments: [
      ("no-such-command", 127), ("/no/such/command", 127), ("/etc/passwd", 126), ("/etc", 126),
    ])
    func mistakeInACommandHasItsExitStatus(_ command: String, _ code: Int) throws {
      let client = try GoRunc(Container(args: ["/bin/agent", "pause"]))
      try client.create()
      try client.succeed("start", client.container.id)
      let document = client.container.bundle.path + "/process.json"
      let process: JSONValue = [
        "user": ["uid": 0, "gid": 0], "args": [.string(command)], "env": ["PATH=/bin"], "cwd": "/",
      ]
      try Files.write(process.text, to: document)
      let file = client.container.bundle.path + "/exec.pid"
      let outcome = try client.call(
        "exec", "--process", document, "--detach", "--pid-file", file, client.container.id)
      #expect(outcome.code != 0 && !Files.exists(file), "\(outcome)")
      let message = try client.lastError()
      let peers = command == "/etc" ? ["crun": "in words that nobody looks for"] : [:]
      try allowing(peers, in: "the exit status of a folder") {
        #expect(Dockerd.status(message).code == code, "\(message)")
      }
      // podman reads the same text, and knows fewer words.
      #expect(Podman.status(message) == code, "\(message)")
    }

    @Test func versionIsReadByTheDaemon() throws {
      let text = try runtime(bare: ["--version"]).stdout
      let version = try #require(Dockerd.version(text))
      let name = String(Runtime.current.path.split(separator: "/").last ?? "")
      #expect(version.runtime == name && version.version.hasPrefix(Runtime.current.version), "\(text)")
      #expect(!version.commit.isEmpty)
    }

    /// Without `--root` or any other flag, and from anywhere.
    @Test(.peerDiffers("crun", "1.8.1", "older")) func featuresAreReadByTheDaemon() throws {
      let outcome = try runtime(bare: ["features"], options: .init(directory: "/"))
      let features = try outcome.json
      #expect(outcome.code == 0 && outcome.stderr.isEmpty, "\(outcome)")
      #expect(!features["ociVersionMin"].text.isEmpty && features["ociVersionMax"].string != nil)
      #expect(features["hooks"].strings.contains("prestart"), "the one that connects its networks")
      #expect(features["linux"]["seccomp"]["enabled"].bool == true)
    }

    /// libnetwork's hook: the runtime's own executable path as `path`, and the state with the pid on standard input, while the
    /// container is made and its network namespace is there already.
    @Test func prestartHookFindsTheNetworkNamespace() throws {
      let client = try GoRunc(Container(args: ["/bin/agent", "pause"]))
      let hooks = try HookFolder(client.container)
      hooks.add("prestart", "log \"$(readlink /proc/$pid/ns/net)\"")
      try client.container.bundle.write()
      let pid = try client.create()
      var name = [CChar](repeating: 0, count: 64)
      let length = readlink("/proc/\(pid)/ns/net", &name, name.count)
      try hooks.expect([String(decoding: name.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)])
    }
  }
}
