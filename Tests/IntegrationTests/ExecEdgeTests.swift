import Foundation
import IntegrationSupport
import Testing

extension Integration {
  /// `exec` where the container or the caller makes it difficult.
  @Suite struct ExecEdgeTests {
    private func running(_ change: (Container) throws -> Void = { _ in }) throws -> Container {
      let container = try Container(args: ["/bin/agent", "pause"])
      try change(container)
      try container.runDetached()
      return container
    }

    /// As systemd as process 1 does it: no process may be in the cgroup of the container itself any more.
    @Test(
      .views(.v2, .hybrid), .peerMayDiffer("runc", "1.1.5", "not in a hybrid layout"),
      .peerMayDiffer("crun", "1.8.1", "not in a hybrid layout"))
    func commandComesIntoAContainerThatDividesItsCgroup() throws {
      let folder = CgroupView.current == .v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified"
      let container = try Container(args: [
        "/bin/sh", "-c",
        """
        cd \(folder); mkdir -p inner/most && echo 1 > inner/most/cgroup.procs && echo +hugetlb > cgroup.subtree_control \
        && echo +hugetlb > inner/cgroup.subtree_control; echo result $?; exec /bin/agent pause
        """,
      ])
      container.bundle.addNamespace("cgroup")
      container.bundle.removeMount("/sys/fs/cgroup")
      container.bundle.addMount("/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["rw"])
      container.bundle.config["linux"]["resources"]["hugepageLimits"] = [["pageSize": "2MB", "limit": 0]]
      try container.runDetached()
      try container.stdout.waitFor("result 0")
      let outcome = try container.exec(["/bin/sh", "-c", "grep ^0: /proc/self/cgroup; cat /proc/1/cgroup | grep ^0:"])
      #expect(outcome.code == 0, "\(outcome)")
      #expect(outcome.stdout == "0::/inner/most\n0::/inner/most\n", "\(outcome)")
      if Runtime.current.isPeer { return }
      // A cgroup that was asked for is that one or none.
      expectError(try container.exec(["/bin/agent", "exit", "0"], "--cgroup", ":inner"), detail: "cannot start")
      #expect(try container.exec(["/bin/agent", "exit", "4"], "--cgroup", ":inner/most").code == 4)
    }
  }
}
