import Diagnostics
import Foundation
import LinuxABI
import Testing

@testable import Linux

/// In a process with threads, as a program that embeds the library has them.
@Suite struct ChildProgramTests {
  private func shell(_ line: String, timeout: Int64? = nil, input: String = "") throws -> ChildOutcome {
    try ChildProgram(
      path: "/bin/sh", arguments: ["sh", "-c", line], environment: ["A=b c"], input: Array(input.utf8),
      timeout: timeout
    ).run()
  }

  private func text(_ outcome: ChildOutcome) -> String { String(decoding: outcome.output, as: UTF8.self) }

  @Test func aChildGetsItsInputAndEnvironmentAndNothingElse() throws {
    let outcome = try shell("cat; echo; echo \"$A\"; echo err >&2; ls -l /proc/self/fd | wc -l", input: "in")
    #expect(outcome.status == .exited(0))
    // A line of the total, three streams, and the directory that ls reads.
    #expect(text(outcome) == "in\nb c\nerr\n5\n")
  }

  @Test func aChildHasTheLimitsThatItIsGiven() throws {
    var program = ChildProgram(
      path: "/bin/sh", arguments: ["sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -Hc"], environment: [], input: [])
    program.limits = [
      ChildLimit(resource: 7 /* RLIMIT_NOFILE */, soft: 90, hard: 100),
      ChildLimit(resource: 4 /* RLIMIT_CORE */, soft: 0, hard: 0),
    ]
    #expect(text(try program.run()) == "90\n100\n0\n")
    #expect(try Credentials.limit(7).hard > 100)
    program.limits = [ChildLimit(resource: 7, soft: 1, hard: 1 << 40)]
    do throws(SystemError) {
      _ = try program.run()
      Issue.record("it ran")
    } catch {
      #expect(error.errno == .notPermitted)
    }
  }

  /// Root in a folder of somebody else's must not run what lies there.
  @Test func programsAreFoundInAbsoluteFoldersOnly() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/apus-find-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) } }
    #expect(
      FileManager.default.createFile(atPath: folder + "/tool", contents: Data(), attributes: [.posixPermissions: 0o755])
    )
    let up = FileManager.default.currentDirectoryPath.split(separator: "/").map { _ in ".." }.joined(separator: "/")
    #expect(access("\(up)\(folder)/tool", X_OK) == 0)
    #expect(ChildProgram.find("tool", in: "\(up)\(folder):.:") == nil)
    #expect(ChildProgram.find("tool", in: "\(up)\(folder):/no/such:\(folder)") == "\(folder)/tool")
    #expect(ChildProgram.find("tool", in: nil) == nil)
  }

  @Test func theWayItEndedIsKnown() throws {
    #expect(try shell("exit 7").status == .exited(7))
    #expect(try shell("kill -9 $$").status == .signaled(9))
  }

  @Test func aChildOwnsItsProcessGroup() throws {
    let words = text(try shell("read -r line < /proc/self/stat; echo $line")).split(separator: " ")
    #expect(words[0] == words[4])
  }

  @Test func aProgramThatIsNotThereIsAnError() {
    do throws(SystemError) {
      _ = try ChildProgram(path: "/no/such", arguments: ["x"], environment: [], input: []).run()
      Issue.record("it ran")
    } catch {
      #expect(error == SystemError("execve", .noEntry, "/no/such"))
    }
  }

  @Test func onlyTheEndOfTheOutputIsKept() throws {
    let outcome = try shell("head -c 1000000 /dev/zero; echo end")
    #expect(outcome.output.count == ChildOutcome.outputLimit && outcome.isOutputCut)
    #expect(text(outcome).hasSuffix("\0end\n"))
    #expect(try !shell("head -c 4096 /dev/zero").isOutputCut)
  }

  @Test func theTimeoutEndsTheWholeGroup() throws {
    let start = Clock.monotonicMilliseconds()
    let outcome = try shell("sleep 50 & echo $!; sleep 50; sleep 50", timeout: 300)
    let taken = Clock.monotonicMilliseconds() - start
    #expect(outcome.status == nil)
    #expect(taken >= 300 && taken < 20_000)
    let child = try #require(Int32(text(outcome).dropLast()))
    // It is nobody's child here: it is gone, or a zombie of whoever collects orphans.
    var isGone = false
    for _ in 0..<200 where !isGone {
      isGone = try Processes.status(child)?.isAlive != true
      if !isGone { usleep(10_000) }
    }
    #expect(isGone)
  }

  @Test func aBackgroundProcessHoldsNobodyUp() throws {
    let start = Clock.monotonicMilliseconds()
    let outcome = try shell("(sleep 20; exit) & echo $!")
    #expect(outcome.status == .exited(0))
    #expect(Clock.monotonicMilliseconds() - start < 15_000)
    kill(try #require(Int32(text(outcome).dropLast())), SIGKILL)
  }

  @Test func theDirectoryAndTheMaskAreThoseAskedFor() throws {
    let directory = try FileDescriptor.open("/usr/bin", [.path, .directory])
    let outcome = try ChildProgram(
      path: "/bin/sh", arguments: ["sh", "-c", "pwd; umask"], environment: [], input: [],
      directory: directory.number, umask: 0o027
    ).run()
    #expect(text(outcome) == "/usr/bin\n0027\n")
  }

  @Test func everyVariableOfThisProcessIsListed() {
    let variables = ProcessInfo.processInfo.environment
    #expect(Environment.all().contains("PATH=\(variables["PATH"] ?? "")"))
    #expect(Environment.all().count >= variables.count)
  }
}
