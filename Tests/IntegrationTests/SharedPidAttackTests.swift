import Foundation
import Testing

extension Integration {
  /// A container whose pid namespace another one joins by its path, and which looks at that one while it is made: the init
  /// stage still has the host's tree then.
  @Suite struct SharedPidAttackTests {
    /// Waits for a stranger among its processes, and tries every way into it.
    private static let script = """
      echo ready
      while :; do
        for p in /proc/[0-9]*; do
          read -r name < $p/comm || continue
          case $name in sh|busybox|sleep|agent) continue;; esac
          for file in root/etc cwd/etc exe/ maps mem environ syscall; do
            case $file in
            exe/) busybox readlink $p/exe > /dev/null 2>&1 && echo "opened exe";;
            root/etc|cwd/etc) busybox ls $p/$file > /dev/null 2>&1 && echo "opened $file";;
            *) busybox head -c 1 $p/$file > /dev/null 2>&1 && echo "opened $file";;
            esac
          done
          for fd in 0 1 2 3 4 5 6 7 8 9; do busybox readlink $p/fd/$fd > /dev/null 2>&1 && echo "opened fd"; done
          echo "tried $name"
          exec busybox sleep 1000
        done
      done
      """

    /// What the first container says about the second one, which is kept where everything is mounted and nothing is switched.
    private func whatIsSeen(_ first: Container, _ second: Container) throws -> String {
      first.bundle.args = ["/bin/sh", "-c", SharedPidAttackTests.script]
      try first.runDetached()
      try first.stdout.waitFor("ready")
      let end = try Workspace.active().directory + "/end"
      let wait: JSONValue = ["sh", "-c", .string("until [ -e \(end) ]; do sleep 0.05; done")]
      second.bundle.config["hooks"]["createRuntime"].append(["path": "/bin/sh", "args": wait])
      second.bundle.join("pid", "/proc/\(try first.pid())/ns/pid")
      second.bundle.args = ["/bin/agent", "exit", "0"]
      let creation = try second.spawn("create")
      try first.stdout.waitFor("tried ")
      try Files.write("", to: end)
      try creation.wait().expectSuccess()
      let said = try first.stdout.text
      // The first process of a pid namespace can end only when all others are collected.
      try second.delete("--force")
      Processes.reap()
      try first.delete("--force")
      return said
    }

    /// With the right to trace of the host's users every process that is seen can be looked into; it shows that the others
    /// would find what there is.
    @Test func tracerOfTheHostsUsersFindsTheInitOfAContainerThatJoins() throws {
      let first = try Container()
      first.bundle.setCapabilities(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"])
      #expect(try whatIsSeen(first, Container()).contains("opened root/etc"))
    }

    @Test(.attack("shared-pid"))
    func initOfAContainerThatJoinsThePidNamespaceCannotBeLookedInto() throws {
      let first = try Container()
      first.bundle.setCapabilities(["CAP_KILL", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SETUID"])
      let said = try whatIsSeen(first, Container())
      #expect(said.contains("tried ") && !said.contains("opened "), "\(said)")
    }

    /// The memory of the init stage belongs to the host's users until it becomes the agent command, so the right to trace
    /// that root inside has does not reach it.
    @Test(.attack("shared-pid"))
    func initInAJoinedUserNamespaceCannotBeTracedByItsRoot() throws {
      let holder = try NamespaceHolder("--user", map: "0 100000 65536")
      let first = try Container()
      let second = try Container()
      for container in [first, second] { try container.bundle.joinUsers(holder.path("user")) }
      first.bundle.setCapabilities(["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_SETUID"])
      let said = try whatIsSeen(first, second)
      #expect(said.contains("tried ") && !said.contains("opened "), "\(said)")
    }
  }
}
