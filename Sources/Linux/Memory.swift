import CLinux
public import Diagnostics

extension FileDescriptor {
  /// A file in memory that can never change again: memfd_create(2) with every seal set.
  public static func sealedMemory(_ name: String, _ bytes: [UInt8]) throws(SystemError) -> FileDescriptor {
    let file = try memory(name, isProgram: false)
    try file.write(bytes)
    try file.seal()
    return file
  }

  /// A sealed copy of `source` from its start, for the case that the file itself cannot be shielded by a mount.
  public static func sealedCopy(
    _ name: String, of source: borrowing FileDescriptor
  ) throws(SystemError) -> FileDescriptor {
    let copy = try memory(name, isProgram: true)
    let size = try source.status().size
    var done: UInt64 = 0
    while done < size {
      let sent = try check("sendfile", sys_sendfile(copy.number, source.number, Int(size - done)))
      if sent == 0 { throw SystemError("sendfile", .inputOutput, name) }
      done += UInt64(sent)
    }
    try copy.seal()
    return copy
  }

  /// An empty file in memory, memfd_create(2), that can be sealed later.
  public static func memory(_ name: String, isProgram: Bool = false) throws(SystemError) -> FileDescriptor {
    // MFD_CLOEXEC | MFD_ALLOW_SEALING, and MFD_EXEC or MFD_NOEXEC_SEAL: vm.memfd_noexec may want it said, and before
    // Linux 6.3 the kernel does not know it (EINVAL).
    var result = sys_memfd_create(name, 3 | (isProgram ? 0x10 : 0x8))
    if result == -22 { result = sys_memfd_create(name, 3) }
    return FileDescriptor(owning: Int32(try check("memfd_create", result, name)))
  }

  private func seal() throws(SystemError) {
    try check("fcntl", sys_fcntl(number, 1033 /* F_ADD_SEALS */, FileDescriptor.everySeal))
  }

  /// Whether this is a file in memory with every seal set.
  public func isSealed() -> Bool {
    let seals = sys_fcntl(number, 1034 /* F_GET_SEALS */, 0)
    return seals >= 0 && UInt64(seals) & FileDescriptor.everySeal == FileDescriptor.everySeal
  }

  /// F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE
  private static var everySeal: UInt64 { 0xF }
}

extension FileDescriptor {
  /// The whole file from its start, whatever the position is; for files whose size does not change.
  public func readFromStart() throws(SystemError) -> [UInt8] {
    let size = Int(try status().size)
    var failure: Int64 = 0
    let number = number
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      var done = 0
      while done < size {
        guard let start = buffer.baseAddress else { break }
        let result = sys_pread(number, start + done, size - done, Int64(done))
        if result == -4 { continue }
        if result < 0 { failure = result }
        if result <= 0 { break }
        done += Int(result)
      }
      count = done
    }
    try check("pread64", failure)
    return bytes
  }
}
