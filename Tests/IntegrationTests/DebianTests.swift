import Foundation
import Testing

extension Integration {
  /// A whole distribution instead of one program: dynamic linking, a real /etc, many files.
  @Suite struct DebianTests {
    private func container(_ line: String) throws -> Container {
      guard let root = ProcessInfo.processInfo.environment["APUS_DEBIAN_ROOT"] else {
        throw HarnessError("APUS_DEBIAN_ROOT is not set; `hack/test` makes that root file system")
      }
      let container = try Container(args: ["/bin/bash", "-c", line])
      container.bundle.config["root"]["path"] = .string(root)
      return container
    }

    @Test func shellSeesOnlyTheContainersOwn() throws {
      let outcome = try container(
        "id -u; id -G; hostname; ps -e -o pid= -o comm=; ip -o link | cut -d: -f2; tail -n +2 /proc/sysvipc/shm | wc -l"
      ).run()
      let lines = outcome.stdout.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(outcome.code == 0, "\(outcome)")
      #expect(lines.count == 7, "\(lines)")
      #expect(Array(lines.prefix(4)) == ["0", "0", "testhost", "1 bash"], "\(lines)")
      #expect(Array(lines.suffix(2)) == ["lo", "0"], "\(lines)")
    }

    @Test func mountShowsOnlyTheContainersOwn() throws {
      let outcome = try container("mount").run()
      let places = outcome.stdout.split(separator: "\n").compactMap { line in
        line.components(separatedBy: " on ").last?.components(separatedBy: " type ").first
      }
      #expect(places.contains("/") && places.contains("/proc") && places.contains("/dev/pts"), "\(outcome)")
      for place in places {
        #expect(place == "/" || ["/proc", "/dev", "/sys"].contains { place.hasPrefix($0) }, "\(place)")
      }
    }

    @Test func programsOfTheDistributionRun() throws {
      let outcome = try container(
        "dpkg-query -W -f '${Package}\\n' base-files && getent passwd www-data | cut -d: -f3"
      ).run()
      #expect(outcome.stdout == "base-files\n33\n", "\(outcome)")
    }
  }
}
