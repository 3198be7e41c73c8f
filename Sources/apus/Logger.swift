import Diagnostics
import Linux
import LinuxABI

/// The log of the program, in the forms of runc.
///
/// podman reads the whole of `--log` as one JSON object: without `--debug` nothing but the error that ends the program
/// is written there. Warnings go to stderr, where managers pass them on.
final class Logger: Sendable {
  private let level: LogLevel
  private let format: LogFormat
  private let path: String
  /// The log file; its number is -1 where there is none and everything goes to stderr.
  private let file: FileDescriptor

  /// A log on stderr alone.
  init(format: LogFormat, debug: Bool) {
    level = debug ? .debug : .warning
    self.format = format
    path = ""
    file = FileDescriptor(owning: -1)
  }

  init(_ options: GlobalOptions) throws(RuntimeError) {
    level = options.debug ? .debug : .warning
    format = options.logFormat
    path = options.log ?? ""
    guard let path = options.log else {
      file = FileDescriptor(owning: -1)
      return
    }
    do {
      // O_APPEND: shim and runtime may both write, and a record is one write(2).
      file = try FileDescriptor.open(path, [.writeOnly, .create, .append], mode: 0o644)
    } catch {
      throw error.because(.logFile, "cannot open the log file", field: "--log")
    }
  }

  /// The error that ends the program: to the log file as a record and to stderr as plain text; without a log file as
  /// a record to stderr.
  func report(_ error: RuntimeError) {
    let record = LogRecord(error, at: Clock.now().seconds)
    guard file.number >= 0 else {
      return toStandardError(record.line(format))
    }
    toFile(record)
    toStandardError(LogRecord.printable(record.message) + "\n")
  }

  /// What the library writes to.
  var sink: LogSink {
    LogSink(level: level) { [self] level, message in write(level, message) }
  }

  private func write(_ level: LogLevel, _ message: String) {
    let record = LogRecord(level, message, at: Clock.now().seconds)
    guard file.number >= 0 else {
      return toStandardError(record.line(format))
    }
    if self.level == .debug { toFile(record) }
    if level <= .warning { toStandardError(record.line(.text)) }
  }

  private func toFile(_ record: LogRecord) {
    do {
      try file.write([UInt8](record.line(format).utf8))
    } catch {
      let failure = error.because(.logFile, "cannot write to the log file `\(path)`")
      toStandardError(LogRecord.printable(failure.text) + "\n")
    }
  }

  private func toStandardError(_ line: String) {
    do {
      try StandardStream.write(2, [UInt8](line.utf8))
    } catch {
      // There is no third place. An error still ends the program with a status above zero, and no container may
      // break because nobody reads its warnings.
      return
    }
  }
}

/// One record of the log.
struct LogRecord: Equatable, Sendable {
  var level: LogLevel
  var message: String
  /// RFC 3339 in UTC.
  var time: String
  /// The parts of the error, for those who read the log by program.
  var error: RuntimeError?

  init(_ level: LogLevel, _ message: String, at seconds: Int64) {
    self.level = level
    self.message = message
    time = RFC3339.text(seconds: seconds)
  }

  init(_ error: RuntimeError, at seconds: Int64) {
    self.init(.error, error.text, at: seconds)
    self.error = error
  }
}
