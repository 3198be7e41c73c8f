import Diagnostics
import Linux

/// The device program of a cgroup of v2.
enum DeviceFilter {
  /// Attaches the program and takes those away that the same cgroup had before: all programs of a cgroup must agree.
  static func attach(
    _ program: DeviceProgram, to cgroup: borrowing FileDescriptor, isNew: Bool
  ) throws(RuntimeError) {
    do {
      let loaded = try BPF.loadDeviceProgram(program.bytes)
      let old = isNew ? [] : try BPF.devicePrograms(of: cgroup)
      if old.count == 1 {
        let replaced = try BPF.program(id: old[0])
        try BPF.attachDeviceProgram(loaded, to: cgroup, replacing: replaced.number)
        return
      }
      // The new one first: with several attached, nothing is allowed that one of them denies.
      try BPF.attachDeviceProgram(loaded, to: cgroup)
      for id in old { try BPF.detachDeviceProgram(try BPF.program(id: id), from: cgroup) }
    } catch {
      throw error.because(
        .cgroupLimit, "cannot load the device filter", field: DevicePermissions.pointer,
        hint: error.errno == .notPermitted
          ? "loading one needs CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN" : "")
    }
  }
}
