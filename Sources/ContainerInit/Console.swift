import ContainerPlan
import Diagnostics
import Linux
import LinuxABI

/// The terminal of a process with `process.terminal` (config.md, "Process"; config-linux.md, "Default Devices").
enum Console {
  /// What is sent along with the master, as runc does: receivers show it as the name of the file.
  private static var name: String { "/dev/ptmx" }

  /// Makes a pseudoterminal in the devpts of `root`, sends its master to `socket`, and makes the slave the controlling
  /// terminal and the standard streams of this process, which must lead a session. The owner of the slave is seen to
  /// with the other streams, before the user changes.
  static func setUp(
    _ console: ConsoleStep, in root: borrowing RootDirectory, sendingTo socket: consuming FileDescriptor
  ) throws(RuntimeError) {
    let terminal = try describe(
      .terminal, "cannot make a terminal in `/dev/pts` of the container", field: "/process/terminal"
    ) { () throws(SystemError) -> Pseudoterminal in
      try root.makePseudoterminal(in: "dev/pts")
    }
    if console.rows != 0 && console.columns != 0 {
      try describe(.terminal, "cannot set the size of the terminal", field: "/process/consoleSize") {
        () throws(SystemError) in
        try terminal.master.setTerminalSize(TerminalSize(rows: console.rows, columns: console.columns))
      }
    }
    if console.isMounted { try mount(terminal.slave, in: root) }
    try describe(.terminal, "cannot send the terminal", field: "--console-socket") {
      () throws(SystemError) in
      try socket.send([UInt8](name.utf8), passing: terminal.master.number)
    }
    try describe(.terminal, "cannot use the terminal", field: "/process/terminal") { () throws(SystemError) in
      for number in Int32(0)...2 { try terminal.slave.replace(number) }
      try terminal.slave.becomeControllingTerminal()
    }
  }

  private static func openFile(in directory: borrowing FileDescriptor) throws(SystemError) -> FileDescriptor {
    do {
      try directory.makeNode("console", mode: 0o100644)
    } catch {
      if error.errno != .exists { throw error }
    }
    return try RootDirectory.openEntry(in: directory, "console", [.path, .noFollow])
  }

  /// Mounts the slave on /dev/console. The file there is the image's and only has to hold a mount, so a regular one or a
  /// node is as good as a new one. A link is never followed: it could lead to a file of the host (CVE-2026-88264).
  private static func mount(
    _ slave: borrowing FileDescriptor, in root: borrowing RootDirectory
  ) throws(RuntimeError) {
    let directory = try describe(.terminal, "cannot open `/dev` of the container") {
      () throws(SystemError) -> FileDescriptor in
      try root.makeDirectories("dev", mode: 0o755)
    }
    let target = try describe(.terminal, "cannot make `/dev/console`", field: "/process/terminal") {
      () throws(SystemError) -> FileDescriptor in
      try openFile(in: directory)
    }
    let kind = try describe(.terminal, "cannot look at `/dev/console`", field: "/process/terminal") {
      () throws(SystemError) in
      try target.status().kind
    }
    if kind == 0o120000 || kind == 0o040000 {
      throw RuntimeError(
        .terminal, "`/dev/console` of the root file system is a \(kind == 0o040000 ? "directory" : "symbolic link")",
        field: "/process/terminal", hint: "remove it, or mount a tmpfs on `/dev`")
    }
    try describe(.terminal, "cannot mount the terminal on `/dev/console`", field: "/process/terminal") {
      () throws(SystemError) in
      let copy = try Mounts.clone(slave, recursive: false)
      try Mounts.change(copy, MountChange(propagation: MountAttribute.isolated), recursive: false)
      try Mounts.attach(copy, to: target)
      // Whoever can rename in /dev may have put another file there meanwhile.
      let found = try RootDirectory.openEntry(in: directory, "console", [.path, .noFollow]).status()
      let wanted = try slave.status()
      guard found.inode == wanted.inode, found.deviceMajor == wanted.deviceMajor,
        found.deviceMinor == wanted.deviceMinor
      else { throw SystemError("statx", .exists, "dev/console") }
    }
  }
}
