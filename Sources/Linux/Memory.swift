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

/// The program that this process runs, in its memory.
public enum ProgramImage {
  /// Gives back what of the program is never written, its code above all: a process that waits is as small as its data, and
  /// takes from the cache of the file what it needs afterwards. Only such pages, madvise(2): one that was written would
  /// be as in the file again.
  public static func giveBack() throws(SystemError) {
    // AT_PHDR, AT_PHENT and AT_PHNUM of getauxval(3): the program headers of elf(5), here those of 64 bits.
    let size = Int(apus_auxiliary(4))
    guard size == 56, let headers = UnsafeRawPointer(bitPattern: UInt(apus_auxiliary(3))) else { return }
    let page = System.pageSize()
    var base: UInt64 = 0
    for index in 0..<Int(apus_auxiliary(5)) {
      let header = headers + index * size
      let type = header.load(as: UInt32.self)
      let address = header.load(fromByteOffset: 16, as: UInt64.self)
      if type == 6 /* PT_PHDR */ { base = UInt64(UInt(bitPattern: headers)) &- address }
      // PT_LOAD, and not PF_W
      guard type == 1, header.load(fromByteOffset: 4, as: UInt32.self) & 2 == 0 else { continue }
      let start = (base &+ address) / page * page
      let length = (base &+ address) - start + header.load(fromByteOffset: 40, as: UInt64.self)
      try check("madvise", sys_madvise(start, length, 4 /* MADV_DONTNEED */))
    }
  }
}
