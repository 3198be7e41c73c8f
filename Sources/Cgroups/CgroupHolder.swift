package import Diagnostics
import Linux

/// A process that does not end, and so keeps a container from being deleted.
package struct CgroupHolder {
  private let pid: Int32
  private let status: ProcessStatus
  /// How many more there are.
  private let others: Int

  /// The one that needs an explanation most; nil where all have ended meanwhile.
  package init?(among pids: [Int32]) throws(SystemError) {
    var found: (pid: Int32, status: ProcessStatus)?
    var count = 0
    for pid in pids {
      guard let status = try Processes.status(pid) else { continue }
      count += 1
      if let other = found, CgroupHolder.rank(other.status.state) <= CgroupHolder.rank(status.state) { continue }
      found = (pid, status)
    }
    guard let found else { return nil }
    pid = found.pid
    status = found.status
    others = count - 1
  }

  /// The states of proc(5) in which SIGKILL ends nobody stand first; the others are on their way.
  private static func rank(_ state: UInt8) -> Int {
    switch state {
    case 0x44 /* D */: 0
    case 0x74 /* t */: 1
    case 0x5A /* Z */: 2
    default: 3
    }
  }

  /// ``process 42 (`cat`) in state D (uninterruptible sleep) and 2 others``
  package var text: String {
    let meaning =
      switch status.state {
      case 0x44: "D (uninterruptible sleep)"
      case 0x74: "t (stopped by its tracer)"
      case 0x54: "T (stopped by a signal)"
      case 0x5A: "Z (ended)"
      case 0x52: "R (running)"
      case 0x53: "S (sleeping)"
      default: String(decoding: [status.state], as: UTF8.self)
      }
    let rest = others == 0 ? "" : phrase(" and ", String(others), others == 1 ? " other" : " others")
    return phrase("process ", String(pid), " (`", status.command, "`) in state ", meaning, rest)
  }

  /// Whether it can be neither frozen nor killed now.
  var isUninterruptible: Bool { status.state == 0x44 }

  /// What the user can do about it.
  package var hint: String {
    switch status.state {
    case 0x44: phrase("it waits for something that cannot be interrupted, see `/proc/", String(pid), "/stack`")
    case 0x74: "its tracer has to let it go"
    case 0x5A: phrase("process ", String(status.parent), ", its parent, has not waited for it")
    default: ""
    }
  }
}
