/// A kernel error number, errno(3). The text is the one that managers match: lower case, as runc prints it.
public struct Errno: Equatable, Hashable, Sendable {
  public let number: Int32

  public init(_ number: Int32) {
    self.number = number
  }

  public static let notPermitted = Errno(1)  // EPERM
  public static let noEntry = Errno(2)  // ENOENT
  public static let noProcess = Errno(3)  // ESRCH
  public static let interrupted = Errno(4)  // EINTR
  public static let inputOutput = Errno(5)  // EIO
  public static let argumentListTooLong = Errno(7)  // E2BIG
  public static let execFormat = Errno(8)  // ENOEXEC
  public static let badDescriptor = Errno(9)  // EBADF
  public static let noChild = Errno(10)  // ECHILD
  public static let tryAgain = Errno(11)  // EAGAIN
  public static let noMemory = Errno(12)  // ENOMEM
  public static let accessDenied = Errno(13)  // EACCES
  public static let busy = Errno(16)  // EBUSY
  public static let exists = Errno(17)  // EEXIST
  public static let crossDevice = Errno(18)  // EXDEV
  public static let noDevice = Errno(19)  // ENODEV
  public static let notDirectory = Errno(20)  // ENOTDIR
  public static let isDirectory = Errno(21)  // EISDIR
  public static let invalid = Errno(22)  // EINVAL
  public static let inappropriateIoctl = Errno(25)  // ENOTTY
  public static let textBusy = Errno(26)  // ETXTBSY
  public static let fileTooLarge = Errno(27)  // EFBIG
  public static let noSpace = Errno(28)  // ENOSPC
  public static let readOnlyFileSystem = Errno(30)  // EROFS
  public static let brokenPipe = Errno(32)  // EPIPE
  public static let nameTooLong = Errno(36)  // ENAMETOOLONG
  public static let notImplemented = Errno(38)  // ENOSYS
  public static let notEmpty = Errno(39)  // ENOTEMPTY
  public static let symbolicLinkLoop = Errno(40)  // ELOOP
  public static let notSocket = Errno(88)  // ENOTSOCK
  public static let messageTooLong = Errno(90)  // EMSGSIZE
  public static let wrongSocketType = Errno(91)  // EPROTOTYPE
  public static let notSupported = Errno(95)  // EOPNOTSUPP
  public static let connectionReset = Errno(104)  // ECONNRESET
  public static let isConnected = Errno(106)  // EISCONN
  public static let timedOut = Errno(110)  // ETIMEDOUT
  public static let connectionRefused = Errno(111)  // ECONNREFUSED

  /// The message of strerror(3) in lower case.
  public var text: String {
    switch number {
    case 1: "operation not permitted"
    case 2: "no such file or directory"
    case 3: "no such process"
    case 4: "interrupted system call"
    case 5: "input/output error"
    case 6: "no such device or address"
    case 7: "argument list too long"
    case 8: "exec format error"
    case 9: "bad file descriptor"
    case 10: "no child processes"
    case 11: "resource temporarily unavailable"
    case 12: "cannot allocate memory"
    case 13: "permission denied"
    case 14: "bad address"
    case 15: "block device required"
    case 16: "device or resource busy"
    case 17: "file exists"
    case 18: "invalid cross-device link"
    case 19: "no such device"
    case 20: "not a directory"
    case 21: "is a directory"
    case 22: "invalid argument"
    case 23: "too many open files in system"
    case 24: "too many open files"
    case 25: "inappropriate ioctl for device"
    case 26: "text file busy"
    case 27: "file too large"
    case 28: "no space left on device"
    case 29: "illegal seek"
    case 30: "read-only file system"
    case 31: "too many links"
    case 32: "broken pipe"
    case 33: "numerical argument out of domain"
    case 34: "numerical result out of range"
    case 35: "resource deadlock avoided"
    case 36: "file name too long"
    case 37: "no locks available"
    case 38: "function not implemented"
    case 39: "directory not empty"
    case 40: "too many levels of symbolic links"
    case 61: "no data available"
    case 71: "protocol error"
    case 84: "invalid or incomplete multibyte or wide character"
    case 75: "value too large for defined data type"
    case 87: "too many users"
    case 88: "socket operation on non-socket"
    case 90: "message too long"
    case 91: "protocol wrong type for socket"
    case 93: "protocol not supported"
    case 95: "operation not supported"
    case 97: "address family not supported by protocol"
    case 98: "address already in use"
    case 99: "cannot assign requested address"
    case 101: "network is unreachable"
    case 104: "connection reset by peer"
    case 105: "no buffer space available"
    case 107: "transport endpoint is not connected"
    case 110: "connection timed out"
    case 111: "connection refused"
    case 116: "stale file handle"
    case 122: "disk quota exceeded"
    case 126: "required key not available"
    default: "errno \(number)"
    }
  }
}
