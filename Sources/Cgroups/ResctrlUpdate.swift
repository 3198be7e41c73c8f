package import Diagnostics
import Linux
import LinuxABI

/// New lines for the class of service that was made for a container, and the way back.
package struct ResctrlUpdate: Sendable {
  private let path: String
  private let old: [UInt8]

  /// Sets the lines (`L3:0=f`, `MB:0=20`); all in one write, of which the kernel takes everything or nothing.
  ///
  /// - Parameter made: what was made in resctrl for the container.
  /// - Parameter field: the flag that asks for it.
  package init(_ made: [String], lines: [String], field: String) throws(RuntimeError) {
    guard let group = made.last, !ResctrlUpdate.isMonitoringGroup(group) else {
      throw RuntimeError(
        .intelRdt, "the container has no class of service of its own that could be changed", field: field,
        hint: "it gets one by `linux.intelRdt` without `closID`")
    }
    let path = "\(group)/schemata"
    old = try describe(.intelRdt, "cannot read `\(path)`", field: field) { () throws(SystemError) in
      try FileDescriptor.open(path, [.readOnly, .noFollow]).readAll(limit: 1 << 20)
    }
    try describe(.intelRdt, "cannot write `\(path)`", field: field) { () throws(SystemError) in
      try FileDescriptor.open(path, [.writeOnly, .noFollow]).write(lines.joined(separator: "\n") + "\n")
    }
    self.path = path
  }

  private static func isMonitoringGroup(_ path: String) -> Bool {
    path.utf8.split(separator: 0x2F).dropLast().last.map { $0.elementsEqual("mon_groups".utf8) } ?? false
  }

  /// Sets what was there before; the text of the failure, nil where there was none.
  package func putBack() -> String? {
    do {
      try FileDescriptor.open(path, [.writeOnly, .noFollow]).write(old)
      return nil
    } catch {
      return "`\(path)` could not be put back: \(error.text)"
    }
  }
}
