import Diagnostics
import Linux

/// The device program of a cgroup of v2.
enum DeviceFilter {
  /// Attaches the program and takes those away that the same cgroup had before: all programs of a cgroup must agree.
  static func attach(
    _ program: DeviceProgram, to cgroup: borrowing FileDescriptor, isNew: Bool
  ) throws(RuntimeError) {
    do {
      try LoadedDeviceFilter(program).attach(to: cgroup, isNew: isNew)
    } catch {
      throw failure(error)
    }
  }

  static func failure(_ error: SystemError) -> RuntimeError {
    error.because(
      .cgroupLimit, "cannot load the device filter", field: DevicePermissions.pointer,
      hint: error.errno == .notPermitted
        ? "loading one needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN" : "")
  }
}

/// A program that the kernel has taken, and those in whose place it stands.
final class LoadedDeviceFilter {
  private final class Program {
    let descriptor: FileDescriptor

    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
  }

  private let program: Program
  private var old: [Program] = []

  init(_ program: DeviceProgram) throws(SystemError) {
    self.program = Program(try BPF.loadDeviceProgram(program.bytes))
  }

  func attach(to cgroup: borrowing FileDescriptor, isNew: Bool) throws(SystemError) {
    for id in isNew ? [] : try BPF.devicePrograms(of: cgroup) { old.append(Program(try BPF.program(id: id))) }
    if old.count == 1 {
      try BPF.attachDeviceProgram(program.descriptor, to: cgroup, replacing: old[0].descriptor.number)
      return
    }
    // The new one first: with several attached, nothing is allowed that one of them denies.
    try BPF.attachDeviceProgram(program.descriptor, to: cgroup)
    for (index, other) in old.enumerated() {
      do {
        try BPF.detachDeviceProgram(other.descriptor, from: cgroup)
      } catch {
        old.removeLast(old.count - index)
        try takeBack(from: cgroup)
        throw error
      }
    }
  }

  /// The old ones again, with no moment in which neither they nor this one holds.
  func takeBack(from cgroup: borrowing FileDescriptor) throws(SystemError) {
    if old.count == 1 {
      try BPF.attachDeviceProgram(old[0].descriptor, to: cgroup, replacing: program.descriptor.number)
      return
    }
    for other in old { try BPF.attachDeviceProgram(other.descriptor, to: cgroup) }
    try BPF.detachDeviceProgram(program.descriptor, from: cgroup)
  }
}
