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

/// Where records go. The program that embeds the library gives one; the library has no log of its own. A closure and
/// not a protocol: a witness that only another module calls is dropped from an Embedded build.
public struct LogSink: Sendable {
  /// Records above this level are not wanted, and are not put together.
  public let level: LogLevel
  private let sink: @Sendable (LogLevel, String) -> Void

  public init(level: LogLevel, write sink: @escaping @Sendable (LogLevel, String) -> Void) {
    self.level = level
    self.sink = sink
  }

  public func write(_ level: LogLevel, _ message: @autoclosure () -> String) {
    if self.level >= level { sink(level, message()) }
  }

  /// Something that the user should know and that stops nothing.
  public func warning(_ message: @autoclosure () -> String) { write(.warning, message()) }

  /// What was done, for `--debug`.
  public func debug(_ message: @autoclosure () -> String) { write(.debug, message()) }
}
