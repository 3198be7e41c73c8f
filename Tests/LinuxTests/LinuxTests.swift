import Diagnostics
import Foundation
import LinuxABI
import Testing

@testable import Linux

@Suite struct LinuxTests {
  @Test func aStatLineIsReadBehindTheLastBracket() throws {
    let line = "42 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 98765 20 21\n"
    let status = try #require(ProcessStatus(statLine: Array(line.utf8)))
    #expect(status.state == UInt8(ascii: "R"))
    #expect(status.startTime == 98765)
    #expect(status.parent == 1 && status.command == "a) b (c")
    #expect(ProcessStatus(statLine: Array("42 (a".utf8)) == nil)
  }

  @Test func theEndOfAProcessIsTheLastWordOfItsStatLine() {
    let words = (4...51).map { "\($0)" }.joined(separator: " ")
    func word(_ last: String) -> Int32? {
      Linux.ExitStatus.wordOfWait(statLine: Array("42 (a) b) Z \(words) \(last)\n".utf8))
    }
    #expect(word("1792") == 1792)
    #expect(word("-1") == nil && word("") == nil)
    #expect(Linux.ExitStatus.wordOfWait(statLine: Array("42 (a".utf8)) == nil)
    #expect(Linux.ExitStatus(wordOfWait: 1792) == .exited(7))
    #expect(Linux.ExitStatus(wordOfWait: 9) == .signaled(9))
    #expect(Linux.ExitStatus(wordOfWait: 0x80 | 11) == .signaled(11), "with a core file")
  }

  @Test(arguments: [("exit 7", Linux.ExitStatus.exited(7)), ("kill -9 $$", .signaled(9)), ("true", .exited(0))])
  func aZombieTellsHowItEnded(_ line: String, _ wanted: Linux.ExitStatus) throws {
    var pid: pid_t = 0
    let arguments = ["/bin/sh", "-c", "read line; \(line)"]
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    posix_spawn_file_actions_addclose(&actions, ends[1])
    try #require(posix_spawn(&pid, "/bin/sh", &actions, nil, &words, environ) == 0)
    close(ends[0])
    let process = try Processes.open(pid)
    #expect(try Processes.statusOfZombie(pid) == nil, "it lives")
    close(ends[1])
    _ = try Poll.wait(process, for: Poll.readable, timeout: 10_000)
    #expect(try Processes.statusOfZombie(pid) == wanted)
    #expect(try Processes.wait(pid) == wanted)
    #expect(throws: SystemError.self) { _ = try Processes.statusOfZombie(pid) }
  }

  /// But for the output, a raw terminal is the one of cfmakeraw(3).
  @Test func aRawTerminalIsThatOfTheCLibrary() throws {
    let number = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    try #require(number >= 0)
    let terminal = FileDescriptor(owning: number)
    var wanted = termios()
    tcgetattr(number, &wanted)
    cfmakeraw(&wanted)
    wanted.c_oflag |= UInt32(OPOST)
    try terminal.setTerminalSettings(terminal.terminalSettings().raw)
    var found = termios()
    tcgetattr(number, &found)
    #expect(found.c_iflag == wanted.c_iflag)
    #expect(found.c_oflag == wanted.c_oflag)
    #expect(found.c_cflag == wanted.c_cflag)
    #expect(found.c_lflag == wanted.c_lflag)
    #expect([found.c_cc.5, found.c_cc.6] == [0, 1])
    try terminal.setTerminalSettings(terminal.terminalSettings().withoutCarriageReturns)
    tcgetattr(number, &found)
    #expect(found.c_oflag == wanted.c_oflag & ~UInt32(ONLCR))
  }

  /// The release binary has its own of these, and only that: here, and in a program that embeds the library, they are the C
  /// library's.
  @Test(arguments: ["__fprintf_chk", "arc4random_buf", "malloc"])
  func nothingStandsInForTheCLibrary(name: String) throws {
    let library = try #require(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD))
    defer { dlclose(library) }
    // An older one has no arc4random_buf; then nobody may have it.
    #expect(dlsym(nil, name) == dlsym(library, name))
  }

  @Test func theFileOfAProcessIsKnown() throws {
    let own = try #require(try Processes.executable(Processes.ownPid()))
    #expect(try FileDescriptor.open("/proc/self/exe", .path).status().inode == own.inode)
    #expect(try Processes.executable(1 << 22) == nil)
  }

  @Test func ownStartTimeDoesNotChange() throws {
    let first = try #require(try Processes.status(Processes.ownPid()))
    let second = try #require(try Processes.status(Processes.ownPid()))
    #expect(first.startTime == second.startTime && first.startTime > 0)
    #expect(first.isAlive)
  }

  @Test func aLinkToOutsideStaysInside() throws {
    let folder = try RootFolder()
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/out", withDestinationPath: "/../../../etc")
    // `/etc` is looked up below the root, where there is none: it is made there, not taken from the host.
    #expect(throws: SystemError.self) { _ = try folder.root.open("out/passwd", .path).number }
    try FileManager.default.createDirectory(atPath: folder.path + "/etc", withIntermediateDirectories: false)
    let made = try folder.root.makeDirectories("out/new/deep", mode: 0o755)
    let isDirectory = try made.status().isDirectory
    #expect(isDirectory)
    #expect(FileManager.default.fileExists(atPath: folder.path + "/etc/new/deep"))
  }

  @Test func behindALinkToNothingItsTargetIsMadeInside() throws {
    let folder = try RootFolder()
    // Images have `/var/run -> /run` and `/etc/resolv.conf -> ../run/...` without the target.
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/dangling", withDestinationPath: "/nowhere")
    let made = try folder.root.makeDirectories("dangling/x", mode: 0o755)
    let isDirectory = try made.status().isDirectory
    #expect(isDirectory)
    #expect(FileManager.default.fileExists(atPath: folder.path + "/nowhere/x"))
    #expect(!FileManager.default.fileExists(atPath: "/nowhere"))
    try FileManager.default.createDirectory(atPath: folder.path + "/etc", withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(
      atPath: folder.path + "/etc/resolv.conf", withDestinationPath: "../run/x/resolv.conf")
    let file = try folder.root.makeFile("etc/resolv.conf", mode: 0o644, directoryMode: 0o755)
    let isFile = try file.status().isRegularFile
    #expect(isFile)
    #expect(FileManager.default.fileExists(atPath: folder.path + "/run/x/resolv.conf"))
  }

  @Test func linksInACircleAreAnError() throws {
    let folder = try RootFolder()
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/a", withDestinationPath: "b")
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/b", withDestinationPath: "a")
    #expect(throws: SystemError.self) { _ = try folder.root.makeDirectories("a/x", mode: 0o755).number }
  }

  @Test func linksAreRefusedWhereNoneMayBe() throws {
    let folder = try RootFolder()
    try FileManager.default.createDirectory(atPath: folder.path + "/real", withIntermediateDirectories: false)
    try FileManager.default.createSymbolicLink(atPath: folder.path + "/proc", withDestinationPath: "real")
    #expect(throws: SystemError("openat2", .symbolicLinkLoop, "proc")) {
      _ = try folder.root.openWithoutLinks("proc", [.path, .directory]).number
    }
    let isDirectory = try folder.root.openWithoutLinks("real", [.path, .directory]).status().isDirectory
    #expect(isDirectory)
  }

  @Test func aSealedFileCannotBeChanged() throws {
    let file = try FileDescriptor.sealedMemory("test", [1, 2, 3])
    let isSealed = file.isSealed()
    #expect(isSealed)
    let content = try file.readFromStart()
    #expect(content == [1, 2, 3])
    #expect(throws: SystemError.self) { try file.write([4]) }
    let null = try FileDescriptor.open("/dev/null", .readOnly).isSealed()
    #expect(!null)
  }

  @Test func aPacketCarriesADescriptor() throws {
    let pair = try Socket.pair()
    let sent = try FileDescriptor.sealedMemory("carried", [7])
    try pair.first.send([1, 2], passing: sent.number)
    var packet = try pair.second.receive()
    #expect(packet.bytes == [1, 2])
    guard let received = packet.descriptor.take() else {
      Issue.record("no descriptor came along")
      return
    }
    let content = try received.readFromStart()
    #expect(content == [7])
  }

  @Test func aClosedSocketIsAnEmptyPacket() throws {
    let pair = try Socket.pair()
    let first = pair.takeFirst()
    let nothing = try first.receive().bytes
    #expect(nothing.isEmpty)
  }

  @Test func aFileLongerThanTheLimitIsRefused() throws {
    #expect(throws: SystemError("read", .fileTooLarge)) {
      try FileDescriptor.open("/dev/zero", .readOnly).readAll(limit: 1000)
    }
  }

  @Test func splitLastCutsAtTheLastSlash() {
    #expect(splitLast("/a/b/c/") == ("a/b", "c"))
    #expect(splitLast("c") == ("", "c"))
  }
}

/// A folder of one test in the place of a root file system, gone with this object.
final class RootFolder {
  let path: String
  let root: RootDirectory

  init() throws {
    path = NSTemporaryDirectory() + "apus-linux-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    root = try RootDirectory(FileDescriptor.open(path, [.path, .directory]))
  }

  deinit {
    do {
      try FileManager.default.removeItem(atPath: path)
    } catch {
      Issue.record("left behind: \(error)")
    }
  }
}
