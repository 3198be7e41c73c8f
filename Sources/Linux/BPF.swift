import CLinux
public import Diagnostics

/// bpf(2), as far as the device controller of cgroup v2 needs it.
public enum BPF {
  private static let deviceAttachType: UInt32 = 6  // BPF_CGROUP_DEVICE
  private static let loadCommand: Int32 = 5  // BPF_PROG_LOAD
  private static let attachCommand: Int32 = 8  // BPF_PROG_ATTACH
  private static let detachCommand: Int32 = 9  // BPF_PROG_DETACH
  private static let openCommand: Int32 = 13  // BPF_PROG_GET_FD_BY_ID
  private static let queryCommand: Int32 = 16  // BPF_PROG_QUERY

  /// Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE; `instructions` holds 8 bytes for each.
  public static func loadDeviceProgram(_ instructions: [UInt8]) throws(SystemError) -> FileDescriptor {
    var attributes = Attributes()
    attributes.set(0, UInt32(15))  // prog_type
    attributes.set(4, UInt32(instructions.count / 8))
    let name: StaticString = "apus_devices"
    for index in 0..<name.utf8CodeUnitCount { attributes.bytes[48 + index] = name.utf8Start[index] }
    let license: [UInt8] = [UInt8]("Apache-2.0".utf8) + [0]
    let result = instructions.withUnsafeBufferPointer { program in
      license.withUnsafeBufferPointer { license in
        attributes.set(8, program.baseAddress)
        attributes.set(16, license.baseAddress)
        return attributes.call(loadCommand)
      }
    }
    return FileDescriptor(owning: Int32(try check("bpf", result, "BPF_PROG_LOAD")))
  }

  /// Attaches a device program to a cgroup directory: next to those that are there (BPF_F_ALLOW_MULTI), or in the place
  /// of `replaced`, with no moment in which neither holds.
  public static func attachDeviceProgram(
    _ program: borrowing FileDescriptor, to cgroup: borrowing FileDescriptor, replacing replaced: Int32? = nil
  ) throws(SystemError) {
    var attributes = Attributes()
    attributes.set(0, UInt32(bitPattern: cgroup.number))
    attributes.set(4, UInt32(bitPattern: program.number))
    attributes.set(8, deviceAttachType)
    attributes.set(12, UInt32(replaced == nil ? 2 : 6))  // BPF_F_ALLOW_MULTI, BPF_F_REPLACE
    if let replaced { attributes.set(16, UInt32(bitPattern: replaced)) }
    try check("bpf", attributes.call(attachCommand), "BPF_PROG_ATTACH")
  }

  public static func detachDeviceProgram(
    _ program: borrowing FileDescriptor, from cgroup: borrowing FileDescriptor
  ) throws(SystemError) {
    var attributes = Attributes()
    attributes.set(0, UInt32(bitPattern: cgroup.number))
    attributes.set(4, UInt32(bitPattern: program.number))
    attributes.set(8, deviceAttachType)
    try check("bpf", attributes.call(detachCommand), "BPF_PROG_DETACH")
  }

  /// The device programs attached to this very cgroup, oldest first.
  public static func devicePrograms(
    of cgroup: borrowing FileDescriptor
  ) throws(SystemError) -> [UInt32] {
    // The kernel takes no more than 64 programs on one cgroup (BPF_CGROUP_MAX_PROGS).
    var ids = [UInt32](repeating: 0, count: 64)
    var attributes = Attributes()
    attributes.set(0, UInt32(bitPattern: cgroup.number))
    attributes.set(4, deviceAttachType)
    attributes.set(24, UInt32(ids.count))
    let result = ids.withUnsafeMutableBufferPointer { buffer in
      attributes.set(16, UnsafePointer(buffer.baseAddress))
      return attributes.call(queryCommand)
    }
    try check("bpf", result, "BPF_PROG_QUERY")
    return [UInt32](ids.prefix(min(ids.count, Int(attributes.word(24)))))
  }

  public static func program(id: UInt32) throws(SystemError) -> FileDescriptor {
    var attributes = Attributes()
    attributes.set(0, id)
    let number = try check("bpf", attributes.call(openCommand), "BPF_PROG_GET_FD_BY_ID")
    return FileDescriptor(owning: Int32(number))
  }

  /// `union bpf_attr`. The buffer is larger than the size that is passed: kernels 6.17 to 7.1 store results of
  /// BPF_PROG_QUERY beyond a small one, whatever its size.
  private struct Attributes {
    var bytes = [UInt8](repeating: 0, count: 256)

    mutating func set(_ offset: Int, _ value: UInt32) {
      for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }

    mutating func set<T>(_ offset: Int, _ pointer: UnsafePointer<T>?) {
      let address = UInt64(UInt(bitPattern: pointer))
      set(offset, UInt32(truncatingIfNeeded: address))
      set(offset + 4, UInt32(truncatingIfNeeded: address >> 32))
    }

    func word(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    mutating func call(_ command: Int32) -> Int64 {
      bytes.withUnsafeMutableBufferPointer { sys_bpf(command, $0.baseAddress, 128) }
    }
  }
}
