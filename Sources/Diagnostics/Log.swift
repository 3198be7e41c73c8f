/// How much a log record matters. The names are those that runc prints.
public enum LogLevel: UInt8, Sendable, Comparable {
  case error = 0
  case warning = 1
  case info = 2
  case debug = 3

  public static func < (left: LogLevel, right: LogLevel) -> Bool {
    left.rawValue < right.rawValue
  }

  public var name: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .info: "info"
    case .debug: "debug"
    }
  }
}

/// Where records go. The program that embeds the library gives one; the library has no log of its own.
public protocol LogSink: AnyObject, Sendable {
  /// Records above this level are not wanted, and need not be put together.
  var level: LogLevel { get }
  func write(_ level: LogLevel, _ message: String)
}

extension LogSink {
  /// Something that the user should know and that stops nothing.
  public func warning(_ message: @autoclosure () -> String) {
    if level >= .warning { write(.warning, message()) }
  }

  /// What was done, for `--debug`.
  public func debug(_ message: @autoclosure () -> String) {
    if level >= .debug { write(.debug, message()) }
  }
}
