import CLinux
public import Diagnostics
import LinuxABI

/// A moment or a span in seconds and nanoseconds.
public struct TimeValue: Sendable, Equatable {
  public var seconds: Int64
  public var nanoseconds: Int64

  public init(seconds: Int64, nanoseconds: Int64) {
    self.seconds = seconds
    self.nanoseconds = nanoseconds
  }
}

public enum Clock {
  /// The time of day, seconds since 1970 UTC.
  public static func now() -> TimeValue { read(0 /* CLOCK_REALTIME */) }

  /// Milliseconds of a clock that never goes back.
  public static func monotonicMilliseconds() -> Int64 {
    let time = read(1 /* CLOCK_MONOTONIC */)
    return time.seconds * 1000 + time.nanoseconds / 1_000_000
  }

  private static func read(_ clock: Int32) -> TimeValue {
    var time = apus_timespec()
    // clock_gettime(2) fails only for a clock that does not exist.
    _ = sys_clock_gettime(clock, &time)
    return TimeValue(seconds: time.seconds, nanoseconds: time.nanoseconds)
  }
}

public enum System {
  /// The bytes of a page of memory, AT_PAGESZ of getauxval(3).
  public static func pageSize() -> UInt64 { apus_auxiliary(6) }
}

public enum Environment {
  /// The value of a variable of this process; nil where it is not set.
  public static func value(_ name: String) -> String? {
    guard let value = apus_environment(name) else { return nil }
    return String(cString: value)
  }
}

public enum Poll {
  public static let readable: Int16 = 1  // POLLIN
  public static let priority: Int16 = 2  // POLLPRI
  public static let writable: Int16 = 4  // POLLOUT
  public static let hangUp: Int16 = 0x10  // POLLHUP

  /// Waits until one of the descriptors has one of the events; what each has, in the same order.
  /// All zero when `timeout` milliseconds passed first; without a timeout it waits for ever.
  public static func wait(
    _ descriptors: [(number: Int32, events: Int16)], timeout: Int64? = nil
  ) throws(SystemError) -> [Int16] {
    var polled = descriptors.map { apus_poll(fd: $0.number, events: $0.events, revents: 0) }
    let end = timeout.map { Clock.monotonicMilliseconds() + $0 }
    while true {
      var result: Int64
      if let end {
        let left = max(0, end - Clock.monotonicMilliseconds())
        var limit = apus_timespec(seconds: left / 1000, nanoseconds: (left % 1000) * 1_000_000)
        result = sys_ppoll(&polled, UInt32(polled.count), &limit)
      } else {
        result = sys_ppoll(&polled, UInt32(polled.count), nil)
      }
      if result == -4 { continue }
      try check("ppoll", result)
      return polled.map { $0.revents }
    }
  }

  /// Waits for one descriptor; false when the time passed first.
  public static func wait(
    _ descriptor: borrowing FileDescriptor, for events: Int16, timeout: Int64? = nil
  ) throws(SystemError) -> Bool {
    try wait([(descriptor.number, events)], timeout: timeout)[0] != 0
  }
}

/// Strings as C wants them: a block of bytes and a null-terminated list of pointers into it.
public struct CStringList: ~Copyable {
  private let bytes: UnsafeMutablePointer<CChar>
  public let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

  public init(_ strings: [String]) {
    var size = 0
    for string in strings { size += string.utf8.count + 1 }
    bytes = UnsafeMutablePointer<CChar>.allocate(capacity: max(size, 1))
    pointers = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: strings.count + 1)
    var offset = 0
    for (index, string) in strings.enumerated() {
      pointers[index] = bytes + offset
      for byte in string.utf8 {
        bytes[offset] = CChar(bitPattern: byte)
        offset += 1
      }
      bytes[offset] = 0
      offset += 1
    }
    pointers[strings.count] = nil
  }

  deinit {
    bytes.deallocate()
    pointers.deallocate()
  }
}
