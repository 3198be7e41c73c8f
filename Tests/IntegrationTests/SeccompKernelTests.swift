import Foundation
import Testing

extension Integration {
  /// What the kernel makes of filters: calls by their numbers, on all architectures that this machine's kernel has.
  @Suite(.enabled(if: isAMD64)) struct SeccompKernelTests {
    private func profile(_ name: String) throws -> JSONValue {
      let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      return try JSONValue(
        parsing: String(contentsOf: tests.appending(path: "SeccompTests/Fixtures/\(name).json"), encoding: .utf8))
    }

    /// By architecture, number and first argument the name of the error, or what else comes of it. The other arguments
    /// are -1; without a filter none of these calls answers EPERM.
    private func expectCalls(
      _ profile: JSONValue, _ expected: [String: String], sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let calls = expected.keys.sorted()
      let container = try Container(args: ["/bin/agent", "calls"] + calls)
      container.bundle.config["linux"]["seccomp"] = profile
      let outcome = try container.run()
      let found = outcome.stdout.split(separator: "\n").map(String.init)
      #expect(found == calls.map { "\($0) \(expected[$0] ?? "")" }, "\(outcome)", sourceLocation: sourceLocation)
    }

    @Test func defaultProfileOfDockerDecidesCallsByNumberAndArgument() throws {
      try expectCalls(
        profile("docker-amd64"),
        [
          // getppid; keyctl, add_key, userfaultfd; a number that no call has.
          "64:110": "done", "64:250": "EPERM", "64:248": "EPERM", "64:323": "EPERM", "64:340": "EPERM",
          // socket of AF_VSOCK and of AF_UNIX, personality, clone3.
          "64:41:40": "EPERM", "64:41:1": "EINVAL", "64:135:1": "EPERM", "64:135:8": "done", "64:435": "ENOSYS",
          // The upper word counts: 2^32 + 40 is another family here, and on i386 there is no such number.
          "64:135:0x100000000": "EPERM",
          // getpid, socketcall, keyctl, add_key, socket, personality.
          "i386:20": "done", "i386:102": "EINVAL", "i386:288": "EPERM", "i386:286": "EPERM", "i386:359:40": "EPERM",
          "i386:359:1": "EINVAL", "i386:136:1": "EPERM", "i386:136:8": "done",
          // keyctl.
          "x32:250": "EPERM",
        ])
    }

    /// cachestat and mseal are there since Linux 6.5 and 6.10: without the rule they would answer EBADF and EINVAL here, and
    /// EPERM by the profile's default action.
    @Test(.peerDiffers("crun", "1.8.1", "answers them with the default action"))
    func callsNewerThanTheProfileAreNotThere() throws {
      try expectCalls(
        profile("docker-amd64"),
        [
          "64:450": "ENOSYS", "64:451": "ENOSYS", "64:462": "ENOSYS", "64:9999": "ENOSYS", "64:443": "EPERM",
          "i386:451": "ENOSYS", "i386:9999": "ENOSYS", "x32:9999": "ENOSYS",
        ])
    }

    /// Neither execve(2) nor write(2) nor exit_group(2): the process can tell nothing, and only end by a fault of its own.
    @Test(.apusOnly("the peers wait for ever, or say other things"), arguments: ["run", "exec"])
    func processThatMayDoNothingEnds(verb: String) throws {
      let nothing: JSONValue = [
        "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [["names": ["ptrace"], "action": "SCMP_ACT_ALLOW"]],
      ]
      let container = try Container(args: ["/bin/agent", "pause"])
      container.bundle.config["linux"]["seccomp"] = nothing
      if verb == "run" {
        expectError(try container.run(), says: "must allow `execve`")
      } else {
        try container.create()
        let outcome = try container.exec(["/bin/agent", "exit", "0"])
        #expect(outcome.code == 255 && outcome.stderr.contains("must allow `execve`"), "\(outcome)")
        try container.delete("--force")
      }
      try expectNothingLeft()
    }

    /// Filters of shmget(2) and socket(2) that somebody wants to get round. The kernel carries shmctl(2) out with a version,
    /// too, and does not know the selector 0x99.
    @Test(.apusOnly("libseccomp compares the version of ipc(2), and registers that socketcall(2) does not look at"))
    func callsThatShareANumberCannotBeHidden() throws {
      try expectCalls(
        [
          "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
          "syscalls": [
            ["names": ["shmget"], "action": "SCMP_ACT_ERRNO"],
            [
              "names": ["socket"], "action": "SCMP_ACT_ERRNO",
              "args": [["index": 2, "value": 9, "op": "SCMP_CMP_EQ"]],
            ],
          ],
        ],
        [
          "i386:395": "EPERM", "i386:117:23": "EPERM", "i386:117:0x10017": "EPERM", "i386:117:0x7fff0017": "EPERM",
          "i386:117:24": "EINVAL", "i386:117:0x10018": "EINVAL", "i386:117:0x99": "ENOSYS",
          "i386:102:1": "EPERM", "i386:102:2": "EFAULT", "i386:102:0x10001": "EINVAL", "i386:359:1": "EINVAL",
        ])
    }

    @Test func callOfAnArchitectureThatIsNotListedEndsTheProcess() throws {
      try expectCalls(
        [
          "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
          "syscalls": [["names": ["keyctl"], "action": "SCMP_ACT_ERRNO"]],
        ],
        ["64:110": "done", "64:250": "EPERM", "i386:20": "signal 31", "x32:39": "signal 31"])
    }
  }
}

private var isAMD64: Bool {
  #if arch(x86_64)
    true
  #else
    false
  #endif
}
