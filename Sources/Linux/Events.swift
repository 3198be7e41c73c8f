import CLinux
public import Diagnostics

extension FileDescriptor {
  /// None at all: poll(2) passes it over, and closing it does nothing.
  public static var none: FileDescriptor { FileDescriptor(owning: -1) }

  /// A counter that others add to, and that does not wait when it is read, eventfd(2).
  public static func eventCounter() throws(SystemError) -> FileDescriptor {
    // EFD_CLOEXEC | EFD_NONBLOCK
    FileDescriptor(owning: Int32(try check("eventfd2", sys_eventfd2(0, 0o2004000))))
  }

  /// Sets a counter of eventfd(2) back; what it was.
  public func takeEvents() throws(SystemError) -> UInt64 {
    do {
      // In the order of the machine, which is little-endian on all that this program is built for.
      return try read(upTo: 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    } catch {
      if error.errno == .tryAgain { return 0 }
      throw error
    }
  }

  /// Up to `limit` bytes from the start of the file, wherever its offset is. Of the files of cgroups and of procfs that are
  /// made anew each time they are read from their start, this is what they say now; poll(2) counts from here.
  public func readFromStart(upTo limit: Int) throws(SystemError) -> [UInt8] {
    var result: Int64 = 0
    let number = number
    let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
      repeat {
        result = sys_pread(number, buffer.baseAddress, limit, 0)
      } while result == -4
      count = max(0, Int(result))
    }
    try check("pread", result)
    return bytes
  }
}
