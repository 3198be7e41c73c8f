import CLinux
public import Diagnostics
import LinuxABI

/// The size of a terminal in characters, TIOCGWINSZ of ioctl_tty(2).
public struct TerminalSize: Sendable, Equatable {
  public var rows: UInt16
  public var columns: UInt16

  public init(rows: UInt16, columns: UInt16) {
    self.rows = rows
    self.columns = columns
  }
}

/// The settings of a terminal as the kernel has them, termios(3).
public struct TerminalSettings: Sendable {
  var flags: apus_termios

  /// cfmakeraw(3), but for the output: what a program writes is still processed, so that a new line comes at the
  /// beginning of the line.
  public var raw: TerminalSettings {
    var copy = self
    // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
    copy.flags.input &= ~0o2753
    // ISIG ICANON ECHO ECHONL IEXTEN
    copy.flags.local &= ~0o100113
    // CSIZE PARENB; CS8
    copy.flags.control = copy.flags.control & ~0o460 | 0o60
    copy.flags.output |= 0o1  // OPOST
    copy.flags.characters.6 = 1  // VMIN
    copy.flags.characters.5 = 0  // VTIME
    return copy
  }

  /// Without ONLCR: a new line is written as it is. For a terminal whose output goes to another terminal, which will
  /// do that itself.
  public var withoutCarriageReturns: TerminalSettings {
    var copy = self
    copy.flags.output &= ~0o4
    return copy
  }
}

extension FileDescriptor {
  /// Fails with ENOTTY where the file is no terminal.
  public func terminalSettings() throws(SystemError) -> TerminalSettings {
    var flags = apus_termios()
    try check("ioctl", sys_ioctl(number, 0x5401 /* TCGETS */, &flags), "TCGETS")
    return TerminalSettings(flags: flags)
  }

  public func setTerminalSettings(_ settings: TerminalSettings) throws(SystemError) {
    var flags = settings.flags
    let number = number
    // From the background SIGTTOU may interrupt it where the caller has not blocked that.
    try checkRetrying("ioctl", "TCSETS") { sys_ioctl(number, 0x5402 /* TCSETS */, &flags) }
  }

  public func terminalSize() throws(SystemError) -> TerminalSize {
    var window = apus_window()
    try check("ioctl", sys_ioctl(number, 0x5413 /* TIOCGWINSZ */, &window), "TIOCGWINSZ")
    return TerminalSize(rows: window.rows, columns: window.columns)
  }

  /// The kernel tells the foreground processes by SIGWINCH.
  public func setTerminalSize(_ size: TerminalSize) throws(SystemError) {
    var window = apus_window(rows: size.rows, columns: size.columns, width: 0, height: 0)
    try check("ioctl", sys_ioctl(number, 0x5414 /* TIOCSWINSZ */, &window), "TIOCSWINSZ")
  }

  /// Makes this terminal the controlling one of the session that this process leads.
  public func becomeControllingTerminal() throws(SystemError) {
    try check("ioctl", sys_ioctl(number, 0x540E /* TIOCSCTTY */, nil), "TIOCSCTTY")
  }

  /// The slave that belongs to this pseudoterminal master, opened without a path (TIOCGPTPEER): a name below /dev/pts
  /// may by now be that of something else (CVE-2025-52565).
  public func openTerminalPeer() throws(SystemError) -> FileDescriptor {
    let flags = OpenFlags([.readWrite, .noControllingTerminal, .closeOnExec]).rawValue
    let argument = UnsafeMutableRawPointer(bitPattern: UInt(flags))
    let result = sys_ioctl(number, 0x5441 /* TIOCGPTPEER */, argument)
    return FileDescriptor(owning: Int32(try check("ioctl", result, "TIOCGPTPEER")))
  }
}

/// Both ends of a pseudoterminal, pty(7).
@frozen public struct Pseudoterminal: ~Copyable {
  /// The end that the terminal program reads and writes.
  public var master: FileDescriptor
  /// The end that is the terminal of the processes.
  public var slave: FileDescriptor
}

extension RootDirectory {
  /// A new pseudoterminal of the devpts that is mounted at `path`. What is there comes from an image, or is exchanged by
  /// another container while this one looks: it is verified before it is opened, and the opened files again.
  public func makePseudoterminal(in path: String) throws(SystemError) -> Pseudoterminal {
    let directory = try open(path, [.path, .directory])
    guard try directory.isOnDevpts() else { throw SystemError("fstatfs", .noDevice, "\(path) is no devpts") }
    // Only the kernel makes files in a devpts. RESOLVE_BENEATH, NO_SYMLINKS, NO_MAGICLINKS, and NO_XDEV: what somebody
    // mounted over the name is not opened.
    let master = try RootDirectory.resolve(
      directory.number, "ptmx", [.readWrite, .noControllingTerminal], mode: 0, 0x08 | 0x04 | 0x02 | 0x01)
    let status = try master.status()
    guard status.isCharacterDevice, status.specialMajor == 5, status.specialMinor == 2, try master.isOnDevpts()
    else { throw SystemError("statx", .noDevice, "\(path)/ptmx") }
    var locked: Int32 = 0
    try check("ioctl", sys_ioctl(master.number, 0x4004_5431 /* TIOCSPTLCK */, &locked), "TIOCSPTLCK")
    let slave = try master.openTerminalPeer()
    let peer = try slave.status()
    guard peer.isCharacterDevice, peer.specialMajor == 136, try slave.isOnDevpts() else {
      throw SystemError("statx", .noDevice, "\(path): the slave is no terminal")
    }
    return Pseudoterminal(master: master, slave: slave)
  }
}

extension FileDescriptor {
  fileprivate func isOnDevpts() throws(SystemError) -> Bool {
    try fileSystemType() == 0x1CD1 /* DEVPTS_SUPER_MAGIC */
  }
}
